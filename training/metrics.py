"""The metrics, as `evaluate.Metric` modules that need no hub."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from sklearn.metrics import precision_recall_fscore_support


class LabelF1(evaluate.Metric):  # type: ignore[misc]
    """Precision, recall and F1 of each label of a multi-label axis, and their macro-F1.

    `predictions` and `references` are rows of 0 and 1, one column a label in codebook order. Macro-F1 is the plain
    mean over all labels; a label that neither occurs nor is predicted counts as 0 (`zero_division=0`). With
    `exclusive`, where gold rows hold exactly one label, there is also the accuracy: the share of rows that are right.
    """

    def _info(self) -> evaluate.MetricInfo:
        row = datasets.Sequence(datasets.Value("int8"))
        return evaluate.MetricInfo(
            description="F1 a label and macro-F1",
            citation="",
            inputs_description=str(self.__doc__),
            features=datasets.Features({"predictions": row, "references": row}),
        )

    def _compute(
        self,
        predictions: Sequence[Sequence[int]],
        references: Sequence[Sequence[int]],
        labels: Sequence[str],
        exclusive: bool = False,
    ) -> dict[str, Any]:
        gold = np.asarray(references, dtype=np.int8).reshape(-1, len(labels))
        said = np.asarray(predictions, dtype=np.int8).reshape(-1, len(labels))
        # One column alone would be read as two classes, 0 and 1: an empty one beside it keeps it a label.
        empty = np.zeros((len(gold), 1), dtype=np.int8)
        scores = precision_recall_fscore_support(
            np.hstack([gold, empty]), np.hstack([said, empty]), average=None, zero_division=0
        )
        precision, recall, f1, support = (values[: len(labels)] for values in scores)
        accuracy = {"accuracy": float((gold == said).all(axis=1).mean())} if exclusive else {}
        return {
            "macro_f1": float(np.mean(f1)),
            **accuracy,
            "labels": {
                label: {
                    "precision": float(precision[n]),
                    "recall": float(recall[n]),
                    "f1": float(f1[n]),
                    "support": int(support[n]),
                    "predicted": int(said[:, n].sum()),
                }
                for n, label in enumerate(labels)
            },
        }


class SpanF1(evaluate.Metric):  # type: ignore[misc]
    """F1 of spans: exact, exact with the right label, and overlapping.

    `predictions` and `references` hold, for each sentence, rows of [start, end, label index]. A span overlaps if
    it shares at least one character with a span of the other side.
    """

    def _info(self) -> evaluate.MetricInfo:
        spans = datasets.Sequence(datasets.Sequence(datasets.Value("int32")))
        return evaluate.MetricInfo(
            description="F1 of spans",
            citation="",
            inputs_description=str(self.__doc__),
            features=datasets.Features({"predictions": spans, "references": spans}),
        )

    def _compute(
        self, predictions: Sequence[Sequence[Sequence[int]]], references: Sequence[Sequence[Sequence[int]]]
    ) -> dict[str, Any]:
        exact, labelled, overlap_said, overlap_gold, said, gold = (
            sum(column)
            for column in zip(*(span_counts(s, g) for s, g in zip(predictions, references, strict=True)), strict=True)
        )
        return {
            "span_f1": _f1(exact, exact, said, gold),
            "labelled_span_f1": _f1(labelled, labelled, said, gold),
            "overlap_f1": _f1(overlap_said, overlap_gold, said, gold),
            "predicted": said,
            "support": gold,
        }


def span_counts(said_rows: Sequence[Sequence[int]], gold_rows: Sequence[Sequence[int]]) -> list[int]:
    """What span F1 is made of, in one sentence.

    Args:
        said_rows, gold_rows: Rows of [start, end, label index].

    Returns:
        Exact hits, exact hits with the right label, predicted spans that overlap a gold one, gold spans that overlap
        a predicted one, predicted spans, gold spans.
    """
    said, gold = [tuple(row) for row in said_rows], [tuple(row) for row in gold_rows]
    return [
        len({row[:2] for row in said} & {row[:2] for row in gold}),
        len(set(said) & set(gold)),
        sum(any(_overlap(row, other) for other in gold) for row in said),
        sum(any(_overlap(row, other) for other in said) for row in gold),
        len(said),
        len(gold),
    ]


def _overlap(left: Sequence[int], right: Sequence[int]) -> bool:
    return left[0] < right[1] and right[0] < left[1]


def _f1(hits_said: int, hits_gold: int, said: int, gold: int) -> float:
    precision = hits_said / said if said else 0.0
    recall = hits_gold / gold if gold else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
