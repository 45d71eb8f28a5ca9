"""Build the bento, start it in another folder where the project is not installed, and compare its labels.

    .venv/bin/python tests/serving/check_bento.py

It is served as its container serves it: by its path, and with one folder to write to. Takes about half a minute; prints
the bento's size; exits with 1 at the first thing that is wrong.
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
from serving.benchmarks.servers import free_port  # noqa: E402
from tests.serving.closure import needed_files  # noqa: E402
from tests.serving.server import strayed, wait_until_ready  # noqa: E402

SENTENCES = ["The two ministers met in Geneva on Monday.", "Rebels shelled the town, the army said."]
BESIDE_THE_ROOMS = {"bentofile.yaml", "pyproject.toml", "LICENSE"}
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
    bento = bento_of(environment)
    source = {str(path.relative_to(bento / "src")) for path in (bento / "src").rglob("*") if path.is_file()}
    expected = needed_files("serving.service") | BESIDE_THE_ROOMS
    expected |= {f"artifact/{path.name}" for path in artifact.iterdir()}
    if source != expected:
        fail(f"the bento should not hold {sorted(source - expected)}, and lacks {sorted(expected - source)}")
    if problem := problem_of_image(bento):
        fail(f"{bento / 'env/docker/Dockerfile'}: {problem}")
    sizes = {
        "all": size_of(bento),
        "the model": size_of(bento / "src/artifact"),
        "the code": size_of(bento / "src/model"),
    }
    sizes["the code"] += size_of(bento / "src/serving")
    print("the bento has", ", ".join(f"{size / 1e6:.2f} MB ({name})" for name, size in sizes.items()))
    return artifact


def bento_of(environment: dict[str, str]) -> Path:
    """The folder of the one bento that was built."""
    [bento] = [path.parent for path in Path(environment["BENTOML_HOME"], "bentos/newsframe").glob("*/bento.yaml")]
    return bento


def size_of(folder: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def problem_of_image(bento: Path) -> str | None:
    """What is wrong with the file that an image would be made of; None if nothing is."""
    lines = (bento / "env/docker/Dockerfile").read_text(encoding="utf-8").splitlines()
    last = {word: line.removeprefix(f"{word} ") for line in lines if (word := line.partition(" ")[0]).isupper()}
    if last.get("USER", "root") in ("root", "0"):
        return f"expected a user that is not root, but found {last.get('USER')}"
    if "ENV BENTOML_CONTAINERIZED=true" not in lines:
        return "expected a supervisor that ends with its worker"
    removed = (ROOT / "serving/deploy/slim-image.sh").read_text(encoding="utf-8")
    scripts = [path for path in (bento / "env/docker").iterdir() if path.read_text(encoding="utf-8") == removed]
    if not scripts or not any(line.startswith("RUN") and scripts[0].name in line for line in lines):
        return "expected slim-image.sh to be run, but found no call of it"
    installed = [word for line in lines if "apt-get install" in line for word in line.split("install")[1].split()]
    kept = {word for word in installed if word[0] != "-"} - set(removed.replace("\n", " ").split())
    if kept - {"bash", "ca-certificates"}:
        return f"expected no system package besides bash and certificates, but found {sorted(kept)}"
    requirements = (bento / "env/python/requirements.txt").read_text(encoding="utf-8")
    wanted = (ROOT / "requirements/serve.txt").read_text(encoding="utf-8")
    if packages(requirements) != packages(wanted):
        return f"expected the packages of serve.txt, but found {sorted(packages(requirements) ^ packages(wanted))}"
    return None


def packages(requirements: str) -> set[str]:
    """The pins of a file of requirements."""
    return {line for line in requirements.splitlines() if line and not line.startswith("#")}


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
    bento = bento_of(environment)
    before = contents(bento)
    environment = environment | {"BENTOML_HOME": str(elsewhere / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-m", "bentoml", "serve", str(bento), "--host", "127.0.0.1", "--port", str(port)]
    start = time.monotonic()
    server = subprocess.Popen(command, cwd=elsewhere, env=environment, stdout=sys.stderr)
    try:
        wait_until_ready(port, server)
        print(f"the bento is ready after {time.monotonic() - start:.1f} s")
        body = json.dumps({"inputs": SENTENCES}).encode()
        request = Request(f"http://127.0.0.1:{port}/v1/classify", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as reply:
            found = json.load(reply)
        if contents(bento) != before:
            fail(f"the bento was written to: {sorted(contents(bento) ^ before)}")
        return found
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def contents(folder: Path) -> set[tuple[str, float]]:
    """Every file of a folder, and when it was written last."""
    return {(str(path), path.stat().st_mtime) for path in folder.rglob("*")}


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
