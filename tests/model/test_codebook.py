"""The codebook: what it gives the program, and what it refuses, each problem named."""

import contextlib
import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from model.codebook import KINDS, RESERVED, Codebook, load_codebook, parse_codebook
from model.errors import CodebookError

TINY_CODEBOOK = Path(__file__).parent.parent / "data/tiny_codebook.yaml"

GOOD: dict[str, Any] = {
    "name": "birds",
    "version": "1",
    "axes": {
        "species": {
            "kind": "mention",
            "summary": "seen",
            "plain": "other",
            "question": "Which bird?",
            "definition": "Every bird.",
            "labels": {"owl": {"definition": "An owl."}, "other": {"definition": "Another bird."}},
        },
        "weather": {
            "kind": "sentence",
            "question": "Wet?",
            "definition": "The weather.",
            "labels": {"rain": {"definition": "It rains."}},
        },
        "rarity": {
            "kind": "target",
            "plain": "common",
            "question": "How rare?",
            "definition": "Rarity.",
            "labels": {"common": {"definition": "Often seen."}, "rare": {"definition": "Seldom seen."}},
        },
    },
}


def parse(data: object) -> Codebook:
    return parse_codebook(yaml.safe_dump(data, sort_keys=False), "birds.yaml")


def edited(path: str, value: object) -> dict[str, Any]:
    """The good codebook with one field set; None takes the field away."""
    data = copy.deepcopy(GOOD)
    *parents, last = path.split("/")
    place = data
    for part in parents:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


def test_the_projects_codebook_holds_an_axis_of_every_kind(codebook: Codebook) -> None:
    assert {axis.kind for axis in codebook.axes} == set(KINDS)


def test_labels_keep_the_order_of_the_file(tiny_codebook: Codebook) -> None:
    assert [axis.name for axis in tiny_codebook.axes] == ["foods", "stage", "manner", "verdict"]
    assert tiny_codebook.axes[3].label_names == ("tasty", "undecided", "too salty")


def test_the_columns_of_the_sentence_head_run_through_all_sentence_axes(tiny_codebook: Codebook) -> None:
    assert tiny_codebook.sentence_labels == (
        ("stage", "start"),
        ("stage", "finish"),
        ("manner", "gentle"),
        ("manner", "fierce"),
    )


def test_the_derived_axis_has_every_label_but_the_plain_one(tiny_codebook: Codebook) -> None:
    assert tiny_codebook.mention_axis is not None
    assert tiny_codebook.mention_axis.summary == "diet"
    assert tiny_codebook.mention_axis.summary_labels == ("meat", "plant")


def test_an_axis_of_each_kind_may_be_missing() -> None:
    weather = parse({**GOOD, "axes": {"weather": GOOD["axes"]["weather"]}})
    assert weather.mention_axis is None
    assert weather.target_axis is None
    species = parse({**GOOD, "axes": {"species": GOOD["axes"]["species"]}})
    assert species.sentence_axes == ()
    assert species.sentence_labels == ()


def test_the_hash_is_that_of_the_files_bytes(tiny_codebook: Codebook) -> None:
    assert tiny_codebook.sha256 == hashlib.sha256(TINY_CODEBOOK.read_bytes()).hexdigest()


def test_the_source_of_a_codebook_parses_to_the_same_codebook(tiny_codebook: Codebook) -> None:
    assert parse_codebook(tiny_codebook.source, "again") == tiny_codebook


def test_plain_data_of_a_codebook_holds_all_of_it(tiny_codebook: Codebook) -> None:
    data = json.loads(json.dumps(tiny_codebook.to_dict()))
    written = yaml.safe_load(TINY_CODEBOOK.read_text())
    assert {key: data[key] for key in ("name", "version", "language")} == {
        "name": "kitchen-notes",
        "version": "0.2",
        "language": "en",
    }
    assert data["sha256"] == tiny_codebook.sha256
    assert [axis["name"] for axis in data["axes"]] == list(written["axes"])
    for axis in data["axes"]:
        entry = written["axes"][axis["name"]]
        assert {key: axis[key] for key in ("kind", "question", "definition")} == {
            key: entry[key] for key in ("kind", "question", "definition")
        }
        assert (axis["plain"], axis["summary"]) == (entry.get("plain"), entry.get("summary"))
        assert axis["labels"] == [
            {"name": name, "definition": label["definition"], "examples": label.get("examples", [])}
            for name, label in entry["labels"].items()
        ]
        assert axis["rules"] == entry.get("rules", [])
        assert axis["hard_cases"] == entry.get("hard_cases", [])


def test_outer_white_space_of_a_text_is_dropped() -> None:
    assert parse(edited("axes/weather/question", " Wet? \n")).axes[1].question == "Wet?"


