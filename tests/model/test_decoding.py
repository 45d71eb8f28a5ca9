"""Decoding: from the outputs of one pass to decisions, with numbers that can be checked by hand.

Where logits are logarithms of probabilities, the softmax gives these probabilities back.
"""

import dataclasses

import numpy as np
import pytest

from model.calibration import Calibration
from model.codebook import KINDS, Codebook
from model.decoding import Decoder, Tokens
from model.evidence import EVIDENCE_WORDS
from model.outputs import SentenceOutputs
from model.predictions import ABSTAINED, OK, Evidence, Mention, Prediction, Scored, TargetLabel
from model.spans import Span

TEXT = "First sear the kale"
# [CLS] First sear the ka ##le [SEP]: "kale" is one word of two tokens
TOKENS = Tokens(
    ids=[2, 10, 11, 12, 13, 14, 3],
    spans=[Span(0, 0), Span(0, 5), Span(6, 10), Span(11, 14), Span(15, 17), Span(17, 19), Span(0, 0)],
    words=[None, 0, 1, 2, 3, 3, None],
    total=5,
)
LENGTH = len(TOKENS.ids)
KALE = slice(4, 6)

# Probabilities of the tags O, B-meat, I-meat, B-plant, I-plant, B-staple, I-staple.
OUTSIDE = [0.94, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]
PLANT = [0.05, 0.05, 0.05, 0.7, 0.1, 0.03, 0.02]
NOTHING = [0.01] * 4  # of start, finish, gentle, fierce


def log(values: object) -> np.ndarray:
    return np.log(np.array(values, dtype=np.float32))


def log_odds(probabilities: list[float]) -> np.ndarray:
    values = np.array(probabilities, dtype=np.float64)
    return np.log(values / (1 - values)).astype(np.float32)


def outputs(
    tags: list[list[float]] | None = None,
    labels: list[float] | None = None,
    parts: np.ndarray | None = None,
    targets: np.ndarray | None = None,
) -> SentenceOutputs:
    """Outputs of a sentence in which nothing is found, but for what is given."""
    return SentenceOutputs(
        tag_logits=log(tags or [OUTSIDE] * LENGTH),
        sentence_logits=log_odds(labels or NOTHING),
        sentence_parts=np.zeros((LENGTH, 4), dtype=np.float32) if parts is None else parts,
        target_logits=np.zeros((LENGTH, 3), dtype=np.float32) if targets is None else targets,
    )


def with_kale(first: list[float] = PLANT, second: list[float] = OUTSIDE) -> list[list[float]]:
    return [*[OUTSIDE] * 4, first, second, OUTSIDE]


def decode(
    codebook: Codebook,
    out: SentenceOutputs,
    calibration: Calibration | None = None,
    tokens: Tokens = TOKENS,
    targets: tuple[tuple[str, Span], ...] = (),
) -> Prediction:
    return Decoder(codebook, calibration or Calibration()).decode(out, tokens, targets)


# ---- Mentions ----


def test_nothing_found_is_an_answer(tiny_codebook: Codebook) -> None:
    said = decode(tiny_codebook, outputs())
    assert said.mentions == ()
    assert said.summary == ()
    assert said.labels == {"stage": (), "manner": ()}
    assert (said.status, said.abstained) == (OK, ())
    assert (said.n_tokens, said.truncated) == (5, False)


def test_the_first_token_of_a_word_decides_for_all_of_it(tiny_codebook: Codebook) -> None:
    [mention] = decode(tiny_codebook, outputs(with_kale(PLANT, OUTSIDE))).mentions
    assert (mention.span.of(TEXT), mention.label) == ("kale", "plant")
    assert mention.score == pytest.approx(0.7)


