"""Baselines that a model must beat: the majority, and a list of keywords."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from model.codebook import Codebook
from model.predictions import Mention, Prediction, RecordNames, Scored, TargetLabel
from model.records import GoldSentence, Sentence
from model.spans import Span


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
