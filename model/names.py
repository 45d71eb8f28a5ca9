"""Names of countries, people and groups: found in a text, and hidden behind stand-ins before the network reads it.

Who is named decides on no label, so the network does not get to see it: the first country of a sentence is always the
same country to it, the second another, and so on. What de-identification calls surrogates (Stubbs et al. 2015) serves
here to keep one actor's labels from differing from another's. A name that is not listed stays as it is.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from model.errors import ConfigError
from model.spans import Span

COUNTRIES, PEOPLE, GROUPS = KINDS = ("countries", "people", "groups")
# Forms of a country's name; people and groups have the first alone.
NAME, ADJECTIVE, NATIONALS, CAPITAL = FORMS = ("name", "adjective", "nationals", "capital")
_KEEP, _STAND_INS = "keep", "stand_ins"
_SHORTEST_IN_CAPITALS = 4  # letters: shorter ones, all in capitals, are too often other words
_WORD = re.compile(r"\w+")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the list is long

Row = Mapping[str, Sequence[str]]  # the spellings of each form
_Named = tuple[str, int, str]  # kind, row, form


class FoundName(NamedTuple):
    """A listed name in a text.

    Attributes:
        kind: One of `KINDS`.
        row: Number of whoever bears it, among those of the kind.
        form: One of `FORMS`.
    """

    span: Span
    kind: str
    row: int
    form: str


@dataclass(frozen=True)
class Renamed:
    """A text with other names.

    Attributes:
        places: Where each new name is in it, and the name that it replaced in the text as it was given; in order.
    """

    text: str
    places: Sequence[tuple[Span, Span]]

    def originals(self, spans: Sequence[Span]) -> list[Span]:
        """Where spans of this text lie in the given one; a part of a new name is the whole name that it replaced.

        Args:
            spans: In order of their starts and of their ends, but for empty ones, which stay as they are.
        """
        if not self.places:
            return list(spans)
        first = _Shift(self.places)
        last = _Shift(self.places)
        return [Span(first.start(a), last.end(b)) if a < b else Span(a, b) for a, b in spans]


class _Shift:
    """Carries offsets, which come in order, from a text with other names over to the given one."""

    def __init__(self, places: Sequence[tuple[Span, Span]]) -> None:
        self._places = places
        self._next = 0  # the first place that ends behind the last offset
        self._by = 0

    def start(self, offset: int) -> int:
        """Carry over the first character of a span."""
        return self._carry(offset, 0)

    def end(self, offset: int) -> int:
        """Carry over the end of a span, one past its last character."""
        return self._carry(offset - 1, 1)

    def _carry(self, offset: int, side: int) -> int:
        while self._next < len(self._places) and self._places[self._next][0].end <= offset:
            new, name = self._places[self._next]
            self._by = name.end - new.end
            self._next += 1
        if self._next < len(self._places) and self._places[self._next][0].start <= offset:
            return self._places[self._next][1][side]
        return offset + self._by + side


class NameList:
    """Listed names, by kind.

    Attributes:
        source, data: The file's text, and what it says.
        rows: Of each kind, the spellings of each name, form by form.
    """

    def __init__(self, path: Path) -> None:
        """Read a file such as data/names.yaml, whose head says what is in it; or the same in JSON, as it is faster.

        Raises:
            ConfigError: It is no such file, or two rows claim one spelling.
        """
        try:
            self.source = path.read_text(encoding="utf-8")
            self.data = data = json.loads(self.source) if path.suffix == ".json" else yaml.load(self.source, _LOADER)
            self.rows: dict[str, list[Row]] = {kind: [_row(row) for row in data.get(kind, ())] for kind in KINDS}
            given = data.get(_STAND_INS, {})
            self._stand_ins = {kind: [_stand_in(row, kind) for row in given.get(kind, ())] for kind in KINDS}
            self._by_first_word = _by_first_word(self._listed(data.get(_KEEP, ())))
        except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
            raise ConfigError(
                f"{path}: expected lists of names in YAML, as in data/names.yaml, but found: {error}. Correct the file."
            ) from None

    def _listed(self, keep: Sequence[str]) -> dict[str, _Named | None]:
        """Every spelling and what it names, None for phrases that are kept."""
        known: dict[str, _Named | None] = dict.fromkeys(map(str, keep))
        for kind, rows in self.rows.items():
            for number, row in enumerate(rows):
                for form, spellings in row.items():
                    for spelling in spellings:
                        if spelling in known:
                            raise ValueError(f"{spelling!r} among {kind}, which stands elsewhere as well")
                        known[spelling] = (kind, number, form)
        return known

    def find(self, text: str) -> Iterator[FoundName]:
        """Find the listed names of a text, the longest at each place; an s that follows is no part of them."""
        read = 0
        for word in _WORD.finditer(text):
            start = word.start()
            if start < read:
                continue
            # "Syrians", and "Syrias", where an apostrophe was lost.
            first = word.group() if word.group() in self._by_first_word else word.group().removesuffix("s")
            for spelling, named in self._by_first_word.get(first, ()):
                end = start + len(spelling)
                if text.startswith(spelling, start) and _ends(text, end):
                    read = end
                    if named:
                        yield FoundName(Span(start, end), *named)
                    break

    def rename(self, text: str, new_name: Callable[[FoundName], str | None]) -> Renamed:
        """Put other names in the place of the listed ones; those without a new name stay."""
        pieces: list[str] = []
        places: list[tuple[Span, Span]] = []
        read = length = 0
        for found in self.find(text):
            new = new_name(found)
            if new is None:
                continue
            pieces += (text[read : found.span.start], new)
            start = length + found.span.start - read
            length = start + len(new)
            places.append((Span(start, length), found.span))
            read = found.span.end
        return Renamed("".join([*pieces, text[read:]]), places)

    def hide(self, text: str) -> Renamed:
        """Put stand-ins in the place of the listed names, of each kind in the order in which they appear.

        Where a text names more of a kind than there are stand-ins, the last ones stay as they are.
        """
        numbers: dict[str, dict[int, int]] = {kind: {} for kind in KINDS}

        def stand_in(found: FoundName) -> str | None:
            stand_ins = self._stand_ins[found.kind]
            number = numbers[found.kind].setdefault(found.row, len(numbers[found.kind]))
            return stand_ins[number][found.form] if number < len(stand_ins) else None

        return self.rename(text, stand_in)


def _by_first_word(known: Mapping[str, _Named | None]) -> dict[str, list[tuple[str, _Named | None]]]:
    """Spellings, also all in capitals, by the word that they begin with; the longest first."""
    capitals = {
        spelling.upper(): named
        for spelling, named in known.items()
        if len(spelling) >= _SHORTEST_IN_CAPITALS and spelling.upper() not in known
    }
    found: dict[str, list[tuple[str, _Named | None]]] = {}
    for spelling, named in [*known.items(), *capitals.items()]:
        first = _WORD.match(spelling)
        if not first:
            raise ValueError(f"{spelling!r}, which begins with no letter and no digit")
        found.setdefault(first.group(), []).append((spelling, named))
    for spellings in found.values():
        spellings.sort(key=lambda one: len(one[0]), reverse=True)
    return found


def _row(row: Any) -> dict[str, Sequence[str]]:
    """One row of the file, its spellings by form."""
    forms = row if isinstance(row, dict) else {NAME: row}
    if unknown := sorted(set(forms) - set(FORMS)):
        raise ValueError(f"the forms {unknown}, which are none of {list(FORMS)}")
    return {
        form: [spellings] if isinstance(spellings, str) else list(map(str, spellings))
        for form, spellings in forms.items()
    }


def _stand_in(row: Any, kind: str) -> dict[str, str]:
    """The one spelling of each form of a stand-in."""
    forms = {form: spelling for form, [spelling] in _row(row).items()}
    if missing := [form for form in (FORMS if kind == COUNTRIES else (NAME,)) if form not in forms]:
        raise ValueError(f"a stand-in for {kind} without the forms {missing}: {row}")
    return forms


def _ends(text: str, end: int) -> bool:
    """Whether a name may end here: before anything but a letter or digit, or before an s at the end of a word."""
    following = text[end : end + 2]
    return not following[:1].isalnum() or (following[0] == "s" and not following[1:].isalnum())
