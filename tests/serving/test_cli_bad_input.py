"""`newsframe classify` on bad input: a message with place and remedy, and the rest is labelled."""

import pytest

from model.jsonl import dumps
from tests.serving.command_line import SEAR, SIMMER, check_spans, records, run


def test_a_broken_line_costs_that_line_alone(tmp_path, tiny_options):
    path = tmp_path / "nine.jsonl"
    lines = [dumps({"id": f"s{n}", "text": SEAR}) for n in range(1, 10)]
    lines[6] = lines[6][:-5]
    path.write_text("\n".join(lines))
    result = run("classify", "--json", *tiny_options, path)
    found = records(result)
    message = (
        f"{path}:7: expected one JSON object, but found an error: Unterminated string starting at at column 22. "
        "Correct the line."
    )
    assert [r["id"] for r in found] == ["s1", "s2", "s3", "s4", "s5", "s6", f"{path}:7", "s8", "s9"]
    assert [r["status"] for r in found].count("ok") == 8
    assert found[6] == {"id": f"{path}:7", "status": "error", "error": message}
    assert (result.stderr, result.exit_code) == (message + "\n", 1)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('["a list"]', 'expected one JSON object, but found list. Write {"text": …}.'),
        ('{"id": "x"}', "field 'text': expected a text, but found nothing. Give the sentence as a string."),
        ('{"text": " "}', "field 'text': expected a text, but found an empty one. Give the sentence."),
        ('{"text": "Serve.", "targets": ["beef"]}', "field 'targets[0]': expected words of the text, but found 'beef'. Copy them to the letter."),
        ('{"text": "a\\ud800"}', "field 'text': expected Unicode text, but found a lone surrogate at character 1. Remove it."),
        ('{"text": "' + "a" * 100_000 + '"}', "field 'text': expected at most 10000 characters a sentence, but found 100000. Split it into shorter ones."),
    ],
    ids=["list", "no text", "blank", "target", "surrogate", "100 kB"],
)  # fmt: skip
def test_a_line_that_cannot_be_labelled_says_why(tiny_options, line, problem):
    result = run(
        "classify", "--json", *tiny_options, "--input-format", "jsonl", "-", stdin=f"{line}\n{dumps({'text': SEAR})}\n"
    )
    assert (result.stderr, result.exit_code) == (f"stdin:1: {problem}\n", 1)
    assert [r["status"] for r in records(result)] == ["error", "ok"]


def test_an_empty_text_is_refused_and_the_next_is_labelled(tmp_path, tiny_options, monkeypatch):
    (tmp_path / "here.txt").write_text(SEAR)
    monkeypatch.chdir(tmp_path)  # an empty text is no name of this folder
    result = run("classify", "--json", *tiny_options, "", SIMMER)
    assert result.stderr == "text1: field 'text': expected a text, but found an empty one. Give the document.\n"
    assert [(r["id"], r["status"]) for r in records(result)] == [("text1", "error"), ("text2:1", "ok")]
    assert result.exit_code == 1


@pytest.mark.parametrize("content", ["", " \n\n"])
def test_an_empty_file_is_named(tmp_path, tiny_options, content):
    path = tmp_path / "empty.txt"
    path.write_text(content)
    result = run("classify", "--json", *tiny_options, path)
    assert (result.stderr, result.exit_code) == (
        f"{path}: field 'text': expected a text, but found an empty one. Give the document.\n",
        1,
    )


def test_a_line_of_100_kb_costs_one_sentence(tmp_path, tiny_options):
    path = tmp_path / "long.txt"
    path.write_text(f"{SEAR}\n\n{'stir ' * 20_000}\n\n{SIMMER}\n")
    result = run("classify", "--json", *tiny_options, path)
    assert [r["status"] for r in records(result)] == ["ok", "error", "ok"]
    # 100,000 characters, without the last blank.
    assert result.stderr == (
        "long: characters 27 to 100026: expected at most 10000 characters a sentence, but found 99999. "
        "Split it into shorter ones.\n"
    )


def test_a_text_argument_of_100_kb_is_no_file_name(tiny_options):
    result = run("classify", "--json", *tiny_options, f"{SEAR} " * 4000)
    assert result.exit_code == 0
    assert len(records(result)) == 4000


def test_a_binary_file_is_refused_and_the_next_is_labelled(tmp_path, tiny_options):
    path = tmp_path / "image.txt"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20)
    result = run("classify", "--json", *tiny_options, path, SEAR)
    assert result.stderr == f"{path}: expected a text, but found a binary file. Convert it to UTF-8 text.\n"
    assert [r["status"] for r in records(result)] == ["error", "ok"]
    assert result.exit_code == 1


