"""A sentence head that begins with an answer: logistic regression on what the encoder says of a few examples.

A new head learns slowly from few examples, and what it learns meanwhile spoils the encoder. Here every label starts
with even attention to all words with content, and with the scores that logistic regression finds on its own hidden
states; the rest of training begins there (Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features").
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from model.network import Network
from model.outputs import Floats
from model.tokenization import pad

# Logit of a label that no example holds, or of one that every example holds, with the sign turned.
_CERTAIN = -4.0
_BATCH = 32


def fit_sentence_head(
    network: Network,
    ids: Sequence[Sequence[int]],
    labels: Tensor,
    strength: float = 1.0,
    positive_weight_power: float = 0.0,
) -> None:
    """Fit the sentence head in place; the encoder stays as it is.

    Args:
        ids: Token ids of each sentence, special tokens included.
        labels: 1 or 0 where a label holds or not, shape (N, K); anything else where that is not known.
        strength: Inverse of the regularisation; more of it fits the examples more closely.
        positive_weight_power: Rare labels weigh (negatives / positives) ** power, as in the training that follows.
    """
    head = network.sentence_head
    features = _features(network, ids)  # (N, H)
    centre = features.mean(axis=0)
    scale = 1.0 / max(float(np.linalg.norm(features - centre, axis=1).mean()), 1e-6)
    even = (features - centre) * scale
    wanted = labels.numpy()
    weights = np.zeros((wanted.shape[1], features.shape[1]))
    biases = np.full(wanted.shape[1], _CERTAIN)
    groups = list(network.sizes.exclusive)
    together = {n for columns in groups for n in range(columns.start, columns.stop)}
    for columns in [*groups, *(slice(n, n + 1) for n in range(len(biases)) if n not in together)]:
        rows = np.isin(wanted[:, columns], (0, 1)).all(axis=1)
        held = wanted[rows, columns]
        if len(held):
            weights[columns], biases[columns] = _fitted(even[rows], held, strength, positive_weight_power)
    weights *= scale
    with torch.no_grad():
        for parameter in (head.attention.weight, head.attention.bias, head.score.bias):
            parameter.zero_()
        head.score.weight.copy_(torch.from_numpy(weights))
        head.bias.copy_(torch.from_numpy(biases - weights @ centre))


def _features(network: Network, ids: Sequence[Sequence[int]]) -> Floats:
    """Mean of the head's hidden states over the tokens with content, or over all if none has any, shape (N, H)."""
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            input_ids, attention = (torch.from_numpy(array) for array in pad(batch))  # (B, L)
            mask = attention.bool()
            content = network.content[input_ids] & mask
            content = torch.where(content.any(dim=1, keepdim=True), content, mask)
            states = network.encoder(input_ids=input_ids, attention_mask=attention).last_hidden_state
            hidden = functional.gelu(network.sentence_head.hidden(states))  # (B, L, H)
            found.append((hidden * content[:, :, None]).sum(dim=1) / content.sum(dim=1, keepdim=True))
    return np.asarray(torch.cat(found).numpy())


def _fitted(
    features: Floats, held: NDArray[np.int64], strength: float, power: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights, shape (C, H), and biases, shape (C,), of one label, or of labels of which exactly one holds."""
    count = held.shape[1]
    wanted = held[:, 0] if count == 1 else held.argmax(axis=1)
    weights, biases = np.zeros((count, features.shape[1])), np.full(count, _CERTAIN)
    if len(kinds := np.unique(wanted)) == 1:
        if count > 1 or kinds[0] == 1:
            biases[0 if count == 1 else kinds[0]] = -_CERTAIN
        return weights, biases
    if count == 1:
        positives = float(wanted.mean())
        heavier = ((1.0 - positives) / positives) ** power
        # All examples together weigh as much as without weights, so that regularisation stays what it is.
        mean = 1.0 - positives + positives * heavier
        share = {0: 1.0 / mean, 1: heavier / mean}
        one = LogisticRegression(C=strength, class_weight=share, max_iter=2000).fit(features, wanted)
        return one.coef_, one.intercept_
    model = LogisticRegression(C=strength, max_iter=2000).fit(features, wanted)
    # Of two labels, one logit is given: that of the second against the first.
    coefficients = model.coef_ if len(kinds) > 2 else np.stack([np.zeros_like(model.coef_[0]), model.coef_[0]])
    weights[kinds] = coefficients
    biases[kinds] = model.intercept_ if len(kinds) > 2 else [0.0, float(model.intercept_[0])]
    return weights, biases
