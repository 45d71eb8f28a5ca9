"""Predictions from files: the forms that are read, how they are joined to gold, and what is refused."""

import dataclasses
import math
import re

import pytest

from model.errors import RecordError
from model.jsonl import Line
from model.spans import Span
from tests.training.sentences import BEEF, KALE, gold_sentence
from training.saved_predictions import load_predictions, predictions_of, read_predictions, saved_record
from training.scored_axes import NO_LABEL

GOLD = gold_sentence("1", [(*BEEF, "meat")], [(*BEEF, "tasty"), (*KALE, "undecided")], stage=["start"], manner=[])
PLAIN = {"id": "1", "foods": [{"text": "beef", "label": "meat"}], "stage": ["start"], "manner": []}


def read(codebook, *records, gold=(GOLD,)):
    lines = [Line(n, dict(record), None) for n, record in enumerate(records, 1)]
    return read_predictions(lines, gold, codebook, "theirs.jsonl")


def one(codebook, **fields):
    [found] = read(codebook, PLAIN | fields).predictions
    return found


def refusal(codebook, *records, gold=(GOLD,)):
    with pytest.raises(RecordError) as caught:
        read(codebook, *records, gold=gold)
    return str(caught.value)


def test_plain_labels_are_read_without_scores(tiny_codebook):
    said = one(tiny_codebook)
    assert [(m.span, m.label) for m in said.mentions] == [(Span(*BEEF), "meat")]
    assert [item.label for item in said.labels["stage"]] == ["start"]
    assert said.labels["manner"] == ()
    assert said.summary == ("meat",)
    assert math.isnan(said.mentions[0].score)
    assert math.isnan(said.labels["stage"][0].score)


def test_labels_may_carry_scores_and_come_in_codebook_order(tiny_codebook):
    said = one(tiny_codebook, stage=[{"label": "finish", "score": 0.7}, "start"])
    assert [item.label for item in said.labels["stage"]] == ["start", "finish"]
    assert said.labels["stage"][1].score == 0.7


def test_phrases_are_found_as_those_of_gold_each_with_its_own_score(tiny_codebook):
    foods = [
        {"text": "kale", "label": "plant", "score": 0.2},
        {"text": "the", "label": "staple", "score": 0.3},
        {"text": "the", "label": "staple", "score": 0.4},  # the second "the"
    ]
    said = one(tiny_codebook, foods=foods)
    assert [(m.span, m.score) for m in said.mentions] == [
        (Span(0, 3), 0.3), (Span(13, 16), 0.4), (Span(*KALE), 0.2)
    ]  # fmt: skip


def test_spans_of_a_labelled_document_count_from_its_start(tiny_codebook):
    record = {"status": "ok", "start": 100, "end": 121, "foods": [{"start": 104, "end": 108, "label": "meat"}]}
    assert one(tiny_codebook, **record).mentions[0].span == Span(*BEEF)


def test_in_a_record_that_is_no_labelled_sentence_a_start_means_nothing(tiny_codebook):
    record = {"start": 100, "end": 121, "foods": [{"start": 4, "end": 8, "label": "meat"}]}
    assert one(tiny_codebook, **record).mentions[0].span == Span(*BEEF)


@pytest.mark.parametrize(
    "fields",
    [
        {"targets": [{"target": "beef", "start": 4, "end": 8, "label": "tasty"}]},
        {"verdict": [{"target": "beef", "label": "tasty"}]},
        {"foods": [{"text": "beef", "label": "meat", "verdict": {"label": "tasty"}}]},
        {"foods": [{"text": "beef", "label": "meat", "verdict": "tasty"}]},
    ],
)
def test_a_target_is_labelled_in_any_of_three_places_and_else_has_no_label(tiny_codebook, fields):
    said = one(tiny_codebook, **fields)
    assert [(t.name, t.span, t.label) for t in said.targets] == [
        ("beef", Span(*BEEF), "tasty"), ("kale", Span(*KALE), NO_LABEL)
    ]  # fmt: skip


def test_what_was_asked_for_wins_over_what_a_span_says(tiny_codebook):
    foods = [{"text": "beef", "label": "meat", "verdict": "tasty"}]
    targets = [{"start": 4, "end": 8, "label": "too salty", "score": 0.5}]
    [beef, _] = one(tiny_codebook, foods=foods, targets=targets).targets
    assert (beef.label, beef.score) == ("too salty", 0.5)


def test_an_exclusive_axis_takes_one_label(tiny_codebook):
    axes = [dataclasses.replace(axis, exclusive=axis.name == "stage") for axis in tiny_codebook.axes]
    codebook = dataclasses.replace(tiny_codebook, axes=tuple(axes))
    assert [item.label for item in one(codebook, stage="finish").labels["stage"]] == ["finish"]
    assert refusal(codebook, PLAIN | {"stage": []}) == (
        "theirs.jsonl:1: axis 'stage' expected exactly one label, but found 0. Keep the one that holds best."
    )


def test_an_axis_that_no_record_has_is_not_scored(tiny_codebook):
    assert read(tiny_codebook, PLAIN).unpredicted == {"verdict"}
    assert read(tiny_codebook, {"id": "1", "stage": []}).unpredicted == {"foods", "diet", "manner", "verdict"}


