"""README.md does what it says: its commands run, and the JSON that they print can be read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.weights import RELEASE
from tests.readme import COMMANDS, README, ROOT, asks_the_service, console_commands, parsed, runnable

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def environment(request) -> dict[str, str]:
    """This process' environment; the tiny model stands in while there are no shipped weights."""
    found = dict(os.environ)
    if not RELEASE.is_dir():
        found["NEWSFRAME_MODEL"] = str(request.getfixturevalue("tiny_release"))
        found["NEWSFRAME_ENCODER"] = str(request.getfixturevalue("tiny_encoder"))
    return found


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 3
    assert [command for command in COMMANDS if asks_the_service(command)]


@pytest.mark.parametrize("command", [command for command in COMMANDS if not asks_the_service(command)])
def test_a_command_of_the_readme_runs(command, environment):
    # Whatever the environment is called here, it is the one that make sets up.
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace(".venv/bin/", f"{BIN}/")],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    if "--json" in command.split():
        assert parsed(done.stdout)


def test_paths_that_the_readme_links_exist():
    text = README.read_text(encoding="utf-8")
    links = {part.partition(")")[0] for part in text.split("](")[1:]}
    missing = [
        link for link in links if not link.startswith(("http", "#")) and not (ROOT / link.partition("#")[0]).exists()
    ]
    assert missing == []


def test_commands_are_the_dollar_lines_of_console_blocks():
    text = "\n".join(
        [
            "```console",
            "$ one",
            "said",
            "$ two \\",
            "  more",
            "```",
            "$ no",
            "```sh",
            "$ neither",
            "```",
            "```console",
            "$ 3",
            "```",
        ]
    )
    assert console_commands(text) == ["one", "two \\\n  more", "3"]


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("make serve", False),
        ("git clone x", False),
        (".venv/bin/newsframe serve", False),
        (".venv/bin/newsframe codebook", True),
    ],
)
def test_servers_and_the_setting_up_of_machines_are_left_alone(command, runs):
    assert runnable(command) == runs


def test_json_is_read_whole_or_line_by_line():
    assert parsed('{\n"a": 1\n}') == [{"a": 1}]
    assert parsed('{"a": 1}\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]
    assert parsed("a table") == []
    with pytest.raises(ValueError, match="line 1"):
        parsed('{"a": 1}\n{"a":')
