"""What the client raises.

ClientError
├── NoAnswer               the service cannot be reached, or did not answer in time
├── UnexpectedReply        something answered, but not as the service does
├── ModelChanged           the parts of one answer come from two models
└── Refused                problem details of the service (RFC 9457)
    ├── Unauthorised       401: the key is missing or wrong
    ├── TooLarge           413: the request is larger than something on the way lets through
    ├── WrongFields        422: the body has another shape; every wrong place is named
    ├── Busy               429 or 503: too much to do, starting or stopping; it was tried again in vain
    └── TookTooLong        504: too much for one request
"""

from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import NewsframeError


class ClientError(NewsframeError):
    """The root of what a call of the client raises on purpose."""


class NoAnswer(ClientError):
    """The service cannot be reached, or did not answer in time."""


class UnexpectedReply(ClientError):
    """Something answered, but not as the service does: a proxy, or another program."""


class ModelChanged(ClientError):
    """The parts of one answer come from two models: the service was renewed in between."""


@dataclass(frozen=True)
class WrongPlace:
    """A wrong place of a request.

    Attributes:
        pointer: JSON pointer (RFC 6901) into the body as the caller gave it, however it was split.
        detail: What was expected there, and what was found.
    """

    pointer: str
    detail: str


class Refused(ClientError):
    """The service refused a request.

    Attributes:
        status: The HTTP status.
        title: Its phrase.
        detail: What was expected, what was found, and one thing to do.
        errors: For 422, each wrong place; empty otherwise.
        retry_after: Seconds that the service asks to wait, or None.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        errors: Sequence[WrongPlace] = (),
        retry_after: float | None = None,
    ) -> None:
        places = "".join(f"\n{error.pointer}: {error.detail}" for error in errors)
        super().__init__(f"{status} {title}: {detail}{places}")
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after


class Unauthorised(Refused):
    """401: the key is missing or wrong."""


class TooLarge(Refused):
    """413: the request is larger than something on the way lets through."""


class WrongFields(Refused):
    """422: the body has another shape."""


class Busy(Refused):
    """429 or 503: too much to do, starting or stopping."""


class TookTooLong(Refused):
    """504: too much for one request."""


_KINDS: dict[int, type[Refused]] = {
    401: Unauthorised, 413: TooLarge, 422: WrongFields, 429: Busy, 503: Busy, 504: TookTooLong,
}  # fmt: skip


def refusal(
    status: int, title: str, detail: str, errors: Sequence[WrongPlace] = (), retry_after: float | None = None
) -> Refused:
    """Make the exception of a status."""
    return _KINDS.get(status, Refused)(status, title, detail, errors, retry_after)
