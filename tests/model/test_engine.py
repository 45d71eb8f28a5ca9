"""The engine: the same answer alone, in any batch, in any order, from any thread."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import predictor as predictor_module
from model.artifact import Artifact
from model.engine import Engine
from model.outputs import SentenceOutputs
from model.predictor import batches_by_length
from model.records import GoldSentence, Sentence
from model.weights import MANIFEST

# What sums in another order may differ by: far below the four digits that scores are shown with.
CLOSE = 1e-5


@pytest.fixture(scope="module")
def engine(tiny_artifact: Artifact) -> Engine:
    return Engine(tiny_artifact, threads=1)


@pytest.fixture(scope="module")
def texts(tiny_gold: list[GoldSentence]) -> list[str]:
    """Sentences of 4 to 60 tokens: the longest are truncated."""
    return [sentence.text * (1 + n % 5) for n, sentence in enumerate(tiny_gold)]


def run(engine: Engine, texts: Sequence[str]) -> list[SentenceOutputs]:
    return engine.outputs(engine.tokenizer(texts))


def assert_close(left: Sequence[SentenceOutputs], right: Sequence[SentenceOutputs]) -> None:
    for one, other in zip(left, right, strict=True):
        for array, wanted in zip(one, other, strict=True):
            np.testing.assert_allclose(array, wanted, atol=CLOSE)


def test_the_engine_repeats_the_torch_model(tiny_release: Path) -> None:
    parity = json.loads((tiny_release / MANIFEST).read_text())["parity"]
    assert parity["sentences"] == 6
    assert parity["max_probability_difference"] < CLOSE


def test_outputs_have_a_row_for_each_token_and_a_column_for_each_label(engine: Engine) -> None:
    # "Serve at once." has 4 tokens and 2 special ones; 3 mention labels have 7 tags; 2 + 2 labels; 3 target labels
    [out] = run(engine, ["Serve at once."])
    assert [array.shape for array in out] == [(6, 7), (4,), (6, 4), (6, 3)]


def test_scores_do_not_depend_on_batch_order(engine: Engine, texts: list[str]) -> None:
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = run(engine, [texts[n] for n in order])
    assert_close(shuffled, [run(engine, texts)[n] for n in order])


def test_scores_do_not_depend_on_what_else_is_in_the_batch(engine: Engine, texts: list[str]) -> None:
    assert_close(run(engine, texts), [out for text in texts for out in run(engine, [text])])


@pytest.mark.parametrize("budget", [1, 50, 100_000])
def test_scores_do_not_depend_on_the_size_of_the_batches(
    engine: Engine, texts: list[str], budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = run(engine, texts)
    monkeypatch.setattr(predictor_module, "TOKEN_BUDGET", budget)
    assert_close(run(engine, texts), wanted)


def test_scores_do_not_depend_on_the_number_of_threads(
    engine: Engine, tiny_artifact: Artifact, texts: list[str]
) -> None:
    assert_close(run(Engine(tiny_artifact, threads=2), texts), run(engine, texts))


def test_one_engine_may_be_called_from_several_threads(engine: Engine, texts: list[str]) -> None:
    wanted = run(engine, texts)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: run(engine, texts), range(8)):
            assert_close(found, wanted)


def test_the_parts_of_a_sentence_logit_and_its_bias_sum_to_it(engine: Engine, texts: list[str]) -> None:
    # What the tokens do not explain is the head's bias, which is the same for every sentence.
    biases = [out.sentence_logits - out.sentence_parts.sum(axis=0) for out in run(engine, texts)]
    np.testing.assert_allclose(biases, np.broadcast_to(biases[0], (len(texts), 4)), atol=CLOSE)


def test_special_tokens_and_function_words_are_no_evidence(engine: Engine) -> None:
    # [CLS] Serve the beef with bread . [SEP]: of these, "the" and "with" are among the function words
    [out] = run(engine, ["Serve the beef with bread."])
    assert out.sentence_parts[[0, 2, 4, 7]].tolist() == [[0.0] * 4] * 4
    assert out.sentence_parts[[1, 3, 5]].all()


def test_no_sentences_have_no_predictions(engine: Engine) -> None:
    assert engine([]) == []


def test_predictions_come_in_the_order_of_the_sentences(engine: Engine, texts: list[str]) -> None:
    together = engine([Sentence(str(n), text) for n, text in enumerate(texts)])
    lengths = [engine.tokenizer([text])[0].total for text in texts]
    assert [prediction.n_tokens for prediction in together] == lengths


def test_a_text_that_spells_special_tokens_is_labelled(engine: Engine) -> None:
    [prediction] = engine([Sentence("a", "[CLS] the beef [SEP] [PAD] [MASK] was delicious.")])
    assert not prediction.truncated


# ---- Batches ----


def test_batches_hold_sentences_of_like_length_within_the_budget() -> None:
    # Sorted by length 2, 3, 3, 5, 9, budget 9: 3 * 3 = 9 holds three; 5 alone, as 2 * 9 is too much; 9 alone
    assert batches_by_length([3, 9, 2, 5, 3], budget=9) == [[2, 0, 4], [3], [1]]


@given(lengths=st.lists(st.integers(1, 40), max_size=30), budget=st.integers(1, 100))
def test_every_sentence_is_in_one_batch_and_no_batch_exceeds_the_budget(lengths: list[int], budget: int) -> None:
    batches = batches_by_length(lengths, budget)
    assert sorted(n for batch in batches for n in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[n] for n in batch) <= budget
