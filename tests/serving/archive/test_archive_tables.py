"""What a run writes: the same labels as every other door, in tables that say all, counted right."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from jsonschema import Draft4Validator

from model.artifact import Artifact
from model.codebook import Codebook, parse_codebook
from model.jsonl import dumps
from model.labeller import Labeller, summarise
from serving.archive import ArchiveOptions, score_archive
from serving.archive.errors import ArchiveError
from serving.archive.formats import ReadOptions
from serving.archive.tables import document_schema, rate_columns, score_columns, sentence_schema, span_columns
from tests.conftest import ROOT
from tests.serving.archive.kitchen import SENTENCES, json_lines, make_documents, rows, write_archive
from tests.serving.command_line import records, run, shipped, start

MODEL_FIELDS = ("model", "document", "text", "outlet", "published_at", "repeat_of", "page")


@pytest.fixture(scope="module")
def options(tiny_artifact: Artifact) -> ArchiveOptions:
    return ArchiveOptions(model=tiny_artifact.folder, shard_size=7, workers=None, all_languages=True)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_archive(tmp_path_factory.mktemp("archive"), 15, files=1, bad=False)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, archive: list[str], options: ArchiveOptions) -> Path:
    out = tmp_path_factory.mktemp("scored") / "out"
    score_archive(archive, out, options)
    return out


def write(path: Path, *documents: dict[str, Any]) -> list[str]:
    path.write_text("".join(f"{dumps(document)}\n" for document in documents), encoding="utf-8")
    return [str(path)]


def equal(found: Any, expected: Any, where: str = "") -> None:
    """Fail unless two records are the same, their scores within 1e-3."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key in expected:
            equal(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for n, item in enumerate(expected):
            equal(found[n], item, f"{where}[{n}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=1e-3), where
    else:
        assert found == expected, where


def lines(out: Path, folder: str = "sentences") -> list[dict[str, Any]]:
    return json_lines(*sorted((out / folder).glob("part-*")))


def check_parity(documents: Sequence[dict[str, Any]], labeller: Labeller, found: Sequence[dict[str, Any]]) -> None:
    """Fail unless the archive's records are those of the library, but for what a file's row says besides."""
    expected = [sentence for document in labeller.label_documents(documents) for sentence in document["sentences"]]
    own = [{key: value for key, value in row.items() if key not in MODEL_FIELDS} for row in found]
    for row, record in zip(own, expected, strict=True):
        equal(row | {"language": None}, record, row["id"])


# ---- The same labels everywhere ----


def test_the_archive_gives_the_labels_of_the_library(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, tiny_labeller: Labeller
) -> None:
    score_archive(archive, tmp_path / "out", replace(options, output_format="jsonl"))
    check_parity(make_documents(15), tiny_labeller, lines(tmp_path / "out"))


@shipped
def test_the_shipped_model_labels_an_archive_as_the_library_and_the_command_line_do(tmp_path: Path) -> None:
    seeds = sorted((ROOT / "data/seeds").glob("*.txt"))[:2]
    documents = [{"id": path.stem, "text": path.read_text(encoding="utf-8")[:3000]} for path in seeds]
    archive = write(tmp_path / "seeds.jsonl", *documents)
    done = start("score", *archive, "--out", tmp_path / "out", "--format", "jsonl", "--all-languages", "--workers", "1")
    assert done.returncode == 0, done.stderr
    found = lines(tmp_path / "out")
    check_parity(documents, Labeller.load(threads=1), found)
    by_command = records(start("classify", "--json", "--split", *archive))
    assert [row["id"] for row in by_command] == [row["id"] for row in found]
    for row, record in zip(found, by_command, strict=True):
        equal(
            {key: row[key] for key in record if key != "language"}, {k: v for k, v in record.items() if k != "language"}
        )


def test_sentences_are_labelled_as_they_stand(tmp_path: Path, options: ArchiveOptions, tiny_labeller: Labeller) -> None:
    given = [
        {"id": "a", "text": "First sear the beef. Then simmer the kale."},
        {"id": "b", "text": "The lamb was delicious.", "targets": ["lamb"], "page": 3},
        {"id": "c", "text": "The lamb was delicious."},
        {"id": "d", "text": "The lamb was delicious.", "targets": ["lamb"]},
        {"id": "e", "text": "The lamb was delicious.", "targets": ["beef"]},
    ]
    archive = write(tmp_path / "sentences.jsonl", *given)
    read = ReadOptions(sentences=True)
    result = score_archive(archive, tmp_path / "out", replace(options, read=read, output_format="jsonl"))
    found = lines(tmp_path / "out")
    expected = tiny_labeller.label_records(given[:4])
    own = [{key: value for key, value in row.items() if key not in MODEL_FIELDS} for row in found]
    for row, record in zip(own, expected, strict=True):
        record.pop("page", None)
        equal(row | {"language": None}, record)
    assert found[1]["page"] == 3
    # Equal words with other targets are another question; with the same ones they are not.
    assert [row.get("repeat_of") for row in found] == [None, None, None, "b"]
    assert result.counts["rejected"] == 1
    [reject] = json_lines(tmp_path / "out/rejects.jsonl")
    assert reject["place"] == f"{archive[0]}:5"
    assert "expected words of the text, but found 'beef'" in reject["error"]


def test_a_page_is_scored_with_the_text_that_its_offsets_count_in(tmp_path: Path, options: ArchiveOptions) -> None:
    words = "".join(f"<p>{' '.join(SENTENCES)} And again for page {n}.</p>" for n in range(4))
    page = f"<html><head><title>Dinner</title></head><body><article><h1>Dinner</h1>{words}</article></body></html>"
    archive = write(tmp_path / "pages.jsonl", {"id": "p", "html": page})
    score_archive(archive, tmp_path / "out", options)
    [document] = rows(tmp_path / "out", "documents")
    assert document["title"] == "Dinner"
    for row in rows(tmp_path / "out"):
        assert document["text"][row["start"] : row["end"]] == row["text"]


# ---- The tables ----


def test_columns_and_types_are_those_that_are_stated(out: Path, tiny_artifact: Artifact) -> None:
    for folder, schema in (("sentences", sentence_schema), ("documents", document_schema)):
        expected = schema(tiny_artifact.codebook, tiny_artifact.model_info)
        for part in (out / folder).glob("part-*"):
            file = parquet.ParquetFile(part)
            assert file.schema_arrow.equals(expected)
            assert json.loads(file.schema_arrow.metadata[b"model"]) == tiny_artifact.model_info
            assert file.schema_arrow.metadata[b"codebook"].decode() == tiny_artifact.codebook.source
            assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_every_row_says_which_model_made_it(out: Path, tiny_artifact: Artifact) -> None:
    for row in [*rows(out), *rows(out, "documents")]:
        assert row["model_sha256"] == tiny_artifact.manifest["content"]
        assert row["codebook"] == "kitchen-notes 0.2"


def test_spans_slice_back_to_their_words(out: Path, tiny_codebook: Codebook) -> None:
    texts = {document["id"]: document["text"] for document in make_documents(15)}
    assert tiny_codebook.mention_axis is not None
    seen = 0
    for row in rows(out):
        text = texts[row["document_id"]]
        assert text[row["start"] : row["end"]] == row["text"]
        for span in [*row[tiny_codebook.mention_axis.name], *row["evidence"]]:
            assert text[span["start"] : span["end"]] == span["text"]
            seen += 1
    assert seen > 50


def test_a_document_counts_what_its_sentences_have(out: Path, tiny_labeller: Labeller) -> None:
    labelled = tiny_labeller.label_documents(make_documents(15))
    codebook = tiny_labeller.codebook
    for row, document in zip(rows(out, "documents"), labelled, strict=True):
        expected = summarise(document["sentences"], codebook)
        for axis, label in rate_columns(codebook):
            assert row[f"count.{axis}.{label}"] == expected[axis][label]["count"]
            assert row[f"rate.{axis}.{label}"] == pytest.approx(expected[axis][label]["rate"], abs=1e-6)
        for axis, label in span_columns(codebook):
            assert row[f"count.{axis}.{label}"] == expected[axis][label]
        for axis, count in expected["abstained"].items():
            assert row[f"abstained.{axis}"] == count
        assert row["sentences"] == row["labelled"] == expected["sentences"]


def test_fields_of_the_archive_are_carried(out: Path) -> None:
    documents = make_documents(15)
    assert [json.loads(row["extra"]) for row in rows(out, "documents")] == [{"page": n} for n in range(15)]
    assert [row["outlet"] for row in rows(out, "documents")] == [document["outlet"] for document in documents]
    by_id = {document["id"]: document for document in documents}
    for row in rows(out):
        assert row["published_at"] == by_id[row["document_id"]]["published_at"]
        assert json.loads(row["extra"]) == {"page": by_id[row["document_id"]]["page"]}


def test_fields_that_json_cannot_carry_are_spelt_out(tmp_path: Path, options: ArchiveOptions) -> None:
    import datetime

    import pyarrow as pa

    day = datetime.date(2020, 1, 2)
    table = pa.table({"text": ["Sear the beef."], "day": [day], "price": [float("nan")], "tags": [["a", "b"]]})
    parquet.write_table(table, tmp_path / "a.parquet")
    score_archive([str(tmp_path / "a.parquet")], tmp_path / "out", options)
    extra = json.loads(rows(tmp_path / "out", "documents")[0]["extra"])
    assert (extra["day"], extra["price"], extra["tags"]) == ("2020-01-02", None, ["a", "b"])


def test_an_axis_with_the_name_of_a_column_is_refused(tiny_codebook: Codebook, tiny_artifact: Artifact) -> None:
    clash = parse_codebook(tiny_codebook.source.replace("  manner:", "  outlet:"), "clash.yaml")
    with pytest.raises(ArchiveError) as refusal:
        sentence_schema(clash, tiny_artifact.model_info)
    assert str(refusal.value) == (
        "codebook kitchen-notes: expected axes with names of their own, but found ['outlet'], which are columns of an "
        "archive too. Rename the axis."
    )


# ---- Repeated sentences ----


def test_identical_sentences_are_inferred_once(out: Path) -> None:
    found = rows(out)
    counts = json.loads((out / "manifest.json").read_bytes())["counts"]
    assert counts["inferred"] == len({row["text"] for row in found})
    assert counts["deduplicated"] == len(found) - counts["inferred"] == sum(row["is_repeat"] for row in found)
    first: dict[str, dict[str, Any]] = {}
    for row in found:
        before = first.setdefault(row["text"], row)
        assert row["repeat_of"] == (None if before is row else before["id"])


def test_a_repeated_sentence_has_the_labels_of_the_first_one(out: Path, tiny_codebook: Codebook) -> None:
    labels = [f"scores.{axis}.{label}" for axis, label in score_columns(tiny_codebook)]
    labels += ["status", "n_tokens", *(axis.name for axis in tiny_codebook.sentence_axes)]
    by_id = {row["id"]: row for row in rows(out)}
    for row in by_id.values():
        if row["is_repeat"]:
            assert {name: row[name] for name in labels} == {name: by_id[row["repeat_of"]][name] for name in labels}


@pytest.mark.parametrize("remember", [0, 3])
def test_what_is_forgotten_is_inferred_again_with_the_same_labels(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, out: Path, remember: int
) -> None:
    result = score_archive(archive, tmp_path / "out", replace(options, remember=remember))
    inferred = json.loads((out / "manifest.json").read_bytes())["counts"]["inferred"]
    assert result.counts["inferred"] > inferred
    own = ("is_repeat", "repeat_of")
    found = [{k: v for k, v in row.items() if k not in own} for row in rows(tmp_path / "out")]
    assert found == [{k: v for k, v in row.items() if k not in own} for row in rows(out)]


# ---- Languages and bad records ----

GERMAN = "Zuerst das Rindfleisch in der heißen Pfanne kräftig anbraten und danach langsam schmoren lassen."


def test_a_sentence_in_another_language_is_marked_and_not_labelled(tmp_path: Path, options: ArchiveOptions) -> None:
    english = "First sear the beef in a very hot pan, and then let it simmer slowly for an hour."
    archive = write(tmp_path / "a.jsonl", {"id": "x", "text": f"{english} {GERMAN}"})
    result = score_archive(archive, tmp_path / "out", replace(options, all_languages=False))
    first, second = rows(tmp_path / "out")
    assert (first["language"], first["status"] != "skipped") == ("en", True)
    assert (second["language"], second["status"], second["n_tokens"], second["abstained"]) == (
        "de",
        "skipped",
        None,
        None,
    )
    assert second["text"] == GERMAN
    assert result.counts["skipped"] == 1
    everything = score_archive(archive, tmp_path / "all", options)
    assert everything.counts["skipped"] == 0
    assert rows(tmp_path / "all")[1]["n_tokens"] > 0


def test_bad_records_are_rejected_with_their_place_and_cost_nothing_else(
    tmp_path: Path, options: ArchiveOptions
) -> None:
    archive = write_archive(tmp_path / "archive", 12)
    result = score_archive(archive, tmp_path / "out", options)
    assert (result.counts["read"], result.counts["documents"], result.counts["rejected"]) == (16, 12, 4)
    rejects = json_lines(tmp_path / "out/rejects.jsonl")
    assert [reject["place"] for reject in rejects] == [f"{path}:{n}" for path in archive for n in (4, 5)]
    assert rejects[0]["raw"] == "{no json"
    assert all(reject["error"].startswith(f"{reject['place']}: ") for reject in rejects)


def test_a_sentence_that_is_too_long_is_an_error_in_its_place(tmp_path: Path, options: ArchiveOptions) -> None:
    archive = write(tmp_path / "a.jsonl", {"id": "x", "text": f"{'beef ' * 3000}\n\nSear the lamb."})
    result = score_archive(archive, tmp_path / "out", options)
    first, second = rows(tmp_path / "out")
    assert (first["id"], first["status"], first["start"], first["text"]) == ("x:1", "error", None, None)
    assert "expected at most 10000 characters a sentence" in first["error"]
    assert second["status"] != "error"
    assert result.counts["errors"] == 1


def test_an_unreadable_file_is_a_reject_and_the_others_are_scored(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"no parquet at all")
    result = score_archive([str(bad), *archive], tmp_path / "out", options)
    assert (result.counts["documents"], result.counts["rejected"]) == (15, 1)
    [reject] = json_lines(tmp_path / "out/rejects.jsonl")
    assert reject["place"].startswith(str(bad))


def test_text_that_cannot_be_written_is_spelt_out(tmp_path: Path, options: ArchiveOptions) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "x\\ud800", "text": "Sear the beef.", "outlet": "a\\udfff", "page": "\\ud800"}\n')
    result = score_archive([str(path)], tmp_path / "out", options)
    assert result.counts["read"] == 1
    if result.counts["documents"]:
        [document] = rows(tmp_path / "out", "documents")
        assert document["outlet"] == "a\\udfff"


# ---- News items ----

# The parts of IPTC's ninjs 1.4 schema that an item of ours must keep to: no field but these.
NINJS = {
    "type": "object",
    "required": ["uri"],
    "additionalProperties": False,
    "patternProperties": {"^body_[a-zA-Z0-9_]+": {"type": "string"}},
    "properties": {
        "$standard": {"type": "object", "properties": {"name": {"enum": ["ninjs"]}, "version": {"enum": ["1.4"]}}},
        "uri": {"type": "string", "format": "uri"},
        "type": {"enum": ["text"]},
        "profile": {"type": "string"},
        "language": {"type": "string"},
        "headline": {"type": "string"},
        "versioncreated": {"type": "string"},
        "subject": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {key: {"type": "string"} for key in ("name", "rel", "scheme", "code")},
            },
        },
    },
}


