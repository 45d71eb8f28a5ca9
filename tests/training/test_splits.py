"""Splits by article: nothing that is trained on is measured on."""

from collections.abc import Iterable
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.records import GoldSentence, LabelledSpan
from model.spans import Span
from tests.behaviour.behaviour import load_cases
from training.project import CONFIG, ROOT, load_project_sources, project_split
from training.sources import TRAIN, TRANSFER, LoadedSource, Source
from training.splits import (
    DEV,
    TEST,
    Split,
    article_part,
    label_counts,
    normalise,
    shared_sentences,
    split_sources,
)

CORPORA = ROOT.parent / "shared/corpora"
PARTS = ("train", "dev", "test", "transfer")


def sentence(name: str, article: str, text: str | None = None, labels: bool = True) -> GoldSentence:
    span = LabelledSpan(Span(0, 1), "tasty")
    return GoldSentence(
        name, text or f"Sentence {name}.", () if labels else None, {"stage": frozenset()} if labels else {},
        (span,), article,
    )  # fmt: skip


def loaded(gold: Iterable[GoldSentence], role: str = TRAIN, fixed_part: str | None = None) -> LoadedSource:
    return LoadedSource(Source("notes", role, "MIT", "a reader", fixed_part=fixed_part), list(gold), "")


def ids(sentences: Iterable[GoldSentence]) -> list[str]:
    return [s.id for s in sentences]


def article_of(part: str) -> str:
    """The first of the articles a0, a1, … that falls to a part."""
    return next(f"a{n}" for n in range(1000) if article_part(f"a{n}", 0.15, 0.15) == part)


A_TRAIN, A_DEV, A_TEST = article_of(TRAIN), article_of(DEV), article_of(TEST)


@settings(deadline=None)
@given(st.lists(st.sampled_from([f"a{n}" for n in range(40)]), max_size=60))
def test_an_article_never_stands_on_two_sides(articles):
    split = split_sources([loaded(sentence(str(n), a) for n, a in enumerate(articles))], 0.2, 0.2)
    sides = [{s.article for s in getattr(split, part)} for part in PARTS]
    assert all(not left & right for left, right in combinations(sides, 2))
    assert sum(len(getattr(split, part)) for part in PARTS) == len(articles)


@settings(deadline=None)
@given(st.text(min_size=1), st.lists(st.text(min_size=1), max_size=5))
def test_the_part_of_an_article_never_moves(article, others):
    part = article_part(article, 0.15, 0.15)
    gold = [sentence(str(n), name) for n, name in enumerate([*others, article])]
    split = split_sources([loaded(gold)], 0.15, 0.15)
    assert article in {s.article for s in getattr(split, part)}


def test_the_parts_of_known_articles_are_pinned():
    # Were the rule to change, scores before and after it would be of other sentences. The first eight bytes of the
    # id's sha256, as a fraction of 2**64: 0.578 for article 0; 0.114 < 0.15 for 4; 0.15 ≤ 0.226 < 0.30 for 8.
    assert [article_part(f"fa-kes/{n}", 0.15, 0.15) for n in (0, 4, 8)] == [TRAIN, TEST, DEV]


def test_a_larger_development_share_takes_articles_from_training_alone():
    before = {f"a{n}": article_part(f"a{n}", 0.1, 0.2) for n in range(300)}
    after = {f"a{n}": article_part(f"a{n}", 0.3, 0.2) for n in range(300)}
    assert {(before[a], after[a]) for a in before} == {(TRAIN, TRAIN), (TRAIN, DEV), (DEV, DEV), (TEST, TEST)}


def test_shares_are_those_that_were_asked_for():
    parts = [article_part(f"a{n}", 0.1, 0.2) for n in range(5000)]
    assert parts.count(DEV) / 5000 == pytest.approx(0.1, abs=0.015)
    assert parts.count(TEST) / 5000 == pytest.approx(0.2, abs=0.015)


@pytest.mark.parametrize("held", [A_DEV, A_TEST])
def test_a_repeated_sentence_leaves_training(held):
    gold = [
        sentence("held", held, "The talks, he said, failed."),
        sentence("copy", A_TRAIN, "the talks he said failed"),
        sentence("own", A_TRAIN),
    ]
    split = split_sources([loaded(gold)], 0.15, 0.15)
    assert ids(split.train) == ["own"]
    assert split.dropped == 1


def test_a_sentence_that_development_shares_with_test_or_transfer_leaves_development():
    gold = [
        sentence("d1", A_DEV, "One."),
        sentence("d2", A_DEV, "Two."),
        sentence("d3", A_DEV),
        sentence("t", A_TEST, "One."),
    ]
    split = split_sources([loaded(gold), loaded([sentence("x", "b", "Two.")], TRANSFER)], 0.15, 0.15)
    assert (ids(split.dev), split.dropped) == (["d3"], 2)


def test_transfer_never_trains():
    gold = [sentence(str(n), f"a{n}") for n in range(50)]
    split = split_sources([loaded(gold, TRANSFER), loaded([sentence("copy", A_TRAIN, gold[0].text)])], 0.15, 0.15)
    assert ids(split.transfer) == ids(gold)
    assert (split.train, split.dev, split.test) == ([], [], [])