def test_a_mention_is_as_certain_as_its_least_certain_word(tiny_codebook: Codebook) -> None:
    inside = [0.1, 0.1, 0.05, 0.05, 0.6, 0.05, 0.05]
    tags = [OUTSIDE, OUTSIDE, OUTSIDE, PLANT, inside, OUTSIDE, OUTSIDE]
    [mention] = decode(tiny_codebook, outputs(tags)).mentions
    assert mention.span.of(TEXT) == "the kale"
    assert mention.score == pytest.approx(0.6)


def test_the_derived_axis_names_the_labels_that_mentions_have_but_never_the_plain_one(tiny_codebook: Codebook) -> None:
    staple = [0.05, 0.05, 0.05, 0.05, 0.05, 0.7, 0.05]
    tags = [OUTSIDE, staple, OUTSIDE, PLANT, PLANT, OUTSIDE, OUTSIDE]
    said = decode(tiny_codebook, outputs(tags))
    assert [m.label for m in said.mentions] == ["staple", "plant", "plant"]
    assert said.summary == ("plant",)


def test_the_score_of_a_derived_label_is_the_most_that_any_word_says_for_it(tiny_codebook: Codebook) -> None:
    # meat: B + I of "kale" .05 + .05 = .1, of the other words .02; plant: .7 + .1 = .8
    scores = decode(tiny_codebook, outputs(with_kale())).scores["diet"]
    assert scores == pytest.approx({"meat": 0.1, "plant": 0.8})


def test_a_temperature_is_what_logits_are_divided_by(tiny_codebook: Codebook) -> None:
    # Square roots of PLANT, .837 of .7, sum to .224 * 3 + .837 + .316 + .173 + .141 = 2.138: .837 / 2.138 = .391
    calibration = Calibration(temperatures={"foods": 2.0})
    [mention] = decode(tiny_codebook, outputs(with_kale()), calibration).mentions
    assert mention.score == pytest.approx(0.391, abs=5e-4)


# ---- Labels of the sentence ----


def test_a_label_holds_from_its_threshold_on(tiny_codebook: Codebook) -> None:
    calibration = Calibration(thresholds={"stage": {"start": 0.3}})
    said = decode(tiny_codebook, outputs(labels=[0.3, 0.4, 0.5, 0.45]), calibration)
    assert [scored.label for scored in said.labels["stage"]] == ["start"]
    assert [scored.label for scored in said.labels["manner"]] == ["gentle"]
    assert said.scores["stage"] == pytest.approx({"start": 0.3, "finish": 0.4})
    assert said.scores["manner"] == pytest.approx({"gentle": 0.5, "fierce": 0.45})


def test_any_number_of_labels_may_hold(tiny_codebook: Codebook) -> None:
    said = decode(tiny_codebook, outputs(labels=[0.9, 0.8, 0.9, 0.8]))
    assert {axis: len(scored) for axis, scored in said.labels.items()} == {"stage": 2, "manner": 2}


@pytest.mark.parametrize(("probability", "holds"), [(0.49996, True), (0.49994, False)])
def test_a_score_as_shown_never_contradicts_its_decision(
    tiny_codebook: Codebook, probability: float, holds: bool
) -> None:
    # With four digits .49996 is shown as .5, which reaches the threshold of .5, and .49994 as .4999.
    record = decode(tiny_codebook, outputs(labels=[probability, 0.01, 0.01, 0.01])).to_record(TEXT)
    assert bool(record["stage"]) is holds
    assert record["scores"]["stage"]["start"] == (0.5 if holds else 0.4999)


# ---- Evidence ----


def evidence(codebook: Codebook, *weights: float) -> tuple[Evidence, ...]:
    """Evidence of the label `start`, given its part at each of the seven tokens."""
    parts = np.zeros((LENGTH, 4), dtype=np.float32)
    parts[:, 0] = weights
    [scored] = decode(codebook, outputs(labels=[0.9, 0.01, 0.01, 0.01], parts=parts)).labels["stage"]
    return scored.evidence


