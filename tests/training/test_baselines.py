"""The baselines that a model must beat."""

import pytest
import yaml

from model.records import GoldSentence, LabelledSpan, Sentence
from model.spans import Span
from training.baselines import KeywordBaseline, MajorityBaseline
from training.evaluation import evaluate_predictor
from training.project import KEYWORDS


def gold(stage: list[str], *verdicts: str) -> GoldSentence:
    targets = tuple(LabelledSpan(Span(0, 4), label) for label in verdicts)
    return GoldSentence("1", "Beef and kale.", None, {"stage": frozenset(stage)}, targets, "a")


TRAIN = [gold(["start"], "tasty"), gold(["start", "finish"], "tasty"), gold(["finish"], "undecided"), gold(["start"])]
BEEF = Sentence("1", "Beef and kale.", (("Beef", Span(0, 4)),))


@pytest.fixture
def majority(tiny_codebook):
    return MajorityBaseline(TRAIN, tiny_codebook)


@pytest.fixture
def keywords(tmp_path, majority):
    """Make the baseline of some keywords."""

    def make(**patterns: dict[str, list[str]]) -> KeywordBaseline:
        path = tmp_path / "keywords.yaml"
        path.write_text(yaml.safe_dump(patterns, sort_keys=False), encoding="utf-8")
        return KeywordBaseline(path, majority)

    return make


def mentions(baseline, text):
    [prediction] = baseline([Sentence("1", text)])
    return [(m.span.of(text), m.label) for m in prediction.mentions]


def held(baseline, text, axis="stage"):
    [prediction] = baseline([Sentence("1", text)])
    return [item.label for item in prediction.labels[axis]]


def test_the_majority_says_what_is_true_of_more_than_half(majority):
    [prediction] = majority([BEEF])
    # start: 3 of 4 sentences; finish: 2 of 4, no more than half. No sentence is annotated for manner.
    assert {axis: [x.label for x in items] for axis, items in prediction.labels.items()} == {
        "stage": ["start"],
        "manner": [],
    }
    assert prediction.mentions == ()


def test_the_majority_gives_every_target_the_most_frequent_label(majority):
    [prediction] = majority([BEEF])
    assert [(t.name, t.span, t.label) for t in prediction.targets] == [("Beef", Span(0, 4), "tasty")]


def test_keywords_find_labels_as_whole_words_without_regard_to_case(keywords):
    baseline = keywords(stage={"finish": ["serve[ds]?"], "start": ["first"]})
    assert held(baseline, "FIRST taste, then serve.") == ["start", "finish"]  # codebook order
    assert held(baseline, "Firstly, conserve it.") == []
    assert held(baseline, "Serve.", "manner") == []


def test_a_pattern_may_insist_on_case(keywords):
    baseline = keywords(foods={"staple": ["(?-i:Rice|BREAD)"]})
    assert mentions(baseline, "Rice, rice, BREAD and Bread") == [("Rice", "staple"), ("BREAD", "staple")]


def test_of_overlapping_mentions_the_longest_is_kept(keywords):
    baseline = keywords(foods={"plant": ["kale"], "meat": ["beef", "beef with kale"]})
    assert mentions(baseline, "Kale, then beef with kale.") == [("Kale", "plant"), ("beef with kale", "meat")]


def test_among_mentions_of_one_length_the_first_of_the_file_is_kept(keywords):
    assert mentions(keywords(foods={"plant": ["kale"], "meat": ["kale"]}), "kale") == [("kale", "plant")]


def test_the_axis_derived_from_mentions_follows_them(keywords):
    [prediction] = keywords(foods={"plant": ["kale"], "staple": ["bread"]})([Sentence("1", "Kale on bread.")])
    assert prediction.summary == ("plant",)


def test_keywords_give_targets_the_label_of_the_majority(keywords):
    [prediction] = keywords()([BEEF])
    assert [t.label for t in prediction.targets] == ["tasty"]


def test_the_shipped_keywords_name_labels_of_the_codebook_alone(codebook):
    labels = {axis.name: set(axis.label_names) for axis in codebook.axes if axis.kind != "target"}
    for axis, patterns in yaml.safe_load(KEYWORDS.read_text(encoding="utf-8")).items():
        assert set(patterns) <= labels[axis]


def test_the_shipped_keywords_label_a_plain_sentence_as_a_reader_would(codebook):
    baseline = KeywordBaseline(KEYWORDS, MajorityBaseline([], codebook))
    text = "Turkey's rapprochement talks with the Assad regime drew protests, officials said."
    [prediction] = baseline([Sentence("1", text)])
    assert ("Assad regime", "regime") in mentions(baseline, text)
    assert [x.label for x in prediction.labels["relations"]] == ["rapprochement", "dispute"]
    assert [x.label for x in prediction.labels["voice"]] == ["attributed"]


def test_the_sanctions_regime_is_no_actor(codebook):
    baseline = KeywordBaseline(KEYWORDS, MajorityBaseline([], codebook))
    assert mentions(baseline, "The EU tightened its sanctions regime.") == [("EU", "neutral")]


def test_both_baselines_can_be_evaluated(tiny_gold, tiny_codebook, keywords):
    words = keywords(
        foods={"meat": ["beef", "lamb", "ham"], "plant": ["kale", "leek"], "staple": ["bread", "rice"]},
        stage={"start": ["first"], "finish": ["serve"]},
        manner={"gentle": ["simmer"], "fierce": ["sear"]},
    )
    results = evaluate_predictor(tiny_gold, words, tiny_codebook)
    # The cookery sentences are made of these very words; only the judgements are not.
    assert results["foods"]["labelled_span_f1"] == results["stage"]["macro_f1"] == results["manner"]["macro_f1"] == 1.0
    majority_results = evaluate_predictor(tiny_gold, words.majority, tiny_codebook)
    assert majority_results["stage"]["macro_f1"] < 0.5
    assert majority_results["foods"]["span_f1"] == 0.0
