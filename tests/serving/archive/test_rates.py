"""Rates and their intervals: computed by hand where that can be done, and bounded in memory."""

import numpy as np
import pytest

from model.codebook import Codebook
from serving.archive import rates
from serving.archive.rates import Groups, Measure, Rate, count_columns, measures

HALF = Measure("stage", "start", False, 1, (0,))


def groups(*documents: tuple[int, int]) -> Groups:
    """Documents of one group: sentences, and those of them with the label."""
    made = Groups(2)
    for document in documents:
        made.add(["a"], np.array([document], dtype=float))
    return made


def test_a_rate_pools_the_sentences_of_a_group() -> None:
    [rate] = groups((2, 1), (6, 1)).rates("a", [HALF], [7])
    assert (rate.part, rate.whole, rate.value) == (2, 8, 0.25)


def test_the_interval_draws_whole_documents() -> None:
    # Of two documents come three kinds of draw: twice the first 1/2, twice the second 1/6, both 2/8. Each of the outer
    # ones has a quarter of the draws: the middle 95 % reach from the one to the other.
    [rate] = groups((2, 1), (6, 1)).rates("a", [HALF], [7])
    assert rate.interval == pytest.approx((1 / 6, 1 / 2))


def test_one_document_has_no_interval_and_no_sentence_no_rate() -> None:
    assert groups((2, 1)).rates("a", [HALF], [7]) == [Rate(1, 2, 0.5, None)]
    assert groups((0, 0), (0, 0)).rates("a", [HALF], [7]) == [Rate(0, 0, None, None)]
    assert Groups(2).rates("nowhere", [HALF], [7]) == [Rate(0, 0, None, None)]


def test_too_few_documents_with_something_to_count_have_no_interval() -> None:
    assert groups((4, 1), (0, 0)).rates("a", [HALF], [7])[0].interval is None


def test_the_interval_has_the_width_of_the_normal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "CELLS", 200)
    generator = np.random.default_rng(3)
    sentences = generator.integers(5, 20, 3000)
    counts = np.stack([sentences, generator.binomial(sentences, generator.beta(2, 6, 3000))], axis=1).astype(float)
    made = Groups(2)
    for block in np.array_split(counts, 30):
        made.add(["a"] * len(block), block)
    [rate] = made.rates("a", [HALF], [7])
    # The linearised variance of a ratio: of the residuals, over documents.
    residuals = counts[:, 1] - rate.value * counts[:, 0]
    deviation = residuals.std() / counts[:, 0].mean() / 3000**0.5
    low, high = rate.interval
    assert rate.value == counts[:, 1].sum() / counts[:, 0].sum()
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.15)


def test_memory_does_not_grow_with_the_documents() -> None:
    made = Groups(2)
    for _ in range(10):
        made.add(["a"] * 1000, np.ones((1000, 2)))
    assert made.documents("a") == 10_000
    assert made.sums("a").tolist() == [10_000, 10_000]
    assert made._groups["a"].cells.shape == (rates.CELLS, 2)


def test_equal_seeds_give_equal_intervals() -> None:
    documents = [(n % 7 + 1, n % 2) for n in range(50)]
    assert groups(*documents).rates("a", [HALF], [7, 1]) == groups(*documents).rates("a", [HALF], [7, 1])
    assert groups(*documents).rates("a", [HALF], [7, 1]) != groups(*documents).rates("a", [HALF], [7, 2])


def test_every_label_has_a_rate_and_mentions_are_a_share_of_mentions(tiny_codebook: Codebook) -> None:
    found = {(m.axis, m.label): m for m in measures(tiny_codebook)}
    assert list(found) == [
        ("diet", "meat"), ("diet", "plant"), ("stage", "start"), ("stage", "finish"), ("manner", "gentle"),
        ("manner", "fierce"), ("foods", "meat"), ("foods", "plant"), ("foods", "staple"), ("verdict", "tasty"),
        ("verdict", "undecided"), ("verdict", "too salty"),
    ]  # fmt: skip
    columns = count_columns(tiny_codebook)
    plant = found["foods", "plant"]
    assert columns[plant.part] == "count.foods.plant"
    assert [columns[n] for n in plant.whole] == ["count.foods.meat", "count.foods.plant", "count.foods.staple"]
    assert [columns[n] for n in found["stage", "start"].whole] == ["labelled"]
