"""Swap names in training sentences for others, so that labels do not hang on who is named. Never in evaluation."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from model.names import ADJECTIVE, NATIONALS, FoundName, NameList, Row
from model.records import GoldSentence, LabelledSpan
from model.spans import Span


class NameSwapper:
    """Exchanges the listed names of a sentence for others of their kind, the same way throughout the sentence."""

    def __init__(self, names: NameList, others: NameList) -> None:
        """Take the names of one list out, and those of another in; kinds that the other lacks stay."""
        self._names = names
        self._others = others

    def __call__(self, sentence: GoldSentence, generator: np.random.Generator) -> GoldSentence:
        """Return the sentence with other names; its spans follow."""
        chosen: dict[tuple[str, int], int] = {}

        def new_name(found: FoundName) -> str | None:
            who = (found.kind, found.row)
            if who not in chosen:
                taken = {other for (kind, _), other in chosen.items() if kind == found.kind}
                fitting = [n for n in self._fitting(*who) if n not in taken]
                if not fitting:
                    return None
                chosen[who] = int(generator.choice(fitting))
            return _spelling(self._others.rows[found.kind][chosen[who]], found.form, found.span.of(sentence.text))

        renamed = self._names.rename(sentence.text, new_name)

        def moved(spans: tuple[LabelledSpan, ...] | None) -> tuple[LabelledSpan, ...] | None:
            if spans is None:
                return None
            return tuple(LabelledSpan(_moved(x.span, renamed.places), x.label) for x in spans)

        return dataclasses.replace(
            sentence, text=renamed.text, mentions=moved(sentence.mentions), targets=moved(sentence.targets)
        )

    def _fitting(self, kind: str, row: int) -> list[int]:
        """Rows of the other list that have every form of a row; nationals are made of the adjective."""
        forms = {ADJECTIVE if form == NATIONALS else form for form in self._names.rows[kind][row]}
        return [n for n, other in enumerate(self._others.rows[kind]) if forms <= other.keys()]


def _spelling(row: Row, form: str, old: str) -> str:
    """The spelling of a row that takes the place of an old one: a full name for a full name, else the shortest."""
    if form == NATIONALS and form not in row:
        return f"{row[ADJECTIVE][0]}s"
    spellings: Sequence[str] = row[form]
    return spellings[0] if " " in old else min(spellings, key=len)


def _moved(span: Span, places: Sequence[tuple[Span, Span]]) -> Span:
    """Where a span of the old text lies in the new one; a part of a name becomes the whole new name."""
    first = last = 0
    for new, (start, end) in places:
        length = new.end - new.start
        grown = length - (end - start)
        if span.start >= end:
            first += grown
        elif span.start > start:
            first += start - span.start
        if span.end >= end:
            last += grown
        elif span.end > start:
            last += start + length - span.end
    return Span(span.start + first, span.end + last)
