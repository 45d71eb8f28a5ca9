"""The outermost layer: keys, origins, request ids, and what is counted of it all."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from serving import access_log
from serving.gateway import OPEN
from serving.keys import Keys
from serving.limits import LIMITS
from serving.problems import REASONS
from serving.settings import Settings
from tests.serving.conftest import PROBLEM, Local

Make = Callable[..., Local]
KEY = "0123456789abcdef"
ORIGIN = "https://desk.example.org"
ONE = {"inputs": ["Warm the beef."]}
WITH_KEY = {"Authorization": f"Bearer {KEY}"}


def ask(
    service: Local, method: str, path: str, headers: Mapping[str, str] | None = None, **more: Any
) -> httpx.Response:
    async def go() -> httpx.Response:
        async with service.client() as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(go())


def preflight(service: Local, origin: str, method: str = "POST", headers: str = "content-type") -> httpx.Response:
    """As a browser sends it; not held against the OpenAPI document, which has no operation for it."""
    wanted = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://local") as client:
            return await client.options("/v1/classify", headers=wanted)

    return asyncio.run(go())


# ---- Keys ----


def test_with_keys_a_request_without_one_is_a_401(local: Make) -> None:
    service = local(settings=Settings(Keys([KEY])))
    refused = ask(service, "POST", "/v1/classify", json=ONE)
    assert (refused.status_code, refused.headers["content-type"]) == (401, PROBLEM)
    assert refused.headers["www-authenticate"] == 'Bearer realm="newsframe"'
    assert refused.json()["detail"] == (
        "expected a valid API key, but found none. Send the header `Authorization: Bearer KEY`."
    )
    wrong = ask(service, "POST", "/v1/classify", {"Authorization": "Bearer fedcba9876543210"}, json=ONE)
    assert wrong.headers["www-authenticate"] == 'Bearer realm="newsframe", error="invalid_token"'
    assert ask(service, "POST", "/v1/classify", WITH_KEY, json=ONE).status_code == 200


def test_probes_the_page_and_the_document_need_no_key_and_all_else_does(local: Make) -> None:
    service = local(settings=Settings(Keys([KEY])))
    found = {path: ask(service, "GET", path).status_code for path in ("/v1/info", "/v1/codebook", "/docs.json", "/")}
    assert found == {"/v1/info": 401, "/v1/codebook": 401, "/docs.json": 200, "/": 200}
    assert {"/livez", "/readyz", "/", "/docs.json"} == OPEN
    OpenAPIV31SpecValidator(service.contract.document).validate()
    secured = {
        path for path, about in service.contract.document["paths"].items() for o in about.values() if "security" in o
    }
    assert secured == set(service.contract.document["paths"]) - OPEN


def test_without_keys_the_document_speaks_of_none(local: Make) -> None:
    document = local().contract.document
    assert "securitySchemes" not in document["components"]
    assert "401" not in document["paths"]["/v1/classify"]["post"]["responses"]


def test_a_key_is_never_logged(local: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Any] = []
    monkeypatch.setattr(access_log, "write", lambda event, **fields: logged.append(fields))
    service = local(settings=Settings(Keys([KEY])))
    for headers in (WITH_KEY, {"Authorization": "Bearer another-key-of-theirs"}):
        ask(service, "POST", "/v1/classify", headers, json=ONE)
    assert [fields["status"] for fields in logged] == [200, 401]
    assert not any(secret in str(logged) for secret in (KEY, "another-key", "Bearer"))


# ---- Origins ----


def test_without_named_origins_no_page_may_ask(local: Make) -> None:
    service = local()
    refused = preflight(service, ORIGIN)
    assert (refused.status_code, refused.headers["content-type"]) == (405, PROBLEM)
    reply = ask(service, "POST", "/v1/classify", {"Origin": ORIGIN}, json=ONE)
    assert not [name for name in (*refused.headers, *reply.headers) if name.startswith("access-control")]


def test_a_page_of_a_named_origin_may_ask_and_read_what_it_needs(local: Make) -> None:
    service = local(settings=Settings(Keys([KEY]), (ORIGIN, "http://localhost:8080")))
    allowed = preflight(
        service, ORIGIN, headers="authorization,content-type,x-request-id"
    )  # no key: browsers send none
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert allowed.headers["access-control-allow-methods"] == "GET, HEAD, POST"
    assert {"Authorization", "Content-Type", "X-Request-Id"} <= set(
        allowed.headers["access-control-allow-headers"].split(", ")
    )
    assert "access-control-allow-credentials" not in allowed.headers
    assert "Origin" in allowed.headers["vary"]
    # The reply itself, refusals of every layer among them: the page must be able to read why.
    asked = {"Origin": ORIGIN}
    replies = [
        ask(service, "POST", "/v1/classify", asked | WITH_KEY, json=ONE),
        ask(service, "POST", "/v1/classify", asked, json=ONE),
        ask(service, "POST", "/v1/classify", asked | WITH_KEY, json={}),
        ask(service, "PUT", "/v1/classify", asked | WITH_KEY),
        ask(service, "GET", "/nowhere", asked),
    ]
    assert [reply.status_code for reply in replies] == [200, 401, 422, 405, 404]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert "Origin" in reply.headers["vary"]
        assert reply.headers["access-control-expose-headers"] == "Retry-After, WWW-Authenticate, X-Request-Id"


@pytest.mark.parametrize("origin", ["https://desk.example.org.evil.example", "http://desk.example.org", "null", "*"])
def test_an_origin_is_named_to_the_letter(local: Make, origin: str) -> None:
    service = local(settings=Settings(Keys(), (ORIGIN,)))
    refused = preflight(service, origin)
    assert (refused.status_code, refused.headers["content-type"]) == (400, PROBLEM)
    assert refused.json()["detail"] == (
        "expected a preflight of an allowed origin, method and headers, but found another. See /docs.json."
    )
    assert "access-control-allow-origin" not in refused.headers
    assert (
        "access-control-allow-origin" not in ask(service, "POST", "/v1/classify", {"Origin": origin}, json=ONE).headers
    )


def test_a_preflight_for_another_method_or_header_is_refused(local: Make) -> None:
    service = local(settings=Settings(Keys(), (ORIGIN,)))
    assert preflight(service, ORIGIN, method="DELETE").status_code == 400
    assert preflight(service, ORIGIN, headers="x-evil").status_code == 400


def test_every_origin_may_ask_only_where_that_is_said(local: Make) -> None:
    service = local(settings=Settings(Keys(), ("*",)))
    assert preflight(service, "https://anywhere.example").headers["access-control-allow-origin"] == "*"
    reply = ask(service, "POST", "/v1/classify", {"Origin": "https://anywhere.example"}, json=ONE)
    assert reply.headers["access-control-allow-origin"] == "*"


# ---- Request ids ----


@pytest.mark.parametrize("given", ["newsroom-17.3", "A" * 128, "0", "f47ac10b-58cc-4372-a567-0e02b2c3d479"])
def test_a_request_keeps_its_id_in_reply_and_log(local: Make, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    logged: list[Any] = []
    monkeypatch.setattr(access_log, "write", lambda event, **fields: logged.append(fields))
    reply = ask(local(), "POST", "/v1/classify", {"X-Request-Id": given}, json=ONE)
    assert reply.headers["x-request-id"] == given
    assert [fields["request_id"] for fields in logged] == [given]


@pytest.mark.parametrize(
    "given", ["", "A" * 129, "two words", 'a"b', "a\r\nSet-Cookie: x=y", "a%0ab", "é", "{}", "a,b"]
)
def test_an_id_that_could_forge_a_header_or_a_line_is_replaced(local: Make, given: str) -> None:
    service = local()
    sent: list[dict[str, Any]] = []

    async def go() -> None:
        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"x-request-id", given.encode("latin-1", "replace"))]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "query_string": b"", "root_path": ""}
        await service.app(scope, None, send)

    asyncio.run(go())
    [found] = [value.decode() for name, value in sent[0]["headers"] if name == b"x-request-id"]
    assert len(found) == 32
    assert int(found, 16)


def test_two_ids_are_none(local: Make) -> None:
    service = local()

    async def go() -> str:
        async with service.client() as client:
            return (await client.get("/", headers=[("X-Request-Id", "a"), ("X-Request-Id", "b")])).headers[
                "x-request-id"
            ]

    assert len(asyncio.run(go())) == 32


def test_every_reply_has_an_id_of_its_own(local: Make) -> None:
    service = local()
    asked = [("GET", "/"), ("GET", "/nowhere"), ("PUT", "/v1/info"), ("POST", "/v1/classify")]
    ids = {ask(service, method, path).headers["x-request-id"] for method, path in asked}
    assert len(ids) == 4


# ---- What is counted ----


def counted(service: Local, name: str, **labels: str) -> float:
    batcher = service.api.inference._batcher
    assert batcher
    until = time.monotonic() + 5
    while batcher._at_work and time.monotonic() < until:  # a run is counted once it is answered
        time.sleep(0.001)
    value = service.api.metrics.registry.get_sample_value(f"newsframe_{name}", labels)
    assert value is not None, f"{name} {labels} is not counted"
    return value


def test_sentences_tokens_runs_and_labels_are_counted(local: Make) -> None:
    service = local()
    ask(service, "POST", "/v1/classify", json={"inputs": ["Warm it.", {"text": "Warm it.", "targets": ["it"]}]})
    # The stub says of each sentence: 3 tokens, one mention, the first label of every axis, and "not sure" of one axis.
    codebook = service.engine.codebook
    assert (counted(service, "sentences_total"), counted(service, "tokens_total")) == (2, 6)
    assert (counted(service, "run_sentences_count"), counted(service, "run_sentences_sum")) == (1, 2)
    assert (counted(service, "run_tokens_sum"), counted(service, "queue_seconds_count")) == (6, 1)
    assert counted(service, "run_seconds_count") == 1
    assert counted(service, "waiting_tokens") == 0
    mention, target = codebook.mention_axis, codebook.target_axis
    for axis in codebook.sentence_axes:
        assert [counted(service, "labels_total", axis=axis.name, label=n) for n in axis.label_names[:2]] == [2, 0]
    assert counted(service, "labels_total", axis=mention.name, label=mention.label_names[0]) == 2
    assert counted(service, "labels_total", axis=mention.summary, label=mention.summary_labels[0]) == 2
    assert (
        counted(service, "labels_total", axis=target.name, label=target.label_names[0]) == 3
    )  # a target was asked for
    assert [counted(service, "abstained_total", axis=axis.name) for axis in (target, mention)] == [2, 0]


def test_repeated_sentences_are_counted_among_all(local: Make) -> None:
    service = local()
    assert counted(service, "repeated_sentences_total") == 0
    ask(service, "POST", "/v1/classify", json={"inputs": ["Warm it.", "Stir it."]})
    ask(service, "POST", "/v1/classify", json={"inputs": ["Warm it.", "Serve it.", "Warm it."]})
    assert (counted(service, "sentences_total"), counted(service, "repeated_sentences_total")) == (5, 2)


def test_refusals_are_counted_by_reason(local: Make) -> None:
    service = local(replace(LIMITS, waiting_requests=0), settings=Settings(Keys([KEY])))
    released = threading.Event()
    service.engine.before = lambda sentences: released.wait(5)

    async def go() -> None:
        async with service.client() as client:
            client.headers = WITH_KEY
            at_work = asyncio.ensure_future(client.post("/v1/classify", json=ONE))
            await asyncio.sleep(0.05)
            await client.post("/v1/classify", json=ONE)
            released.set()
            await at_work
            await client.post("/v1/classify", content=b"{", headers={"Content-Type": "application/json"})
            await client.post("/v1/classify", json={})
            await client.post("/v1/classify", content=b"a")
            await client.get("/nowhere")
            await client.get("/v1/classify")
            client.headers = {}
            await client.get("/v1/info")

    asyncio.run(go())
    found = {reason: counted(service, "rejected_total", reason=reason) for reason in REASONS.values()}
    assert {reason for reason, count in found.items() if count == 1} == {
        "queue_full", "not_json", "wrong_fields", "media_type", "no_such_path", "method", "no_key",
    }  # fmt: skip
    assert sum(found.values()) == 7


def test_no_request_makes_a_series(local: Make) -> None:
    service = local()

    def series() -> set[str]:
        families = service.api.metrics.registry.collect()
        return {json.dumps([s.name, s.labels]) for family in families for s in family.samples}

    before = series()
    for n in range(50):
        ask(service, "GET", f"/nowhere/{n}", {"X-Request-Id": f"id-{n}"})
        ask(service, "POST", "/v1/classify", json={"inputs": [{"id": str(n), "text": f"Text {n}.", "extra": n}]})
        ask(service, "POST", "/v1/classify", json={"inputs": [f"Warm {n}."]})
    assert series() == before


# ---- Memory ----


def test_large_bodies_share_a_bounded_room_and_small_ones_need_none(local: Make) -> None:
    service = local(replace(LIMITS, held_bytes=150_000))
    released = threading.Event()
    service.engine.before = lambda sentences: released.wait(5)
    large = {"inputs": ["Warm the beef. " * 600] * 11}  # 99 kB

    async def go() -> list[int]:
        async with service.client() as client:
            held = asyncio.ensure_future(client.post("/v1/classify", json=large))
            await asyncio.sleep(0.1)
            refused = await client.post("/v1/classify", json=large)
            assert refused.headers["retry-after"] == "1"
            small = asyncio.ensure_future(client.post("/v1/classify", json=ONE))
            await asyncio.sleep(0.05)
            released.set()
            first = [(await held).status_code, refused.status_code, (await small).status_code]
            return [*first, (await client.post("/v1/classify", json=large)).status_code]

    assert asyncio.run(go()) == [200, 429, 200, 200]
    assert service.api.room.held == 0
