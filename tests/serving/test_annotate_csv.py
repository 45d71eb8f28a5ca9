"""The table for spreadsheets: notation, guards, and what is refused."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import RecordError
from model.records import gold_sentence
from serving.annotation_csv import guarded, read_csv, unguarded, write_csv
from serving.selection import Candidate, Chosen

TEXT = "Beef, beef and bread: 50=50 | kale#1."
EMPTY = {"foods": [], "stage": [], "manner": [], "verdict": []}
HEADER = "id,text,labelled,stage,manner,foods,verdict"


def chosen(text=TEXT, **suggestion):
    return Chosen(Candidate("a:1", text, "a", 0.25, "stage", EMPTY | suggestion, {"outlet": "Wire"}), "uncertain")


def rows_of(content):
    return list(csv.DictReader(io.StringIO(content.removeprefix("\ufeff"), newline="")))


def marked(content: str) -> str:
    """The table, each row marked as labelled."""
    header, *rows = csv.reader(io.StringIO(content, newline=""))
    out = io.StringIO()
    csv.writer(out).writerows([header, *([*row[:2], "yes", *row[3:]] for row in rows)])
    return out.getvalue()


@pytest.fixture
def read(tmp_path, tiny_codebook):
    """Read a table given as text."""

    def read_text(content: str | bytes):
        path = tmp_path / "todo.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path, list(read_csv(path, tiny_codebook))

    return read_text


def test_a_row_has_a_column_for_each_axis_and_says_why_it_was_chosen(tiny_codebook):
    foods = [
        {"text": "beef", "start": 6, "end": 10, "label": "meat"},
        {"text": "bread", "start": 15, "end": 20, "label": "staple"},
    ]
    content = write_csv([chosen(foods=foods, stage=["start", "finish"])], tiny_codebook, predictions=True)
    assert content.startswith(
        "\ufeffid,text,labelled,stage,manner,foods,verdict,selected,uncertainty,uncertain_axis,meta\r\n"
    )
    [row] = rows_of(content)
    assert row == {
        "id": "a:1", "text": TEXT, "labelled": "", "stage": "start;finish", "manner": "",
        "foods": "beef=meat | bread=staple", "verdict": "", "selected": "uncertain", "uncertainty": "0.25",
        "uncertain_axis": "stage", "meta": '{"article": "a", "outlet": "Wire"}',
    }  # fmt: skip


def test_without_predictions_the_cells_are_empty(tiny_codebook):
    [row] = rows_of(write_csv([chosen(stage=["start"])], tiny_codebook, predictions=False))
    assert [row[name] for name in ("stage", "manner", "foods", "verdict")] == ["", "", "", ""]


def test_words_that_occur_twice_say_which(tiny_codebook):
    verdict = [{"target": "is", "start": 2, "end": 4, "label": "tasty"}]
    [row] = rows_of(write_csv([chosen("this is", verdict=verdict)], tiny_codebook, predictions=True))
    assert row["verdict"] == "is#1=tasty"


@pytest.mark.parametrize(
    ("cell", "span"),
    [
        ("bread=staple", (15, 20)),
        ("beef = meat", (6, 10)),
        (r"kale\#1=plant", (30, 36)),
        (r"50\=50 \| kale=staple", (22, 34)),
        ("50=50=staple", (22, 27)),
        ("e#3=meat", (7, 8)),  # B-e-ef, b-e-ef, be-e… : the third "e" is the second letter of "beef"
    ],
)
def test_words_are_found_where_the_notation_says(cell, span, read, tiny_codebook):
    _, [row] = read(f'{HEADER}\n1,"{TEXT}",yes,,,"{cell}",\n')
    [mention] = gold_sentence(row.answers[""], tiny_codebook, "here").mentions
    assert mention.span == span


def test_an_empty_cell_says_that_nothing_holds_and_a_question_mark_says_nothing(read):
    _, [row] = read(f"{HEADER}\n1,Wash.,yes,,?,,?\n")
    assert row.answers == {"": {"id": "1", "text": "Wash.", "stage": [], "foods": []}}


@pytest.mark.parametrize("mark", ["", "no", "0", "FALSE"])
def test_a_row_that_is_not_marked_was_not_labelled(mark, read):
    _, [row] = read(f"{HEADER}\n1,Wash.,{mark},start,,,\n")
    assert (row.answers, row.problem) == ({}, None)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_a_spreadsheet_of_another_country_saves_is_read(delimiter, read):
    lines = [
        delimiter.join(["id", "text", "labelled", "stage"]),
        delimiter.join(["1", "Wash.", "YES", '"start;finish"']),
    ]
    _, [row] = read("\r\n".join(lines))
    assert row.answers[""]["stage"] == ["start", "finish"]


def test_blank_rows_at_the_end_are_passed_over(read):
    assert len(read(f"{HEADER}\n1,Wash.,yes,,,,\n,,,,,,\n\n")[1]) == 1


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "＝1", "'=1", "''-1"])
def test_no_cell_begins_as_a_formula(text, tiny_codebook):
    [row] = rows_of(write_csv([chosen(text)], tiny_codebook, predictions=True))
    assert row["text"] == "'" + text


@pytest.mark.parametrize("text", ["'Tis", "'", "a=1", " =1"])
def test_other_cells_stay_as_they_are(text):
    assert guarded(text) == text


@given(st.text(alphabet="'=+-@\t\r\nab ＝", max_size=6) | st.text(max_size=10))
def test_the_guard_can_always_be_taken_off(text):
    assert unguarded(guarded(text)) == text


@given(
    words=st.text(alphabet="ab|=#;\\1 \U0001f600", min_size=1, max_size=6).filter(str.strip),
    before=st.text("ab|#=", max_size=4),
)
def test_any_words_come_back_from_the_notation(words, before, tiny_codebook, tmp_path_factory):
    words = words.strip()
    text = f"{before}{words} {words}"
    start = len(text) - len(words)
    foods = [{"text": words, "start": start, "end": len(text), "label": "meat"}]
    content = write_csv([chosen(text, foods=foods)], tiny_codebook, predictions=True)
    path = tmp_path_factory.mktemp("csv") / "todo.csv"
    path.write_text(marked(content), encoding="utf-8", newline="")
    [row] = read_csv(path, tiny_codebook)
    [mention] = gold_sentence(row.answers[""], tiny_codebook, "here").mentions
    assert mention.span == (start, len(text))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("1,Wash.,maybe,,,,", "{path}: row 2: expected 'yes' or nothing in column 'labelled', but found 'maybe'. Correct the cell."),
        ("1,Wash.,yes,,,Wash,", "{path}: row 2: column 'foods': expected words=label, but found 'Wash'. Write the words, = and their label."),
        ("1,Wash.,yes,,,Wash#2=meat,", "{path}: row 2: column 'foods': expected the words of 'Wash#2=meat' in the text, but found 1 such places. Correct the number."),
        ("1,Wash.,yes,,,,,8", "{path}: row 2: expected 7 cells, but found 8. Remove the others."),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_its_column(cells, message, read):
    path, [row] = read(f"{HEADER}\n{cells}\n")
    assert row.problem == message.format(path=path)
    assert row.raw["text"] == "Wash."


@pytest.mark.parametrize("meta", ["{", "[]", '{"score": NaN}', '{"score": 1e999}'])
def test_a_spoilt_meta_cell_is_named(meta, read):
    path, [row] = read(f'id,text,labelled,meta,uncertainty\n1,Wash.,yes,"{meta.replace(chr(34), chr(34) * 2)}",nan\n')
    assert row.problem == (f"{path}: row 2: expected a JSON object in column 'meta', but found {meta!r}. Restore it.")


def test_a_number_that_a_spreadsheet_spoilt_is_left_out(read):
    _, [row] = read("id,text,labelled,uncertainty,selected\n1,Wash.,yes,nan,random\n")
    assert row.answers == {"": {"id": "1", "text": "Wash.", "selected": "random"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,text,labelled\n1,\xff,yes\n", "{path}: expected UTF-8 text, but found other bytes at offset 19. Save it as CSV UTF-8."),
        ("", "{path}: expected a CSV table, but found an empty file. Check the path."),
        ("id,text,stage\n", "{path}: row 1: expected the columns ['id', 'text', 'labelled', 'stage', 'manner', 'foods', 'verdict', 'selected', 'uncertainty', 'uncertain_axis', 'meta'], but found no ['labelled']. Restore the header."),
        ("id,text,labelled,stagee\n", "{path}: row 1: expected the columns ['id', 'text', 'labelled', 'stage', 'manner', 'foods', 'verdict', 'selected', 'uncertainty', 'uncertain_axis', 'meta'], each once, but found also ['stagee']. Remove or rename them."),
    ],
)  # fmt: skip
def test_a_file_that_is_no_such_table_is_refused(content, message, tmp_path, read):
    with pytest.raises(RecordError) as refusal:
        read(content)
    assert str(refusal.value) == message.format(path=tmp_path / "todo.csv")
