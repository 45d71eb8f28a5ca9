"""The client against the real service: what it gives is what the library gives."""

import asyncio
import subprocess
import sys

import pytest

from model.labeller import Labeller
from serving.benchmarks.servers import free_port
from serving.client import AsyncClient, Client, NoAnswer, Patience, Refused, WrongFields
from tests.serving.conftest import Service
from tests.serving.server import ROOT, strayed

INPUTS = [
    "The two ministers met in Geneva on Monday.",
    {"id": "own", "text": "Turkey and the Syrian government agreed on a ceasefire.", "targets": ["Turkey"]},
    "",
    "lone \ud800",
    "Rebels shelled the town at dawn, the army said.",
]


def url(service: Service) -> str:
    return str(service.client.base_url)


def test_a_list_in_many_requests_gives_what_the_library_gives(service: Service, labeller: Labeller) -> None:
    inputs = INPUTS * 3
    with Client(url(service), batch=2) as api:
        reply = api.classify(inputs)  # type: ignore[arg-type]
    assert reply.model == labeller.model_info
    assert not strayed([result.record for result in reply.results], labeller.label_records(inputs))  # type: ignore[arg-type]


def test_documents_give_what_the_library_gives(service: Service, labeller: Labeller) -> None:
    documents = [{"text": f"{INPUTS[0]} {INPUTS[4]}", "outlet": "Example Times"}, {"id": "b", "text": ""}]
    with Client(url(service), batch=1) as api:
        reply = api.documents(documents)  # type: ignore[arg-type]
    expected = labeller.label_documents(documents)
    assert not strayed([result.record for result in reply.results], expected)
    assert [sentence.id for sentence in reply.results[0].sentences] == ["0:1", "0:2"]
    assert reply.results[0].summary["sentences"] == 2


def test_info_and_codebook_are_those_of_the_model(service: Service, labeller: Labeller) -> None:
    with Client(url(service)) as api:
        assert api.info()["model"] == labeller.model_info
        assert api.codebook() == labeller.codebook.to_dict()


def test_a_labelled_sentence_can_be_read_under_any_codebook(service: Service, labeller: Labeller) -> None:
    with Client(url(service)) as api:
        [result] = api.classify([INPUTS[0]]).results  # type: ignore[list-item]
    assert (result.start, result.end, result.truncated) == (0, len(str(INPUTS[0])), False)
    for axis in labeller.codebook.sentence_axes:
        assert set(result.scores[axis.name]) == set(axis.label_names)
        assert isinstance(result[axis.name], list)
    assert set(result.abstained) <= {axis.name for axis in labeller.codebook.axes}


def test_wrong_fields_are_named_by_their_place_in_the_whole_list(service: Service) -> None:
    with Client(url(service), batch=2) as api, pytest.raises(WrongFields) as refused:
        api.classify(["a", "b", "c", {"text": "d", "topic": 1}])  # type: ignore[typeddict-unknown-key]
    [place] = refused.value.errors
    assert (place.pointer, place.detail) == ("/inputs/3/topic", "expected no such field. Remove or rename it.")


def test_the_asynchronous_client_streams_the_same(service: Service, labeller: Labeller) -> None:
    async def ask() -> list[object]:
        async with AsyncClient(url(service), batch=2) as api:
            return [result.record async for result in api.stream(INPUTS)]  # type: ignore[arg-type]

    assert not strayed(asyncio.run(ask()), labeller.label_records(INPUTS))  # type: ignore[arg-type]


def test_a_path_under_which_no_service_is_is_refused(service: Service) -> None:
    with Client(f"{url(service)}/elsewhere") as api, pytest.raises(Refused, match=r"^404 Not Found: "):
        api.info()


def test_a_service_that_is_not_there_is_told_within_the_time_that_was_given() -> None:
    nowhere = Client(f"http://127.0.0.1:{free_port()}", patience=Patience(tries=3, first_pause=0.01))
    with nowhere as api, pytest.raises(NoAnswer, match="expected an answer, but found ConnectError"):
        api.info()


def test_the_client_loads_nothing_that_labels() -> None:
    code = (
        "import serving.client, sys\n"
        "slow = {'numpy', 'onnxruntime', 'tokenizers', 'bentoml', 'starlette', 'pydantic', 'yaml'}\n"
        "raise SystemExit(sorted(slow & {name.split('.')[0] for name in sys.modules}) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
