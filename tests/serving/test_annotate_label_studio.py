"""Tasks for Label Studio, their configuration, and exports of every kind that it makes."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from model.codebook import parse_codebook
from model.errors import CodebookError, RecordError
from model.records import gold_sentence
from serving.annotation_forms import check_names
from serving.label_studio import labelling_config, read_tasks, write_tasks
from serving.selection import Candidate, Chosen

TEXT = "First sear the beef hard."
BEEF = {"start": 15, "end": 19, "text": "beef"}
EMOJI = "🍲🍲 Sear the bee\u0301f 👩‍🍳 with leek."  # an e with a combining accent; a cook of three code points
LEEK = EMOJI.index("leek")

ONE_LABEL = """
name: small
version: "1"
axes:
  ask:
    kind: target
    plain: no
    question: Is it?
    definition: d
    labels: {"yes": {definition: d}, "no": {definition: d}}
  when:
    kind: sentence
    exclusive: true
    question: When?
    definition: d
    labels: {now: {definition: d}, later: {definition: d}}
""".replace("plain: no", 'plain: "no"')


def region(name="foods", label="meat", identifier="r0", kind="labels", **value):
    value = BEEF | value
    return {"id": identifier, "from_name": name, "to_name": "text", "type": kind, "value": value | {kind: [label]}}


def choices(name, *labels, identifier="s0"):
    value = {"choices": list(labels)}
    return {"id": identifier, "from_name": name, "to_name": "text", "type": "choices", "value": value}


def annotation(*result, by=1, **more):
    return {"id": 5, "completed_by": by, "was_cancelled": False, "result": list(result), **more}


def task(*annotations, text=TEXT, **data):
    return {"id": 17, "data": {"id": "a:1", "text": text, **data}, "annotations": list(annotations)}


@pytest.fixture
def read(tmp_path, tiny_codebook):
    """Read an export of these tasks."""

    def read_export(*tasks, codebook=tiny_codebook):
        path = tmp_path / "export.json"
        path.write_text(json.dumps(tasks))
        return list(read_tasks(path, codebook))

    return read_export


def gold(row, codebook, name="1"):
    return gold_sentence(row.answers[name], codebook, "here")


# ---- Out ----


def test_a_task_carries_the_suggestion_in_the_result_format(tiny_codebook):
    suggestion = {
        "foods": [{"text": "beef", "start": 15, "end": 19, "label": "meat"}],
        "stage": ["start"],
        "manner": [],
        "verdict": [
            {"target": "beef", "start": 15, "end": 19, "label": "tasty"},
            {"target": "sear", "start": 6, "end": 10, "label": "undecided"},
        ],
    }
    chosen = Chosen(Candidate("a:1", TEXT, "a", 0.25, "stage", suggestion, {"outlet": "Wire"}), "random")
    [written] = json.loads(write_tasks([chosen], tiny_codebook, True, "tiny 1"))
    sear = {"start": 6, "end": 10, "text": "sear"}
    assert written == {
        "data": {
            "id": "a:1", "text": TEXT, "meta": {"article": "a", "outlet": "Wire"},
            "selected": "random", "uncertainty": 0.25, "uncertain_axis": "stage",
        },
        "predictions": [
            {
                "model_version": "tiny 1",
                "score": 0.75,
                "result": [
                    region(),
                    region("verdict", "tasty", kind="choices"),
                    region("targets", "target", "r1", **sear),
                    region("verdict", "undecided", "r1", "choices", **sear),
                    choices("stage", "start"),
                ],
            }
        ],
    }  # fmt: skip
    [bare] = json.loads(write_tasks([chosen], tiny_codebook, False, "tiny 1"))
    assert bare == {"data": written["data"]}


def test_the_configuration_has_a_control_for_each_axis(tiny_codebook):
    root = ElementTree.fromstring(labelling_config(tiny_codebook))
    controls = {tag.attrib["name"]: tag for tag in root if "toName" in tag.attrib}
    assert {name: [label.attrib["value"] for label in tag] for name, tag in controls.items()} == {
        "foods": ["meat", "plant", "staple"],
        "targets": ["target"],
        "verdict": ["tasty", "undecided", "too salty"],
        "stage": ["start", "finish"],
        "manner": ["gentle", "fierce"],
    }
    assert {name: tag.tag for name, tag in controls.items() if tag.tag == "Labels"} == {
        "foods": "Labels",
        "targets": "Labels",
    }
    assert controls["verdict"].attrib | {"choice": "single", "perRegion": "true"} == controls["verdict"].attrib
    assert controls["stage"].attrib["choice"] == "multiple"
    assert root.find("Text").attrib == {"name": "text", "value": "$text"}


def test_an_axis_with_exactly_one_label_is_a_single_choice_that_is_required():
    root = ElementTree.fromstring(labelling_config(parse_codebook(ONE_LABEL, "small")))
    when = root.find("Choices[@name='when']")
    assert (when.attrib["choice"], when.attrib["required"]) == ("single", "true")


def test_markup_in_definitions_is_escaped(tiny_codebook):
    axis = tiny_codebook.axes[1]
    label = replace(axis.labels[0], definition='<b> & "so"')
    book = replace(tiny_codebook, axes=(replace(axis, labels=(label,)),))
    root = ElementTree.fromstring(labelling_config(book))
    assert root.find("Choices/Choice").attrib["hint"] == '<b> & "so"'


def test_a_control_character_in_a_codebook_is_refused(tiny_codebook):
    book = replace(tiny_codebook, axes=(replace(tiny_codebook.axes[1], question="a\x01b"),))
    with pytest.raises(
        CodebookError, match=r"^codebook kitchen-notes: expected names and definitions that XML can carry, "
    ):
        labelling_config(book)


def test_an_axis_called_as_a_field_of_the_forms_is_refused(tiny_codebook):
    book = replace(tiny_codebook, axes=(replace(tiny_codebook.axes[1], name="selected"),))
    with pytest.raises(CodebookError) as refusal:
        check_names(book)
    assert str(refusal.value) == (
        "codebook kitchen-notes: axes: expected names that are none of ['labelled', 'meta', 'selected', 'suggested', "
        "'uncertain_axis', 'uncertainty'], but found ['selected']. Rename the axis."
    )


# ---- Back ----


def test_an_annotation_becomes_a_gold_record(read, tiny_codebook):
    made = annotation(region(), region("verdict", "too salty", kind="choices"), choices("stage", "start", "finish"))
    [row] = read(task(made, meta={"article": "a", "outlet": "Wire"}, selected="random"))
    assert row.where.endswith("export.json: task 17")
    found = gold(row, tiny_codebook)
    assert (found.id, found.article, found.extra) == (
        "a:1",
        "a",
        {"article": "a", "outlet": "Wire", "selected": "random"},
    )
    assert [(m.span, m.label) for m in found.mentions] == [((15, 19), "meat")]
    assert [(t.span, t.label) for t in found.targets] == [((15, 19), "too salty")]
    assert found.labels == {"stage": {"start", "finish"}, "manner": frozenset()}


def test_an_annotation_without_results_says_that_nothing_holds(read, tiny_codebook):
    found = gold(read(task(annotation()))[0], tiny_codebook)
    assert (found.mentions, found.targets, found.labels["stage"]) == ((), (), frozenset())


def test_a_task_that_was_skipped_or_not_reached_is_not_labelled(read):
    rows = read(task(), task(annotation(region(), was_cancelled=True)))
    assert [(row.answers, row.problem) for row in rows] == [({}, None), ({}, None)]


def test_offsets_in_code_points_are_read(read, tiny_codebook):
    [row] = read(task(annotation(region("foods", "plant", start=LEEK, end=LEEK + 4, text="leek")), text=EMOJI))
    assert gold(row, tiny_codebook).mentions[0].span.of(EMOJI) == "leek"


def test_offsets_in_utf_16_units_are_read(read, tiny_codebook):
    start = len(EMOJI[:LEEK].encode("utf-16-le")) // 2
    assert start == LEEK + 4  # two pots, and two halves of the cook, lie outside the basic plane
    [row] = read(task(annotation(region("foods", "plant", start=start, end=start + 4, text="leek")), text=EMOJI))
    assert gold(row, tiny_codebook).mentions[0].span.of(EMOJI) == "leek"


def test_one_annotation_counts_in_one_unit(read, tiny_codebook):
    # The first region would fit in code points too, on the second "a"; only as UTF-16 units do both fit.
    text = "🍲 aa, leek"
    [row] = read(
        task(
            annotation(
                region("foods", "meat", "r0", start=3, end=4, text="a"),
                region("foods", "plant", "r1", start=7, end=11, text="leek"),
            ),
            text=text,
        )
    )  # fmt: skip
    assert [m.span for m in gold(row, tiny_codebook).mentions] == [(2, 3), (6, 10)]


def test_combining_characters_stay_with_their_letter(read, tiny_codebook):
    start = EMOJI.index("bee")
    [row] = read(task(annotation(region(start=start, end=start + 5, text="bee\u0301f")), text=EMOJI))
    assert gold(row, tiny_codebook).mentions[0].span.of(EMOJI) == "bee\u0301f"


def test_spaces_at_the_ends_of_a_region_are_left_out(read, tiny_codebook):
    [row] = read(task(annotation(region(start=14, end=20, text=" beef "))))
    assert gold(row, tiny_codebook).mentions[0].span == (15, 19)


def test_of_one_annotator_the_latest_annotation_counts(read, tiny_codebook):
    old = annotation(choices("stage", "start"), updated_at="2024-01-01T00:00:00Z")
    new = annotation(choices("stage", "finish"), updated_at="2024-01-02T00:00:00Z")
    [row] = read(task(new, old))
    assert gold(row, tiny_codebook).labels["stage"] == {"finish"}


def test_annotators_are_known_by_number_or_by_address(read):
    [row] = read(task(annotation(by=3), annotation(by={"id": 4, "email": "ada@example.org"})))
    assert list(row.answers) == ["3", "ada@example.org"]


def test_notes_and_relations_that_a_project_adds_are_passed_over(read, tiny_codebook):
    note = {"id": "n", "from_name": "note", "to_name": "text", "type": "textarea", "value": {"text": ["hm"]}}
    relation = {"type": "relation", "from_id": "r0", "to_id": "r1", "direction": "right"}
    assert gold(read(task(annotation(note, relation)))[0], tiny_codebook).mentions == ()


def test_targets_come_back_where_there_is_no_mention_axis(read):
    book = parse_codebook(ONE_LABEL, "small")
    made = annotation(region("targets", "target"), region("ask", "yes", kind="choices"), choices("when", "now"))
    found = gold(read(task(made), codebook=book)[0], book)
    assert [(t.span, t.label) for t in found.targets] == [((15, 19), "yes")]
    assert found.labels == {"when": {"now"}}


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (region(start=16), "expected a region of the text, but found start=16, end=19 for 'beef'. Mark it again."),
        (region(start=None), "expected a region of the text, but found start=None, end=19 for 'beef'. Mark it again."),
        (region("food"), "expected controls named ['foods', 'stage', 'manner', 'verdict', 'targets'], but found 'food'. Use the configuration of the export."),
        (choices("stage"), "'stage': expected labels, but found []. Label or delete the region."),
        (region() | {"value": BEEF | {"labels": ["meat", "plant"]}}, "'foods': expected one label a region, but found ['meat', 'plant']. Keep the one that holds best."),
        ("x", "expected results with a 'value', but found x. Export as JSON."),
    ],
)  # fmt: skip
def test_a_bad_annotation_is_named_with_its_task_and_annotator(bad, problem, read, tmp_path):
    [row] = read(task(annotation(bad)))
    place = f"{tmp_path}/export.json: task 17: annotator 1: "
    assert row.problem.removeprefix(place) == problem


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ({"id": 17, "text": TEXT, "foods": []}, "task 17: expected the fields 'data' and 'annotations', but found others. Export as JSON, not as JSON-MIN."),
        (3, "task number 1: expected the fields 'data' and 'annotations', but found others. Export as JSON, not as JSON-MIN."),
        (task(annotation(), text=None), "task 17: expected a text in 'text' of its data, but found None. Name the field so."),
        (task(3), "task 17: expected annotations with a list 'result', but found 3. Export as JSON."),
    ],
)  # fmt: skip
def test_a_bad_task_is_named(bad, problem, read, tmp_path):
    assert read(bad)[0].problem == f"{tmp_path}/export.json: {problem}"


@pytest.mark.parametrize(
    ("content", "found"),
    [("{}", "expected a list of tasks, but found dict. Export the project as JSON."), ("no", "expected JSON, but found other text. Export the project as JSON."), ("[NaN]", "expected JSON, but found other text. Export the project as JSON.")],
)  # fmt: skip
def test_a_file_that_is_no_export_is_refused(content, found, tmp_path, tiny_codebook):
    path = Path(tmp_path / "export.json")
    path.write_text(content)
    with pytest.raises(RecordError) as refusal:
        list(read_tasks(path, tiny_codebook))
    assert str(refusal.value) == f"{path}: {found}"
