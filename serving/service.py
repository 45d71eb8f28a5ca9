"""The service as BentoML packages, supervises and serves it; bodies, errors and time-outs are ours.

    supervisor ── one worker process each ── uvicorn ── Gateway ── BentoML (metrics, traces, probes) ── Api

The endpoints are a mounted ASGI app and no `@bentoml.api` methods: those parse any media type as JSON, answer errors in
forms of their own, log tracebacks that quote the text, and describe themselves wrongly in /docs.json.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import bentoml

from model.artifact import find_artifact, load_artifact
from model.errors import NewsframeError
from serving import access_log
from serving.settings import Settings

if TYPE_CHECKING:  # a worker alone needs these: the supervisor starts without them
    from model.labeller import Labeller
    from serving.routes import Api

Loaded = TypeVar("Loaded")
# How long a thread may keep Python from the others. With Python's 5 ms, a core that has finished its batch stands still
# while a request is read; at 32 clients that costs a tenth of the requests.
SWITCH_SECONDS = 0.0001


class GatewayService(bentoml.Service[Any]):  # type: ignore[misc]  # BentoML is not typed
    """A BentoML service whose whole app stands behind our gateway."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Make the app of a worker; see `bentoml.Service.to_asgi`."""
        # Where it is installed, uvicorn would parse with it, and it holds headers of any size; h11 refuses over 16 kB.
        sys.modules["httptools"] = None  # type: ignore[assignment]  # as Python has it: this import fails
        access_log.configure()
        _loading()
        from _bentoml_impl.server.app import ServiceAppFactory

        from serving.gateway import PROBES, Gateway

        settings, api = _or_exit(Settings.from_environment), _api()
        self.mount_asgi_app(api.app, path="/")
        self.inject_config()
        factory = ServiceAppFactory(self, is_main=is_main)
        factory.timeout = None  # BentoML's keeps memory for every request until its timer ends; ours does not
        return Gateway(_without_idle_tracing(factory()), api.paths | PROBES, api.lifecycle, api.metrics, settings)


@cache
def _loading() -> "Future[Labeller]":
    """The labeller of this process, loaded in a thread while BentoML is imported: both take half a second and more."""
    from model.labeller import Labeller

    threads = _or_exit(Settings.from_environment).threads
    return ThreadPoolExecutor(1, thread_name_prefix="loading").submit(Labeller.load, threads=threads)


@cache
def _api() -> "Api":
    """The endpoints of this process."""
    from serving.limits import LIMITS
    from serving.routes import Api

    return Api(LIMITS)


@bentoml.service(
    name="newsframe",
    service_class=GatewayService,
    workers=1,
    logging={"access": {"enabled": False}},
    metrics={"enabled": True, "namespace": "newsframe"},
)
class Newsframe:
    """Labels sentences of news by how they frame a conflict."""

    def __init__(self) -> None:
        """Load the model and warm it up; the worker takes no connection before this is done."""
        from serving.metrics import forget_dead_workers

        start = time.monotonic()
        sys.setswitchinterval(SWITCH_SECONDS)
        settings, api = _or_exit(Settings.from_environment), _api()
        forget_dead_workers()
        api.load(_or_exit(_loading().result), settings.keys.required)
        access_log.write("ready", seconds=round(time.monotonic() - start, 2), model=api.inference.labeller.model_info)
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not look at it again, and pause

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Check settings and model once in the supervisor, before any worker starts.

        A worker that fails is started anew, for ever; a start that cannot succeed must end here, and say why.
        """
        _or_exit(Settings.from_environment)
        _or_exit(lambda: load_artifact(find_artifact()))

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def drain_on_signals(self) -> None:
        """Stop gracefully; see `Lifecycle`."""
        if threading.current_thread() is threading.main_thread():
            _api().lifecycle.drain_on_signals()

    async def __is_ready__(self) -> bool:
        """What /readyz says."""
        return _api().lifecycle.is_ready


def _without_idle_tracing(app: Any) -> Any:
    """Take BentoML's tracing out of an app if its configuration names no exporter: it costs 0.6 ms a request."""
    from bentoml._internal.configuration.containers import BentoMLContainer
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    if not BentoMLContainer.tracing.exporter_type.get():
        app.user_middleware = [m for m in app.user_middleware if m.cls is not OpenTelemetryMiddleware]
    return app


def _or_exit(load: Callable[[], Loaded]) -> Loaded:
    """Load something, or end the process with one line on stderr."""
    try:
        return load()
    except NewsframeError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
