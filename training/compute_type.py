"""The number type that a forward pass of training computes in."""

import torch

# Names of `torch.cpu.get_capabilities` for products of 16 bits in hardware: of x86 the first two, of ARM the third.
_IN_HARDWARE = ("avx512_bf16", "amx_bf16", "bf16")


def compute_type(bfloat16: bool) -> torch.dtype:
    """16 bits where they are wanted and the processor multiplies them itself, else 32.

    Without such products torch works them out by software: about eighty times slower than 32 bits, measured on two
    cores with AVX2, where a run of minutes would take a day.
    """
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if bfloat16 and any(able.get(name) for name in _IN_HARDWARE) else torch.float32


def forward_pass(bfloat16: bool) -> torch.autocast:
    """A context in which torch computes in `compute_type`; weights and their changes stay in 32 bits."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=compute_type(bfloat16) is torch.bfloat16)
