"""Baselines that a model must beat: the majority, a list of keywords, and classifiers of whole sentences."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from model.codebook import Codebook
from model.predictions import Mention, Prediction, RecordNames, Scored, TargetLabel
from model.records import GoldSentence, Sentence
from model.spans import Span
from training.scored_axes import SPANS, TARGETS, ScoredAxis, scored_axes
from training.text_classifiers import TextClassifier

# What stands around a target in the text that a classifier sees.
TARGET_MARKS = ("targetbegins", "targetends")


class MajorityBaseline:
    """Says of every sentence what is true of most training sentences; finds no mentions."""

    def __init__(self, train: Sequence[GoldSentence], codebook: Codebook) -> None:
        self.codebook = codebook
        self.labels: dict[str, tuple[str, ...]] = {}
        for axis in codebook.sentence_axes:
            rows = [s.labels[axis.name] for s in train if axis.name in s.labels]
            counts = Counter(label for row in rows for label in row)
            if axis.exclusive:
                self.labels[axis.name] = tuple(label for label, _ in counts.most_common(1))
            else:
                self.labels[axis.name] = tuple(x for x in axis.label_names if counts[x] * 2 > len(rows))
        targets = Counter(target.label for s in train for target in s.targets or ())
        self.target = targets.most_common(1)[0][0] if targets else ""

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Predict for sentences, in order."""
        return [_prediction(self.codebook, [], self.labels, s, self.target) for s in sentences]


class KeywordBaseline:
    """Labels by the patterns of data/keywords.yaml; every target gets the majority label."""

    def __init__(self, path: Path, majority: MajorityBaseline) -> None:
        self.majority = majority
        self.codebook = majority.codebook
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        self._patterns = {
            axis: {label: [_compiled(p) for p in patterns] for label, patterns in labels.items()}
            for axis, labels in data.items()
        }

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Predict for sentences, in order."""
        return [self._predict(s) for s in sentences]

    def _predict(self, sentence: Sentence) -> Prediction:
        labels = {
            axis.name: tuple(
                label
                for label in axis.label_names
                if any(p.search(sentence.text) for p in self._patterns.get(axis.name, {}).get(label, ()))
            )
            for axis in self.codebook.sentence_axes
        }
        return _prediction(self.codebook, self._mentions(sentence.text), labels, sentence, self.majority.target)

    def _mentions(self, text: str) -> list[tuple[Span, str]]:
        axis = self.codebook.mention_axis
        if axis is None:
            return []
        found = [
            (Span(*match.span()), label)
            for label, patterns in self._patterns.get(axis.name, {}).items()
            for pattern in patterns
            for match in pattern.finditer(text)
            if match.end() > match.start()
        ]
        kept: list[tuple[Span, str]] = []
        # Longest first; among equals the order of the file.
        for span, label in sorted(found, key=lambda item: item[0].start - item[0].end):
            if not any(span.overlaps(other) for other, _ in kept):
                kept.append((span, label))
        return sorted(kept)


class ClassifierBaseline:
    """One classifier of texts for each axis: of the sentence, or of the sentence with one target marked.

    It finds no mentions; the axis derived from them has a classifier of its own.
    """

    def __init__(
        self, train: Sequence[GoldSentence], codebook: Codebook, make_classifier: Callable[[], TextClassifier]
    ) -> None:
        """Fit a classifier for every axis that the training sentences are annotated for."""
        self.codebook = codebook
        self._fitted: dict[str, TextClassifier] = {}
        self._axes = {axis.name: axis for axis in scored_axes(codebook) if axis.form != SPANS}
        for axis in self._axes.values():
            rows = [row for s in train if axis.is_annotated(s) for row in _rows(axis, s)]
            if rows:
                self._fitted[axis.name] = make_classifier()
                texts, labels = zip(*rows, strict=True)
                self._fitted[axis.name].fit(texts, labels, axis.labels, axis.single)

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Predict for sentences, in order."""
        said = {
            name: self._fitted[name].predict([s.text for s in sentences])
            for name, axis in self._axes.items()
            if name in self._fitted and axis.form != TARGETS
        }
        marked = [_marked(s.text, span) for s in sentences for _, span in s.targets]
        target = next((name for name in self._fitted if self._axes[name].form == TARGETS), None)
        found = iter(self._fitted[target].predict(marked) if target and marked else [frozenset([""])] * len(marked))
        return [
            self._prediction(s, {name: held[n] for name, held in said.items()}, found) for n, s in enumerate(sentences)
        ]

    def _prediction(
        self, sentence: Sentence, said: Mapping[str, frozenset[str]], targets: Iterator[frozenset[str]]
    ) -> Prediction:
        def held(name: str) -> tuple[str, ...]:
            return tuple(label for label in self._axes[name].labels if label in said.get(name, ()))

        labels = {axis.name: held(axis.name) for axis in self.codebook.sentence_axes}
        made = _prediction(self.codebook, [], labels, sentence, "")
        derived = next((name for name, axis in self._axes.items() if axis.derived), None)
        return dataclasses.replace(
            made,
            summary=held(derived) if derived else (),
            targets=tuple(dataclasses.replace(t, label=next(iter(next(targets)))) for t in made.targets),
        )


def _rows(axis: ScoredAxis, sentence: GoldSentence) -> list[tuple[str, frozenset[str]]]:
    """The texts that a classifier learns an axis from, each with its labels."""
    if axis.form == TARGETS:
        return [(_marked(sentence.text, t.span), frozenset([t.label])) for t in sentence.targets or ()]
    if axis.derived:
        return [(sentence.text, frozenset(m.label for m in sentence.mentions or ()) & set(axis.labels))]
    return [(sentence.text, sentence.labels[axis.name])]


def _marked(text: str, span: Span) -> str:
    first, last = TARGET_MARKS
    return f"{text[: span.start]} {first} {span.of(text)} {last} {text[span.end :]}"


def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern.startswith("(?-i:"):
        return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)".replace("(?-i:", "(?:"))
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


def _prediction(
    codebook: Codebook,
    mentions: Sequence[tuple[Span, str]],
    labels: dict[str, tuple[str, ...]],
    sentence: Sentence,
    target: str,
) -> Prediction:
    return Prediction(
        mentions=tuple(Mention(span, label, 1.0) for span, label in mentions),
        labels={name: tuple(Scored(label, 1.0) for label in held) for name, held in labels.items()},
        summary=codebook.summary_of(label for _, label in mentions),
        targets=tuple(TargetLabel(name, span, target, 1.0) for name, span in sentence.targets),
        scores={},
        abstained=(),
        n_tokens=0,
        truncated=False,
        names=RecordNames(),
    )