def test_evidence_names_the_fewest_words_that_make_up_seven_tenths(tiny_codebook: Codebook) -> None:
    # Words weigh 5, 2, 1.5, 1.5 of 10: "First" alone has 5, with "sear" 7; as neighbours they are one.
    [found] = evidence(tiny_codebook, 0, 5, 2, 1.5, 1.5, 0, 0)
    assert (found.span.of(TEXT), found.weight) == ("First sear", pytest.approx(0.7))
    # With 1.875 of 10, a little less than 7 in all, the third is needed.
    [found] = evidence(tiny_codebook, 0, 5, 1.875, 1.625, 1.5, 0, 0)
    assert (found.span.of(TEXT), found.weight) == ("First sear the", pytest.approx(0.85))


def test_evidence_that_stands_apart_stays_apart_in_order_of_the_text(tiny_codebook: Codebook) -> None:
    # "kale" weighs 2 + 2 of 8, "First" 3: together 7 of 8
    first, last = evidence(tiny_codebook, 0, 3, 0.5, 0.5, 2, 2, 0)
    assert (first.span.of(TEXT), last.span.of(TEXT)) == ("First", "kale")
    assert (first.weight, last.weight) == (pytest.approx(3 / 8), pytest.approx(4 / 8))


def test_what_speaks_against_a_label_and_special_tokens_are_no_evidence(tiny_codebook: Codebook) -> None:
    [found] = evidence(tiny_codebook, 50, -9, 2, -9, 0, 0, 50)
    assert (found.span.of(TEXT), found.weight) == ("sear", 1.0)


def test_a_label_that_only_its_bias_speaks_for_has_no_evidence(tiny_codebook: Codebook) -> None:
    assert evidence(tiny_codebook, 0, -1, 0, 0, 0, 0, 0) == ()


def test_evidence_names_no_more_than_a_few_words(tiny_codebook: Codebook) -> None:
    # Seven tenths of twenty equal words would be fourteen. Among equals the first come first, in one run.
    words = 20
    spans = [Span(2 * n, 2 * n + 1) for n in range(words)]
    tokens = Tokens(list(range(words)), spans, list(range(words)), words)
    out = SentenceOutputs(
        log([OUTSIDE] * words),
        log_odds([0.9, 0.01, 0.01, 0.01]),
        np.ones((words, 4), dtype=np.float32),
        np.zeros((words, 3), dtype=np.float32),
    )
    [scored] = decode(tiny_codebook, out, tokens=tokens).labels["stage"]
    [found] = scored.evidence
    assert found.span == Span(0, 2 * EVIDENCE_WORDS - 1)
    assert found.weight == pytest.approx(EVIDENCE_WORDS / words)


# ---- Targets ----

# A token each: tasty, undecided, too salty
TARGETS = np.zeros((LENGTH, 3), dtype=np.float32)
TARGETS[1] = log([0.2, 0.5, 0.3])
TARGETS[KALE] = log([[0.9, 0.09, 0.01], [0.4, 0.24, 0.36]])


def test_a_target_averages_the_logits_of_its_tokens(tiny_codebook: Codebook) -> None:
    # Geometric means of the two tokens: sqrt(.9 * .4) = .6, sqrt(.09 * .24) = .147, sqrt(.01 * .36) = .06; sum .807
    said = decode(tiny_codebook, outputs(targets=TARGETS), targets=(("kale", Span(15, 19)),))
    [target] = said.targets
    assert (target.name, target.span, target.label) == ("kale", Span(15, 19), "tasty")
    assert target.score == pytest.approx(0.6 / 0.807, abs=5e-4)


def test_a_part_of_a_word_is_a_target_of_its_own(tiny_codebook: Codebook) -> None:
    [target] = decode(tiny_codebook, outputs(targets=TARGETS), targets=(("le", Span(17, 19)),)).targets
    assert (target.label, target.score) == ("tasty", pytest.approx(0.4))


