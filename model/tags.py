"""BIO tags of a mention axis: tag 0 is outside, then begin and inside of each label in codebook order."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

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
    # Plain floats: on rows of a dozen tags, numpy's calls cost more than its sums.
    first, *others = log_probabilities.tolist() or [[]]
    score: list[float] = [p if tag == OUTSIDE or tag % 2 else -math.inf for tag, p in enumerate(first)]
    back: list[list[int]] = []  # of each word but the first: by its tag, the tag before
    for word in others:
        best = max(score)
        before = [score.index(best)] * len(word)
        following = [best + p for p in word]
        for tag in range(2, len(word), 2):
            before[tag] = tag if score[tag] > score[tag - 1] else tag - 1
            following[tag] = score[before[tag]] + word[tag]
        back.append(before)
        score = following
    if not score:
        return []
    path = [score.index(max(score))]
    for before in reversed(back):
        path.append(before[path[-1]])
    return path[::-1]


def best_paths(log_probabilities: Floats, sentences: Sequence[slice]) -> NDArray[np.intp]:
    """Find the best path of each sentence of a batch.

    Args:
        log_probabilities: Shape (words, tags), the sentences one after the other.
        sentences: The words of each sentence.

    Returns:
        One tag a word, shape (words,): the same as `best_path` gives for each sentence.
    """
    path: NDArray[np.intp] = log_probabilities.argmax(axis=1)
    before = np.empty_like(path)
    before[1:] = path[:-1]
    before[[words.start for words in sentences if words.start < words.stop]] = OUTSIDE
    broken = (path != OUTSIDE) & (path % 2 == 0) & (before != path) & (before != path - 1)
    # No path is better than the best tag of every word; only where these make no valid path is one to be looked for.
    ends = [words.stop for words in sentences]
    for n in {bisect_right(ends, word) for word in np.flatnonzero(broken).tolist()}:
        path[sentences[n]] = best_path(log_probabilities[sentences[n]])
    return path


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
