"""The few-shot benchmark: what a draw holds, whose folds are whose, and that a log is taken up again."""

import argparse
import dataclasses
import json

import pytest

from model.encoder_files import WEIGHTS_FILE, sha256_of
from training.benchmarks.few_shot import BASE, SETFIT, SHIPPED, Task, Trainer, draw_examples, run, table
from training.fit import assign_folds


@pytest.fixture
def stage(tiny_codebook, tiny_gold):
    """The task of one sentence axis, on all tiny sentences, in folds."""
    [axis] = [axis for axis in tiny_codebook.axes if axis.name == "stage"]
    pool = [dataclasses.replace(s, mentions=None, targets=None, labels={"stage": s.labels["stage"]}) for s in tiny_gold]
    return Task("stage", dataclasses.replace(tiny_codebook, axes=(axis,)), pool, None, seen=True)


def test_a_draw_holds_enough_of_every_label_and_of_none(stage):
    drawn = draw_examples(stage.pool, stage.axis, 2, seed=0)
    held = [s.labels["stage"] for s in drawn]
    assert len({s.id for s in drawn}) == len(drawn)
    assert all(sum(label in row for row in held) >= 2 for label in ("start", "finish"))
    assert sum(not row for row in held) == 2


def test_draws_repeat_by_seed_and_differ_between_seeds(stage):
    ids = [[s.id for s in draw_examples(stage.pool, stage.axis, 2, seed)] for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]


def test_every_draw_is_scored_on_a_fold_of_its_own_whose_articles_it_has_not_seen(stage):
    scored = []
    for draw in range(5):
        pool, test = stage.divide(draw)
        assert not {s.article for s in pool} & {s.article for s in test}
        scored += [s.id for s in test]
    assert sorted(scored) == sorted(s.id for s in stage.pool)
    assert len(set(assign_folds([s.article for s in stage.pool], 5, 0))) == 5


# Torch remarks that the heads of axes that a codebook has not are empty.
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
def test_a_log_is_taken_up_again(stage, tmp_path, tiny_config, tiny_encoder, monkeypatch):
    config = dataclasses.replace(tiny_config, epochs=1, encoder_sha256=sha256_of(tiny_encoder / WEIGHTS_FILE))
    trainer = Trainer(config, tiny_encoder, setfit_pairs=8)
    options = argparse.Namespace(log=tmp_path / "log.jsonl", draws=1, sizes=[2], systems=[SETFIT, BASE])
    first = run([stage], trainer, options)
    assert [(line["system"], line["size"], line["draw"]) for line in first] == [(SETFIT, 2, 0), (BASE, 2, 0)]
    trained = []
    train = trainer.train
    monkeypatch.setattr(trainer, "train", lambda *given: trained.append(given[3]) or train(*given))
    options.draws = 2
    again = run([stage], trainer, options)
    assert trained == [1, 1]  # the second draw alone
    assert again[:2] == first
    assert [json.loads(line) for line in options.log.read_text().splitlines()] == again


def test_the_table_gives_mean_spread_and_seconds_and_marks_what_has_seen_the_labels(stage):
    def line(system, draw, score):
        return {"task": "stage", "system": system, "size": 8, "draw": draw, "macro_f1": score, "seconds": 10 + draw}

    # Mean of .7 and .8 is .75, their sample deviation .1 / sqrt(2) = .071; mean of 10 and 11 s is 10.5, to the even 10.
    results = [line(BASE, 0, 0.7), line(BASE, 1, 0.8), line(SHIPPED, 0, 0.9)]
    assert table(results, [stage]) == [
        "| task | system | n = 8 |",
        "|---|---|---|",
        "| stage | ours, base encoder | 0.750 ± 0.071, 10 s |",
        "| stage | ours, shipped encoder * | 0.900, 10 s |",
        "",
        "\\* This encoder was trained on these labels; the row of the base encoder is the fair one.",
    ]
