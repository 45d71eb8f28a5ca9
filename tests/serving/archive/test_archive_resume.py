"""Whatever breaks a run, the next one goes on, and what is there at the end is what an unbroken run gives."""

import errno
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from model.artifact import Artifact
from serving.archive import ArchiveOptions, score_archive
from serving.archive.errors import ArchiveError
from serving.archive.repeats import Repeats
from serving.archive.state import locked
from tests.conftest import ROOT
from tests.serving.archive.kitchen import content, json_lines, rows, write_archive

FAKES = ROOT / "../shared/corpora/fa-kes/articles.jsonl"
ARTICLES = 60


@pytest.fixture(scope="module")
def options(tiny_artifact: Artifact) -> ArchiveOptions:
    """Small shards, in this process; the store forgets early, so that forgetting is part of every test."""
    return ArchiveOptions(model=tiny_artifact.folder, shard_size=5, workers=None, remember=12, all_languages=True)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_archive(tmp_path_factory.mktemp("archive"), 24)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, archive: list[str], options: ArchiveOptions) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("unbroken") / "out"
    score_archive(archive, out, options)
    return content(out)


class Killed(BaseException):
    """The end of a process: nothing handles it."""


def break_at(patch: pytest.MonkeyPatch, moment: int, error: Callable[[], BaseException]) -> list[int]:
    """Let the n-th touch of the disk fail: a write's end, a rename, a removal, a commit of the store."""
    touched = [0]

    def breaking(function: Callable[..., Any], after: bool) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **settings: Any) -> Any:
            touched[0] += not after
            if touched[0] == moment and not after:
                raise error()
            result = function(*arguments, **settings)
            touched[0] += 1
            if touched[0] == moment:
                raise error()
            return result

        return wrapped

    patch.setattr(os, "fsync", breaking(os.fsync, after=True))
    patch.setattr(Path, "replace", breaking(Path.replace, after=False))
    patch.setattr(Path, "unlink", breaking(Path.unlink, after=False))
    patch.setattr(Repeats, "store", breaking(Repeats.store, after=False))
    patch.setattr(Repeats, "forget", breaking(Repeats.forget, after=False))
    return touched


