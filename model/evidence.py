"""Evidence: the words of a sentence that speak for a label."""

from collections.abc import Sequence

import numpy as np

from model.outputs import Floats
from model.predictions import Evidence
from model.spans import Span
from model.words import Words

# Evidence names the fewest words that make up this share of what speaks for a label, and no more than these.
EVIDENCE_SHARE = 0.7
EVIDENCE_WORDS = 5


def word_weights(parts: Floats, words: Words) -> Floats:
    """Add up what the tokens of each word say for each label; what they say against it does not count.

    Args:
        parts: Each token's part of the labels' logits, shape (tokens, K).

    Returns:
        Weights, shape (words, K), each at least 0.
    """
    weights = np.zeros((len(words.starts) + 1, parts.shape[1]), dtype=np.float32)  # the last row: special tokens
    # One token after the other, so that no sum depends on what else is in the batch.
    np.add.at(weights, np.array(words.of_tokens, dtype=np.intp), np.maximum(parts, 0.0))
    return weights[:-1]


def choose_evidence(weights: Sequence[float], starts: Sequence[int], ends: Sequence[int]) -> tuple[Evidence, ...]:
    """Name the words that speak for a label; neighbours come as one.

    Args:
        weights: What each word says for it.
        starts, ends: First character of each word, and one past its last.
    """
    total = sum(weights)
    if total <= 0.0:
        return ()
    chosen: list[int] = []
    held = 0.0
    # The heaviest first, and among equals the first in the text.
    for n in sorted(range(len(weights)), key=weights.__getitem__, reverse=True)[:EVIDENCE_WORDS]:
        chosen.append(n)
        held += weights[n]
        if held >= EVIDENCE_SHARE * total:
            break
    evidence: list[Evidence] = []
    for n in sorted(chosen):
        weight = weights[n] / total
        if evidence and n - 1 in chosen and weights[n - 1] > 0.0:
            last = evidence[-1]
            evidence[-1] = Evidence(Span(last.span.start, ends[n]), last.weight + weight)
        else:
            evidence.append(Evidence(Span(starts[n], ends[n]), weight))
    return tuple(evidence)
