"""Swap names in training sentences, so that labels do not hang on who is named. Never used in evaluation."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import yaml

from model.records import GoldSentence, LabelledSpan
from model.spans import Span


class NameSwapper:
    """Exchanges countries, people and groups of a sentence for others, the same way throughout the sentence."""

    def __init__(self, path: Path, others: Path | None = None) -> None:
        """Read data/names.yaml: sets of rows, whose forms are exchanged together, and phrases to keep.

        Args:
            others: Rows for the same sets to take new names from, instead of those of `path`.
        """
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.keep = [str(phrase) for phrase in data.pop("keep")]
        self.sets: list[list[list[str]]] = list(data.values())
        given = yaml.safe_load(others.read_text(encoding="utf-8")) if others else data
        self.others: list[list[list[str]]] = [given[name] for name in data]
        # Each form's set, row and place in the row.
        self.places = {
            form: (s, r, f)
            for s, rows in enumerate(self.sets)
            for r, row in enumerate(rows)
            for f, form in enumerate(row)
        }
        forms = sorted([*self.keep, *self.places], key=len, reverse=True)
        self._pattern = re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, forms)) + r")(?!\w)")

    def __call__(self, sentence: GoldSentence, generator: np.random.Generator) -> GoldSentence:
        """Return the sentence with other names; its spans follow."""
        chosen: dict[tuple[int, int], int] = {}
        pieces: list[str] = []
        changes: list[tuple[int, int, int]] = []  # (start, end, new length) in the old text
        at = 0
        for found in self._pattern.finditer(sentence.text):
            place = self.places.get(found.group())
            if place is None:
                continue
            s, r, f = place
            if (s, r) not in chosen:
                taken = {row for (other, _), row in chosen.items() if other == s}
                free = [n for n in range(len(self.others[s])) if n not in taken]
                chosen[s, r] = int(generator.choice(free))
            new = self.others[s][chosen[s, r]][f]
            pieces += [sentence.text[at : found.start()], new]
            changes.append((found.start(), found.end(), len(new)))
            at = found.end()
        text = "".join([*pieces, sentence.text[at:]])

        def moved(spans: tuple[LabelledSpan, ...] | None) -> tuple[LabelledSpan, ...] | None:
            if spans is None:
                return None
            return tuple(LabelledSpan(_moved(x.span, changes), x.label) for x in spans)

        return dataclasses.replace(
            sentence, text=text, mentions=moved(sentence.mentions), targets=moved(sentence.targets)
        )


def _moved(span: Span, changes: list[tuple[int, int, int]]) -> Span:
    """Where a span of the old text lies in the new one; a part of a name becomes the whole new name."""
    first = last = 0
    for start, end, length in changes:
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
