"""Runs of a command, with its time and the memory of its whole process tree."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
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
    if not (_PROC / "self/statm").is_file():
        raise RuntimeError("/proc: expected the memory of processes there, but found none. Run this on Linux.")
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
    return sum(_resident_of(process) for process in _tree(root))


def _tree(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                # The name of the command, in brackets, may hold anything.
                parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue  # it has ended by now
            children.setdefault(parent, []).append(int(entry.name))
    found, new = set[int](), [root]
    while new:
        process = new.pop()
        found.add(process)
        new += children.get(process, [])
    return found


def _resident_of(process: int) -> int:
    try:
        pages = int((_PROC / str(process) / "statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
