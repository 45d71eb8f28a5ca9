"""Gold sentences as tensors, in batches of like length."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from model.codebook import Codebook
from model.records import GoldSentence
from model.spans import covered_tokens
from model.tags import encode_tags
from model.tokenization import SentenceTokenizer, pad
from training.teacher import Lesson

IGNORED = -100  # what torch's cross-entropy passes over
TWIN = "twin"  # the column of a sentence's features with other names


@dataclass(frozen=True)
class Batch:
    """A padded batch.

    Attributes:
        input_ids, attention_mask: Shape (B, L).
        tags: Shape (B, L), `IGNORED` on special tokens, padding and rows without mention annotation.
        sentence_labels: Shape (B, K), 1 or 0, `IGNORED` where the axis was not annotated.
        target_weights: Shape (N, B * L): each row averages the tokens of one target.
        target_labels: Shape (N,).
        twins: Whether the second half of the rows are the sentences of the first with other names, in their order.
        taught: What a teacher says of some of the rows, or None.
    """

    input_ids: Tensor
    attention_mask: Tensor
    tags: Tensor
    sentence_labels: Tensor
    target_weights: Tensor
    target_labels: Tensor
    twins: bool = False
    taught: "TaughtBatch | None" = None


@dataclass(frozen=True)
class TaughtBatch:
    """A teacher's probabilities for the rows of a batch.

    Attributes:
        tags: Shape (B, L, T); rows of zeros where the teacher says nothing.
        sentence: Shape (B, K), NaN where the teacher says nothing.
        target_weights: Shape (M, B * L): each row averages the tokens of one target that the teacher speaks of.
        targets: Shape (M, S).
    """

    tags: Tensor
    sentence: Tensor
    target_weights: Tensor
    targets: Tensor


def featurize(sentences: Sequence[GoldSentence], tokenizer: SentenceTokenizer, codebook: Codebook) -> Dataset:
    """Tokenise gold sentences into a dataset with one row a sentence, labels as indices."""
    rows = []
    mention_axis, target_axis = codebook.mention_axis, codebook.target_axis
    for sentence, tokens in zip(sentences, tokenizer([s.text for s in sentences]), strict=True):
        tags = [IGNORED] * len(tokens.ids)
        if mention_axis and sentence.mentions is not None:
            encoded = encode_tags(sentence.mentions, tokens.spans, mention_axis.label_names)
            tags = [IGNORED if word is None else tag for word, tag in zip(tokens.words, encoded, strict=True)]
        targets = []
        if target_axis:
            for target in sentence.targets or ():
                covered = covered_tokens(tokens.spans, target.span)
                if covered:
                    targets.append([covered[0], covered[-1] + 1, target_axis.label_names.index(target.label)])
        labels = [
            int(label in sentence.labels[axis]) if axis in sentence.labels else IGNORED
            for axis, label in codebook.sentence_labels
        ]
        rows.append({"input_ids": tokens.ids, "tags": tags, "sentence_labels": labels, "targets": targets})
    return Dataset.from_list(rows)


def batches(
    dataset: Dataset,
    size: int,
    generator: np.random.Generator | None = None,
    lessons: Mapping[tuple[int, ...], Lesson] | None = None,
) -> Iterator[Batch]:
    """Cut a dataset into batches of like length.

    Args:
        size: Sentences a batch; twins come on top.
        lessons: What a teacher says of sentences, by their token ids.
        generator: Shuffles within pools of like length and the order of the batches; None keeps the order of
            lengths.
    """
    rows = dataset.to_list()
    lengths = np.array([len(row["input_ids"]) for row in rows])
    # A little noise keeps sentences of one length from always meeting the same neighbours.
    noise = generator.uniform(0.0, 6.0, len(rows)) if generator else np.zeros(len(rows))
    order = np.argsort(lengths + noise, kind="stable")
    starts = np.arange(0, len(rows), size)
    if generator:
        generator.shuffle(starts)
    for start in starts:
        yield collate([rows[int(n)] for n in order[start : start + size]], lessons)


def collate(rows: Sequence[dict[str, Any]], lessons: Mapping[tuple[int, ...], Lesson] | None = None) -> Batch:
    """Pad rows of a dataset into one batch, to a multiple of eight tokens: kernels are compiled for every shape.

    Rows that have a twin are followed by their twins.
    """
    twins = TWIN in rows[0]
    if twins:
        rows = [*rows, *(row[TWIN] for row in rows)]
    input_ids, mask = (torch.from_numpy(array) for array in pad([row["input_ids"] for row in rows], multiple=8))
    width = input_ids.shape[1]
    places = [(n, first, last) for n, row in enumerate(rows) for first, last, _ in row["targets"]]
    labels = [label for row in rows for _, _, label in row["targets"]]
    return Batch(
        input_ids=input_ids,
        attention_mask=mask,
        tags=torch.tensor([row["tags"] + [IGNORED] * (width - len(row["tags"])) for row in rows]),
        sentence_labels=torch.tensor([row["sentence_labels"] for row in rows]),
        target_weights=_averages(places, len(rows), width),
        target_labels=torch.tensor(labels, dtype=torch.long),
        twins=twins,
        taught=_taught([lessons.get(tuple(row["input_ids"])) for row in rows], width) if lessons else None,
    )


def _averages(places: Sequence[tuple[int, int, int]], rows: int, width: int) -> Tensor:
    """Rows that average the tokens from `first` to before `last` of a row of the batch, shape (N, B * L)."""
    weights = torch.zeros(len(places), rows * width)
    for n, (row, first, last) in enumerate(places):
        weights[n, row * width + first : row * width + last] = 1.0 / (last - first)
    return weights


def _taught(lessons: Sequence[Lesson | None], width: int) -> TaughtBatch | None:
    given = [(n, lesson) for n, lesson in enumerate(lessons) if lesson]
    if not given:
        return None
    first = given[0][1]
    tags = torch.zeros(len(lessons), width, first.tags.shape[1])
    sentence = torch.full((len(lessons), len(first.sentence)), float("nan"))
    for n, lesson in given:
        tags[n, : len(lesson.tags)] = torch.from_numpy(lesson.tags)
        sentence[n] = torch.from_numpy(lesson.sentence)
    places = [(n, *span) for n, lesson in given for span in lesson.target_spans]
    targets = torch.from_numpy(np.concatenate([lesson.targets for _, lesson in given]))
    return TaughtBatch(tags, sentence, _averages(places, len(lessons), width), targets)