def test_a_system_may_give_the_derived_axis_alone(tiny_codebook):
    found = read(tiny_codebook, {"id": "1", "diet": ["plant"]})
    assert found.predictions[0].summary == ("plant",)
    assert "diet" not in found.unpredicted
    assert "foods" in found.unpredicted


def test_predictions_of_other_sentences_are_counted_and_ignored(tiny_codebook):
    found = read(tiny_codebook, {"id": "other", "stage": 7}, PLAIN, {"id": "another"})
    assert (len(found.predictions), found.ignored) == (1, 2)


def test_predictions_come_in_the_order_of_the_gold(tiny_codebook):
    gold = [gold_sentence("a", stage=[]), gold_sentence("b", stage=[])]
    found = read(tiny_codebook, {"id": "b", "stage": ["finish"]}, {"id": "a", "stage": ["start"]}, gold=gold)
    assert [said.labels["stage"][0].label for said in found.predictions] == ["start", "finish"]


def test_gold_sentences_without_prediction_are_listed_up_to_ten(tiny_codebook):
    gold = [gold_sentence(str(n)) for n in range(13)]
    records = [PLAIN | {"id": "12"}, {"id": "0", "status": "error", "error": "too long"}]
    assert refusal(tiny_codebook, *records, gold=gold) == (
        "theirs.jsonl: expected a prediction for every gold sentence, but found none for 12 of 13: '0', '1', '2', '3', "
        "'4', '5', '6', '7', '8', '9' …. Label them, or take them out of the gold."
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"stage": ["middle"]},
            "axis 'stage' expected one of ['finish', 'start'], but found 'middle'. "
            "Correct the record, or add the label to the codebook.",
        ),
        ({"stage": "start"}, "axis 'stage' expected a list, but found str. Use [] for none."),
        (
            {"foods": [{"start": 4, "end": 9, "text": "beef", "label": "meat"}]},
            "expected a span of the sentence's 21 characters that holds the words it names, but found start=4, end=9. "
            "Count code points.",
        ),
        (
            {"foods": [{"text": "pork", "label": "meat"}]},
            "axis 'foods' expected words of the text, but found 'pork'. Copy them to the letter.",
        ),
        (
            {"stage": [{"label": "start", "score": 1.5}]},
            "axis 'stage': expected a score from 0 to 1, but found 1.5. Give a probability.",
        ),
        (
            {"verdict": ["beef"]},
            "axis 'verdict' expected objects, but found str. Write {'target', 'label'}.",
        ),
        (
            {"scores": [0.5]},
            "field 'scores': expected the probability of each label, by axis, but found another form. "
            "Write {axis: {label: number}}.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(tiny_codebook, fields, message):
    assert refusal(tiny_codebook, PLAIN | fields) == f"theirs.jsonl:1: {message}"


def test_a_record_without_an_axis_that_others_have_is_refused(tiny_codebook):
    gold = [gold_sentence("1", stage=[]), gold_sentence("2", stage=[])]
    assert refusal(tiny_codebook, {"id": "1", "stage": []}, {"id": "2", "manner": []}, gold=gold) == (
        "theirs.jsonl:1: axis 'manner' expected a list, but found nothing. Use [] for none.\n"
        "theirs.jsonl:2: axis 'stage' expected a list, but found nothing. Use [] for none."
    )


def test_an_id_that_stands_twice_is_refused(tiny_codebook):
    assert refusal(tiny_codebook, PLAIN, PLAIN) == (
        "theirs.jsonl:2: expected an id of its own, but found '1' again. Keep one record."
    )


def test_a_missing_file_is_refused(tmp_path, tiny_codebook):
    path = tmp_path / "none.jsonl"
    message = f"{path}: expected a file of predictions, but found: No such file or directory. Check the path."
    with pytest.raises(RecordError, match=re.escape(message)):
        load_predictions(path, [GOLD], tiny_codebook)


def test_what_the_model_writes_is_read_back_as_it_is(tiny_labeller, tiny_gold):
    from training.evaluation import to_sentences

    records = tiny_labeller.label(to_sentences(tiny_gold))
    found = predictions_of(records, tiny_gold, tiny_labeller.codebook, "model")
    assert found.unpredicted == frozenset()
    for record, said, sentence in zip(records, found.predictions, tiny_gold, strict=True):
        assert {key: record[key] for key in said.to_record(sentence.text)} == said.to_record(sentence.text)


def test_what_a_system_did_not_say_is_not_written(tiny_codebook):
    found = read(tiny_codebook, PLAIN | {"verdict": [{"target": "beef", "label": "tasty"}]})
    record = saved_record(GOLD, found.predictions[0], found.unpredicted)
    assert record["stage"] == [{"label": "start", "evidence": []}]
    assert record["targets"] == [{"target": "beef", "start": 4, "end": 8, "label": "tasty"}]
    assert record["article"] == "article of 1"
    without = read(tiny_codebook, {"id": "1", "stage": ["start"]})
    written = saved_record(GOLD, without.predictions[0], without.unpredicted)
    assert {"foods", "diet", "manner", "targets"}.isdisjoint(written)
