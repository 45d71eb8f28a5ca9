"""SetFit, the baseline for few examples: a sentence encoder fine-tuned on pairs, then logistic regression.

Written after Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts", and the defaults of the package
`setfit` 1.2: half of the pairs share a label and half do not, the fewer of them repeated; 16 pairs a step, squared
error of the cosine, AdamW at 2e-5 that rises for a tenth of the steps and falls to 0; every parameter learns.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from model.outputs import Floats
from model.tokenization import SentenceTokenizer
from training.contrastive import pooled
from training.schedule import rise_and_fall
from training.text_classifiers import Labels, LogisticHead

PAIRS_A_STEP = 16
LEARNING_RATE = 2e-5
# Candidate pairs that are looked at, where there are too many to list.
_CANDIDATES = 1_000_000


class SetFitClassifier:
    """One encoder and one logistic regression for one axis."""

    def __init__(
        self,
        encoder: nn.Module,
        tokenizer: SentenceTokenizer,
        max_pairs: int | None = None,
        seed: int = 0,
        bfloat16: bool = False,
    ) -> None:
        """Copy an encoder to train.

        Args:
            max_pairs: At most this many pairs are trained on; None trains on all that SetFit makes.
            bfloat16: Whether the forward pass of training computes in 16 bits where the processor can.
        """
        self._encoder = copy.deepcopy(encoder)
        self._tokenizer = tokenizer
        self._max_pairs = max_pairs
        self._seed = seed
        self._bfloat16 = bfloat16
        self._head = LogisticHead()

    def fit(self, texts: Sequence[str], labels: Sequence[Labels], names: Sequence[str], exclusive: bool) -> None:
        """Learn from texts; see `TextClassifier.fit`."""
        torch.manual_seed(self._seed)
        ids = [tokens.ids for tokens in self._tokenizer(texts)]
        held = np.array([[name in row for name in names] for row in labels], dtype=bool)  # (N, K)
        pairs, same = draw_pairs(held, self._max_pairs, np.random.default_rng(self._seed))
        steps = -(-len(pairs) // PAIRS_A_STEP)
        for parameter in self._encoder.parameters():
            parameter.requires_grad = True
        optimizer = torch.optim.AdamW(self._encoder.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        schedule = rise_and_fall(optimizer, max(1, -(-steps // 10)), steps)
        self._encoder.train()
        for start in range(0, len(pairs), PAIRS_A_STEP):
            batch = pairs[start : start + PAIRS_A_STEP]
            wanted = torch.from_numpy(same[start : start + PAIRS_A_STEP])
            states = pooled(self._encoder, [ids[n] for n in batch.T.ravel()], self._bfloat16)  # (2 * P, H)
            first, second = states.chunk(2)
            loss = functional.mse_loss((first * second).sum(dim=1), wanted)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self._encoder.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        self._encoder.eval()
        self._head.fit(self._embed(ids), labels, names, exclusive)

    def predict(self, texts: Sequence[str]) -> list[Labels]:
        """Labels of each text, in order."""
        return self._head.predict(self._embed([tokens.ids for tokens in self._tokenizer(texts)]))

    def _embed(self, ids: Sequence[Sequence[int]]) -> Floats:
        order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(order), 32):
                parts.append(pooled(self._encoder, [ids[n] for n in order[start : start + 32]]).numpy())
        embedded: Floats = np.empty((len(ids), parts[0].shape[1]), dtype=np.float32)
        embedded[order] = np.concatenate(parts)
        return embedded


def draw_pairs(
    held: NDArray[np.bool_], most: int | None, generator: np.random.Generator
) -> tuple[NDArray[np.intp], Floats]:
    """Draw pairs of sentences, as many that share a label as that do not; the fewer are repeated.

    Args:
        held: Whether each sentence holds each label, shape (N, K).
        most: At most this many pairs.

    Returns:
        Places of the two sentences of each pair, shape (P, 2), and 1 for those that share a label, else 0, shape (P,).
    """
    count = len(held)
    if count * (count + 1) // 2 <= _CANDIDATES:
        candidates = generator.permutation(np.stack(np.triu_indices(count), axis=1))
    else:
        candidates = generator.integers(0, count, (_CANDIDATES, 2))
    share = (held[candidates[:, 0]] & held[candidates[:, 1]]).any(axis=1)
    kinds = [candidates[share], candidates[~share]]
    wanted = max(len(kind) for kind in kinds)
    if most is not None:
        wanted = min(wanted, most // 2)
    chosen = [np.resize(kind, (wanted, 2)) if len(kind) else kind for kind in kinds]
    pairs = np.concatenate(chosen)
    same = np.repeat(np.array([1, 0], dtype=np.float32), [len(kind) for kind in chosen])
    order = generator.permutation(len(pairs))
    return pairs[order], same[order]
