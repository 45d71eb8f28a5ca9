"""A run on Ray gives what a run on this machine gives, also if it is broken off."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from model.artifact import Artifact
from serving.archive import ArchiveOptions, score_archive
from tests.conftest import ROOT
from tests.serving.archive.kitchen import content, write_archive
from tests.serving.archive.processes import command
from tests.serving.command_line import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra `ray`)"),
]


@pytest.fixture(scope="module")
def options(tiny_artifact: Artifact) -> ArchiveOptions:
    return ArchiveOptions(model=tiny_artifact.folder, shard_size=4, workers=None, remember=15, all_languages=True)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_archive(tmp_path_factory.mktemp("archive"), 40)


def command_with_ray(archive: list[str], out: Path, options: ArchiveOptions) -> list[str]:
    """The command, where the system allows in a network of its own: Ray listens on every address of a machine."""
    score = command(archive, out, options, "--engine", "ray")
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True).returncode == 0:
        return [*alone, *score]
    return score


def test_a_run_on_two_workers_of_ray_equals_a_local_one(
    tmp_path: Path, archive: list[str], options: ArchiveOptions
) -> None:
    score_archive(archive, tmp_path / "local", options)
    done = subprocess.run(
        command_with_ray(archive, tmp_path / "ray", options), cwd=ROOT, capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
    assert content(tmp_path / "ray") == content(tmp_path / "local")


def test_a_run_on_ray_that_is_killed_goes_on_on_either_engine(
    tmp_path: Path, archive: list[str], options: ArchiveOptions
) -> None:
    out = tmp_path / "ray"
    process = subprocess.Popen(
        command_with_ray(archive, out, options), cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )  # fmt: skip
    until = time.monotonic() + 200
    while not list(out.glob("state/shards/*.json")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    committed = len(list(out.glob("state/shards/*.json")))
    assert committed > 0
    score_archive(archive, tmp_path / "local", options)
    local = tmp_path / "continued"
    shutil.copytree(out, local)
    score_archive(archive, local, replace(options, workers=1))
    assert content(local) == content(tmp_path / "local")
    done = subprocess.run(command_with_ray(archive, out, options), cwd=ROOT, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    assert content(out) == content(tmp_path / "local")


def test_a_cluster_that_is_not_there_is_a_message(tmp_path: Path, archive: list[str], options: ArchiveOptions) -> None:
    done = run(
        "score", *archive, "--out", tmp_path / "out", "--model", options.model, "--engine", "ray",
        "--ray-address", "ray-that-is-not-there",
    )  # fmt: skip
    assert done.exit_code == 1
    assert done.stderr.startswith("ray-that-is-not-there: expected a Ray cluster, but found: ")