def test_a_binary_file_as_json_lines_is_refused_line_by_line(tmp_path, tiny_options):
    path = tmp_path / "image.jsonl"
    path.write_bytes(b"\x89PNG\n" + dumps({"text": SEAR}).encode() + b"\n")
    result = run("classify", "--json", *tiny_options, path)
    assert result.stderr == (
        f"{path}:1: expected UTF-8 text, but found byte 0x89 at column 1. Convert the file to UTF-8.\n"
    )
    assert [r["status"] for r in records(result)] == ["error", "ok"]


def test_a_text_file_in_another_encoding_is_refused_with_the_line(tmp_path, tiny_options):
    path = tmp_path / "latin.txt"
    path.write_bytes(f"{SEAR}\nCr\xe8me br\xfbl\xe9e.\n".encode("latin-1"))
    result = run("classify", "--json", *tiny_options, path, SIMMER)
    assert result.stderr == (
        f"{path}:2: expected UTF-8 text, but found byte 0xe8 at offset 28. Convert the file to UTF-8.\n"
    )
    assert [r["status"] for r in records(result)] == ["error", "ok"]


def test_a_line_in_another_encoding_costs_that_line_alone(tmp_path, tiny_options):
    path = tmp_path / "mixed.jsonl"
    good = dumps({"text": SEAR}).encode()
    path.write_bytes(b"\n".join([good, '{"text": "Crème"}'.encode("latin-1"), good]))
    result = run("classify", "--json", *tiny_options, path)
    assert result.stderr == (
        f"{path}:2: expected UTF-8 text, but found byte 0xe8 at column 13. Convert the file to UTF-8.\n"
    )
    assert [r["status"] for r in records(result)] == ["ok", "error", "ok"]


def test_a_byte_order_mark_belongs_to_no_sentence(tmp_path, tiny_options):
    (tmp_path / "a.txt").write_text(f"{SEAR} {SIMMER}", encoding="utf-8-sig")
    (tmp_path / "b.jsonl").write_text(dumps({"text": SEAR}), encoding="utf-8-sig")
    result = run("classify", "--json", "--with-text", *tiny_options, tmp_path / "a.txt", tmp_path / "b.jsonl")
    assert result.exit_code == 0, result.stderr
    first, second, line = records(result)
    # Offsets count in the text as it was given, the mark included.
    assert [(first["start"], first["text"]), (second["start"], second["text"])] == [(1, SEAR), (27, SIMMER)]
    assert line["text"] == SEAR


def test_offsets_count_both_characters_of_a_windows_line_end(tmp_path, tiny_options):
    text = f"{SEAR}\r\n\r\n{SIMMER}\r\n"
    (tmp_path / "a.txt").write_bytes(text.encode())
    found = records(run("classify", "--json", "--with-text", *tiny_options, tmp_path / "a.txt"))
    assert [r["start"] for r in found] == [0, 29]
    for record in found:
        check_spans(record, text)


def test_offsets_count_code_points(tiny_options):
    text = f"🔥🔥 {SEAR} Zoë’s: {SIMMER}"
    for record in records(run("classify", "--json", "--with-text", *tiny_options, text)):
        check_spans(record, text)


def test_a_missing_file_is_told_from_a_text(tmp_path, tiny_options):
    path = tmp_path / "none.txt"
    result = run("classify", "--json", *tiny_options, path, SEAR)
    assert result.stderr == f"{path}: expected a file, but found none. Check the path, or put a text in quotes.\n"
    assert [r["status"] for r in records(result)] == ["error", "ok"]
    assert result.exit_code == 1


def test_a_file_that_may_not_be_read_is_named(tmp_path, tiny_options):
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    folder = tmp_path / "folder.txt"
    folder.mkdir()
    result = run("classify", "--json", *tiny_options, folder)
    assert result.exit_code == 1
    assert "expected a folder with" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("classify",),
        ("classify", "--threads", "-1", "x"),
        ("classify", "--input-format", "pdf", "x"),
        ("classify", "--no-such-option", "x"),
        ("evaluate",),
        ("evaluate", "a.jsonl", "--part", "dev"),
        ("evaluate", "a.jsonl", "--fail-under", "stage"),
        ("serve", "--port", "0"),
        ("no-such-command",),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_says_so_on_stderr(arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: ")
    assert "Error: " in result.stderr
