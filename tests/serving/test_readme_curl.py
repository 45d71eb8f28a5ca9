"""The curl lines of README.md against the running service."""

import shutil
import subprocess

import pytest

from model.weights import RELEASE
from tests.readme import COMMANDS, ROOT, asks_the_service, parsed

README_ADDRESSES = ("http://127.0.0.1:3000", "http://localhost:3000", "localhost:3000", "127.0.0.1:3000")

pytestmark = [
    pytest.mark.skipif(not RELEASE.is_dir(), reason=f"no shipped weights at {RELEASE}"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine"),
]


@pytest.mark.parametrize("command", [command for command in COMMANDS if asks_the_service(command)])
def test_a_request_of_the_readme_is_answered(command, service):
    address = next((a for a in README_ADDRESSES if a in command), None)
    assert address, f"expected one of {README_ADDRESSES} in the command"
    there = command.replace(address, str(service.client.base_url).rstrip("/"))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", there.replace("curl ", "curl --fail-with-body ", 1)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert parsed(done.stdout)
