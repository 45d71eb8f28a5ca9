"""Predictions in few bytes: nothing that a record shows is lost."""

from collections.abc import Sequence

import numpy as np
import pytest

from model.codebook import Codebook, parse_codebook
from model.labeller import Labeller
from model.records import Sentence
from serving.archive.columns import count_columns, label_columns
from serving.archive.packed import Layout, Packed, blank, concatenate, empty, from_bytes, offsets, owners, pack, ragged
from serving.archive.tables import document_schema, sentence_schema
from tests.serving.archive.kitchen import SENTENCES


@pytest.fixture(scope="module")
def layout(tiny_codebook: Codebook) -> Layout:
    return Layout(tiny_codebook)


@pytest.fixture(scope="module")
def packed(layout: Layout, tiny_labeller: Labeller) -> Packed:
    return pack(tiny_labeller.engine([Sentence(str(n), text) for n, text in enumerate(SENTENCES)]), layout)


def same(left: Packed, right: Packed) -> bool:
    names = ("rows", "spans", "evidence", "targets")
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)


def test_bytes_give_back_the_predictions(packed: Packed, layout: Layout) -> None:
    blobs = packed.to_bytes()
    assert len(blobs) == len(SENTENCES)
    assert same(from_bytes(blobs, layout), packed)
    # 16 bytes of numbers and flags, 2 a score, 12 a mention, 8 a piece of evidence: a few hundred at most.
    assert max(map(len, blobs)) < 300
    assert same(from_bytes([blobs[3], blobs[0], blobs[3]], layout), packed.take(np.array([3, 0, 3])))


def test_taking_keeps_each_prediction_whole(packed: Packed) -> None:
    blobs = packed.to_bytes()
    for indices in ([], [0], [7, 7, 2], list(range(8))):
        assert packed.take(np.array(indices, np.int64)).to_bytes() == [blobs[n] for n in indices]


def test_joining_and_taking_apart_cancel_out(packed: Packed, layout: Layout) -> None:
    halves = [packed.take(np.arange(3)), empty(layout), packed.take(np.arange(3, 8))]
    assert same(concatenate(halves, layout), packed)
    assert len(concatenate([], layout)) == 0
    assert len(blank(layout)) == 1


@pytest.mark.parametrize("counts", [[2, 0, 3, 1], [0, 0], [4]])
def test_lists_of_unlike_length_are_found_in_a_row(counts: Sequence[int]) -> None:
    # With lengths 2, 0, 3, 1 the items are 0 1 | | 2 3 4 | 5.
    rows = np.array(counts)
    items = [list(range(a, b)) for a, b in zip(offsets(rows), offsets(rows)[1:], strict=False)]
    for indices in ([], [0], list(reversed(range(len(counts))))):
        chosen = [item for n in indices for item in items[n]]
        assert ragged(rows, np.array(indices, np.int64)).tolist() == chosen
    assert owners(rows).tolist() == [n for n, count in enumerate(counts) for _ in range(count)]


def test_a_codebook_of_one_sentence_axis_alone_can_be_packed(tiny_codebook: Codebook) -> None:
    source = """
name: x
version: "1"
language: en
axes:
  stage: {kind: sentence, question: "When?", definition: When., labels: {early: {definition: E.}, late: {definition: L.}}}
"""
    codebook = parse_codebook(source, "x.yaml")
    layout = Layout(codebook)
    assert same(from_bytes(blank(layout).to_bytes(), layout), blank(layout))
    rows = blank(layout).take(np.array([0, 0]))
    columns = label_columns(rows, layout, ["A.", "B."], np.zeros(2, np.int64), np.array([True, False]), [(), ()])
    info = {"name": "x", "version": "1", "sha256": "f", "codebook": {"name": "x", "version": "1", "sha256": "f"}}
    schema = sentence_schema(codebook, info)
    assert set(columns) == set(schema.names[schema.get_field_index("n_tokens") : schema.get_field_index("is_repeat")])
    assert columns["stage"].to_pylist() == [[], None]
    counts = count_columns(rows, layout, np.array([0, 0]), np.array([True, False]), 1)
    names = {name for name in document_schema(codebook, info).names if name.split(".")[0] in ("count", "rate")}
    assert names | {"abstained.stage"} == set(counts)
