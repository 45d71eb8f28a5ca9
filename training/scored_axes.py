"""The axes as they are scored: those of the codebook, and the one that is derived from the mentions."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.codebook import MENTION, SENTENCE, Axis, Codebook
from model.predictions import Mention, Prediction
from model.records import GoldSentence, LabelledSpan

# What is decided on an axis: labelled spans, any number of labels, one label, or one label a target.
SPANS, MANY, ONE, TARGETS = "spans", "many", "one", "targets"

Pairs = Sequence[tuple[GoldSentence, Prediction]]
NO_LABEL = ""  # the label of a target that a system left without one


@dataclass(frozen=True)
class ScoredAxis:
    """One axis of a table of metrics.

    Attributes:
        form: `SPANS`, `MANY`, `ONE` or `TARGETS`.
        labels: In codebook order; of a derived axis, without the plain one.
        source: The axis of the codebook; of a derived axis, the one that it is derived from.
    """

    name: str
    form: str
    labels: tuple[str, ...]
    source: Axis

    @property
    def headline(self) -> str:
        """Name of the one figure that stands for the axis."""
        return "span_f1" if self.form == SPANS else "macro_f1"

    @property
    def single(self) -> bool:
        """Whether every decision is for exactly one label."""
        return self.form in (ONE, TARGETS)

    @property
    def derived(self) -> bool:
        """Whether it is derived from the mentions."""
        return self.name == self.source.summary

    def is_annotated(self, gold: GoldSentence) -> bool:
        """Tell whether a gold sentence says anything of this axis."""
        if self.form == TARGETS:
            return bool(gold.targets)
        return gold.mentions is not None if self.source.kind == MENTION else self.name in gold.labels

    def annotated(self, pairs: Pairs) -> Pairs:
        """The sentences that are annotated for this axis, with their predictions."""
        return [(gold, said) for gold, said in pairs if self.is_annotated(gold)]

    def rows(self, gold: GoldSentence, said: Prediction) -> list[tuple[frozenset[str], frozenset[str]]]:
        """What gold and prediction hold, decision by decision; for every form but `SPANS`."""
        if self.form == TARGETS:
            return [
                (frozenset([wanted.label]), frozenset([found.label]) - {NO_LABEL})
                for wanted, found in zip(gold.targets or (), said.targets, strict=True)
            ]
        if self.derived:
            held = frozenset(m.label for m in gold.mentions or ()) & set(self.labels)
            return [(held, frozenset(said.summary))]
        return [(frozenset(gold.labels[self.name]), frozenset(item.label for item in said.labels[self.name]))]

    def spans(self, items: Sequence[LabelledSpan] | Sequence[Mention]) -> list[list[int]]:
        """Labelled spans as rows of [start, end, label index]."""
        return [[*item.span, self.labels.index(item.label)] for item in items]

    def is_wrong(self, gold: GoldSentence, said: Prediction) -> bool:
        """Tell whether anything that the prediction says of this axis differs from gold."""
        if self.form == SPANS:
            return {tuple(row) for row in self.spans(gold.mentions or ())} != {
                tuple(row) for row in self.spans(said.mentions)
            }
        return any(wanted != found for wanted, found in self.rows(gold, said))


def scored_axes(codebook: Codebook) -> list[ScoredAxis]:
    """Every axis that can be scored, in codebook order, the derived one after the one that it comes from."""
    axes = []
    for axis in codebook.axes:
        if axis.kind == MENTION:
            axes.append(ScoredAxis(axis.name, SPANS, axis.label_names, axis))
            if axis.summary:
                axes.append(ScoredAxis(axis.summary, MANY, axis.summary_labels, axis))
        elif axis.kind == SENTENCE:
            axes.append(ScoredAxis(axis.name, ONE if axis.exclusive else MANY, axis.label_names, axis))
        else:
            axes.append(ScoredAxis(axis.name, TARGETS, axis.label_names, axis))
    return axes
