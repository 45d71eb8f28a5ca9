"""Half-open character ranges, the one notion of place that every room shares."""

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
