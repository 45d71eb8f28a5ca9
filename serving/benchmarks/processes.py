"""Runs of a command, with its time and the memory of its whole process tree."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

_EVERY = 0.1  # seconds between two looks at the memory


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        seconds: From its start to its end.
        peak: Most bytes that its processes held at once, resident; pages that they share count for each.
        output: What it wrote to stdout.
    """

    seconds: float
    peak: int
    output: str


def run_measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end.

    Raises:
        RuntimeError: It failed; the message has the end of what it said.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        command, env={**os.environ, **(environment or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        peak = 0
        while True:
            try:
                output, errors = process.communicate(timeout=_EVERY)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, resident(process.pid))
    seconds = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(command)}: expected exit code 0, but found {process.returncode}.\n{errors[-2000:]}"
        )
    return Run(seconds, peak, output)


def resident(root: int) -> int:
    """Bytes that a process and all that it started hold in memory."""
    try:
        parent = psutil.Process(root)
        return sum(map(_resident_of, [parent, *parent.children(recursive=True)]))
    except psutil.NoSuchProcess:
        return 0


def _resident_of(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:  # it has ended by now
        return 0
