"""The one worker thread that labels, the bounded queue before it, and how a place in it is given back.

One request is labelled at a time: the engine takes all cores for each. Joining the sentences of several requests
into one run belongs here too, in place of the executor's queue.
"""

import asyncio
import copy
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, cast

from model.engine import Engine
from model.labeller import Labeller
from model.predictions import Prediction
from model.records import Sentence
from serving.limits import Limits
from serving.problems import Problem, too_many_requests

# Sentences between two looks at whether anybody still waits for the answer: about a third of a second on two cores.
STEP = 64
Answer = TypeVar("Answer")


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Inference:
    """Runs a loaded labeller for many requests, one after the other."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._labeller: Labeller | None = None
        self._pending: set[Future[Any]] = set()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inference")

    @property
    def labeller(self) -> Labeller:
        """The loaded labeller."""
        if self._labeller is None:
            raise RuntimeError("no model is loaded")
        return self._labeller

    def load(self, labeller: Labeller) -> None:
        """Take a labeller; it serves from now on."""
        self._labeller = labeller

    async def run(self, work: Callable[[Labeller], Answer]) -> Answer:
        """Do some work with the labeller in the worker thread, when its turn comes.

        Cancelled, it leaves the queue, or stops at the next step.

        Raises:
            Problem: 429, the queue is full; 504, it took too long.
        """
        if len(self._pending) > self._limits.waiting_requests:  # one of them is at work
            raise too_many_requests()
        abandoned = threading.Event()
        labeller = copy.copy(self.labeller)
        labeller.engine = cast(Engine, _Interruptible(labeller.engine, abandoned))
        future = self._executor.submit(work, labeller)
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        try:
            async with asyncio.timeout(self._limits.inference_seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            seconds = self._limits.inference_seconds
            raise Problem(
                504, f"expected an answer within {seconds:g} seconds, but found none. Send fewer or shorter items."
            ) from None
        finally:
            abandoned.set()


class _Interruptible:
    """An engine that stops between two steps once its answer is not wanted any more."""

    def __init__(self, engine: Engine, abandoned: threading.Event) -> None:
        self._engine = engine
        self._abandoned = abandoned

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        predictions: list[Prediction] = []
        for first in range(0, len(sentences), STEP):
            if self._abandoned.is_set():
                raise Abandoned
            predictions += self._engine(sentences[first : first + STEP])
        return predictions
