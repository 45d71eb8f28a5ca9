"""The engine: the same answer alone, in any batch, in any order, from any thread."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import engine as engine_module
from model.artifact import Artifact, find_artifact, load_artifact
from model.engine import Engine
from model.outputs import SentenceOutputs
from model.predictor import batches_by_length
from model.records import GoldSentence, Sentence
from model.spans import Span
from model.weights import MANIFEST, RELEASE
from tests.conftest import ROOT

SEEDS = ROOT / "data/seeds/gold.jsonl"
# What torch and engine may differ by, which add in another order: far below the four digits that scores are shown with.
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


def assert_equal(left: Sequence[SentenceOutputs], right: Sequence[SentenceOutputs]) -> None:
    """The same bits."""
    for one, other in zip(left, right, strict=True):
        for array, wanted in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, wanted)


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
    assert_equal(shuffled, [run(engine, texts)[n] for n in order])


def test_scores_do_not_depend_on_what_else_is_in_the_batch(engine: Engine, texts: list[str]) -> None:
    assert_equal(run(engine, texts), [out for text in texts for out in run(engine, [text])])


@pytest.mark.parametrize("budget", [1, 50, 100_000])
def test_scores_do_not_depend_on_the_size_of_the_batches(
    engine: Engine, texts: list[str], budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = run(engine, texts)
    monkeypatch.setattr(engine_module, "TOKEN_BUDGET", budget)
    assert_equal(run(engine, texts), wanted)


def test_scores_do_not_depend_on_the_number_of_threads(
    engine: Engine, tiny_artifact: Artifact, texts: list[str]
) -> None:
    assert_equal(run(Engine(tiny_artifact, threads=2), texts), run(engine, texts))


def test_one_engine_may_be_called_from_several_threads(engine: Engine, texts: list[str]) -> None:
    wanted = run(engine, texts)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: run(engine, texts), range(8)):
            assert_equal(found, wanted)


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


# ---- The shipped model ----


def test_the_shipped_model_gives_a_sentence_the_same_bits_alone_and_in_a_hundred_random_batches() -> None:
    if not RELEASE.is_dir():
        pytest.skip(f"no shipped weights at {RELEASE}")
    engine = Engine(load_artifact(find_artifact()), threads=2, cached=0)
    lines = SEEDS.read_text(encoding="utf-8").splitlines()
    tokens = engine.tokenizer([json.loads(line)["text"] for line in lines])
    alone = [engine.outputs([one])[0] for one in tokens]
    random = np.random.default_rng(11)
    for _ in range(100):
        order = random.choice(len(tokens), random.integers(1, 17))  # some of them twice
        assert_equal(engine.outputs([tokens[n] for n in order]), [alone[n] for n in order])


# ---- Repeated sentences ----


def test_a_repeated_sentence_is_labelled_once(tiny_artifact: Artifact) -> None:
    engine = Engine(tiny_artifact, threads=1)
    twice = [Sentence("a", "Serve at once."), Sentence("b", "Serve at once.")]
    first = engine(twice)
    assert first[0] is first[1]
    assert engine([Sentence("c", "Serve at once.")]) == first[:1]
    # Both of the first call were not in the cache when it began.
    assert engine.cache_info() == (1, 2, 1)


def test_other_targets_are_labelled_anew(tiny_artifact: Artifact) -> None:
    engine = Engine(tiny_artifact, threads=1)
    [plain] = engine([Sentence("a", "The beef was delicious.")])
    [asked] = engine([Sentence("a", "The beef was delicious.", (("beef", Span(4, 8)),))])
    assert (len(plain.targets), len(asked.targets)) == (0, 1)


def test_the_cache_forgets_what_was_used_longest_ago(tiny_artifact: Artifact) -> None:
    engine = Engine(tiny_artifact, threads=1, cached=2)
    for text in ("Serve.", "Stir.", "Serve.", "Wait.", "Serve.", "Stir."):  # "Wait." drives out "Stir."
        engine([Sentence("a", text)])
    assert engine.cache_info() == (2, 4, 2)


def test_without_a_cache_nothing_is_kept(tiny_artifact: Artifact) -> None:
    engine = Engine(tiny_artifact, threads=1, cached=0)
    engine([Sentence("a", "Serve.")])
    engine([Sentence("a", "Serve.")])
    assert engine.cache_info() == (0, 2, 0)


# ---- Batches ----


def test_sentences_of_one_length_share_a_batch_and_no_others() -> None:
    assert batches_by_length([3, 9, 2, 3, 3], budget=6, equal=True) == [[2], [0, 3], [4], [1]]


def test_batches_hold_sentences_of_like_length_within_the_budget() -> None:
    # Sorted by length 2, 3, 3, 5, 9, budget 9: 3 * 3 = 9 holds three; 5 alone, as 2 * 9 is too much; 9 alone
    assert batches_by_length([3, 9, 2, 5, 3], budget=9) == [[2, 0, 4], [3], [1]]


@given(lengths=st.lists(st.integers(1, 40), max_size=30), budget=st.integers(1, 100))
def test_every_sentence_is_in_one_batch_and_no_batch_exceeds_the_budget(lengths: list[int], budget: int) -> None:
    batches = batches_by_length(lengths, budget)
    assert sorted(n for batch in batches for n in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[n] for n in batch) <= budget
