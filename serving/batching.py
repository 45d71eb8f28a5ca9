"""Runs of the engine that many requests share: a run takes what came while the others were under way.

A run is bounded by tokens and takes one sentence of each request in turn, so that a request of one sentence waits for
the run that is under way and goes with the next, however many sentences others have brought. Nor does a request of many
fill the queue: what is beyond its share waits with the request, outside. No timer holds a run back: alone, a request is
labelled at once.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from model.engine import CacheInfo
from model.predictions import Prediction
from model.records import Sentence
from serving.metrics import Metrics
from serving.problems import too_many_requests

BYTES_A_TOKEN = 4  # of English news, on average; a script of several bytes a character takes about as many
SPECIAL_TOKENS = 2
SHARES = 16  # of the queue; a request takes one at most, and gives it back only when its last sentences are labelled


class Engine(Protocol):
    """What the batcher asks of `model.engine.Engine`."""

    def __call__(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Label sentences, in order."""

    def cache_info(self) -> CacheInfo:
        """How many sentences were repeated so far."""


@dataclass(eq=False)
class _Job:
    """What one request wants labelled.

    Attributes:
        order: Indices of the sentences, cheapest first: a run then holds sentences of like length.
        costs: Estimated tokens, in that order.
        waiting: Estimated tokens that no run has taken yet.
        taken: How many sentences are labelled or under way.
    """

    sentences: Sequence[Sentence]
    order: list[int]
    costs: list[int]
    answer: "asyncio.Future[list[Prediction]]"
    waiting: int
    taken: int = 0
    since: float = field(default_factory=time.perf_counter)
    predictions: dict[int, Prediction] = field(default_factory=dict)


_Run = list[tuple[_Job, int]]  # sentences by their request and their index in it


class Batcher:
    """Labels sentences of many requests with one engine, in threads of its own."""

    def __init__(
        self, engine: Engine, max_tokens: int, run_tokens: int, waiting_tokens: int, runs: int, metrics: Metrics
    ) -> None:
        """Make a batcher; its threads end with it.

        Args:
            engine: Labels the sentences of a run.
            max_tokens: What the engine sees of a sentence, at most.
            run_tokens: Estimated tokens of a run; a longer sentence is a run of its own.
            waiting_tokens: Estimated tokens that may wait in the queue. A request takes a sixteenth of it at most,
                whatever it brings: what is beyond that moves up as its first sentences are labelled.
            runs: Runs at once: with two, the cores work at one while the other is made into answers.
        """
        self._engine = engine
        self._max_tokens = max_tokens
        self._run_tokens = run_tokens
        self._waiting_tokens = waiting_tokens
        self._share = max(waiting_tokens // SHARES, 1)
        self._runs = runs
        self._metrics = metrics
        self._lock = threading.Lock()
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._at_work = 0  # threads
        self._repeated = engine.cache_info().hits  # that the metrics know of, or need not know of
        self._executor = ThreadPoolExecutor(runs, thread_name_prefix="inference")

    async def predict(self, sentences: Sequence[Sentence]) -> list[Prediction]:
        """Label sentences, in order. Cancelled, its sentences leave the queue at once.

        Raises:
            Problem: 429, the queue is full.
        """
        if not sentences:
            return []
        costs = [self._cost(sentence) for sentence in sentences]
        order = sorted(range(len(costs)), key=costs.__getitem__)
        answer: asyncio.Future[list[Prediction]] = asyncio.get_running_loop().create_future()
        job = _Job(sentences, order, [costs[n] for n in order], answer, waiting=sum(costs))
        self._enqueue(job)
        try:
            return await answer
        finally:
            self._withdraw(job)

    def _cost(self, sentence: Sentence) -> int:
        text = sentence.text
        size = len(text) if text.isascii() else len(text.encode("utf-8"))
        return min(size // BYTES_A_TOKEN + SPECIAL_TOKENS, self._max_tokens)

    def _enqueue(self, job: _Job) -> None:
        with self._lock:
            if sum(min(each.waiting, self._share) for each in (*self._jobs, job)) > self._waiting_tokens:
                raise too_many_requests()
            self._waiting += job.waiting
            self._jobs.append(job)
            self._start_thread()
        self._metrics.waiting.set(self._waiting)

    def _start_thread(self) -> None:
        """Let one thread more work, if there is one; the caller holds the lock."""
        if self._at_work < self._runs:
            self._at_work += 1
            self._executor.submit(self._work)

    def _withdraw(self, job: _Job) -> None:
        if job.taken == len(job.order):
            return
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)
                self._waiting -= job.waiting
        self._metrics.waiting.set(self._waiting)

    def _work(self) -> None:
        """Run, in a thread, until nothing waits."""
        try:
            while run := self._next_run():
                self._label(run)
        except BaseException:
            with self._lock:
                self._at_work -= 1  # the next request starts a thread's work anew
            raise

    def _next_run(self) -> _Run:
        run: _Run = []
        cost = 0
        with self._lock:
            while self._jobs:
                job = self._jobs[0]
                more = job.costs[job.taken]
                if run and cost + more > self._run_tokens:
                    break
                self._jobs.popleft()
                run.append((job, job.order[job.taken]))
                cost += more
                job.waiting -= more
                job.taken += 1
                if job.taken < len(job.order):
                    self._jobs.append(job)
            self._waiting -= cost
            if not run:
                self._at_work -= 1
            elif self._jobs:
                self._start_thread()
        return run

    def _label(self, run: _Run) -> None:
        start = time.perf_counter()
        try:
            predictions = self._engine([job.sentences[n] for job, n in run])
            for (job, n), prediction in zip(run, predictions, strict=True):
                job.predictions[n] = prediction
        except Exception as error:
            self._fail(run, error)
            return
        seconds = time.perf_counter() - start
        jobs = dict.fromkeys(job for job, _ in run)
        _tell([job for job in jobs if len(job.predictions) == len(job.sentences)], _answer)
        # Only now: nobody waits for the counting.
        queued = [start - job.since for job, n in run if n == job.order[0]]
        with self._lock:
            hits = self._engine.cache_info().hits
            repeated, self._repeated = hits - self._repeated, hits
        self._metrics.count_run(predictions, repeated, seconds, queued, self._waiting)

    def _fail(self, run: _Run, error: Exception) -> None:
        """A failure costs the request that made it, and not those that shared its run."""
        jobs = list(dict.fromkeys(job for job, _ in run))
        if len(jobs) == 1:
            _tell(jobs, lambda job: _refuse(job, error))
            return
        for job in jobs:
            self._label([(other, n) for other, n in run if other is job])


def _tell(jobs: Sequence[_Job], tell: Callable[[_Job], None]) -> None:
    """Do something with each job in the loop where it is awaited."""

    def all_of(jobs: Sequence[_Job]) -> None:
        for job in jobs:
            if not job.answer.done():  # it may have been given up
                tell(job)

    loops: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        loops.setdefault(job.answer.get_loop(), []).append(job)
    for loop, own in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(all_of, own)


def _answer(job: _Job) -> None:
    job.answer.set_result([job.predictions[n] for n in range(len(job.sentences))])


def _refuse(job: _Job, error: Exception) -> None:
    job.answer.set_exception(error)
