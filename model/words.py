"""The words of a batch of tokenised sentences: one or more tokens each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.spans import Span


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch, sentence after sentence; special tokens belong to none.

    Attributes:
        sentences: The words of each sentence.
        starts, ends: First character of each word in its sentence, and one past its last.
        first_tokens: First token of each word, counted over the batch.
        of_tokens: The word of each token of the batch, -1 for special tokens.
    """

    sentences: list[slice]
    starts: list[int]
    ends: list[int]
    first_tokens: list[int]
    of_tokens: list[int]


def group_words(sentences: Iterable[tuple[Sequence[int | None], Sequence[Span]]]) -> Words:
    """Group the tokens of a batch into words.

    Args:
        sentences: Of each token of a sentence, the index of its word (None for special tokens), and its characters.
    """
    found = Words([], [], [], [], [])
    of_tokens = found.of_tokens
    last = -1  # the word that was begun last
    for words, spans in sentences:
        begun = last + 1
        previous: int | None = None
        for word, (start, end) in zip(words, spans, strict=True):
            if word is None:
                of_tokens.append(-1)
            else:
                if word == previous:
                    found.ends[-1] = end
                else:
                    last += 1
                    found.first_tokens.append(len(of_tokens))
                    found.starts.append(start)
                    found.ends.append(end)
                of_tokens.append(last)
            previous = word
        found.sentences.append(slice(begun, last + 1))
    return found
