"""The way of the shards through the stages, on the cores of this machine.

Reading, segmenting, inferring and writing overlap: some shards are under way at a time, each at its own stage. What
hangs on order is done here, in this process and in the order of the shards: looking up repeated sentences, and
committing.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait as wait_for
from typing import Any

from model.cores import cores
from serving.archive.errors import ArchiveError
from serving.archive.ledger import Ledger
from serving.archive.packed import concatenate
from serving.archive.repeats import Lookup
from serving.archive.segmented import Segmented
from serving.archive.shards import Shard, ShardHead
from serving.archive.stages import INFERRED, SEGMENTED, Setup, Worker

AHEAD = 2  # shards under way beyond one a process: enough to never wait, and a bound on memory


@dataclass
class _Flight:
    """A shard under way, and what each stage has given so far."""

    head: ShardHead
    segmenting: list[Future[Segmented]]
    inferring: list[Future[Any]] = field(default_factory=list)
    writing: Future[dict[str, Any]] | None = None
    segmented: Segmented | None = None
    lookup: Lookup | None = None

    @property
    def waiting_for(self) -> list[Future[Any]]:
        """What is still to be done before its next stage; nothing if it waits for the shards before it."""
        tasks = [self.writing] if self.writing else self.inferring if self.lookup else self.segmenting
        return [task for task in tasks if not task.done()]


def run_locally(
    shards: Iterable[Shard],
    ledger: Ledger,
    setup: Setup,
    workers: int | None,
    see: Callable[[ShardHead], None],
    tell: Callable[[], None],
) -> None:
    """Take shards through all stages and commit them, in order.

    Args:
        workers: Processes; None does all in this one.
        see: Called with each shard that was read.
        tell: Called when something has come to pass.

    Raises:
        ArchiveError: A process was ended from outside.
        OSError: What is written cannot be.
    """
    count = 1 if workers is None else workers or cores()
    pool = _Here(setup) if workers is None else _processes(setup, count)
    try:
        _fly(iter(shards), ledger, pool, count + AHEAD, see, tell)
    except BrokenProcessPool:
        raise ArchiveError(
            f"{setup.out}: expected {count} processes to live, but found that one was ended, most likely for want of "
            "memory. Run the same command again to go on, with fewer --workers if it recurs."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _fly(
    shards: Iterator[Shard],
    ledger: Ledger,
    pool: Executor,
    limit: int,
    see: Callable[[ShardHead], None],
    tell: Callable[[], None],
) -> None:
    flights: deque[_Flight] = deque()
    more = True
    while more or flights:
        if more and len(flights) < limit:
            shard = next(shards, None)
            more = shard is not None
            if shard:
                see(shard.head)
                starts = range(0, len(shard.items), SEGMENTED)
                tasks = [
                    pool.submit(segment, shard.head.first + n, shard.items[n : n + SEGMENTED]) for n in starts
                ]  # fmt: skip
                flights.append(_Flight(shard.head, tasks))
        moved = _advance(flights, ledger, pool)
        if moved:
            tell()
        elif flights and (not more or len(flights) >= limit):
            wait([future for flight in flights for future in flight.waiting_for], return_when=FIRST_COMPLETED)


def _advance(flights: deque[_Flight], ledger: Ledger, pool: Executor) -> bool:
    """Take each shard to its next stage if the one it is at is done, and if those before it have been there."""
    moved = False
    for flight in flights:
        if flight.segmented is None:
            if not _done(flight.segmenting):
                break
            flight.segmented = Segmented()
            for task in flight.segmenting:
                flight.segmented.extend(task.result())
            flight.segmenting = []
            flight.lookup = ledger.lookup(flight.segmented)
            flight.inferring = [
                pool.submit(infer, *batch) for batch in batches(flight.segmented, flight.lookup)
            ]  # fmt: skip
            moved = True
    for flight in flights:
        if flight.writing is None:
            if flight.segmented is None or flight.lookup is None or not _done(flight.inferring):
                break
            packed = concatenate([task.result() for task in flight.inferring], ledger.layout)
            flight.inferring = []
            assembly = ledger.settle(flight.head.number, flight.segmented, flight.lookup, packed)
            flight.writing = pool.submit(assemble, assembly)
            moved = True
    while flights and (writing := flights[0].writing) and writing.done():
        flight = flights.popleft()
        assert flight.segmented is not None
        assert flight.lookup is not None
        ledger.commit(flight.head, flight.segmented, flight.lookup, writing.result())
        moved = True
    return moved


def batches(segmented: Segmented, lookup: Lookup) -> Iterable[tuple[list[str], list[tuple[Any, ...]]]]:
    """The new sentences of a shard with their targets, as many at a time as a task infers."""
    places = segmented.to_infer()
    new = [places[n] for n in lookup.new]
    for start in range(0, len(new), INFERRED):
        batch = new[start : start + INFERRED]
        yield [segmented.texts[n] for n in batch], [segmented.targets[n] for n in batch]


def _done(tasks: list[Future[Any]]) -> bool:
    return all(task.done() for task in tasks)


# ---- What runs in another process ----

_worker: Worker | None = None


def _processes(setup: Setup, count: int) -> ProcessPoolExecutor:
    # Never forked: threads of this process, such as a notebook's, may hold locks.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(count, mp_context=context, initializer=_start, initargs=(setup,))


def _start(setup: Setup) -> None:
    global _worker
    # An interrupt from the keyboard reaches every process of a terminal; the one that started this one handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = Worker(setup)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait_for([parent.sentinel])
    os._exit(1)


def _own() -> Worker:
    assert _worker is not None
    return _worker


def segment(*arguments: Any) -> Segmented:
    """`Worker.segment` of this process."""
    return _own().segment(*arguments)


def infer(*arguments: Any) -> Any:
    """`Worker.infer` of this process."""
    return _own().infer(*arguments)


def assemble(*arguments: Any) -> dict[str, Any]:
    """`Worker.assemble` of this process."""
    return _own().assemble(*arguments)


class _Here(Executor):
    """Does each task at once, in this process."""

    def __init__(self, setup: Setup) -> None:
        worker = Worker(setup)
        self._stages: dict[Callable[..., Any], Callable[..., Any]] = {
            segment: worker.segment,
            infer: worker.infer,
            assemble: worker.assemble,
        }

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it, and give its result."""
        future: Future[Any] = Future()
        try:
            future.set_result(self._stages[fn](*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
