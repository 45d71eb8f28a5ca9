"""The log: one line of JSON a request, to stderr. Never a text, an id, a query or a path as the client wrote it."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from traceback import walk_tb
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_LOG = logging.getLogger("newsframe")
# What these say is of the server and never of a request's body.
_OF_THE_SERVER = ("bentoml", "circus", "uvicorn")


class _Formatter(logging.Formatter):
    """Any record as a line of JSON. The words of libraries that see texts are left out: they may quote them."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == _LOG.name:
            return record.getMessage()
        fields: dict[str, object] = {"logger": record.name, "level": record.levelname.lower()}
        if record.name.partition(".")[0] in _OF_THE_SERVER:
            fields["message"] = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        fields["at"] = _place(error) if error else f"{record.filename}:{record.lineno}"
        return _line("log", fields)


def configure() -> None:
    """Send every log of this process to stderr as lines of JSON; call it after BentoML has set up its own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.CRITICAL)  # libraries complain of every odd page; the reply says so already
    for name in (*_OF_THE_SERVER, "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    _LOG.setLevel(logging.INFO)


def write(event: str, **fields: object) -> None:
    """Write one line: the time, the event, and its fields."""
    _LOG.info("%s", _line(event, fields))


def write_failure(error: BaseException, route: str) -> None:
    """Write where an unexpected error came from.

    Neither its message nor a traceback: both quote what they failed on.
    """
    write("failure", route=route, error=type(error).__name__, at=_place(error))


def _line(event: str, fields: Mapping[str, object]) -> str:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({"time": time, "event": event} | {**fields})


def _place(error: BaseException) -> str | None:
    """File and line of the innermost frame in these rooms."""
    places: list[Any] = [(Path(frame.f_code.co_filename), line) for frame, line in walk_tb(error.__traceback__)]
    own = [(path, line) for path, line in places if path.is_relative_to(ROOT) and "site-packages" not in path.parts]
    path, line = (own or places or [(None, 0)])[-1]
    if path is None:
        return None
    return f"{path.relative_to(ROOT) if own else path.name}:{line}"
