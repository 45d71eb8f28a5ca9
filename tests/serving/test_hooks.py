"""The private parts of BentoML that the service leans on: when they move, this says so, and the pin says when."""

import asyncio
import inspect
from typing import Any

import httpx
import pytest

from model.labeller import Labeller

# bentoml 1.4.39 uses pathspec and pydantic in ways that these call deprecated, when it is imported.
pytestmark = [
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The `__get_pydantic_core_schema__` method:DeprecationWarning"),
]


def test_the_hooks_into_bentoml_are_where_they_were(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, stub_labeller: Labeller
) -> None:
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path_factory.mktemp("bentoml")))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    import bentoml
    from _bentoml_impl.server.app import ServiceAppFactory
    from _bentoml_impl.worker.service import main as worker
    from bentoml._internal.configuration.containers import BentoMLContainer
    from bentoml._internal.server.http.traffic import TimeoutMiddleware
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    from serving import access_log, service

    assert bentoml.__version__ == "1.4.39", "another BentoML: try what shared/bentoml.md says of it anew"
    # The worker: what `serving.launch` starts it with.
    options = {option for parameter in worker.params for option in parameter.opts}
    assert {
        "--fd", "--backlog", "--worker-id", "--service-name", "--timeout-keep-alive", "--timeout-graceful-shutdown",
    } <= options  # fmt: skip
    newsframe: Any = service.Newsframe
    assert newsframe.import_string == "serving.service:Newsframe"
    assert newsframe.name == "newsframe"
    assert {"mount_apps", "middlewares"} <= set(dir(newsframe))
    # Hooks by name: BentoML looks for these attributes.
    inner = newsframe.inner
    assert inner.check.__bentoml_deployment_hook__
    assert inner.drain_on_signals.__bentoml_startup_hook__
    assert inspect.iscoroutinefunction(inner.__is_ready__)
    # The app: the factory's own, without its time-out, behind the gateway.
    assert list(inspect.signature(bentoml.Service.to_asgi).parameters) == ["self", "is_main"]
    monkeypatch.setattr(access_log, "configure", lambda: None)
    monkeypatch.setattr(access_log, "write", lambda event, **fields: None)
    monkeypatch.setattr(Labeller, "load", lambda threads: stub_labeller)
    monkeypatch.setattr(service.gc, "freeze", lambda: None)
    assert {"service", "is_main"} <= set(inspect.signature(ServiceAppFactory.__init__).parameters)
    gateway = newsframe.to_asgi()
    inside = gateway.app
    from uvicorn.protocols.http.auto import AutoHTTPProtocol
    from uvicorn.protocols.http.h11_impl import H11Protocol

    middlewares = [middleware.cls for middleware in inside.user_middleware]
    assert TimeoutMiddleware not in middlewares
    assert AutoHTTPProtocol is H11Protocol  # the other one, httptools, holds headers of any size
    assert OpenTelemetryMiddleware not in middlewares  # no exporter is configured; see test_operation.py
    assert BentoMLContainer.tracing.exporter_type.get() is None
    assert not any("access" in middleware.cls.__name__.lower() for middleware in inside.user_middleware)

    async def ask() -> list[int]:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://local")
        async with client, inside.router.lifespan_context(inside):
            paths = ["/livez", "/readyz", "/v1/info", "/docs.json", "/"]
            found = [(await client.get(path)).status_code for path in paths]
            assert "Newsframe" in (await client.get("/")).text  # ours, not BentoML's
            gateway.lifecycle.phase = "stopping"
            return [*found, (await client.get("/readyz")).status_code]

    assert asyncio.run(ask()) == [200, 200, 200, 200, 200, 503]
