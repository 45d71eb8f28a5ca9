"""A server process for tests, and what is compared of its answers."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent.parent
TOLERANCE = 1e-3  # of scores, whatever the batch
START_SECONDS = 60


def start_server(port: int, log: Path, home: Path, *, workers: int = 1, **environment: str) -> subprocess.Popen[bytes]:
    """Start `newsframe serve` in an empty folder; its stderr goes to `log`."""
    elsewhere = home / "elsewhere"
    elsewhere.mkdir(parents=True, exist_ok=True)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("BENTOML_")}
    variables = inherited | {"BENTOML_HOME": str(home), "PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-m", "serving.cli", "serve", "--port", str(port), "--workers", str(workers)]
    with log.open("wb") as stderr:
        return subprocess.Popen(command, cwd=elsewhere, env=variables, stdout=subprocess.PIPE, stderr=stderr)


def wait_until_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until /readyz answers 200; fail if the process ends before."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode} before it was ready")
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=START_SECONDS):
                return
        except (URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"the server was not ready after {START_SECONDS} s")


def strayed(found: Any, expected: Any, where: str = "") -> str | None:
    """Name the first place where two results differ, numbers by more than the tolerance; None if there is none."""
    if isinstance(found, bool) or type(found) is not type(expected):
        return None if found == expected else f"{where}: {found!r} is not {expected!r}"
    if isinstance(found, float):
        return None if abs(found - expected) <= TOLERANCE else f"{where}: {found} is not {expected}"
    if isinstance(found, Mapping):
        if found.keys() != expected.keys():
            return f"{where}: {sorted(found)} is not {sorted(expected)}"
        pairs = [(key, found[key], expected[key]) for key in found]
    elif isinstance(found, Sequence) and not isinstance(found, str):
        if len(found) != len(expected):
            return f"{where}: {len(found)} items are not {len(expected)}"
        pairs = [(n, *both) for n, both in enumerate(zip(found, expected, strict=True))]
    else:
        return None if found == expected else f"{where}: {found!r} is not {expected!r}"
    return next((problem for key, a, b in pairs if (problem := strayed(a, b, f"{where}/{key}"))), None)
