"""Contrastive warm-up: before heads are trained, sentences with the same labels are moved together in the encoder.

With few examples a label, new heads have little to go by; pairs of sentences are many more than sentences. This is the
first stage of SetFit (Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts"), with one change: every pair
of a batch is used, not two sentences a pair, so that one pass over sixteen sentences gives 120 pairs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.network import Network
from model.tokenization import pad
from training.compute_type import forward_pass
from training.schedule import rise_and_fall


def contrastive_warm_up(
    network: Network,
    ids: Sequence[Sequence[int]],
    labels: Tensor,
    steps: int,
    learning_rate: float,
    batch_size: int = 16,
    seed: int = 0,
    bfloat16: bool = False,
) -> None:
    """Train the encoder in place; its embeddings and the heads stay as they are.

    Args:
        ids: Token ids of each sentence, special tokens included.
        labels: 1 where a sentence holds a label, shape (N, K); any other number where it does not.
        steps: Batches. With fewer than two sentences that hold a label there are no pairs, and nothing is done.
        learning_rate: At its peak, after a tenth of the steps; then it falls to 0.
    """
    held = (labels == 1).any(dim=1).nonzero().flatten().tolist()
    if len(held) < 2 or steps < 1:
        return
    trained = [p for name, p in network.encoder.named_parameters() if ".layer." in name]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.01)
    schedule = rise_and_fall(optimizer, max(1, steps // 10), steps)
    generator = np.random.default_rng((seed, 2))
    order: list[int] = []
    network.train()
    for _ in range(steps):
        while len(order) < min(batch_size, len(held)):
            order += generator.permutation(held).tolist()
        chosen, order = order[:batch_size], order[batch_size:]
        states = pooled(network.encoder, [ids[n] for n in chosen], bfloat16)
        loss = pair_loss(states, alike(labels[chosen]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
    network.eval()


def pooled(encoder: nn.Module, ids: Sequence[Sequence[int]], bfloat16: bool = False) -> Tensor:
    """Mean of an encoder's states over the tokens of each sentence, of length 1, shape (B, H)."""
    input_ids, mask = (torch.from_numpy(array) for array in pad(ids))  # (B, L)
    with forward_pass(bfloat16):
        states = encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state.float()  # (B, L, H)
    return functional.normalize((states * mask[:, :, None]).sum(dim=1))


def alike(labels: Tensor) -> Tensor:
    """How alike the labels of each two sentences are, shape (B, B): those they share among those that either holds.

    Args:
        labels: 1 where a sentence holds a label, shape (B, K).
    """
    held = (labels == 1).float()
    shared = held @ held.T  # (B, B)
    sizes = held.sum(dim=1)
    return shared / (sizes[:, None] + sizes[None, :] - shared).clamp(min=1.0)


def pair_loss(states: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of the cosine of each pair; pairs that are alike and pairs that are not weigh the same.

    Args:
        states: Of length 1, shape (B, H).
        wanted: Cosine that each pair should have, shape (B, B).
    """
    first, second = torch.triu_indices(len(states), len(states), offset=1)
    errors = ((states @ states.T)[first, second] - wanted[first, second]) ** 2
    same = wanted[first, second] > 0
    kinds = [errors[kind].mean() for kind in (same, ~same) if kind.any()]
    return torch.stack(kinds).mean()
