"""From the bytes of a request to strict JSON: size, time, media type, and what JSON leaves to its readers."""

import asyncio
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from starlette.requests import Request

from serving.limits import Limits
from serving.problems import Problem, shown, too_many_requests

# Who sends too much is heard out for this many times the limit: a socket closed on unread bytes is reset, and the
# client would see a broken pipe in place of the 413.
LINGER = 4
SMALL = 65_536  # bytes of a body that is parsed in about a millisecond, and counts for nothing among large ones
INTEGER_DIGITS = 18  # 64 bits hold any such number; nothing that a request counts comes near


class ClientLeft(Exception):
    """The client closed the connection before it was answered."""


class Room:
    """The bytes that large bodies of all requests take up, from their first to the answer."""

    def __init__(self, limits: Limits) -> None:
        self._limit = limits.held_bytes
        self.held = 0

    @contextmanager
    def hold(self) -> Iterator["Holding"]:
        """Hold what one request brings, until it is answered."""
        holding = Holding(self)
        try:
            yield holding
        finally:
            self.held -= holding.size

    def take(self, size: int) -> bool:
        """Take up some bytes, if there is room."""
        if self.held + size > self._limit:
            return False
        self.held += size
        return True


class Holding:
    """What one request holds of the room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.size = 0

    def grow(self, size: int) -> bool:
        """Grow to the size of a body, if there is room; a small body needs none."""
        more = size - self.size if size > SMALL else 0
        if more and not self._room.take(more):
            return False
        self.size += more
        return True


async def read_body(request: Request, limits: Limits, holding: Holding) -> bytes:
    """Read a whole body of JSON.

    Raises:
        Problem: 408, 413, 415, or 429 where too many large bodies are held.
        ClientLeft: The connection ended before the body did.
    """
    _check_media(request)
    declared = request.headers.get("content-length", "")
    over = int(declared) > limits.body_bytes if declared.isdecimal() else False
    if over and (int(declared) > LINGER * limits.body_bytes or "expect" in request.headers):
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _read(request, limits, holding)
    except TimeoutError:
        raise Problem(
            408,
            f"expected the body within {limits.body_seconds:g} seconds, but found it unfinished. Send it faster.",
            headers={"Connection": "close"},
        ) from None


async def _read(request: Request, limits: Limits, holding: Holding) -> bytes:
    chunks: list[bytes] = []
    size, more, room = 0, True, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > LINGER * limits.body_bytes:
            raise _too_large(limits)
        room = room and (size > limits.body_bytes or holding.grow(size))
        if size <= limits.body_bytes and room:
            chunks.append(chunk)
        else:
            chunks.clear()
        more = message.get("more_body", False)
    if size > limits.body_bytes:
        raise _too_large(limits)
    if not room:
        raise too_many_requests()
    return b"".join(chunks)


def _check_media(request: Request) -> None:
    media, *parameters = [part.strip().lower() for part in request.headers.get("content-type", "").split(";")]
    charset = [part for part in parameters if part]
    if media != "application/json" or any(part.replace('"', "") != "charset=utf-8" for part in charset):
        raise Problem(415, "expected the media type application/json in UTF-8, but found another. Set Content-Type.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise Problem(
            415,
            "expected a body without content coding, but found one. Send it uncompressed.",
            headers={"Accept-Encoding": "identity"},
        )


def _too_large(limits: Limits) -> Problem:
    return Problem(
        413,
        f"expected a body of at most {limits.body_bytes} bytes, but found more. Send fewer items a request.",
        headers={"Connection": "close"},
    )


def parse_json(body: bytes) -> Any:
    """Parse JSON, strictly.

    Raises:
        Problem: 400. The message gives the place, never the text.
    """
    try:
        # Not json.loads(bytes): that would guess UTF-16 and UTF-32 too.
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        raise _no_json(f"a byte that is no UTF-8 at {error.start}") from None
    except json.JSONDecodeError as error:
        raise _no_json(f"an error at character {error.pos} ({error.msg})") from None
    except RecursionError:
        raise _no_json("it nested too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _no_json(f"the field '{shown(twice)}' twice in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise _no_json(f"{name}, which is no JSON number")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _no_json("a number too large to be kept")
    return number


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > INTEGER_DIGITS:
        raise _no_json("a number too large to be kept")
    return int(digits)


def _no_json(found: str) -> Problem:
    return Problem(400, f"expected a body of JSON, but found {found}. Correct the body.")
