"""`newsframe classify`: what it reads and what it prints."""

import json
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from model.article import ARTICLE_KINDS
from model.jsonl import dumps
from model.weights import RELEASE
from tests.serving.command_line import (
    README_SENTENCE,
    SEAR,
    SEEDS,
    SIMMER,
    check_spans,
    records,
    run,
    shipped,
    spans_of,
    start,
)
from tests.serving.server import strayed


def test_a_text_is_an_article_whose_sentences_are_labelled(tiny_options):
    text = f"{SEAR} {SIMMER}"
    result = run("classify", "--json", "--with-text", *tiny_options, text)
    assert result.exit_code == 0
    assert [(r["id"], r["start"], r["end"], r["text"]) for r in records(result)] == [
        ("text1:1", 0, 25, SEAR),
        ("text1:2", 26, 54, SIMMER),
    ]
    for record in records(result):
        check_spans(record, text)


def test_several_inputs_come_in_the_order_given(tmp_path, tiny_options):
    (tmp_path / "a.txt").write_text(SIMMER)
    result = run("classify", "--json", *tiny_options, "One.", tmp_path / "a.txt", "Two.")
    assert [r["id"] for r in records(result)] == ["text1:1", "a:1", "text3:1"]


def test_stdin_is_an_article(tiny_options):
    result = run("classify", "--json", *tiny_options, "-", stdin=f"{SEAR}\n\n{SIMMER}\n")
    assert [(r["id"], r["start"]) for r in records(result)] == [("stdin:1", 0), ("stdin:2", 27)]


def test_stdin_that_begins_with_a_brace_is_json_lines(tiny_options):
    lines = [{"id": "b", "text": f"{SEAR} {SIMMER}"}, {"text": SIMMER}]
    result = run("classify", "--json", *tiny_options, "-", stdin="\n".join(map(dumps, lines)))
    # A record is one sentence, labelled as it stands under its own id, or under its place.
    assert [(r["id"], r["start"], r["end"]) for r in records(result)] == [("b", 0, 54), ("stdin:2", 0, 28)]


@pytest.mark.parametrize(("input_format", "ids"), [("text", ["stdin:1"]), ("jsonl", ["x"])])
def test_the_format_can_be_said(tiny_options, input_format, ids):
    result = run(
        "classify", "--json", *tiny_options, "--input-format", input_format, "-", stdin='{"id": "x", "text": "Serve."}'
    )
    assert [r["id"] for r in records(result)] == ids


def test_a_folder_is_read_file_by_file_in_order(tmp_path, tiny_options):
    (tmp_path / "sub").mkdir()
    for name, content in {
        "c.txt": SEAR,
        "a.jsonl": dumps({"id": "line", "text": SIMMER}),
        "sub/b.md": SIMMER,
        "notes.csv": "no,text",
    }.items():
        (tmp_path / name).write_text(content)
    result = run("classify", "--json", *tiny_options, tmp_path)
    assert [r["id"] for r in records(result)] == ["line", "c.txt:1", "sub/b.md:1"]


def test_a_folder_without_texts_is_refused(tmp_path, tiny_options):
    result = run("classify", "--json", *tiny_options, tmp_path)
    assert result.exit_code == 1
    assert result.stderr == (
        f"{tmp_path}: expected a folder with .htm, .html, .jsonl, .md, .ndjson, .txt files, but found none.\n"
    )


def test_split_takes_records_as_documents(tmp_path, tiny_options):
    text = f"{SEAR} {SIMMER}"
    path = tmp_path / "documents.jsonl"
    path.write_text("\n".join(map(dumps, [{"id": "a", "text": text, "outlet": "x"}, {"text": SIMMER}])))
    result = run("classify", "--json", "--split", "--with-text", *tiny_options, path)
    found = records(result)
    assert [r["id"] for r in found] == ["a:1", "a:2", f"{path}:2:1"]
    for record in found[:2]:
        check_spans(record, text)


def test_fields_of_a_record_are_carried_through_and_targets_answered_in_order(tiny_options):
    record = {
        "id": 7,
        "text": "Beef and beef.",
        "outlet": "x",
        "page": {"n": 1},
        "targets": ["beef", {"start": 0, "end": 4}],
    }
    [found] = records(run("classify", "--json", *tiny_options, "-", stdin=dumps(record)))
    assert (found["id"], found["outlet"], found["page"]) == ("7", "x", {"n": 1})
    assert [(t["target"], t["start"], t["end"]) for t in found["targets"]] == [("beef", 9, 13), ("Beef", 0, 4)]
    check_spans(found, record["text"])