def test_targets_come_in_the_order_asked(tiny_codebook: Codebook) -> None:
    asked = (("kale", Span(15, 19)), ("First", Span(0, 5)), ("kale", Span(15, 19)))
    said = decode(tiny_codebook, outputs(targets=TARGETS), targets=asked)
    assert tuple((target.name, target.span) for target in said.targets) == asked
    assert [target.label for target in said.targets] == ["tasty", "undecided", "tasty"]


def test_every_mention_has_a_label_on_the_target_axis(tiny_codebook: Codebook) -> None:
    [mention] = decode(tiny_codebook, outputs(with_kale(), targets=TARGETS)).mentions
    assert mention.target is not None
    assert (mention.target.label, mention.target.score) == ("tasty", pytest.approx(0.6 / 0.807, abs=5e-4))


def test_the_score_of_a_target_label_is_the_most_over_mentions_and_targets(tiny_codebook: Codebook) -> None:
    said = decode(tiny_codebook, outputs(with_kale(), targets=TARGETS), targets=(("First", Span(0, 5)),))
    assert said.scores["verdict"] == pytest.approx({"tasty": 0.6 / 0.807, "undecided": 0.5, "too salty": 0.3}, abs=5e-4)


def test_without_mention_or_target_there_are_no_target_scores(tiny_codebook: Codebook) -> None:
    assert "verdict" not in decode(tiny_codebook, outputs(targets=TARGETS)).scores


def test_a_target_behind_the_point_of_truncation_gets_the_plain_label(tiny_codebook: Codebook) -> None:
    tokens = dataclasses.replace(TOKENS, total=40)
    said = decode(tiny_codebook, outputs(targets=TARGETS), tokens=tokens, targets=(("leek", Span(90, 94)),))
    assert said.truncated
    assert said.targets == (TargetLabel("leek", Span(90, 94), "undecided", 1.0),)


# ---- Not sure ----

CAREFUL = Calibration(abstain_below={"foods": 0.8, "stage": 0.8, "manner": 0.8, "verdict": 0.8})


@pytest.mark.parametrize(
    ("labels", "abstained"),
    [
        ([0.85, 0.15, 0.15, 0.15], ()),  # the least certain decision has .85
        ([0.85, 0.25, 0.15, 0.15], ("stage",)),  # 1 - .25 = .75
        ([0.75, 0.15, 0.15, 0.3], ("stage", "manner")),
    ],
)
def test_an_axis_is_as_sure_as_its_least_certain_decision(
    tiny_codebook: Codebook, labels: list[float], abstained: tuple[str, ...]
) -> None:
    assert decode(tiny_codebook, outputs(labels=labels), CAREFUL).abstained == abstained


def test_a_word_that_might_be_a_mention_makes_the_mention_axis_unsure(tiny_codebook: Codebook) -> None:
    doubtful = [0.6, 0.3, 0.02, 0.02, 0.02, 0.02, 0.02]
    said = decode(tiny_codebook, outputs(with_kale(doubtful)), CAREFUL)
    assert (said.mentions, said.abstained, said.status) == ((), ("foods",), OK)


def test_a_sentence_is_abstained_on_when_no_axis_is_sure(tiny_codebook: Codebook) -> None:
    unsure = outputs(with_kale(), labels=[0.6, 0.4, 0.6, 0.4], targets=TARGETS)
    said = decode(tiny_codebook, unsure, CAREFUL)
    assert said.abstained == ("foods", "stage", "manner", "verdict")
    assert said.status == ABSTAINED
    assert said.mentions  # and still says what it would have said


# ---- Other codebooks, other texts ----


