"""Running the command line, and reading what it prints."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from model.jsonl import dumps
from model.spans import Span
from model.weights import RELEASE
from serving.cli import main
from tests.conftest import ROOT

SEEDS = ROOT / "data/seeds"
COMMANDS = sorted(main.commands)
SEAR, SIMMER = "First sear the beef hard.", "Then simmer the kale slowly."
README_SENTENCE = (
    "Turkey's rapprochement talks with the Assad regime drew protests, while Ankara threatened a new offensive "
    "against Kurdish militants."
)


def run(*arguments: object, stdin: str | bytes | None = None, **environment: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, [*map(str, arguments)], input=stdin, env={"COLUMNS": "200"} | environment)


def start(
    *arguments: object, stdin: bytes = b"", cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the real command as a process of its own."""
    command = [Path(sys.executable).with_name("newsframe"), *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, cwd=cwd, env=os.environ | environment, timeout=120)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def write_records(path: Path, *rows: dict[str, object] | str) -> Path:
    """Write records, and lines as they stand, to a JSON Lines file."""
    path.write_text("\n".join(row if isinstance(row, str) else dumps(row) for row in rows), encoding="utf-8")
    return path


def records(result: Result | subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    """The labelled sentences that a command printed; every line of stdout must be one."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def spans_of(value: object) -> Iterator[dict[str, object]]:
    """Every span of a labelled sentence: mentions, evidence, targets. Among the scores, `start` can be a label."""
    if isinstance(value, dict):
        if "start" in value and "id" not in value:
            yield value
        for key, item in value.items():
            if key != "scores":
                yield from spans_of(item)
    if isinstance(value, list):
        for item in value:
            yield from spans_of(item)


def check_spans(record: dict[str, object], document: str) -> None:
    """Fail unless the sentence and all that it names slice out of the document."""
    place = Span(record["start"], record["end"])
    assert "text" not in record or place.of(document) == record["text"]
    for span in spans_of(record):
        assert place.start <= span["start"] < span["end"] <= place.end
        assert document[span["start"] : span["end"]] == span.get("text", span.get("target"))
    assert all(0 <= score <= 1 for scores in record["scores"].values() for score in scores.values())


shipped = pytest.mark.skipif(not RELEASE.is_dir(), reason=f"no shipped weights at {RELEASE}")
