"""The service as BentoML packages, supervises and serves it; bodies, errors and time-outs are ours.

    supervisor ── one worker process each ── uvicorn ── Gateway ── BentoML (metrics, traces, probes) ── Api

The endpoints are a mounted ASGI app and no `@bentoml.api` methods: those parse any media type as JSON, answer errors in
forms of their own, log tracebacks that quote the text, and describe themselves wrongly in /docs.json.
"""

import gc
import os
import sys
import threading
import time
from typing import Any

import bentoml
from _bentoml_impl.server.app import ServiceAppFactory

from model.errors import ConfigError, NewsframeError
from model.labeller import Labeller
from serving import access_log
from serving.gateway import PROBES, Gateway
from serving.limits import LIMITS
from serving.routes import Api

api = Api(LIMITS)


class GatewayService(bentoml.Service[Any]):  # type: ignore[misc]  # BentoML is not typed
    """A BentoML service whose whole app stands behind our gateway."""

    def to_asgi(self, is_main: bool = True) -> Any:
        """Make the app of a worker; see `bentoml.Service.to_asgi`."""
        access_log.configure()
        self.inject_config()
        factory = ServiceAppFactory(self, is_main=is_main)
        factory.timeout = None  # BentoML's keeps memory for every request until its timer ends; ours does not
        return Gateway(factory(), api.paths | PROBES, api.lifecycle)


@bentoml.asgi_app(api.app, path="/")
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
        start = time.monotonic()
        api.load(_load())
        access_log.write("ready", seconds=round(time.monotonic() - start, 2), model=api.inference.labeller.model_info)
        gc.collect()
        gc.freeze()  # what is loaded now stays: the collector need not look at it again, and pause

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Load the model once in the supervisor, before any worker starts.

        A worker that fails is started anew, for ever; a start that cannot succeed must end here, and say why.
        """
        _load()

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def drain_on_signals(self) -> None:
        """Stop gracefully; see `Lifecycle`."""
        if threading.current_thread() is threading.main_thread():
            api.lifecycle.drain_on_signals()

    async def __is_ready__(self) -> bool:
        """What /readyz says."""
        return api.lifecycle.is_ready


def _load() -> Labeller:
    """Load the model, or end the process with one line on stderr."""
    try:
        return Labeller.load(threads=_threads())
    except NewsframeError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


def _threads() -> int:
    value = os.environ.get("NEWSFRAME_THREADS", "0")
    if not value.isdecimal():
        raise ConfigError(f"NEWSFRAME_THREADS: expected a number, but found {value!r:.40}. Set 0 for all cores.")
    return int(value)
