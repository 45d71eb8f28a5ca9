"""One request of the client until its answer: what is tried again, how long after, and when it is given up.

Nothing here sends or sleeps. A generator yields what is to be done and is sent what came of it, so that the blocking
and the asynchronous client share every decision, and a test needs no clock.
"""

import json
import math
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar

import httpx

from serving.client_errors import ClientError, NoAnswer, Refused, UnexpectedReply, WrongPlace, refusal

PROBLEM = "application/problem+json"
AGAIN = frozenset({429, 503})
# A request of this service changes nothing, so that one whose answer was lost can be sent again. Not so one that only
# took too long: it is perhaps still at work, and would be there twice.
LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)


@dataclass(frozen=True)
class Patience:
    """How often and how long a request is tried again, after 429, 503 and broken connections.

    The pause before try n is drawn evenly from 0 to `first_pause` · 2ⁿ ("full jitter", which keeps many clients from
    coming back together), on top of what the service asks for in Retry-After.

    Attributes:
        tries: Tries in all, the first one included.
        seconds: Time in all, from the first try; a pause that would go past it is not begun.
        first_pause: Seconds that the first pause has at most.
        longest_pause: Seconds that any pause has at most, Retry-After apart.
    """

    tries: int = 8
    seconds: float = 120.0
    first_pause: float = 0.25
    longest_pause: float = 10.0

    def __post_init__(self) -> None:
        if self.tries < 1 or not 0 < self.seconds < math.inf or min(self.first_pause, self.longest_pause) < 0:
            raise ClientError(
                f"Patience: expected at least one try, a finite time above 0 and no pause below 0, but found {self}. "
                "Correct it."
            )


@dataclass(frozen=True)
class Send:
    """To be sent; the outcome is a response that was read whole, or httpx' error."""

    method: str
    path: str
    body: bytes | None
    seconds: float


@dataclass(frozen=True)
class Pause:
    """To be slept; the outcome is None."""

    seconds: float


Outcome: TypeAlias = httpx.Response | httpx.RequestError | None
Value = TypeVar("Value")
Steps: TypeAlias = Generator[Send | Pause, Outcome, Value]


@dataclass(frozen=True)
class Exchange:
    """Makes the steps of requests.

    Attributes:
        base_url: Of the service, for messages.
        clock: Gives seconds.
        draw: Gives a number evenly from 0 to its argument.
    """

    base_url: str
    patience: Patience
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[float], float] = lambda most: random.uniform(0, most)

    def __call__(self, method: str, path: str, body: bytes | None = None) -> Steps[dict[str, Any]]:
        """Ask until there is an answer, or no use in asking.

        Returns:
            The JSON object of a reply with status 200.

        Raises:
            Refused, NoAnswer, UnexpectedReply: See `serving.client_errors`.
        """
        patience = self.patience
        end = self.clock() + patience.seconds
        for n in range(patience.tries):
            outcome = yield Send(method, path, body, max(end - self.clock(), 0.001))
            found = self._read(outcome, path)
            if not isinstance(found, ClientError):
                return found
            if not _worth_another_try(outcome) or n + 1 == patience.tries:
                raise found
            pause = self.draw(min(patience.first_pause * 2**n, patience.longest_pause))
            pause += (found.retry_after or 0.0) if isinstance(found, Refused) else 0.0
            if self.clock() + pause >= end:
                raise found
            yield Pause(pause)
        raise AssertionError("there is at least one try")

    def _read(self, outcome: Outcome, path: str) -> dict[str, Any] | ClientError:
        where = f"{self.base_url}{path}"
        if isinstance(outcome, httpx.Response):
            return _read_response(outcome, where)
        why = f"{type(outcome).__name__}: {outcome}" if str(outcome) else type(outcome).__name__
        if isinstance(outcome, httpx.TransportError):
            return NoAnswer(f"{where}: expected an answer, but found {why}. Check that the service runs there.")
        return UnexpectedReply(
            f"{where}: expected a reply that can be read, but found {why}. Check what answers there."
        )


def _worth_another_try(outcome: Outcome) -> bool:
    return outcome.status_code in AGAIN if isinstance(outcome, httpx.Response) else isinstance(outcome, LOST)


def _read_response(response: httpx.Response, where: str) -> dict[str, Any] | ClientError:
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        body = json.loads(response.content) if media.endswith("json") else None
    except (ValueError, RecursionError):
        body = None
    status = response.status_code
    if status == HTTPStatus.OK and media == "application/json" and isinstance(body, dict):
        return body
    wait = _seconds_of(response.headers.get("retry-after"))
    if status >= 400 and media == PROBLEM and isinstance(body, dict):
        title, detail = str(body.get("title", response.reason_phrase)), str(body.get("detail", ""))
        return refusal(status, title, detail, _places(body.get("errors")), wait)
    if status in AGAIN:  # of a proxy on the way; it means the same
        return refusal(
            status, response.reason_phrase, "something before the service refused. Try again later.", (), wait
        )
    return UnexpectedReply(
        f"{where}: expected JSON of the service, but found status {status} with {media or 'no media type'}. "
        "Check the address."
    )


def _places(errors: object) -> list[WrongPlace]:
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    return [WrongPlace(str(error.get("pointer", "")), str(error.get("detail", ""))) for error in found]


def _seconds_of(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After, which may also be a date (RFC 9110, 10.2.3); None if there is none that can be read."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max((date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
