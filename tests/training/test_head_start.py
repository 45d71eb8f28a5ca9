"""A sentence head fitted by logistic regression: the network then gives exactly what the regression gives."""

import dataclasses

import numpy as np
import pytest
import torch

from model.calibration import Calibration
from model.decoding import Decoder
from model.network import load_network
from model.tokenization import SentenceTokenizer
from training.evaluation import evaluate_predictor
from training.features import featurize
from training.head_start import fit_sentence_head
from training.torch_predictor import TorchPredictor

# Torch remarks that the heads of axes that a codebook has not are empty.
pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")


@pytest.fixture
def tokenizer(tiny_encoder):
    return SentenceTokenizer(tiny_encoder / "tokenizer.json", 32)


def made(encoder, codebook, words=()):
    torch.manual_seed(1)
    return load_network(encoder, codebook, without_content=words).eval()


def logits_of(network, row):
    with torch.inference_mode():
        ids = torch.tensor([row])
        return network(ids, torch.ones_like(ids))[1][0].numpy()


def test_a_fitted_head_knows_its_examples_and_leaves_the_encoder_alone(
    tiny_encoder, tiny_codebook, tiny_gold, tokenizer
):
    network = made(tiny_encoder, tiny_codebook, tokenizer.ids_of(["the"]))
    before = {name: tensor.clone() for name, tensor in network.encoder.state_dict().items()}
    data = featurize(tiny_gold, tokenizer, tiny_codebook)
    fit_sentence_head(network, data["input_ids"], torch.tensor(data["sentence_labels"]), strength=100.0)
    results = evaluate_predictor(
        tiny_gold, TorchPredictor(network, tokenizer, Decoder(tiny_codebook, Calibration())), tiny_codebook
    )
    assert min(results["stage"]["macro_f1"], results["manner"]["macro_f1"]) > 0.8
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.encoder.state_dict().items())


IDS = [[2, 10, 3], [2, 20, 3], [2, 30, 3], [2, 10, 11, 3], [2, 20, 21, 3], [2, 30, 31, 3]]


@pytest.mark.parametrize("given", [2, 3])
def test_exclusive_labels_are_fitted_together_and_one_without_examples_is_unlikely(tiny_encoder, tiny_codebook, given):
    axis = dataclasses.replace(tiny_codebook.target_axis, kind="sentence", plain=None, exclusive=True)  # three labels
    network = made(tiny_encoder, dataclasses.replace(tiny_codebook, axes=(axis, *tiny_codebook.axes[:1])))
    rows = [n for n in range(6) if n % 3 < given]
    fit_sentence_head(network, [IDS[n] for n in rows], torch.eye(3, dtype=torch.long)[[n % 3 for n in rows]])
    assert [int(np.argmax(logits_of(network, IDS[n]))) for n in rows] == [n % 3 for n in rows]
    if given == 2:
        assert all(logits_of(network, row)[2] == pytest.approx(-4, abs=1e-4) for row in IDS)


def test_a_label_that_all_or_none_of_the_examples_hold_is_certain_and_what_is_unknown_counts_for_nothing(
    tiny_encoder, tiny_codebook
):
    network = made(tiny_encoder, tiny_codebook)
    # Of the four labels, the first is held by all, the second by none, the third by the first half, the fourth unknown.
    labels = torch.tensor([[1, 0, n < 3, -100] for n in range(6)], dtype=torch.long)
    fit_sentence_head(network, IDS, labels)
    for n, row in enumerate(IDS):
        first, second, third, fourth = logits_of(network, row)
        assert (first, second, fourth) == pytest.approx((4, -4, -4), abs=1e-4)
        assert (third > 0) == (n < 3) or abs(third) < 1


def test_weights_make_a_rare_label_likelier_and_change_nothing_for_half(tiny_encoder, tiny_codebook):
    labels = torch.tensor([[n == 0, n < 3, 0, 1] for n in range(6)], dtype=torch.long)

    def means(power):
        network = made(tiny_encoder, tiny_codebook)
        fit_sentence_head(network, IDS, labels, positive_weight_power=power)
        return np.mean([logits_of(network, row) for row in IDS], axis=0)

    plain, weighted = means(0.0), means(1.0)
    assert weighted[0] > plain[0] + 1  # one of six: log 5 with full weights
    assert weighted[1] == pytest.approx(plain[1], abs=1e-3)  # three of six weigh the same
