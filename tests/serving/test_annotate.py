"""`newsframe annotate`: from sentences to a form, and from a filled form to gold records."""

import csv
import io
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from model.jsonl import dumps
from model.records import load_gold
from tests.conftest import ROOT, TINY_CODEBOOK, TINY_GOLD
from tests.serving.command_line import SEAR, SIMMER, run, write_records

AXES = ("foods", "stage", "manner", "verdict")
EMOJI = "🍲 First sear the bee\u0301f and the beef hard 👩‍🍳, then the beef."
FORMS = {"todo.csv": "csv", "todo.json": "label-studio", "todo.jsonl": "jsonl"}


@pytest.fixture(scope="module")
def sentences(tmp_path_factory) -> Path:
    """Sentences with and without emoji, formulas, targets and other fields."""
    path = tmp_path_factory.mktemp("in") / "more.jsonl"
    rows = [{"id": "e", "text": EMOJI, "outlet": "Wire"}, {"id": "f", "text": "=1+1 leek | kale; ham=ham#2 \\ '"}]
    rows += [{"id": "t", "article": "soup", "text": "Wash the ham.\nThe ham was brackish.", "targets": ["Wash"]}]
    rows += [{"id": f"n{n}", "text": f"Then simmer {word} slowly."} for n, word in enumerate(("kale", "ham", "bread"))]
    path.write_text("\n".join(map(dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture
def export(tmp_path, tiny_options, sentences):
    """Write a form; it must succeed."""

    def write(name: str, *options: object) -> Path:
        out = tmp_path / name
        result = run("annotate", sentences, "--out", out, "--threads", "1", *tiny_options, *options)
        assert (result.exit_code, result.stdout) == (0, ""), result.stderr
        return out

    return write


def read(path: Path, *options: object):
    """Read a form back; the result and the gold that was written, if any."""
    out = path.with_name("gold.jsonl")
    result = run("annotate", "--read", path, "--out", out, "--codebook", TINY_CODEBOOK, *options)
    assert result.stdout == ""
    return result, [json.loads(line) for line in out.read_text("utf-8").splitlines()] if out.exists() else None


def accept(path: Path) -> None:
    """Do what a person does who agrees with every suggestion."""
    content = path.read_text("utf-8")
    if path.suffix == ".json":
        tasks = json.loads(content)
        for number, task in enumerate(tasks, 1):
            task["id"] = number
            task["annotations"] = [{"completed_by": 1, "result": task["predictions"][0]["result"]}]
        content = json.dumps(tasks)
    elif path.suffix == ".jsonl":
        records = map(json.loads, content.splitlines())
        content = "\n".join(dumps(record | record["suggested"]) for record in records)
    else:
        header, *rows = csv.reader(io.StringIO(content, newline=""))
        out = io.StringIO()
        csv.writer(out).writerows([header, *([*row[:2], "yes", *row[3:]] for row in rows)])
        content = out.getvalue()
    path.write_text(content, encoding="utf-8", newline="")


# ---- Round trip ----


@pytest.mark.parametrize("name", FORMS)
def test_suggestions_that_are_accepted_come_back_as_the_same_labels(
    name, export, sentences, tiny_labeller, tiny_codebook
):
    path = export(name)
    accept(path)
    result, records = read(path)
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("6 labelled, 0 not labelled, 0 bad\n")
    given = {row["id"]: row for row in map(json.loads, sentences.read_text("utf-8").splitlines())}
    assert {record["id"]: record["text"] for record in records} == {key: row["text"] for key, row in given.items()}
    for record in records:
        [said] = tiny_labeller.label_records([given[record["id"]]])
        assert record["foods"] == [{key: m[key] for key in ("text", "start", "end", "label")} for m in said["foods"]]
        for axis in ("stage", "manner"):
            assert record[axis] == [item["label"] for item in said[axis]]
        targets = {(m["start"], m["end"], m["verdict"]["label"]) for m in said["foods"]}
        targets |= {(t["start"], t["end"], t["label"]) for t in said["targets"]}
        assert {(t["start"], t["end"], t["label"]) for t in record["verdict"]} == targets
        for target in record["verdict"]:
            assert record["text"][target["start"] : target["end"]] == target["target"]
    by_id = {record["id"]: record for record in records}
    assert (by_id["e"]["outlet"], by_id["e"]["article"], by_id["t"]["article"]) == ("Wire", "e", "soup")
    assert {record["selected"] for record in records} == {"uncertain", "random"}
    assert all(0 <= record["uncertainty"] <= 1 and record["uncertain_axis"] in AXES for record in records)
    assert len(load_gold(path.with_name("gold.jsonl"), tiny_codebook)) == 6


@pytest.mark.parametrize("name", FORMS)
def test_what_nobody_labelled_is_counted_and_never_read_as_gold(name, export):
    path = export(name)
    if path.suffix == ".json":
        path.write_text(json.dumps([task | {"annotations": []} for task in json.loads(path.read_text("utf-8"))]))
    result, records = read(path)
    assert (result.exit_code, records) == (0, [])
    assert result.stderr.startswith("0 labelled, 6 not labelled, 0 bad\n")


@pytest.mark.parametrize("name", FORMS)
def test_without_predictions_no_suggestion_is_written(name, export):
    content = export(name, "--no-predictions").read_text("utf-8")
    assert "predictions" not in content
    assert "suggested" not in content
    assert "undecided" not in content


# ---- Choosing ----


def test_the_export_says_what_was_chosen_and_leaves_out_what_is_labelled(tmp_path, tiny_options, sentences):
    labelled = tmp_path / "old.jsonl"
    labelled.write_text(dumps({"id": "x", "text": "then simmer HAM slowly"}))
    out = tmp_path / "todo.jsonl"
    options = ("--count", "5", "--labelled", labelled, "--threads", "1", *tiny_options)
    result = run("annotate", sentences, "--out", out, *options)
    assert result.stderr == f"{out}: 4 uncertain and 1 random of 6 sentences, 1 of them labelled already\n"
    records = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert "n1" not in [record["id"] for record in records]
    assert [record[axis] for record in records for axis in AXES] == [None] * 20


def test_the_same_seed_chooses_the_same(export):
    first, second = export("a.jsonl", "--count", "3"), export("b.jsonl", "--count", "3")
    assert first.read_bytes() == second.read_bytes()


def test_documents_are_segmented_and_keep_sentences_of_one_name_apart(tmp_path, tiny_options):
    out = tmp_path / "todo.jsonl"
    stdin = "\n".join(dumps({"id": "d", "text": text, "outlet": "Wire"}) for text in (f"{SEAR} Wash the pan.", SIMMER))
    options = ("--split", "--input-format", "jsonl", "--out", out, "--threads", "1", *tiny_options)
    result = run("annotate", "-", *options, stdin=stdin)
    assert result.exit_code == 0, result.stderr
    records = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert {record["text"] for record in records} == {SEAR, "Wash the pan.", SIMMER}
    assert sorted(record["id"] for record in records) == ["d:1", "d:1~2", "d:2"]
    assert {(record["article"], record["outlet"]) for record in records} == {("d", "Wire")}
    for record in records:
        for food in record["suggested"]["foods"]:
            assert record["text"][food["start"] : food["end"]] == food["text"]


def test_a_line_that_cannot_be_labelled_costs_that_line_alone(tmp_path, tiny_options):
    path, out = tmp_path / "in.jsonl", tmp_path / "todo.csv"
    path.write_text(f'{{"text": ""}}\n{dumps({"text": SEAR})}\n')
    result = run("annotate", path, "--out", out, "--threads", "1", *tiny_options)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{path}:1: field 'text': expected a text, but found an empty one. Give the sentence.\n"
        f"{out}: 1 uncertain and 0 random of 1 sentences, 0 of them labelled already\n"
    )
    assert SEAR in out.read_text("utf-8")


def test_label_studio_tasks_have_their_configuration_beside_them(export, tiny_codebook):
    from serving.label_studio import labelling_config

    path = export("tasks.json")
    assert path.with_name("tasks.json.config.xml").read_text("utf-8") == labelling_config(tiny_codebook)


def test_nothing_is_written_over(tmp_path, tiny_options):
    out = tmp_path / "todo.csv"
    out.write_text("labels of a week")
    for arguments in ((SEAR, *tiny_options), ("--read", TINY_GOLD, "--codebook", TINY_CODEBOOK)):
        result = run("annotate", *arguments, "--out", out)
        assert (result.exit_code, result.stderr) == (
            1, f"{out}: expected no file yet, but found one. Choose another --out, or remove it.\n"
        )  # fmt: skip
    assert out.read_text() == "labels of a week"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "x.csv"), "Give either something to choose from or --read."),
        ((SEAR, "--read", "y.csv", "--out", "x.csv"), "Give either something to choose from or --read."),
        ((SEAR, "--out", "x.txt"), "--out: expected a name that ends in .json, .csv or .jsonl, or --format."),
    ],
)
def test_wrong_usage_is_refused(arguments, message):
    result = run("annotate", *arguments)
    assert result.exit_code == 2
    assert result.stderr.endswith(f"Error: {message}\n")


