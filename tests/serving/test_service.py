"""The real thing: the server process that `newsframe serve` starts, with the shipped model."""

import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from model.labeller import Labeller
from tests.serving.conftest import PROBLEM, Service
from tests.serving.server import strayed

SENTENCES = [
    "The two ministers met in Geneva on Monday.",
    "Rebels shelled the town at dawn, the army said.",
    "Turkey and the Syrian government agreed on a ceasefire, the state agency reported.",
]
ARTICLE = " ".join(SENTENCES) + "\n\nThe talks go on. Nobody spoke to the press."


def errors(response: httpx.Response) -> dict[str, str]:
    """The wrong places of a 422, and what is said of each."""
    assert response.status_code == 422
    return {error["pointer"]: error["detail"] for error in response.json()["errors"]}


@pytest.mark.parametrize("path", ["/v1/info", "/v1/codebook", "/docs.json", "/", "/livez", "/readyz", "/metrics"])
def test_head_works_where_get_does(service: Service, path: str) -> None:
    get, head = service.client.get(path), service.client.head(path)
    assert (get.status_code, head.status_code, head.content) == (200, 200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_it_is_ready_only_once_the_model_is_loaded_and_warm(service: Service) -> None:
    assert '"event": "ready"' in service.log_when_ready


def test_info_names_the_model_and_every_limit(service: Service, labeller: Labeller) -> None:
    info = service.client.get("/v1/info").json()
    assert info["model"] == labeller.model_info
    assert info["codebook"] == labeller.model_info["codebook"]
    assert info["versions"]["newsframe"] == service.client.get("/docs.json").json()["info"]["version"]
    assert info["limits"] == {
        "body_bytes": 4_194_304,
        "inputs": 256,
        "documents": 32,
        "sentence_characters": 10_000,
        "document_characters": 1_000_000,
        "targets": 100,
        "id_characters": 256,
        "field_characters": 2_000,
        "waiting_requests": 48,
        "waiting_tokens": 16_384,
        "run_tokens": 512,
        "held_bytes": 33_554_432,
        "body_seconds": 10.0,
        "inference_seconds": 30.0,
    }


def test_the_codebook_is_that_of_the_model(service: Service, labeller: Labeller) -> None:
    assert service.client.get("/v1/codebook").json() == labeller.codebook.to_dict()


def test_the_openapi_document_is_valid_and_its_examples_are_true(service: Service) -> None:
    document = service.client.get("/docs.json").json()
    OpenAPIV31SpecValidator(document).validate()
    for path in ("/v1/classify", "/v1/documents"):
        operation = document["paths"][path]["post"]
        request = operation["requestBody"]["content"]["application/json"]["example"]
        reply = operation["responses"]["200"]["content"]["application/json"]["example"]
        assert not strayed(service.client.post(path, json=request).json(), reply)


def test_the_page_at_the_root_loads_nothing_from_elsewhere(service: Service) -> None:
    page = service.client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert re.findall(r"""(?:src|href)=["']?([^"' >]+)""", page.text) == [
        "/v1/codebook",
        "/v1/info",
        "/v1/codebook",
        "/docs.json",
    ]


def test_sentences_are_labelled_as_by_the_library_and_in_order(service: Service, labeller: Labeller) -> None:
    inputs: list[Any] = [*SENTENCES, {"id": "x", "text": SENTENCES[2], "targets": ["Turkey", {"start": 11, "end": 32}]}]
    reply = service.client.post("/v1/classify", json={"inputs": inputs}).json()
    assert reply["model"] == labeller.model_info
    assert [result["id"] for result in reply["results"]] == ["0", "1", "2", "x"]
    assert [target["target"] for target in reply["results"][3]["targets"]] == ["Turkey", "the Syrian government"]
    assert not strayed(reply["results"], labeller.label_records(inputs))


def test_a_sentence_gets_the_same_labels_alone_and_in_any_batch(service: Service) -> None:
    def ask(*sentences: str) -> list[dict[str, Any]]:
        results = service.client.post(
            "/v1/classify", json={"inputs": [{"id": "s", "text": t} for t in sentences]}
        ).json()["results"]
        return list(results)

    [alone] = ask(SENTENCES[1])
    assert not strayed(ask(*SENTENCES * 30)[1], alone)
    assert not strayed(ask(*reversed(SENTENCES))[1], alone)


def test_documents_are_labelled_as_by_the_library(service: Service, labeller: Labeller) -> None:
    documents = [
        {"id": "a1", "text": ARTICLE, "outlet": "Example Times", "published_at": "2024-01-02", "language": "en"},
        {
            "html": f"<html><body><article><h1>A title</h1><p>{ARTICLE}</p></article></body></html>",
            "url": "https://example.org/a",
        },
    ]
    results = service.client.post("/v1/documents", json={"documents": documents}).json()["results"]
    assert [(result["id"], result["status"]) for result in results] == [("a1", "ok"), ("1", "ok")]
    assert results[0]["outlet"] == "Example Times"
    for result, text in zip(results, (ARTICLE, results[1]["text"]), strict=True):
        assert SENTENCES[1] in {text[sentence["start"] : sentence["end"]] for sentence in result["sentences"]}
    assert not strayed(results, labeller.label_documents(documents))


def test_null_is_the_same_as_leaving_out(service: Service) -> None:
    sentence = {"id": None, "text": SENTENCES[0], "targets": None}
    document = {"text": ARTICLE, "title": None, "language": None}
    replies = [
        service.client.post("/v1/classify", json={"inputs": [item]}).json()
        for item in (sentence, {"text": SENTENCES[0]})
    ]
    assert replies[0] == replies[1]
    [result] = service.client.post("/v1/documents", json={"documents": [document]}).json()["results"]
    assert result["id"] == "0"


def test_an_item_that_cannot_be_labelled_costs_the_others_nothing(service: Service) -> None:
    inputs = [
        SENTENCES[0],
        "",
        " \n",
        "x" * 10_001,
        "lone \ud800",
        {"text": SENTENCES[0], "targets": ["nowhere"]},
        SENTENCES[0],
    ]
    body = json.dumps({"inputs": inputs})  # ASCII: the surrogate is escaped
    results = service.client.post("/v1/classify", content=body, headers={"Content-Type": "application/json"}).json()[
        "results"
    ]
    assert [result["status"] for result in results] == ["ok", *["error"] * 5, "ok"]
    assert results[0] | {"id": "6"} == results[6]
    assert results[1] == {
        "id": "1",
        "status": "error",
        "error": "inputs[1]: field 'text': expected a text, but found an empty one. Give the sentence.",
    }


def test_a_document_that_cannot_be_read_costs_the_others_nothing(service: Service) -> None:
    documents = [{"id": "a", "text": ""}, {"id": "b", "text": ARTICLE}, {"id": "c", "html": "<p></p>"}]
    results = service.client.post("/v1/documents", json={"documents": documents}).json()["results"]
    assert [(result["id"], result["status"]) for result in results] == [("a", "error"), ("b", "ok"), ("c", "error")]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "an error at character 0 (Expecting value)"),
        (b'{"inputs": [}', "an error at character 12 (Expecting value)"),
        (b'\xef\xbb\xbf{"inputs": []}', "an error at character 0 (Unexpected UTF-8 BOM (decode using utf-8-sig))"),
        (b'{"inputs": ["\xff"]}', "a byte that is no UTF-8 at 13"),
        ('{"inputs": ["a"]}'.encode("utf-16"), "a byte that is no UTF-8 at 0"),
        (b'{"inputs": [NaN]}', "NaN, which is no JSON number"),
        (b'{"inputs": [-Infinity]}', "-Infinity, which is no JSON number"),
        (b'{"inputs": [1e999]}', "a number too large to be kept"),
        (b'{"inputs": [%s]}' % (b"1" * 5000), "a number too large to be kept"),
        (b'{"inputs": ["a"], "inputs": []}', "the field 'inputs' twice in one object"),
        (b"[" * 100_000, "it nested too deep"),
    ],
)
def test_what_is_no_json_is_a_400(service: Service, body: bytes, found: str) -> None:
    response = service.client.post("/v1/classify", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["detail"] == f"expected a body of JSON, but found {found}. Correct the body."


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/classify", [], {"": "expected an object, but found an array."}),
        ("/v1/classify", {}, {"/inputs": "expected this field, but found none."}),
        ("/v1/classify", {"inputs": []}, {"/inputs": "expected at least one item, but found none."}),
        ("/v1/classify", {"inputs": "a"}, {"/inputs": "expected an array, but found a string."}),
        ("/v1/classify", {"inputs": ["a"] * 257}, {"/inputs": "expected at most 256 items, but found 257."}),
        (
            "/v1/classify",
            {"inputs": ["a", 3, None, {"text": True}, {}], "x/y~": 1},
            {
                "/inputs/1": "expected a string or an object, but found a number.",
                "/inputs/2": "expected a string or an object, but found null.",
                "/inputs/3/text": "expected a string, but found a boolean.",
                "/inputs/4/text": "expected this field, but found none.",
                "/x~1y~0": "expected no such field. Remove or rename it.",
            },
        ),
        (
            "/v1/classify",
            {"inputs": [{"text": "a", "id": "", "topic": 1}, {"text": "a", "id": "x" * 257}, {"text": "a", "id": 7}]},
            {
                "/inputs/0/id": "expected a string that is not empty, but found an empty one.",
                "/inputs/0/topic": "expected no such field. Remove or rename it.",
                "/inputs/1/id": "expected at most 256 characters, but found more.",
                "/inputs/2/id": "expected a string, but found a number.",
            },
        ),
        (
            "/v1/classify",
            {
                "inputs": [
                    {"text": "a", "targets": [{"start": 0, "end": 1.0}, 5]},
                    {"text": "a", "targets": ["a"] * 101},
                ]
            },
            {
                "/inputs/0/targets/0/end": "expected an integer, but found a number.",
                "/inputs/0/targets/1": "expected a string or an object, but found a number.",
                "/inputs/1/targets": "expected at most 100 items, but found 101.",
            },
        ),
        (
            "/v1/classify",
            {"inputs": [{"text": "a", "id": "\ud800"}]},
            {"/inputs/0/id": "expected Unicode text, but found a lone surrogate."},
        ),
        ("/v1/classify", {"inputs": ["a"], "\ud800": 1}, {"": "expected Unicode text, but found a lone surrogate."}),
        (
            "/v1/documents",
            {"documents": [{"text": "a"}] * 33},
            {"/documents": "expected at most 32 items, but found 33."},
        ),
        (
            "/v1/documents",
            {
                "documents": [
                    {"text": "a", "html": "a"},
                    {"id": "x"},
                    {"text": "a", "outlet": "x" * 2001},
                    {"text": "a", "title": "\udc00"},
                ]
            },
            {
                "/documents/0": "expected one of the fields 'text' and 'html', but found both or neither.",
                "/documents/1": "expected one of the fields 'text' and 'html', but found both or neither.",
                "/documents/2/outlet": "expected at most 2000 characters, but found more.",
                "/documents/3/title": "expected Unicode text, but found a lone surrogate.",
            },
        ),
    ],
)
def test_wrong_fields_are_each_named_by_their_pointer(
    service: Service, path: str, body: Any, expected: dict[str, str]
) -> None:
    response = service.client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert errors(response) == expected


