"""The sources of gold: licences, stand-off records that get their texts back, and what is said of missing ones."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from model.errors import ConfigError
from model.jsonl import dumps, read_file
from model.records import gold_sentence
from model.spans import Span
from training.project import CODEBOOK, ROOT, SOURCES, load_project_sources
from training.sources import (
    TRAIN,
    TRAINING_LICENCES,
    TRANSFER,
    Source,
    article_name,
    document_id,
    load_source,
    load_sources,
    read_documents,
    restore,
)
from training.standoff import drop_nested, standoff_record

CORPORA = ROOT.parent / "shared/corpora"
SHIPPED = load_sources(SOURCES)
STANDOFF = [source for source in SHIPPED if source.corpus and source.file]
needs_corpora = pytest.mark.skipif(not CORPORA.is_dir(), reason=f"no public corpora at {CORPORA}")

FIELDS = sorted(Source.__dataclass_fields__)
ENTRY = {"name": "diary", "role": "train", "licence": "MIT", "annotators": "a reader", "file": "diary.jsonl"}


def refused(folder: Path, entry: dict[str, object], message: str) -> None:
    path = folder / "sources.yaml"
    path.write_text(json.dumps({"annotations": [entry]}), encoding="utf-8")  # JSON is YAML
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{path}: diary: {message}')}$"):
        load_sources(path)


@pytest.mark.parametrize("licence", ["none stated", "CC BY-NC 4.0", "", "research only"])
def test_a_source_that_may_not_train_is_refused(tmp_path, licence):
    refused(
        tmp_path,
        ENTRY | {"licence": licence},
        "licence: expected one that allows training (Apache-2.0, CC BY 4.0, MIT, quotation of published articles), "
        f"but found {licence!r}. Give it the role 'transfer' or 'benchmark: true', or leave it out.",
    )


def test_a_source_of_any_licence_may_measure_transfer(tmp_path):
    path = tmp_path / "sources.yaml"
    path.write_text(json.dumps({"annotations": [ENTRY | {"role": "transfer", "licence": "none stated"}]}))
    assert [source.role for source in load_sources(path)] == [TRANSFER]


def test_an_unknown_field_is_refused(tmp_path):
    refused(tmp_path, ENTRY | {"texst": "a"}, f"expected fields {FIELDS}, but found ['texst']. Remove them.")


def test_a_missing_field_is_refused(tmp_path):
    entry = {key: value for key, value in ENTRY.items() if key != "licence"}
    path = tmp_path / "sources.yaml"
    path.write_text(json.dumps({"annotations": [entry]}))
    with pytest.raises(
        ConfigError, match=r"diary: expected name, role, licence and annotators, but found: .*'licence'"
    ):
        load_sources(path)


def test_an_unknown_role_is_refused(tmp_path):
    refused(tmp_path, ENTRY | {"role": "dev"}, "role: expected one of ['train', 'transfer'], but found 'dev'.")


def test_every_shipped_source_that_trains_has_a_licence_and_its_annotators():
    for source in SHIPPED:
        assert source.annotators
        assert source.role == TRANSFER or source.licence.startswith(TRAINING_LICENCES)


# A corpus of recipes, and its annotation: white space is folded, and offsets count code points, not bytes.
DOCUMENT = "Crème  brûlée first.\nSear the beef 🔥 with the kale.\tServe."
SENTENCE = "Sear the beef 🔥 with the kale."


def annotated(text: str = SENTENCE) -> dict[str, object]:
    return {
        "id": f"recipes/r1/{hashlib.sha1(text.encode()).hexdigest()[:10]}",
        "doc": "r1",
        "corpus": "recipes",
        "text": text,
        "foods": [
            {"text": "beef", "start": 9, "end": 13, "label": "meat"},
            {"text": "kale", "start": 25, "end": 29, "label": "plant"},
        ],
        "stage": ["start"],
        "verdict": [{"target": "kale", "start": 25, "end": 29, "label": "tasty"}],
    }


@pytest.fixture
def recipes(tmp_path, tiny_codebook):
    """A corpus of one document, and a source whose file holds its stand-off annotation."""
    folder = tmp_path / "corpora/recipes"
    folder.mkdir(parents=True)
    (folder / "texts.jsonl").write_text(json.dumps({"id": "r1", "text": DOCUMENT}) + "\n", encoding="utf-8")
    source = Source("recipes", TRAIN, "MIT", "a reader", file="recipes.jsonl", corpus="recipes", texts="texts.jsonl")
    axes = {axis.name: axis.kind for axis in tiny_codebook.axes if axis.name != "manner"}
    document = read_documents(source, folder / "texts.jsonl")["r1"]
    record = standoff_record(annotated(), document, source, axes)
    (tmp_path / "recipes.jsonl").write_text(json.dumps(record) + "\n", encoding="utf-8")
    return source


def test_a_stand_off_record_holds_no_word_of_the_corpus(tmp_path, recipes):
    assert not re.search("sear|beef|kale", (tmp_path / "recipes.jsonl").read_text(), re.IGNORECASE)


def test_a_stand_off_record_gets_its_exact_text_and_spans_back(tmp_path, recipes, tiny_codebook):
    [sentence] = load_source(recipes, tmp_path, tmp_path / "corpora", tiny_codebook).gold
    assert sentence.text == SENTENCE
    assert hashlib.sha1(sentence.text.encode()).hexdigest()[:10] == sentence.id.rsplit("/", 1)[-1]
    assert sentence.article == "recipes/r1"
    assert [(m.span.of(sentence.text), m.label) for m in sentence.mentions] == [("beef", "meat"), ("kale", "plant")]
    assert [(t.span, t.label) for t in sentence.targets] == [(Span(25, 29), "tasty")]
    assert sentence.labels == {"stage": frozenset(["start"])}  # manner was not annotated


def test_a_record_whose_text_has_changed_is_left_out_and_named(tmp_path, recipes, tiny_codebook):
    texts = tmp_path / "corpora/recipes/texts.jsonl"
    texts.write_text(json.dumps({"id": "r1", "text": DOCUMENT.replace("beef", "veal")}) + "\n", encoding="utf-8")
    loaded = load_source(recipes, tmp_path, tmp_path / "corpora", tiny_codebook)
    assert loaded.gold == []
    assert loaded.missing == f"1 sentences are not in the texts at hand, such as {annotated()['id']}"


def test_a_document_that_is_gone_restores_nothing(tmp_path, recipes, tiny_codebook):
    record = json.loads((tmp_path / "recipes.jsonl").read_text())
    assert restore(record, {}, tiny_codebook) is None


def test_missing_corpora_are_said_and_not_fatal(tmp_path, recipes, tiny_codebook):
    for corpora, called in ((None, "none given"), (tmp_path / "none", str(tmp_path / "none"))):
        loaded = load_source(recipes, tmp_path, corpora, tiny_codebook)
        assert loaded.gold == []
        assert loaded.missing == f"no texts of recipes in the corpora folder ({called}); see --corpora"


def test_a_missing_file_of_records_is_said_and_not_fatal(tmp_path, tiny_codebook):
    loaded = load_source(Source("diary", TRAIN, "MIT", "me", file="diary.jsonl"), tmp_path, None, tiny_codebook)
    assert (loaded.gold, loaded.missing) == ([], f"{tmp_path / 'diary.jsonl'} does not exist")


def test_the_project_loads_without_corpora_and_says_on_stderr_what_is_left_out(capsys, codebook):
    loaded = load_project_sources(None, codebook)
    said = " ".join(capsys.readouterr().err.split())
    for item in loaded:
        assert (f"{item.source.name}: left out: {item.missing}" in said) == bool(item.missing)
        if item.source.corpus:
            assert item.gold == []
    assert sum(len(item.gold) for item in loaded) >= 1300  # the authored sentences at least


def test_rows_of_one_document_are_joined_and_what_is_dropped_counts_for_no_offset(tmp_path):
    texts = tmp_path / "texts.jsonl"
    rows = [("a", "One  #tag two."), ("b", "Four."), ("a", "Three\nhttps://t.co/x end."), ("a", "One  #tag two.")]
    texts.write_text("".join(json.dumps({"doc": key, "words": words}) + "\n" for key, words in rows))
    source = Source("s", TRAIN, "MIT", "me", id_field="doc", text_field="words", drop=(r"https?://\S+", r"#\S+"))
    assert read_documents(source, texts) == {"a": "One two. Three end.", "b": "Four."}


def test_an_id_pattern_takes_the_documents_part_of_an_id():
    source = Source("s", TRAIN, "MIT", "me", id_pattern=r"^(\w+?_\d+)_")
    assert document_id(source, {"id": "polusa_12_7_Ted Cruz_0_3"}) == "polusa_12"
    assert document_id(source, {"id": "other"}) == "other"


def test_an_article_pattern_takes_the_articles_part_of_a_documents_id():
    source = Source("s", TRAIN, "MIT", "me", corpus="news", article_pattern=r"^(.+)_-?\d+$")
    assert [article_name(source, name) for name in ("polusa_12_7", "polusa_12_-1", "x")] == ["news/polusa_12"] * 2 + [
        "news/x"
    ]


def test_a_source_may_call_its_articles_by_another_field(tmp_path, tiny_codebook):
    (tmp_path / "notes.jsonl").write_text(
        "".join(dumps({"id": n, "text": "Serve.", "day": n // 2}) + "\n" for n in range(4))
    )
    source = Source("notes", TRAIN, "MIT", "me", file="notes.jsonl", article_field="day")
    gold = load_source(source, tmp_path, None, tiny_codebook).gold
    assert [s.article for s in gold] == ["0", "0", "1", "1"]
    assert {s.extra["source"] for s in gold} == {"notes"}


def test_of_nested_spans_the_longest_is_kept():
    spans = [[0, 4, "a"], [0, 12, "b"], [12, 20, "c"], [15, 18, "d"]]
    assert drop_nested(spans) == [[0, 12, "b"], [12, 20, "c"]]


def test_rows_of_one_sentence_become_one_sentence_with_several_targets(tmp_path, tiny_codebook):
    folder = tmp_path / "recipes"
    folder.mkdir()
    text = "Beef beats kale."
    rows = [("1_2_kale_11_15", 11, 15, -1), ("1_2_beef_0_4", 0, 4, 1), ("1_2_Beef_0_4", 0, 4, 0)]
    lines = [{"id": i, "sentence": text, "from": a, "to": b, "polarity": p} for i, a, b, p in rows]
    (folder / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    source = Source(
        "r", TRAIN, "MIT", "me", corpus="recipes", texts="t.jsonl", text_field="sentence", axis="verdict",
        id_pattern=r"^(\d+_\d+)_", article_pattern=r"^(\d+)_",
        labels={"-1": "too salty", "0": "undecided", "1": "tasty"},
    )  # fmt: skip
    [sentence] = load_source(source, tmp_path, tmp_path, tiny_codebook).gold
    assert (sentence.text, sentence.article) == (text, "recipes/1")
    # A span has one label: the first row's.
    assert [(t.span.of(text), t.label) for t in sentence.targets] == [("kale", "too salty"), ("Beef", "tasty")]
    assert sentence.mentions is None
    assert sentence.labels == {}


@pytest.mark.parametrize("source", [s for s in SHIPPED if not s.corpus], ids=lambda s: s.name)
def test_every_file_of_whole_records_loads(source, codebook):
    if not (ROOT / source.file).exists():
        pytest.skip(f"{source.file} is not there yet")
    loaded = load_source(source, ROOT, None, codebook)
    assert loaded.missing is None
    assert len(loaded.gold) > 50


@pytest.mark.parametrize("source", STANDOFF, ids=lambda s: s.name)
def test_every_stand_off_file_loads_under_the_codebook(source, codebook):
    ids = set()
    for line in read_file(ROOT / source.file):
        assert line.problem is None
        record = line.record
        start, end = record["at"]
        # Any text of the right length will do: labels and spans are checked against it.
        text = "".join(chr(ord("a") + n % 26) for n in range(end - start))
        fake = record | {"id": f"x/{hashlib.sha1(text.encode()).hexdigest()[:10]}"}
        whole = restore(fake, {record["article_id"]: " " * start + text}, codebook)
        assert gold_sentence(whole, codebook, f"{source.file}:{line.number}").mentions is not None
        assert record["id"].startswith(f"{source.corpus}/{record['article_id']}/")
        ids.add(record["id"])
    assert len(ids) >= 200


def test_every_stand_off_file_of_the_project_belongs_to_a_source():
    named = {source.file for source in STANDOFF}
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "data/annotations").glob("*.jsonl")} == named


@needs_corpora
@pytest.mark.parametrize("source", STANDOFF, ids=lambda s: s.name)
def test_the_corpora_restore_every_sentence(source, codebook):
    loaded = load_source(source, ROOT, CORPORA, codebook)
    records = [line.record for line in read_file(ROOT / source.file)]
    assert loaded.missing is None
    assert [sentence.id for sentence in loaded.gold] == [record["id"] for record in records]
    for sentence in loaded.gold:
        assert hashlib.sha1(sentence.text.encode()).hexdigest()[:10] == sentence.id.rsplit("/", 1)[-1]
        assert sentence.text == " ".join(sentence.text.split())


@needs_corpora
def test_a_corpus_read_twice_gives_its_articles_the_same_names(codebook):
    # NewsMTSC is read once under our annotation and once under its own: the split must know the articles again.
    by_name = {s.name: load_source(s, ROOT, CORPORA, codebook).gold for s in SHIPPED if s.corpus == "newsmtsc"}
    annotated_articles = {s.article for s in by_name["newsmtsc"]}
    all_articles = {s.article for s in by_name["newsmtsc-targets"]}
    assert annotated_articles <= all_articles
    assert all(re.fullmatch(r"newsmtsc/(allsides|polusa)(_v\d)?(_-?\d+){1,2}", name) for name in all_articles)


@needs_corpora
def test_the_targets_of_a_corpus_slice_to_words(codebook):
    [source] = [s for s in SHIPPED if s.corpus and not s.file]
    gold = load_source(source, ROOT, CORPORA, codebook).gold
    assert len(gold) > 7000
    for sentence in gold:
        for target in sentence.targets:
            words = target.span.of(sentence.text)
            assert words == words.strip() != ""


def test_the_codebook_that_sources_are_read_under_is_the_projects():
    assert CODEBOOK == ROOT / "data/codebook.yaml"