def test_a_fixed_part_wins_over_the_rule():
    fixed = loaded([sentence("1", A_TEST), sentence("2", A_DEV)], fixed_part=TRAIN)
    split = split_sources([fixed, loaded([sentence("3", A_TRAIN)])], 0.15, 0.15)
    assert (ids(split.train), split.dev, split.test) == (["1", "2", "3"], [], [])


def test_an_article_that_one_source_holds_out_trains_in_no_other():
    # As the development files of a corpus whose own split is not by article.
    development = loaded([sentence("1", "shared"), sentence("2", "own")], fixed_part=DEV)
    test = loaded([sentence("3", "own")], fixed_part=TEST)
    rest = loaded([sentence("4", "shared"), sentence("5", "shared", labels=False), sentence("6", "other")])
    split = split_sources([rest, development, test], 0.0, 0.0)
    assert (ids(split.train), ids(split.dev), ids(split.test)) == (["6"], ["1"], ["3"])


def test_no_share_is_held_out_where_a_source_brings_development_sentences():
    rest = loaded([sentence("1", A_DEV), sentence("2", A_TRAIN), sentence("3", A_TEST)])
    development = [sentence("4", "own")]
    with_own = split_sources([rest, loaded(development, fixed_part=DEV)], 0.15, 0.15)
    assert (ids(with_own.train), ids(with_own.dev), ids(with_own.test)) == (["1", "2"], ["4"], ["3"])
    # Its file may not be at hand.
    without = split_sources([rest, loaded([], fixed_part=DEV)], 0.15, 0.15)
    assert (ids(without.train), ids(without.dev), ids(without.test)) == (["2"], ["1"], ["3"])


def test_where_all_that_is_at_hand_has_a_fixed_part_it_is_divided_all_the_same():
    # So that a checkout without corpora can train: something must be there to choose on.
    fixed = loaded([sentence("1", A_TEST), sentence("2", A_DEV), sentence("3", A_TRAIN)], fixed_part=TRAIN)
    split = split_sources([fixed, loaded([]), loaded([sentence("4", "b")], TRANSFER)], 0.15, 0.15)
    assert (ids(split.train), ids(split.dev), ids(split.test)) == (["3"], ["2"], ["1"])


def test_sentences_with_targets_alone_train_unless_their_article_is_held_out():
    gold = [
        sentence("full", A_DEV),
        sentence("same article", A_DEV, labels=False),
        # The rule would hold these articles out: but targets alone measure nothing here.
        sentence("other", A_TEST, labels=False),
    ]
    split = split_sources([loaded(gold)], 0.15, 0.15)
    assert (ids(split.train), ids(split.dev), ids(split.test)) == (["other"], ["full"], [])


@pytest.mark.parametrize("copy", ["“Talks” FAILED, he said!", "talks   failed he\nsaid", "Talks failed — he said."])
def test_case_punctuation_and_white_space_hide_no_repetition(copy):
    assert normalise(copy) == normalise("Talks failed, he said.")


def test_shared_sentences_are_named_by_the_id_of_the_left_side():
    left = [sentence("1", "a", "One."), sentence("2", "a", "Two.")]
    assert shared_sentences(left, [sentence("3", "b", "TWO")]) == ["2"]


def test_labels_are_counted_by_axis_and_mentions_under_no_name():
    one = GoldSentence("1", "beef", (LabelledSpan(Span(0, 4), "meat"),), {"stage": frozenset(["start"])}, None, "a")
    assert label_counts([one, one]) == {"": {"meat": 2}, "stage": {"start": 2}}


def test_no_behavioural_case_is_in_any_source_of_training(codebook):
    cases = {normalise(text) for case in load_cases() for text in [case.get("text"), *case.get("texts", [])] if text}
    assert len(cases) > 200
    sources = load_project_sources(CORPORA if CORPORA.is_dir() else None, codebook)
    assert [s.id for item in sources for s in item.gold if normalise(s.text) in cases] == []


@pytest.fixture(scope="module")
def split(codebook) -> Split:
    if not CORPORA.is_dir():
        pytest.skip(f"no public corpora at {CORPORA}")
    return project_split(CORPORA, codebook)


@pytest.mark.parametrize(("left", "right"), list(combinations(PARTS, 2)))
def test_the_projects_parts_share_no_sentence_and_no_article(split, left, right):
    ours, theirs = getattr(split, left), getattr(split, right)
    assert shared_sentences(ours, theirs) == []
    assert {s.article for s in ours} & {s.article for s in theirs} == set()


def test_the_project_trains_without_corpora(codebook):
    bare = project_split(None, codebook)
    assert len(bare.train) > 500
    assert bare.dev


def test_the_project_measures_on_every_part(split):
    assert min(len(split.dev), len(split.test), len(split.transfer)) >= 200
    assert {s.extra["source"] for s in split.transfer} == {"ukraine-news-bias"}
    assert not any(s.extra["source"] in ("authored", "seeds") for s in [*split.dev, *split.test])


def test_the_projects_configuration_is_the_shipped_one():
    assert CONFIG == ROOT / "training/config.toml"
