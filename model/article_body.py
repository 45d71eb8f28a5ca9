"""Where on a page the story stands: its densest stretch of prose, the headline above, the comments below."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from model.article_lines import Line
from model.furniture import COMMENT, COMMENTS, LIGHT

Own = tuple[str, bool]
"""The kind that a line shows by itself ("" for none), and whether that is sure wherever the line stands."""


@dataclass(frozen=True)
class Page:
    """A page whose body has been found.

    Attributes:
        lines: Its lines.
        own: What each shows by itself.
        first: The first line of the body.
        last: The last line of the body.
        stop: The first line of the readers' comments, or one past the last line of the page.
        title: The headline, if there is one.
        story: The words of the body's first paragraphs.
        names: The words of bylines and copyright lines.
    """

    lines: Sequence[Line]
    own: Sequence[Own]
    first: int
    last: int
    stop: int
    title: int | None
    story: set[str]
    names: str

    def share(self, line: Line) -> float:
        """Measure how many of a line's words the story takes up."""
        words = content_words(line)
        return sum(w in self.story for w in words) / max(1, len(words))


def find_page(lines: Sequence[Line], own: Sequence[Own], headline: str | None) -> Page | None:
    """Find the story on a page.

    Args:
        lines: The lines of the page, in order.
        own: What each shows by itself.
        headline: The headline, where it is known from elsewhere.

    Returns:
        The page with its places, or None if no line on it is a sentence.
    """
    stop = _comments(lines, own)
    body = _body(lines[:stop], own)
    if body is None:
        return None
    first, last = body
    story = {w for line in lines[first : min(last, first + 60) + 1] if line.prose for w in content_words(line)}
    told = (x.words for x, (kind, _) in zip(lines, own, strict=True) if kind in ("byline", "copyright"))
    page = Page(lines, own, first, last, stop, None, story, " ".join(told).casefold()[:5000])
    return replace(page, title=_title(page, headline))


def content_words(line: Line) -> list[str]:
    """Give the words that carry a line's subject: those of four letters and more."""
    return [word for word in re.findall(r"\w+", line.words.casefold()) if len(word) > 3]


def _comments(lines: Sequence[Line], own: Sequence[Own]) -> int:
    """Find where the readers' comments begin: a header, and soon after it what stands between two readers."""
    marks = [i for i, line in enumerate(lines) if line.size <= 8 and COMMENT.match(line.words)]
    prose = 0
    for i, line in enumerate(lines):
        prose += line.prose and not own[i][0]
        if prose > 1 and line.size <= 8 and COMMENTS.match(line.words):
            after = bisect_right(marks, i)
            if after < len(marks) and marks[after] <= i + 6:
                return i
    return len(lines)


def _body(lines: Sequence[Line], own: Sequence[Own]) -> tuple[int, int] | None:
    """Find the stretch densest in prose: the maximum sum of what each line speaks for it or against it."""
    best, total, start, found = 0, 0, 0, None
    for i, (line, (kind, sure)) in enumerate(zip(lines, own, strict=False)):
        if kind in ("caption", "author_box") and not sure:
            weight = 0
        elif kind:
            weight = -2 if kind in LIGHT else -6
        elif line.prose:
            weight = min(max(line.size, 15), 40)
        elif line.mark in ("bullet", "quote") or line.leads or line.words.endswith(("?", "!")):
            weight = 0
        else:
            weight = line.size if line.closed else -10
        if total <= 0:
            total, start = 0, i
        total += weight
        if total > best:
            best, found = total, (start, i)
    return found


def _title(page: Page, headline: str | None) -> int | None:
    """Choose the headline among the lines above the story."""
    lines, first = page.lines, page.first
    if headline is not None:
        key = " ".join(headline.casefold().split())
        return next((i for i in range(min(len(lines), first + 4)) if lines[i].words.casefold() == key), None)
    top = next((i for i in range(min(len(lines), first + 3)) if lines[i].level == 1 and not page.own[i][1]), None)
    if top is not None:
        return top
    near = []
    for i, line in enumerate(lines[:first]):
        kind, sure = page.own[i]
        if line.leads and line.size > 3 and not kind:
            break  # What it announces is no headline.
        stopped = line.closed and not line.words.rstrip("\"'”’").endswith(("?", "!"))
        if not sure and kind in ("", "related") and line.mark in ("", "heading") and not (stopped or line.leads):
            near.append(i)
    near = [i for i in near if lines[i].size > 3] or near
    printed = Counter(lines[i].key for i in near)
    if (twice := next((i for i in near if printed[lines[i].key] > 1), None)) is not None:
        return twice
    if near and near[0] == 0 and lines[0].size > 3:
        return 0
    if sum(not kind for kind, _ in page.own[:first]) > 12 and not any(kind for kind, _ in page.own[:first]):
        return None  # More than a masthead stands above the first long paragraph: a list, or verse.
    # Mastheads and promotions stand above the headline too; they share fewer words with the story.
    shares = [page.share(lines[i]) for i in near]
    best = next((i for i, share in zip(near, shares, strict=True) if share >= 0.4 * max(shares)), None)
    # A headline of few words, with the standfirst right under it.
    if best and not lines[best].gap and lines[best - 1].gap and best - 1 not in near:
        over, above = lines[best - 1], page.own[best - 1]
        if not above[0] and not over.closed and over.size > (1 if best > 1 else 2):
            return best - 1
    return best
