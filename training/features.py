"""Gold sentences as tensors, in batches of like length."""

from collections.abc import Iterator, Sequence
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
from model.tokenization import SentenceTokenizer

IGNORED = -100  # what torch's cross-entropy passes over


@dataclass(frozen=True)
class Batch:
    """A padded batch.

    Attributes:
        input_ids, attention_mask: Shape (B, L).
        tags: Shape (B, L), `IGNORED` on special tokens, padding and rows without mention annotation.
        sentence_labels: Shape (B, K), 1 or 0, `IGNORED` where the axis was not annotated.
        target_weights: Shape (N, B * L): each row averages the tokens of one target.
        target_labels: Shape (N,).
    """

    input_ids: Tensor
    attention_mask: Tensor
    tags: Tensor
    sentence_labels: Tensor
    target_weights: Tensor
    target_labels: Tensor


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


def batches(dataset: Dataset, size: int, generator: np.random.Generator | None = None) -> Iterator[Batch]:
    """Cut a dataset into batches of like length.

    Args:
        size: Sentences a batch.
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
        yield collate([rows[int(n)] for n in order[start : start + size]])


def collate(rows: Sequence[dict[str, Any]]) -> Batch:
    """Pad rows of a dataset into one batch, to a multiple of eight tokens: kernels are compiled for every shape."""
    width = -(-max(len(row["input_ids"]) for row in rows) // 8) * 8

    def padded(key: str, fill: int) -> Tensor:
        return torch.tensor([row[key] + [fill] * (width - len(row[key])) for row in rows])

    mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in rows])
    weights, labels = [], []
    for number, row in enumerate(rows):
        for first, last, label in row["targets"]:
            weight = torch.zeros(len(rows) * width)
            weight[number * width + first : number * width + last] = 1.0 / (last - first)
            weights.append(weight)
            labels.append(label)
    return Batch(
        input_ids=padded("input_ids", 0),
        attention_mask=mask,
        tags=padded("tags", IGNORED),
        sentence_labels=torch.tensor([row["sentence_labels"] for row in rows]),
        target_weights=torch.stack(weights) if weights else torch.zeros(0, len(rows) * width),
        target_labels=torch.tensor(labels, dtype=torch.long),
    )
