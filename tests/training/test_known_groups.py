"""Known groups: rates by outlet, what is expected of them, and a page that says what holds."""

import dataclasses
import json
import re
from datetime import date
from html.parser import HTMLParser

import numpy as np
import pytest
import yaml

from model.errors import ConfigError
from training.group_rates import (
    CONTRARY,
    HOLDS,
    OPEN,
    Counts,
    Measure,
    check_order,
    count_outlet,
    join_outlets,
    rate_rows,
)
from training.known_archive import KnownGroups, LabelledArticle, label_archive, load_known_groups, read_archive
from training.known_groups import KNOWN_GROUPS, copied_sentences, measure_articles, seen_in_training
from training.known_groups_page import render_page
from training.sources import TRAIN, Source

MEAT = Measure("meat", "meat")
MEAT_OF_LOADED = Measure("meat against plant", "meat", ("meat", "plant"))
SETTINGS = {
    "source": "recipes",
    "outlet_field": "outlet",
    "date_field": "day",
    "date_format": "%d.%m.%Y",
    "fewest_articles": 1,
    "groups": {"butchers": "sell meat", "gardeners": "sell plants"},
    "outlets": {
        "steak": {"name": "The <Steak>", "group": "butchers", "known": "a butcher's"},
        "leaf": {"name": "Leaf", "group": "gardeners", "known": "a gardener's"},
        "pan": {"name": "Pan", "known": "anybody's"},
    },
    "contrasts": [{"name": "meat against plant", "label": "meat", "among": ["meat", "plant"]}],
    "expectations": [{"of": "meat", "order": ["butchers", "gardeners"], "because": "they sell it"}],
}
SOURCE = Source(name="recipes", role=TRAIN, licence="MIT", annotators="the tests", corpus="recipes", texts="all.jsonl")


def record(*labels):
    """A labelled sentence with mentions of these labels."""
    diet = [label for label in ("meat", "plant") if label in labels]
    return {"status": "ok", "foods": [{"label": label} for label in labels], "diet": diet}


def article(name, outlet, *records, words=(), held_out=False):
    return LabelledArticle(name, outlet, None, held_out, list(records), list(words), 0)


def settings_file(tmp_path, **changes):
    path = tmp_path / "known.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changes), encoding="utf-8")
    return path


@pytest.fixture
def settings(tmp_path, tiny_codebook) -> KnownGroups:
    return load_known_groups(settings_file(tmp_path), tiny_codebook)


# ---- Rates ----


def test_a_label_is_counted_by_sentence_and_a_contrast_by_mention(tiny_codebook):
    records = [record("meat", "meat", "staple"), record("plant"), record("staple"), record()]
    axis = tiny_codebook.mention_axis
    assert MEAT.count(records, axis) == (1, 4)
    assert MEAT_OF_LOADED.count(records, axis) == (2, 3)  # two meats and a plant; staples do not count


def test_a_rate_is_pooled_over_articles():
    counts = count_outlet(np.array([[1.0, 2.0], [0.0, 6.0]]), 100, 7)
    [row] = rate_rows(counts, [MEAT]).values()
    assert (row["count"], row["of"], row["rate"]) == (1, 8, 0.125)  # not the mean of 1/2 and 0


def test_the_interval_draws_articles_whole():
    # Of two articles of equal length, all and none: draws give 0, 1/2 and 1 a quarter, half and a quarter of the time.
    counts = count_outlet(np.array([[4.0, 4.0], [0.0, 4.0]]), 400, 7)
    assert rate_rows(counts, [MEAT])["meat"]["interval"] == [0.0, 1.0]
    assert set(counts.draws[:, 0] / counts.draws[:, 1]) == {0.0, 0.5, 1.0}


def test_one_article_has_no_interval():
    counts = count_outlet(np.array([[1.0, 2.0]]), 100, 7)
    assert rate_rows(counts, [MEAT])["meat"] == {"count": 1, "of": 2, "rate": 0.5, "interval": None}


def test_a_rate_of_nothing_is_none_and_so_is_an_interval_that_may_be_of_nothing():
    nothing = count_outlet(np.array([[0.0, 0.0], [0.0, 0.0]]), 100, 7)
    assert rate_rows(nothing, [MEAT])["meat"] == {"count": 0, "of": 0, "rate": None, "interval": None}
    sometimes = count_outlet(np.array([[1.0, 1.0], [0.0, 0.0]]), 100, 7)  # a quarter of the draws holds no sentence
    assert rate_rows(sometimes, [MEAT])["meat"] == {"count": 1, "of": 1, "rate": 1.0, "interval": None}


def test_a_group_pools_its_outlets_and_varies_only_within_them():
    # Articles of an outlet are alike, outlets are not: nothing varies when articles are drawn within outlets.
    outlets = [count_outlet(np.tile(row, (3, 1)), 100, n) for n, row in enumerate(([1.0, 1.0], [0.0, 3.0]))]
    joined = join_outlets(outlets)
    assert joined.articles == 6
    row = rate_rows(joined, [MEAT])["meat"]
    assert (row["count"], row["of"], row["rate"]) == (3, 12, 0.25)
    assert row["interval"] == [0.25, 0.25]