def test_html_is_read_without_its_furniture(tmp_path, tiny_options):
    story = "".join(
        f"<p>{SEAR} Note {n} says that cooks were delighted with the result of the day.</p>" for n in range(8)
    )
    page = (
        "<!DOCTYPE html><html><head><title>Cookery</title></head><body><nav><a href='/'>Home</a> <a href='/x'>Shop</a>"
        f"</nav><article><h1>Cookery</h1>{story}</article><footer>Copyright 2024 Kitchen Media</footer></body></html>"
    )
    (tmp_path / "page.html").write_text(page)
    result = run("classify", "--json", "--with-text", *tiny_options, tmp_path / "page.html")
    assert result.exit_code == 0, result.stderr
    texts = [r["text"] for r in records(result)]
    assert texts.count(SEAR) == 8
    assert not [text for text in texts if "Shop" in text or "Copyright" in text]


def test_blank_lines_of_json_lines_are_passed_over(tiny_options):
    result = run(
        "classify", "--json", *tiny_options, "-", stdin=f"{dumps({'text': SEAR})}\n\n   \n{dumps({'text': SIMMER})}\n"
    )
    assert [r["id"] for r in records(result)] == ["stdin:1", "stdin:4"]


def test_the_command_labels_as_the_library_does(tiny_options, tiny_labeller, tiny_gold):
    lines = [{"id": s.id, "text": s.text, "targets": [t.span.of(s.text) for t in s.targets]} for s in tiny_gold]
    result = run("classify", "--json", *tiny_options, "-", stdin="\n".join(map(dumps, lines)))
    assert strayed(records(result), tiny_labeller.label_records(lines)) is None


