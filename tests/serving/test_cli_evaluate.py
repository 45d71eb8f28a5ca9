"""`newsframe evaluate`: metrics, gates, and gold that is refused."""

import json
import re
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT, TINY_GOLD
from tests.serving.command_line import (
    SEAR,
    run,
    shipped,
    write_records,
)


@pytest.fixture
def gold(tmp_path):
    """Write a file of gold records."""
    return partial(write_records, tmp_path / "gold.jsonl")


def test_evaluate_gives_the_metrics_of_every_axis(tiny_options):
    result = run("evaluate", TINY_GOLD, "--json", *tiny_options)
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert list(found) == [
        "model", "sentences", "articles", "foods", "diet", "stage", "manner", "verdict", "gold", "calibration",
        "confusion", "mistakes", "options",
    ]  # fmt: skip
    assert (found["sentences"], found["articles"]) == (24, 8)
    assert set(found["model"]) == {"name", "version", "sha256", "codebook"}
    assert set(found["foods"]) == {
        "span_f1", "labelled_span_f1", "overlap_f1", "predicted", "support", "annotated", "abstained",
        "span_f1_interval", "labelled_span_f1_interval", "overlap_f1_interval",
    }  # fmt: skip
    for axis, labels in {"diet": 2, "stage": 2, "manner": 2, "verdict": 3}.items():
        assert {"macro_f1", "macro_f1_interval", "labels", "annotated", "abstained"} <= set(found[axis])
        low, high = found[axis]["macro_f1_interval"]
        assert 0 <= low <= high <= 1
        assert len(found[axis]["labels"]) == labels
        for row in found[axis]["labels"].values():
            assert set(row) == {"precision", "recall", "f1", "f1_interval", "support", "predicted"}
        mean = sum(row["f1"] for row in found[axis]["labels"].values()) / labels
        assert found[axis]["macro_f1"] == pytest.approx(mean)


def test_evaluate_prints_a_table_with_counts(tiny_options):
    result = run("evaluate", TINY_GOLD, *tiny_options)
    found = json.loads(run("evaluate", TINY_GOLD, "--json", *tiny_options).stdout)
    printed = [line.split() for line in result.stdout.splitlines()]
    assert printed[0] == ["24", "sentences", "of", "8", "articles"]
    row = found["stage"]["labels"]["start"]
    assert [
        "stage",
        "start",
        *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")),
        str(row["support"]),
    ] in printed
    low, high = found["verdict"]["macro_f1_interval"]
    value = f"{found['verdict']['macro_f1']:.3f}"
    assert any(line[:6] == ["verdict", "macro-F1", value, f"{low:.3f}", "to", f"{high:.3f}"] for line in printed)
    assert any(line[:4] == ["foods", "span", "F1,", "exact"] for line in printed)


def test_an_unknown_label_in_gold_is_refused_with_its_line(gold, tiny_options):
    path = gold({"id": "1", "text": SEAR, "stage": ["start"]}, {"id": "2", "text": SEAR, "stage": ["middle"]})
    result = run("evaluate", path, *tiny_options)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == (
        f"{path}:2: axis 'stage' expected one of ['finish', 'start'], but found 'middle'. "
        "Correct the row, or add the label to the codebook.\n"
    )


def test_every_bad_line_of_gold_is_named_up_to_ten(gold, tiny_options):
    rows = [{"id": str(n), "text": SEAR, "stage": ["middle"]} for n in range(1, 13)]
    result = run("evaluate", gold(*rows), *tiny_options)
    lines = result.stderr.splitlines()
    assert [re.search(r":(\d+): axis", line).group(1) for line in lines[:-1]] == [str(n) for n in range(1, 11)]
    assert lines[-1] == "… and 2 more of 12 problems"
    assert result.exit_code == 1


def test_gold_that_annotates_no_axis_is_refused(gold, tiny_options):
    path = gold({"id": "1", "text": SEAR})
    result = run("evaluate", path, *tiny_options)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == (
        f"{path}: expected an axis that is annotated and predicted, one of ['diet', 'foods', 'manner', 'stage', "
        "'verdict'], but found none. Name the fields of the records so.\n"
    )


def test_an_axis_that_gold_does_not_annotate_is_left_out(gold, tiny_options):
    found = json.loads(run("evaluate", gold({"text": SEAR, "stage": ["start"]}), "--json", *tiny_options).stdout)
    assert set(found["calibration"]) == set(found["confusion"]) == {"stage"}
    assert "foods" not in found
    assert found["stage"]["macro_f1_interval"] is None  # a single article


