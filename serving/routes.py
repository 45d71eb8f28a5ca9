"""The endpoints: a Starlette app that BentoML mounts, so that its metrics and traces see every request."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from model.labeller import Labeller
from serving.body import ClientLeft, parse_json, read_body
from serving.gateway import NOTES
from serving.index_page import HEADERS, INDEX_PAGE
from serving.inference import Inference
from serving.lifecycle import Lifecycle
from serving.limits import Limits
from serving.openapi import openapi_document
from serving.problems import CLIENT_LEFT, Problem, encode
from serving.schemas import classify_inputs, document_inputs
from serving.versions import versions

# A body up to this many bytes is parsed in about a millisecond: not worth a thread.
PARSED_AT_ONCE = 65_536
Item = TypeVar("Item")
Endpoint = Callable[[Request], Awaitable[Response]]


class Api:
    """The app, and what it serves once a model is loaded.

    Attributes:
        app: What BentoML mounts.
        lifecycle: Whether requests are accepted, and how many are at work.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.lifecycle = Lifecycle()
        self.inference = Inference(limits)
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

    def load(self, labeller: Labeller) -> None:
        """Take a labeller, warm it up, and accept requests."""
        model, known = labeller.model_info, versions()
        info = {"model": model, "codebook": model["codebook"], "limits": self.limits.to_dict(), "versions": known}
        self.static = {
            "/v1/info": encode(info),
            "/v1/codebook": encode(labeller.codebook.to_dict()),
            "/docs.json": encode(openapi_document(labeller, known["newsframe"])),  # labels its examples: the warm-up
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
        inputs = await self._read(request, classify_inputs)
        return await self._answer(request, lambda labeller: labeller.label_records(inputs))

    async def _split(self, request: Request) -> Response:
        documents = await self._read(request, document_inputs)
        return await self._answer(request, lambda labeller: labeller.label_documents(documents))

    async def _read(self, request: Request, check: Callable[[object], list[Item]]) -> list[Item]:
        body = await read_body(request, self.limits)

        def read() -> list[Item]:
            return check(parse_json(body))

        items = read() if len(body) <= PARSED_AT_ONCE else await asyncio.to_thread(read)
        request.scope[NOTES]["items"] = len(items)
        return items

    async def _answer(self, request: Request, label: Callable[[Labeller], Sequence[dict[str, Any]]]) -> Response:
        """Label in the worker thread, unless the client leaves before."""

        def work(labeller: Labeller) -> bytes:
            return encode({"model": labeller.model_info, "results": label(labeller)})

        labelling = asyncio.ensure_future(self.inference.run(work))
        leaving = asyncio.ensure_future(_until_left(request))
        try:
            await asyncio.wait((labelling, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not labelling.done():
                raise ClientLeft
            return Response(labelling.result(), media_type="application/json")
        finally:
            for task in (labelling, leaving):
                task.cancel()
            await asyncio.gather(labelling, leaving, return_exceptions=True)


async def _until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _index(_: Request) -> Response:
    return HTMLResponse(INDEX_PAGE, headers=HEADERS)


async def _refused(_: Request, error: Problem) -> Response:
    return error.to_response()


async def _refused_below(_: Request, error: HTTPException) -> Response:
    return Problem(error.status_code, headers=error.headers).to_response()


async def _left(_: Request, __: ClientLeft) -> Response:
    return Response(status_code=CLIENT_LEFT)
