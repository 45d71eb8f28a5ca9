"""16 bits are used where the processor has them, and nowhere else."""

import pytest
import torch

from training.compute_type import compute_type, forward_pass


@pytest.mark.parametrize(
    ("able", "found"),
    [
        ({"avx2": True}, torch.float32),
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, torch.float32),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"neon": True, "bf16": True}, torch.bfloat16),
    ],
)
def test_sixteen_bits_are_taken_where_the_processor_multiplies_them(monkeypatch, able, found):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert compute_type(True) is found
    assert compute_type(False) is torch.float32
    with forward_pass(True):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is found