@pytest.mark.parametrize("kept", [(kind,) for kind in KINDS] + [("mention", "target"), ()])
def test_an_axis_that_a_codebook_has_not_is_in_no_record(tiny_codebook: Codebook, kept: tuple[str, ...]) -> None:
    axes = tuple(axis for axis in tiny_codebook.axes if axis.kind in kept)
    codebook = dataclasses.replace(tiny_codebook, axes=axes)
    full = outputs(with_kale(), labels=[0.9] * 4, targets=TARGETS)
    out = SentenceOutputs(
        full.tag_logits if "mention" in kept else full.tag_logits[:, :0],
        full.sentence_logits if "sentence" in kept else full.sentence_logits[:0],
        full.sentence_parts if "sentence" in kept else full.sentence_parts[:, :0],
        full.target_logits if "target" in kept else full.target_logits[:, :0],
    )
    record = decode(codebook, out, targets=(("First", Span(0, 5)),) if "target" in kept else ()).to_record(TEXT)
    given = {"foods", "diet"} if "mention" in kept else set()
    given |= {"stage", "manner"} if "sentence" in kept else set()
    given |= {"targets"} if "target" in kept else set()
    assert set(record) == given | {"status", "n_tokens", "truncated", "scores", "abstained"}
    if kept == ("mention",):
        assert set(record["foods"][0]) == {"text", "start", "end", "label", "score"}


def test_a_sentence_without_words_is_decoded(tiny_codebook: Codebook) -> None:
    tokens = Tokens([2, 3], [Span(0, 0), Span(0, 0)], [None, None], 0)
    out = SentenceOutputs(*(array[:2] if array.ndim == 2 else array for array in outputs()))
    said = decode(tiny_codebook, out, CAREFUL, tokens=tokens, targets=(("\u200b", Span(0, 1)),))
    assert (said.mentions, said.summary, said.n_tokens) == ((), (), 0)
    assert said.targets == (TargetLabel("\u200b", Span(0, 1), "undecided", 1.0),)


# ---- Batches ----


def drawn_sentence(generator: np.random.Generator) -> tuple[SentenceOutputs, Tokens, tuple[tuple[str, Span], ...]]:
    """A sentence of up to 40 tokens, a third of which continue a word, with any outputs and up to three targets."""
    count = int(generator.integers(0, 39))
    inner = np.cumsum(generator.random(count) < 2 / 3).tolist()
    spans = [Span(0, 0), *(Span(3 * n, 3 * n + 3) for n in range(count)), Span(0, 0)]
    tokens = Tokens(list(range(count + 2)), spans, [None, *inner, None], count + int(generator.integers(0, 2)))
    out = SentenceOutputs(
        *(generator.normal(0, 3, shape).astype(np.float32) for shape in ((count + 2, 7), 4, (count + 2, 4))),
        target_logits=generator.normal(0, 3, (count + 2, 3)).astype(np.float32),
    )
    starts = generator.integers(0, 130, int(generator.integers(0, 4))).tolist()
    return out, tokens, tuple((f"from {start}", Span(start, start + 11)) for start in starts)


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_prediction_is_the_same_to_the_last_bit_alone_and_in_any_batch(
    tiny_codebook: Codebook, exclusive_codebook: Codebook, exclusive: bool
) -> None:
    generator = np.random.default_rng(5)
    decoder = Decoder(exclusive_codebook if exclusive else tiny_codebook, CAREFUL)
    sentences = [drawn_sentence(generator) for _ in range(150)]
    alone = [decoder.decode(*sentence) for sentence in sentences]
    # Scores are Python floats, and two of them are equal only if their bits are.
    assert decoder.decode_batch(*zip(*sentences, strict=True)) == alone
    for size in (1, 2, 3, 17, 64):
        order = generator.permutation(len(sentences))[:size].tolist()
        batch = [sentences[n] for n in order]
        assert decoder.decode_batch(*zip(*batch, strict=True)) == [alone[n] for n in order]


def test_no_sentences_have_no_predictions(tiny_codebook: Codebook) -> None:
    assert Decoder(tiny_codebook, Calibration()).decode_batch([], [], []) == []


# ---- Records ----


