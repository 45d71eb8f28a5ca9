"""Servers to measure, as processes: started, waited for, looked at, and ended."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS, END_SECONDS = 120.0, 60.0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        ready_seconds: From its start until /readyz answered 200.
    """

    port: int
    process: subprocess.Popen[bytes]
    ready_seconds: float

    def worker(self) -> psutil.Process:
        """The process that holds the model: the largest of its family."""
        parent = psutil.Process(self.process.pid)
        return max([parent, *parent.children(recursive=True)], key=lambda process: process.memory_info().rss)

    def memory(self) -> tuple[int, int]:
        """Bytes of the worker: proportional (PSS: a shared page counts in parts), and resident (RSS)."""
        found = self.worker().memory_full_info()
        return found.pss, found.rss


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server until the block ends.

    Args:
        arguments: Of this Python; `{port}` stands for the port.

    Raises:
        RuntimeError: It ended, or was not ready in time; with the end of what it wrote.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="newsframe-benchmark-") as home:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("BENTOML_")}
        own = {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        log = Path(home, "log")
        command = [sys.executable, "-W", "ignore", *(argument.format(port=port) for argument in arguments)]
        start = time.perf_counter()
        with log.open("wb") as written:
            process = subprocess.Popen(
                command, cwd=ROOT, env=kept | own | dict(environment or {}), stdout=written, stderr=written
            )
        try:
            _wait(port, process, start, log)
            yield Server(port, process, time.perf_counter() - start)
        finally:
            _end(process)


def _wait(port: int, process: subprocess.Popen[bytes], start: float, log: Path) -> None:
    while time.perf_counter() < start + START_SECONDS and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"a server did not start: {log.read_text(encoding='utf-8')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