def test_outlets_of_one_article_each_say_nothing_of_how_articles_vary():
    single = count_outlet(np.array([[1.0, 2.0]]), 100, 7)
    assert join_outlets([single, single]).draws is None


# ---- Expectations ----


def spread(low, high):
    """A group whose draws run from one rate to another."""
    rates = np.linspace(low, high, 101)
    return Counts(2, np.array([(low + high) / 2, 1.0]), np.stack([rates, np.ones(101)], axis=1))


def constant(rate):
    """A group whose draws all have this rate."""
    return spread(rate, rate)


@pytest.mark.parametrize(
    ("higher", "lower", "verdict"),
    [
        (spread(0.4, 0.6), constant(0.1), HOLDS),
        (constant(0.1), spread(0.4, 0.6), CONTRARY),
        (spread(0.0, 0.6), constant(0.1), OPEN),
        (constant(0.1), constant(0.1), OPEN),
    ],
    ids=["above", "below", "across", "equal"],
)
def test_an_expectation_holds_only_if_the_interval_lies_above_zero(higher, lower, verdict):
    [found] = check_order({"a": higher, "b": lower}, ["a", "b"], 0)
    assert found["verdict"] == verdict


def test_the_difference_has_the_interval_of_its_draws():
    [found] = check_order({"a": spread(0.4, 0.6), "b": constant(0.1)}, ["a", "b"], 0)
    assert found["difference"] == pytest.approx(0.4)
    # Draws of 0.3 to 0.5 in a hundred steps of 0.002: the middle 95 % leave two and a half steps on each side.
    assert found["interval"] == pytest.approx([0.305, 0.495])


def test_every_pair_of_an_order_is_tested():
    groups = {"a": constant(0.9), "b": constant(0.5), "c": constant(0.1)}
    pairs = [(found["higher"], found["lower"]) for found in check_order(groups, ["a", "b", "c"], 0)]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]


def test_a_group_without_articles_leaves_the_question_open():
    assert check_order({"a": constant(0.5)}, ["a", "b"], 0) == [
        {"higher": "a", "lower": "b", "difference": None, "interval": None, "verdict": OPEN}
    ]


# ---- Settings ----


def test_every_label_of_the_derived_axis_is_measured_and_every_contrast(settings):
    assert [measure.name for measure in settings.measures] == ["meat", "plant", "meat against plant"]


def test_the_project_s_own_expectations_are_of_its_codebook(codebook):
    settings = load_known_groups(KNOWN_GROUPS, codebook)
    assert {entry["of"] for entry in settings.expectations} == {measure.name for measure in settings.measures}
    assert all(entry["known"] for entry in settings.outlets.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"contrasts": [{"name": "x", "label": "fish", "among": ["meat", "fish"]}]},
            "contrast 'x': expected names of ['meat', 'plant', 'staple'], but found ['fish', 'meat']",
        ),
        (
            {"expectations": [{"of": "fish", "order": ["butchers"], "because": "?"}]},
            "expectations[0].of: expected names of ['meat', 'meat against plant', 'plant'], but found ['fish']",
        ),
        (
            {"expectations": [{"of": "meat", "order": ["butchers", "cooks"], "because": "?"}]},
            "expectations[0].order: expected names of ['butchers', 'gardeners'], but found ['butchers', 'cooks']",
        ),
        (
            {"outlets": {"pan": {"name": "Pan", "group": "cooks", "known": "?"}}},
            "outlet 'pan': group: expected names of ['butchers', 'gardeners'], but found ['cooks']",
        ),
    ],
    ids=["label", "measure", "group in an order", "group of an outlet"],
)
def test_names_that_are_not_there_are_refused(tmp_path, tiny_codebook, changes, message):
    path = settings_file(tmp_path, **changes)
    with pytest.raises(ConfigError) as refusal:
        load_known_groups(path, tiny_codebook)
    assert str(refusal.value) == f"{path}: {message}. Correct the file."


# ---- The archive ----


def rows_of(*ids, outlet="steak"):
    return [{"id": name, "text": "First sear the beef hard.", "outlet": outlet, "day": "02.01.2016"} for name in ids]


def archive_file(tmp_path, rows):
    path = tmp_path / "all.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rows_that_repeat_an_article_are_counted_and_left_out(tmp_path, settings):
    rows, repeated = read_archive(archive_file(tmp_path, rows_of("1", "2", "1", "1")), SOURCE, settings)
    assert ([row["id"] for row in rows], repeated) == (["1", "2"], 2)


def test_an_outlet_that_nobody_knows_is_refused(tmp_path, settings):
    path = archive_file(tmp_path, rows_of("1", outlet="grill"))
    with pytest.raises(ConfigError) as refusal:
        read_archive(path, SOURCE, settings)
    assert str(refusal.value) == (
        f"{path}: outlets: expected names of ['leaf', 'pan', 'steak'], but found ['grill']. Correct the file."
    )


