"""Where a worker process is in its life: starting, ready, or stopping; and how it stops without losing a request."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from serving.problems import not_ready

# How long readiness is down before the socket may close: a load balancer that asks each second has seen it.
DRAIN_SECONDS = 1.0
# No request lives longer than its time limits; this is past all of them.
DRAIN_LIMIT_SECONDS = 45.0
STARTING, READY, STOPPING = "starting", "ready", "stopping"


class Lifecycle:
    """The phase of this worker, and the number of requests that it has accepted and not answered."""

    def __init__(self) -> None:
        self.phase = STARTING
        self.active = 0
        self._stopping: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Tell whether requests are accepted."""
        return self.phase == READY

    def require_ready(self) -> None:
        """Let a request pass.

        Raises:
            Problem: 503.
        """
        if not self.is_ready:
            raise not_ready()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request as long as it is at work."""
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1

    def open(self) -> None:
        """The model is loaded and warm."""
        self.phase = READY

    def drain_on_signals(self) -> None:
        """Put the drain before whatever the server does on SIGTERM and SIGINT; call it in the running loop.

        The server alone would close its ears first: new clients would hang on the supervisor's socket, which stays
        open, and readiness would never have been seen to go down.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if callable(before):
                loop.add_signal_handler(number, self._stop, lambda n=number, f=before: f(n, None))

    def _stop(self, finish: Callable[[], object]) -> None:
        if self._stopping:  # asked twice: at once
            finish()
        else:
            self._stopping = asyncio.ensure_future(self.drain(finish))

    async def drain(self, finish: Callable[[], object]) -> None:
        """Refuse new requests, answer the accepted ones, then finish."""
        self.phase = STOPPING
        loop = asyncio.get_running_loop()
        start = loop.time()
        await asyncio.sleep(DRAIN_SECONDS)
        while self.active and loop.time() - start < DRAIN_LIMIT_SECONDS:
            await asyncio.sleep(0.05)
        finish()
