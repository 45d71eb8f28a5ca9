"""The commands that README.md shows."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def console_commands(text: str) -> list[str]:
    """The commands of the blocks marked ```console: lines that begin with `$ `, joined where they go on with a \\."""
    commands: list[str] = []
    inside = continued = False
    for line in text.splitlines():
        if line.strip().startswith("```"):
            inside, continued = line.strip() == "```console", False
        elif inside and continued:
            commands[-1] += "\n" + line
            continued = line.endswith("\\")
        elif inside and line.startswith("$ "):
            commands.append(line[2:])
            continued = line.endswith("\\")
    return commands


def runnable(command: str) -> bool:
    """Tell whether a command is a test's to run: make and git set a machine up, and a server does not end."""
    first = command.split()[0]
    return first not in ("make", "git", "cd", "python", "pip") and not {"serve", "bentoml"} & set(command.split()[:2])


def asks_the_service(command: str) -> bool:
    """Tell whether a command needs the running service."""
    return command.split()[0] == "curl" or "| curl" in command


COMMANDS = [command for command in console_commands(README.read_text(encoding="utf-8")) if runnable(command)]


def parsed(stdout: str) -> list[object]:
    """What a command printed, if it is JSON: one document, or one a line.

    Raises:
        ValueError: It begins as JSON, and goes on otherwise.
    """
    if not stdout.lstrip().startswith(("{", "[")):
        return []
    try:
        return [json.loads(stdout)]
    except ValueError:
        return [json.loads(line) for line in stdout.splitlines()]
