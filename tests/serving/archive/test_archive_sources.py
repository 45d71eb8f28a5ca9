"""Inputs are found once each, in a stable order, and nothing that a run wrote is taken for one."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from model.artifact import Artifact
from serving.archive import ArchiveOptions, score_archive
from serving.archive.errors import ArchiveError
from serving.archive.formats import ReadOptions
from serving.archive.readers import read_items
from serving.archive.sources import find_sources
from tests.serving.archive.kitchen import write_archive

SUFFIXES = (
    ".csv, .htm, .html, .json, .jsonl, .md, .ndjson, .parquet, .tsv, .txt, .warc (all but .parquet also .gz or .zst)"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.jsonl",
        "a/z.csv.gz",
        "a/c.parquet",
        "c.txt",
        ".hidden.txt",
        ".git/x.txt",
        "notes.docx",
        "A.WARC.GZ",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    return tmp_path


def names(folder: Path, *inputs: str, input_format: str = "auto") -> list[str]:
    sources = find_sources([str(folder / name) for name in inputs], input_format)
    return [Path(source.path).relative_to(folder).as_posix() for source in sources]


def test_a_folder_is_searched_in_a_stable_order_and_hidden_files_are_passed_over(folder: Path) -> None:
    assert names(folder, "") == ["A.WARC.GZ", "a/c.parquet", "a/z.csv.gz", "b.jsonl", "c.txt"]


def test_inputs_keep_their_order_and_come_once(folder: Path) -> None:
    assert names(folder, "c.txt", "", "b.jsonl") == ["c.txt", "A.WARC.GZ", "a/c.parquet", "a/z.csv.gz", "b.jsonl"]


def test_a_glob_is_searched_to_any_depth(folder: Path) -> None:
    assert names(folder, "**/*.*") == ["A.WARC.GZ", "a/c.parquet", "a/z.csv.gz", "b.jsonl", "c.txt"]
    assert names(folder, "[bc].*") == ["b.jsonl", "c.txt"]


def test_a_source_has_its_format_compression_size_and_hash(folder: Path) -> None:
    found = {Path(source.path).name: source for source in find_sources([str(folder)])}
    assert {name: (source.format, source.compression) for name, source in found.items()} == {
        "A.WARC.GZ": ("warc", "gzip"),
        "c.parquet": ("parquet", ""),
        "z.csv.gz": ("csv", "gzip"),
        "b.jsonl": ("jsonl", ""),
        "c.txt": ("text", ""),
    }
    assert found["c.txt"].size == 5
    assert found["c.txt"].sha256 == hashlib.sha256(b"c.txt").hexdigest()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"uri": "urn:1", "body_text": "x"}', "ninjs"),
        ('[{"uri": "urn:1", "bodies": []}]', "ninjs"),
        ('{"uri": "urn:1", "standard": {"name": "ninjs"}}', "ninjs"),
        ('{"id": "1", "text": "x"}', "json"),
        ("", "json"),
    ],
)
def test_the_kind_of_a_json_file_is_told_by_its_content(content: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    assert [source.format for source in find_sources([str(path)])] == [expected]


def test_a_format_that_is_named_holds_for_files_of_any_name(folder: Path) -> None:
    assert names(folder, "notes.docx", input_format="text") == ["notes.docx"]
    assert names(folder, "", input_format="text") == ["c.txt", "notes.docx"]


@pytest.mark.parametrize("name", ["run.json", "manifest.json"])
def test_a_folder_that_a_run_wrote_is_no_input(name: str, folder: Path) -> None:
    out = folder / "out"
    (out / "sentences").mkdir(parents=True)
    (out / "sentences/part-00000.parquet").write_bytes(b"x")
    (out / "rejects.jsonl").write_bytes(b"x")
    (out / name).write_text(json.dumps({"inputs": [], "options": {}, "model": {}}))
    assert "out" not in {path.split("/")[0] for path in names(folder, "")}
    assert not [path for path in names(folder, "**/*") if path.startswith("out")]
    (out / name).write_text('{"title": "An article that is called so"}')
    assert "out/rejects.jsonl" in names(folder, "")


@pytest.mark.parametrize("missing", ["run.json", "manifest.json", None])
def test_what_another_run_really_wrote_is_no_input(
    missing: str | None, tmp_path: Path, tiny_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_archive(tmp_path / "in", 3, files=1)
    out = tmp_path / "in/earlier"
    score_archive([tmp_path / "in"], out, ArchiveOptions(model=tiny_artifact.folder, workers=None))
    if missing:
        (out / missing).unlink()
    assert names(tmp_path, "in") == ["in/part-0.jsonl"]
    assert names(tmp_path, "in/**/*") == ["in/part-0.jsonl"]
    # A folder of results that is named itself, one within it, and a glob from inside it.
    for inner in ("in/earlier", "in/earlier/sentences", "in/earlier/*/*.parquet"):
        with pytest.raises(ArchiveError, match="expected files that end in"):
            names(tmp_path, inner)
    monkeypatch.chdir(out / "sentences")
    with pytest.raises(ArchiveError, match="expected files that end in"):
        find_sources(["*.parquet"])
    # What is named file by file is taken: whoever does so means it.
    assert names(tmp_path, "in/earlier/rejects.jsonl") == ["in/earlier/rejects.jsonl"]


def test_another_run_scores_what_lies_beside_earlier_results(tmp_path: Path, tiny_artifact: Artifact) -> None:
    options = ArchiveOptions(model=tiny_artifact.folder, workers=None)
    write_archive(tmp_path / "in", 3, files=1)
    first = score_archive([tmp_path / "in"], tmp_path / "in/first", options)
    second = score_archive([tmp_path / "in"], tmp_path / "in/second", options)
    assert second.counts == first.counts
    # Given again, each run is complete: neither sees the other.
    assert score_archive([tmp_path / "in"], tmp_path / "in/first", options).was_complete


def test_links_that_lead_round_are_not_followed(folder: Path) -> None:
    (folder / "a/up").symlink_to(folder)
    assert names(folder, "") == ["A.WARC.GZ", "a/c.parquet", "a/z.csv.gz", "b.jsonl", "c.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_a_reject(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("x")
    path.chmod(0)
    [source] = find_sources([str(path)])
    assert source.sha256 == ""
    assert [item.error for item in read_items(source, ReadOptions())] == [
        f"{path}: expected a file that can be read, but found: Permission denied. Check the file."
    ]


def test_a_file_that_is_gone_when_it_is_read_is_a_reject(folder: Path) -> None:
    for name in ("c.txt", "a/c.parquet", "A.WARC.GZ"):
        [source] = find_sources([str(folder / name)])
        (folder / name).unlink()
        assert [item.error for item in read_items(source, ReadOptions())] == [
            f"{folder / name}: expected a file that can be read, but found: No such file or directory. Check the file."
        ]


def test_what_is_not_there_or_of_no_known_kind_is_refused(folder: Path) -> None:
    def refusal(name: str, input_format: str = "auto") -> str:
        with pytest.raises(ArchiveError) as refused:
            find_sources([name] if name else [], input_format)
        return str(refused.value)

    (folder / "empty").mkdir()
    hint = "Check the path, or say what the files are with --input-format."
    assert refusal(f"{folder}/none.jsonl") == (
        f"{folder}/none.jsonl: expected a file, a folder or a glob, but found nothing there. Check the path."
    )
    assert refusal(f"{folder}/notes.docx") == (
        f"{folder}/notes.docx: expected a file that ends in {SUFFIXES}, but found .docx. Rename it, or say what it is "
        "with --input-format."
    )
    for name in ("empty", "*.xyz"):
        assert refusal(f"{folder}/{name}") == (
            f"inputs: expected files that end in {SUFFIXES}, but found none in '{folder}/{name}'. {hint}"
        )
    assert refusal("") == f"inputs: expected files that end in {SUFFIXES}, but found none in no input at all. {hint}"
    assert refusal(str(folder), "docx") == (
        "input format: expected one of ['auto', 'csv', 'html', 'json', 'jsonl', 'ninjs', 'parquet', 'text', 'warc'], "
        "but found 'docx'. Choose one of them."
    )


def test_options_that_cannot_be_are_refused() -> None:
    for encoding in ("utf-16", "klingon"):
        with pytest.raises(ArchiveError) as refused:
            ReadOptions(encoding=encoding)
        assert str(refused.value) == (
            f"encoding: expected the name of an encoding that extends ASCII, but found {encoding!r}. "
            "Use utf-8, cp1252 or the like, or convert the files to UTF-8."
        )
    with pytest.raises(ArchiveError) as refused:
        ReadOptions(delimiter="::")
    assert str(refused.value) == ("delimiter: expected one character that parts cells, but found '::'. Use ',' or ';'.")
