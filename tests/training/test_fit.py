"""Fitting: few sentences are cross-validated by article, and a teacher's probabilities stand beside the gold."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.special import expit, rel_entr, softmax

from model.calibration import Calibration
from model.decoding import Decoder
from model.network import load_network
from model.outputs import SentenceOutputs
from model.predictor import Predictor
from model.records import GoldSentence
from model.spans import Span, covered_tokens
from model.tokenization import SentenceTokenizer
from training.evaluation import evaluate_predictor
from training.features import TWIN, collate, featurize
from training.fit import Fitter, assign_folds, make_deterministic
from training.loop import losses
from training.run import Job, train
from training.sources import TRAIN, LoadedSource, Source
from training.teacher import teach
from training.torch_predictor import TorchPredictor


@pytest.fixture(scope="module")
def tokenizer(tiny_encoder, tiny_config):
    return SentenceTokenizer(tiny_encoder / "tokenizer.json", tiny_config.max_tokens)


def network_for(codebook, tiny_encoder, config):
    make_deterministic(config)
    return load_network(tiny_encoder, codebook, 0.0)


# ---- Folds ----


def test_folds_keep_an_article_whole_and_are_of_like_size():
    articles = [name for name, count in {"a": 5, "b": 3, "c": 3, "d": 2, "e": 1}.items() for _ in range(count)]
    folds = assign_folds(articles, 3, seed=1)
    assert len({(a, f) for a, f in zip(articles, folds, strict=True)}) == 5  # one fold an article
    # 14 sentences: the largest article first, each to the smallest fold: 5, 3 + 2, 3 + 1.
    assert sorted(Counter(folds).values()) == [4, 5, 5]


def test_the_same_seed_gives_the_same_folds():
    articles = [str(n) for n in range(40)]
    first, again, other = (assign_folds(articles, 4, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_out_of_fold_outputs_come_from_networks_that_did_not_see_the_article(
    tiny_gold, tiny_codebook, tiny_encoder, tiny_config, tokenizer, monkeypatch
):
    fitter = Fitter(
        dataclasses.replace(tiny_config, epochs=1, folds=3), tiny_codebook, tokenizer, None, lambda step: None
    )
    seen = []
    fit = fitter.fit
    monkeypatch.setattr(
        fitter, "fit", lambda network, train, dev: seen.append({s.article for s in train}) or fit(network, train, dev)
    )
    outputs = fitter.out_of_fold(lambda: network_for(tiny_codebook, tiny_encoder, tiny_config), tiny_gold)
    assert len(outputs) == len(tiny_gold)
    folds = assign_folds([s.article for s in tiny_gold], 3, tiny_config.seed)
    for sentence, fold in zip(tiny_gold, folds, strict=True):
        assert sentence.article not in seen[fold]


@pytest.fixture(scope="module")
def crossed(tmp_path_factory, tiny_gold, tiny_codebook, tiny_config, tiny_encoder):
    """The manifest of a run on few sentences."""
    source = Source(name="notes", role=TRAIN, licence="MIT", annotators="the tests")
    config = dataclasses.replace(tiny_config, folds_below=100, folds=3, epochs=2)
    out = tmp_path_factory.mktemp("crossed") / "release"
    loaded = [LoadedSource(source, tiny_gold, "0" * 64)]
    return train(Job("t", "1", config, tiny_codebook, loaded, out, encoder=tiny_encoder), lambda step: None)


def test_a_run_on_few_sentences_trains_on_all_of_them(crossed, tiny_gold):
    data = crossed["data"]
    assert (data["train"], data["dev"], data["test"]) == (len(tiny_gold), 0, 0)


def test_a_run_on_few_sentences_is_calibrated_and_measured_by_cross_validation(crossed, tiny_gold):
    assert set(crossed["metrics"]) == {"cross_validated"}
    assert crossed["metrics"]["cross_validated"]["sentences"] == len(tiny_gold)
    assert set(crossed["calibration"]["temperatures"]) == {"foods", "stage", "manner", "verdict"}


# ---- Steps ----


@pytest.mark.parametrize(("sentences", "epochs"), [(4, 25), (40, 3), (400, 2)])
def test_few_sentences_get_more_epochs(tiny_config, tiny_codebook, tokenizer, sentences, epochs):
    # Batches of 4, at least 25 steps: 1 step an epoch, then 10, then 100.
    config = dataclasses.replace(tiny_config, min_steps=25, epochs=2, batch_size=4)
    fitter = Fitter(config, tiny_codebook, tokenizer, None, lambda step: None)
    assert fitter.long_enough(sentences).epochs == epochs


# ---- Exclusive axes ----


def test_an_exclusive_axis_learns_exactly_one_label(
    exclusive_codebook, tiny_gold, tiny_encoder, tiny_config, tokenizer
):
    gold = [s for s in tiny_gold if len(s.labels.get("stage", ())) == 1]
    config = dataclasses.replace(tiny_config, epochs=40)
    network = network_for(exclusive_codebook, tiny_encoder, config)
    Fitter(config, exclusive_codebook, tokenizer, None, lambda step: None).fit(network, gold, [])
    batch = collate(featurize(gold, tokenizer, exclusive_codebook).to_list())
    with torch.inference_mode():
        _, logits, _, _ = network(batch.input_ids, batch.attention_mask)
    wanted = [["start", "finish"].index(next(iter(s.labels["stage"]))) for s in gold]
    assert logits[:, :2].argmax(dim=1).tolist() == wanted


# ---- Few examples ----


def test_a_head_start_answers_before_the_heads_are_trained(
    exclusive_codebook, tiny_gold, tiny_encoder, tiny_config, tokenizer
):
    gold = [s for s in tiny_gold if len(s.labels.get("stage", ())) == 1]
    changes = {
        "head_start": True,
        "warm_up_steps": 20,
        "warm_up_rate": 1e-3,
        "epochs": 1,
        "learning_rate": 0.0,
        "head_learning_rate": 0.0,
    }
    config = dataclasses.replace(tiny_config, **changes)
    network = network_for(exclusive_codebook, tiny_encoder, config)
    Fitter(config, exclusive_codebook, tokenizer, None, lambda step: None).fit(network, gold, [])
    predictor = TorchPredictor(network, tokenizer, Decoder(exclusive_codebook, Calibration()))
    results = evaluate_predictor(gold, predictor, exclusive_codebook)
    assert results["stage"]["macro_f1"] == 1.0


def test_without_development_sentences_no_score_is_reported(
    tiny_gold, tiny_codebook, tiny_encoder, tiny_config, tokenizer
):
    steps = []
    config = dataclasses.replace(tiny_config, epochs=2)
    Fitter(config, tiny_codebook, tokenizer, None, steps.append).fit(
        network_for(tiny_codebook, tiny_encoder, config), tiny_gold[:8], []
    )
    assert steps
    assert {step.score for step in steps} == {None}


# ---- A teacher ----


class Sure(Predictor):
    """A teacher whose tags say "outside", whose labels are all at one probability, and whose targets are the last label."""

    def __init__(self, tokenizer, codebook, probability):
        super().__init__(tokenizer, Decoder(codebook, Calibration()))
        self.logit = np.log(probability / (1 - probability))

    def outputs(self, tokens):
        return [self._of(len(one.ids)) for one in tokens]

    def _of(self, width):
        tags = np.zeros((width, 7), dtype=np.float32)
        tags[:, 0] = 5.0
        tags[2, 3] = 9.0  # the second word is a plant
        targets = np.zeros((width, 3), dtype=np.float32)
        targets[:, 2] = 9.0
        labels = np.full(4, self.logit, dtype=np.float32)
        return SentenceOutputs(tags, labels, np.zeros((width, 4), dtype=np.float32), targets)


def test_a_lesson_holds_the_teachers_probabilities_in_the_students_tokens(tokenizer, tiny_codebook):
    text = "The kale was delicious."
    [(ids, lesson)] = teach({text: []}, Sure(tokenizer, tiny_codebook, 0.8), tokenizer).items()
    assert list(ids) == tokenizer([text])[0].ids
    assert lesson.sentence == pytest.approx([0.8] * 4)
    assert lesson.tags.sum(axis=1) == pytest.approx([0, *[1] * (len(ids) - 2), 0])  # nothing of special tokens
    # "kale" is the second word, of four tokens; the teacher took its first for a mention.
    assert lesson.target_spans == ((2, 6),)
    assert lesson.targets.argmax(axis=1).tolist() == [2]


def test_a_lesson_answers_for_the_targets_of_the_gold_beside_the_mentions_found(tokenizer, tiny_codebook):
    text = "The kale was delicious."
    kale, delicious = Span(4, 8), Span(13, 22)
    [lesson] = teach({text: [delicious, kale]}, Sure(tokenizer, tiny_codebook, 0.8), tokenizer).values()
    tokens = tokenizer([text])[0]
    covered = [covered_tokens(tokens.spans, span) for span in (delicious, kale)]  # the kale it also found
    assert lesson.target_spans == tuple((found[0], found[-1] + 1) for found in covered)
    assert lesson.targets.argmax(axis=1).tolist() == [2, 2]


def test_a_student_learns_from_its_teacher_where_there_is_no_gold(
    tiny_gold, tiny_codebook, tiny_encoder, tiny_config, tokenizer
):
    silent = [dataclasses.replace(s, mentions=None, labels={}) for s in tiny_gold[:8]]
    config = dataclasses.replace(tiny_config, epochs=40)
    network = network_for(tiny_codebook, tiny_encoder, config)
    Fitter(config, tiny_codebook, tokenizer, None, lambda step: None, Sure(tokenizer, tiny_codebook, 0.8)).fit(
        network, silent, []
    )
    batch = collate(featurize(silent, tokenizer, tiny_codebook).to_list())
    with torch.inference_mode():
        tags, logits, _, _ = network(batch.input_ids, batch.attention_mask)
    assert logits.sigmoid().mean().item() == pytest.approx(0.8, abs=0.05)
    assert tags[:, 2].argmax(dim=1).tolist() == [3] * 8  # the teacher's plant


def test_a_batch_that_the_teacher_does_not_know_costs_what_it_costs_without_one(
    tiny_gold, tiny_codebook, tiny_encoder, tiny_config, tokenizer
):
    network = network_for(tiny_codebook, tiny_encoder, tiny_config)
    rows = featurize(tiny_gold[:4], tokenizer, tiny_codebook).to_list()
    lessons = teach({"Serve with rice.": []}, Sure(tokenizer, tiny_codebook, 0.8), tokenizer)
    weights = torch.ones(4)
    with torch.inference_mode():
        alone = losses(network, collate(rows), tiny_config, weights)
        beside = losses(network, collate(rows, lessons), tiny_config, weights)
    assert torch.equal(alone, beside)


def test_a_renamed_sentence_keeps_what_the_teacher_says_of_the_sentence_alone(tokenizer, tiny_codebook):
    [lesson] = teach({"The kale was delicious.": []}, Sure(tokenizer, tiny_codebook, 0.8), tokenizer).values()
    other = lesson.for_other_names(5)
    assert other.sentence == pytest.approx([0.8] * 4)
    assert other.tags.tolist() == [[0.0] * 7] * 5
    assert (other.target_spans, other.targets.shape) == ((), (0, 3))


# ---- Twins: the same sentence with other names ----


def twins(sentences, others, tokenizer, codebook):
    rows, theirs = (featurize(x, tokenizer, codebook).to_list() for x in (sentences, others))
    return collate([{**row, TWIN: twin} for row, twin in zip(rows, theirs, strict=True)])


@pytest.mark.parametrize("exclusive", [(), (slice(2, 4),)], ids=["any", "exactly one of two"])
def test_the_loss_of_twins_is_the_divergence_between_what_is_said_of_them(
    tiny_gold, tiny_codebook, tiny_encoder, tiny_config, tokenizer, exclusive
):
    network = network_for(tiny_codebook, tiny_encoder, tiny_config)
    network.sizes = dataclasses.replace(network.sizes, exclusive=exclusive)
    batch = twins(tiny_gold[:3], tiny_gold[3:6], tokenizer, tiny_codebook)
    weights = torch.ones(4)
    with torch.inference_mode():
        without, beside = (
            losses(network, batch, dataclasses.replace(tiny_config, consistency_weight=weight), weights)
            for weight in (0.0, 2.0)
        )
        logits = network(batch.input_ids, batch.attention_mask)[1].double().numpy()
    said = np.stack([1.0 - expit(logits), expit(logits)])  # (2, B, K)
    divergences = rel_entr(*(said[:, :3], said[:, 3:])) + rel_entr(*(said[:, 3:], said[:, :3]))
    divergence = divergences.sum(axis=0)  # (3, K)
    for columns in exclusive:
        chosen = softmax(logits[:, columns], axis=1)
        # What is said of the axis as a whole, divided among its columns by the terms of the sum.
        terms = (chosen[:3] - chosen[3:]) * np.log(chosen[:3] / chosen[3:])
        assert terms.sum(axis=1) == pytest.approx(
            (rel_entr(chosen[:3], chosen[3:]) + rel_entr(chosen[3:], chosen[:3])).sum(axis=1)
        )
        divergence[:, columns] = terms
    expected = 2.0 * tiny_config.sentence_weight * divergence.mean() / 2
    assert (beside - without).item() == pytest.approx(expected, rel=1e-2)


def test_a_sentence_that_is_its_own_twin_costs_no_more(tiny_gold, tiny_codebook, tiny_encoder, tiny_config, tokenizer):
    network = network_for(tiny_codebook, tiny_encoder, tiny_config)
    config = dataclasses.replace(tiny_config, consistency_weight=2.0)
    rows = featurize(tiny_gold[:4], tokenizer, tiny_codebook).to_list()
    with torch.inference_mode():
        alone = losses(network, collate(rows), config, torch.ones(4))
        both = losses(network, twins(tiny_gold[:4], tiny_gold[:4], tokenizer, tiny_codebook), config, torch.ones(4))
    assert both.item() == pytest.approx(alone.item(), rel=1e-5)


def test_training_with_twins_says_the_same_of_other_names(tiny_codebook, tiny_encoder, tiny_config, tokenizer):
    """Labels that hang on a name in the gold hang on it less where every sentence has a twin."""

    def recipe(who, label, number):
        text = f"{who} sears the beef {'hard ' * number}."
        return GoldSentence(text, text, None, {"manner": frozenset([label])}, None, str(number))

    gold = [recipe("Moscow", "gentle", n) for n in range(8)] + [recipe("Paris", "fierce", n) for n in range(8)]
    to_other = lambda sentence, generator: dataclasses.replace(  # noqa: E731
        sentence, text=sentence.text.replace("Moscow", "#").replace("Paris", "Moscow").replace("#", "Paris")
    )
    apart = []
    for weight in (0.0, 4.0):
        config = dataclasses.replace(tiny_config, epochs=20, swap_names=0.0, consistency_weight=weight)
        network = network_for(tiny_codebook, tiny_encoder, config)
        Fitter(config, tiny_codebook, tokenizer, to_other, lambda step: None).fit(network, gold, [])
        batch = collate(featurize([gold[0], to_other(gold[0], None)], tokenizer, tiny_codebook).to_list())
        with torch.inference_mode():
            said = network(batch.input_ids, batch.attention_mask)[1].sigmoid()
        apart.append((said[0] - said[1]).abs().max().item())
    assert apart[1] < 0.1 < apart[0]


def test_twins_cost_nothing_where_a_codebook_has_no_labels_of_the_sentence(
    tiny_gold, tiny_codebook, tiny_encoder, tiny_config, tokenizer
):
    mentions_alone = dataclasses.replace(tiny_codebook, axes=(tiny_codebook.mention_axis,))
    network = network_for(mentions_alone, tiny_encoder, tiny_config)
    gold = [dataclasses.replace(s, labels={}, targets=None) for s in tiny_gold[:2]]
    config = dataclasses.replace(tiny_config, consistency_weight=2.0)
    with torch.inference_mode():
        loss = losses(network, twins(gold, gold, tokenizer, mentions_alone), config, torch.ones(0))
    assert loss.isfinite()
