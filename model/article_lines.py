"""The lines of a saved page: their words, their Markdown marks and their shape."""

import re
from dataclasses import dataclass

from model.spans import Span

# Python's str.strip does not know the zero-width marks that browsers copy along.
_BLANK = (
    " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u200b\u200e\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
)
_CLOSERS = " \"'”’»)]}*_›」』■◼▪◆"
_STOPS = ".!?…。！？؟۔।։"
_BLOCK_MARK = re.compile(r"(?P<heading>#{1,6})\s+|(?P<quote>>)\s*|(?P<bullet>[-*+•‣▪●]|\d{1,2}[.)])\s+")
_EMPHASIS = re.compile(r"[*_]{1,3}(?=[^\s*_])")
# Bounds on what stands in the brackets keep the search linear on a line of nothing but brackets.
_IMAGE = re.compile(r"!\[([^\[\]]{0,400})\]\([^()]{0,600}\)")
_LINK = re.compile(r"\[([^\[\]]{0,400})\]\([^()]{0,600}\)")
_RULE = re.compile(r"[-=*_~\s]+")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\u0e00-\u0e7f]")


@dataclass(frozen=True)
class Line:
    """One line of a page, or a paragraph that was hard-wrapped over several.

    Attributes:
        span: Its place in the page, block marks and outer white space left out.
        words: The words as read: no Markdown, white space as single spaces.
        mark: Its block mark: "", "heading", "bullet", "quote", "image" or "meta" (front matter).
        level: Depth of a heading, from 1; 0 for any other line.
        gap: Whether a blank line stands before it.
        wrapped: Whether emphasis encloses it whole.
        linked: Share of its words that are links, from 0 to 1.
        size: Number of words.
    """

    span: Span
    words: str
    mark: str
    level: int
    gap: bool
    wrapped: bool
    linked: float
    size: int

    @property
    def closed(self) -> bool:
        """Tell whether it ends as a sentence ends."""
        return self.words.rstrip(_CLOSERS)[-1:] in set(_STOPS)

    @property
    def leads(self) -> bool:
        """Tell whether it announces what follows."""
        return self.words.endswith((":", "："))

    @property
    def prose(self) -> bool:
        """Tell whether it is long enough and ends so as to be a paragraph of the story.

        Text that lost its punctuation is known by length alone.
        """
        return self.size >= (9 if self.closed or self.leads else 28)

    @property
    def headline(self) -> bool:
        """Tell whether it could stand in a list of headlines."""
        return 3 <= self.size < 28 and self.words.rstrip(_CLOSERS)[-1:] not in set(".…。۔:：;,")

    @property
    def key(self) -> str:
        """Give what two printings of the same words have in common."""
        return " ".join(self.words.casefold().split()).rstrip("." + _CLOSERS)


def read_lines(text: str) -> list[Line]:
    """Split a page into its lines, hard-wrapped paragraphs joined again.

    Args:
        text: Plain text or Markdown.

    Returns:
        The lines that hold anything but Markdown rules, in order.
    """
    raw: list[tuple[int, int, bool]] = []  # start, end, whether a blank line stands before
    offset, gap = 0, True
    for piece in text.splitlines(keepends=True):
        words = piece.strip(_BLANK)
        if words:
            start = offset + piece.index(words[0])
            raw.append((start, start + len(words), gap))
        gap = not words
        offset += len(piece)
    front = _front_matter(text, raw)
    lines = [_line(text, *place, "meta") for place in raw[:front]]
    lines += [_line(text, *place, "") for place in _unwrap(text, raw[front:])]
    return [line for line in lines if line is not None]


def make_line(text: str, span: Span, mark: str = "", level: int = 0) -> Line:
    """Make a line of a place whose words carry no Markdown.

    Args:
        text: The whole text.
        span: Where the line stands in it.
        mark: Its block mark, as in Line.
        level: Depth of a heading, from 1; 0 for any other line.

    Returns:
        The line, as if a blank line stood before it.
    """
    words = " ".join(span.of(text).split())
    return Line(span, words, mark, level, True, False, 0.0, _size(words))


