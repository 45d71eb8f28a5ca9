"""From the bytes of a request to strict JSON: size, time, media type, and what JSON leaves to its readers."""

import asyncio
import json
import math
from typing import Any, NoReturn

from starlette.requests import Request

from serving.limits import Limits
from serving.problems import Problem, shown

# Who sends too much is heard out for this many times the limit: a socket closed on unread bytes is reset, and the
# client would see a broken pipe in place of the 413.
LINGER = 4
INTEGER_DIGITS = 18  # 64 bits hold any such number; nothing that a request counts comes near


class ClientLeft(Exception):
    """The client closed the connection before it was answered."""


async def read_body(request: Request, limits: Limits) -> bytes:
    """Read a whole body of JSON.

    Raises:
        Problem: 408, 413 or 415.
        ClientLeft: The connection ended before the body did.
    """
    _check_media(request)
    declared = request.headers.get("content-length", "")
    over = int(declared) > limits.body_bytes if declared.isdecimal() else False
    if over and (int(declared) > LINGER * limits.body_bytes or "expect" in request.headers):
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _read(request, limits)
    except TimeoutError:
        raise Problem(
            408,
            f"expected the body within {limits.body_seconds:g} seconds, but found it unfinished. Send it faster.",
            headers={"Connection": "close"},
        ) from None


async def _read(request: Request, limits: Limits) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > LINGER * limits.body_bytes:
            raise _too_large(limits)
        if size <= limits.body_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
        more = message.get("more_body", False)
    if size > limits.body_bytes:
        raise _too_large(limits)
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