def test_a_run_that_breaks_at_any_touch_of_the_disk_ends_like_an_unbroken_one(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, unbroken: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    moment = broken = 0
    while True:
        moment += 7  # further each time, so that every kind of moment has its turn
        with pytest.MonkeyPatch.context() as patch:
            touched = break_at(patch, 30 + moment % 30, Killed)
            try:
                score_archive(archive, out, options)
            except Killed:
                broken += 1
                continue
            assert touched[0] > 0
            break
    assert broken >= 3
    assert content(out) == unbroken


def test_every_moment_of_one_shard_may_be_the_last(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, unbroken: dict[str, Any]
) -> None:
    # Each moment gets a run of its own, which is then continued without a break. A shard has some 20 of them.
    for moment in range(30, 52, 2):
        out = tmp_path / str(moment)
        with pytest.MonkeyPatch.context() as patch:
            break_at(patch, moment, Killed)
            with pytest.raises(Killed):
                score_archive(archive, out, options)
        score_archive(archive, out, options)
        assert content(out) == unbroken, f"broken at touch {moment}"


def test_a_full_disk_ends_the_run_with_a_message_and_loses_nothing(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, unbroken: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    for moment in (30, 47, 61):
        with pytest.MonkeyPatch.context() as patch:
            break_at(patch, moment, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            with pytest.raises(ArchiveError) as refusal:
                score_archive(archive, out, options)
        assert str(refusal.value) == (
            f"{out}: expected room to write, but found the disk full. Make room, then run the same command again to go on."
        )
    score_archive(archive, out, options)
    assert content(out) == unbroken


def test_a_full_disk_under_the_store_of_sentences_is_the_same(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, unbroken: dict[str, Any]
) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Repeats, "store", lambda *_: (_ for _ in ()).throw(sqlite3.OperationalError("database or disk is full"))
        )
        with pytest.raises(ArchiveError, match="expected room to write, but found the disk full"):
            score_archive(archive, out, options)
    score_archive(archive, out, options)
    assert content(out) == unbroken


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux")
def test_a_disk_that_is_really_full(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, unbroken: dict[str, Any]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(ArchiveError, match="expected room to write, but found the disk full"):
            score_archive(archive, disk / "out", options)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        score_archive(archive, disk / "out", options)
        assert content(disk / "out") == unbroken
    finally:
        subprocess.run(["umount", disk], check=True)


def test_two_processes_give_what_none_gives(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, unbroken: dict[str, Any]
) -> None:
    score_archive(archive, tmp_path / "out", replace(options, workers=2))
    assert content(tmp_path / "out") == unbroken


def test_a_process_that_is_ended_from_outside_ends_the_run_with_a_message(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, unbroken: dict[str, Any]
) -> None:
    out = tmp_path / "out"

    def end_a_worker(_: object) -> None:
        for child in children(os.getpid()):
            if "spawn_main" in command_of(child):
                os.kill(child, signal.SIGKILL)

    with pytest.raises(ArchiveError) as refusal:
        score_archive(archive, out, replace(options, workers=2), end_a_worker)
    assert str(refusal.value) == (
        f"{out}: expected 2 processes to live, but found that one was ended, most likely for want of memory. Run the "
        "same command again to go on, with fewer --workers if it recurs."
    )
    score_archive(archive, out, options)
    assert content(out) == unbroken


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path, archive: list[str], options: ArchiveOptions) -> None:
    out = tmp_path / "out"
    with locked(out), pytest.raises(ArchiveError) as refusal:
        score_archive(archive, out, options)
    assert str(refusal.value) == (
        f"{out}: expected a folder that no other run writes into, but found process {os.getpid()} at it. Wait for it, "
        "or choose another --out."
    )


def test_a_part_that_somebody_removed_is_missed(tmp_path: Path, archive: list[str], options: ArchiveOptions) -> None:
    out = tmp_path / "out"
    score_archive(archive, out, options)
    part = out / "sentences/part-000001.parquet"
    size = part.stat().st_size
    part.unlink()
    with pytest.raises(ArchiveError) as refusal:
        score_archive(archive, out, options)
    assert str(refusal.value) == (
        f"{part}: expected a file of {size} bytes, but found none. Bring it back, or start anew with --fresh."
    )


# ---- Real processes, really killed ----


def children(pid: int) -> list[int]:
    """Processes that a process started, and those started by them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(stat.parent.name)
            found += [child, *children(child)]
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def command(archive: list[str], out: Path, options: ArchiveOptions) -> list[str]:
    return [
        sys.executable, "-m", "serving.cli", "score", *archive, "--out", str(out), "--model", str(options.model),
        "--shard-size", str(options.shard_size), "--remember", str(options.remember), "--all-languages", "--workers",
        "2", "--quiet",
    ]  # fmt: skip


def committed(out: Path) -> int:
    """Shards that a run has committed."""
    return len(list((out / "state/shards").glob("[0-9]*.json")))


def kill_at_random(
    archive: list[str], out: Path, options: ArchiveOptions, rng: random.Random, longest: float, at_work: bool
) -> bool:
    """Start a run, and kill it at some moment; whether it was still alive.

    Args:
        longest: Seconds that it may have, at most.
        at_work: Count them from its first commit on, however long it takes to start; else from its taking the lock.
    """
    before = committed(out)
    process = subprocess.Popen(command(archive, out, options), cwd=ROOT, stderr=subprocess.PIPE)
    lock = out / "state/lock"
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        begun = lock.is_file() and lock.read_text() == str(process.pid)
        if begun and (not at_work or committed(out) > before):
            break
        time.sleep(0.005)
    try:
        process.wait(rng.uniform(0.0, longest))
    except subprocess.TimeoutExpired:
        started = children(process.pid)
        process.kill()
        process.communicate()
        gone = time.monotonic() + 10
        while (left := [pid for pid in started if "spawn_main" in command_of(pid)]) and time.monotonic() < gone:
            time.sleep(0.02)
        assert left == [], "processes outlived the one that started them"
        return True
    assert process.stderr is not None
    with process.stderr as messages:
        assert process.returncode == 0, messages.read().decode()
    return False


def kill_many_times(
    archive: list[str], folder: Path, options: ArchiveOptions, kills: int, longest: float, found: list[int]
) -> Iterator[Path]:
    """Kill runs until so many were killed; the folders of all of them, each finished.

    Args:
        found: Takes, for each kill, the number of shards that were committed then.
    """
    rng = random.Random(5)
    done = number = 0
    while done < kills:
        out = folder / f"out-{number}"
        alive = True
        while alive and done < kills:
            alive = kill_at_random(archive, out, options, rng, longest, at_work=done % 2 == 1)
            if alive:
                done += 1
                found.append(committed(out))
        finished = subprocess.run(command(archive, out, options), cwd=ROOT, capture_output=True)
        assert finished.returncode == 0, finished.stderr.decode()
        number += 1
        yield out


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killed_three_times_it_ends_like_an_unbroken_run(
    tmp_path: Path, archive: list[str], options: ArchiveOptions, unbroken: dict[str, Any]
) -> None:
    for out in kill_many_times(archive, tmp_path, options, kills=3, longest=1.5, found=[]):
        assert content(out) == unbroken


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.skipif(not FAKES.is_file(), reason=f"no archive at {FAKES}")
def test_killed_fifty_times_over_real_articles_no_row_is_lost_and_none_is_twice(
    tmp_path: Path, options: ArchiveOptions
) -> None:
    """Fifty times, the process of `newsframe score` gets SIGKILL, at a random moment.

    Every other time the moment is one after it has taken its lock, while it goes through what was committed and its
    two worker processes start; every other time one after its first commit, while they work. No process of it may be
    left: the workers must end by themselves. A folder is gone on with until a run in it ends alive, or the fifty are
    through and one run more ends it; then the next folder is begun. Each gives the bytes of an unbroken run in one
    process, and its rows and rejects are what was read, each once. The articles are the first of fa-kes, two bad
    lines among them. That the kills fell on many places of the run is asserted at the end.
    """
    options = replace(options, shard_size=2, remember=200)
    lines = FAKES.read_text(encoding="utf-8").splitlines(keepends=True)[:ARTICLES]
    lines[ARTICLES // 2 : ARTICLES // 2] = ["{no json\n", '{"id": "empty", "text": " "}\n']
    archive = [str(tmp_path / "articles.jsonl")]
    Path(archive[0]).write_text("".join(lines), encoding="utf-8")
    score_archive(archive, tmp_path / "unbroken", options)
    expected = content(tmp_path / "unbroken")
    found: list[int] = []
    for out in kill_many_times(archive, tmp_path, options, kills=50, longest=1.2, found=found):
        assert content(out) == expected
        counts = json.loads((out / "manifest.json").read_bytes())["counts"]
        ids = [(row["document"], row["number"]) for row in rows(out)]
        assert len(ids) == len(set(ids)) == counts["sentences"]
        assert counts["read"] == len(lines) == len(rows(out, "documents")) + len(json_lines(out / "rejects.jsonl"))
        assert counts["rejected"] == 2
    assert len(found) == 50
    assert len(set(found)) >= 5, f"the kills found {found} shards committed: expected them at more places of the run"
