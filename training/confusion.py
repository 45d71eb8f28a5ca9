"""Which labels are taken for which."""

from typing import Any

import numpy as np

from training.counts import count_table
from training.scored_axes import SPANS, Pairs, ScoredAxis


def confusion(axis: ScoredAxis, pairs: Pairs) -> dict[str, Any]:
    """Count gold against predicted labels on one axis.

    Returns:
        One label a decision: `labels`, `matrix` (a row a gold label, a column a predicted one) and `unlabelled`, a
        count a gold label. Spans: the same over spans found exactly, with `missed`, a count a gold label, and
        `spurious`, a count a predicted label. Any number of labels: for each label `tp`, `fp`, `fn`, `tn`.
    """
    pairs = axis.annotated(pairs)
    names = list(axis.labels)
    size = len(names)
    if axis.form != SPANS and not axis.single:
        total = count_table(axis, pairs).counts.sum(axis=0).astype(int)
        hits, said, gold, rows = total[:size], total[size : 2 * size], total[2 * size : 3 * size], total[-2]
        return {
            "labels": {
                name: {
                    "tp": int(hits[n]),
                    "fp": int(said[n] - hits[n]),
                    "fn": int(gold[n] - hits[n]),
                    "tn": int(rows - said[n] - gold[n] + hits[n]),
                }
                for n, name in enumerate(names)
            }
        }
    # The last row holds what is in no gold, the last column what was not found.
    matrix = np.zeros((size + 1, size + 1), dtype=int)
    for gold_sentence, said_sentence in pairs:
        if axis.form == SPANS:
            wanted = {(start, end): label for start, end, label in axis.spans(gold_sentence.mentions or ())}
            found = {(start, end): label for start, end, label in axis.spans(said_sentence.mentions)}
            for span in wanted.keys() | found.keys():
                matrix[wanted.get(span, size), found.get(span, size)] += 1
        else:
            for left, right in axis.rows(gold_sentence, said_sentence):
                row, column = ([*map(names.index, side), size][0] for side in (left, right))
                matrix[row, column] += 1
    counts: dict[str, Any] = {"labels": names, "matrix": matrix[:size, :size].tolist()}
    if axis.form == SPANS:
        return counts | {"missed": matrix[:size, size].tolist(), "spurious": matrix[size, :size].tolist()}
    return counts | {"unlabelled": matrix[:size, size].tolist()}
