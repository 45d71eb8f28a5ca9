"""Runs over an archive as processes."""

import sys
from pathlib import Path

import psutil

from serving.archive import ArchiveOptions


def command(archive: list[str], out: Path, options: ArchiveOptions, *more: str) -> list[str]:
    """The command of a run with two workers."""
    return [
        sys.executable, "-m", "serving.cli", "score", *archive, "--out", str(out), "--model", str(options.model),
        "--shard-size", str(options.shard_size), "--remember", str(options.remember), "--all-languages", "--workers",
        "2", "--quiet", *more,
    ]  # fmt: skip


def is_worker(process: psutil.Process) -> bool:
    """Tell whether a process is there, and works for a run that started it."""
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False
