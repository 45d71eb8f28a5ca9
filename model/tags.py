"""BIO tags of a mention axis: tag 0 is outside, then begin and inside of each label in codebook order."""

from collections.abc import Iterable, Sequence

import numpy as np

from model.outputs import Floats
from model.records import LabelledSpan
from model.spans import Span, covered_tokens

OUTSIDE = 0


def tag_count(labels: int) -> int:
    """Number of tags for a number of labels."""
    return 2 * labels + 1


def begin(label: int) -> int:
    """Tag of the first token of a mention with this label (index in codebook order)."""
    return 1 + 2 * label


def inside(label: int) -> int:
    """Tag of every further token of a mention with this label."""
    return 2 + 2 * label


def encode_tags(mentions: Iterable[LabelledSpan], token_spans: Sequence[Span], label_names: Sequence[str]) -> list[int]:
    """Give every token its tag; a token belongs to a mention if they share a character.

    Args:
        token_spans: Character spans of the tokens; special tokens have an empty span.
    """
    tags = [OUTSIDE] * len(token_spans)
    for mention in mentions:
        label = label_names.index(mention.label)
        covered = covered_tokens(token_spans, mention.span)
        for position, token in enumerate(covered):
            tags[token] = inside(label) if position else begin(label)
    return tags


def best_path(log_probabilities: Floats) -> list[int]:
    """Find the most probable tag sequence in which every inside tag follows its own label (Viterbi).

    Args:
        log_probabilities: Shape (words, tags).

    Returns:
        One tag a word.
    """
    words, tags = log_probabilities.shape
    if not words:
        return []
    allowed = np.ones((tags, tags), dtype=bool)  # (from, to)
    for tag in range(2, tags, 2):
        allowed[:, tag] = False
        allowed[[tag - 1, tag], tag] = True
    blocked = np.where(allowed, 0.0, -np.inf)
    score = np.where(np.arange(tags) % 2 == 0, -np.inf, log_probabilities[0])
    score[OUTSIDE] = log_probabilities[0, OUTSIDE]
    back = np.zeros((words, tags), dtype=np.intp)
    for word in range(1, words):
        options = score[:, None] + blocked  # (from, to)
        back[word] = options.argmax(axis=0)
        score = options.max(axis=0) + log_probabilities[word]
    path = [int(score.argmax())]
    for word in range(words - 1, 0, -1):
        path.append(int(back[word, path[-1]]))
    return path[::-1]


def mention_words(path: Sequence[int]) -> list[tuple[int, int, int]]:
    """Read the mentions off a valid tag path.

    Returns:
        (first word, one past the last word, label index) of each mention, in order.
    """
    found: list[tuple[int, int, int]] = []
    for word, tag in enumerate(path):
        if tag == OUTSIDE:
            continue
        if tag % 2 == 1:
            found.append((word, word + 1, (tag - 1) // 2))
        else:
            first, _, label = found[-1]
            found[-1] = (first, word + 1, label)
    return found
