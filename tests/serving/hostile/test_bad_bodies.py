"""Bodies that no client should send, and what each gets: an exact status, problem details, and a server that is well."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from serving.limits import LIMITS
from tests.serving.conftest import PROBLEM
from tests.serving.hostile.conftest import JSON, SENTENCE, Victim

GROWTH = 32 * 1024 * 1024  # bytes; one of the bodies has 16 MB, and the allocator need not give it back at once


def body(*inputs: Any) -> bytes:
    return json.dumps({"inputs": inputs}).encode()


def zeros(size: int) -> Iterator[bytes]:
    for _ in range(size // 1_000_000):
        yield b"0" * 1_000_000


DEEP_ARRAY = b'{"inputs": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
DEEP_OBJECT = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
HUGE = b"9" * 4000

REFUSED = {
    "nothing": (b"", 400),
    "spaces": (b" " * 1000, 400),
    "not JSON": (b"hello", 400),
    "half of JSON": (b'{"inputs": ["a"', 400),
    "JSON and more": (b'{"inputs": ["a"]} {}', 400),
    "JSON Lines": (b'{"inputs": ["a"]}\n{"inputs": ["b"]}', 400),
    "a comma too many": (b'{"inputs": ["a",]}', 400),
    "single quotes": (b"{'inputs': ['a']}", 400),
    "a comment": (b'{"inputs": ["a"]} // please', 400),
    "a form": (b"inputs=a&inputs=b", 400),
    "XML": (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', 400),
    "a pickle": (b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.", 400),
    "a NUL byte": (b'{"inputs": ["a\x00b"]}', 400),
    "a NUL byte after it": (b'{"inputs": ["a"]}\x00', 400),
    "UTF-16": ('{"inputs": ["a"]}'.encode("utf-16"), 400),
    "Latin-1": ('{"inputs": ["é"]}'.encode("latin-1"), 400),
    "overlong UTF-8": (b'{"inputs": ["\xc0\xaf"]}', 400),
    "a surrogate in UTF-8": (b'{"inputs": ["\xed\xa0\x80"]}', 400),
    "NaN": (b'{"inputs": [NaN]}', 400),
    "Infinity": (b'{"inputs": [{"text": "a", "targets": [{"start": Infinity, "end": 1}]}]}', 400),
    "1e400": (b'{"inputs": [{"text": "a", "targets": [{"start": 1e400, "end": 1}]}]}', 400),
    "a number of 4,000 digits": (b'{"inputs": [{"text": "a", "targets": [{"start": %s, "end": 1}]}]}' % HUGE, 400),
    "a key twice": (b'{"inputs": ["a"], "inputs": ["b"]}', 400),
    "a key twice, written otherwise": (b'{"inputs": ["a"], "\\u0069nputs": ["b"]}', 400),
    "arrays 50,000 deep": (DEEP_ARRAY, 400),
    "objects 50,000 deep": (DEEP_OBJECT, 400),
    "a byte order mark": (b"\xef\xbb\xbf" + body("a"), 400),
    "null": (b"null", 422),
    "a number": (b"3", 422),
    "a string": (b'"inputs"', 422),
    "an array": (b'["a"]', 422),
    "an empty object": (b"{}", 422),
    "an empty list": (body(), 422),
    "a string for a list": (b'{"inputs": "a"}', 422),
    "an object for a list": (b'{"inputs": {"0": "a"}}', 422),
    "null for a list": (b'{"inputs": null}', 422),
    "wrong types": (body(1, None, True, [], {"text": 1}, {"text": "a", "id": []}), 422),
    "unknown fields": (b'{"inputs": ["a"], "__proto__": {}, "constructor": {}}', 422),
    "a key in other letters": (b'{"Inputs": ["a"]}', 422),
    "a key with a zero-width space": ('{"inputs\u200b": ["a"]}'.encode(), 422),
    "a key that is a lone surrogate": (b'{"inputs": ["a"], "\\ud800": 1}', 422),
    "an id that is a lone surrogate": (body({"text": "a", "id": "\ud800"}), 422),
    "a float for an offset": (body({"text": "abc", "targets": [{"start": 0.5, "end": 1}]}), 422),
    "10,000 items": (body(*[SENTENCE] * 10_000), 422),
    "10,000 wrong items": (body(*[0] * 10_000), 422),
    "10,000 targets": (body({"text": SENTENCE, "targets": ["ministers"] * 10_000}), 422),
    "10,000 unknown fields": (json.dumps({"inputs": ["a"]} | {f"f{n}": n for n in range(10_000)}).encode(), 422),
    "5 MB": (body("x" * 5_000_000), 413),
    "16 MB and one byte": (b" " * (16 * 1024 * 1024 + 1), 413),
}

# Each is in its place: of the right shape, and only the item is at fault, or none is.
LABELLED = {
    "an empty text": ("", "error"),
    "white space": (" \t\r\n\u2003", "error"),
    "one word of 1 MB": ("x" * 1_000_000, "error"),
    "a lone surrogate": ("a \ud800 b", "error"),
    "a low surrogate first": ("a \udc00\ud800 b", "error"),
    "a target that is not there": ({"text": SENTENCE, "targets": ["Mars"]}, "error"),
    "a target past the end": ({"text": SENTENCE, "targets": [{"start": 0, "end": 10**17}]}, "error"),
    "a target before the start": ({"text": SENTENCE, "targets": [{"start": -5, "end": 2}]}, "error"),
    "a target of no width": ({"text": SENTENCE, "targets": [{"start": 3, "end": 3}]}, "error"),
    "an empty target": ({"text": SENTENCE, "targets": [""]}, "error"),
    "NUL, escaped": ("The two ministers\u0000 met in Geneva.", None),
    "control characters": ("".join(map(chr, range(32))) + SENTENCE, None),
    "bidi marks": ("\u202eThe two ministers\u202c met \u2066in\u2069 \u200fGeneva\u200e.", None),
    "zero-width characters": ("The\u200b two\u200c mini\u200dsters\ufeff met in\u2060 Geneva.", None),
    "nothing but zero-width characters": ("\u200b\u200c\u200d\u2060", None),
    "combining marks": ("e" + "\u0301" * 5000, None),
    "emoji and flags": ("🏴󠁧󠁢󠁥󠁮󠁧󠁿👩‍👩‍👧‍👦" * 100, None),
    "noncharacters": ("\ufffe\uffff\U0010ffff The ministers met.", None),
    "private use": ("\ue000\U000f0000 The ministers met.", None),
    "a script tag": ("<script>alert(1)</script> The ministers met.", None),
    "a template": ("{{7*7}} ${7*7} %s %n #{7*7} The ministers met.", None),
    "special tokens": ("[CLS] [SEP] [MASK] [PAD] [UNK] The ministers met.", None),
    "one word of 10,000 letters": ("x" * 10_000, None),
    "10,000 one-letter words": ("a " * 5_000, None),
    "Chinese without spaces": ("部长们周一在日内瓦会面。" * 100, None),
}


def ask(victim: Victim, content: bytes | Iterator[bytes], path: str = "/v1/classify", **headers: str) -> httpx.Response:
    with victim.client() as client:
        response = client.post(path, content=content, headers=JSON | headers)
    if response.status_code != 404:
        victim.contract.check(response)
    return response


@pytest.fixture(scope="module", autouse=True)
def _it_is_well_afterwards_and_does_not_grow(victim: Victim) -> Iterator[None]:
    yield
    before = victim.memory()  # each was sent once: what that made grow is no leak, what a second time does is one
    with victim.client() as client:
        for content, _ in REFUSED.values():
            client.post("/v1/classify", content=content, headers=JSON)
        for item, _ in LABELLED.values():
            client.post("/v1/classify", content=body(SENTENCE, item), headers=JSON)
    victim.check_health()
    assert victim.memory() < before + GROWTH
    assert "Traceback" not in victim.log.read_text(encoding="utf-8")
    assert '"event": "failure"' not in victim.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_body_is_refused_with_its_status_and_no_part_of_it_comes_back(victim: Victim, name: str) -> None:
    content, status = REFUSED[name]
    response = ask(victim, content)
    assert response.status_code == status
    assert response.headers["content-type"] == PROBLEM
    assert len(response.content) < 4000
    assert "passwd" not in response.text


@pytest.mark.parametrize("name", LABELLED)
def test_an_odd_item_is_labelled_or_told_in_its_place_and_costs_the_others_nothing(victim: Victim, name: str) -> None:
    item, status = LABELLED[name]
    response = ask(victim, body(SENTENCE, item, SENTENCE))
    assert response.status_code == 200
    first, odd, last = response.json()["results"]
    [expected] = victim.label["results"]
    assert {k: v for k, v in first.items() if k != "scores"} == {k: v for k, v in expected.items() if k != "scores"}
    assert first["status"] != "error" != last["status"]
    assert (odd["status"] == "error") == (status == "error")
    if odd["status"] != "error":
        text = item if isinstance(item, str) else item["text"]
        assert (odd["start"], odd["end"]) == (0, len(text))


@pytest.mark.parametrize("name", LABELLED)
def test_a_document_of_odd_text_is_answered(victim: Victim, name: str) -> None:
    item, _ = LABELLED[name]
    text = item if isinstance(item, str) else item["text"]
    for document in ({"text": text}, {"html": f"<html><body><article><p>{text}</p></article></body></html>"}):
        response = ask(victim, json.dumps({"documents": [document, {"text": SENTENCE}]}).encode(), "/v1/documents")
        assert response.status_code == 200
        assert response.json()["results"][1]["status"] == "ok"


@pytest.mark.parametrize("name", ["tags 50,000 deep", "an unclosed table", "unclosed comments", "entities"])
def test_bad_html_is_answered(victim: Victim, name: str) -> None:
    html = {
        "tags 50,000 deep": "<div>" * 50_000 + SENTENCE,
        "an unclosed table": "<table>" + "<tr><td>a" * 300,
        "unclosed comments": "<!--" * 50_000 + SENTENCE,
        "entities": "&lt;&amp;&#x110000;&#xd800;&bogus;" * 5_000,
    }[name]
    response = ask(victim, json.dumps({"documents": [{"html": html}, {"text": SENTENCE}]}).encode(), "/v1/documents")
    assert response.status_code == 200
    assert response.json()["results"][1]["status"] == "ok"


def test_a_gzip_bomb_is_refused_unopened(victim: Victim) -> None:
    bomb = gzip.compress(b"0" * 100_000_000)  # about 100 kB
    for coding in ("gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip"):
        assert ask(victim, bomb, **{"Content-Encoding": coding}).status_code == 415
    assert ask(victim, bomb).status_code == 400  # unopened, it is no UTF-8


def test_100_mb_are_refused_with_and_without_a_length(victim: Victim) -> None:
    for headers in ({"Content-Length": "100000000"}, {"Transfer-Encoding": "chunked"}):
        try:
            status = ask(victim, zeros(100_000_000), **headers).status_code
        except (httpx.WriteError, httpx.ReadError):  # it hears out no more than it must
            status = 413
        assert status == 413


@pytest.mark.parametrize(
    "media", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json",
              "application/json; charset=utf-16", "application/json, text/plain", "application/json\t;x", "*/*",
              "application/problem+json", "application/jsonx"]
)  # fmt: skip
def test_another_media_type_is_refused(victim: Victim, media: str) -> None:
    assert ask(victim, body("a"), **{"Content-Type": media}).status_code == 415


def test_a_list_as_long_as_the_limit_is_labelled(victim: Victim) -> None:
    response = ask(victim, body(*[SENTENCE] * LIMITS.inputs))
    assert response.status_code == 200
    assert len(response.json()["results"]) == LIMITS.inputs
