"""The sentences that a report shows: which ones, and what is marked in them."""

from pathlib import Path

import numpy as np
import pytest

from model.codebook import Codebook
from serving.archive.examples import SHOWN, Example, LabelExamples, cut, example_columns, find_examples
from serving.archive.figures import batches, parts_of
from tests.serving.archive.made_run import Document, write_run


def found(
    folder: Path, codebook: Codebook, copies: frozenset[int] = frozenset()
) -> dict[tuple[str, str], LabelExamples]:
    rows = batches(parts_of(folder, "sentences"), example_columns(codebook))
    examples = find_examples(rows, codebook, lambda numbers: np.isin(numbers, list(copies)))
    return {(example.axis, example.label): example for example in examples}


def ids(examples: tuple[Example, ...]) -> list[str]:
    return [example.document for example in examples]


def test_typical_sentences_have_the_label_with_the_highest_scores(tmp_path: Path, tiny_codebook: Codebook) -> None:
    scores = [0.9, 0.55, 0.99, 0.7, 0.8, 0.95, 0.6]
    run = write_run(tmp_path, tiny_codebook, [Document([["start"]], score=score) for score in scores])
    examples = found(run, tiny_codebook)
    assert ids(examples["stage", "start"].typical) == ["d2", "d5", "d0", "d4", "d3"]
    assert [example.score for example in examples["stage", "start"].typical] == [0.99, 0.95, 0.9, 0.8, 0.7]
    assert examples["stage", "finish"].typical == ()


def test_uncertain_sentences_have_a_score_next_to_a_half_and_say_whether_they_have_the_label(
    tmp_path: Path, tiny_codebook: Codebook
) -> None:
    documents = [Document([["start"]], score=0.9), Document([["start"]], score=0.6), Document([["finish"]], score=0.55)]
    examples = found(write_run(tmp_path, tiny_codebook, documents), tiny_codebook)["stage", "start"].uncertain
    assert [(e.document, e.score, e.given) for e in examples] == [
        ("d2", 0.45, False),
        ("d1", 0.6, True),
        ("d0", 0.9, True),
    ]


def test_of_mentions_the_uncertain_ones_have_the_label_with_the_lowest_score(
    tmp_path: Path, tiny_codebook: Codebook
) -> None:
    run = write_run(tmp_path, tiny_codebook, [Document([["meat"]], score=score) for score in (0.9, 0.4, 0.7)])
    examples = found(run, tiny_codebook)["verdict", "tasty"]
    assert ids(examples.typical) == ["d0", "d2", "d1"]
    assert ids(examples.uncertain) == ["d1", "d2", "d0"]


def test_the_words_that_made_the_label_are_marked_wherever_the_sentence_stands(
    tmp_path: Path, tiny_codebook: Codebook
) -> None:
    # In the made run the evidence is what stands before the full stop, and a mention the first eight characters.
    document = Document([[], ["meat", "start"]], texts=["Before it.", "Salt the joint at once."])
    examples = found(write_run(tmp_path, tiny_codebook, [document]), tiny_codebook)
    assert examples["stage", "start"].typical[0].pieces == (("Salt the joint", False), (" at once", True), (".", False))
    for pair in (("diet", "meat"), ("verdict", "tasty")):
        assert examples[pair].typical[0].pieces == (("Salt the", True), (" joint at once.", False))


def test_repeated_sentences_copies_and_second_sentences_of_a_document_are_left_out(
    tmp_path: Path, tiny_codebook: Codebook
) -> None:
    documents = [
        Document([["start"], ["start"]], score=0.9),
        Document([["start"]], score=0.99, repeated=[0]),
        Document([["start"]], score=0.98),
        Document([["start"]], score=0.7),
    ]
    run = write_run(tmp_path, tiny_codebook, documents)
    assert ids(found(run, tiny_codebook, frozenset([2]))["stage", "start"].typical) == ["d0", "d3"]


def test_among_equal_scores_the_choice_is_spread_and_always_the_same(tmp_path: Path, tiny_codebook: Codebook) -> None:
    run = write_run(tmp_path, tiny_codebook, [Document([["start"]]) for _ in range(500)])
    chosen = ids(found(run, tiny_codebook)["stage", "start"].typical)
    assert len(chosen) == SHOWN
    assert chosen == ids(found(run, tiny_codebook)["stage", "start"].typical)
    assert max(int(name[1:]) for name in chosen) > 50


@pytest.mark.parametrize(
    ("spans", "pieces"),
    [
        ([], (("salted", False),)),
        ([(0, 4)], (("salt", True), ("ed", False))),
        ([(2, 4), (1, 3)], (("s", False), ("alt", True), ("ed", False))),
        ([(-5, 2), (4, 99)], (("sa", True), ("lt", False), ("ed", True))),
    ],
)
def test_a_text_is_cut_at_the_edges_of_its_spans(
    spans: list[tuple[int, int]], pieces: tuple[tuple[str, bool], ...]
) -> None:
    assert cut("salted", spans) == pieces
