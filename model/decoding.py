"""From the outputs of one pass to decisions: mentions, labels with their evidence, targets, abstention."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.calibration import Calibration, Numbers, sigmoid, softmax
from model.codebook import Axis, Codebook
from model.outputs import Floats, SentenceOutputs
from model.predictions import (
    ABSTAINED,
    OK,
    Evidence,
    Mention,
    Prediction,
    RecordNames,
    Scored,
    TargetLabel,
    rounded,
)
from model.spans import Span, covered_tokens
from model.tags import begin, best_path, inside, mention_words

# Evidence names the fewest words that make up this share of what speaks for a label, and no more than these.
EVIDENCE_SHARE = 0.7
EVIDENCE_WORDS = 5


@dataclass(frozen=True)
class Tokens:
    """A tokenised sentence.

    Attributes:
        ids: Token ids, special tokens included.
        spans: Character span of each token; special tokens have an empty one.
        words: Index of the word that each token belongs to, None for special tokens.
        total: Tokens of the whole sentence, without special tokens and before truncation.
    """

    ids: list[int]
    spans: list[Span]
    words: list[int | None]
    total: int

    @property
    def truncated(self) -> bool:
        """Whether tokens were cut off."""
        return self.total > sum(word is not None for word in self.words)


@dataclass(frozen=True)
class _Word:
    """A word by its tokens (first, one past the last) and its characters."""

    first: int
    last: int
    span: Span


class Decoder:
    """Decides under one codebook and one calibration."""

    def __init__(self, codebook: Codebook, calibration: Calibration) -> None:
        self.codebook = codebook
        self.calibration = calibration
        mention, target = codebook.mention_axis, codebook.target_axis
        self.names = RecordNames(
            mention=mention.name if mention else None,
            summary=mention.summary if mention else None,
            target=target.name if target else None,
        )

    def decode(self, outputs: SentenceOutputs, tokens: Tokens, targets: Sequence[tuple[str, Span]] = ()) -> Prediction:
        """Decide on one sentence.

        Args:
            targets: Spans to label on the target axis, each with the caller's words for it.
        """
        words = _words(tokens)
        scores: dict[str, dict[str, float]] = {}
        confidence: dict[str, float] = {}
        mentions: list[Mention] = []
        if axis := self.codebook.mention_axis:
            mentions = self._mentions(axis, outputs, words, scores, confidence)
        labels = self._labels(outputs, words, scores, confidence)
        target_labels: list[TargetLabel] = []
        if axis := self.codebook.target_axis:
            mentions, target_labels = self._targets(axis, outputs, tokens, mentions, targets, scores, confidence)
        abstained = tuple(
            axis.name
            for axis in self.codebook.axes
            if self.calibration.abstains(axis.name, confidence.get(axis.name, 1.0))
        )
        return Prediction(
            mentions=tuple(mentions),
            labels=labels,
            summary=self.codebook.summary_of(mention.label for mention in mentions),
            targets=tuple(target_labels),
            scores=scores,
            abstained=abstained,
            n_tokens=tokens.total,
            truncated=tokens.truncated,
            status=ABSTAINED if len(abstained) == len(confidence) else OK,
            names=self.names,
        )

    def _mentions(
        self,
        axis: Axis,
        outputs: SentenceOutputs,
        words: list[_Word],
        scores: dict[str, dict[str, float]],
        confidence: dict[str, float],
    ) -> list[Mention]:
        first_tokens = [word.first for word in words]
        logits = outputs.tag_logits[first_tokens] / self.calibration.temperature(axis.name)
        probabilities = softmax(logits) if words else np.zeros((0, logits.shape[1]))  # (words, tags)
        path = best_path(np.log(probabilities + 1e-12).astype(np.float32))
        # The least certain word of a mention decides how certain the mention is.
        chosen = [float(probabilities[n, tag]) for n, tag in enumerate(path)]
        confidence[axis.name] = min(chosen, default=1.0)
        if axis.summary:
            by_label = {
                name: float((probabilities[:, begin(n)] + probabilities[:, inside(n)]).max(initial=0.0))
                for n, name in enumerate(axis.label_names)
                if name != axis.plain
            }
            scores[axis.summary] = by_label
        return [
            Mention(
                Span(words[first].span.start, words[last - 1].span.end),
                axis.label_names[label],
                min(chosen[first:last]),
            )
            for first, last, label in mention_words(path)
        ]

    def _labels(
        self,
        outputs: SentenceOutputs,
        words: list[_Word],
        scores: dict[str, dict[str, float]],
        confidence: dict[str, float],
    ) -> dict[str, tuple[Scored, ...]]:
        decided: dict[str, tuple[Scored, ...]] = {}
        for axis, columns in self.codebook.sentence_columns:
            logits = outputs.sentence_logits[columns] / self.calibration.temperature(axis.name)
            probabilities = [float(p) for p in (softmax(logits) if axis.exclusive else sigmoid(logits))]
            scores[axis.name] = dict(zip(axis.label_names, probabilities, strict=True))
            if axis.exclusive:
                held = [int(np.argmax(probabilities))]
                confidence[axis.name] = max(probabilities)
            else:
                # As shown, a score never contradicts the decision: both see the same digits.
                least = [self.calibration.threshold(axis.name, label) for label in axis.label_names]
                held = [n for n, p in enumerate(probabilities) if rounded(p) >= least[n]]
                confidence[axis.name] = min(p if n in held else 1.0 - p for n, p in enumerate(probabilities))
            decided[axis.name] = tuple(
                Scored(
                    axis.label_names[n],
                    probabilities[n],
                    _evidence(outputs.sentence_parts[:, columns.start + n], words),
                )
                for n in held
            )
        return decided

    def _targets(
        self,
        axis: Axis,
        outputs: SentenceOutputs,
        tokens: Tokens,
        mentions: list[Mention],
        targets: Sequence[tuple[str, Span]],
        scores: dict[str, dict[str, float]],
        confidence: dict[str, float],
    ) -> tuple[list[Mention], list[TargetLabel]]:
        def label(span: Span) -> tuple[str, float]:
            probabilities = self.target_probabilities(axis, outputs, tokens, span)
            best = int(probabilities.argmax())
            for name, p in zip(axis.label_names, probabilities, strict=True):
                held = scores.setdefault(axis.name, {})
                held[name] = max(held.get(name, 0.0), float(p))
            confidence[axis.name] = min(confidence.get(axis.name, 1.0), float(probabilities[best]))
            return axis.label_names[best], float(probabilities[best])

        with_target = [Mention(m.span, m.label, m.score, Scored(*label(m.span))) for m in mentions]
        asked = [TargetLabel(name, span, *label(span)) for name, span in targets]
        return with_target, asked

    def target_probabilities(self, axis: Axis, outputs: SentenceOutputs, tokens: Tokens, span: Span) -> Numbers:
        """Calibrated probabilities of the target axis for one span, shape (S,).

        A span behind the point of truncation gets the plain label: the model has not seen it.
        """
        covered = covered_tokens(tokens.spans, span)
        if not covered:
            return np.array([float(name == axis.plain) for name in axis.label_names])
        logits = outputs.target_logits[covered].mean(axis=0) / self.calibration.temperature(axis.name)
        return softmax(logits)


def _words(tokens: Tokens) -> list[_Word]:
    """Group tokens into words, special tokens left out."""
    words: list[_Word] = []
    previous: int | None = None
    for n, (word, span) in enumerate(zip(tokens.words, tokens.spans, strict=True)):
        if word is None:
            previous = None
        elif word == previous:
            words[-1] = _Word(words[-1].first, n + 1, Span(words[-1].span.start, span.end))
        else:
            words.append(_Word(n, n + 1, span))
            previous = word
    return words


def _evidence(parts: Floats, words: list[_Word]) -> tuple[Evidence, ...]:
    """Name the words that speak for a label.

    Args:
        parts: Each token's part of the label's logit, shape (L,).
    """
    weights = [float(np.maximum(parts[word.first : word.last], 0.0).sum()) for word in words]
    total = sum(weights)
    if total <= 0.0:
        return ()
    chosen: list[int] = []
    for n in sorted(range(len(words)), key=lambda n: -weights[n])[:EVIDENCE_WORDS]:
        chosen.append(n)
        if sum(weights[n] for n in chosen) >= EVIDENCE_SHARE * total:
            break
    evidence: list[Evidence] = []
    for n in sorted(chosen):
        weight = weights[n] / total
        if evidence and n - 1 in chosen and weights[n - 1] > 0.0:
            last = evidence[-1]
            evidence[-1] = Evidence(Span(last.span.start, words[n].span.end), last.weight + weight)
        else:
            evidence.append(Evidence(words[n].span, weight))
    return tuple(evidence)
