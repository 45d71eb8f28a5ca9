"""A larger model as a teacher: its probabilities for sentences, in the tokens of the student.

The student learns from them beside the gold, and where there is no gold. The idea is that of Hinton et al. 2015,
"Distilling the Knowledge in a Neural Network"; the probabilities are the teacher's calibrated ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from model.calibration import Numbers, softmax
from model.decoding import Decoder, Tokens
from model.outputs import Floats, SentenceOutputs
from model.predictor import Predictor
from model.spans import Span, covered_tokens
from model.tokenization import SentenceTokenizer


@dataclass(frozen=True)
class Lesson:
    """What a teacher says of one sentence.

    Attributes:
        tags: Probability of each tag for each token of the student, shape (L, T); zeros where the teacher has no token
            that begins at the same character.
        sentence: Probability of each label of the sentence axes, shape (K,).
        target_spans: First and one past the last token of each target that it was asked about, and of each mention
            that it found.
        targets: Probability of each label of the target axis for those, shape (M, S).
    """

    tags: Floats
    sentence: Floats
    target_spans: tuple[tuple[int, int], ...]
    targets: Floats

    def for_other_names(self, length: int) -> "Lesson":
        """What holds of the sentence whoever is named in it: nothing is said of its `length` tokens."""
        tags = np.zeros((length, self.tags.shape[1]), dtype=np.float32)
        return Lesson(tags, self.sentence, (), np.zeros((0, self.targets.shape[1]), dtype=np.float32))


def teach(
    asked: Mapping[str, Iterable[Span]], teacher: Predictor, student_tokenizer: SentenceTokenizer
) -> dict[tuple[int, ...], Lesson]:
    """Ask a teacher about sentences.

    Args:
        asked: Targets of each sentence, by its text: asked about beside the mentions that the teacher finds.
        teacher: A model under the student's codebook, with its calibration.

    Returns:
        A lesson for each sentence, by the student's token ids.
    """
    theirs = teacher.tokenizer(list(asked))
    ours = student_tokenizer(list(asked))
    return {
        tuple(mine.ids): _lesson(out, their, mine, targets, teacher.decoder)
        for out, their, mine, targets in zip(teacher.outputs(theirs), theirs, ours, asked.values(), strict=True)
    }


def _lesson(outputs: SentenceOutputs, theirs: Tokens, ours: Tokens, asked: Iterable[Span], decoder: Decoder) -> Lesson:
    codebook, calibration = decoder.codebook, decoder.calibration
    tags = np.zeros((len(ours.ids), outputs.tag_logits.shape[1]), dtype=np.float32)
    if axis := codebook.mention_axis:
        probabilities = softmax(outputs.tag_logits / np.float32(calibration.temperature(axis.name)))
        at = {
            span.start: n
            for n, (span, word) in enumerate(zip(theirs.spans, theirs.words, strict=True))
            if word is not None
        }
        for n, (span, word) in enumerate(zip(ours.spans, ours.words, strict=True)):
            if word is not None and span.start in at:
                tags[n] = probabilities[at[span.start]]
    said = decoder.decode(outputs, theirs)
    sentence = np.array([said.scores[axis][label] for axis, label in codebook.sentence_labels], dtype=np.float32)
    spans: list[tuple[int, int]] = []
    targets: list[Numbers] = []
    if axis := codebook.target_axis:
        for target in dict.fromkeys([*asked, *(mention.span for mention in said.mentions)]):
            covered = covered_tokens(ours.spans, target)
            if covered and covered_tokens(theirs.spans, target):  # neither was cut off before it
                spans.append((covered[0], covered[-1] + 1))
                targets.append(decoder.target_probabilities(axis, outputs, theirs, target))
    stacked = np.array(targets, dtype=np.float32).reshape(len(spans), outputs.target_logits.shape[1])
    return Lesson(tags, sentence, tuple(spans), stacked)
