"""Bytes that are no HTTP, requests that HTTP allows and nobody needs, and clients that leave, wait or never end."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from serving.limits import LIMITS
from tests.serving.conftest import PROBLEM
from tests.serving.hostile.conftest import JSON, KEY, Victim, check_problem, head

BODY = b'{"inputs": ["The ministers met."]}'
GROWTH = 64 * 1024 * 1024
MEDIA = {"Content_Type": "application/json"}
OF = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def good(**headers: str) -> bytes:
    return head(**MEDIA, Content_Length=str(len(BODY)), **headers) + BODY


@pytest.fixture(autouse=True)
def _it_is_well_afterwards(victim: Victim) -> Iterator[None]:
    yield
    victim.check_health()
    assert '"event": "failure"' not in victim.log.read_text(encoding="utf-8")


NO_HTTP = {
    "words": b"hello\r\n\r\n",
    "every byte": bytes(range(256)) * 4 + b"\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\0" * 190,
    "HTTP/x": b"GET /livez HTTP/x\r\nHost: x\r\n\r\n",
    "a length and chunks": head(**MEDIA, Content_Length="17", Transfer_Encoding="chunked") + b"0\r\n\r\n",
    "two lengths": OF + b"Content-Length: 5\r\nContent-Length: 34\r\n\r\n" + BODY,
    "a length below 0": head(**MEDIA, Content_Length="-1") + BODY,
    "a length in words": head(**MEDIA, Content_Length="many") + BODY,
    "a length of 31 digits": head(**MEDIA, Content_Length="1" + "0" * 30) + BODY,
    "a superscript for a length": OF + b"Content-Length: \xb2\r\n\r\n" + BODY,
    "a chunk of no size": head(**MEDIA, Transfer_Encoding="chunked") + b"zz\r\nabc\r\n",
    "a chunk below 0": head(**MEDIA, Transfer_Encoding="chunked") + b"-5\r\nabc\r\n",
    "NUL in a header": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "a space before the colon": b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
    "a space in the path": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", NO_HTTP)
def test_what_is_no_http_gets_a_400_and_the_connection_ends(victim: Victim, name: str) -> None:
    replies = victim.send(NO_HTTP[name])
    assert [status for status, _, _ in replies] == [400]
    [(_, headers, body)] = replies
    assert headers.get("connection") == "close" or headers["content-type"] == PROBLEM
    assert len(body) < 1000


NOT_HERE = {
    "a line break": "/v1/info%0aX-Forged:%201",
    "NUL": "/v1/info%00",
    "up and down": "/v1/../v1/info",
    "up and down, encoded": "/v1/%2e%2e/v1/info",
    "a file": "/../../../../etc/passwd",
    "two slashes": "//v1/info",
    "a slash at the end": "/v1/classify/",
    "no UTF-8": "/%ff%fe",
    "a broken escape": "/%zz%",
    "a semicolon": "/v1/info;a=b",
    "60,000 letters": "/" + "a" * 60_000,
    "other letters": "/V1/Info",
}


@pytest.mark.parametrize("name", NOT_HERE)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "TRACE", "DELETE"])
def test_a_path_that_is_nearly_one_is_a_404(victim: Victim, name: str, method: str) -> None:
    [reply] = victim.send(head(method, NOT_HERE[name]))
    check_problem(reply, 404)


@pytest.mark.parametrize("path", ["/v1/classify", "/v1/documents", "/v1/info", "/v1/codebook", "/docs.json", "/"])
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_another_method_is_a_405_that_says_which(victim: Victim, method: str, path: str) -> None:
    [reply] = victim.send(head(method, path))
    check_problem(reply, 405)
    allowed = set(reply[1]["allow"].replace(" ", "").split(","))
    assert allowed <= {"GET", "HEAD", "POST"}
    assert method not in allowed


def test_methods_that_nobody_knows_are_refused(victim: Victim) -> None:
    for method in ("BREW", "get", "A" * 5000, "CONNECT"):
        [(status, _, _)] = victim.send(head(method, "/v1/classify"))
        assert status in (400, 404, 405)


def test_head_has_no_body_even_where_it_is_refused(victim: Victim) -> None:
    with victim.client() as client:
        for path, status in (("/v1/info", 200), ("/nowhere", 404), ("/v1/classify", 405)):
            response = client.head(path)
            assert (response.status_code, response.content) == (status, b"")


def test_pipelined_requests_are_answered_in_order(victim: Victim) -> None:
    replies = victim.send(head("GET", "/v1/info") + good() + head("GET", "/nowhere") + good(), replies=4)
    assert [status for status, _, _ in replies] == [200, 200, 404, 200]
    assert replies[1][2] == replies[3][2]


def test_http_2_is_no_http_here(victim: Victim) -> None:
    assert victim.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", replies=2)[-1][0] == 400


def test_a_path_of_a_megabyte_is_refused(victim: Victim) -> None:
    with socket.create_connection(("127.0.0.1", victim.port), timeout=10) as connection:
        try:
            connection.sendall(head("GET", "/" + "a" * 1_000_000))
            answer = connection.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):  # it hears out no more than it must
            return
    assert answer[:13] in (b"", b"HTTP/1.1 400 ", b"HTTP/1.1 404 ")


def test_garbage_after_a_request_ends_the_connection(victim: Victim) -> None:
    statuses = [status for status, _, _ in victim.send(good() + b"hello\r\n\r\n", replies=2)]
    assert statuses in ([400], [200, 400])


def test_a_body_that_holds_a_request_is_a_body(victim: Victim) -> None:
    inner = head("GET", "/nowhere")
    assert [reply[0] for reply in victim.send(head("GET", "/v1/info", Content_Length=str(len(inner))) + inner)] == [200]


def test_what_http_allows_is_served(victim: Victim) -> None:
    chunks = b"5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])
    [(status, _, _)] = victim.send(head(**MEDIA, Transfer_Encoding="chunked") + chunks)
    assert status == 200
    byte_by_byte = [good()[n : n + 1] for n in range(len(good()))]
    assert [reply[0] for reply in victim.send(*byte_by_byte)] == [200]
    assert [reply[0] for reply in victim.send(head("GET", "/v1/info?" + "a" * 20_000))] == [200]
    for expect in ("100-continue", "200-ok"):
        assert victim.send(good(Expect=expect))[-1][0] in (100, 200)


def test_a_websocket_is_refused(victim: Victim) -> None:
    asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    for path in ("/v1/classify", "/nowhere"):
        [reply] = victim.send(head("GET", path, **asked, Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=="))
        check_problem(reply, 404)
    [(status, _, _)] = victim.send(head("GET", "/v1/classify", **asked))
    assert status in (400, 404)


@pytest.mark.parametrize("line", [b"X: " + b"a" * 8000 + b"\r\n", b"a" * 8000], ids=["many headers", "one header"])
def test_an_endless_head_is_cut_off(victim: Victim, line: bytes) -> None:
    before = victim.memory()
    with socket.create_connection(("127.0.0.1", victim.port), timeout=5) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX: ")
        try:
            for _ in range(2000):  # 16 MB
                connection.sendall(line)
            answer = connection.recv(65_536)  # a time-out: it waits for more
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert victim.memory() < before + GROWTH


def test_clients_that_leave_midway_leave_nothing_behind(victim: Victim) -> None:
    before = victim.memory()
    whole = good()
    for cut in (3, 30, len(whole) - len(BODY) - 2, len(whole) - len(BODY), len(whole) - 5, len(whole)):
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", victim.port), timeout=10) as connection:
                connection.sendall(whole[:cut])
    many = json.dumps({"inputs": ["The two ministers met in Geneva on Monday."] * LIMITS.inputs}).encode()
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", victim.port), timeout=10) as connection:
            connection.sendall(head(**MEDIA, Content_Length=str(len(many))) + many)
            time.sleep(0.05)  # at work by now
    victim.check_health()
    assert victim.memory() < before + GROWTH
    assert {line.get("status") for line in map(json.loads, victim.log.read_text().splitlines())} >= {499}


def test_a_client_that_reads_nothing_hinders_nobody(victim: Victim) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=10))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(head("GET", "/docs.json") * 50)
        victim.check_health()


def test_many_idle_and_half_open_connections_hinder_nobody(victim: Victim) -> None:
    before = victim.memory()
    with ExitStack() as stack:
        for n in range(300):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=10))
            connection.sendall((b"", b"POST /v1/cl", head(**MEDIA, Content_Length="34") + BODY[:10])[n % 3])
        start = time.monotonic()
        victim.check_health()
        assert time.monotonic() - start < 5
        assert victim.memory() < before + GROWTH


@pytest.mark.slow
def test_a_body_that_comes_too_slowly_is_a_408_after_its_time(victim: Victim) -> None:
    with ExitStack() as stack:
        slow = []
        start = time.monotonic()
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", victim.port), timeout=30))
            connection.sendall(head(**MEDIA, Content_Length="3400"))
            slow.append(connection)
        while time.monotonic() - start < LIMITS.body_seconds - 1:
            for connection in slow:
                connection.sendall(b" ")
            asked = time.monotonic()
            victim.check_health()
            assert time.monotonic() - asked < 5
            time.sleep(1)
        for connection in slow:
            data = b""
            while chunk := connection.recv(65_536):
                data += chunk
            top, _, body = data.partition(b"\r\n\r\n")
            assert top.startswith(b"HTTP/1.1 408 ")
            assert json.loads(body)["status"] == 408
        assert time.monotonic() - start < LIMITS.body_seconds + 5


def test_a_forged_line_in_a_path_is_none_in_the_log(victim: Victim) -> None:
    victim.send(head("GET", '/x%0a{"event":%20"forged"}'))
    victim.send(head("GET", "/livez", User_Agent='"forged"'))
    with victim.client() as client:
        client.post("/v1/classify", content=b'"forged"', headers=JSON)
    assert "forged" not in victim.log.read_text(encoding="utf-8")


def test_the_key_stands_in_no_log(victim: Victim) -> None:
    assert KEY not in victim.log.read_text(encoding="utf-8")
