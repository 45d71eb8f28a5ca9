"""Who published an article, who wrote it, when and where: read from the furniture around it."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple

from model.article_lines import Line
from model.furniture import BIOGRAPHY

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY = r"\b(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)\b"
_DATES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_YEAR}[-/.](?P<month>\d\d?)[-/.]{_DAY}(?!\d)",
        rf"\b{_MONTH}\s+{_DAY},?\s+{_YEAR}",
        rf"{_DAY}\.?(?:\s+of)?[\s-]+{_MONTH},?[\s-]+{_YEAR}",
        rf"{_DAY}[-/.](?P<month>\d\d?)[-/.]{_YEAR}",
    )
)
# Only abbreviations that mean one zone in news pages; the others leave a date without its time.
_ZONES = {"gmt": 0, "utc": 0, "z": 0, "est": -5, "edt": -4, "bst": 1, "cet": 1, "cest": 2, "msk": 3}
_ZONE = rf"(?P<zone>{'|'.join(_ZONES)}|(?:GMT|UTC)?[+-]\d\d?:?(?:\d\d)?)(?!\w)"
_TIME = re.compile(
    r"(?<![\d:])(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.]\d\d(?:\.\d+)?)?"
    rf"(?:\s*(?P<half>[ap])\.?m\b\.?)?(?:\s*\(?{_ZONE}\)?)?",
    re.IGNORECASE,
)
_AROUND_A_DATE = re.compile(
    r"\b(?:(?:first |last )?(?:published|updated?|modified|posted|created|edited|issued)|date|time|on|at|"
    r"from|mon(?:day)?|tues?(?:day)?|wed(?:nesday)?|thu(?:rs?(?:day)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?|"
    r"local time|hrs?|[ap]\.?m|just now|\d+[- ]?min(?:ute)?s?(?: read)?)\b|"
    r"\b\d+ ?(?:m|min|mins|h|hrs?|minutes?|hours?|days?|weeks?|months?) ago\b|"
    rf"(?<![a-z])(?:{'|'.join(_ZONES)})(?![a-z])|T(?=\s|$)",
    re.IGNORECASE,
)
_SAYS_WHEN = re.compile(r"\b(?:published|updated?|modified|posted)\b|\bago$|\bmin(?:ute)?s?(?: read)?$", re.IGNORECASE)
_WEEKDAY = re.compile(r"\b(?:mon|tue|wed|thu|fri|sat|sun)(?:[a-z]*day|s|rs|r)?\b", re.IGNORECASE)
_BY = re.compile(
    r"(?:(?:(?:written|words|text|posted|published|reporting|story) )?by\b:?|(?:authors?|interview)\s*:)\s*"
    r"(?P<who>\S.*)",
    re.IGNORECASE,
)
_AFTER_A_NAME = re.compile(
    r"(?: in | for | at | on |,? \d| [|·•–—-]+ |[|·•;(]|,\s*(?=[^A-Z])|"
    r",\s+(?=[^,]{0,40}\b(?i:reporter|correspondent|editor|writer|analyst|bureau|news)\b)).*"
)
_NO_NAME = re.compile(r"\bby\b|correspondent|reporter|:", re.IGNORECASE)
_REPORTS = re.compile(r"\b(?:editor|reporter|correspondent|staff writer)\b")
_PARTICLES = frozenset({"and", "&", "with", "al", "bin", "da", "de", "der", "el", "van", "von"})
_HOUSE = re.compile(r"(?:copyright|©|\(c\)|\d{4}(?:\s*[-–]\s*\d{4})?|\s|,|:|\bby\b)+", re.IGNORECASE)
_AFTER_A_HOUSE = re.compile(r"\s+[-–—|]\s+|\s\d{4}\b|\.(?:\s|$)|,|\ball rights\b", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s<>()\[\]\"']{4,2000}")
_HOST = re.compile(r"https?://(?:www\.)?([^/:?#\s]+)", re.IGNORECASE)
_KEY = re.compile(r"(?P<key>[A-Za-z_-]{2,30})\s*:\s*(?P<value>\S.*)")


class Metadata(NamedTuple):
    """What a page says about its article; None where it does not say."""

    title: str | None = None
    outlet: str | None = None
    author: str | None = None
    published_at: str | None = None
    url: str | None = None


def read_date(words: str) -> str | None:
    """Find a full date in some words.

    Args:
        words: Any text; a date without its year does not count.

    Returns:
        An ISO 8601 date, or date-time where a time and its zone are given; None without an unambiguous date.
    """
    for pattern in _DATES:
        if not (found := pattern.search(words)):
            continue
        day, month = int(found["day"]), found["month"]
        number = int(month) if month.isdecimal() else 1 + _MONTHS.index(month[:3].casefold())
        if pattern is _DATES[-1] and "." not in found.group() and day != number:
            # Day and month stand in either order there; only a number above 12 tells.
            if day <= 12 and number <= 12:
                continue
            day, number = max(day, number), min(day, number)
        try:
            day_found = date(int(found["year"]), number, day)
        except ValueError:
            continue
        return _with_time(day_found, words[: found.start()] + " " + words[found.end() :])
    return None


def is_date_line(words: str) -> bool:
    """Tell whether a line holds a date or a time of day, and nothing else but its labels."""
    if len(words) > 120:
        return False
    if not any(c.isdecimal() for c in words):
        return _SAYS_WHEN.fullmatch(words.strip(" :")) is not None
    rest, dated = words, bool(_SAYS_WHEN.search(words))
    for pattern in (*_DATES, _TIME):
        rest, found = pattern.subn(" ", rest)
        dated = dated or found > 0
    return dated and not any(c.isalnum() for c in _AROUND_A_DATE.sub(" ", rest))


def byline(words: str) -> str | None:
    """Read the name out of a byline.

    Args:
        words: A line's words.

    Returns:
        The name or names, without office and place; None for a line of another kind.
    """
    if len(words) > 160 or not (found := _BY.match(words)):
        return None
    who = _AFTER_A_NAME.sub("", found["who"]).strip(" .,:*_)")
    names = who.split()
    if not names or len(names) > 9 or not (names[0][0].isupper() or names[0][0] == "@"):
        return None
    if any(n[0].islower() and n not in _PARTICLES for n in names):
        return None
    a_day = _WEEKDAY.fullmatch(names[0]) or (len(names) == 1 and who[:3].casefold() in _MONTHS)
    return None if a_day else who


def read_metadata(lines: Sequence[Line], kinds: Sequence[str], title: int | None) -> Metadata:
    """Read what the furniture says about the article.

    Args:
        lines: The lines of the page.
        kinds: The kind of each.
        title: Which line is the title.

    Returns:
        The metadata. The outlet is a name that the page gives itself (copyright line, masthead, author box),
        or else the host of its address.
    """
    found = (_KEY.match(line.words) for line in lines if line.mark == "meta")
    head = {m["key"].casefold(): m["value"].strip(" \"'") for m in found if m}
    url = _first(head, "url", "source", "link", "canonical") or _address(lines, kinds) or ""
    host = _HOST.match(url)
    named = _first(head, "outlet", "site", "sitename", "site_name", "publisher", "publication")
    dated = read_date(_first(head, "published", "date", "published_at", "created") or "")
    return Metadata(
        title=lines[title].words if title is not None else _first(head, "title"),
        outlet=named or _outlet(lines, kinds, title) or (host[1].casefold() if host else None),
        author=_first(head, "author", "authors", "byline") or _author(lines, kinds),
        published_at=dated or _published(lines, kinds, title) or read_date(url),
        url=url if host else None,
    )


def _with_time(day: date, rest: str) -> str:
    """Add the time of day, if it comes with its zone."""
    if not (found := _TIME.search(rest)) or not found["zone"]:
        return day.isoformat()
    hour, zone = int(found["hour"]), found["zone"].casefold()
    if found["half"]:
        hour = hour % 12 + (12 if found["half"].casefold() == "p" else 0)
    digits = re.sub(r"\D", "", zone)
    offset = timedelta(hours=_ZONES.get(zone, 0))
    if digits:
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0)) * (-1 if "-" in zone else 1)
    try:
        moment = datetime(day.year, day.month, day.day, hour, int(found["minute"]), tzinfo=timezone(offset))
    except ValueError:
        return day.isoformat()
    return moment.isoformat()


def _first(head: dict[str, str], *keys: str) -> str | None:
    return next((head[key] for key in keys if head.get(key)), None)


def _address(lines: Sequence[Line], kinds: Sequence[str]) -> str | None:
    """Find the page's own address: labelled as such, or alone on its first or last line."""
    for i, (line, kind) in enumerate(zip(lines, kinds, strict=True)):
        if kind != "other_furniture" or not (found := _URL.search(line.words)):
            continue
        labelled = found.start() > 1 or (i > 0 and lines[i - 1].leads and kinds[i - 1] == "other_furniture")
        if labelled or i in (0, len(lines) - 1):
            return found.group().rstrip(".,;>")
    return None


