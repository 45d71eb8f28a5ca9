"""Which lines of a page are the story: each judged by its words, its shape and its place beside the body.

Evidence comes in two strengths. A sure sign (a phrase of the furniture table, a bare date) holds anywhere;
an unsure one (a line like "By Land and Sea", a picture agency's name at the end) only where the place agrees.
All else stays in.
"""

import re
from collections.abc import Sequence

from model.article_body import Own, Page, content_words, find_page
from model.article_lines import Line
from model.article_metadata import byline, is_date_line
from model.furniture import AGENCY_LAST, BIOGRAPHY, CONTACT, CREDITED, LIGHT, sign_of

# A run of fewer headlines after the story may be its own last lines; so may one after a story of fewer words.
_RUN = 5
_STORY = 40
_PARTED = re.compile(r"\s+[|·•]\s+")
_LABELLED = re.compile(r"[\w'’-]+(?: [\w'’-]+){0,3}:\s")
_LISTED = re.compile(r"\s*[|/›»>•·]\s+")
_OPENS_LIST = {
    "related": re.compile(r"[^:|›»–]{3,60}$"),
    "navigation": re.compile(r"(?:related )?(?:topics|tags)\W*$", re.IGNORECASE),
}
# After the story, one of these tells that the page has gone over to furniture; the light ones do not.
_CLOSING = {"related", "newsletter", "navigation", "author_box", "copyright", "address", "other_furniture"}


def tell_kinds(lines: Sequence[Line], headline: str | None = None) -> tuple[list[str], int | None]:
    """Tell the kind of every line of a page.

    Args:
        lines: The lines, in order.
        headline: The headline, where it is known from elsewhere.

    Returns:
        One kind for each line, and which line is the title.
    """
    if len(lines) < 2:
        # One line is what somebody wants read.
        return ["paragraph"] * len(lines), None
    own = [_own(line) for line in lines]
    page = find_page(lines, own, headline)
    if page is None:
        title = next((i for i, line in enumerate(lines) if line.level == 1), None)
        told = zip(lines, own, strict=True)
        kinds = [kind if kind and sure else _prose(line) for line, (kind, sure) in told]
        return ["title" if i == title else kind for i, kind in enumerate(kinds)], title
    runs = _runs(page)
    kinds = []
    zone, listed, closed, stood = "", 0, False, False
    for i, line in enumerate(lines):
        kind, sure = own[i]
        if i == page.title:
            kind = "title"
        elif i >= page.stop:
            kind = kind if sure and kind in ("copyright", "navigation", "newsletter") else "other_furniture"
        elif not kind or not (sure or _holds(page, i, closed)):
            if zone and _goes_on(page, i, zone, listed):
                kind, listed = zone, listed + 1
            elif page.title is not None and i <= page.first:
                kind = _above(page, i, page.title, stood)
            else:
                kind = _prose(line) if i <= page.last else _below(page, i, kinds[-1], runs[i], closed)
        heads = kind in _OPENS_LIST and own[i][0] == kind and line.size <= 8
        if heads and _OPENS_LIST[kind].match(line.words):
            zone, listed = kind, 0
        elif kind == "newsletter":
            zone = kind
        elif kind not in (zone, *LIGHT, "other_furniture"):
            zone = ""
        stood = stood or kind == "standfirst"
        closed = closed or (i > page.last and kind in _CLOSING)
        kinds.append(kind)
    _mend(page, kinds)
    return kinds, page.title


def _own(line: Line) -> Own:
    """Judge a line without looking at the others."""
    words = line.words
    if line.mark == "meta" or not any(c.isalnum() for c in words):
        return "other_furniture", True
    if line.mark == "image":
        return "caption", True
    sign = sign_of(words, line.size)
    # A header and the paragraph that it was run together with are prose in doubt.
    if sign and not (sign.kind == "related" and line.closed and line.size > 16):
        return sign.kind, sign.in_body
    if all(word[0] == "#" for word in words.split()):
        return "navigation", True
    if is_date_line(words):
        return "date", True
    if len(words) <= 160 and not line.closed and len(_PARTED.split(words)[0].split()) <= 14 and byline(words):
        return "byline", False
    parts = _LISTED.split(words) if line.size <= 24 and not line.closed else []
    if len(parts) > (1 if re.search("[›»>]", words) else 2) and all(len(part.split()) < 5 for part in parts):
        return "navigation", True
    if line.linked >= 0.8 and line.size <= 30 and not (line.prose and line.closed):
        return ("related" if line.size > 3 else "navigation"), False
    if line.linked >= 0.5 and line.size <= 30 and _LABELLED.match(words):
        return "related", True
    # The bound on characters keeps the searches linear, also on a line without spaces.
    if line.size > 70 or len(words) > 800:
        return "", False
    if CREDITED.match(words):
        return "caption", True
    if line.size <= 45 and words[0] not in "\"'“‘«„" and AGENCY_LAST.match(words):
        return "caption", False
    if BIOGRAPHY.match(words):
        return "author_box", False
    tags = words.split(",") if line.size <= 14 and not line.closed else []
    if len(tags) > 2 and all(0 < len(tag.split()) < 4 and tag == tag.title() for tag in tags):
        return "navigation", False
    return "", False


def _holds(page: Page, i: int, closed: bool) -> bool:
    """Tell whether the place of a line agrees with what it is not sure to be."""
    line, kind = page.lines[i], page.own[i][0]
    outside = i < page.first or i > page.last
    if kind == "caption":
        # Wire copy ends in the bare name of its agency too.
        return i < page.last or closed
    if kind == "author_box":
        about = BIOGRAPHY.match(line.words)
        known = about is not None and about["who"].casefold().removeprefix("the ") in page.names
        followed = i + 1 < len(page.own) and page.own[i + 1] == ("author_box", True)
        return known + line.wrapped + followed + bool(CONTACT.search(line.words)) > (0 if outside else 1)
    if kind == "byline":
        return (
            outside or i <= page.first + 2 or "date" in (page.own[i - 1][0], *(k for k, _ in page.own[i + 1 : i + 2]))
        )
    return outside or line.linked >= 0.8


