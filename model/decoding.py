"""From the outputs of one pass to decisions: mentions, labels with their evidence, targets, abstention.

A batch of sentences is decided on together, since numpy's calls are dear on small arrays. Every sum stays within one
sentence: what is said of it is the same, to the last bit, whatever else is in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from model.calibration import Calibration, Numbers, sigmoid, softmax
from model.codebook import Axis, Codebook
from model.evidence import choose_evidence, word_weights
from model.outputs import Floats, SentenceOutputs
from model.predictions import (
    ABSTAINED,
    OK,
    Mention,
    Prediction,
    RecordNames,
    Scored,
    TargetLabel,
    rounded,
)
from model.spans import Span, covered_tokens
from model.tags import begin, best_paths, inside, mention_words
from model.words import Words, group_words


@dataclass(frozen=True, slots=True)
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
        return self.total > len(self.words) - self.words.count(None)


@dataclass(slots=True)
class _Draft:
    """What is known of a sentence so far."""

    mentions: list[Mention] = field(default_factory=list)
    labels: dict[str, tuple[Scored, ...]] = field(default_factory=dict)
    targets: list[TargetLabel] = field(default_factory=list)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)  # of an axis' least certain decision


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
        return self.decode_batch([outputs], [tokens], [targets])[0]

    def decode_batch(
        self,
        outputs: Sequence[SentenceOutputs],
        tokens: Sequence[Tokens],
        targets: Sequence[Sequence[tuple[str, Span]]],
    ) -> list[Prediction]:
        """Decide on sentences; predictions come in their order, and are what `decode` gives for each alone.

        Args:
            targets: Of each sentence, as in `decode`.
        """
        if not outputs:
            return []
        words = group_words((sentence.words, sentence.spans) for sentence in tokens)
        drafts = [_Draft() for _ in outputs]
        if axis := self.codebook.mention_axis:
            self._find_mentions(axis, outputs, words, drafts)
        self._label_sentences(outputs, words, drafts)
        if axis := self.codebook.target_axis:
            self._label_targets(axis, outputs, tokens, targets, drafts)
        return [self._prediction(draft, sentence) for draft, sentence in zip(drafts, tokens, strict=True)]

    def _prediction(self, draft: _Draft, tokens: Tokens) -> Prediction:
        confidence = draft.confidence
        abstained = tuple(
            axis.name
            for axis in self.codebook.axes
            if self.calibration.abstains(axis.name, confidence.get(axis.name, 1.0))
        )
        return Prediction(
            mentions=tuple(draft.mentions),
            labels=draft.labels,
            summary=self.codebook.summary_of(mention.label for mention in draft.mentions),
            targets=tuple(draft.targets),
            scores=draft.scores,
            abstained=abstained,
            n_tokens=tokens.total,
            truncated=tokens.truncated,
            status=ABSTAINED if len(abstained) == len(confidence) else OK,
            names=self.names,
        )

    def _find_mentions(
        self, axis: Axis, outputs: Sequence[SentenceOutputs], words: Words, drafts: Sequence[_Draft]
    ) -> None:
        names = axis.label_names
        logits: Floats = np.concatenate([out.tag_logits for out in outputs])  # (tokens, tags)
        # The first token of a word decides for all of it.
        probabilities = softmax(logits[words.first_tokens] / self.calibration.temperature(axis.name))  # (words, tags)
        path = best_paths(np.log(probabilities + 1e-12).astype(np.float32), words.sentences)  # (words,)
        chosen: list[float] = probabilities[np.arange(len(path)), path].tolist()
        tags: list[int] = path.tolist()
        for draft, place in zip(drafts, words.sentences, strict=True):
            certain = chosen[place]
            draft.confidence[axis.name] = min(certain, default=1.0)
            draft.mentions = [
                Mention(
                    Span(words.starts[place.start + first], words.ends[place.start + last - 1]),
                    names[label],
                    # The least certain word of a mention decides how certain the mention is.
                    self.calibration.mention_probability(min(certain[first:last])),
                )
                for first, last, label in mention_words(tags[place])
            ]
        if axis.summary:
            kept = [n for n, name in enumerate(names) if name != axis.plain]
            says = probabilities[:, [begin(n) for n in kept]] + probabilities[:, [inside(n) for n in kept]]
            labels = [names[n] for n in kept]
            for draft, most in zip(drafts, _greatest(says, words.sentences), strict=True):
                draft.scores[axis.summary] = dict(zip(labels, most, strict=True))

    def _label_sentences(self, outputs: Sequence[SentenceOutputs], words: Words, drafts: Sequence[_Draft]) -> None:
        logits = np.stack([out.sentence_logits for out in outputs])  # (B, K)
        parts = np.concatenate([out.sentence_parts for out in outputs])  # (tokens, K)
        weights = word_weights(parts, words)  # (words, K)
        for axis, columns in self.codebook.sentence_columns:
            names = axis.label_names
            # As shown, a score never contradicts the decision: both see the same digits.
            least = [self.calibration.threshold(axis.name, name) for name in names]
            calibrated = self.calibration.calibrated(axis.name, names, logits[:, columns])
            rows: list[list[float]] = (softmax(calibrated) if axis.exclusive else sigmoid(calibrated)).tolist()
            for draft, place, probabilities in zip(drafts, words.sentences, rows, strict=True):
                if axis.exclusive:
                    certain = max(probabilities)
                    held = [probabilities.index(certain)]
                else:
                    held = [n for n, p in enumerate(probabilities) if rounded(p) >= least[n]]
                    certain = min(p if n in held else 1.0 - p for n, p in enumerate(probabilities))
                draft.scores[axis.name] = dict(zip(names, probabilities, strict=True))
                draft.confidence[axis.name] = certain
                draft.labels[axis.name] = tuple(
                    Scored(
                        names[n],
                        probabilities[n],
                        choose_evidence(
                            weights[place, columns.start + n].tolist(), words.starts[place], words.ends[place]
                        ),
                    )
                    for n in held
                )

    def _label_targets(
        self,
        axis: Axis,
        outputs: Sequence[SentenceOutputs],
        tokens: Sequence[Tokens],
        targets: Sequence[Sequence[tuple[str, Span]]],
        drafts: Sequence[_Draft],
    ) -> None:
        names = axis.label_names
        firsts = accumulate((len(sentence.spans) for sentence in tokens[:-1]), initial=0)  # in the batch
        covered = [
            [first + n for n in covered_tokens(sentence.spans, span)]
            for first, sentence, draft, asked in zip(firsts, tokens, drafts, targets, strict=True)
            for span in (*(mention.span for mention in draft.mentions), *(span for _, span in asked))
        ]
        if not covered:
            return
        logits = np.concatenate([out.target_logits for out in outputs])  # (tokens, S)
        decided = iter(self._probabilities_of(axis, logits, covered).tolist())
        for draft, asked in zip(drafts, targets, strict=True):
            rows: list[list[float]] = [next(decided) for _ in range(len(draft.mentions) + len(asked))]
            if not rows:
                continue
            best = [max(row) for row in rows]
            labels = [names[row.index(p)] for row, p in zip(rows, best, strict=True)]
            draft.scores[axis.name] = {name: max(column) for name, *column in zip(names, *rows, strict=True)}
            draft.confidence[axis.name] = min(best)
            said = list(zip(labels, best, strict=True))
            of_mentions, of_asked = said[: len(draft.mentions)], said[len(draft.mentions) :]
            draft.mentions = [
                Mention(mention.span, mention.label, mention.score, Scored(label, p))
                for mention, (label, p) in zip(draft.mentions, of_mentions, strict=True)
            ]
            draft.targets = [
                TargetLabel(name, span, label, p) for (name, span), (label, p) in zip(asked, of_asked, strict=True)
            ]

    def target_probabilities(self, axis: Axis, outputs: SentenceOutputs, tokens: Tokens, span: Span) -> Numbers:
        """Calibrated probabilities of the target axis for one span, shape (S,).

        A span behind the point of truncation gets the plain label: the model has not seen it.
        """
        covered = [covered_tokens(tokens.spans, span)]
        return np.asarray(self._probabilities_of(axis, outputs.target_logits, covered)[0])

    def _probabilities_of(self, axis: Axis, logits: Floats, covered: Sequence[Sequence[int]]) -> Numbers:
        """Calibrated probabilities of the target axis for targets with these tokens, shape (targets, S).

        Args:
            logits: Shape (tokens, S).
        """
        counts = np.array([len(tokens) for tokens in covered])
        sums = np.zeros((len(covered), logits.shape[1]), dtype=np.float32)
        # One token after the other, so that no sum depends on the other targets.
        np.add.at(sums, np.repeat(np.arange(len(covered)), counts), logits[[n for tokens in covered for n in tokens]])
        means = sums / np.maximum(counts, 1).astype(np.float32)[:, None]
        probabilities = softmax(means / self.calibration.temperature(axis.name))
        probabilities[counts == 0] = [float(name == axis.plain) for name in axis.label_names]
        return probabilities


def _greatest(values: Numbers, sentences: Sequence[slice]) -> list[list[float]]:
    """The greatest value of each column over the words of each sentence; 0 where there are no words.

    Args:
        values: Shape (words, columns), at least 0.
    """
    greatest = np.zeros((len(sentences), values.shape[1]))
    filled = [n for n, words in enumerate(sentences) if words.start < words.stop]
    if filled:
        greatest[filled] = np.maximum.reduceat(values, [sentences[n].start for n in filled])
    found: list[list[float]] = greatest.tolist()
    return found