def test_news_items_have_the_labels_as_subjects(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, out: Path, tiny_codebook: Codebook
) -> None:
    score_archive(archive, tmp_path / "out", replace(options, output_format="ninjs"))
    items = lines(tmp_path / "out", "items")
    assert [item["body_text"] for item in items] == [document["text"] for document in make_documents(15)]
    plain = {f"{axis.name}:{axis.plain}" for axis in tiny_codebook.axes}
    for item, row in zip(items, rows(out, "documents"), strict=True):
        Draft4Validator(NINJS).validate(item)
        counts = {
            name.removeprefix("count.").replace(".", ":"): n for name, n in row.items() if name.startswith("count.")
        }
        assert {subject["code"] for subject in item["subject"]} == {code for code, n in counts.items() if n} - plain
        found = [counts[subject["code"]] for subject in item["subject"]]
        assert found == sorted(found, reverse=True)
    assert items[0]["uri"] == "urn:newsframe:item:d0"
    assert items[0]["subject"][0]["scheme"] == "urn:newsframe:kitchen-notes:0.2"


# ---- The command ----


def test_the_command_scores_and_sums_up(tmp_path: Path, archive: list[str], tiny_artifact: Artifact) -> None:
    done = start("score", *archive, "--out", tmp_path / "out", "--model", tiny_artifact.folder, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "records read" in done.stdout
    assert "sentences/s" in done.stdout
    again = start("score", *archive, "--out", tmp_path / "out", "--model", tiny_artifact.folder)
    assert again.returncode == 0
    assert again.stderr == f"{tmp_path / 'out'}: complete already; nothing was left to do.\n"
    quiet = start("score", *archive, "--out", tmp_path / "out", "--model", tiny_artifact.folder, "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_the_command_fails_if_nothing_could_be_read(tmp_path: Path, tiny_artifact: Artifact) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("nothing\n")
    done = start("score", path, "--out", tmp_path / "out", "--model", tiny_artifact.folder, "--workers", "1")
    assert done.returncode == 1
    assert "see rejects.jsonl" in done.stdout


def test_an_empty_file_is_told_of(tmp_path: Path, archive: list[str], tiny_artifact: Artifact) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    told = f"{empty}: expected records, but found none. The file was passed over.\n"
    arguments = ("--model", tiny_artifact.folder, "--workers", "1", "--quiet")
    done = start("score", empty, *archive, "--out", tmp_path / "out", *arguments)
    assert (done.returncode, done.stderr) == (0, told)
    done = start("score", empty, "--out", tmp_path / "nothing", *arguments)
    assert (done.returncode, done.stderr) == (1, told)


def test_options_that_exclude_each_other_are_a_matter_of_usage(tmp_path: Path) -> None:
    for wrong in (["--fresh", "--update"], ["--ray-address", "auto"]):
        assert run("score", "a.jsonl", "--out", tmp_path, *wrong).exit_code == 2


@pytest.mark.parametrize("sentences", [False, True])
@pytest.mark.parametrize(
    ("fields", "outlet"),
    [
        ({"url": "https://www.Fork.example:8080/a?b=1"}, "fork.example"),
        ({"url": "https://fork.example/a", "outlet": "Spoon"}, "Spoon"),
        ({"url": "http://[half/an/address"}, None),
        ({"url": "of no kind"}, None),
        ({}, None),
    ],
)
def test_an_outlet_that_nobody_names_is_the_host_of_the_address(
    fields: dict[str, str], outlet: str | None, sentences: bool, tmp_path: Path, options: ArchiveOptions
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "Sear the beef hard."} | fields) + "\n", encoding="utf-8")
    score_archive([str(path)], tmp_path / "out", replace(options, read=ReadOptions(sentences=sentences)))
    assert [row["outlet"] for row in rows(tmp_path / "out", "documents")] == [outlet]
    assert [row["outlet"] for row in rows(tmp_path / "out")] == [outlet]