def _goes_on(page: Page, i: int, zone: str, listed: int) -> bool:
    """Tell whether a line goes on with a list whose header has been read."""
    line = page.lines[i]
    if line.prose or (line.closed and not line.headline):
        return False
    if zone == "newsletter":
        return not line.gap and line.size < 9
    if zone == "navigation":
        return line.size < 5 and not line.closed
    # Set apart, and right above a paragraph of the story: its sub-heading.
    return not (listed and line.gap and i < page.last and page.lines[i + 1].prose)


def _above(page: Page, i: int, title: int, stood: bool) -> str:
    """Judge a line that stands above the story, or opens it."""
    line, headline, own = page.lines[i], page.lines[title], page.own
    if i < title:
        # A motto is known by its company: it stands next to the masthead or the menu.
        company = any(own[j][0] or page.lines[j].size < 4 for j in (i - 1, i + 1) if 0 <= j < title)
        told = line.size > 4 and page.share(line) > 0
        return _prose(line) if line.prose or line.leads or told or (line.closed and not company) else "other_furniture"
    # Printed again, perhaps with the name of the site behind it or cut short.
    short, long = sorted((line.key, headline.key), key=len)
    near = not line.closed and min(line.size, headline.size) > 3 and abs(line.size - headline.size) < 6
    if short == long or (near and long.startswith(short)):
        return "repeat"
    if line.mark in ("bullet", "quote"):
        return _prose(line)
    if i == page.first or line.size > 4:
        below = [other.key for other in page.lines[i + 1 : i + 9]]
        again = line.key in below or (line.size > 7 and any(line.key in key for key in below))
        parted = i < page.first or (i < page.last and any(kind in ("byline", "date") for kind, _ in own[i + 1 : i + 3]))
        return "repeat" if again else "standfirst" if parted and not stood else _prose(line)
    beside = [own[j][0] for j in (i - 1, i + 1) if j != title and own[j][0]]
    if line.mark == "heading" or not beside:
        return _prose(line)
    name = (
        line.size > 1
        and all(word[0].isupper() and len(word) > 2 for word in line.words.split())
        and "byline" not in beside
    )
    return "byline" if name or "correspondent" in line.words.casefold() else "other_furniture"


def _below(page: Page, i: int, before: str, run: int, closed: bool) -> str:
    """Judge a line that stands below the story."""
    line = page.lines[i]
    if line.prose or (line.closed and not line.headline):
        return _prose(line)
    if line.mark == "bullet" and not closed:
        titled = sum(word[:1].isupper() for word in line.words.split()) > 0.6 * line.size
        return "related" if run >= _RUN and titled else "list_item"
    if run >= _RUN or (closed and before != "paragraph"):
        return "related" if line.size > 2 else "navigation"
    # A name under the last paragraph signs it; above more words it would be a speaker's.
    signs = line.gap and line.size in (2, 3) and not line.closed and line.words.istitle()
    alone = i + 1 == len(page.lines) or (page.lines[i + 1].gap and not page.lines[i + 1].closed)
    return "byline" if signs and alone and i == page.last + 1 else _prose(line)


def _runs(page: Page) -> list[int]:
    """Measure, for each line below the story, the run of headline-like lines that it stands in."""
    runs = [0] * len(page.lines)
    words = sum(line.size for line in page.lines[page.first : page.last + 1] if line.prose)
    start = page.last + 1
    for i in range(start, page.stop + 1 if words >= _STORY else start):
        if i == page.stop or page.own[i][0] or not page.lines[i].headline:
            # Questions could end a story; only lines without any stop make the run.
            bare = sum(not line.closed for line in page.lines[start:i])
            runs[start:i] = [bare] * (i - start)
            start = i + 1
    return runs


def _mend(page: Page, kinds: list[str]) -> None:
    """Judge again the lines that only their judged neighbours, or a line far above, tell."""
    lines = page.lines
    cut = [
        i for i, line in enumerate(lines) if i > page.first + 1 and line.words.endswith(("...", "…")) and line.size > 8
    ]
    for i, j, k in zip(cut, cut[1:], cut[2:], strict=False):
        if k == i + 2:  # Three in a row that break off: the first words of other stories.
            kinds[i] = kinds[j] = kinds[k] = "related"
    mastheads = {lines[i].key for i in range(page.title or 0) if kinds[i] == "other_furniture"}
    for i, line in enumerate(lines):
        if page.title is not None and i > page.title and line.key in mastheads:
            kinds[i] = "other_furniture"
        if not 0 < i < len(lines) - 1 or kinds[i] not in ("paragraph", "standfirst"):
            continue
        below = lines[i + 1]
        touching = [j for j, touches in ((i - 1, not line.gap), (i + 1, not below.gap)) if touches]
        words = set(content_words(line))
        same = any(
            kinds[j] == "caption" and words and len(words & set(content_words(lines[j]))) >= 0.6 * len(words)
            for j in touching
        )
        if same or (lines[i - 1].mark == "image" and ((not line.gap and below.gap) or line.wrapped)):
            kinds[i] = "caption"
        elif line.size < 7 and not line.closed and line.mark != "heading" and len(touching) == 2:
            around = {kinds[i - 1], kinds[i + 1]}
            kinds[i] = kinds[i - 1] if around <= _CLOSING else kinds[i]


def _prose(line: Line) -> str:
    return "list_item" if line.mark == "bullet" else "paragraph"
