"""The endpoints: a Starlette app that BentoML mounts, so that its metrics and traces see every request."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from opentelemetry import trace
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from model.labeller import Labeller, Reading
from serving.body import SMALL, ClientLeft, Room, parse_json, read_body
from serving.gateway import NOTES
from serving.index_page import HEADERS, INDEX_PAGE
from serving.inference import Inference, Wanted
from serving.lifecycle import Lifecycle
from serving.limits import Limits
from serving.metrics import Metrics
from serving.openapi import openapi_document
from serving.problems import CLIENT_LEFT, Problem, encode
from serving.schemas import classify_inputs, document_inputs
from serving.versions import versions

Endpoint = Callable[[Request], Awaitable[Response]]


class Api:
    """The app, and what it serves once a model is loaded.

    Attributes:
        app: What BentoML mounts.
        lifecycle: Whether requests are accepted, and how many are at work.
        metrics: What is counted of them.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.lifecycle = Lifecycle()
        self.metrics = Metrics()
        self.room = Room(limits)
        self.inference = Inference(limits, self.metrics)
        self.static: dict[str, bytes] = {}  # what never changes while a model is loaded, by path
        posts: dict[str, Endpoint] = {"/v1/classify": self._classify, "/v1/documents": self._split}
        gets = ("/v1/info", "/v1/codebook", "/docs.json")
        handlers: dict[Any, Any] = {Problem: _refused, HTTPException: _refused_below, ClientLeft: _left}
        self.app = Starlette(
            routes=[
                *(Route(path, self._when_ready(endpoint), methods=["POST"]) for path, endpoint in posts.items()),
                *(Route(path, self._when_ready(self._document), methods=["GET"]) for path in gets),
                Route("/", _index, methods=["GET"]),
            ],
            exception_handlers=handlers,
        )

    @property
    def paths(self) -> frozenset[str]:
        """Every path that the app serves."""
        return frozenset(route.path for route in self.app.routes if isinstance(route, Route))

    def load(self, labeller: Labeller, needs_key: bool = False) -> None:
        """Take a labeller, warm it up, and accept requests.

        Args:
            needs_key: Whether to say that requests need an API key; the gateway asks for it.
        """
        model, known = labeller.model_info, versions()
        info = {"model": model, "codebook": model["codebook"], "limits": self.limits.to_dict(), "versions": known}
        self.static = {
            "/v1/info": encode(info),
            "/v1/codebook": encode(labeller.codebook.to_dict()),
            "/docs.json": encode(
                openapi_document(labeller, known["newsframe"], needs_key)
            ),  # labels its examples: the warm-up
        }
        self.inference.load(labeller)
        self.lifecycle.open()

    def _when_ready(self, endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            self.lifecycle.require_ready()
            return await endpoint(request)

        return guarded

    async def _document(self, request: Request) -> Response:
        return Response(self.static[request.scope["path"]], media_type="application/json")

    async def _classify(self, request: Request) -> Response:
        def read(body: bytes, labeller: Labeller, _: Wanted) -> Reading:
            inputs = classify_inputs(parse_json(body))
            request.scope[NOTES]["items"] = len(inputs)
            return labeller.read_records(inputs)

        return await self._answer(request, read, SMALL)

    async def _split(self, request: Request) -> Response:
        def read(body: bytes, labeller: Labeller, wanted: Wanted) -> Reading:
            documents = document_inputs(parse_json(body))
            request.scope[NOTES]["items"] = len(documents)
            return labeller.read_documents(wanted.each(documents))

        return await self._answer(request, read, at_once=0)

    async def _answer(
        self, request: Request, read: Callable[[bytes, Labeller, Wanted], Reading], at_once: int
    ) -> Response:
        """Read, label and answer; `at_once` is the size of a body that is read in the loop."""
        with self.room.hold() as holding:
            body = await read_body(request, self.limits, holding)
            answer = self.inference.answer(lambda *loaded: read(body, *loaded), len(body) > at_once)
            reply = await _unless_left(request, answer)
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes({f"newsframe.{name}": value for name, value in request.scope[NOTES].items()})
        return Response(reply, media_type="application/json")


async def _unless_left(request: Request, work: Awaitable[bytes]) -> bytes:
    """Do some work, and cancel it when the client leaves.

    Raises:
        ClientLeft: It did.
    """
    task = asyncio.current_task()
    assert task is not None
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not left:
            raise
        task.uncancel()
        raise ClientLeft from None
    finally:
        watcher.cancel()


async def _index(_: Request) -> Response:
    return HTMLResponse(INDEX_PAGE, headers=HEADERS)


async def _refused(_: Request, error: Problem) -> Response:
    return error.to_response()


async def _refused_below(_: Request, error: HTTPException) -> Response:
    return Problem(error.status_code, headers=error.headers).to_response()


async def _left(_: Request, __: ClientLeft) -> Response:
    return Response(status_code=CLIENT_LEFT)
