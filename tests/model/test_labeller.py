"""The one path of library, command line and HTTP: records and documents in, labelled records out."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.artifact import Artifact
from model.codebook import Codebook
from model.errors import ArtifactError
from model.jsonl import dumps
from model.labeller import MAX_DOCUMENT_CHARACTERS, Labeller, summarise
from model.records import MAX_CHARACTERS, GoldSentence, Sentence
from model.spans import Span

BEEF = "First sear the beef hard."
LAMB = "Serve the lamb with rice at once."

PAGE = """# Beef for a Sunday: how to cook it without haste

By Ana Cook

12 March 2024

First sear the beef hard 🥩 in a wide pan with a little oil and salt. Then simmer the kale slowly until the leaves are soft and dark.

Image: A pan on the stove. Photo: Getty Images

Serve the lamb with rice at once, while the plates are hot and the bread is fresh. The ham was delicious, the cook said.

Read more: Ten ways to cook a leek

Subscribe to our newsletter

Copyright 2024 Kitchen Weekly. All rights reserved.
"""  # fmt: skip
STORY = [
    "Beef for a Sunday: how to cook it without haste",
    "First sear the beef hard 🥩 in a wide pan with a little oil and salt.",
    "Then simmer the kale slowly until the leaves are soft and dark.",
    "Serve the lamb with rice at once, while the plates are hot and the bread is fresh.",
    "The ham was delicious, the cook said.",
]
HTML = f"""<html><head><title>Beef for a Sunday</title><meta property="og:site_name" content="Kitchen Weekly"></head>
<body><nav><a href="/">Home</a></nav><article><h1>Beef for a Sunday</h1><p>{STORY[1]} {STORY[2]}</p><p>{STORY[3]}</p>
</article><footer>Copyright 2024</footer></body></html>"""


def spans_of(value: Any) -> Iterator[tuple[dict[str, Any], Span]]:
    """Every part of a record that has a place in the text."""
    if isinstance(value, dict):
        if "start" in value and "end" in value:
            yield value, Span(value["start"], value["end"])
        for key, inner in value.items():
            if key != "scores":
                yield from spans_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from spans_of(inner)


def without_place(record: dict[str, Any], start: int) -> dict[str, Any]:
    """A labelled sentence as it would be outside its document."""
    shifted = json.loads(json.dumps({key: value for key, value in record.items() if key not in ("id", "language")}))
    for part, span in spans_of(shifted):
        part["start"], part["end"] = span.start - start, span.end - start
    return shifted


# ---- Sentences ----


def test_a_labelled_sentence_has_the_fields_of_the_design(tiny_labeller: Labeller) -> None:
    [record] = tiny_labeller.label_records([{"id": "a1:3", "text": BEEF, "targets": ["beef"], "language": "en"}])
    assert list(record) == [
        *("id", "status", "start", "end", "language", "n_tokens", "truncated", "diet", "foods", "stage", "manner"),
        *("targets", "scores", "abstained"),
    ]
    assert (record["id"], record["status"], record["language"]) == ("a1:3", "ok", "en")
    assert (record["start"], record["end"], record["n_tokens"], record["truncated"]) == (0, 25, 6, False)
    assert {axis: list(labels) for axis, labels in record["scores"].items()} == {
        "diet": ["meat", "plant"],
        "stage": ["start", "finish"],
        "manner": ["gentle", "fierce"],
        "verdict": ["tasty", "undecided", "too salty"],
    }


def test_the_tiny_model_has_learnt_its_sentences(tiny_labeller: Labeller) -> None:
    # What the other tests stand on: there are mentions, labels and evidence to look at.
    beef, lamb = tiny_labeller.label_records([BEEF, LAMB])
    assert [(food["text"], food["label"]) for food in beef["foods"]] == [("beef", "meat")]
    assert [(food["text"], food["label"]) for food in lamb["foods"]] == [("lamb", "meat"), ("rice", "staple")]
    assert (beef["diet"], lamb["diet"]) == (["meat"], ["meat"])
    assert [label["label"] for label in beef["stage"]] == ["start"]
    assert [label["label"] for label in lamb["stage"]] == ["finish"]


def test_a_span_slices_back_to_its_own_text(tiny_labeller: Labeller, tiny_gold: list[GoldSentence]) -> None:
    texts = [f"🥩 “{sentence.text}”" for sentence in tiny_gold]
    found = 0
    for text, record in zip(texts, tiny_labeller.label_records(texts), strict=True):
        assert Span(record["start"], record["end"]).of(text) == text
        for part, span in spans_of(record):
            if "text" in part:
                found += 1
                assert part["text"] == span.of(text)
    assert found > len(texts)


def test_a_bare_text_is_numbered_by_its_place(tiny_labeller: Labeller) -> None:
    assert [record["id"] for record in tiny_labeller.label_records([BEEF, {"text": LAMB}])] == ["0", "1"]


def test_records_and_bare_texts_get_the_same_labels(tiny_labeller: Labeller) -> None:
    assert tiny_labeller.label_records([BEEF]) == tiny_labeller.label_records([{"text": BEEF}])
    assert tiny_labeller.label_records([BEEF]) == tiny_labeller.label([Sentence("0", BEEF)])


def test_labels_do_not_depend_on_batch_order(tiny_labeller: Labeller, tiny_gold: list[GoldSentence]) -> None:
    records = [{"id": sentence.id, "text": sentence.text} for sentence in tiny_gold]
    forth = tiny_labeller.label_records(records)
    assert tiny_labeller.label_records(records[::-1]) == forth[::-1]
    assert [label for record in records for label in tiny_labeller.label_records([record])] == forth


def test_targets_come_back_in_the_callers_words_and_order(tiny_labeller: Labeller) -> None:
    [record] = tiny_labeller.label_records([{"text": LAMB, "targets": ["rice", {"start": 10, "end": 14}, "rice"]}])
    assert [(t["target"], t["start"], t["end"]) for t in record["targets"]] == [
        ("rice", 20, 24),
        ("lamb", 10, 14),
        ("rice", 20, 24),
    ]
    assert record["targets"][0] == record["targets"][2]


def test_a_target_that_is_a_mention_gets_the_mentions_label(tiny_labeller: Labeller) -> None:
    [record] = tiny_labeller.label_records([{"text": LAMB, "targets": ["lamb"]}])
    [lamb] = [food["verdict"] for food in record["foods"] if food["text"] == "lamb"]
    assert {key: record["targets"][0][key] for key in ("label", "score")} == lamb


def test_fields_of_the_record_are_carried_through_untouched(tiny_labeller: Labeller) -> None:
    extra = {"outlet": "Kitchen Weekly", "tags": [{"start": 3, "end": 9}], "title": None}
    [record] = tiny_labeller.label_records([{"text": BEEF, **extra}])
    assert {key: record[key] for key in extra} == extra


def test_a_record_that_was_labelled_before_can_be_labelled_again(tiny_labeller: Labeller) -> None:
    # Its old labels and its place in a document give way to the new ones.
    [first] = tiny_labeller.label_records([{"id": "a", "text": BEEF}])
    stale = {
        "start": 210,
        "end": 345,
        "status": "error",
        "error": "stale",
        "foods": [],
        "scores": {},
        "abstained": ["x"],
    }
    assert tiny_labeller.label_records([{**first, **stale, "text": BEEF}]) == [first]


def test_no_records_have_no_labels(tiny_labeller: Labeller) -> None:
    assert tiny_labeller.label_records([]) == []
    assert tiny_labeller.label_documents([]) == []


BAD = [
    ("", "0", "inputs[0]: field 'text': expected a text, but found an empty one. Give the sentence."),
    (
        {"id": "big", "text": "beef " * 20_000},  # 100 kB
        "big",
        "inputs[0]: field 'text': expected at most 10000 characters a sentence, but found 100000. "
        "Split it into shorter ones.",
    ),
    (
        "The \ud83e beef.",
        "0",
        "inputs[0]: field 'text': expected Unicode text, but found a lone surrogate at character 4. Remove it.",
    ),
    (
        {"id": 7, "text": BEEF, "targets": ["lamb"]},
        "7",
        "inputs[0]: field 'targets[0]': expected words of the text, but found 'lamb'. Copy them to the letter.",
    ),
    (
        {"id": "a", "text": BEEF, "targets": [{"start": 15, "end": 26}]},
        "a",
        "inputs[0]: field 'targets[0]': expected 0 <= start < end <= 25 around words, but found start=15, end=26. "
        "Count code points.",
    ),
    (
        {"id": True, "text": BEEF},
        "0",
        "inputs[0]: field 'id': expected a string, but found bool. Give an id or leave it out.",
    ),
    ({"id": "a"}, "a", "inputs[0]: field 'text': expected a text, but found nothing. Give the sentence as a string."),
    (5, "0", 'inputs[0]: expected a record, but found int. Write {"text": …}.'),
    (None, "0", 'inputs[0]: expected a record, but found nothing. Write {"text": …}.'),
    ([BEEF], "0", 'inputs[0]: expected a record, but found list. Write {"text": …}.'),
]  # fmt: skip


@pytest.mark.parametrize(("item", "identifier", "message"), BAD)
def test_a_record_that_cannot_be_labelled_says_why(
    tiny_labeller: Labeller, item: Any, identifier: str, message: str
) -> None:
    assert tiny_labeller.label_records([item]) == [{"id": identifier, "status": "error", "error": message}]


def test_a_bad_record_costs_no_other(tiny_labeller: Labeller) -> None:
    mixed: list[Any] = []
    for item, _, _ in BAD:
        mixed += [{"id": "good", "text": BEEF}, item]
    [wanted] = tiny_labeller.label_records([{"id": "good", "text": BEEF}])
    labelled = tiny_labeller.label_records(mixed, where="lines")
    assert labelled[::2] == [wanted] * len(BAD)
    for n, (record, (_, _, message)) in enumerate(zip(labelled[1::2], BAD, strict=True)):
        assert record["error"] == message.replace("inputs[0]", f"lines[{2 * n + 1}]")


def test_the_longest_sentence_is_labelled_and_marked_as_truncated(tiny_labeller: Labeller) -> None:
    text = "beef " * (MAX_CHARACTERS // 5)
    [record] = tiny_labeller.label_records([{"text": text, "targets": [{"start": 9_990, "end": 9_994}]}])
    assert (record["status"], record["truncated"], record["n_tokens"]) == ("ok", True, 2000)
    assert record["end"] == 10_000
    # The model has not seen so far: the plain label, as sure as a rule.
    assert [(t["label"], t["score"]) for t in record["targets"]] == [("undecided", 1.0)]


@pytest.mark.parametrize("text", ["🥩", "\u200b", "...", "الشاورما لذيذة", "x" * 500, "[SEP]", "a\nb", "\x00"])
def test_any_text_gets_a_record_that_json_can_carry(tiny_labeller: Labeller, text: str) -> None:
    [record] = tiny_labeller.label_records([text])
    assert record["status"] in ("ok", "abstained")
    assert json.loads(dumps(record).encode()) == record


@given(text=st.text(min_size=1, max_size=40))
def test_every_probability_is_one(tiny_labeller: Labeller, text: str) -> None:
    [record] = tiny_labeller.label_records([text])
    if record["status"] == "error":
        assert not text.strip()
        return
    scores = [score for labels in record["scores"].values() for score in labels.values()]
    assert all(0.0 <= score <= 1.0 for score in scores)
    for part, span in spans_of(record):
        assert 0 <= span.start <= span.end <= len(text)
        assert part.get("text", span.of(text)) == span.of(text)


# ---- Documents ----


def test_sentences_of_a_page_are_those_of_its_story_with_their_places(tiny_labeller: Labeller) -> None:
    [document] = tiny_labeller.label_documents([{"id": "a1", "text": PAGE}])
    sentences = document["sentences"]
    assert [Span(s["start"], s["end"]).of(PAGE) for s in sentences] == STORY
    assert [s["id"] for s in sentences] == ["a1:1", "a1:2", "a1:3", "a1:4", "a1:5"]
    for part, span in spans_of(sentences):
        if "text" in part:
            assert part["text"] == span.of(PAGE)


def test_a_sentence_gets_the_same_labels_in_a_document_as_alone(tiny_labeller: Labeller) -> None:
    [document] = tiny_labeller.label_documents([{"id": "a1", "text": PAGE}])
    alone = tiny_labeller.label_records(STORY)
    for sentence, wanted in zip(document["sentences"], alone, strict=True):
        assert sentence["start"] > 0
        assert without_place(sentence, sentence["start"]) == without_place(wanted, 0)


def test_a_documents_fields_win_over_what_its_page_says(tiny_labeller: Labeller) -> None:
    [plain, named] = tiny_labeller.label_documents(
        [{"text": PAGE}, {"id": "b", "text": PAGE, "title": "T", "outlet": ""}]
    )
    assert (plain["id"], plain["title"], plain["outlet"]) == ("0", STORY[0], "Kitchen Weekly")
    assert plain["published_at"] == "2024-03-12"
    assert (named["id"], named["title"], named["outlet"]) == ("b", "T", "Kitchen Weekly")


def test_a_document_carries_its_other_fields_and_its_language(tiny_labeller: Labeller) -> None:
    extra = {"language": "en", "section": ["food", {"a": 1}]}
    [document] = tiny_labeller.label_documents([{"id": "a1", "text": BEEF, **extra}])
    assert {key: document[key] for key in extra} == extra
    assert [s["language"] for s in document["sentences"]] == ["en"]
    assert "text" not in document  # the caller has it


def test_a_page_in_html_comes_with_the_text_that_its_offsets_count_in(tiny_labeller: Labeller) -> None:
    [document] = tiny_labeller.label_documents([{"id": "a1", "html": HTML}])
    assert (document["title"], document["outlet"]) == ("Beef for a Sunday", "Kitchen Weekly")
    spans = [Span(s["start"], s["end"]) for s in document["sentences"]]
    assert [span.of(document["text"]) for span in spans] == ["Beef for a Sunday", *STORY[1:4]]
    assert "html" not in document


BAD_DOCUMENTS = [
    ({"id": "a"}, "a", "expected one of the fields 'text' and 'html', but found neither. Give one of them."),
    (
        {"id": "a", "text": PAGE, "html": HTML},
        "a",
        "expected one of the fields 'text' and 'html', but found text and html. Give one of them.",
    ),
    ({"id": "a", "text": ""}, "a", "field 'text': expected a text, but found an empty one. Give the document."),
    ({"id": "a", "text": 5}, "a", "field 'text': expected a text, but found int. Give the document as a string."),
    ({"id": "a", "text": HTML}, "a", "field 'text': expected plain text, but found HTML. Give it as 'html'."),
    (
        {"id": 3, "html": "<p></p>"},
        "3",
        "field 'html': expected a page with an article, but found none. Give its words as 'text'.",
    ),
    (
        {"id": "a", "text": "x" * (MAX_DOCUMENT_CHARACTERS + 1)},
        "a",
        "field 'text': expected at most 1000000 characters a document, but found 1000001. Split it into shorter ones.",
    ),
    (
        {"id": "a", "text": "The \ud83e beef."},
        "a",
        "field 'text': expected Unicode text, but found a lone surrogate at character 4. Remove it.",
    ),
    ({"id": False, "text": PAGE}, "0", "field 'id': expected a string, but found bool. Give an id or leave it out."),
    (PAGE, "0", 'expected a record, but found str. Write {"text": …}.'),
]  # fmt: skip


@pytest.mark.parametrize(("item", "identifier", "message"), BAD_DOCUMENTS)
def test_a_document_that_cannot_be_read_says_why(
    tiny_labeller: Labeller, item: Any, identifier: str, message: str
) -> None:
    wanted = {"id": identifier, "status": "error", "error": f"documents[0]: {message}"}
    assert tiny_labeller.label_documents([item]) == [wanted]
    assert tiny_labeller.label_documents([item], ["in.jsonl:4"]) == [wanted | {"error": f"in.jsonl:4: {message}"}]


def test_a_bad_document_costs_no_other(tiny_labeller: Labeller) -> None:
    mixed: list[Any] = []
    for item, _, _ in BAD_DOCUMENTS:
        mixed += [item, {"id": "good", "text": PAGE}]
    [wanted] = tiny_labeller.label_documents([{"id": "good", "text": PAGE}])
    labelled = tiny_labeller.label_documents(mixed)
    assert [document["status"] for document in labelled[::2]] == ["error"] * len(BAD_DOCUMENTS)
    assert labelled[1::2] == [wanted] * len(BAD_DOCUMENTS)


def test_a_document_that_says_it_failed_before_shifts_no_labels_to_others(tiny_labeller: Labeller) -> None:
    stale = {"status": "error", "error": "stale", "sentences": [], "summary": {}}
    first, second = tiny_labeller.label_documents([{"id": "a", "text": BEEF, **stale}, {"id": "b", "text": LAMB}])
    assert [first] == tiny_labeller.label_documents([{"id": "a", "text": BEEF}])
    assert [second] == tiny_labeller.label_documents([{"id": "b", "text": LAMB}])


def test_a_sentence_that_is_too_long_costs_the_document_no_other(tiny_labeller: Labeller) -> None:
    text = f"{BEEF}\n\n{'beef ' * 2500}is long.\n\n{LAMB}"
    assert len("beef " * 2500 + "is long.") == 12_508
    [document] = tiny_labeller.label_documents([{"id": "a1", "text": text}])
    first, long, last = document["sentences"]
    assert Span(first["start"], first["end"]).of(text) == BEEF
    assert long == {
        "id": "a1:2",
        "status": "error",
        "error": "a1: characters 27 to 12535: expected at most 10000 characters a sentence, but found 12508. "
        "Split it into shorter ones.",
    }
    assert (last["id"], Span(last["start"], last["end"]).of(text)) == ("a1:3", LAMB)
    assert (document["status"], document["summary"]["sentences"], document["summary"]["errors"]) == ("ok", 2, 1)


# ---- Summaries ----


def labelled(foods: list[tuple[str, str]], stage: list[str], manner: list[str], abstained: list[str]) -> dict[str, Any]:
    """A labelled sentence, as far as summaries look at it; foods as (label, verdict)."""
    return {
        "status": "ok",
        "diet": sorted({label for label, _ in foods} - {"staple"}),
        "foods": [{"label": label, "verdict": {"label": verdict}} for label, verdict in foods],
        "stage": [{"label": label} for label in stage],
        "manner": [{"label": label} for label in manner],
        "abstained": abstained,
    }


def test_a_summary_counts_mentions_sentences_and_doubts(tiny_codebook: Codebook) -> None:
    records = [
        labelled([("meat", "tasty"), ("meat", "undecided"), ("plant", "tasty")], ["start"], ["fierce"], ["foods"]),
        labelled([("meat", "undecided")], ["start", "finish"], [], []),
        labelled([("staple", "too salty")], [], [], ["foods", "verdict"]),
        {"status": "error", "error": "too long"},
    ]
    assert summarise(records, tiny_codebook) == {
        "sentences": 3,
        "errors": 1,
        "foods": {"meat": 3, "plant": 1, "staple": 1},  # mentions
        "diet": {"meat": {"count": 2, "rate": 0.6667}, "plant": {"count": 1, "rate": 0.3333}},  # sentences, of 3
        "verdict": {"tasty": 2, "undecided": 2, "too salty": 1},  # mentions
        "stage": {"start": {"count": 2, "rate": 0.6667}, "finish": {"count": 1, "rate": 0.3333}},
        "manner": {"gentle": {"count": 0, "rate": 0.0}, "fierce": {"count": 1, "rate": 0.3333}},
        "abstained": {"foods": 2, "stage": 0, "manner": 0, "verdict": 1},
    }


def test_a_summary_of_nothing_holds_zeros(tiny_codebook: Codebook) -> None:
    summary = summarise([{"status": "error", "error": "too long"}], tiny_codebook)
    assert (summary["sentences"], summary["errors"]) == (0, 1)
    assert summary["stage"] == {"start": {"count": 0, "rate": 0.0}, "finish": {"count": 0, "rate": 0.0}}
    assert summary["foods"] == {"meat": 0, "plant": 0, "staple": 0}


def test_a_documents_summary_is_that_of_its_sentences(tiny_labeller: Labeller) -> None:
    [document] = tiny_labeller.label_documents([{"id": "a1", "text": PAGE}])
    sentences = document["sentences"]
    assert document["summary"] == summarise(sentences, tiny_labeller.codebook)
    assert document["summary"]["sentences"] == len(STORY)
    assert sum(document["summary"]["foods"].values()) == sum(len(s["foods"]) for s in sentences)


# ---- Loading ----


def test_a_labeller_loads_from_the_folder_of_an_artifact(tiny_labeller: Labeller, tiny_artifact: Artifact) -> None:
    loaded = Labeller.load(tiny_artifact.folder, threads=1)
    assert loaded.model_info == tiny_labeller.model_info
    assert loaded.label_records([BEEF]) == tiny_labeller.label_records([BEEF])


def test_a_labeller_does_not_load_from_elsewhere(tmp_path: Any) -> None:
    with pytest.raises(ArtifactError, match="expected a serving artifact, but found no manifest.json"):
        Labeller.load(tmp_path)
