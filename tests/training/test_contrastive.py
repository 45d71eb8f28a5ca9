"""Contrastive warm-up: sentences with the same labels move together, others apart, and the heads stay as they are."""

import numpy as np
import pytest
import torch

from model.network import load_network
from training.contrastive import alike, contrastive_warm_up, pair_loss, pooled

IDS = [[2, 10, 3], [2, 20, 3], [2, 30, 3], [2, 40, 3]]
LABELS = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1]])


@pytest.fixture
def network(tiny_encoder, tiny_codebook):
    torch.manual_seed(1)
    return load_network(tiny_encoder, tiny_codebook).eval()


def test_sentences_are_as_alike_as_the_labels_they_share():
    # {a} and {a, b} share one of two labels; {a} and {c} none; a sentence without labels is like no other.
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]])
    wanted = [[1, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert alike(labels).tolist() == wanted


def test_what_is_not_annotated_is_no_label():
    assert alike(torch.tensor([[1, -100], [1, -100]])).tolist() == [[1, 1], [1, 1]]


def test_both_kinds_of_pairs_weigh_the_same():
    states = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    # Pairs (1,2): cosine 0, wanted 1, error 1. (1,3): cosine 1, wanted 0, error 1. (2,3): cosine 0, wanted 0, error 0.
    wanted = torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert pair_loss(states, wanted).item() == pytest.approx((1 + (1 + 0) / 2) / 2)


def test_a_pooled_sentence_has_length_one_and_does_not_depend_on_its_neighbours(network):
    with torch.inference_mode():
        alone, beside = pooled(network.encoder, [[2, 10, 3]]), pooled(network.encoder, [[2, 10, 3], [2, 5, 6, 7, 8, 3]])
    assert torch.linalg.norm(alone[0]).item() == pytest.approx(1, abs=1e-6)
    assert torch.allclose(alone[0], beside[0], atol=1e-6)


def test_the_same_labels_move_together_and_others_apart(network):
    def cosines():
        with torch.inference_mode():
            states = pooled(network.encoder, IDS)
        return (states @ states.T).numpy()

    before = cosines()
    heads = network.sentence_head.score.weight.detach().clone()
    contrastive_warm_up(network, IDS, LABELS, steps=40, learning_rate=3e-3, batch_size=4)
    after = cosines()
    assert min(after[0, 1], after[2, 3]) > 0.9
    assert np.abs(after[:2, 2:]).max() < 0.3 < np.abs(before[:2, 2:]).max()
    assert torch.equal(network.sentence_head.score.weight, heads)
    assert not network.training


def test_without_pairs_nothing_is_done(network):
    before = pooled(network.encoder, IDS).detach()
    contrastive_warm_up(network, IDS, torch.tensor([[1], [0], [0], [-100]]), steps=3, learning_rate=1.0)
    contrastive_warm_up(network, IDS, LABELS, steps=0, learning_rate=1.0)
    assert torch.equal(pooled(network.encoder, IDS), before)


def test_the_same_seed_gives_the_same_encoder(tiny_encoder, tiny_codebook):
    def trained(seed):
        torch.manual_seed(1)
        network = load_network(tiny_encoder, tiny_codebook)
        contrastive_warm_up(network, IDS, LABELS, steps=3, learning_rate=1e-3, batch_size=2, seed=seed)
        return pooled(network.encoder, IDS).detach()

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))
