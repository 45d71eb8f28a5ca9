"""The engine that users run, in 8 bits: made of trained weights, held against them, and given up where it costs too much."""

import dataclasses
import json

import numpy as np
import onnx
import pytest

import training.served_form as served_form
from model.artifact import build_artifact, load_artifact
from model.engine import Engine
from model.predictions import Prediction
from model.weights import CODES, DELTA, GRAPH, LAYOUT, MANIFEST, SCALES
from training.config import FLOAT32, INT8
from training.run import train


@pytest.fixture(scope="module")
def export_anew(tmp_path_factory, tiny_job, tiny_release):
    """Export the tiny release anew, in 8 bits where they cost no more than is allowed."""

    def export():
        config = dataclasses.replace(tiny_job.config, precision=INT8)
        out = tmp_path_factory.mktemp("eight") / "release"
        return out, train(
            dataclasses.replace(tiny_job, config=config, out=out, weights=tiny_release), lambda step: None
        )

    return export


@pytest.fixture(scope="module")
def eight(export_anew):
    with pytest.MonkeyPatch.context() as patch:
        for bound in ("MOST_LOST", "MOST_LOST_ON_AVERAGE"):  # two development sentences say nothing of a point
            patch.setattr(served_form, bound, 1.0)
        return export_anew()


@pytest.fixture(scope="module")
def engine(eight, tiny_encoder):
    return Engine(load_artifact(build_artifact(eight[0], tiny_encoder)), threads=1, cached=0)


def test_nothing_is_trained_and_the_packed_weights_stay(eight, tiny_release):
    assert (eight[0] / DELTA).read_bytes() == (tiny_release / DELTA).read_bytes()


def test_the_manifest_says_the_precision_and_what_it_costs(eight):
    folder, manifest = eight
    assert json.loads(json.dumps(manifest)) == json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["precision"] == INT8
    assert manifest["parity"]["sentences"] == manifest["data"]["dev"]
    assert 0 < manifest["parity"]["mean_probability_difference"] < 0.05
    assert set(manifest["parity"]["points"]) == {
        a for a, m in manifest["metrics"]["dev"].items() if isinstance(m, dict)
    }


def test_every_linear_layer_of_the_encoder_computes_in_8_bits(eight):
    graph = onnx.load(eight[0] / GRAPH, load_external_data=False).graph
    operators = [node.op_type for node in graph.node]
    # Two layers of the encoder with six products each: three of them read one input, and share its codes.
    assert operators.count("MatMulIntegerToFloat") == 12
    assert operators.count("QuantizeLinear") == 8
    forms = [entry["form"] for entry in json.loads((eight[0] / LAYOUT).read_text(encoding="utf-8"))["tensors"]]
    assert (forms.count(CODES), forms.count(SCALES)) == (12, 12)


def test_a_sentence_gets_the_same_bits_alone_and_among_others(engine, tiny_gold):
    tokens = engine.tokenizer([sentence.text for sentence in tiny_gold])
    alone = [engine.outputs([one])[0] for one in tokens]
    random = np.random.default_rng(5)
    for _ in range(20):
        order = random.permutation(len(tokens))[: random.integers(1, len(tokens) + 1)]
        for n, out in zip(order, engine.outputs([tokens[n] for n in order]), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(out, alone[n], strict=True))


@pytest.mark.parametrize("bound", ["MOST_LOST", "MOST_LOST_ON_AVERAGE"])
def test_8_bits_are_given_up_where_they_cost_more_than_is_allowed(export_anew, monkeypatch, bound):
    monkeypatch.setattr(served_form, bound, -1.0)  # nothing could gain that much
    _, manifest = export_anew()
    assert manifest["precision"] == FLOAT32
    assert manifest["parity"]["max_probability_difference"] < served_form.PARITY


def test_what_only_one_of_two_predictions_has_a_probability_of_is_nothing_in_the_other():
    def said(**scores):
        return Prediction((), {}, (), (), scores, (), 3, False)

    one = said(stage={"start": 0.75, "finish": 0.5}, verdict={"good": 0.875})
    other = said(stage={"start": 0.5, "finish": 0.5})
    assert served_form.probability_differences(one, other) == [0.25, 0.0, 0.875]
    assert sorted(served_form.probability_differences(other, one)) == [0.0, 0.25, 0.875]
