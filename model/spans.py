"""Half-open character ranges, the one notion of place that every room shares."""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A half-open range of Unicode code points in the text as it was given.

    Attributes:
        start: Offset of the first code point.
        end: Offset one past the last code point.
    """

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the words that the span covers."""
        return text[self.start : self.end]

    def overlaps(self, other: "Span") -> bool:
        """Tell whether the two ranges share at least one code point."""
        return self.start < other.end and other.start < self.end


def covered_tokens(token_spans: Sequence[Span], span: Span) -> list[int]:
    """Indices of the tokens that share a character with a span; special tokens have an empty span and never do."""
    first, last = span
    return [n for n, (start, end) in enumerate(token_spans) if start < last and first < end and start < end]
