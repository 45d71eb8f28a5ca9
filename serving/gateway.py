"""The outermost layer, around BentoML's whole app: what it lets in, and the form of what it lets out.

BentoML answers in forms of its own (text, JSON arrays), and labels its metrics with the path as it came. So an unknown
path ends here, before a series is made of it; every reply that is no success leaves as problem details, whoever made
it; and nothing that goes wrong inside is told outside. API keys and CORS have their place here, before `_serve`.
"""

import time
from collections.abc import Set
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from serving import access_log
from serving.lifecycle import Lifecycle
from serving.problems import MEDIA_TYPE, Problem, not_ready

# Asked every few seconds by machines: logged only when they fail.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
# What the routes add to the line of the log; the key is in the scope, which all layers share.
NOTES = "newsframe"
_KEPT_HEADERS = {b"allow": "Allow", b"retry-after": "Retry-After"}


class Gateway:
    """An ASGI app around another."""

    def __init__(self, app: ASGIApp, paths: Set[str], lifecycle: Lifecycle) -> None:
        """Wrap an app.

        Args:
            paths: Every path that the app serves, probes included.
        """
        self.app = app
        self.paths = paths
        self.lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await _refuse_websocket(WebSocket(scope, receive, send))
        else:
            await self.app(scope, receive, _without_traceback(send))

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        exchange = _Exchange(scope, receive, send)
        with self.lifecycle.request():
            await self._serve(exchange)
        path = scope["path"]
        if path in PROBES and exchange.status < 400:
            return
        access_log.write(
            "request",
            method=scope["method"],
            route=path if path in self.paths else None,
            status=exchange.status,
            ms=round((time.perf_counter() - start) * 1000, 1),
            bytes_in=exchange.bytes_in,
            bytes_out=exchange.bytes_out,
            **exchange.notes,
        )

    async def _serve(self, exchange: "_Exchange") -> None:
        path = exchange.scope["path"]
        if path not in self.paths:
            await exchange.refuse(Problem(404))
            return
        try:
            await self.app(exchange.scope, exchange.receive, exchange.send)
        except Exception as error:  # whatever it is, it must not reach the server's log, which would quote it
            access_log.write_failure(error, path)
            if not exchange.status:
                await exchange.refuse(Problem(500))


class _Exchange:
    """One request and its reply, counted, and put into form where the reply is no success."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.notes: dict[str, Any] = {}
        self.scope = {**scope, NOTES: self.notes}
        self.status = 0
        self.bytes_in = self.bytes_out = 0
        self._receive, self._send = receive, send
        self._replaced = False

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            status, headers = message["status"], dict(message.get("headers", ()))
            if status >= 400 and headers.get(b"content-type") != MEDIA_TYPE.encode():
                self._replaced = True
                await self.refuse(_problem(status, headers))
                return
        await self._pass(message)

    async def refuse(self, problem: Problem) -> None:
        await problem.to_response()(self.scope, self._receive, self._pass)

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        if self.scope["method"] != "HEAD":  # the server leaves its body out
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _problem(status: int, headers: dict[bytes, bytes]) -> Problem:
    """A refusal from below in our form: its status and what the client can act on, and not its words."""
    problem = not_ready() if status == 503 else Problem(status)
    problem.headers |= {name: headers[key].decode("latin-1") for key, name in _KEPT_HEADERS.items() if key in headers}
    return problem


async def _refuse_websocket(websocket: WebSocket) -> None:
    """There are none; the server may know how to say so in HTTP."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(Problem(404).to_response())
    else:
        await websocket.close()


def _without_traceback(send: Send) -> Send:
    """Start-up and shutdown: Starlette sends the traceback of a failure to the server, which logs it."""

    async def sent(message: Message) -> None:
        await send({**message, "message": ""} if message["type"].endswith(".failed") else message)

    return sent
