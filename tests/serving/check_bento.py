"""Build the bento, start it in another folder where the project is not installed, and compare its labels.

    .venv/bin/python tests/serving/check_bento.py

Takes about half a minute; prints the bento's size; exits with 1 at the first thing that is wrong.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from model.artifact import build_artifact  # noqa: E402
from model.labeller import Labeller  # noqa: E402
from model.weights import RELEASE  # noqa: E402
from tests.serving.server import free_port, strayed, wait_until_ready  # noqa: E402

SENTENCES = ["The two ministers met in Geneva on Monday.", "Rebels shelled the town, the army said."]
INCLUDED = {"model", "serving", "artifact", "bentofile.yaml", "pyproject.toml", "LICENSE"}
NOT_THE_PROJECT = shutil.ignore_patterns(
    ".venv", ".git", "artifact", "build", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info"
)


def main() -> None:
    """Run the check."""
    with tempfile.TemporaryDirectory(prefix="newsframe-bento-") as name:
        folder = Path(name)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        # What `NEWSFRAME_…` a developer has set is not for the bento.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("NEWSFRAME_", "PYTHON"))}
        environment |= {
            "BENTOML_HOME": str(folder / "home"),
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_CONTAINERIZED": "true",  # a worker that dies is not started anew: the check ends
            "HF_HUB_OFFLINE": "1",
        }
        artifact = build(folder / "project", environment)
        python = other_environment(folder / "venv", elsewhere, environment)
        found = ask(python, elsewhere, environment)
        expected = Labeller.load(artifact).label_records(SENTENCES)
        if problem := strayed(found["results"], expected):
            fail(f"the bento labels otherwise than the library: {problem}")
        print("the bento labels as the library does")


def build(project: Path, environment: dict[str, str]) -> Path:
    """Build the bento in a copy of the project; return the artifact that went in."""
    shutil.copytree(ROOT, project, ignore=NOT_THE_PROJECT)
    artifact = build_artifact(RELEASE, out=project / "artifact")
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
    run(command, project, environment)
    [bento] = Path(environment["BENTOML_HOME"], "bentos/newsframe").glob("*/src")
    if strangers := {path.name for path in bento.iterdir()} - INCLUDED:
        fail(f"the bento should not hold {sorted(strangers)}")
    size = sum(path.stat().st_size for path in bento.parent.rglob("*") if path.is_file())
    print(f"the bento has {size / 1e6:.1f} MB")
    return artifact


def other_environment(folder: Path, elsewhere: Path, environment: dict[str, str]) -> str:
    """Make an environment with the same packages, but without the project; return its Python.

    A path that a .pth file names is put on sys.path as it is: the .pth file of an editable install in it is not read.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    [packages] = (folder / "lib").glob("*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    code = "import importlib.util as u; raise SystemExit(any(u.find_spec(n) for n in ('model', 'serving', 'training')))"
    run([python, "-c", code], elsewhere, environment)
    return str(python)


def ask(python: str, elsewhere: Path, environment: dict[str, str]) -> Any:
    """Start the bento, label the sentences, stop it."""
    port = free_port()
    command = [python, "-m", "bentoml", "serve", "newsframe:latest", "--host", "127.0.0.1", "--port", str(port)]
    start = time.monotonic()
    server = subprocess.Popen(command, cwd=elsewhere, env=environment, stdout=sys.stderr)
    try:
        wait_until_ready(port, server)
        print(f"the bento is ready after {time.monotonic() - start:.1f} s")
        body = json.dumps({"inputs": SENTENCES}).encode()
        request = Request(f"http://127.0.0.1:{port}/v1/classify", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as reply:
            return json.load(reply)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def run(command: list[Any], folder: Path, environment: dict[str, str]) -> None:
    """Run a command; end here, with its output, if it fails."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def fail(message: str) -> None:
    """End with exit code 1."""
    sys.exit(f"check_bento: {message}")


if __name__ == "__main__":
    main()
