"""Records: sentences as they come in, gold annotations under a codebook, and what is refused of them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.codebook import Codebook
from model.errors import RecordError
from model.records import (
    MAX_CHARACTERS,
    MAX_TARGETS,
    GoldSentence,
    LabelledSpan,
    Sentence,
    check_text,
    find_target,
    gold_sentence,
    load_gold,
    read_sentence,
)
from model.spans import Span

TEXT = "The beef was tough, the beef stock was not."


def refusal(record: Any) -> str:
    with pytest.raises(RecordError) as refused:
        read_sentence(record, "in.jsonl:7", "7")
    return str(refused.value)


# ---- Sentences ----


def test_a_bare_text_is_a_record() -> None:
    assert read_sentence({"text": TEXT}, "in.jsonl:7", "7") == Sentence("7", TEXT)


def test_a_number_as_id_is_taken_as_its_digits() -> None:
    assert read_sentence({"id": 12, "text": TEXT}, "in.jsonl:7", "7").id == "12"


def test_other_fields_are_carried_as_they_are() -> None:
    extra = {"outlet": "Kitchen Weekly", "tags": [1, {"a": None}]}
    assert read_sentence({"id": "a", "text": TEXT, "targets": [], **extra}, "in.jsonl:7", "7").extra == extra


def test_a_target_by_its_words_means_their_first_occurrence() -> None:
    sentence = read_sentence({"text": TEXT, "targets": ["beef", "beef stock"]}, "in.jsonl:7", "7")
    assert sentence.targets == (("beef", Span(4, 8)), ("beef stock", Span(24, 34)))


def test_a_target_by_its_offsets_means_that_place() -> None:
    sentence = read_sentence({"text": TEXT, "targets": [{"start": 24, "end": 28}]}, "in.jsonl:7", "7")
    assert sentence.targets == (("beef", Span(24, 28)),)


def test_target_offsets_count_code_points() -> None:
    assert find_target({"start": 3, "end": 7}, "🥩🥬 beef", "x") == ("beef", Span(3, 7))
    assert find_target("beef", "🥩🥬 beef", "x") == ("beef", Span(3, 7))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "in.jsonl:7: field 'text': expected a text, but found nothing. Give the sentence as a string."),
        ({"text": None}, "in.jsonl:7: field 'text': expected a text, but found nothing. Give the sentence as a string."),
        ({"text": 5}, "in.jsonl:7: field 'text': expected a text, but found int. Give the sentence as a string."),
        ({"text": ""}, "in.jsonl:7: field 'text': expected a text, but found an empty one. Give the sentence."),
        ({"text": " \n\t\u00a0"}, "in.jsonl:7: field 'text': expected a text, but found an empty one. Give the sentence."),
        (
            {"text": "x" * (MAX_CHARACTERS + 1)},
            "in.jsonl:7: field 'text': expected at most 10000 characters a sentence, but found 10001. "
            "Split it into shorter ones.",
        ),
        (
            {"text": "The \ud83e beef."},
            "in.jsonl:7: field 'text': expected Unicode text, but found a lone surrogate at character 4. Remove it.",
        ),
        (
            {"text": TEXT, "id": True},
            "in.jsonl:7: field 'id': expected a string, but found bool. Give an id or leave it out.",
        ),
        (
            {"text": TEXT, "id": None},
            "in.jsonl:7: field 'id': expected a string, but found nothing. Give an id or leave it out.",
        ),
        (
            {"text": TEXT, "id": ["a"]},
            "in.jsonl:7: field 'id': expected a string, but found list. Give an id or leave it out.",
        ),
        (
            {"text": TEXT, "targets": "beef"},
            "in.jsonl:7: field 'targets': expected a list of at most 100, but found str. "
            "Give a list, or several records.",
        ),
        (
            {"text": TEXT, "targets": ["beef"] * (MAX_TARGETS + 1)},
            "in.jsonl:7: field 'targets': expected a list of at most 100, but found 101 of them. "
            "Give a list, or several records.",
        ),
        (
            {"text": TEXT, "targets": ["beef", "lamb"]},
            "in.jsonl:7: field 'targets[1]': expected words of the text, but found 'lamb'. Copy them to the letter.",
        ),
        (
            {"text": TEXT, "targets": [""]},
            "in.jsonl:7: field 'targets[0]': expected a string or {'start', 'end'}, but found an empty text. Name the target.",
        ),
        (
            {"text": TEXT, "targets": [7]},
            "in.jsonl:7: field 'targets[0]': expected a string or {'start', 'end'}, but found int. Name the target.",
        ),
        (["The beef."], 'in.jsonl:7: expected a record, but found list. Write {"text": …}.'),
        (None, 'in.jsonl:7: expected a record, but found nothing. Write {"text": …}.'),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_labelled_is_refused_with_its_field(record: Any, message: str) -> None:
    assert refusal(record) == message


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ({}, "start=None, end=None"),
        ({"start": 4}, "start=4, end=None"),
        ({"start": 8, "end": 4}, "start=8, end=4"),
        ({"start": 4, "end": 4}, "start=4, end=4"),
        ({"start": -4, "end": 8}, "start=-4, end=8"),
        ({"start": 4, "end": 44}, "start=4, end=44"),
        ({"start": True, "end": 8}, "start=True, end=8"),
        ({"start": 4.0, "end": 8}, "start=4.0, end=8"),
        ({"start": 3, "end": 4}, "start=3, end=4"),  # a space
    ],
)
def test_offsets_of_no_words_are_refused(target: Mapping[str, Any], found: str) -> None:
    assert len(TEXT) == 43
    assert refusal({"text": TEXT, "targets": [target]}) == (
        "in.jsonl:7: field 'targets[0]': expected 0 <= start < end <= 43 around words, "
        f"but found {found}. Count code points."
    )


def test_the_longest_text_is_taken() -> None:
    assert len(check_text("x" * MAX_CHARACTERS, "x")) == MAX_CHARACTERS


@given(text=st.text(min_size=1, max_size=30), data=st.data())
def test_a_target_slices_back_to_its_own_words(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    words = text[start : data.draw(st.integers(start + 1, len(text)))]
    name, span = find_target(words, text, "x")
    assert name == words == span.of(text)
    assert span.start == text.index(words)


# ---- Gold ----

GOLD: dict[str, Any] = {
    "id": "g1",
    "text": "The beef with kale, then more beef.",
    "foods": [{"text": "beef", "label": "meat"}, {"text": "kale", "label": "plant"}, {"text": "beef", "label": "staple"}],
    "stage": ["start"],
    "manner": [],
    "verdict": [{"target": "kale", "label": "tasty"}],
    "article": "stew",
    "outlet": "Kitchen Weekly",
}  # fmt: skip


def gold(tiny_codebook: Codebook, **changes: Any) -> GoldSentence:
    return gold_sentence({**GOLD, **changes}, tiny_codebook, "gold.jsonl:3")


def test_phrases_are_resolved_to_spans_in_order(tiny_codebook: Codebook) -> None:
    sentence = gold(tiny_codebook)
    assert sentence.mentions == (
        LabelledSpan(Span(4, 8), "meat"),
        LabelledSpan(Span(14, 18), "plant"),
        LabelledSpan(Span(30, 34), "staple"),  # the second "beef" means the next free occurrence
    )
    assert sentence.targets == (LabelledSpan(Span(14, 18), "tasty"),)


def test_labels_article_and_other_fields_are_kept(tiny_codebook: Codebook) -> None:
    sentence = gold(tiny_codebook)
    assert sentence.labels == {"stage": frozenset({"start"}), "manner": frozenset()}
    assert sentence.article == "stew"
    assert sentence.extra == {"article": "stew", "outlet": "Kitchen Weekly"}


def test_an_axis_that_is_not_in_the_record_was_not_annotated(tiny_codebook: Codebook) -> None:
    sentence = gold_sentence({"id": "g1", "text": "The beef.", "stage": []}, tiny_codebook, "gold.jsonl:3")
    assert sentence.mentions is None
    assert sentence.targets is None
    assert sentence.labels == {"stage": frozenset()}
    assert sentence.article == "g1"


def test_a_phrase_means_whole_words_before_parts_of_words(tiny_codebook: Codebook) -> None:
    sentence = gold(tiny_codebook, text="Beefy beefs and beef.", foods=[{"text": "beef", "label": "meat"}], verdict=[])
    assert sentence.mentions == (LabelledSpan(Span(16, 20), "meat"),)


def test_offsets_win_over_the_first_occurrence(tiny_codebook: Codebook) -> None:
    sentence = gold(tiny_codebook, foods=[{"text": "beef", "label": "meat", "start": 30}], verdict=[])
    assert sentence.mentions == (LabelledSpan(Span(30, 34), "meat"),)


def test_a_target_that_is_a_mention_stands_where_the_mention_stands(tiny_codebook: Codebook) -> None:
    foods = [{"text": "beef", "label": "meat", "start": 30}]
    sentence = gold(tiny_codebook, foods=foods, verdict=[{"target": "beef", "label": "tasty"}])
    assert sentence.targets == (LabelledSpan(Span(30, 34), "tasty"),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"foods": [{"text": "beef", "label": "fish"}]},
            "axis 'foods' expected one of ['meat', 'plant', 'staple'], but found 'fish'. "
            "Correct the row, or add the label to the codebook.",
        ),
        (
            {"stage": ["start", "middle"]},
            "axis 'stage' expected one of ['finish', 'start'], but found 'middle'. "
            "Correct the row, or add the label to the codebook.",
        ),
        ({"stage": "start"}, "axis 'stage' expected a list of labels, but found str. Use []."),
        ({"stage": None}, "axis 'stage' expected a list of labels, but found nothing. Use []."),
        (
            {"verdict": [{"target": "kale", "label": None}]},
            "axis 'verdict' expected one of ['tasty', 'too salty', 'undecided'], but found None. "
            "Correct the row, or add the label to the codebook.",
        ),
        (
            {"foods": [{"text": "lamb", "label": "meat"}]},
            "axis 'foods' expected words of the text, but found 'lamb'. Copy them to the letter.",
        ),
        (
            {"foods": [{"text": "beef", "label": "meat"}] * 3},  # the text holds two
            "axis 'foods' expected words of the text, but found 'beef'. Copy them to the letter.",
        ),
        (
            {"foods": [{"text": "beef", "label": "meat", "start": 5}]},
            "axis 'foods' expected words of the text, but found 'beef'. Copy them to the letter.",
        ),
        (
            {"foods": [{"text": "", "label": "meat"}]},
            "axis 'foods' expected words as 'text', but found an empty text. Copy them.",
        ),
        (
            {"verdict": [{"text": "kale", "label": "tasty"}]},
            "axis 'verdict' expected words as 'target', but found nothing. Copy them.",
        ),
        ({"foods": ["beef"]}, "axis 'foods' expected a list of objects, but found str. Use []."),
        ({"foods": {"text": "beef"}}, "axis 'foods' expected a list of objects, but found dict. Use []."),
        (
            {"foods": [{"text": "beef with kale", "label": "meat"}, {"text": "kale", "label": "plant", "start": 14}]},
            "axis 'foods' expected spans that do not overlap, but found 'beef with kale' and 'kale'. Keep the longer.",
        ),
        ({"text": "  "}, "field 'text': expected a text, but found an empty one. Give the sentence."),
    ],
)
def test_a_gold_record_outside_the_codebook_is_refused(
    tiny_codebook: Codebook, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordError) as refused:
        gold(tiny_codebook, **changes)
    assert str(refused.value) == f"gold.jsonl:3: {message}"


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_file_of_gold_is_read_in_order(tiny_codebook: Codebook, tiny_gold: list[GoldSentence]) -> None:
    assert [sentence.id for sentence in tiny_gold] == [f"n{n}" for n in range(1, 25)]
    assert all(m.span.of(s.text).isalpha() for s in tiny_gold for m in s.mentions or ())


def test_an_id_that_comes_twice_is_refused(tmp_path: Path, tiny_codebook: Codebook) -> None:
    file = write(tmp_path / "gold.jsonl", GOLD, {**GOLD, "id": "g2"}, GOLD)
    with pytest.raises(RecordError) as refused:
        load_gold(file, tiny_codebook)
    assert str(refused.value) == f"{file}:3: expected an id of its own, but found 'g1' again, as on line 1. Rename one."


def test_of_many_bad_rows_ten_are_shown_and_all_are_counted(tmp_path: Path, tiny_codebook: Codebook) -> None:
    file = write(tmp_path / "gold.jsonl", GOLD, *([[]] * 12))
    with pytest.raises(RecordError) as refused:
        load_gold(file, tiny_codebook)
    lines = str(refused.value).splitlines()
    assert lines[0] == f'{file}:2: expected one JSON object, but found list. Write {{"text": …}}.'
    assert [line.split(":")[1] for line in lines[:10]] == [str(n) for n in range(2, 12)]
    assert lines[10:] == ["… and 2 more of 12 problems"]


def test_a_file_without_gold_is_refused(tmp_path: Path, tiny_codebook: Codebook) -> None:
    file = write(tmp_path / "gold.jsonl")
    with pytest.raises(RecordError) as refused:
        load_gold(file, tiny_codebook)
    assert str(refused.value) == f"{file}: expected at least one gold record, but found none. Check the file."


def test_a_missing_file_of_gold_is_refused(tmp_path: Path, tiny_codebook: Codebook) -> None:
    with pytest.raises(RecordError) as refused:
        load_gold(tmp_path / "none.jsonl", tiny_codebook)
    assert str(refused.value) == (
        f"{tmp_path}/none.jsonl: expected a file of gold records, but found: No such file or directory. Check the path."
    )


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.sampled_from(["beef", "meat", "kale"])
ITEMS = st.dictionaries(
    st.sampled_from(["text", "target", "label", "start", "end"]), VALUES | st.lists(VALUES, max_size=2)
)


@given(
    changes=st.dictionaries(
        st.sampled_from(["id", "text", "foods", "stage", "verdict", "targets"]),
        VALUES | st.lists(VALUES | ITEMS, max_size=3) | ITEMS,
    )
)
def test_no_record_does_worse_than_a_refusal(tiny_codebook: Codebook, changes: dict[str, Any]) -> None:
    for read in (
        lambda record: read_sentence(record, "in.jsonl:7", "7"),
        lambda record: gold_sentence(record, tiny_codebook, "in.jsonl:7"),
    ):
        try:
            sentence = read({**GOLD, **changes})
        except RecordError as refused:
            message = str(refused)
        else:
            message = "in.jsonl:7: "
            assert sentence.text.strip()
        assert message.startswith("in.jsonl:7: ")


@pytest.mark.parametrize("given", ["start", ["start"]])
def test_the_label_of_an_exclusive_axis_may_stand_alone(exclusive_codebook: Codebook, given: object) -> None:
    assert gold_sentence({"text": "Sear.", "stage": given}, exclusive_codebook, "g").labels == {"stage": {"start"}}


@pytest.mark.parametrize(("given", "found"), [([], 0), (["start", "finish"], 2)])
def test_an_exclusive_axis_with_another_number_of_labels_is_refused(
    exclusive_codebook: Codebook, given: list[str], found: int
) -> None:
    message = f"g:1: axis 'stage' expected exactly one label, but found {found}. Keep the one that holds best."
    with pytest.raises(RecordError, match=f"^{re.escape(message)}$"):
        gold_sentence({"text": "Sear.", "stage": given}, exclusive_codebook, "g:1")
