"""From packed predictions to the columns of the tables."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.predictions import ABSTAINED, DIGITS, OK
from serving.archive.packed import (
    NONE,
    SCORE_UNITS,
    WEIGHT_UNITS,
    Layout,
    Numbers,
    Packed,
    Rows,
    offsets,
    owners,
)
from serving.archive.tables import rate_columns, span_columns

if TYPE_CHECKING:
    import pyarrow as pa

Flags = NDArray[np.bool_]


def label_columns(
    packed: Packed,
    layout: Layout,
    texts: Sequence[str],
    starts: Numbers,
    labelled: Flags,
    target_names: Sequence[Sequence[str]],
) -> dict[str, "pa.Array"]:
    """Columns that the model gives, from `n_tokens` to `abstained`.

    Args:
        packed: A prediction a sentence; of those that were not labelled, any.
        texts: Each sentence's words.
        starts: Where each sentence starts in its document; spans are counted from the document's start.
        labelled: Which sentences have labels; the others get nulls.
        target_names: For each sentence, the targets that its record asked for.

    Returns:
        Arrays of shape (sentences,), by column name.
    """
    import pyarrow as pa

    rows, codebook = packed.rows, layout.codebook
    mention, target = codebook.mention_axis, codebook.target_axis
    hidden = ~labelled

    def masked(values: Rows, kind: "pa.DataType") -> "pa.Array":
        return pa.array(values, type=kind, mask=hidden)

    def lists(counts: Rows, values: "pa.Array") -> "pa.Array":
        ends = pa.array(offsets(counts).astype(np.int32))
        return pa.ListArray.from_arrays(ends, values, mask=pa.array(hidden))

    def chosen(flags: Rows, names: Sequence[str]) -> "pa.Array":
        return lists(flags.sum(axis=1), _names(names, np.nonzero(flags)[1]))

    def place(items: Rows, of: Numbers) -> list["pa.Array"]:
        return [pa.array((items[edge] + starts[of]).astype(np.int32)) for edge in ("start", "end")]

    columns = {
        "n_tokens": masked(rows["n_tokens"].astype(np.int32), pa.int32()),
        "truncated": masked(rows["truncated"].astype(bool), pa.bool_()),
    }
    if mention:
        if mention.summary:
            columns[mention.summary] = chosen(rows["summary"], layout.summary_labels)
        of = owners(rows["n_spans"])
        values = [pa.array(_words(packed.spans, of, texts), pa.string()), *place(packed.spans, of)]
        values += [_names(layout.span_labels, packed.spans["label"]), _scores(packed.spans["score"])]
        names = ["text", "start", "end", "label", "score"]
        if target:
            towards = [
                _names(layout.target_labels, packed.spans["towards"]), _scores(packed.spans["towards_score"])
            ]  # fmt: skip
            values.append(pa.StructArray.from_arrays(towards, ["label", "score"]))
            names.append(target.name)
        columns[mention.name] = lists(rows["n_spans"], pa.StructArray.from_arrays(values, names))
    for axis, part in codebook.sentence_columns:
        columns[axis.name] = chosen(rows["held"][:, part], axis.label_names)
    of = owners(rows["n_evidence"])
    column = packed.evidence["column"]
    values = [_names([pair[n] for pair in layout.sentence_labels], column) for n in (0, 1)]
    values += [pa.array(_words(packed.evidence, of, texts), pa.string()), *place(packed.evidence, of)]
    values.append(pa.array((packed.evidence["weight"] / WEIGHT_UNITS).astype(np.float32)))
    names = ["axis", "label", "text", "start", "end", "weight"]
    columns["evidence"] = lists(rows["n_evidence"], pa.StructArray.from_arrays(values, names))
    if target:
        of = owners(rows["n_targets"])
        asked = [name for names in target_names for name in names]
        values = [pa.array(asked, pa.string()), *place(packed.targets, of)]
        values += [_names(layout.target_labels, packed.targets["label"]), _scores(packed.targets["score"])]
        names = ["target", "start", "end", "label", "score"]
        columns["targets"] = lists(rows["n_targets"], pa.StructArray.from_arrays(values, names))
    for n, (axis_name, label) in enumerate(layout.scores):
        columns[f"scores.{axis_name}.{label}"] = _scores(rows["scores"][:, n])
    columns["abstained"] = chosen(rows["abstained"], layout.axes)
    return columns


def statuses(packed: Packed, labelled: Flags, others: Sequence[str]) -> list[str]:
    """Status of each sentence: the model's where it was labelled, else what is given."""
    unsure = packed.rows["unsure"].tolist()
    return [
        (ABSTAINED if doubt else OK) if known else other
        for doubt, known, other in zip(unsure, labelled.tolist(), others, strict=True)
    ]


def count_columns(packed: Packed, layout: Layout, document: Numbers, labelled: Flags, size: int) -> dict[str, Rows]:
    """Counts and rates of each label, a document.

    Args:
        document: The document of each sentence, from 0 to `size`.
        labelled: Which sentences have labels.

    Returns:
        Arrays of shape (size,), by column name.
    """
    rows, codebook = packed.rows, layout.codebook
    known = document[labelled]
    total = np.bincount(known, minlength=size)
    columns: dict[str, Rows] = {}
    flags = np.concatenate([rows["summary"], rows["held"]], axis=1)[labelled]
    for n, (axis, label) in enumerate(rate_columns(codebook)):
        counts = np.bincount(known[flags[:, n] > 0], minlength=size)
        rate = np.round(counts / np.maximum(total, 1), DIGITS)
        columns |= {f"count.{axis}.{label}": counts, f"rate.{axis}.{label}": rate}
    of = document[owners(rows["n_spans"])]
    codes = [packed.spans["label"]] * len(layout.span_labels) + [packed.spans["towards"]] * len(layout.target_labels)
    numbers = [*range(len(layout.span_labels)), *range(len(layout.target_labels))]
    for (axis, label), code, number in zip(span_columns(codebook), codes, numbers, strict=False):
        columns[f"count.{axis}.{label}"] = np.bincount(of[code == number], minlength=size)
    for n, axis in enumerate(layout.axes):
        unsure = document[labelled & (rows["abstained"][:, n] > 0)]
        columns[f"abstained.{axis}"] = np.bincount(unsure, minlength=size)
    return columns


def table(columns: dict[str, Any], schema: "pa.Schema", length: int) -> "pa.Table":
    """Put columns into the order and the types of a schema; a string stands for a column of that value."""
    import pyarrow as pa

    arrays = []
    for field in schema:
        values = columns[field.name]
        if isinstance(values, str):
            values = pa.repeat(pa.scalar(values, field.type), length)
        elif not isinstance(values, pa.Array):
            values = pa.array(values, type=field.type)
        elif values.type != field.type:
            values = values.cast(field.type)
        arrays.append(values)
    return pa.Table.from_arrays(arrays, schema=schema)


def _names(names: Sequence[str], codes: Rows) -> "pa.Array":
    """Labels by their numbers; the number that stands for none gives a null."""
    import pyarrow as pa

    return pa.array(names, pa.string()).take(pa.array(codes.astype(np.int32), mask=codes == NONE))


def _scores(units: Rows) -> "pa.Array":
    import pyarrow as pa

    return pa.array((units / SCORE_UNITS).astype(np.float32), mask=units == NONE)


def _words(items: Rows, of: Numbers, texts: Sequence[str]) -> Iterable[str]:
    edges = zip(of.tolist(), items["start"].tolist(), items["end"].tolist(), strict=True)
    return [texts[n][start:end] for n, start, end in edges]
