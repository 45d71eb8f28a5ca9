"""A real server process that the tests of this folder attack, and what they look at afterwards."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from serving.benchmarks.sentences import read_sentences
from serving.benchmarks.servers import free_port
from tests.serving.conftest import PROBLEM, Contract
from tests.serving.server import start_server, strayed, wait_until_ready

KEY = "only-for-the-tests"
SENTENCE = "The two ministers met in Geneva on Monday."
JSON = {"Content-Type": "application/json"}


@dataclass
class Victim:
    """A server under attack.

    Attributes:
        process: The supervisor.
        contract: Its OpenAPI document.
        label: What it gave for a sentence when all was well.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    contract: Contract = field(init=False)
    label: Any = field(init=False)

    def __post_init__(self) -> None:
        with self.client() as client:
            self.contract = Contract(client.get("/docs.json").json())
            self.label = client.post("/v1/classify", json={"inputs": [SENTENCE]}).json()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, **settings: Any) -> httpx.Client:
        """A client that has the key."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {KEY}"}, **({"timeout": 60} | settings)
        )

    def workers(self) -> list[psutil.Process]:
        """The processes that label, the oldest first: those that hold the model, and so the most memory."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        held = [(child.memory_info().rss, child) for child in children if child.is_running()]
        most = max((rss for rss, _ in held), default=0)
        return sorted((child for rss, child in held if rss > most / 2), key=lambda child: child.create_time())

    def memory(self) -> int:
        """Bytes that the workers hold."""
        return sum(worker.memory_info().rss for worker in self.workers())

    def check_health(self) -> None:
        """Fail unless the server is ready, and labels as it did when all was well."""
        with self.client() as client:
            assert client.get("/readyz").status_code == 200
            found = client.post("/v1/classify", json={"inputs": [SENTENCE]}).json()
        assert not strayed(found, self.label)

    def send(self, *data: bytes, replies: int = 1) -> list[tuple[int, dict[str, str], bytes]]:
        """Send bytes as they are over one connection.

        Args:
            replies: How many are waited for; more are seen if they come at once.

        Returns:
            Status, headers and body of each reply.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            try:
                for part in data:
                    connection.sendall(part)
            except (ConnectionResetError, BrokenPipeError):
                pass  # it would hear no more; it may have said why
            return list(_replies(connection, replies))


_LAST_CHUNK = b"\r\n0\r\n\r\n"


def _replies(connection: socket.socket, wanted: int) -> Iterator[tuple[int, dict[str, str], bytes]]:
    """Read replies until the other side leaves, or has no more than was wanted."""
    data, count = b"", 0
    while True:
        head, found, rest = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        if headers.get("transfer-encoding") == "chunked":  # the server's own plain 400: one chunk, and the last
            length = rest.find(_LAST_CHUNK) + len(_LAST_CHUNK) if _LAST_CHUNK in rest else len(rest) + 1
        if found and len(rest) >= length:
            yield int(lines[0].split()[1]), headers, rest[:length]
            data = rest[length:]
            count += 1
            if count >= wanted:
                connection.settimeout(0.05)
            continue
        try:
            chunk = connection.recv(65_536)
        except (TimeoutError, ConnectionResetError):
            return
        if not chunk:
            return
        data += chunk


def head(method: str = "POST", path: str = "/v1/classify", **headers: str) -> bytes:
    """The head of a request, with the key; names of headers have _ for -."""
    given = {"Host": "x", "Authorization": f"Bearer {KEY}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")


def check_problem(reply: tuple[int, dict[str, str], bytes], status: int) -> dict[str, Any]:
    """Fail unless a reply is problem details with this status; give its body."""
    found, headers, body = reply
    assert found == status
    assert headers["content-type"] == PROBLEM
    problem: dict[str, Any] = json.loads(body)
    assert problem["status"] == status
    assert {"type", "title", "status", "detail"} <= problem.keys() <= {"type", "title", "status", "detail", "errors"}
    return problem


@contextmanager
def serving(folder: Path, *, workers: int = 1, **environment: str) -> Iterator[Victim]:
    """Run a server with a key until the block ends."""
    port, log = free_port(), folder / "stderr.log"
    process = start_server(port, log, folder, workers=workers, **({"NEWSFRAME_API_KEYS": KEY} | environment))
    try:
        wait_until_ready(port, process)
        yield Victim(process, port, log)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


@pytest.fixture(scope="session")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A server that lives through many attacks."""
    with serving(tmp_path_factory.mktemp("hostile")) as found:
        yield found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Victim]]:
    """Start servers that do not live through their test."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(tmp_path, **settings))


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Sentences of news."""
    return read_sentences()
