"""What a second run into the same folder does: nothing, refuse what differs, begin anew, or score what is new."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.artifact import Artifact
from model.jsonl import dumps
from serving.archive import ArchiveOptions, score_archive
from serving.archive.errors import ArchiveError
from serving.archive.formats import ReadOptions
from tests.serving.archive.kitchen import content, make_documents, rows, write_archive


@pytest.fixture(scope="module")
def options(tiny_artifact: Artifact) -> ArchiveOptions:
    return ArchiveOptions(model=tiny_artifact.folder, shard_size=5, workers=None, all_languages=True)


@pytest.fixture
def archive(tmp_path: Path) -> list[str]:
    return write_archive(tmp_path / "archive", 12)


@pytest.fixture
def out(tmp_path: Path, archive: list[str], options: ArchiveOptions) -> Path:
    score_archive(archive, tmp_path / "out", options)
    return tmp_path / "out"


def refused(archive: list[str], out: Path, options: ArchiveOptions) -> str:
    before = content(out)
    with pytest.raises(ArchiveError) as refusal:
        score_archive(archive, out, options)
    assert content(out) == before
    return str(refusal.value)


def append(path: str, *documents: dict[str, Any]) -> None:
    with Path(path).open("a", encoding="utf-8") as file:
        file.writelines(f"{dumps(document)}\n" for document in documents)


# ---- Nothing has changed ----


def test_a_finished_run_is_left_as_it_is(archive: list[str], out: Path, options: ArchiveOptions) -> None:
    before, finished = content(out), (out / "manifest.json").read_bytes()
    result = score_archive(archive, out, options)
    assert result.was_complete
    assert result.counts == before["counts"]
    assert content(out) == before
    assert (out / "manifest.json").read_bytes() == finished


def test_workers_are_no_part_of_the_result(archive: list[str], out: Path, options: ArchiveOptions) -> None:
    assert score_archive(archive, out, replace(options, workers=1)).was_complete


# ---- Something has ----


def test_another_option_is_refused(archive: list[str], out: Path, options: ArchiveOptions) -> None:
    assert refused(archive, out, replace(options, all_languages=False)) == (
        "option all_languages: expected True, with which the run was begun, but found False. Give the same, or start "
        "anew with --fresh."
    )
    assert refused(archive, out, replace(options, read=ReadOptions(text_field="body"))) == (
        "option text_field: expected 'text', with which the run was begun, but found 'body'. Give the same, or start "
        "anew with --fresh."
    )


def test_another_model_is_refused(
    archive: list[str], out: Path, options: ArchiveOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = json.loads((out / "run.json").read_bytes())
    ours = run["model"]["sha256"]
    run["model"]["sha256"] = "f" * 64
    (out / "run.json").write_text(json.dumps(run))
    assert refused(archive, out, options) == (
        f"model: expected ffffffffffff…, with which the run was begun, but found {ours[:12]}…. Use the same, or start "
        "anew with --fresh."
    )


def test_another_release_of_the_program_is_refused(
    archive: list[str], out: Path, options: ArchiveOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.archive.run.version", lambda name: "9.0")
    assert "newsframe: expected " in refused(archive, out, options)


def test_another_input_is_refused(archive: list[str], out: Path, options: ArchiveOptions) -> None:
    remedy = "Score only what is new with --update, or start anew with --fresh."
    expected = "inputs: expected those that the run was begun with, but found that"
    assert refused(archive[:1], out, options) == f"{expected} {archive[1]} is gone. {remedy}"
    append(archive[0], *make_documents(1))
    assert refused(archive, out, options) == f"{expected} {archive[0]} has changed. {remedy}"
    assert refused(archive[:1], out, options) == f"{expected} {archive[1]} is gone, and 1 more. {remedy}"


def test_an_input_that_grew_while_a_run_was_broken_off_is_refused(
    tmp_path: Path, archive: list[str], options: ArchiveOptions
) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_archive(archive, tmp_path / "out", options, stop)
    append(archive[0], *make_documents(1))
    with pytest.raises(ArchiveError, match=r"part-0\.jsonl has changed"):
        score_archive(archive, tmp_path / "out", options)


def test_an_input_that_grows_during_the_run_counts_as_it_was_found(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, out: Path
) -> None:
    grown: list[int] = []

    def grow(_: object) -> None:
        if not grown:
            append(archive[1], *make_documents(3))
            grown.append(1)

    score_archive(archive, tmp_path / "second", options, grow)
    assert content(tmp_path / "second") == content(out)


def test_a_folder_with_something_else_is_refused(tmp_path: Path, archive: list[str], options: ArchiveOptions) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("Years of work.")
    for asked in (options, replace(options, fresh=True)):
        with pytest.raises(ArchiveError) as refusal:
            score_archive(archive, folder, asked)
        assert str(refusal.value) == (
            f"{folder}: expected an empty folder or that of an earlier run, but found 'thesis.txt'. Choose another "
            "--out."
        )
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


# ---- Fresh ----


def test_fresh_begins_anew_and_removes_only_what_is_its_own(
    archive: list[str], out: Path, options: ArchiveOptions
) -> None:
    (out / "notes.txt").write_text("Mine.")
    (out / "sentences/notes.txt").write_text("Mine too.")
    result = score_archive(archive[:1], out, replace(options, fresh=True, shard_size=100))
    assert not result.was_complete
    assert result.counts["read"] == 8
    assert len(list((out / "sentences").glob("part-*"))) == 1
    assert (out / "notes.txt").read_text() == "Mine."
    assert (out / "sentences/notes.txt").read_text() == "Mine too."


# ---- Update ----


def test_update_scores_new_files_and_new_records_alone(
    tmp_path: Path, archive: list[str], out: Path, options: ArchiveOptions
) -> None:
    before = {path: path.read_bytes() for path in out.glob("*/part-*")}
    append(archive[0], *make_documents(20)[12:15])
    new = tmp_path / "archive/new.jsonl"
    append(str(new), *make_documents(20)[15:20])
    result = score_archive([*archive, str(new)], out, replace(options, update=True))
    assert result.counts["read"] == 16 + 8
    ids = [row["id"] for row in rows(out, "documents")]
    assert ids[12:] == [f"d{n}" for n in range(12, 20)]
    assert len(ids) == len(set(ids)) == 20
    assert {path: path.read_bytes() for path in before} == before
    again = score_archive([*archive, str(new)], out, replace(options, update=True))
    assert again.was_complete
    assert again.counts["read"] == 24


def test_update_finishes_first_what_was_broken_off(tmp_path: Path, archive: list[str], options: ArchiveOptions) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        score_archive(archive, out, options, stop)
    append(archive[1], *make_documents(20)[12:15])
    result = score_archive(archive, out, replace(options, update=True))
    assert result.counts["read"] == 16 + 3
    assert sorted(row["id"] for row in rows(out, "documents")) == sorted(f"d{n}" for n in range(15))


def test_update_refuses_an_input_that_changed_otherwise(archive: list[str], out: Path, options: ArchiveOptions) -> None:
    expected = f"{archive[0]}: expected what was read of it, and new records after that, but found"
    remedy = "Put new records into a file of their own, or start anew with --fresh."
    text = Path(archive[0]).read_text()
    Path(archive[0]).write_text(text.replace("beef", "lamb"))
    assert refused(archive, out, replace(options, update=True)) == f"{expected} other content. {remedy}"
    Path(archive[0]).write_text(text[: len(text) // 2])
    assert refused(archive, out, replace(options, update=True)) == f"{expected} other content. {remedy}"


def test_update_refuses_growth_of_a_record_that_was_incomplete(tmp_path: Path, options: ArchiveOptions) -> None:
    path, out = tmp_path / "a.jsonl", tmp_path / "out"
    whole = "".join(f"{dumps(document)}\n" for document in make_documents(3))
    path.write_text(whole[:-20])
    assert score_archive([str(path)], out, options).counts["rejected"] == 1
    path.write_text(whole)
    assert refused([str(path)], out, replace(options, update=True)) == (
        f"{path}: expected what was read of it, and new records after that, but found other content. Put new records "
        "into a file of their own, or start anew with --fresh."
    )


def test_update_does_without_files_that_are_gone(
    tmp_path: Path, archive: list[str], out: Path, options: ArchiveOptions
) -> None:
    new = tmp_path / "archive/new.jsonl"
    append(str(new), *make_documents(13)[12:])
    result = score_archive([archive[1], str(new)], out, replace(options, update=True))
    assert result.counts["read"] == 16 + 1


def test_fresh_and_update_exclude_each_other() -> None:
    with pytest.raises(ArchiveError) as refusal:
        ArchiveOptions(fresh=True, update=True)
    assert str(refusal.value) == "options: expected fresh or update, but found both. Choose one of them."
