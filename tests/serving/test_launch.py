"""How the server starts, and how it ends."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from model.artifact import find_artifact
from model.errors import ConfigError
from serving import lifecycle
from serving.benchmarks.servers import free_port
from serving.launch import serve
from tests.serving.conftest import PROBLEM, Service
from tests.serving.server import ROOT, start_server, wait_until_ready


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            serve("127.0.0.1", port, 1)
    assert str(refused.value) == (
        f"newsframe: expected a free port {port} at 127.0.0.1, but found: Address already in use. Choose another address."
    )


def test_a_bad_file_of_keys_ends_the_start_before_anything_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("too-short\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "serving.cli", "serve", "--port", str(free_port()), "--api-keys-file", str(file)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{file}:1: expected an API key of at least 16 letters, digits or -._~+/, but found one of 9. "
        "Make one with `openssl rand -hex 32`.\n"
    )


def test_an_origin_that_is_none_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSFRAME_CORS_ORIGINS", "")
    with pytest.raises(ConfigError, match="NEWSFRAME_CORS_ORIGINS: expected origins"):
        serve("127.0.0.1", free_port(), 1, origins=["example.org"])


def test_an_altered_model_ends_the_start_with_one_line(service: Service, tmp_path: Path) -> None:
    artifact = tmp_path / "artifact"
    shutil.copytree(find_artifact(), artifact)  # the cache holds it: `service` has built it
    with (artifact / "weights.bin").open("ab") as file:
        file.write(b"x")
    log = tmp_path / "log"
    server = start_server(free_port(), log, tmp_path, NEWSFRAME_MODEL=str(artifact))
    stdout, _ = server.communicate(timeout=60)
    assert server.returncode == 1
    assert stdout == b""
    [refusal] = log.read_text(encoding="utf-8").splitlines()
    assert refusal.startswith(f"{artifact}/weights.bin: expected sha256 ")


def test_in_a_container_a_dead_worker_ends_the_supervisor(service: Service, tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    server = start_server(port, log, tmp_path, BENTOML_CONTAINERIZED="true")
    try:
        wait_until_ready(port, server)
        [worker] = psutil.Process(server.pid).children()
        worker.kill()
        assert server.wait(20) == 1
    finally:
        server.kill()
        server.communicate()
    assert log.read_text(encoding="utf-8").splitlines()[-1] == (
        "newsframe: expected a worker to live, but found that the last one ended, and none is started anew under "
        "BENTOML_CONTAINERIZED. See the log above, and start the container again."
    )


def test_on_sigterm_readiness_goes_down_first_and_accepted_requests_are_answered(
    service: Service, tmp_path: Path
) -> None:
    port, log = free_port(), tmp_path / "log"
    server = start_server(port, log, tmp_path, workers=2)
    try:
        wait_until_ready(port, server)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            seconds = _seconds_of_work(client)
            statuses: list[int] = []
            body = _body_of_work("Geneva")
            request = threading.Thread(
                target=lambda: statuses.append(client.post("/v1/classify", json=body).status_code)
            )
            request.start()
            time.sleep(seconds / 10)
            server.send_signal(signal.SIGTERM)
            refused = _wait_for_refusal(port)
            assert refused.headers["content-type"] == PROBLEM
            assert refused.headers["retry-after"] == "5"
            request.join()
            assert statuses == [200]
        stdout, _ = server.communicate(timeout=60)
        assert (server.returncode, stdout) == (0, b"")
    finally:
        _end(server)
    events = [json.loads(line)["event"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert (events[0], events.count("ready")) == ("starting", 2)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez")


def _seconds_of_work(client: httpx.Client) -> float:
    start = time.monotonic()
    client.post("/v1/classify", json=_body_of_work("Vienna"))
    return time.monotonic() - start


def _body_of_work(city: str) -> dict[str, list[str]]:
    """Sentences that are all different: a repeated one is labelled once."""
    return {"inputs": [f"The two ministers met {n} of the envoys in {city} on Monday." for n in range(256)]}


def _wait_for_refusal(port: int) -> httpx.Response:
    """Ask for readiness, each time over a new connection, until it is down."""
    for _ in range(100):
        response = httpx.get(f"http://127.0.0.1:{port}/readyz")
        if response.status_code == 503:
            return response
        time.sleep(0.02)
    pytest.fail("readiness did not go down")


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        server.communicate(timeout=60)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for load balancers."""
    monkeypatch.setattr(lifecycle, "DRAIN_SECONDS", 0.01)


@pytest.mark.usefixtures("quick")
def test_a_drain_waits_for_what_is_at_work() -> None:
    order: list[str] = []

    async def work(life: lifecycle.Lifecycle) -> None:
        with life.request():
            await asyncio.sleep(0.2)
            order.append("answered")

    async def run() -> None:
        life = lifecycle.Lifecycle()
        life.open()
        at_work = asyncio.ensure_future(work(life))
        await asyncio.sleep(0)
        await life.drain(lambda: order.append("finished"))
        assert not life.is_ready
        await at_work

    asyncio.run(run())
    assert order == ["answered", "finished"]


@pytest.mark.usefixtures("quick")
def test_a_signal_drains_before_the_server_sees_it() -> None:
    seen: list[Any] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))

    async def run(raise_signal: Callable[[int], None]) -> None:
        life = lifecycle.Lifecycle()
        life.open()
        life.drain_on_signals()
        raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        for _ in range(100):
            if seen:
                break
            seen_ready.append(life.is_ready)
            await asyncio.sleep(0.005)

    seen_ready: list[bool] = []
    try:
        asyncio.run(run(signal.raise_signal))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]
    assert seen_ready
    assert not seen_ready[-1]