def _published(lines: Sequence[Line], kinds: Sequence[str], title: int | None) -> str | None:
    """Choose among the dates of a page: when published, else any, else when updated, else the dateline."""
    best: tuple[int, str] | None = None
    for i, (line, kind) in enumerate(zip(lines, kinds, strict=True)):
        if kind not in ("date", "byline", "credit") or not (found := read_date(line.words)):
            continue
        above = lines[i - 1].words if i else ""
        labelled = bool(_SAYS_WHEN.search(line.words) or _SAYS_WHEN.fullmatch(above))
        if title is not None and i < title and _WEEKDAY.search(line.words) and not labelled:
            continue  # A masthead with the day's date: when the page was saved.
        rank = 2 if re.search("updated|modified", line.words, re.IGNORECASE) else 0 if labelled else 1
        if best is None or rank < best[0]:
            best = (rank, found)
    if best:
        return best[1]
    body = next((x for x, kind in zip(lines, kinds, strict=True) if kind == "paragraph" and x.prose), None)
    # A dateline, or the date that an archive prints before the first words.
    opening = body.words[:50] if body else ""
    found_there = next((m for p in _DATES if (m := p.search(opening))), None)
    before = opening[: found_there.start()] if found_there else "said"
    if all(w.isupper() or not w.isalpha() or _WEEKDAY.fullmatch(w) for w in re.findall(r"\w+", before)):
        return read_date(opening)
    return None


