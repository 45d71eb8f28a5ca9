"""`newsframe evaluate`: its files, other systems' predictions, slices, and the comparison of two systems."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from model.jsonl import dumps
from tests.conftest import ROOT, TINY_CODEBOOK, TINY_GOLD
from tests.serving.command_line import run

FILES = {"metrics.json", "predictions.jsonl", "report.html"}
# Where a run of the model and a scoring of what it wrote may differ: what was scored, and what it is called.
ABOUT = ("model",)


def write(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def found(*arguments: object) -> dict[str, object]:
    result = run("evaluate", *arguments, "--json", "--resamples", "50")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory, tiny_options):
    """The folder of a run with everything in it."""
    folder = tmp_path_factory.mktemp("evaluation")
    result = run(
        "evaluate", TINY_GOLD, *tiny_options, "--by", "article", "--against", tiny_options[1], "--out", folder,
        "--resamples", "50", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    (folder / "stdout").write_text(result.stdout, encoding="utf-8")
    return folder


def labels_of_gold() -> list[dict[str, object]]:
    """The gold labels, as another system might give them."""
    return [{key: value for key, value in row.items() if key not in ("text", "article")} for row in read(TINY_GOLD)]


# ---- Files ----


def test_the_files_of_a_run_are_those_three(evaluated):
    assert {path.name for path in evaluated.iterdir()} - {"stdout"} == FILES


def test_the_json_on_stdout_is_that_of_the_file(evaluated):
    assert (evaluated / "stdout").read_text() == (evaluated / "metrics.json").read_text()


def test_the_metrics_say_what_was_scored_and_how(evaluated):
    metrics = json.loads((evaluated / "metrics.json").read_text())
    assert metrics["gold"]["file"] == str(TINY_GOLD)
    assert re.fullmatch("[0-9a-f]{64}", metrics["gold"]["sha256"])
    assert metrics["options"] == {
        "level": 0.95, "resamples": 50, "randomisation_draws": 2000, "seed": 7, "by": ["article"], "mistakes": 50
    }  # fmt: skip
    assert set(metrics["calibration"]) == set(metrics["confusion"]) == {"foods", "diet", "stage", "manner", "verdict"}


def test_every_gold_sentence_has_a_labelled_record_with_its_targets_and_article(evaluated):
    gold, records = read(TINY_GOLD), read(evaluated / "predictions.jsonl")
    assert [(r["id"], r["article"]) for r in records] == [(g["id"], g["article"]) for g in gold]
    for said, wanted in zip(records, gold, strict=True):
        assert [t["target"] for t in said["targets"]] == [t["target"] for t in wanted["verdict"]]


def test_scoring_what_a_run_wrote_gives_the_identical_metrics(evaluated, tiny_options):
    metrics = json.loads((evaluated / "metrics.json").read_text())
    again = found(
        TINY_GOLD, *tiny_options[:2], "--predictions", evaluated / "predictions.jsonl", "--by", "article",
        "--against", tiny_options[1], "--encoder", tiny_options[3],
    )  # fmt: skip
    assert {k: v for k, v in again.items() if k not in ABOUT} == {k: v for k, v in metrics.items() if k not in ABOUT}
    assert again["model"]["name"] == "predictions.jsonl"


def test_two_runs_write_the_same_bytes(evaluated, tmp_path, tiny_options):
    options = ("--by", "article", "--against", tiny_options[1], "--out", tmp_path, "--resamples", "50")
    assert run("evaluate", TINY_GOLD, *tiny_options, *options).exit_code == 0
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (evaluated / name).read_bytes()


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path, tiny_options):
    (tmp_path / "file").write_text("mine")
    result = run("evaluate", TINY_GOLD, *tiny_options, "--out", tmp_path / "file" / "folder")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == (
        f"{tmp_path / 'file' / 'folder'}: expected a folder to write to, but found: Not a directory. Choose another --out.\n"
    )


# ---- The page ----


@pytest.fixture(scope="module")
def page(evaluated) -> str:
    return (evaluated / "report.html").read_text(encoding="utf-8")


def test_the_page_is_well_formed_and_its_ids_are_its_own(page):
    tree = ElementTree.fromstring(page)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    links = {value[1:] for element in tree.iter() for key, value in element.items() if key.endswith("href")}
    assert links <= set(ids)


def test_the_page_opens_without_a_network(page):
    assert page.startswith("<!DOCTYPE html>")
    assert re.findall(r'(?:src|href)\s*=\s*"(?!#)[^"]*"', page) == []
    assert re.findall(r"url\((?!#)|@import|<script|<link|<img", page) == []
    assert set(re.findall(r"https?://[^\"\s<]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_every_plot_has_a_title_and_the_colours_of_the_page(page):
    plots = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(plots) == 3
    for plot in plots:
        [name] = re.findall(r'^<svg role="img" aria-labelledby="([a-z]+-title)"', plot)
        assert f'<title id="{name}">' in plot
        assert re.findall(r"#0([1-4])0\1", plot) == []
        assert "var(--accent)" in plot


def test_the_page_has_a_section_for_everything(page):
    sections = re.findall(r'<section id="(\w+)">', page)
    assert sections == ["figures", "labels", "calibration", "confusion", "slices", "comparison", "mistakes"]
    assert "prefers-color-scheme: dark" in page


def test_no_text_of_a_sentence_becomes_markup(tmp_path, tiny_codebook):
    text = 'Sear <script>alert("beef & kale")</script>.'
    gold = write(
        tmp_path / "gold.jsonl",
        [{"id": "<i>1</i>", "text": text, "foods": [], "stage": ["start"], "outlet": "<b>wire</b> $x$"}],
    )
    beef = [{"text": "beef", "label": "meat", "score": 0.9}]
    said = write(tmp_path / "said.jsonl", [{"id": "<i>1</i>", "foods": beef, "stage": []}])
    options = ("--codebook", TINY_CODEBOOK, "--predictions", said, "--out", tmp_path / "out", "--by", "outlet")
    assert run("evaluate", gold, *options).exit_code == 0
    page = (tmp_path / "out/report.html").read_text()
    ElementTree.fromstring(page)
    assert "Sear &lt;script&gt;alert(&#34;<mark>beef</mark> &amp; kale&#34;)&lt;/script&gt;." in page
    assert "<script>" not in page
    assert "&lt;b&gt;wire&lt;/b&gt; $x$" in page


def test_a_page_of_one_article_and_one_axis_is_whole(tmp_path):
    gold = write(tmp_path / "gold.jsonl", [{"id": "1", "text": "Sear it.", "stage": ["start"]}])
    said = write(tmp_path / "said.jsonl", [{"id": "1", "stage": []}])
    options = ("--codebook", TINY_CODEBOOK, "--predictions", said, "--out", tmp_path / "out")
    assert run("evaluate", gold, *options).exit_code == 0
    page = (tmp_path / "out/report.html").read_text()
    ElementTree.fromstring(page)
    assert "The predictions carry no scores." in page


# ---- Other systems ----


def test_scoring_predictions_works_where_torch_is_not_installed(tmp_path):
    said = write(tmp_path / "said.jsonl", labels_of_gold())
    code = (
        "import importlib.machinery as machinery, sys\n"
        "from pathlib import Path\n"
        "find = machinery.PathFinder.find_spec\n"
        "hidden = ('torch', 'transformers')\n"
        "machinery.PathFinder.find_spec = lambda name, *rest: None if name in hidden else find(name, *rest)\n"
        "from training.evaluate_run import EvaluationOptions, run_evaluation\n"
        f"options = EvaluationOptions(gold=Path({str(TINY_GOLD)!r}), codebook=Path({str(TINY_CODEBOOK)!r}), "
        f"predictions=Path({str(said)!r}), resamples=10)\n"
        "run_evaluation(options, print)\nassert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_gold_scored_as_predictions_is_perfect_and_needs_no_model(tmp_path):
    said = write(tmp_path / "said.jsonl", labels_of_gold())
    metrics = found(TINY_GOLD, "--predictions", said, "--codebook", TINY_CODEBOOK)
    assert metrics["foods"]["labelled_span_f1"] == 1.0
    for axis in ("diet", "stage", "manner", "verdict"):
        assert metrics[axis]["macro_f1"] == 1.0
    assert metrics["verdict"]["accuracy"] == 1.0
    assert metrics["mistakes"] == []
    assert metrics["calibration"] == {}  # plain labels carry no probabilities
    assert metrics["model"]["name"] == "said.jsonl"


def test_the_codebook_of_predictions_may_be_that_of_a_model(tmp_path, tiny_release):
    said = write(tmp_path / "said.jsonl", labels_of_gold())
    assert found(TINY_GOLD, "--predictions", said, "--model", tiny_release)["stage"]["macro_f1"] == 1.0


def test_a_codebook_without_predictions_is_wrong_usage(tiny_options):
    result = run("evaluate", TINY_GOLD, *tiny_options, "--codebook", TINY_CODEBOOK)
    assert result.exit_code == 2
    assert "--codebook goes with --predictions: a model brings its own." in result.stderr


def test_targets_without_a_label_count_as_wrong_and_are_counted(tmp_path):
    records = labels_of_gold()
    for record in records[:3]:  # the targets beef, kale and bread, all undecided
        record["verdict"] = []
    metrics = found(TINY_GOLD, "--predictions", write(tmp_path / "x.jsonl", records), "--codebook", TINY_CODEBOOK)
    assert (metrics["verdict"]["targets"], metrics["verdict"]["unlabelled"]) == (22, 3)
    assert metrics["verdict"]["accuracy"] == pytest.approx(19 / 22)


def test_extra_predictions_and_absent_axes_are_told_on_stderr(tmp_path):
    records = [{"id": row["id"], "stage": row["stage"]} for row in read(TINY_GOLD)] + [{"id": "z", "stage": []}]
    said = write(tmp_path / "x.jsonl", records)
    result = run("evaluate", TINY_GOLD, "--predictions", said, "--codebook", TINY_CODEBOOK)
    assert result.exit_code == 0
    assert result.stderr == (
        f"{said}: 1 predictions are of sentences that are not in the gold; they are ignored.\n"
        f"{said}: no record speaks of ['diet', 'foods', 'manner', 'verdict']; not scored.\n"
    )
    assert "foods" not in result.stdout


def test_a_gold_sentence_without_prediction_is_an_error(tmp_path):
    said = write(tmp_path / "x.jsonl", labels_of_gold()[1:])
    result = run("evaluate", TINY_GOLD, "--predictions", said, "--codebook", TINY_CODEBOOK)
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == (
        f"{said}: expected a prediction for every gold sentence, but found none for 1 of 24: 'n1'. "
        "Label them, or take them out of the gold.\n"
    )


# ---- Slices and comparison ----


def test_every_article_is_a_slice_of_its_own(evaluated):
    rows = json.loads((evaluated / "metrics.json").read_text())["slices"]["article"]["values"]
    assert len(rows) == 8
    assert all(row["sentences"] == 3 and row["articles"] == 1 for row in rows)
    assert all(axis["interval"] is None for row in rows for axis in row["axes"].values())


def test_an_unknown_field_is_refused_with_those_that_exist(tiny_options):
    result = run("evaluate", TINY_GOLD, *tiny_options, "--by", "outlet")
    assert (result.stdout, result.exit_code) == ("", 1)
    assert result.stderr == (
        "--by: expected a field of the gold records, one of ['article'], but found 'outlet'. Name one.\n"
    )


def test_a_model_does_not_differ_from_itself(evaluated):
    compared = json.loads((evaluated / "metrics.json").read_text())["comparison"]
    assert set(compared["axes"]) == {"foods", "diet", "stage", "manner", "verdict"}
    for row in compared["axes"].values():
        assert (row["difference"], row["interval"], row["p_value"]) == (0.0, [0.0, 0.0], 1.0)


def test_a_better_system_differs_by_what_it_is_better_and_the_table_says_so(tmp_path):
    worse = labels_of_gold()
    for record in worse:
        record["stage"] = []
    theirs = write(tmp_path / "worse.jsonl", worse)
    ours = write(tmp_path / "ours.jsonl", labels_of_gold())
    options = (TINY_GOLD, "--predictions", ours, "--codebook", TINY_CODEBOOK, "--against", theirs)
    row = found(*options)["comparison"]["axes"]["stage"]
    assert (row["ours"], row["theirs"], row["difference"]) == (1.0, 0.0, 1.0)
    # All 8 articles but one hold a labelled stage: of the 2^7 swaps, two are as far apart: 2/128.
    assert row["p_value"] == pytest.approx(2 / 128, abs=0.01)
    printed = [line.split() for line in run("evaluate", *options).stdout.splitlines()]
    assert any(line[:3] == ["against", "worse.jsonl,", "sha256"] for line in printed)
    assert any(line[:4] == ["stage", "1.000", "0.000", "+1.000"] for line in printed)
