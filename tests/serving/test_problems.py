"""What a server in good health can hardly be brought to: limits, queues, failures, and the forms of refusals."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.responses import PlainTextResponse

from serving import access_log
from serving.gateway import Gateway
from serving.limits import LIMITS
from serving.problems import Problem, encode, shown
from tests.serving.conftest import NO_KEYS, PROBLEM, Local

Make = Callable[..., Local]
JSON = {"Content-Type": "application/json"}
ONE = {"inputs": ["Warm the beef."]}


def test_a_problem_has_the_fields_of_rfc_9457() -> None:
    problem = Problem(422, "wrong.", [{"pointer": "/inputs/0", "detail": "no."}])
    response = problem.to_response()
    assert (response.status_code, response.headers["content-type"]) == (422, PROBLEM)
    assert problem.to_dict() == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "wrong.",
        "errors": [{"pointer": "/inputs/0", "detail": "no."}],
    }


def test_a_reply_is_json_or_nothing() -> None:
    assert encode({"a": "ü"}) == '{"a":"ü"}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        encode("\ud800")


def test_a_name_from_a_request_is_shown_short_and_whole() -> None:
    assert shown("a\ud800" + "b" * 200) == "a?" + "b" * 98


def test_the_reply_under_another_codebook_has_its_axes_and_fits_its_document(local: Make) -> None:
    service = local()
    OpenAPIV31SpecValidator(service.contract.document).validate()

    async def ask() -> Any:
        async with service.client() as client:
            body = {"inputs": [{"id": "a", "text": "Beef is warmed.", "targets": ["Beef"]}]}
            document = {"documents": [{"id": "d", "text": "Beef is warmed in a pan. Kale is washed."}]}
            return (await client.post("/v1/classify", json=body)).json(), (
                await client.post("/v1/documents", json=document)
            ).json()

    classified, split = asyncio.run(ask())
    assert classified["results"] == [
        {
            "id": "a",
            "status": "ok",
            "start": 0,
            "end": 15,
            "language": None,
            "n_tokens": 3,
            "truncated": False,
            "diet": ["meat"],
            "foods": [
                {
                    "text": "Beef",
                    "start": 0,
                    "end": 4,
                    "label": "meat",
                    "score": 0.75,
                    "verdict": {"label": "tasty", "score": 0.5},
                }
            ],
            "stage": [
                {"label": "start", "score": 0.75, "evidence": [{"text": "Beef", "start": 0, "end": 4, "weight": 1.0}]}
            ],
            "manner": [
                {"label": "gentle", "score": 0.75, "evidence": [{"text": "Beef", "start": 0, "end": 4, "weight": 1.0}]}
            ],
            "targets": [{"target": "Beef", "start": 0, "end": 4, "label": "tasty", "score": 0.5}],
            "scores": {
                "stage": {"start": 0.5, "finish": 0.5},
                "manner": {"gentle": 0.5, "fierce": 0.5},
                "verdict": {"tasty": 0.5, "undecided": 0.5, "too salty": 0.5},
                "diet": {"meat": 0.5, "plant": 0.5},
            },
            "abstained": ["verdict"],
        }
    ]
    assert [sentence["id"] for sentence in split["results"][0]["sentences"]] == ["d:1", "d:2"]


def test_a_slow_body_is_a_408(local: Make) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    async def ask() -> int:
        async with local(replace(LIMITS, body_seconds=0.05)).client() as client:
            return (await client.post("/v1/classify", content=slowly(), headers=JSON)).status_code

    assert asyncio.run(ask()) == 408


def test_an_answer_that_takes_too_long_is_a_504_and_its_work_ends(local: Make) -> None:
    service = local(replace(LIMITS, inference_seconds=0.1, run_tokens=320))
    runs: list[int] = []
    released = threading.Event()
    service.engine.before = lambda sentences: (runs.append(len(sentences)), released.wait(5))

    async def ask() -> int:
        async with service.client() as client:
            status = (await client.post("/v1/classify", json={"inputs": ["Warm the beef."] * 256})).status_code
            released.set()
            service.engine.before = lambda sentences: None
            assert (await client.post("/v1/classify", json=ONE)).status_code == 200
            return status

    assert asyncio.run(ask()) == 504
    assert runs == [64]  # of the four runs of 320 tokens, 5 a sentence, only the one that was under way


def test_a_full_queue_is_a_429_and_probes_are_answered_meanwhile(local: Make) -> None:
    service = local(replace(LIMITS, waiting_requests=2))
    released = threading.Event()
    service.engine.before = lambda sentences: released.wait(5)

    async def ask() -> list[int]:
        async with service.client() as client:
            waiting = [asyncio.ensure_future(client.post("/v1/classify", json=ONE)) for _ in range(3)]
            await asyncio.sleep(0.1)
            refused = await client.post("/v1/classify", json=ONE)
            assert (await client.get("/v1/info")).status_code == 200
            released.set()
            return [refused.status_code, *[response.status_code for response in await asyncio.gather(*waiting)]]

    assert asyncio.run(ask()) == [429, 200, 200, 200]


def test_a_client_that_leaves_gives_its_place_back(local: Make) -> None:
    service = local(replace(LIMITS, waiting_requests=0, run_tokens=320))
    released, runs = threading.Event(), []
    service.engine.before = lambda sentences: (runs.append(len(sentences)), released.wait(5))

    async def ask() -> None:
        async with service.client() as client:
            messages = [{"type": "http.request", "body": encode({"inputs": ["Warm it."] * 256})}]

            async def receive() -> dict[str, Any]:
                if messages:
                    return messages.pop()
                while not runs:
                    await asyncio.sleep(0.01)
                return {"type": "http.disconnect"}

            sent: list[dict[str, Any]] = []

            async def send(message: dict[str, Any]) -> None:
                sent.append(message)

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/classify",
                "headers": [(b"content-type", b"application/json")],
            }
            await service.app({**scope, "query_string": b"", "root_path": ""}, receive, send)
            assert sent[0]["status"] == 499
            released.set()
            for _ in range(100):
                if (await client.post("/v1/classify", json=ONE)).status_code == 200:
                    return
                await asyncio.sleep(0.01)
            pytest.fail("the place was not given back")

    asyncio.run(ask())
    assert runs == [80, 1]  # a run of 320 tokens: 4 a sentence


def test_a_failure_is_a_500_and_the_log_says_where_but_not_of_what(
    local: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = local()
    logged: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(access_log, "write", lambda event, **fields: logged.append((event, fields)))

    def fail(sentences: object) -> None:
        raise ZeroDivisionError("Warm the beef.")

    service.engine.before = fail

    async def ask() -> Any:
        async with service.client() as client:
            return (await client.post("/v1/classify", json=ONE)).json()

    assert asyncio.run(ask()) == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "the service failed; the text was not at fault. Try again, or tell who runs it.",
    }
    [(event, fields), (last, _)] = logged
    assert (event, last) == ("failure", "request")
    assert fields["error"] == "ZeroDivisionError"
    assert re.fullmatch(r"tests/serving/test_problems\.py:\d+", fields["at"])
    assert "beef" not in str(logged)


def test_nothing_is_answered_before_the_model_is_loaded_nor_after_it_stops(local: Make, stub_labeller: Any) -> None:
    service = local(load=False)
    ready = local()
    service.contract = ready.contract

    async def ask() -> list[tuple[int, int]]:
        found = []
        async with service.client() as client:

            async def note() -> None:
                statuses = (
                    (await client.post("/v1/classify", json=ONE)).status_code,
                    (await client.get("/v1/info")).status_code,
                )
                found.append(statuses)

            await note()
            service.api.load(stub_labeller)
            await note()
            service.api.lifecycle.phase = "stopping"
            await note()
        return found

    assert asyncio.run(ask()) == [(503, 503), (200, 200), (503, 503)]


@pytest.mark.parametrize(
    ("status", "detail"), [(503, "the service is starting or stopping"), (418, "the request was refused")]
)
def test_a_refusal_from_below_leaves_in_our_form_and_without_its_words(local: Make, status: int, detail: str) -> None:
    api = local().api
    below = PlainTextResponse(
        "Service is not ready because of a secret", status, {"Retry-After": "9", "X-Inner": "secret"}
    )
    sent: list[dict[str, Any]] = []

    async def ask() -> None:
        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/readyz", "headers": []}
        await Gateway(below, {"/readyz"}, api.lifecycle, api.metrics, NO_KEYS)(scope, None, send)

    asyncio.run(ask())
    start, body = sent
    assert (start["status"], [value for name, value in start["headers"] if name == b"retry-after"]) == (status, [b"9"])
    assert detail in body["body"].decode()
    assert "secret" not in str(sent)