def test_a_missing_file_of_gold_is_refused(tmp_path, tiny_options):
    path = tmp_path / "none.jsonl"
    result = run("evaluate", path, *tiny_options)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert (
        result.stderr
        == f"{path}: expected a file of gold records, but found: No such file or directory. Check the path.\n"
    )


@pytest.fixture
def perfect(gold, tiny_labeller) -> Path:
    """Gold that the tiny model repeats, since it wrote it: one sentence with a food."""
    [said] = tiny_labeller.label_records([SEAR])
    foods = [{"text": food["text"], "label": food["label"]} for food in said["foods"]]
    assert foods
    return gold({"id": "1", "text": SEAR, "foods": foods})


def test_a_gate_that_is_met_passes(perfect, tiny_options):
    result = run("evaluate", perfect, *tiny_options, "--fail-under", "foods.span_f1=1", "--fail-under", "sentences=1")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_gate_that_is_not_met_exits_with_3_and_still_prints_the_metrics(perfect, tiny_options):
    gates = ("--fail-under", "foods.span_f1=1", "--fail-under", "foods.support=99")
    result = run("evaluate", perfect, "--json", *tiny_options, *gates)
    found = json.loads(result.stdout)
    assert result.stderr == f"foods.support: expected at least 99.0, but found {found['foods']['support']}.0000.\n"
    assert result.exit_code == 3


def test_a_gate_may_hold_a_figure_down(perfect, tiny_options):
    met = run("evaluate", perfect, *tiny_options, "--fail-above", "calibration.foods.ece=1")
    assert (met.exit_code, met.stderr) == (0, "")
    result = run("evaluate", perfect, *tiny_options, "--fail-above", "foods.span_f1=0.5")
    assert (result.exit_code, result.stderr) == (3, "foods.span_f1: expected at most 0.5, but found 1.0000.\n")


def test_a_gate_on_an_unknown_metric_is_wrong_usage_and_lists_what_there_is(perfect, tiny_options):
    result = run("evaluate", perfect, *tiny_options, "--fail-under", "foods.accuracy=0.5")
    assert result.exit_code == 2
    assert " ".join(result.stderr.split()).endswith(
        "Error: --fail-under: expected a metric, but found no 'accuracy' in 'foods.accuracy'; there are ['abstained', "
        "'annotated', 'labelled_span_f1', 'labelled_span_f1_interval', 'overlap_f1', 'overlap_f1_interval', 'predicted', "
        "'span_f1', 'span_f1_interval', 'support']"
    )


def test_a_gate_that_is_no_number_is_wrong_usage(tiny_options):
    result = run("evaluate", TINY_GOLD, *tiny_options, "--fail-under", "foods.span_f1=high")
    assert result.exit_code == 2
    assert "--fail-under: expected AXIS.METRIC=NUMBER, but found 'foods.span_f1=high'." in result.stderr


@shipped
@pytest.mark.skipif(not (ROOT.parent / "shared/corpora").is_dir(), reason="no public corpora beside the project")
def test_the_shipped_model_is_evaluated_on_the_development_split_beside_the_baselines(monkeypatch):
    from training import project

    loads, load = [], project.load_project_sources
    monkeypatch.setattr(project, "load_project_sources", lambda *given: loads.append(given) or load(*given))
    corpora = ROOT.parent / "shared/corpora"
    result = run("evaluate", "--part", "dev", "--baselines", "--json", "--corpora", corpora)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["sentences"] > 200
    assert len(loads) == 1  # one split serves the part and the baselines
    assert set(found["baselines"]) == {"majority", "keywords"}
    for name in ("relations", "voice", "naming"):
        others = [baseline[name]["macro_f1"] for baseline in found["baselines"].values()]
        assert found[name]["macro_f1"] > max(others)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "most"])
def test_a_gate_that_is_no_finite_number_is_refused(value, tiny_options):
    result = run("evaluate", str(TINY_GOLD), *tiny_options, "--fail-under", f"stage.macro_f1={value}")
    assert result.exit_code == 2


def test_a_part_is_not_made_up_from_what_is_at_hand(tmp_path, tiny_options):
    result = run("evaluate", "--part", "dev", "--corpora", tmp_path, *tiny_options)
    assert result.exit_code == 1
    assert "part dev: expected the texts of every source, but found none of ['fa-kes'," in result.stderr