def _front_matter(text: str, raw: list[tuple[int, int, bool]]) -> int:
    """Count the lines of `key: value` between two rules at the head of a page saved by a web clipper."""
    if not raw or text[raw[0][0] : raw[0][1]] != "---":
        return 0
    for i, (start, end, _) in enumerate(raw[1:40], start=1):
        if text[start:end] == "---":
            return i + 1
        if not re.match(r"[\w-]{1,40}:|[-\[\]\"']", text[start:end]):
            break
    return 0


def _unwrap(text: str, raw: list[tuple[int, int, bool]]) -> list[tuple[int, int, bool]]:
    """Join the lines of paragraphs that were broken at a fixed width.

    A line that begins in lower case goes on from one that did not end. Where three of them do, the text is
    wrapped, and its width tells the other breaks: the first word of the next line would not have fitted.
    """

    def goes_on(i: int) -> bool:
        (start, end, _), (below, stop, gap) = raw[i], raw[i + 1]
        marked = text[start] == "#" or _BLOCK_MARK.match(text, below)
        if gap or marked or _RULE.fullmatch(text[below : below + 3]):
            return False
        first = text[below : min(below + 40, stop)].split(None, 1)[0]
        return (
            40 <= end - start <= 160
            and text[below].islower()
            and not first.startswith(("by", "http", "www."))
            and text[end - 1] not in _STOPS
        )

    votes = [i for i in range(len(raw) - 1) if goes_on(i)]
    widths = sorted(raw[i][1] - raw[i][0] for i in votes)
    width = widths[-1] if len(widths) >= 3 and widths[-1] <= 140 else 0
    voted = set(votes)
    joined: list[tuple[int, int, bool]] = []
    for i, (start, end, gap) in enumerate(raw):
        above = raw[i - 1] if i else (0, 0, True)
        length = above[1] - above[0]
        first = len(text[start : min(start + 40, end)].split(None, 1)[0])
        plain = not gap and not _BLOCK_MARK.match(text, start) and text[above[0]] != "#"
        full = width < length + 1 + first and length <= width + 10
        if i and (i - 1 in voted or (plain and width and full)):
            joined[-1] = (joined[-1][0], end, joined[-1][2])
        else:
            joined.append((start, end, gap))
    return joined


def _line(text: str, start: int, end: int, gap: bool, mark: str) -> Line | None:
    """Read one line: put its marks outside the span, and its links into words."""
    if _RULE.fullmatch(text, start, end):
        return None
    level = 0
    while not mark or mark in ("quote", "bullet"):
        found = _BLOCK_MARK.match(text, start, end)
        if not found or found.end() >= end:
            break
        mark, level = found.lastgroup or "", len(found["heading"] or "")
        start = found.end()
    wrapped = False
    if emphasis := _EMPHASIS.match(text, start, end):
        inner, tail = emphasis.end(), emphasis.group()
        wrapped = text.endswith(tail, inner, end) and text.find(tail[0], inner, end - len(tail)) < 0
        start, end = inner, end - len(tail) if wrapped else end
    image = _IMAGE.fullmatch(text, start, end)
    link = None if image else _LINK.fullmatch(text, start, end)
    whole = image or link
    if whole and whole[1].strip(_BLANK):
        start, end = whole.span(1)
    while text[start] in _BLANK:
        start += 1
    while text[end - 1] in _BLANK:
        end -= 1
    words, linked = _plain(text[start:end])
    mark = "image" if image else mark
    return Line(Span(start, end), words, mark, level, gap, wrapped, 1.0 if link else linked, _size(words))


def _plain(words: str) -> tuple[str, float]:
    """Take inline Markdown off words, and measure how much of them are links."""
    linked = sum(len(m[1]) for m in _LINK.finditer(words))
    words = _LINK.sub(r"\1", _IMAGE.sub(r"\1", words)).replace("**", "").replace("__", "")
    words = " ".join(words.split()).strip(_BLANK)
    return words, min(1.0, linked / max(1, len(words)))


def _size(words: str) -> int:
    """Count words; two characters of a script that writes none apart make one."""
    return max(len(words.split()), len(_CJK.findall(words)) // 2)
