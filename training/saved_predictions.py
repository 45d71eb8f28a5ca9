"""Predictions from a file: labelled sentences as this program writes them, or plain labels of any other system."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.codebook import Axis, Codebook
from model.errors import SHOWN, RecordError, join_problems
from model.jsonl import Line, read_file
from model.predictions import ABSTAINED, ERROR, OK, Evidence, Mention, Prediction, RecordNames, Scored, TargetLabel
from model.records import GoldSentence, gold_sentence
from model.spans import Span
from training.scored_axes import NO_LABEL, scored_axes

NO_SCORE = math.nan  # stands where a system gives a label without a probability
_TARGETS = "targets"


@dataclass(frozen=True)
class SavedPredictions:
    """What a file says of the gold sentences.

    Attributes:
        predictions: One for each gold sentence, with the gold targets as targets, in order. A score that the file
            does not give is NaN; a gold target that it does not label has the label `NO_LABEL`.
        unpredicted: Axes that no record of the file has; they are not to be scored.
        ignored: Records of sentences that are not in gold.
    """

    predictions: list[Prediction]
    unpredicted: frozenset[str]
    ignored: int


def load_predictions(path: Path, gold: Sequence[GoldSentence], codebook: Codebook) -> SavedPredictions:
    """Read a file of predictions (JSON Lines) for gold sentences; see `read_predictions`."""
    try:
        return read_predictions(read_file(path), gold, codebook, str(path))
    except OSError as error:
        raise RecordError(
            f"{path}: expected a file of predictions, but found: {error.strerror}. Check the path."
        ) from None


def read_predictions(
    lines: Iterable[Line], gold: Sequence[GoldSentence], codebook: Codebook, name: str
) -> SavedPredictions:
    """Join predictions to gold by `id`.

    A sentence axis holds labels, or {"label", "score"?}; spans are {"start", "end", "label", "score"?} or {"text",
    "label"}, whose words are found as those of gold are; what is said of targets stands in `targets`, in the spans,
    or in a list as in gold. Spans of a record with a `status` count from its `start`, as in labelled documents.

    Raises:
        RecordError: A line cannot be read, an id stands twice, a record lacks an axis that others have, or a gold
            sentence has no prediction; the first ten are listed, with the count.
    """
    wanted = {sentence.id: sentence for sentence in gold}
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    problems: list[str] = []
    ignored = 0
    for line in lines:
        where = f"{name}:{line.number}"
        if line.record is None:
            problems.append(str(line.problem))
            continue
        identifier = str(line.record.get("id"))
        if identifier in found:
            problems.append(f"{where}: expected an id of its own, but found {identifier!r} again. Keep one record.")
        elif identifier not in wanted:
            ignored += 1
        elif line.record.get("status") != ERROR:
            found[identifier] = (where, line.record)
    if problems:
        raise RecordError(join_problems(problems))
    if missing := [identifier for identifier in wanted if identifier not in found]:
        shown = ", ".join(map(repr, missing[:SHOWN])) + (" …" if len(missing) > SHOWN else "")
        raise RecordError(
            f"{name}: expected a prediction for every gold sentence, but found none for {len(missing)} of "
            f"{len(wanted)}: {shown}. Label them, or take them out of the gold."
        )
    return _read([found[sentence.id] for sentence in gold], gold, codebook, ignored)


def predictions_of(
    records: Sequence[Mapping[str, Any]], gold: Sequence[GoldSentence], codebook: Codebook, name: str
) -> SavedPredictions:
    """Read labelled sentences that come in the order of the gold; see `read_predictions`."""
    return _read([(f"{name}[{n}]", record) for n, record in enumerate(records)], gold, codebook, ignored=0)


def _read(
    records: Sequence[tuple[str, Mapping[str, Any]]], gold: Sequence[GoldSentence], codebook: Codebook, ignored: int
) -> SavedPredictions:
    keys = _keys(codebook)
    there = set[str]().union(*(_held(record) for _, record in records))
    predicted = frozenset(name for name, wanted in keys.items() if wanted & there)
    predictions, problems = [], []
    for sentence, (where, record) in zip(gold, records, strict=True):
        try:
            predictions.append(_Reader(codebook, sentence, record, where).prediction(predicted))
        except RecordError as error:
            problems.append(str(error))
    if problems:
        raise RecordError(join_problems(problems))
    return SavedPredictions(predictions, frozenset(keys) - predicted, ignored)


def _keys(codebook: Codebook) -> dict[str, set[str]]:
    """The keys of a record that say something of each scored axis."""
    keys = {}
    for axis in scored_axes(codebook):
        keys[axis.name] = {axis.name, axis.source.name} if axis.derived else {axis.name}
        if axis.source == codebook.target_axis:
            keys[axis.name].add(_TARGETS)
    return keys


def _held(record: Mapping[str, Any]) -> set[str]:
    """The keys of a record, and of the objects in its lists: what a span is said to be may stand in the span."""
    inner = (item for value in record.values() if isinstance(value, list) for item in value if isinstance(item, dict))
    return set(record).union(*inner)


class _Reader:
    """Reads one record under the codebook."""

    def __init__(self, codebook: Codebook, gold: GoldSentence, record: Mapping[str, Any], where: str) -> None:
        self.codebook, self.gold, self.record, self.where = codebook, gold, record, where
        # Only a labelled sentence counts from its document; in other records `start` may mean anything.
        start = record.get("start", 0) if "status" in record else 0
        self.offset = start if type(start) is int else 0

    def prediction(self, predicted: frozenset[str]) -> Prediction:
        """The record as a prediction.

        Args:
            predicted: Scored axes that the record must speak of.
        """
        mention, target = self.codebook.mention_axis, self.codebook.target_axis
        mentions: list[Mention] = []
        if mention and mention.name in predicted:
            mentions = self._spans(mention)
        summary = self.codebook.summary_of(m.label for m in mentions)
        if mention and mention.summary in predicted and mention.name not in predicted:
            held = self._labels(str(mention.summary), mention.summary_labels)
            summary = self.codebook.summary_of(item.label for item in held)
        labels = {
            axis.name: self._sentence_labels(axis) if axis.name in predicted else ()
            for axis in self.codebook.sentence_axes
        }
        return Prediction(
            mentions=tuple(mentions),
            labels=labels,
            summary=summary,
            targets=tuple(self._targets(target, mentions)) if target and target.name in predicted else self._unasked(),
            scores=self._scores(),
            abstained=self._abstained(),
            n_tokens=n_tokens if type(n_tokens := self.record.get("n_tokens")) is int else 0,
            truncated=self.record.get("truncated") is True,
            status=ABSTAINED if self.record.get("status") == ABSTAINED else OK,
            names=RecordNames(
                mention=mention.name if mention else None,
                summary=mention.summary if mention else None,
                target=target.name if target else None,
            ),
        )

    def _items(self, key: str) -> list[Any]:
        items = self.record.get(key)
        if not isinstance(items, list):
            found = "nothing" if items is None else type(items).__name__
            raise RecordError(f"{self.where}: axis '{key}' expected a list, but found {found}. Use [] for none.")
        return items

    def _score(self, item: Mapping[str, Any], key: str) -> float:
        score = item.get("score")
        if score is None:
            return NO_SCORE
        return _probability(score, f"{self.where}: axis '{key}'")

    def _label(self, value: object, key: str, allowed: Sequence[str]) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise RecordError(
                f"{self.where}: axis '{key}' expected one of {sorted(allowed)}, but found {value!r:.80}. "
                "Correct the record, or add the label to the codebook."
            )
        return value

    def _labels(self, key: str, allowed: Sequence[str]) -> list[Scored]:
        held: dict[str, Scored] = {}
        for item in self._items(key):
            data = item if isinstance(item, Mapping) else {"label": item}
            label = self._label(data.get("label"), key, allowed)
            held[label] = Scored(label, self._score(data, key), self._evidence(data.get("evidence")))
        return [held[label] for label in allowed if label in held]

    def _evidence(self, parts: object) -> tuple[Evidence, ...]:
        objects = [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
        weights = [part.get("weight") for part in objects]
        return tuple(
            Evidence(self._span(part), float(weight) if isinstance(weight, int | float) else 0.0)
            for part, weight in zip(objects, weights, strict=True)
        )

    def _sentence_labels(self, axis: Axis) -> tuple[Scored, ...]:
        if axis.exclusive and isinstance(self.record.get(axis.name), str):
            return (Scored(self._label(self.record[axis.name], axis.name, axis.label_names), NO_SCORE),)
        held = self._labels(axis.name, axis.label_names)
        if axis.exclusive and len(held) != 1:
            raise RecordError(
                f"{self.where}: axis '{axis.name}' expected exactly one label, but found {len(held)}. "
                "Keep the one that holds best."
            )
        return tuple(held)

    def _span(self, item: Mapping[str, Any]) -> Span:
        text = self.gold.text
        first, last = item.get("start"), item.get("end")
        if type(first) is int and type(last) is int:
            span = Span(first - self.offset, last - self.offset)
            words = item.get("text", item.get("target"))
            if 0 <= span.start < span.end <= len(text) and words in (None, span.of(text)):
                return span
        raise RecordError(
            f"{self.where}: expected a span of the sentence's {len(text)} characters that holds the words it names, "
            f"but found start={first!r}, end={last!r}. Count code points."
        )

    def _resolved(self, axis: Axis, items: Sequence[Any]) -> list[Span]:
        """Spans of items in their order, phrases found as those of gold are."""
        rows: list[Any] = []
        for item in items:
            row = item
            if isinstance(item, Mapping) and "end" in item:
                span = self._span(item)
                row = {"text": span.of(self.gold.text), "start": span.start, "label": item.get("label")}
            rows.append(row)
        spans: list[Span] = []
        # One more at a time, since a phrase takes the next free place, and gold gives spans in the order of the text.
        for n in range(1, len(rows) + 1):
            read = gold_sentence({"text": self.gold.text, axis.name: rows[:n]}, self.codebook, self.where)
            spans += {m.span for m in read.mentions or ()}.difference(spans)
        return spans

    def _spans(self, axis: Axis) -> list[Mention]:
        items = self._items(axis.name)
        target = self.codebook.target_axis
        found = []
        for item, span in zip(items, self._resolved(axis, items), strict=True):
            towards = None
            if target and (said := item.get(target.name)) is not None:
                data = said if isinstance(said, Mapping) else {"label": said}
                label = self._label(data.get("label"), target.name, target.label_names)
                towards = Scored(label, self._score(data, target.name))
            found.append(Mention(span, item["label"], self._score(item, axis.name), towards))
        return sorted(found, key=lambda m: m.span)

    def _targets(self, axis: Axis, mentions: Sequence[Mention]) -> list[TargetLabel]:
        """What the record says of each gold target: where it was asked for, else where it is a span of its own."""
        asked = [(t.span.of(self.gold.text), t.span) for t in self.gold.targets or ()]
        said = {m.span: m.target for m in mentions if m.target}
        for key in (axis.name, _TARGETS):
            given: dict[Span, Scored] = {}
            for item in self._items(key) if key in self.record else ():
                if not isinstance(item, Mapping):
                    raise RecordError(
                        f"{self.where}: axis '{key}' expected objects, but found {type(item).__name__}. "
                        "Write {'target', 'label'}."
                    )
                label = self._label(item.get("label"), key, axis.label_names)
                if "end" in item:
                    span = self._span(item)
                else:  # the next gold target of these words; of what is no gold target nothing is asked
                    free = (s for words, s in asked if words == item.get("target") and s not in given)
                    span = next(free, Span(0, 0))
                given[span] = Scored(label, self._score(item, key))
            said |= given
        return [
            TargetLabel(words, span, *((s.label, s.score) if (s := said.get(span)) else (NO_LABEL, NO_SCORE)))
            for words, span in asked
        ]

    def _unasked(self) -> tuple[TargetLabel, ...]:
        return tuple(TargetLabel("", t.span, NO_LABEL, NO_SCORE) for t in self.gold.targets or ())

    def _scores(self) -> dict[str, dict[str, float]]:
        scores = self.record.get("scores") or {}
        if not isinstance(scores, Mapping) or not all(isinstance(held, Mapping) for held in scores.values()):
            raise RecordError(
                f"{self.where}: field 'scores': expected the probability of each label, by axis, but found another "
                "form. Write {axis: {label: number}}."
            )
        return {
            axis: {str(label): _probability(p, f"{self.where}: scores of '{axis}'") for label, p in held.items()}
            for axis, held in scores.items()
        }

    def _abstained(self) -> tuple[str, ...]:
        named = self.record.get("abstained") or []
        return tuple(axis.name for axis in self.codebook.axes if axis.name in named)


def _probability(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RecordError(f"{where}: expected a score from 0 to 1, but found {value!r:.80}. Give a probability.")
    return float(value)


def saved_record(gold: GoldSentence, said: Prediction, unpredicted: frozenset[str]) -> dict[str, Any]:
    """A prediction as a labelled sentence, its gold targets as targets; what the system did not say is left out."""
    record = {"id": gold.id, "status": said.status, "start": 0, "end": len(gold.text), "article": gold.article}
    record |= _without_unsaid(said.to_record(gold.text))
    target = said.names.target
    return {
        key: value
        for key, value in record.items()
        if key not in unpredicted and not (key == _TARGETS and target in unpredicted)
    }


def _without_unsaid(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_unsaid(v) for k, v in value.items() if not (isinstance(v, float) and math.isnan(v))}
    if isinstance(value, list):
        unsaid = [isinstance(item, Mapping) and item.get("label") == NO_LABEL for item in value]
        return [_without_unsaid(item) for item, left_out in zip(value, unsaid, strict=True) if not left_out]
    return value
