"""Whatever breaks a run, the next one goes on, and what is there at the end is what an unbroken run gives."""

import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving.archive import ArchiveOptions, score_archive
from serving.archive.errors import ArchiveError
from serving.archive.repeats import Repeats
from serving.archive.state import locked
from tests.serving.archive.kitchen import content
from tests.serving.archive.processes import is_worker


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
        for child in psutil.Process().children(recursive=True):
            if is_worker(child):
                child.kill()

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
