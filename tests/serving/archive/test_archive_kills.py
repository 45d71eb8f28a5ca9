"""Real processes, really killed: at whatever moment, the next run goes on and ends like an unbroken one."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving.archive import ArchiveOptions, score_archive
from tests.conftest import ROOT
from tests.serving.archive.kitchen import content, json_lines, rows
from tests.serving.archive.processes import command, is_worker

FAKES = ROOT / "../shared/corpora/fa-kes/articles.jsonl"
ARTICLES = 60


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
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        gone = time.monotonic() + 10
        while (left := [child for child in started if is_worker(child)]) and time.monotonic() < gone:
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