def test_a_language_that_is_not_given_is_english() -> None:
    assert parse(GOOD).language == "en"


FIELDS = "['definition', 'exclusive', 'hard_cases', 'kind', 'labels', 'plain', 'question', 'rules', 'summary']"
REFUSALS = [
    ("name", None, "birds.yaml: codebook.name: expected a text that is not empty, but found nothing. Correct the field."),
    ("name", "  ", "birds.yaml: codebook.name: expected a text that is not empty, but found '  '. Correct the field."),
    ("version", 1.4, "birds.yaml: codebook.version: expected a text that is not empty, but found 1.4. Correct the field."),
    (
        "authors",
        "me",
        "birds.yaml: codebook.authors: expected one of the fields ['axes', 'language', 'name', 'version'], "
        "but found 'authors'. Remove or rename it.",
    ),
    ("axes", {}, "birds.yaml: axes: expected a mapping of at least one axis, but found {}. Correct the field."),
    (
        "axes/weather/kind",
        "span",
        "birds.yaml: axes.weather.kind: expected one of ['mention', 'sentence', 'target'], but found 'span'. "
        "Correct the field.",
    ),
    (
        "axes/weather",
        "wet",
        f"birds.yaml: axes.weather: expected a mapping with the fields {FIELDS}, but found 'wet'. Correct the field.\n"
        "birds.yaml: axes.weather.kind: expected one of ['mention', 'sentence', 'target'], but found nothing. "
        "Correct the field.\n"
        "birds.yaml: axes.weather.labels: expected a mapping of at least one label, but found nothing. "
        "Correct the field.\n"
        "birds.yaml: axes.weather.question: expected a text that is not empty, but found nothing. Correct the field.\n"
        "birds.yaml: axes.weather.definition: expected a text that is not empty, but found nothing. Correct the field.",
    ),
    (
        "axes/weather/note",
        "x",
        f"birds.yaml: axes.weather.note: expected one of the fields {FIELDS}, but found 'note'. Remove or rename it.",
    ),
    (
        "axes/weather/labels",
        ["rain"],
        "birds.yaml: axes.weather.labels: expected a mapping of at least one label, but found ['rain']. "
        "Correct the field.",
    ),
    (
        "axes/weather/labels/rain",
        {"examples": "Wet."},
        "birds.yaml: axes.weather.labels.rain.definition: expected a text that is not empty, but found nothing. "
        "Correct the field.\n"
        "birds.yaml: axes.weather.labels.rain.examples: expected a list of texts, but found 'Wet.'. Correct the field.",
    ),
    (
        "axes/weather/exclusive",
        "yes",
        "birds.yaml: axes.weather.exclusive: expected true or false, and true on a sentence axis alone, "
        "but found 'yes'. Correct the field.",
    ),
    (
        "axes/rarity/exclusive",
        True,
        "birds.yaml: axes.rarity.exclusive: expected true or false, and true on a sentence axis alone, "
        "but found True. Correct the field.",
    ),
    (
        "axes/weather/plain",
        "rain",
        "birds.yaml: axes.weather.plain: expected one of the labels ['rain'] of a mention or target axis, "
        "but found 'rain'. Correct the field.",
    ),
    (
        "axes/rarity/plain",
        "usual",
        "birds.yaml: axes.rarity.plain: expected one of the labels ['common', 'rare'] of a mention or target axis, "
        "but found 'usual'. Correct the field.",
    ),
    (
        "axes/rarity/plain",
        None,
        "birds.yaml: axes.rarity.plain: expected one of the labels ['common', 'rare'], for cases in doubt, "
        "but found nothing. Add it.",
    ),
    (
        "axes/weather/summary",
        "wetness",
        "birds.yaml: axes.weather.summary: expected a new axis name, on a mention axis, but found 'wetness'. "
        "Correct the field.",
    ),
    (
        "axes/species/summary",
        "weather",
        "birds.yaml: axes.species.summary: expected a name that no axis has, but found 'weather'. Correct the field.",
    ),
    (
        "axes/species/summary",
        "scores",
        "birds.yaml: axes.species.summary: expected a new axis name, on a mention axis, but found 'scores'. "
        "Correct the field.",
    ),
    (
        "axes/species/rules",
        ["one", 2],
        "birds.yaml: axes.species.rules: expected a list of texts, but found ['one', 2]. Correct the field.",
    ),
    (
        "axes/species/hard_cases",
        [{"text": "barn owl", "label": "barn"}],
        "birds.yaml: axes.species.hard_cases[0].label: expected one of ['owl', 'other'] or null, but found 'barn'. "
        "Correct the field.",
    ),
    (
        "axes/species/hard_cases",
        "barn owl",
        "birds.yaml: axes.species.hard_cases: expected a list, but found 'barn owl'. Correct the field.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), REFUSALS)
def test_a_refusal_names_file_field_and_remedy(path: str, value: object, message: str) -> None:
    with pytest.raises(CodebookError) as refusal:
        parse(edited(path, value))
    assert str(refusal.value) == message


@pytest.mark.parametrize("name", [*sorted(RESERVED), "two words", "1st"])
def test_an_axis_cannot_take_a_name_that_records_need(name: str) -> None:
    axes = {name: GOOD["axes"]["weather"]}
    with pytest.raises(CodebookError) as refusal:
        parse({**GOOD, "axes": axes})
    assert str(refusal.value) == (
        f"birds.yaml: axes.{name}: expected a name of letters, digits and _ that is none of {sorted(RESERVED)}, "
        f"but found {name!r}. Correct the field."
    )


@pytest.mark.parametrize("kind", ["mention", "target"])
def test_a_second_mention_or_target_axis_is_refused(kind: str) -> None:
    first = next(name for name, axis in GOOD["axes"].items() if axis["kind"] == kind)
    data = edited("axes/more", copy.deepcopy(GOOD["axes"][first]))
    data["axes"]["more"].pop("summary", None)
    with pytest.raises(CodebookError) as refusal:
        parse(data)
    assert str(refusal.value) == (
        f"birds.yaml: axes: expected at most one axis of kind '{kind}', but found {[first, 'more']}. Keep one of them."
    )


def test_a_label_that_yaml_reads_as_a_truth_value_is_refused() -> None:
    source = yaml.safe_dump(GOOD, sort_keys=False).replace("rain:", "no:")
    with pytest.raises(CodebookError) as refusal:
        parse_codebook(source, "birds.yaml")
    assert str(refusal.value) == (
        "birds.yaml: axes.weather.labels.False: expected a text as the label's name, but found False. Put it in quotes."
    )


def test_all_problems_are_named_at_once() -> None:
    data = edited("axes/weather/kind", "span")
    data["axes"]["rarity"]["plain"] = "usual"
    del data["name"]
    with pytest.raises(CodebookError) as refusal:
        parse(data)
    fields = [line.split(": ")[1] for line in str(refusal.value).splitlines()]
    assert fields == ["axes.weather.kind", "axes.rarity.plain", "codebook.name"]


def test_of_many_problems_ten_are_shown_and_all_are_counted() -> None:
    # 12 labels without a definition are 12 problems.
    labels: dict[str, Any] = {f"label{n}": {} for n in range(12)}
    with pytest.raises(CodebookError) as refusal:
        parse(edited("axes/weather/labels", labels))
    lines = str(refusal.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "… and 2 more of 12 problems"


def test_a_long_value_is_shown_cut() -> None:
    with pytest.raises(CodebookError) as refusal:
        parse(edited("axes/weather/kind", "x" * 500))
    assert str(refusal.value).endswith(f"but found '{'x' * 78}…. Correct the field.")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CodebookError) as refusal:
        load_codebook(tmp_path / "none.yaml")
    assert str(refusal.value) == (
        f"{tmp_path}/none.yaml: expected a codebook file, but found No such file or directory. "
        "Give the path of a YAML file."
    )


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes("name: vögel".encode("latin-1"))
    with pytest.raises(CodebookError) as refusal:
        load_codebook(file)
    assert str(refusal.value) == f"{file}: expected UTF-8 text, but found other bytes. Save it as UTF-8."


def test_broken_yaml_is_refused_with_its_line() -> None:
    with pytest.raises(CodebookError) as refusal:
        parse_codebook("name: birds\naxes: [weather\nversion: x", "birds.yaml")
    assert str(refusal.value) == (
        "birds.yaml:3: expected YAML, but found expected ',' or ']', but got ':'. Correct the file."
    )


PLAIN_DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "axes", "kind", "labels", "plain", "summary"]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=8,
)


@given(data=PLAIN_DATA, path=st.sampled_from(["axes", "axes/species", "axes/species/labels", "axes/rarity/plain"]))
def test_no_data_does_worse_than_a_refusal(data: object, path: str) -> None:
    if data is not None:
        data = edited(path, data)
    with contextlib.suppress(CodebookError):
        parse(data)


@given(st.text(max_size=40))
def test_no_text_does_worse_than_a_refusal(source: str) -> None:
    with pytest.raises(CodebookError):
        parse_codebook(source, "birds.yaml")


def test_a_key_that_stands_twice_is_refused_with_its_line():
    source = "name: a\nversion: '1'\nname: b\naxes: {}\n"
    with pytest.raises(CodebookError, match=r"^mine\.yaml:3: expected YAML, but found the key 'name' twice\."):
        parse_codebook(source, "mine.yaml")
