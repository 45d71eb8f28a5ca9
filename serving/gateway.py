"""The outermost layer, around BentoML's whole app: what it lets in, and the form of what it lets out.

BentoML answers in forms of its own (text, JSON arrays), and labels its metrics with the path as it came. So an unknown
path ends here, before a series is made of it, and so does a request without a valid key; every reply that is no success
leaves as problem details, whoever made it; and nothing that goes wrong inside is told outside.
"""

import re
import secrets
import time
from collections.abc import Iterable, Set
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from serving import access_log
from serving.keys import Keys
from serving.lifecycle import Lifecycle
from serving.metrics import Metrics
from serving.problems import MEDIA_TYPE, Problem, no_such_preflight, no_valid_key, not_ready
from serving.settings import Settings

# Asked every few seconds by machines: logged only when they fail.
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
# No key is asked for: what probes cannot carry one for, and what tells people and programs how to ask.
OPEN = frozenset({"/livez", "/readyz", "/", "/docs.json"})
# What the log says besides of a request, its id first; routes add to it. The key is in the scope, which layers share.
NOTES = "newsframe"
REQUEST_ID = "X-Request-Id"
_KNOWN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_KEPT_HEADERS = {b"allow": "Allow", b"retry-after": "Retry-After", b"vary": "Vary"}
_CORS = b"access-control-"


class Gateway:
    """An ASGI app around another."""

    def __init__(
        self, app: ASGIApp, paths: Set[str], lifecycle: Lifecycle, metrics: Metrics, settings: Settings
    ) -> None:
        """Wrap an app.

        Args:
            paths: Every path that the app serves, probes included.
        """
        self.app = app
        self.paths = paths
        self.lifecycle = lifecycle
        self._metrics = metrics
        guard: ASGIApp = _Guard(app, paths, settings.keys)
        self._inner = _with_cors(guard, settings.origins) if settings.origins else guard

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
            await self._inner(exchange.scope, exchange.receive, exchange.send)
        if exchange.status >= 400:
            self._metrics.count_refusal(exchange.status)
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


class _Guard:
    """Lets through to an app what has a path and a key, and tells nothing of what fails in it."""

    def __init__(self, app: ASGIApp, paths: Set[str], keys: Keys) -> None:
        self._app = app
        self._paths = paths
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, noting)
        except Problem as problem:
            await problem.to_response()(scope, receive, send)
        except Exception as error:  # whatever it is, it must not reach the server's log, which would quote it
            access_log.write_failure(error, scope["path"])
            if not started:
                await Problem(500).to_response()(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        path = scope["path"]
        if path not in self._paths:
            raise Problem(404)
        if self._keys.required and path not in OPEN:
            given = Headers(scope=scope).get("authorization")
            if not self._keys.allow(given):
                raise no_valid_key(bool(given))


def _with_cors(app: ASGIApp, origins: Iterable[str]) -> ASGIApp:
    """Let scripts of web pages from some origins ask, and read what they need of a reply."""
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["Authorization", "Content-Type", REQUEST_ID],
        expose_headers=["Retry-After", "WWW-Authenticate", REQUEST_ID],
    )


class _Exchange:
    """One request and its reply: named, counted, and put into form where the reply is no success."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.notes: dict[str, Any] = {"request_id": _request_id(scope)}
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
                await _problem(self.scope["method"], status, headers).to_response()(
                    self.scope, self._receive, self._pass
                )
                return
        await self._pass(message)

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            named = (REQUEST_ID.lower().encode(), self.notes["request_id"].encode())
            message = {**message, "headers": [*message.get("headers", ()), named]}
        if self.scope["method"] != "HEAD":  # the server leaves its body out
            self.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """The client's name for its request, if it is one that can stand in a log; else a new one."""
    name = REQUEST_ID.lower().encode()
    given = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return given[0] if len(given) == 1 and _KNOWN_ID.fullmatch(given[0]) else secrets.token_hex(16)


def _problem(method: str, status: int, headers: dict[bytes, bytes]) -> Problem:
    """A refusal from below in our form: its status and what the client can act on, and not its words."""
    if status == 503:
        problem = not_ready()
    else:
        problem = no_such_preflight() if (method, status) == ("OPTIONS", 400) else Problem(status)
    kept = {key: _KEPT_HEADERS.get(key) or (key.decode("latin-1") if key.startswith(_CORS) else "") for key in headers}
    problem.headers |= {name: headers[key].decode("latin-1") for key, name in kept.items() if name}
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
