"""A typed client of the service, blocking and asynchronous.

    from serving.client import Client

    with Client("http://127.0.0.1:3000") as client:
        reply = client.classify(["The ministers met in Geneva."])
        for result in client.stream(lines_of_a_large_file):
            print(result.id, result.status, result.record)

A list of any length is split within the limits that the service publishes, a few requests at a time; results come in
order. It needs httpx (the extra `client`), and loads nothing that labels.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, closing
from types import TracebackType
from typing import Any, TypeVar, cast

import httpx

from serving.client_errors import (
    Busy,
    ClientError,
    ModelChanged,
    NoAnswer,
    Refused,
    TookTooLong,
    TooLarge,
    Unauthorised,
    UnexpectedReply,
    WrongFields,
)
from serving.client_exchange import Outcome, Patience, Send, Steps
from serving.client_parts import CLASSIFY, DOCUMENTS, Answer, Operation, Packer, Part, Row
from serving.client_settings import Settings, Timeouts
from serving.client_types import Codebook, Document, DocumentRecord, Info, Item, Reply, Sentence, SentenceRecord

__all__ = [
    "AsyncClient", "Busy", "Client", "ClientError", "Document", "DocumentRecord", "ModelChanged", "NoAnswer",
    "Patience", "Refused", "Reply", "Sentence", "SentenceRecord", "Timeouts", "TookTooLong", "TooLarge",
    "Unauthorised", "UnexpectedReply", "WrongFields",
]  # fmt: skip

TIMEOUTS, PATIENCE = Timeouts(), Patience()
Value = TypeVar("Value")


class Client:
    """A blocking client; safe to use from several threads. Close it, or use it in a `with`."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:3000",
        *,
        key: str | None = None,
        timeouts: Timeouts = TIMEOUTS,
        patience: Patience = PATIENCE,
        concurrency: int = 2,
        batch: int | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Make a client; nothing is asked yet.

        Args:
            base_url: Where the service is; may have a path.
            key: An API key, sent as bearer.
            concurrency: Requests of one call at a time.
            batch: Items of a request, where fewer are wanted than the service takes.
            transport: Of httpx, in place of the network.

        Raises:
            ClientError: A setting that cannot be.
        """
        self._settings = Settings(base_url, key, timeouts, patience, concurrency, batch)
        self._http = httpx.Client(
            headers=self._settings.headers, limits=self._settings.limits, transport=transport, follow_redirects=False
        )
        self._known: Info | None = None

    def classify(self, inputs: Iterable[str | SentenceRecord]) -> Reply[Sentence]:
        """Label sentences.

        Returns:
            One result for each input, in order; one that could not be labelled has an `error`.

        Raises:
            ClientError: See `serving.client_errors`.
        """
        return _joined(list(self.stream(inputs)), self._known)

    def documents(self, documents: Iterable[DocumentRecord]) -> Reply[Document]:
        """Split documents and label their sentences; see `classify`."""
        return _joined(list(self.stream_documents(documents)), self._known)

    def stream(self, inputs: Iterable[str | SentenceRecord]) -> Iterator[Sentence]:
        """Label sentences as they come, in order; memory holds the requests under way and no more.

        Raises:
            ClientError: See `serving.client_errors`; what was given before stays good.
        """
        with closing(self._rows(CLASSIFY, inputs)) as rows:
            for row in rows:
                yield Sentence(*row)

    def stream_documents(self, documents: Iterable[DocumentRecord]) -> Iterator[Document]:
        """Label documents as they come; see `stream`."""
        with closing(self._rows(DOCUMENTS, documents)) as rows:
            for row in rows:
                yield Document(*row)

    def info(self) -> Info:
        """Model, limits and versions of the service."""
        return cast(Info, self._run(self._settings.exchange("GET", "/v1/info")))

    def codebook(self) -> Codebook:
        """Axes and labels, with their definitions."""
        return cast(Codebook, self._run(self._settings.exchange("GET", "/v1/codebook")))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, operation: Operation, items: Iterable[Any]) -> Generator[Row]:
        settings, given_up = self._settings, threading.Event()
        self._known = self._known or self.info()
        packer = Packer(operation, self._known, settings.batch)
        waiting: deque[Future[Answer]] = deque()
        with ThreadPoolExecutor(settings.concurrency, thread_name_prefix="newsframe-client") as threads:
            try:
                for part in _parts(packer, items):
                    if len(waiting) == settings.concurrency:
                        yield from waiting.popleft().result()
                    waiting.append(threads.submit(self._run, part.ask(settings.exchange), given_up))
                while waiting:
                    yield from waiting.popleft().result()
            finally:  # the caller wants no more, or a part failed: the others end with their answer, or at a pause
                given_up.set()
                threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, steps: Steps[Value], given_up: threading.Event | None = None) -> Value:
        given_up = given_up or threading.Event()
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as done:
                return cast(Value, done.value)
            if isinstance(step, Send):
                outcome = self._send(step)
                continue
            outcome = None
            if given_up.wait(step.seconds):
                raise NoAnswer("client: expected somebody to wait for the answer, but found nobody. Ask again.")

    def _send(self, step: Send) -> Outcome:
        try:
            return self._http.request(**self._settings.arguments(step))
        except httpx.RequestError as error:
            return error


class AsyncClient:
    """An asynchronous client, with the calls of `Client`. Close it, or use it in an `async with`."""

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:3000",
        *,
        key: str | None = None,
        timeouts: Timeouts = TIMEOUTS,
        patience: Patience = PATIENCE,
        concurrency: int = 2,
        batch: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Make a client; see `Client`."""
        self._settings = Settings(base_url, key, timeouts, patience, concurrency, batch)
        self._http = httpx.AsyncClient(
            headers=self._settings.headers, limits=self._settings.limits, transport=transport, follow_redirects=False
        )
        self._known: Info | None = None

    async def classify(
        self, inputs: Iterable[str | SentenceRecord] | AsyncIterable[str | SentenceRecord]
    ) -> Reply[Sentence]:
        """Label sentences; see `Client.classify`."""
        return _joined([result async for result in self.stream(inputs)], self._known)

    async def documents(self, documents: Iterable[DocumentRecord] | AsyncIterable[DocumentRecord]) -> Reply[Document]:
        """Split documents and label their sentences; see `Client.classify`."""
        return _joined([result async for result in self.stream_documents(documents)], self._known)

    async def stream(
        self, inputs: Iterable[str | SentenceRecord] | AsyncIterable[str | SentenceRecord]
    ) -> AsyncIterator[Sentence]:
        """Label sentences as they come; see `Client.stream`."""
        async with aclosing(self._rows(CLASSIFY, inputs)) as rows:
            async for row in rows:
                yield Sentence(*row)

    async def stream_documents(
        self, documents: Iterable[DocumentRecord] | AsyncIterable[DocumentRecord]
    ) -> AsyncIterator[Document]:
        """Label documents as they come; see `Client.stream`."""
        async with aclosing(self._rows(DOCUMENTS, documents)) as rows:
            async for row in rows:
                yield Document(*row)

    async def info(self) -> Info:
        """Model, limits and versions of the service."""
        return cast(Info, await self._run(self._settings.exchange("GET", "/v1/info")))

    async def codebook(self) -> Codebook:
        """Axes and labels, with their definitions."""
        return cast(Codebook, await self._run(self._settings.exchange("GET", "/v1/codebook")))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _rows(self, operation: Operation, items: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[Row]:
        settings = self._settings
        self._known = self._known or await self.info()
        packer = Packer(operation, self._known, settings.batch)
        waiting: deque[asyncio.Task[Answer]] = deque()
        try:
            async for part in _parts_as_they_come(packer, items):
                if len(waiting) == settings.concurrency:
                    for row in await waiting.popleft():
                        yield row
                waiting.append(asyncio.create_task(self._run(part.ask(settings.exchange))))
            while waiting:
                for row in await waiting.popleft():
                    yield row
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _run(self, steps: Steps[Value]) -> Value:
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as done:
                return cast(Value, done.value)
            if isinstance(step, Send):
                outcome = await self._send(step)
            else:
                outcome = None
                await asyncio.sleep(step.seconds)

    async def _send(self, step: Send) -> Outcome:
        try:
            return await self._http.request(**self._settings.arguments(step))
        except httpx.RequestError as error:
            return error


def _parts(packer: Packer, items: Iterable[Any]) -> Iterator[Part]:
    for item in items:
        if full := packer.add(item):
            yield full
    if rest := packer.flush():
        yield rest


async def _parts_as_they_come(packer: Packer, items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Part]:
    if isinstance(items, Iterable):
        for part in _parts(packer, items):
            yield part
        return
    async for item in items:
        if full := packer.add(item):
            yield full
    if rest := packer.flush():
        yield rest


def _joined(results: Sequence[Item], known: Info | None) -> Reply[Item]:
    """Join results into one reply.

    Args:
        known: What the service said of itself before the first was asked.

    Raises:
        ModelChanged: They come from two models.
    """
    models = [result.model for result in results if result.model is not None]
    for model in models:
        if model != models[0]:
            raise ModelChanged(
                f"client: expected one model, but found {models[0]['sha256']:.12}… and {model['sha256']:.12}…: the "
                "service was renewed. Ask again."
            )
    if not models:
        assert known is not None
        models = [known["model"]]
    return Reply(models[0], tuple(results))