ARTICLES = [json.loads(line) for line in (SEEDS / "articles.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def labelled_seeds(model_options) -> dict[str, list[dict[str, object]]]:
    """What `classify --json` prints of the five articles, by article."""
    result = run(
        "classify", "--json", "--with-text", *model_options, *(SEEDS / article["file"] for article in ARTICLES)
    )
    assert (result.exit_code, result.stderr) == (0, "")
    found = records(result)
    return {key: list(group) for key, group in groupby(found, lambda r: r["id"].rpartition(":")[0])}


def test_there_are_five_seed_articles(labelled_seeds):
    assert sorted(labelled_seeds) == sorted(Path(article["file"]).stem for article in ARTICLES)
    assert len(ARTICLES) == 5


@pytest.mark.parametrize("article", ARTICLES, ids=lambda a: a["id"])
def test_a_seed_article_gives_every_sentence_and_no_furniture(labelled_seeds, article):
    text = (SEEDS / article["file"]).read_bytes().decode("utf-8")

    def characters(places) -> list[int]:
        return sorted(n for start, end in places for n in range(start, end) if not text[n].isspace())

    story = [(b["start"], b["end"]) for b in article["blocks"] if b["kind"] in ARTICLE_KINDS]
    found = labelled_seeds[Path(article["file"]).stem]
    # Each character of the story stands in one sentence, and no other character in any.
    assert characters((r["start"], r["end"]) for r in found) == characters(story)
    assert [r["id"].rpartition(":")[2] for r in found] == [str(n) for n in range(1, len(found) + 1)]


@pytest.mark.parametrize("article", ARTICLES, ids=lambda a: a["id"])
def test_every_span_of_a_seed_article_slices_back_to_its_own_text(labelled_seeds, article):
    text = (SEEDS / article["file"]).read_bytes().decode("utf-8")
    found = labelled_seeds[Path(article["file"]).stem]
    for record in found:
        assert record["status"] in ("ok", "abstained")
        check_spans(record, text)
    if RELEASE.is_dir():  # the tiny model knows food alone
        assert len(list(spans_of(found))) > len(found)


@shipped
def test_the_shipped_model_labels_the_sentence_of_the_readme():
    [record] = records(run("classify", "--json", README_SENTENCE))
    assert ("Assad regime", "regime") in [(m["text"], m["label"]) for m in record["mentions"]]
    assert {"rapprochement", "offensive"} <= {item["label"] for item in record["relations"]}


def test_the_table_names_the_words_that_made_each_label(tiny_options):
    [record] = records(run("classify", "--json", *tiny_options, SEAR))
    words = {item["text"] for axis in ("foods", "stage", "manner") for item in spans_of(record[axis])}
    assert words
    printed = run("classify", *tiny_options, SEAR).stdout
    assert SEAR in printed
    for axis in ("stage", "manner"):
        for item in record[axis]:
            assert f"{item['label']} {item['score']:.2f} “{item['evidence'][0]['text']}”" in printed
    for food in record["foods"]:
        assert f"{food['text']} {food['label']} {food['score']:.2f}" in printed


def test_the_table_prints_marks_of_a_text_as_they_stand(tiny_options):
    printed = run("classify", *tiny_options, "First [red]sear[/red] the [bold] beef.").stdout
    assert "First [red]sear[/red] the [bold] beef." in printed


def test_there_are_colours_on_a_terminal_alone(tiny_options):
    assert "\x1b[" not in run("classify", *tiny_options, SEAR).stdout
    assert "\x1b[" in run("classify", *tiny_options, SEAR, FORCE_COLOR="1").stdout


def test_the_words_of_a_sentence_are_in_the_json_only_if_asked_for(tiny_options):
    [bare], [with_text] = (records(run("classify", "--json", *o, *tiny_options, SEAR)) for o in ((), ("--with-text",)))
    assert with_text == bare | {"text": SEAR}


def test_data_goes_to_stdout_and_messages_to_stderr(tmp_path, tiny_options):
    (tmp_path / "a.jsonl").write_text(f"{dumps({'text': SEAR})}\nno JSON\n")
    result = start("classify", "--json", *tiny_options, tmp_path / "a.jsonl", tmp_path / "none.txt", SIMMER)
    assert result.returncode == 1
    assert [r["status"] for r in records(result)] == ["ok", "error", "error", "ok"]
    assert [line.partition(": expected")[0] for line in result.stderr.splitlines()] == [
        f"{tmp_path / 'a.jsonl'}:2",
        str(tmp_path / "none.txt"),
    ]


@pytest.mark.parametrize("options", [("--json",), ()])
def test_a_closed_pipe_is_no_error(tmp_path, tiny_options, options):
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(dumps({"text": SEAR}) for _ in range(1500)))
    newsframe = Path(sys.executable).with_name("newsframe")
    command = f'"{newsframe}" classify {" ".join(options)} --model "$1" --encoder "$2" "$3" | head -1; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", command, "newsframe", tiny_options[1], tiny_options[3], path],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
    assert done.returncode == 0


def test_a_record_that_is_split_takes_no_targets_and_its_rows_carry_its_fields(tmp_path, tiny_options):
    lines = [{"id": "d1", "text": SEAR, "outlet": "wire"}, {"id": "d2", "text": SEAR, "targets": ["beef"]}]
    (tmp_path / "d.jsonl").write_text("".join(dumps(line) + "\n" for line in lines))
    result = run("classify", "--json", "--split", *tiny_options, tmp_path / "d.jsonl")
    first, *_, last = records(result)
    assert (first["id"], first["status"], first["outlet"]) == ("d1:1", "ok", "wire")
    assert (last["id"], last["status"]) == ("d2", "error")
    assert "d.jsonl:2: field 'targets': expected none in a document" in last["error"]


def test_html_on_stdin_is_told_by_its_beginning(tiny_options):
    story = "".join(
        f"<p>{SEAR} {SIMMER} This is paragraph number {n} of a long recipe for a winter evening.</p>" for n in range(4)
    )
    page = f"<!DOCTYPE html><html><body><article><h1>Beef</h1>{story}</article></body></html>"
    result = run("classify", "--json", "--with-text", *tiny_options, "-", stdin=page)
    assert SEAR in [r.get("text") for r in records(result)]


@pytest.mark.parametrize("argument", ["nofile.csv", "./nofile", "data/nofile", "nofile.TXT"])
def test_one_word_in_the_form_of_a_path_is_a_missing_file_and_no_text(argument, tiny_options):
    result = run("classify", *tiny_options, argument)
    assert result.exit_code == 1
    assert f"{argument}: expected a file, but found none." in result.stderr