def test_an_archive_that_is_not_there_is_refused(tmp_path, settings):
    path = tmp_path / "none.jsonl"
    with pytest.raises(ConfigError) as refusal:
        read_archive(path, SOURCE, settings)
    assert str(refusal.value) == (
        f"{path}: expected the archive, but found no such file. Name its folder with --corpora."
    )


def test_articles_are_labelled_sentence_by_sentence(tiny_labeller, settings):
    row = rows_of("1")[0] | {"text": "First sear the beef hard. Serve with bread at once."}
    shares = {"dev_share": 0.0, "test_share": 1.0}
    [found] = label_archive([row], tiny_labeller, SOURCE, settings, shares)
    assert found.words == ["first sear the beef hard", "serve with bread at once"]
    assert [len(found.records), found.errors] == [2, 0]
    assert (found.id, found.outlet, found.day, found.held_out) == ("recipes/1", "steak", date(2016, 1, 2), True)


def test_what_training_saw_is_found_by_its_words():
    articles = [
        article("1", "steak", words=["a b", "c d"]),
        article("2", "leaf", words=["a b"], held_out=True),
        article("3", "leaf", words=["e f"]),
    ]
    assert seen_in_training(articles, {"a b", "x"}) == {"sentences": 2, "articles": 2, "sentences_of_held_out": 1}


def test_copies_are_long_sentences_of_more_than_one_outlet():
    long, short, own = "one two three four five six", "one two", "six five four three two one"
    articles = [
        article("1", "steak", words=[long, short, own]),
        article("2", "leaf", words=[long, short]),
        article("3", "steak", words=[own]),
    ]
    assert copied_sentences(articles) == 2


# ---- The whole ----


@pytest.fixture
def measured(settings, tiny_codebook):
    articles = [
        article("1", "steak", record("meat"), record("meat")),
        article("2", "steak", record("meat"), record()),
        article("3", "leaf", record("plant"), record("plant")),
        article("4", "leaf", record(), record("plant")),
    ]
    return measure_articles(articles, settings, tiny_codebook.mention_axis, 200, 7)


def test_outlets_groups_and_expectations_are_measured_together(measured):
    assert measured["outlets"]["steak"]["rates"]["meat"]["rate"] == 0.75  # 3 of 4 sentences
    assert measured["groups"]["gardeners"]["rates"]["plant"]["rate"] == 0.75
    assert "pan" not in measured["outlets"]  # no article
    assert measured["orderings"]["meat"] == ["steak", "leaf"]
    [expected] = measured["expectations"]
    [pair] = expected["pairs"]
    assert (pair["difference"], pair["verdict"]) == (0.75, HOLDS)  # draws of steak: 1/2, 3/4 or 1; of leaf: 0


def test_an_outlet_of_few_articles_has_no_place_in_an_ordering(settings, tiny_codebook):
    articles = [article("1", "steak", record("meat")), *(article(n, "leaf", record("plant")) for n in ("2", "3"))]
    strict = dataclasses.replace(settings, fewest_articles=2)
    found = measure_articles(articles, strict, tiny_codebook.mention_axis, 50, 7)
    assert found["orderings"]["meat"] == ["leaf"]
    assert "steak" in found["outlets"]


class Tags(HTMLParser):
    """Collects what a page refers to, and which elements it leaves open."""

    VOID = {"meta", "link", "br"}

    def __init__(self):
        super().__init__()
        self.references, self.open, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.references += [value for key, value in attrs if key in ("src", "href", "xlink:href")]
        self.ids += [value for key, value in attrs if key == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def page(measured, settings):
    return render_page(
        {
            "model": {"name": "kitchen", "version": "1", "sha256": "0" * 64},
            "archive": {
                "source": "recipes",
                "credit": None,
                "licence": "MIT",
                "sha256": "1" * 64,
                "articles": 4,
                "repeated_rows": 0,
                "sentences": 8,
                "errors": 0,
                "copied_sentences": 3,
            },
            "training": {
                "sentences": 5,
                "articles": 2,
                "sentences_of_held_out": 1,
                "annotated": 6,
                "annotated_by_manifest": 6,
                "same_annotations": True,
            },
            "measures": [{"name": m.name, "label": m.label, "among": list(m.among)} for m in settings.measures],
            "groups": settings.groups,
            "known": {outlet: entry["known"] for outlet, entry in settings.outlets.items()},
            "fewest_articles": 1,
            "parts": {"all": measured, "unseen": measured},
            "options": {"level": 0.95, "resamples": 200, "seed": 7},
        }
    )


def test_the_page_opens_without_a_network(page):
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert [reference for reference in tags.references if not reference.startswith("#")] == []
    assert len(tags.ids) == len(set(tags.ids))
    assert page.count("<svg") == page.count("<title id=") == 2


def test_the_page_says_what_holds_and_what_it_cannot_tell(page):
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "meat: butchers over gardeners holds +0.750" in text
    assert "annotations of 5 of the 8 sentences, in 2 of the 4 articles, are training data" in text
    assert "3 sentences stand to the word in more than one outlet" in text
    assert "was trained on others or fewer" not in text


def test_names_on_the_page_are_escaped(page):
    assert "The &lt;Steak&gt;" in page
    assert "<Steak>" not in page
