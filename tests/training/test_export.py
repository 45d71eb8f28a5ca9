"""The exported graph: every weight has its place, and nothing of the machine that made it."""

import getpass
import json
import socket
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.external_data_helper import load_external_data_for_model

from model.artifact import DATA, MODEL
from model.network import load_network
from model.outputs import INPUT_NAMES, OUTPUT_NAMES
from model.weights import GRAPH, LAYOUT, RELEASE, TRANSPOSED, load_release, unpack_weights
from training.export import network_weights


@pytest.fixture(scope="module")
def layout(tiny_release):
    return json.loads((tiny_release / LAYOUT).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def parameters(tiny_encoder, tiny_codebook):
    network = load_network(tiny_encoder, tiny_codebook)
    return {name: tensor for name, tensor in network_weights(network).items() if tensor.size}


@pytest.fixture(params=["tiny", "shipped"])
def release(request):
    if request.param == "tiny":
        return request.getfixturevalue("tiny_release")
    if not RELEASE.is_dir():
        pytest.skip(f"no shipped weights at {RELEASE}")
    return RELEASE


def test_the_layout_covers_every_parameter_once(layout, parameters):
    assert sorted(entry["name"] for entry in layout["tensors"]) == sorted(parameters)


def test_weights_lie_aligned_and_apart(layout, parameters):
    end = 0
    for entry in layout["tensors"]:
        assert entry["offset"] % 64 == 0
        assert entry["offset"] >= end
        end = entry["offset"] + parameters[entry["name"]].size * 4
    assert layout["size"] >= end


def test_the_graph_refers_to_the_weights_where_the_layout_puts_them(tiny_release, layout):
    graph = onnx.load(tiny_release / GRAPH, load_external_data=False).graph
    places = {entry["offset"] for entry in layout["tensors"]}
    for initializer in graph.initializer:
        external = {entry.key: entry.value for entry in initializer.external_data}
        if external:
            assert external["location"] == DATA
            assert int(external["offset"]) in places
            places.discard(int(external["offset"]))
    assert places == set()


def test_the_graph_has_inputs_and_outputs_of_any_batch_and_length(release):
    graph = onnx.load(release / GRAPH, load_external_data=False).graph
    assert tuple(node.name for node in graph.input) == INPUT_NAMES
    assert tuple(node.name for node in graph.output) == OUTPUT_NAMES
    for node in graph.input:
        assert [bool(dim.dim_param) for dim in node.type.tensor_type.shape.dim] == [True, True]


def test_the_graph_holds_no_weights_and_is_small(release):
    assert (release / GRAPH).stat().st_size < 300_000


def machine_words() -> list[bytes]:
    """What would tell of this machine: folders, host, user."""
    places = [Path.cwd(), Path(__file__).resolve().parents[2], Path(np.__file__).parents[1], Path("/tmp")]
    names = [socket.gethostname(), "site-packages", "dist-packages", ".py", f"/{getpass.getuser()}/", "/home/"]
    return [text.encode() for text in [*map(str, places), *names]]


def test_the_release_carries_no_path_of_a_machine(release):
    for file in (GRAPH, LAYOUT):
        content = (release / file).read_bytes()
        assert [word for word in machine_words() if word in content] == []


def test_the_manifest_carries_no_path_of_a_machine():
    if not RELEASE.is_dir():
        pytest.skip(f"no shipped weights at {RELEASE}")
    content = (RELEASE / "manifest.json").read_bytes()
    assert [word for word in machine_words() if word in content] == []


def test_the_artifacts_weights_are_the_unpacked_ones(tiny_artifact, tiny_release, tiny_encoder, layout):
    unpacked = unpack_weights(load_release(tiny_release), tiny_encoder)
    model = onnx.load(tiny_artifact.folder / MODEL, load_external_data=False)
    load_external_data_for_model(model, str(tiny_artifact.folder))
    names = {entry["offset"]: entry for entry in layout["tensors"]}
    checked = 0
    data = (tiny_artifact.folder / DATA).read_bytes()
    for offset, entry in names.items():
        tensor = unpacked[entry["name"]]
        stored = np.frombuffer(data, dtype="<f4", count=tensor.size, offset=offset)
        expected = tensor.T if entry["form"] == TRANSPOSED else tensor
        assert np.array_equal(stored.reshape(expected.shape), expected)
        checked += tensor.size
    assert checked * 4 <= len(data) == layout["size"]
