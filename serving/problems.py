"""Problem details (RFC 9457): the one form of every reply that is not a success."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
CLIENT_LEFT = 499  # for the log and the metrics: nobody is there to read it

# What is said where the refusal comes from below (BentoML, Starlette) and its own words are not for the public.
DETAILS = {
    400: "expected a request that can be read, but found another. Correct it.",
    401: "expected a valid API key, but found none. Send the header `Authorization: Bearer KEY`.",
    404: "expected a path of this service, but found another. See /docs.json.",
    405: "expected another method for this path. See the header Allow.",
    500: "the service failed; the text was not at fault. Try again, or tell who runs it.",
    503: "the service is starting or stopping. Try again later.",
}
# What the metrics call a refusal. 499 and 500 are no refusals, but no success either.
REASONS = {
    400: "not_json",
    401: "no_key",
    404: "no_such_path",
    405: "method",
    408: "slow_body",
    413: "too_large",
    415: "media_type",
    422: "wrong_fields",
    429: "queue_full",
    CLIENT_LEFT: "client_left",
    500: "failure",
    503: "not_ready",
    504: "too_slow",
}


class Problem(Exception):
    """A refusal; where it is raised, the request ends with it."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Describe a refusal.

        Args:
            detail: What was expected, what was found, and one thing to do; empty takes the words for the status.
            errors: For 422, each wrong place of the body as `{"pointer", "detail"}`.
        """
        super().__init__(status, detail)
        self.status = status
        self.detail = detail or DETAILS.get(status, "the request was refused.")
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def to_dict(self) -> dict[str, Any]:
        """The body of the reply."""
        body: dict[str, Any] = {
            "type": "about:blank",  # RFC 9457, 4.2.1: the status says it all, and the title is its phrase
            "title": title_of(self.status),
            "status": self.status,
            "detail": self.detail,
        }
        return body | ({"errors": self.errors} if self.errors else {})

    def to_response(self) -> Response:
        """The whole reply."""
        return Response(encode(self.to_dict()), self.status, self.headers, MEDIA_TYPE)


def title_of(status: int) -> str:
    """The phrase of a status."""
    return "Client Closed Request" if status == CLIENT_LEFT else HTTPStatus(status).phrase


def too_many_requests() -> Problem:
    """The queue is full."""
    return Problem(429, "expected room in the queue, but found it full. Try again later.", headers={"Retry-After": "1"})


def no_valid_key(given: bool) -> Problem:
    """There is no API key, or another than the valid ones (RFC 6750, 3)."""
    error = ', error="invalid_token"' if given else ""
    return Problem(401, headers={"WWW-Authenticate": f'Bearer realm="newsframe"{error}'})


def no_such_preflight() -> Problem:
    """A browser asks for what the page's origin is not allowed."""
    return Problem(
        400, "expected a preflight of an allowed origin, method and headers, but found another. See /docs.json."
    )


def not_ready() -> Problem:
    """The model is not loaded yet, or the service is about to end."""
    return Problem(503, headers={"Retry-After": "5"})


def encode(value: object) -> bytes:
    """Write JSON as it goes out: compact UTF-8, and nothing that is no JSON.

    Raises:
        ValueError: A number is not finite, or a string is no Unicode text.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def shown(name: str) -> str:
    """A name out of a request, fit to be written in a reply: whole code points, and not too many."""
    return name[:100].encode("utf-8", "replace").decode("utf-8")