def _author(lines: Sequence[Line], kinds: Sequence[str]) -> str | None:
    """Read the first byline that names someone, or else a line of the byline that is a bare name."""
    named = [line.words for line, kind in zip(lines, kinds, strict=True) if kind == "byline"]
    alone = (words for words in named if 1 < len(words.split()) < 5 and not _NO_NAME.search(words))
    return next((who for words in named if (who := byline(words.strip("()")))), None) or next(alone, None)


def _outlet(lines: Sequence[Line], kinds: Sequence[str], title: int | None) -> str | None:
    """Read the name that a page gives its publisher."""
    for line, kind in zip(lines, kinds, strict=True):
        if kind == "copyright" and (mark := re.search(r"©|\(c\)|copyright", line.words, re.IGNORECASE)):
            name = _HOUSE.sub(" ", line.words[mark.start() :][:120], count=2)
            name = _AFTER_A_HOUSE.split(name.strip(), maxsplit=1)[0].strip(" .")
            if name and name[0].isupper() and len(name.split()) <= 6:
                return name
    printed = Counter(x.words for x, kind in zip(lines, kinds, strict=True) if kind == "other_furniture")
    for i, line in enumerate(lines[: title or 0]):
        if kinds[i] == "other_furniture" and line.size <= 4 and printed[line.words] > 1:
            return line.words
    for line, kind in zip(lines, kinds, strict=True):
        found = BIOGRAPHY.match(line.words) if kind == "author_box" else None
        if found and found["house"] and _REPORTS.search(found.group()):
            return str(found["house"])
    return None