def test_of_many_wrong_fields_the_first_ten_are_shown_and_all_are_counted(service: Service) -> None:
    response = service.client.post("/v1/classify", json={"inputs": [{}] * 50})
    assert len(errors(response)) == 10
    assert (
        response.json()["detail"]
        == "expected the fields of /docs.json, but found 50 wrong (10 of 50 are shown). Correct them."
    )


@pytest.mark.parametrize(
    "path", ["/nowhere", "/v1/classify/", "/v1/", "/schema.json", "/healthz", "/static_content/x", "/v1/a%0ab"]
)
def test_a_path_that_is_not_here_is_a_404(service: Service, path: str) -> None:
    assert service.client.get(path).status_code == 404
    assert service.client.post(path, json={}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/classify", {"POST"}),
        ("DELETE", "/v1/documents", {"POST"}),
        ("POST", "/v1/info", {"GET", "HEAD"}),
        ("OPTIONS", "/docs.json", {"GET", "HEAD"}),
        ("POST", "/", {"GET", "HEAD"}),
        ("PUT", "/readyz", {"GET", "HEAD"}),
        ("POST", "/metrics", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_a_405_that_says_which(service: Service, method: str, path: str, allowed: set[str]) -> None:
    response = service.client.request(method, path)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json; profile=x"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_another_media_type_is_a_415(service: Service, headers: dict[str, str]) -> None:
    response = service.client.post("/v1/classify", content=b'{"inputs": ["a"]}', headers=headers)
    assert response.status_code == 415


@pytest.mark.parametrize(
    "media", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json;"]
)
def test_json_in_utf_8_may_say_so(service: Service, media: str) -> None:
    response = service.client.post(
        "/v1/classify", content=b'{"inputs": ["a"]}', headers={"Content-Type": media, "Content-Encoding": "identity"}
    )
    assert response.status_code == 200


def _chunks(size: int) -> Iterator[bytes]:
    yield b'{"inputs": ["'
    for _ in range(size // 65_536):
        yield b"x" * 65_536
    yield b'"]}'


def test_too_large_a_body_is_a_413_with_or_without_a_declared_length(service: Service) -> None:
    headers = {"Content-Type": "application/json"}
    body = b"".join(_chunks(5_000_000))
    assert service.client.post("/v1/classify", content=body, headers=headers).status_code == 413
    assert service.client.post("/v1/classify", content=_chunks(5_000_000), headers=headers).status_code == 413


def test_a_body_far_too_large_is_refused_before_it_is_sent(service: Service) -> None:
    host, port = service.client.base_url.host, service.client.base_url.port
    head = f"POST /v1/classify HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert PROBLEM.encode() in answer


def test_a_websocket_is_refused_as_a_path_that_is_not_here(service: Service) -> None:
    upgrade = (
        b"GET /v1/classify HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with socket.create_connection(
        (service.client.base_url.host, service.client.base_url.port), timeout=10
    ) as connection:
        connection.sendall(upgrade)
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert PROBLEM.encode() in answer


def test_a_client_that_leaves_in_the_middle_of_its_body_harms_nobody(service: Service) -> None:
    host, port = service.client.base_url.host, service.client.base_url.port
    head = (
        f"POST /v1/classify HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
    )
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(head.encode() + b'{"inputs": [')
    assert service.client.get("/readyz").status_code == 200
    end = time.monotonic() + 5
    while 499 not in [line.get("status") for line in service.lines()] and time.monotonic() < end:
        time.sleep(0.05)
    assert service.lines()[-1]["status"] == 499


def test_metrics_count_requests_under_a_closed_set_of_paths(service: Service) -> None:
    def endpoints() -> set[str]:
        return set(re.findall(r'endpoint="([^"]*)"', service.client.get("/metrics").text))

    service.client.post("/v1/classify", json={"inputs": ["a"]})
    for n in range(20):
        service.client.get(f"/v1/unknown-{n}")
    assert "/v1/classify" in endpoints()
    assert endpoints() <= set(service.client.get("/docs.json").json()["paths"])
    counted = re.search(
        r'newsframe_request_total\{endpoint="/v1/classify",http_response_code="200".* (\S+)',
        service.client.get("/metrics").text,
    )
    assert counted
    assert float(counted[1]) >= 1


def test_the_log_has_one_line_of_json_a_request_and_never_a_text(service: Service) -> None:
    before = len(service.lines())
    secret = "Xanadu"
    service.client.post("/v1/classify", json={"inputs": [f"{secret} and Kubla met.", {"id": secret, "text": ""}]})
    service.client.post("/v1/classify", json={"inputs": [{secret: secret}]})
    service.client.post("/v1/classify", content=f"[{secret}")
    service.client.get(f"/v1/info?{secret}={secret}")
    service.client.get(f"/{secret}%0a%7B%22event%22%3A%22forged%22%7D")
    service.client.get("/readyz")  # a probe that finds all well leaves no line
    lines = service.lines()[before:]
    assert secret not in service.log.read_text(encoding="utf-8")
    assert [(line["event"], line["method"], line["route"], line["status"], line.get("items")) for line in lines] == [
        ("request", "POST", "/v1/classify", 200, 2),
        ("request", "POST", "/v1/classify", 422, None),
        ("request", "POST", "/v1/classify", 415, None),
        ("request", "GET", "/v1/info", 200, None),
        ("request", "GET", None, 404, None),
    ]
    assert all(line["ms"] > 0 and line["bytes_out"] > 0 for line in lines)


def test_a_header_without_an_end_is_refused_and_not_held(service: Service) -> None:
    where = (service.client.base_url.host, service.client.base_url.port)
    with socket.create_connection(where, timeout=10) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 100_000)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 400 ")
    assert service.client.get("/readyz").status_code == 200
