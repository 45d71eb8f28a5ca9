"""From a request's bytes to its answer's: a place, reading, the engine's turn, writing; within a time limit.

Small work is done in the loop, where it costs less than handing it to a thread. Large bodies, documents and large
answers are read and written in threads of their own, so that neither the loop nor the engine waits for them.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from model.labeller import Labeller, Reading
from serving.batching import Batcher
from serving.limits import Limits
from serving.metrics import Metrics
from serving.problems import Problem, encode, too_many_requests

RUNS = 2  # of the engine at once, unless it has but one core: see `Batcher`
READING_THREADS = 2  # one page that is slow to read does not hold up all others
# Sentences whose records are made and written in about a millisecond: not worth a thread.
WRITTEN_AT_ONCE = 16
Item = TypeVar("Item")
Done = TypeVar("Done")


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Wanted:
    """Whether anybody still waits for the answer; threads look at it between two steps."""

    def __init__(self) -> None:
        self._abandoned = threading.Event()

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """Give items one by one, as long as the answer is wanted.

        Raises:
            Abandoned: It is not.
        """
        for item in items:
            if self._abandoned.is_set():
                raise Abandoned
            yield item

    def abandon(self) -> None:
        """Nobody waits any more."""
        self._abandoned.set()


class Inference:
    """Answers many requests with one loaded labeller."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self._labeller: Labeller | None = None
        self._batcher: Batcher | None = None
        self._accepted = 0
        self._threads = ThreadPoolExecutor(READING_THREADS, thread_name_prefix="reading")
        self._free_threads = asyncio.Semaphore(READING_THREADS)

    @property
    def labeller(self) -> Labeller:
        """The loaded labeller."""
        if self._labeller is None:
            raise RuntimeError("no model is loaded")
        return self._labeller

    def load(self, labeller: Labeller) -> None:
        """Take a labeller; it serves from now on."""
        self._labeller = labeller
        self._metrics.load(labeller.codebook)
        limits, engine = self._limits, labeller.engine
        self._batcher = Batcher(
            engine,
            labeller.max_tokens,
            limits.run_tokens,
            limits.waiting_tokens,
            min(RUNS, engine.threads),
            self._metrics,
        )

    async def answer(self, read: Callable[[Labeller, Wanted], Reading], in_thread: bool) -> bytes:
        """Label what a request brought. Cancelled, its work leaves the queue, or stops at the next step.

        Args:
            read: Reads the request.
            in_thread: Whether reading may take long.

        Returns:
            The body of the reply.

        Raises:
            Problem: 429, the queue is full; 504, it took too long; or what reading raises.
        """
        with self._place():
            try:
                async with asyncio.timeout(self._limits.inference_seconds):
                    return await self._answer(read, in_thread)
            except TimeoutError:
                seconds = self._limits.inference_seconds
                raise Problem(
                    504, f"expected an answer within {seconds:g} seconds, but found none. Send fewer or shorter items."
                ) from None

    @contextmanager
    def _place(self) -> Iterator[None]:
        if self._accepted > self._limits.waiting_requests:  # one of them is at work
            raise too_many_requests()
        self._accepted += 1
        try:
            yield
        finally:
            self._accepted -= 1

    async def _answer(self, read: Callable[[Labeller, Wanted], Reading], in_thread: bool) -> bytes:
        labeller, batcher = self.labeller, self._batcher
        assert batcher is not None
        wanted = Wanted()
        try:
            reading = await self._do(lambda: read(labeller, wanted), in_thread)
            predictions = await batcher.predict(reading.sentences)

            def write() -> bytes:
                return encode({"model": labeller.model_info, "results": reading.finish(predictions)})

            return await self._do(write, len(predictions) > WRITTEN_AT_ONCE)
        finally:
            wanted.abandon()

    async def _do(self, work: Callable[[], Done], in_thread: bool) -> Done:
        if not in_thread:
            return work()
        # A request that is given up leaves its thread at work: the next one may enter only when that is free.
        await self._free_threads.acquire()
        loop = asyncio.get_running_loop()

        def free(_: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._free_threads.release)

        future = self._threads.submit(work)
        future.add_done_callback(free)
        return await asyncio.wrap_future(future)
