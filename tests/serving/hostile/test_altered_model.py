"""A model that is missing, truncated or altered: the server refuses to start, in one line that names what it expected."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from model.artifact import find_artifact
from serving.benchmarks.servers import free_port
from tests.serving.hostile.conftest import Victim
from tests.serving.server import start_server


def truncate(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


def alter(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        byte = opened.read(1)
        opened.seek(-1, 1)
        opened.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("harm", [Path.unlink, truncate, alter], ids=["missing", "truncated", "altered"])
def test_a_harmed_model_ends_the_start_and_the_expected_hash_is_named(
    victim: Victim, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    artifact = tmp_path / "artifact"
    shutil.copytree(find_artifact(), artifact)  # the cache holds it: `victim` has built it
    manifest = json.loads((artifact / "manifest.json").read_text(encoding="utf-8"))
    name = max(manifest["files"], key=lambda file: (artifact / file).stat().st_size)
    harm(artifact / name)
    log = tmp_path / "log"
    server = start_server(free_port(), log, tmp_path, NEWSFRAME_MODEL=str(artifact))
    try:
        stdout, _ = server.communicate(timeout=60)
    finally:
        server.kill()
    assert (server.returncode, stdout) == (1, b"")
    *_, refusal = log.read_text(encoding="utf-8").splitlines()
    found = "no such file" if harm is Path.unlink else r"[0-9a-f]{12}…"
    assert re.fullmatch(
        rf"{re.escape(str(artifact))}/{re.escape(name)}: expected sha256 {manifest['files'][name][:12]}…, but found "
        rf"{found}\. Remove the folder and run `newsframe build`\.",
        refusal,
    )
