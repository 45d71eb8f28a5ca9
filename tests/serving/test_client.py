"""The client, against answers that a test wrote down; `test_client_service.py` asks the real service."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from serving.client import (
    AsyncClient,
    Busy,
    Client,
    ClientError,
    ModelChanged,
    NoAnswer,
    Patience,
    Refused,
    Timeouts,
    TookTooLong,
    Unauthorised,
    UnexpectedReply,
    WrongFields,
)
from serving.client_exchange import Exchange, Pause, Send

PROBLEM = "application/problem+json"
QUICK = Patience(first_pause=0.0)
MODEL = {"name": "m", "version": "1", "sha256": "0" * 64, "codebook": {"name": "c", "version": "1", "sha256": "1" * 64}}
Handler = Callable[[httpx.Request], httpx.Response]


def problem(status: int, detail: str = "no.", retry_after: str | None = None, **more: Any) -> httpx.Response:
    body = {"type": "about:blank", "title": "Title", "status": status, "detail": detail} | more
    headers = {"Content-Type": PROBLEM} | ({"Retry-After": retry_after} if retry_after else {})
    return httpx.Response(status, content=json.dumps(body), headers=headers)


class Script:
    """A service that labels every item `ok`, after the answers that were put first."""

    def __init__(self, *first: httpx.Response | Exception, inputs: int = 4, body_bytes: int = 10_000) -> None:
        self.first = list(first)
        self.limits = {"inputs": inputs, "documents": inputs, "body_bytes": body_bytes}
        self.requests: list[httpx.Request] = []
        self.most_at_once = self._at_once = 0
        self.seconds = 0.0
        self.model: dict[str, Any] = MODEL
        self.too_many = 10**9
        self._lock = threading.Lock()

    @property
    def bodies(self) -> list[list[Any]]:
        """The list of each request that had one."""
        return [next(iter(json.loads(request.content).values())) for request in self.requests if request.content]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.requests.append(request)
        time.sleep(self.seconds)
        try:
            return self._answer(request)
        finally:
            with self._lock:
                self._at_once -= 1

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/info":
            return httpx.Response(200, json={"model": MODEL, "limits": self.limits, "versions": {}, "codebook": {}})
        if self.first:
            answer = self.first.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        [(field, items)] = json.loads(request.content).items()
        if len(items) > self.too_many:
            return problem(504, "too much.")
        records = [self._record(field, n, item) for n, item in enumerate(items)]
        reply = json.dumps({"model": self.model, "results": records})  # a lone surrogate stays escaped
        return httpx.Response(200, content=reply, headers={"Content-Type": "application/json"})

    def _record(self, field: str, n: int, item: Any) -> dict[str, Any]:
        if not item["text"]:
            return {"id": item["id"], "status": "error", "error": f"{field}[{n}]: field 'text': empty."}
        return {"id": item["id"], "status": "ok", "echo": item["text"]}


def client(script: Handler, **settings: Any) -> Client:
    return Client("http://service/", transport=httpx.MockTransport(script), **({"patience": QUICK} | settings))


# ---- Lists ----


def test_a_list_is_split_within_the_limits_and_joined_in_order() -> None:
    script = Script(inputs=4)
    with client(script) as api:
        reply = api.classify([f"text {n}" for n in range(10)])
    assert [len(body) for body in script.bodies] == [4, 4, 2]
    assert [result.record for result in reply.results] == [
        {"id": str(n), "status": "ok", "echo": f"text {n}"} for n in range(10)
    ]
    assert reply.model == MODEL


def test_no_body_is_larger_than_the_service_takes() -> None:
    script = Script(inputs=1000, body_bytes=400)
    texts = [letter * size for letter, size in zip("abcdefghij", (10, 300, 20, 150, 150, 5, 5, 5, 330, 1), strict=True)]
    with client(script) as api:
        reply = api.classify(texts)
    sizes = [len(request.content) for request in script.requests if request.content]
    assert max(sizes) <= 400
    # A frame has 13 bytes and an item 20, its text and a comma: 31 + 321, 41 + 171 + 171, 26 + 26 + 26, 351 + 22.
    assert sizes == [364, 395, 90, 385]
    assert [result["echo"] for result in reply.results] == texts


def test_an_item_that_no_request_can_carry_gets_an_error_in_its_place_and_is_not_sent() -> None:
    script = Script(body_bytes=200)
    with client(script) as api:
        small, large, other = api.classify(["a", {"id": "big", "text": "ü" * 200}, "b"]).results
    assert (small.status, other.status) == ("ok", "ok")
    # {"inputs":[ has 11 bytes, {"id":"big","text":" 20, the text 400, "}]} 4.
    assert large.record == {
        "id": "big",
        "status": "error",
        "error": "inputs[1]: expected at most 200 bytes a request, but found 435. Split it.",
    }
    assert large.model is None
    assert all(len(request.content) <= 200 for request in script.requests)


def test_what_takes_too_long_is_asked_in_halves() -> None:
    script = Script(inputs=8)
    script.too_many = 2
    with client(script) as api:
        reply = api.classify([str(n) for n in range(8)])
    assert [result["echo"] for result in reply.results] == [str(n) for n in range(8)]
    assert [len(body) for body in script.bodies] == [8, 4, 2, 2, 4, 2, 2]


def test_an_item_that_takes_too_long_alone_gets_an_error_in_its_place() -> None:
    script = Script()
    script.too_many = 0
    with client(script) as api:
        [result] = api.documents([{"id": "d", "text": "a"}]).results
    assert (result.id, result.status, result.error) == ("d", "error", "documents[0]: too much.")


def test_an_item_without_an_id_gets_its_number_in_the_whole_list() -> None:
    script = Script(inputs=2)
    with client(script) as api:
        reply = api.classify(["a", {"text": "b", "id": None}, {"text": "c", "id": "own"}, "d"])
    assert [result.id for result in reply.results] == ["0", "1", "own", "3"]


def test_errors_name_an_item_by_its_number_in_the_whole_list() -> None:
    with client(Script(inputs=2)) as api:
        reply = api.classify(["a", "b", "c", ""])
    assert reply.results[3].error == "inputs[3]: field 'text': empty."
    wrong = problem(
        422, "wrong.", errors=[{"pointer": "/inputs/1/text", "detail": "a"}, {"pointer": "", "detail": "b"}]
    )
    with (
        client(
            Script(
                httpx.Response(200, json={"model": MODEL, "results": [{"id": "0", "status": "ok"}] * 2}),
                wrong,
                inputs=2,
            ),
            concurrency=1,
        ) as api,
        pytest.raises(WrongFields) as refused,
    ):
        api.classify(["a", "b", "c", {"text": 3}])  # type: ignore[list-item,typeddict-item]
    assert [(error.pointer, error.detail) for error in refused.value.errors] == [("/inputs/3/text", "a"), ("", "b")]
    assert str(refused.value) == "422 Title: wrong.\n/inputs/3/text: a\n: b"


def test_a_lone_surrogate_reaches_the_service() -> None:
    script = Script()
    with client(script) as api:
        api.classify(["lone \ud800", "ü"])
    assert script.bodies[0][0]["text"] == "lone \ud800"
    assert "ü".encode() in script.requests[-1].content


def test_an_empty_list_asks_nothing() -> None:
    script = Script()
    with client(script) as api:
        assert api.classify([]).results == ()
        assert api.documents([]).model == MODEL
    assert script.bodies == []


def test_one_reply_is_of_one_model_but_a_stream_may_go_on() -> None:
    other = {"model": MODEL | {"sha256": "f" * 64}, "results": [{"id": "0", "status": "ok"}]}
    script = Script(httpx.Response(200, json=other), inputs=1)
    with client(script, concurrency=1) as api, pytest.raises(ModelChanged) as refused:
        api.classify(["a", "b"])
    assert str(refused.value) == (
        "client: expected one model, but found ffffffffffff… and 000000000000…: the service was renewed. Ask again."
    )
    with client(Script(httpx.Response(200, json=other), inputs=1), concurrency=1) as api:
        models = [result.model for result in api.stream(["a", "b"])]
    assert [model["sha256"][0] for model in models if model] == ["f", "0"]


# ---- Streams ----


def test_a_stream_takes_no_more_than_it_has_under_way() -> None:
    script = Script(inputs=2)
    taken = 0

    def texts() -> Iterator[str]:
        nonlocal taken
        for n in range(1000):
            taken += 1
            yield str(n)

    with client(script, concurrency=3) as api:
        stream = api.stream(texts())
        first = next(stream)
        assert first["echo"] == "0"
        # 3 requests of 2 under way, one part that waits for a place, and the item that showed it was full.
        assert taken <= 3 * 2 + 2 + 1
        assert [next(stream)["echo"] for _ in range(99)] == [str(n) for n in range(1, 100)]
        assert taken <= 100 + 3 * 2 + 2 + 1
        stream.close()  # type: ignore[attr-defined]
    assert taken < 120
    assert script.most_at_once <= 3


def test_requests_go_out_together_and_results_come_in_order() -> None:
    script = Script(inputs=1)
    script.seconds = 0.05
    with client(script, concurrency=4) as api:
        results = [result["echo"] for result in api.stream(str(n) for n in range(12))]
    assert results == [str(n) for n in range(12)]
    assert script.most_at_once == 4


def test_a_failure_ends_a_stream_after_what_came_before() -> None:
    script = Script(
        httpx.Response(200, json={"model": MODEL, "results": [{"id": "0", "status": "ok"}]}), problem(500), inputs=1
    )
    seen = []
    with client(script, concurrency=1) as api, pytest.raises(Refused, match=r"^500 Title: no\.$"):  # noqa: PT012
        for result in api.stream(["a", "b", "c"]):
            seen.append(result.id)
    assert seen == ["0"]


# ---- Trying again ----


def steps_of(patience: Patience, *outcomes: Any, draw: Callable[[float], float] = lambda most: most) -> list[Any]:
    """Drive one request with outcomes; give the pauses, and the result or the error."""
    now = 0.0

    def clock() -> float:
        return now

    steps = Exchange("http://service", patience, clock, draw)("GET", "/v1/info")
    found: list[Any] = []
    left = list(outcomes)
    outcome: Any = None
    try:
        while True:
            step = steps.send(outcome)
            if isinstance(step, Pause):
                found.append(step.seconds)
                now += step.seconds
                outcome = None
            else:
                assert isinstance(step, Send)
                outcome = left.pop(0)
    except StopIteration as done:
        found.append(done.value)
    except ClientError as error:
        found.append(error)
    return found


GOOD = httpx.Response(200, json={"a": 1})


def test_pauses_double_up_to_the_longest_and_are_drawn_from_zero() -> None:
    patience = Patience(tries=6, first_pause=1, longest_pause=5)
    busy = [problem(429)] * 5
    assert steps_of(patience, *busy, GOOD) == [1, 2, 4, 5, 5, {"a": 1}]
    assert steps_of(patience, *busy, GOOD, draw=lambda most: most / 4) == [0.25, 0.5, 1, 1.25, 1.25, {"a": 1}]


def test_the_jitter_is_full() -> None:
    draw = Exchange("x", QUICK).draw
    drawn = [draw(2.0) for _ in range(2000)]
    assert min(drawn) >= 0
    assert max(drawn) <= 2
    # The mean of an even draw from 0 to 2 is 1; its standard error is 2 / √12 / √2000 = 0.013.
    assert abs(sum(drawn) / 2000 - 1) < 0.07


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for_on_top_of_the_pause(status: int) -> None:
    assert steps_of(Patience(first_pause=1), problem(status, retry_after="7"), GOOD) == [8, {"a": 1}]


def test_retry_after_may_be_a_date_or_nonsense() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    [pause, _] = steps_of(Patience(first_pause=0), problem(503, retry_after=soon), GOOD)
    assert 25 < pause <= 30
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=30), usegmt=True)
    assert steps_of(Patience(first_pause=0), problem(503, retry_after=past), GOOD) == [0, {"a": 1}]
    assert steps_of(Patience(first_pause=0), problem(503, retry_after="soon"), GOOD) == [0, {"a": 1}]


def test_tries_are_bounded_in_count() -> None:
    *pauses, error = steps_of(Patience(tries=3, first_pause=1), *[problem(429, "full.", retry_after="1")] * 9)
    assert pauses == [2, 3]
    assert isinstance(error, Busy)
    assert (error.status, error.title, error.detail, error.retry_after) == (429, "Title", "full.", 1.0)


def test_tries_are_bounded_in_time_and_a_pause_past_the_end_is_not_begun() -> None:
    *pauses, error = steps_of(Patience(tries=99, seconds=10, first_pause=4, longest_pause=4), *[problem(503)] * 99)
    assert pauses == [4, 4]
    assert isinstance(error, Busy)
    *pauses, error = steps_of(Patience(seconds=10), problem(503, retry_after="3600"))
    assert pauses == []
    assert error.retry_after == 3600


@pytest.mark.parametrize(
    "lost",
    [
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.WriteError("broken"),
        httpx.RemoteProtocolError("closed"),
        httpx.ConnectTimeout("slow"),
    ],
)
def test_a_broken_connection_is_tried_again(lost: Exception) -> None:
    assert steps_of(Patience(first_pause=0), lost, GOOD) == [0, {"a": 1}]
    [*_, error] = steps_of(Patience(tries=2, first_pause=0), lost, lost)
    assert isinstance(error, NoAnswer)
    assert str(error) == (
        f"http://service/v1/info: expected an answer, but found {type(lost).__name__}: {lost}. "
        "Check that the service runs there."
    )


@pytest.mark.parametrize("outcome", [httpx.ReadTimeout("slow"), httpx.UnsupportedProtocol("ftp")])
def test_what_would_go_wrong_again_is_not_tried_again(outcome: Exception) -> None:
    [error] = steps_of(Patience(), outcome)
    assert isinstance(error, NoAnswer)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, Refused), (401, Unauthorised), (415, Refused), (500, Refused), (504, TookTooLong)]
)
def test_other_refusals_are_raised_at_once_as_what_they_are(status: int, kind: type[Refused]) -> None:
    [error] = steps_of(Patience(), problem(status, "because."))
    assert type(error) is kind
    assert (error.status, error.detail, error.errors) == (status, "because.", ())


def test_a_busy_proxy_counts_as_busy() -> None:
    page = httpx.Response(503, html="<p>later</p>", headers={"Retry-After": "2"})
    assert steps_of(Patience(first_pause=0), page, GOOD) == [2, {"a": 1}]


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (httpx.Response(200, html="<p>"), "status 200 with text/html"),
        (
            httpx.Response(200, content=b"{", headers={"Content-Type": "application/json"}),
            "status 200 with application/json",
        ),
        (httpx.Response(200, json=[1]), "status 200 with application/json"),
        (httpx.Response(302, headers={"Location": "/"}), "status 302 with no media type"),
        (httpx.Response(502, text="bad gateway"), "status 502 with text/plain"),
        (httpx.Response(422, content=b"[]", headers={"Content-Type": PROBLEM}), f"status 422 with {PROBLEM}"),
    ],
)
def test_what_is_not_the_service_is_told_from_it(response: httpx.Response, found: str) -> None:
    [error] = steps_of(Patience(), response)
    assert isinstance(error, UnexpectedReply)
    assert str(error) == (
        f"http://service/v1/info: expected JSON of the service, but found {found}. Check the address."
    )


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"model": MODEL, "results": []},
        {"model": MODEL, "results": [3]},
        {"model": 1, "results": [{"id": "0", "status": "ok"}]},
    ],
)
def test_a_reply_of_another_shape_is_told(reply: dict[str, Any]) -> None:
    with client(Script(httpx.Response(200, json=reply))) as api, pytest.raises(UnexpectedReply) as refused:
        api.classify(["a"])
    assert str(refused.value) == (
        "/v1/classify: expected a model and 1 results, but found another reply. Use a client and a service of one version."
    )


def test_limits_that_are_not_published_are_told() -> None:
    script = Script()
    script.limits = {}
    with client(script) as api, pytest.raises(UnexpectedReply, match=r"^/v1/info: expected the limits inputs and body"):
        api.classify(["a"])


def test_it_recovers_over_the_network() -> None:
    script = Script(problem(429, retry_after="0"), httpx.ConnectError("refused"), problem(503))
    with client(script) as api:
        assert api.classify(["a"]).results[0].status == "ok"
    assert len(script.bodies) == 4


# ---- Settings ----


def test_the_key_is_sent_as_bearer_and_stands_in_no_message() -> None:
    script = Script(problem(401))
    with client(script, key="s3cret") as api, pytest.raises(Unauthorised) as refused:
        api.classify(["a"])
    assert {request.headers["authorization"] for request in script.requests} == {"Bearer s3cret"}
    assert "s3cret" not in str(refused.value) + repr(api)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX: y", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused_unsaid(key: str) -> None:
    with pytest.raises(ClientError) as refused:
        Client(key=key)
    assert str(refused.value) == "key: expected printable ASCII without spaces, but found other. Give the key alone."


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(
        ClientError, match=r"^client: expected numbers of at least 1, but found concurrency 0 and batch No"
    ):
        Client(concurrency=0)
    with pytest.raises(ClientError, match=r"^Patience: expected at least one try"):
        Patience(tries=0)


def test_fewer_items_a_request_may_be_asked_for() -> None:
    script = Script(inputs=100)
    with client(script, batch=3) as api:
        api.classify(["a"] * 7)
    assert [len(body) for body in script.bodies] == [3, 3, 1]


def test_no_try_waits_longer_than_is_left() -> None:
    seen: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.extensions["timeout"])
        return Script()(request)

    with client(answer, timeouts=Timeouts(connect=1, send=2, answer=3), patience=Patience(seconds=2.5)) as api:
        api.info()
    assert seen[0]["connect"] == 1
    assert seen[0]["write"] == 2
    assert seen[0]["read"] <= 2.5


# ---- The asynchronous client ----


def run_async(script: Script, ask: Callable[[AsyncClient], Any], **settings: Any) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(script)
        async with AsyncClient("http://service", transport=transport, **({"patience": QUICK} | settings)) as api:
            return await ask(api)

    return asyncio.run(run())


def test_the_asynchronous_client_answers_as_the_blocking_one() -> None:
    texts = ["a", "", "c", {"id": "x", "text": "d"}, "e"]

    def first() -> tuple[httpx.Response, Exception]:
        return problem(429), httpx.ReadError("reset")

    with client(Script(*first(), inputs=2)) as api:
        expected = api.classify(texts)
    script = Script(*first(), inputs=2)
    assert run_async(script, lambda api: api.classify(texts)) == expected
    assert len(script.bodies) == 5
    documents = run_async(Script(), lambda api: api.documents([{"text": "a"}]))
    assert [document.record for document in documents.results] == [{"id": "0", "status": "ok", "echo": "a"}]


def test_the_asynchronous_client_raises_as_the_blocking_one() -> None:
    with pytest.raises(WrongFields):
        run_async(Script(problem(422)), lambda api: api.classify(["a"]))
    with pytest.raises(Busy):
        run_async(Script(*[problem(503)] * 3), lambda api: api.classify(["a"]), patience=Patience(3, first_pause=0))


def test_an_asynchronous_stream_takes_an_asynchronous_source_and_no_more_than_it_needs() -> None:
    taken = 0

    async def texts() -> AsyncIterator[str]:
        nonlocal taken
        for n in range(1000):
            taken += 1
            yield str(n)

    async def ask(api: AsyncClient) -> list[str]:
        found = []
        stream = api.stream(texts())
        async for result in stream:
            found.append(result["echo"])
            if len(found) == 10:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    script = Script(inputs=2)
    assert run_async(script, ask, concurrency=3) == [str(n) for n in range(10)]
    assert taken <= 10 + 3 * 2 + 2 + 1
