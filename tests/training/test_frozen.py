"""Frozen layers: the same states as before, nothing learned below, and the encoder whole again afterwards."""

import dataclasses

import pytest
import torch

from model.errors import ConfigError
from model.network import load_network
from model.tokenization import SentenceTokenizer, pad
from training.fit import Fitter, make_deterministic
from training.frozen import frozen_layers

IDS = [[2, 10, 11, 12, 3], [2, 20, 3], [2, 30, 31, 3]]


@pytest.fixture
def network(tiny_encoder, tiny_codebook):
    torch.manual_seed(1)
    return load_network(tiny_encoder, tiny_codebook).eval()


def outputs(network, ids=IDS):
    input_ids, mask = map(torch.from_numpy, pad(ids))
    tags, sentence, parts, targets = network(input_ids, mask)
    words = mask.bool()
    return [tags[words], sentence, parts[words], targets[words]]


def test_the_states_are_those_of_the_whole_encoder(network):
    whole = outputs(network)
    with frozen_layers(network.encoder, 1):
        for found in (outputs(network), outputs(network)):  # run, and remembered
            for ours, theirs in zip(found, whole, strict=True):
                assert torch.allclose(ours, theirs, atol=1e-6)
        [remembered] = outputs(network, IDS[2:])[1]
        assert torch.allclose(remembered, whole[1][2], atol=1e-6)


def test_what_was_remembered_without_gradients_can_be_learned_from(network):
    with frozen_layers(network.encoder, 1):
        with torch.inference_mode():
            outputs(network)
        network.train()
        outputs(network)[1].sum().backward()
    learned = [n for n, p in network.named_parameters() if p.grad is not None and n.startswith("encoder.")]
    assert learned
    assert all(".layer.1." in name for name in learned)  # the second of two


def test_afterwards_the_encoder_is_whole_even_if_the_run_broke_off(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(RuntimeError, match="broken off"), frozen_layers(network.encoder, 1):
        raise RuntimeError("broken off")
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert network.encoder.config.num_hidden_layers == 2


def test_a_fit_changes_the_upper_layers_alone(tiny_gold, tiny_codebook, tiny_encoder, tiny_config):
    config = dataclasses.replace(tiny_config, epochs=1, frozen_layers=1)
    make_deterministic(config)
    network = load_network(tiny_encoder, tiny_codebook, 0.0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    tokenizer = SentenceTokenizer(tiny_encoder / "tokenizer.json", config.max_tokens)
    Fitter(config, tiny_codebook, tokenizer, None, lambda step: None).fit(network, tiny_gold, tiny_gold[:4])
    after = network.state_dict()
    assert list(after) == list(before)
    changed = {name for name in before if not torch.equal(after[name], before[name])}
    in_encoder = {name for name in changed if name.startswith("encoder.")}
    assert in_encoder
    assert all(".layer.1." in name for name in in_encoder)
    assert len(changed) > len(in_encoder)


def test_no_layer_left_to_train_is_refused(network):
    with pytest.raises(ConfigError) as error, frozen_layers(network.encoder, 2):
        pass
    assert str(error.value) == (
        "frozen_layers: expected fewer than the 2 layers of the encoder, but found 2. Lower the value."
    )
