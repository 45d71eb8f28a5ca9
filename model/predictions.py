"""What the model says of one sentence, and its form as a record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.spans import Span

OK, ABSTAINED, ERROR = "ok", "abstained", "error"
DIGITS = 4  # scores are equal within 1e-3 whatever the batch: more digits would promise too much


@dataclass(frozen=True)
class Evidence:
    """Words of the sentence that made a label.

    Attributes:
        weight: Share of the words in all that speaks for the label, 0 to 1.
    """

    span: Span
    weight: float


@dataclass(frozen=True)
class Scored:
    """A label with its calibrated probability and, on a sentence axis, its evidence."""

    label: str
    score: float
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Mention:
    """A mention; `target` is the label on the target axis, if the codebook has one."""

    span: Span
    label: str
    score: float
    target: Scored | None = None


@dataclass(frozen=True)
class TargetLabel:
    """The label of a target that the caller named, in the caller's words."""

    name: str
    span: Span
    label: str
    score: float


@dataclass(frozen=True)
class Prediction:
    """Everything that one pass says of a sentence.

    Attributes:
        mentions: In order of the text.
        labels: For each sentence axis, the labels that hold, in codebook order.
        summary: Labels of the axis derived from the mentions, in codebook order.
        targets: One for each target that was asked for, in the order asked.
        scores: For each axis (the summary too), the calibrated probability of every label.
        abstained: Axes that are "not sure", in codebook order.
        n_tokens: Tokens of the whole sentence, without special tokens.
        truncated: Whether the model saw only the beginning.
    """

    mentions: tuple[Mention, ...]
    labels: Mapping[str, tuple[Scored, ...]]
    summary: tuple[str, ...]
    targets: tuple[TargetLabel, ...]
    scores: Mapping[str, Mapping[str, float]]
    abstained: tuple[str, ...]
    n_tokens: int
    truncated: bool
    status: str = OK
    names: "RecordNames" = field(default_factory=lambda: RecordNames())

    def to_record(self, text: str, offset: int = 0) -> dict[str, Any]:
        """The fields of a labelled sentence that the model gives, under the codebook's names.

        Args:
            offset: Where the sentence starts in its document: what is added to every place in the record.
        """
        names = self.names
        record: dict[str, Any] = {"status": self.status, "n_tokens": self.n_tokens, "truncated": self.truncated}
        if names.summary:
            record[names.summary] = list(self.summary)
        if names.mention:
            record[names.mention] = [_mention_record(m, text, offset, names.target) for m in self.mentions]
        for axis, scored in self.labels.items():
            record[axis] = [_scored_record(item, text, offset) for item in scored]
        if names.target:
            record["targets"] = [
                {
                    "target": t.name,
                    "start": t.span.start + offset,
                    "end": t.span.end + offset,
                    "label": t.label,
                    "score": rounded(t.score),
                }
                for t in self.targets
            ]
        record["scores"] = {
            axis: {label: rounded(score) for label, score in labels.items()} for axis, labels in self.scores.items()
        }
        record["abstained"] = list(self.abstained)
        return record


@dataclass(frozen=True)
class RecordNames:
    """Keys that the codebook gives to the parts of a record; None where it has no such axis."""

    mention: str | None = None
    summary: str | None = None
    target: str | None = None


def _mention_record(mention: Mention, text: str, offset: int, target_axis: str | None) -> dict[str, Any]:
    record = _span_record(mention.span, text, offset)
    record["label"] = mention.label
    record["score"] = rounded(mention.score)
    if target_axis and mention.target:
        record[target_axis] = {"label": mention.target.label, "score": rounded(mention.target.score)}
    return record


def _scored_record(scored: Scored, text: str, offset: int) -> dict[str, Any]:
    evidence = [_span_record(item.span, text, offset) | {"weight": round(item.weight, 3)} for item in scored.evidence]
    return {"label": scored.label, "score": rounded(scored.score), "evidence": evidence}


def _span_record(span: Span, text: str, offset: int) -> dict[str, Any]:
    return {"text": span.of(text), "start": span.start + offset, "end": span.end + offset}


def rounded(score: float) -> float:
    """A score as records show it."""
    return round(float(score), DIGITS)