def test_annotating_needs_neither_torch_nor_scikit_learn(tmp_path, tiny_options):
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'datasets', 'evaluate', 'sklearn', 'scipy'): sys.modules[name] = None\n"
        "import serving.cli; serving.cli.main()"
    )
    for name, *arguments in (
        ("todo.jsonl", SEAR, *tiny_options),
        ("gold.jsonl", "--read", tmp_path / "todo.jsonl", "--codebook", TINY_CODEBOOK),
    ):
        command = [sys.executable, "-c", code, "annotate", *map(str, arguments), "--out", str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
        assert done.returncode == 0, done.stderr


# ---- Reading ----


@pytest.fixture
def filled(tmp_path):
    """Write records as a filled JSON Lines form."""
    return partial(write_records, tmp_path / "filled.jsonl")


def test_gold_comes_back_as_it_is(tiny_codebook, tmp_path):
    out = tmp_path / "gold.jsonl"
    assert run("annotate", "--read", TINY_GOLD, "--out", out, "--codebook", TINY_CODEBOOK).exit_code == 0
    given, found = load_gold(TINY_GOLD, tiny_codebook), load_gold(out, tiny_codebook)
    assert [(s.id, s.mentions, s.labels, s.targets, s.article) for s in found] == [
        (s.id, s.mentions, s.labels, s.targets, s.article) for s in given
    ]


def test_an_axis_that_is_null_was_not_annotated_and_an_empty_list_holds_nothing(filled):
    result, [record] = read(
        filled({"id": "1", "text": SEAR, "foods": None, "stage": [], "manner": None, "verdict": None})
    )
    assert result.exit_code == 0
    assert record == {"id": "1", "text": SEAR, "stage": [], "article": "1"}


def test_every_bad_row_is_named_and_nothing_is_written(filled):
    good, bad = {"id": "1", "text": SEAR, "stage": ["start"]}, {"id": "2", "text": SEAR, "stage": ["middle"]}
    path = filled(good, bad, "{", good, {"id": "3", "text": SEAR, "foods": [{"text": "kale", "label": "plant"}]})
    result, records = read(path)
    assert (result.exit_code, records) == (1, None)
    lines = result.stderr.splitlines()
    assert lines[0] == "1 labelled, 0 not labelled, 4 bad"
    assert lines[-4:] == [
        f"{path}:2: axis 'stage' expected one of ['finish', 'start'], but found 'middle'. Correct the row, or add the label to the codebook.",
        f"{path}:3: expected one JSON object, but found an error: Expecting property name enclosed in double quotes at column 2. Correct the line.",
        f"{path}:4: expected an id of its own, but found '1' again, as in {path}:1. Remove one.",
        f"{path}:5: axis 'foods' expected words of the text, but found 'kale'. Copy them to the letter.",
    ]  # fmt: skip


def test_ten_bad_rows_are_shown_and_the_others_counted(filled):
    result, _ = read(filled(*({"id": str(n), "text": SEAR, "stage": ["middle"]} for n in range(12))))
    assert result.stderr.splitlines()[-1] == "… and 2 more of 12 problems"
    assert sum(": axis 'stage' expected" in line for line in result.stderr.splitlines()) == 10


def test_with_skip_bad_the_good_rows_are_written_and_the_bad_put_aside(filled, tmp_path):
    bad = {"id": "2", "text": SEAR, "stage": ["middle"]}
    path = filled({"id": "1", "text": SEAR, "stage": ["start"]}, bad)
    result, records = read(path, "--skip-bad")
    assert (result.exit_code, [record["id"] for record in records]) == (0, ["1"])
    [reject] = map(json.loads, (tmp_path / "gold.jsonl.rejects.jsonl").read_text("utf-8").splitlines())
    assert reject["row"] == bad
    assert reject["problem"] in result.stderr
    assert reject["problem"].startswith(f"{path}:2: axis 'stage' expected one of ")


def test_the_labels_of_each_axis_are_counted(filled):
    result, _ = read(
        filled({"id": "1", "text": SEAR, "stage": ["start"], "foods": [{"text": "beef", "label": "meat"}]})
    )
    assert result.stderr.splitlines() == [
        "1 labelled, 0 not labelled, 0 bad",
        "  foods: 1 meat, 0 plant, 0 staple",
        "  stage: 1 start, 0 finish",
        "  manner: 0 gentle, 0 fierce",
        "  verdict: 0 tasty, 0 undecided, 0 too salty",
    ]


@pytest.fixture
def two_annotators(tmp_path) -> Path:
    """Two tasks of Label Studio, each labelled twice: alike, and differently."""

    def annotation(by, label):
        value = {"choices": [label]}
        return {"completed_by": by, "result": [{"from_name": "stage", "type": "choices", "value": value}]}

    tasks = [
        {"id": n, "data": {"id": f"s{n}", "text": SEAR}, "annotations": [annotation(1, "start"), annotation(2, label)]}
        for n, label in ((7, "start"), (8, "finish"))
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    return path


def test_tasks_on_which_annotators_differ_are_refused_with_their_agreement(two_annotators):
    result, records = read(two_annotators)
    assert (result.exit_code, records) == (1, None)
    lines = result.stderr.splitlines()
    assert "agreement over 2 pairs of annotations of one sentence" in lines
    # start: said twice and once, kappa 0; finish: never and once, kappa 0. F1: 1 in common of 2 and 2.
    assert "  stage: label F1 0.500, kappa 0.000" in lines
    assert "  foods: span F1 1.000, labelled span F1 1.000" in lines
    assert lines[-1] == (
        f"{two_annotators}: task 8: expected annotators who agree, but found that ['1', '2'] differ. "
        "Choose one with --annotator."
    )


def test_the_annotator_who_was_chosen_is_kept(two_annotators):
    result, records = read(two_annotators, "--annotator", "2")
    assert (result.exit_code, [record["stage"] for record in records]) == (0, [["start"], ["finish"]])


def test_an_annotator_who_made_nothing_is_refused(two_annotators):
    result, records = read(two_annotators, "--annotator", "ada")
    assert (result.exit_code, records) == (1, None)
    assert result.stderr == (
        f"{two_annotators}: expected annotations by 'ada', but found those by ['1', '2']. "
        "Name one of them with --annotator.\n"
    )


def test_a_file_without_a_telling_name_is_read_by_its_first_character(two_annotators, filled):
    renamed = two_annotators.rename(two_annotators.with_name("labels"))
    assert read(renamed, "--annotator", "1")[0].exit_code == 0
    renamed.with_name("gold.jsonl").unlink()
    lines = filled({"id": "1", "text": SEAR, "stage": []}).rename(renamed.with_name("lines"))
    assert read(lines)[0].exit_code == 0


def test_a_missing_file_is_refused(tmp_path):
    result, _ = read(tmp_path / "none.csv")
    assert (result.exit_code, result.stderr) == (
        1, f"{tmp_path / 'none.csv'}: expected a file of labels, but found: No such file or directory. Check the path.\n"
    )  # fmt: skip