def test_a_prediction_becomes_a_record_under_the_codebooks_names(tiny_codebook: Codebook) -> None:
    said = Prediction(
        mentions=(Mention(Span(15, 19), "plant", 0.98764, Scored("tasty", 0.5)),),
        labels={"stage": (Scored("start", 0.87654, (Evidence(Span(0, 5), 0.66666),)),), "manner": ()},
        summary=("plant",),
        targets=(TargetLabel("First", Span(0, 5), "undecided", 1.0),),
        scores={"stage": {"start": 0.87654, "finish": 0.00004}},
        abstained=("verdict",),
        n_tokens=5,
        truncated=False,
        names=Decoder(tiny_codebook, Calibration()).names,
    )
    assert said.to_record(TEXT) == {
        "status": "ok",
        "n_tokens": 5,
        "truncated": False,
        "diet": ["plant"],
        "foods": [
            {
                "text": "kale",
                "start": 15,
                "end": 19,
                "label": "plant",
                "score": 0.9876,
                "verdict": {"label": "tasty", "score": 0.5},
            }
        ],
        "stage": [
            {
                "label": "start",
                "score": 0.8765,
                "evidence": [{"text": "First", "start": 0, "end": 5, "weight": 0.667}],
            }
        ],
        "manner": [],
        "targets": [{"target": "First", "start": 0, "end": 5, "label": "undecided", "score": 1.0}],
        "scores": {"stage": {"start": 0.8765, "finish": 0.0}},
        "abstained": ["verdict"],
    }


def test_every_place_in_a_record_counts_from_the_start_of_the_document(tiny_codebook: Codebook) -> None:
    parts = np.zeros((LENGTH, 4), dtype=np.float32)
    parts[1] = 1.0  # "First" is all the evidence there is
    out = outputs(with_kale(), labels=[0.9, 0.01, 0.01, 0.01], parts=parts, targets=TARGETS)
    said = decode(tiny_codebook, out, targets=(("sear", Span(6, 10)),))
    record = said.to_record(TEXT, offset=100)
    places = [*record["foods"], *record["stage"][0]["evidence"], *record["targets"]]
    assert [(place["start"], place["end"]) for place in places] == [(115, 119), (100, 105), (106, 110)]
    assert [place["text"] for place in places[:2]] == ["kale", "First"]
    assert record["scores"] == said.to_record(TEXT)["scores"]


# ---- Exclusive axes ----


def test_an_exclusive_axis_holds_its_most_probable_label_and_its_scores_sum_to_one(exclusive_codebook):
    # Logits of start and finish: ln 0.3 and ln 0.7, whose softmax is 0.3 and 0.7. `manner` keeps its own sigmoid.
    out = outputs()._replace(sentence_logits=np.concatenate([log([0.3, 0.7]), log_odds([0.2, 0.1])]))
    said = decode(exclusive_codebook, out)
    assert [(s.label, s.score) for s in said.labels["stage"]] == [("finish", pytest.approx(0.7))]
    assert said.scores["stage"] == {"start": pytest.approx(0.3), "finish": pytest.approx(0.7)}
    assert said.labels["manner"] == ()
    assert said.scores["manner"] == {"gentle": pytest.approx(0.2), "fierce": pytest.approx(0.1)}


def test_an_exclusive_axis_is_not_sure_when_its_best_label_is_improbable(exclusive_codebook):
    out = outputs()._replace(sentence_logits=np.concatenate([log([0.45, 0.55]), log_odds([0.01, 0.01])]))
    for least, abstained in ((0.5, ()), (0.6, ("stage",))):
        assert decode(exclusive_codebook, out, Calibration(abstain_below={"stage": least})).abstained == abstained


def test_the_temperature_of_an_exclusive_axis_softens_its_scores(exclusive_codebook):
    # Logits 0 and 2 ln 3, divided by 2: the odds are 1 to 3.
    out = outputs()._replace(sentence_logits=np.array([0.0, 2 * np.log(3.0), -9.0, -9.0], dtype=np.float32))
    said = decode(exclusive_codebook, out, Calibration(temperatures={"stage": 2.0}))
    assert said.scores["stage"] == {"start": pytest.approx(0.25), "finish": pytest.approx(0.75)}
