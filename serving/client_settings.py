"""What both clients are made with."""

from dataclasses import dataclass
from typing import Any

import httpx

from serving.client_errors import ClientError
from serving.client_exchange import Exchange, Patience, Send


@dataclass(frozen=True)
class Timeouts:
    """Seconds of one try.

    Attributes:
        connect: To connect in.
        send: For a chunk of the request to be taken.
        answer: For the answer to begin; above the service's own limit, `inference_seconds`.
    """

    connect: float = 5.0
    send: float = 15.0
    answer: float = 60.0

    def within(self, seconds: float) -> httpx.Timeout:
        """These, but none longer than what is left."""
        connect, send, answer = (min(value, seconds) for value in (self.connect, self.send, self.answer))
        return httpx.Timeout(answer, connect=connect, write=send, pool=answer)


class Settings:
    """Checked settings, and how a step becomes a call of httpx."""

    def __init__(
        self,
        base_url: str,
        key: str | None,
        timeouts: Timeouts,
        patience: Patience,
        concurrency: int,
        batch: int | None,
    ) -> None:
        """Check settings; see `serving.client.Client`.

        Raises:
            ClientError: One cannot be.
        """
        if key is not None and not (key.isascii() and key.isprintable() and key and " " not in key):
            raise ClientError("key: expected printable ASCII without spaces, but found other. Give the key alone.")
        if concurrency < 1 or (batch is not None and batch < 1):
            found = f"concurrency {concurrency} and batch {batch}"
            raise ClientError(f"client: expected numbers of at least 1, but found {found}. Correct them.")
        self.timeouts = timeouts
        self.concurrency = concurrency
        self.batch = batch
        self.exchange = Exchange(base_url.rstrip("/"), patience)
        self.headers = {"Accept": "application/json, application/problem+json"}
        if key is not None:
            self.headers["Authorization"] = f"Bearer {key}"
        # As many connections as callers want at a time; kept are those that one call uses.
        self.limits = httpx.Limits(max_connections=None, max_keepalive_connections=concurrency)

    def arguments(self, step: Send) -> dict[str, Any]:
        """What httpx is called with for a step."""
        headers = {} if step.body is None else {"Content-Type": "application/json"}
        return {
            "method": step.method,
            "url": self.exchange.base_url + step.path,
            "content": step.body,
            "headers": headers,
            "timeout": self.timeouts.within(step.seconds),
        }
