"""Months and years from the dates of an archive, which are written in many ways; what is unclear stays so.

Read are dates that begin as ISO 8601 does, those of RFC 5322, "7 April 2017", "April 7, 2017", seconds since 1970, and
numbers with slashes, points or hyphens and the year last. Whether such a date has the day or the month first is
judged by the whole archive: one date with a number over 12 tells. Where none does, only the year is taken.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

_MOST_MONTHS, _MOST_YEARS = 36, 60  # periods on one page: over this many months years, over this many years decades
_ISO = re.compile(r"(\d{4})(?:-?(\d{2})(?:-?\d{2}(?:\d{4}(?:\d{2})?)?)?)?(?![\d/.])")  # also 20170407143000
_YEAR_LAST = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?!\d)")
_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d{1,2})[/.]\d{1,2}(?!\d)")
_SECONDS = re.compile(r"(\d{9,10})(?:\.\d+)?$|(\d{10})\d{3}$")  # or milliseconds
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_IN_WORDS = re.compile(rf"\b({'|'.join(_MONTHS)})[a-z]*\.?\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d{2}|20\d{2})(?!\d)")


@dataclass(frozen=True)
class Date:
    """What is sure of a date.

    Attributes:
        month: 1 to 12, or None.
        either: Two numbers of which one is the month, where the order of day and month is not known.
    """

    year: int
    month: int | None = None
    either: tuple[int, int] | None = None


@lru_cache(maxsize=1 << 16)
def read_date(text: str | None) -> Date | None:
    """Read a date as it was given; None if there is none in it."""
    text = (text or "").strip()
    if found := _SECONDS.match(text):
        return _of_seconds(int(found[1] or found[2]))
    if found := _YEAR_LAST.match(text):
        first, second, year = (int(group) for group in found.groups())
        return Date(year, either=(first, second)) if 1 <= first <= 31 and 1 <= second <= 31 else Date(year)
    if found := _YEAR_FIRST.match(text) or _ISO.match(text):
        month = int(found[2]) if found[2] else None
        return Date(int(found[1]), month) if month is None or 1 <= month <= 12 else Date(int(found[1]))
    if found := _YEAR.search(text):
        named = _IN_WORDS.search(text)
        return Date(int(found[1]), _MONTHS.index(named[1].lower()) + 1 if named else None)
    return None


def _of_seconds(seconds: int) -> Date:
    from datetime import UTC, datetime

    moment = datetime.fromtimestamp(seconds, UTC)
    return Date(moment.year, moment.month)


@dataclass
class Calendar:
    """The periods of an archive: filled with every date first, asked for the period of each one then.

    Attributes:
        undated: Documents without a date that can be read.
        unclear: Dates whose month is not known.
    """

    undated: int = 0
    unclear: int = 0
    _seen: Counter[Date] = field(default_factory=Counter)
    _month_first: bool | None = None
    _unit: int = 1  # months of a period

    def add(self, texts: Iterable[str | None]) -> None:
        """Count dates."""
        for text in texts:
            if date := read_date(text):
                self._seen[date] += 1
            else:
                self.undated += 1

    def settle(self) -> None:
        """Decide on the order of day and month, and on how long a period is."""
        pairs = [date.either for date in self._seen if date.either]
        firsts, seconds = any(a > 12 for a, _ in pairs), any(b > 12 for _, b in pairs)
        self._month_first = seconds if firsts != seconds else None
        self.unclear = sum(count for date, count in self._seen.items() if self._month_of(date) is None)
        months = [place for date in self._seen if (place := self._place(date, 1)) is not None]
        years = [date.year for date in self._seen]
        if not months or max(months) - min(months) >= _MOST_MONTHS or self.unclear * 2 > self._seen.total():
            self._unit = 12 if not years or max(years) - min(years) < _MOST_YEARS else 120

    @property
    def unit(self) -> str:
        """What a period is: `month`, `year` or `decade`."""
        return {1: "month", 12: "year"}.get(self._unit, "decade")

    def period(self, text: str | None) -> int | None:
        """The number of the period of a date; None where it is not known."""
        date = read_date(text)
        return self._place(date, self._unit) if date else None

    def name(self, period: int) -> str:
        """A period as it is written: `2017-04`, `2017` or `2010s`."""
        if self._unit == 1:
            return f"{period // 12:04}-{period % 12 + 1:02}"
        year = period * self._unit // 12
        return f"{year:04}" if self._unit == 12 else f"{year:04}s"

    def _place(self, date: Date, unit: int) -> int | None:
        month = self._month_of(date)
        if month is None and unit == 1:
            return None
        return (date.year * 12 + (month or 1) - 1) // unit

    def _month_of(self, date: Date) -> int | None:
        if date.either is None:
            return date.month
        if date.either[0] == date.either[1]:
            return date.either[0]
        if self._month_first is None:
            return None
        month = date.either[0 if self._month_first else 1]
        return month if month <= 12 else None
