"""What one pass of the model returns, as numpy arrays; shared by the torch model and the engine."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class SentenceOutputs(NamedTuple):
    """Raw outputs for one sentence, padding removed.

    Attributes:
        tag_logits: Shape (L, T): BIO tags of the mention axis, a token.
        sentence_logits: Shape (K,): labels of all sentence axes, codebook order.
        sentence_parts: Shape (L, K): each token's part of those logits.
        target_logits: Shape (L, S): labels of the target axis, a token.
    """

    tag_logits: Floats
    sentence_logits: Floats
    sentence_parts: Floats
    target_logits: Floats


OUTPUT_NAMES = SentenceOutputs._fields
INPUT_NAMES = ("input_ids",)  # of the exported graph, which runs sentences of one length and needs no mask


def split_batch(outputs: list[Floats], lengths: list[int]) -> list[SentenceOutputs]:
    """Cut the outputs of a padded batch into its sentences.

    Args:
        outputs: Arrays in the order of `OUTPUT_NAMES`, each with the batch as first dimension.
        lengths: Tokens of each sentence, special tokens included.
    """
    tags, logits, parts, targets = outputs
    return [
        SentenceOutputs(tags[row, :length], logits[row], parts[row, :length], targets[row, :length])
        for row, length in enumerate(lengths)
    ]
