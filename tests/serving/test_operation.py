"""What whoever runs the service relies on, of a real one: keys from a file, origins, traces, metrics of two workers."""

import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from model.cores import cores
from serving.benchmarks.servers import free_port
from tests.serving.server import start_server, wait_until_ready

OLD, NEW = "old-key-0123456789", "new-key-0123456789"
ORIGIN = "https://desk.example.org"
ONE = {"inputs": ["The two ministers met in Geneva on Monday."]}
WORKERS = 2


@dataclass
class Collector:
    """Takes OTLP traces over HTTP, as an OpenTelemetry collector does."""

    spans: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                outer.spans += [s for r in message.resource_spans for scope in r.scope_spans for s in scope.spans]
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def attributes(self, request_id: str) -> dict[str, Any]:
        """The attributes of the span of a request, once it has come."""
        for _ in range(150):
            for span in list(self.spans):
                found = {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
                if found.get("newsframe.request_id") == request_id:
                    return found
            time.sleep(0.1)
        pytest.fail(f"no span of {request_id} among {len(self.spans)}")


@dataclass
class Operated:
    """A server of two workers with everything on."""

    pid: int
    url: str
    keys: Path
    log: Path
    collector: Collector

    def ask(self, method: str, path: str, key: str = OLD, **more: Any) -> httpx.Response:
        """Ask over a connection of its own, so that either worker may answer."""
        headers = {"Authorization": f"Bearer {key}"} | more.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **more)

    def workers(self) -> list[psutil.Process]:
        return [p for p in psutil.Process(self.pid).children() if p.status() != psutil.STATUS_ZOMBIE]

    def sample(self, name: str) -> float:
        """The sum of a metric's samples."""
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", self.ask("GET", "/metrics").text, re.MULTILINE)
        assert found, f"{name} is not among the metrics"
        return sum(map(float, found))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def operated(service: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    home = tmp_path_factory.mktemp("operated")
    port, log, keys, collector = free_port(), home / "log", home / "keys", Collector()
    keys.write_text(f"# the desk\n{OLD}\n", encoding="utf-8")
    server = start_server(
        port, log, home, workers=WORKERS,
        NEWSFRAME_API_KEYS_FILE=str(keys),
        NEWSFRAME_CORS_ORIGINS=ORIGIN,
        BENTOML_CONFIG_OPTIONS=" ".join(
            f"services.newsframe.tracing.{option}"
            for option in (
                "exporter_type=otlp", "sample_rate=1.0", "otlp.protocol=http", f"otlp.endpoint={collector.url}",
            )
        ),
        OTEL_BSP_SCHEDULE_DELAY="200",  # milliseconds: send soon
    )  # fmt: skip
    try:
        wait_until_ready(port, server)
        yield Operated(server.pid, f"http://127.0.0.1:{port}", keys, log, collector)
    finally:
        server.terminate()
        server.communicate(timeout=60)
        collector.server.shutdown()
        collector.server.server_close()


def test_keys_of_the_file_open_and_are_exchanged_without_a_restart(operated: Operated) -> None:
    assert [operated.ask("GET", "/v1/info", key).status_code for key in (OLD, NEW)] == [200, 401]
    assert httpx.get(f"{operated.url}/readyz").status_code == 200
    assert httpx.get(f"{operated.url}/metrics").status_code == 401
    operated.keys.write_text(f"{OLD}\n{NEW}\n", encoding="utf-8")
    time.sleep(1.1)  # each worker looks once a second
    found = [operated.ask("GET", "/v1/info", key).status_code for key in (OLD, NEW) * 5]
    assert found == [200] * 10
    assert not [line for line in operated.log.read_text(encoding="utf-8").splitlines() if OLD in line or NEW in line]


def test_a_preflight_needs_no_key(operated: Operated) -> None:
    asked = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    reply = httpx.options(f"{operated.url}/v1/classify", headers=asked)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, ORIGIN)


def test_no_path_or_header_forges_a_line_of_the_log(operated: Operated) -> None:
    before = len(operated.lines())
    forged = '%0a{"event":"forged"}'
    operated.ask("GET", f"/v1/info{forged}", headers={"X-Request-Id": "a b"})
    operated.ask("GET", f"/v1/info?q={forged}", headers={"User-Agent": "a\tb", "X-Request-Id": "mine.1"})
    lines = operated.lines()[before:]  # each is JSON, or this would have failed
    assert [(line["event"], line["route"], line["status"]) for line in lines] == [
        ("request", None, 404),
        ("request", "/v1/info", 200),
    ]
    assert len(lines[0]["request_id"]) == 32
    assert lines[1]["request_id"] == "mine.1"
    assert "forged" not in str(lines)


def test_the_metrics_are_those_of_all_workers(operated: Operated) -> None:
    before = operated.sample("newsframe_sentences_total")
    threads = [
        threading.Thread(target=operated.ask, args=("POST", "/v1/classify"), kwargs={"json": ONE}) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(20):  # counted just after the answers
        if operated.sample("newsframe_sentences_total") == before + 20:
            break
        time.sleep(0.05)
    assert operated.sample("newsframe_sentences_total") == before + 20
    assert operated.sample("newsframe_waiting_tokens") == 0
    assert operated.sample("newsframe_request_in_progress") == 0


def test_a_request_is_a_span_that_says_its_id_and_no_text(operated: Operated) -> None:
    assert operated.ask("POST", "/v1/classify", json=ONE, headers={"X-Request-Id": "traced-1"}).status_code == 200
    attributes = operated.collector.attributes("traced-1")
    assert attributes["newsframe.items"] == 1
    everything = str(operated.collector.spans)
    assert "Geneva" not in everything
    assert OLD not in everything


def test_cores_are_divided_among_workers_and_each_stays_small(operated: Operated) -> None:
    workers = operated.workers()
    assert len(workers) == WORKERS
    share = max(cores() // WORKERS, 1)
    assert {worker.environ()["NEWSFRAME_THREADS"] for worker in workers} == {str(share)}
    for worker in workers:
        memory = worker.memory_full_info()
        assert memory.rss < 350 * 2**20
        assert memory.pss < memory.rss - 40 * 2**20  # of libraries and files that both map, each pays a share


def test_a_worker_killed_under_load_is_started_anew_and_no_request_hangs(operated: Operated) -> None:
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                outcomes[str(operated.ask("POST", "/v1/classify", json=ONE).status_code)] += 1
            except (httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectError):
                outcomes["connection lost"] += 1

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    killed = operated.workers()[0]
    killed.send_signal(signal.SIGKILL)
    end = time.monotonic() + 40
    while time.monotonic() < end and [line["event"] for line in operated.lines()].count("ready") < WORKERS + 1:
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join(timeout=35)
    assert not any(thread.is_alive() for thread in threads), "a request hangs"
    assert killed.pid not in {worker.pid for worker in operated.workers()}
    assert len(operated.workers()) == WORKERS
    assert set(outcomes) <= {"200", "connection lost"}  # an answer, or a connection that is seen to be lost
    assert outcomes["200"] > outcomes["connection lost"] <= 4
    # What the dead worker had in progress is not counted for ever.
    assert operated.sample("newsframe_request_in_progress") == 0
    assert operated.sample("newsframe_waiting_tokens") == 0
