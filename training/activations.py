"""What the linear layers of a network are fed with: the range of each input feature over some sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from model.network import Network
from model.outputs import Floats

# Sentences of the training part that ranges are taken from.
SENTENCES = 1000


@dataclass
class Range:
    """Least and largest value of each input feature, shape (K,)."""

    low: Floats
    high: Floats


def observe(network: Network, ids: Sequence[Sequence[int]]) -> dict[str, Range]:
    """Run sentences through a network and note what each of its linear layers is fed with.

    Args:
        ids: Token ids of each sentence, special tokens included.

    Returns:
        Ranges by the name of the layer's weight.
    """
    seen: dict[str, Range] = {}
    hooks = [
        module.register_forward_pre_hook(_note(f"{name}.weight", seen))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and module.weight.numel()
    ]
    try:
        with torch.inference_mode():
            for row in ids:
                one = torch.tensor([row])
                network.eval()(one, torch.ones_like(one))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _note(name: str, seen: dict[str, Range]):  # type: ignore[no-untyped-def]  # a hook, as torch has it
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        states = inputs[0].reshape(-1, inputs[0].shape[-1]).float()  # (B · L, K)
        low, high = states.amin(dim=0).numpy(), states.amax(dim=0).numpy()
        if name in seen:
            low, high = np.minimum(low, seen[name].low), np.maximum(high, seen[name].high)
        seen[name] = Range(low, high)

    return hook
