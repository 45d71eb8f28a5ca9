"""The cards say what the manifest and the data say, and nothing else; stale ones are found here."""

import copy
import hashlib
import json
import re
import shutil

import pytest

from model.errors import ConfigError
from model.weights import CODEBOOK, MANIFEST, RELEASE
from training.cards import ENCODERS, cards, data_card, main, model_card, part_of, read_yaml, weakest_labels
from training.intervals import LEVEL
from training.scored_axes import scored_axes
from training.sources import TRAIN, TRANSFER, Source

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-\d+)?(?!\w)")
CODE = re.compile(r"`[^`]*`")


def leaves(value):
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in [key, *leaves(inner)]]
    return [leaf for inner in value for leaf in leaves(inner)] if isinstance(value, list) else [value]


def numbers_of(*texts):
    return {found.rstrip(",") for text in texts for found in NUMBER.findall(text)}


def numbers_that_may_stand(release):
    """Every number of manifest and codebook, in each form in which a card may show it."""
    held = leaves(json.loads((release / MANIFEST).read_text(encoding="utf-8")))
    forms = {str(round(100 * LEVEL))}
    for leaf in held:
        if isinstance(leaf, float):
            # The sign of a number in a text is no part of it here: it may be a dash.
            forms |= {f"{leaf:.3f}", f"{leaf:g}", f"{leaf:.1e}", json.dumps(abs(leaf))}
        elif isinstance(leaf, int):
            forms |= {str(leaf), f"{leaf:,}"}
    strings = [leaf for leaf in held if isinstance(leaf, str)]
    return forms | numbers_of(*strings, (release / CODEBOOK).read_text(encoding="utf-8"))


@pytest.fixture
def altered(tmp_path, tiny_release):
    """Give a copy of the tiny release whose manifest a function has altered."""

    def alter(change):
        folder = tmp_path / "release"
        shutil.copytree(tiny_release, folder)
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
        return folder

    return alter


# ---- The project's own cards ----


@pytest.mark.parametrize("path", cards(), ids=lambda path: path.parent.name)
def test_a_card_is_as_fresh_as_manifest_and_sources(path):
    assert path.read_text(encoding="utf-8") == cards()[path], "stale: run `python -m training.cards`"


@pytest.mark.parametrize("shipped", [True, False], ids=["shipped", "tiny"])
def test_every_number_of_a_model_card_occurs_in_the_manifest(shipped, request):
    release = RELEASE if shipped else request.getfixturevalue("tiny_release")
    text = model_card(release, read_yaml(ENCODERS))
    assert len(numbers_of(text)) > 20
    assert numbers_of(CODE.sub("", text)) - numbers_that_may_stand(release) == set()


def test_every_hash_of_the_model_card_begins_one_of_the_manifest(tiny_release):
    manifest = (tiny_release / MANIFEST).read_text(encoding="utf-8")
    known = [*re.findall(r"\b[0-9a-f]{64}\b", manifest), hashlib.sha256(manifest.encode()).hexdigest()]
    shown = re.findall(r"`([0-9a-f]{12,64})`", model_card(tiny_release, {}))
    assert len(shown) >= 4  # a source, the encoder, the codebook, the manifest
    assert [text for text in shown if not any(one.startswith(text) for one in known)] == []


def test_writing_the_cards_again_changes_nothing(capsys):
    before = {path: path.read_bytes() for path in cards()}
    assert main() == 0
    assert capsys.readouterr().out.split() == [str(path) for path in before]
    assert {path: path.read_bytes() for path in before} == before


# ---- The model card of another release ----


def test_the_model_card_shows_every_label_and_every_source_of_its_release(tiny_release, tiny_codebook):
    text = model_card(tiny_release, {})
    for axis in tiny_codebook.axes:
        assert f"**{axis.name}**: {axis.question}" in text
        assert all(f"| {label.name} | {label.definition} |" in text for label in axis.labels)
    assert "| kitchen notes | 24 | 8 | train | MIT | the tests |" in text


def test_the_licence_of_an_encoder_is_found_by_its_weights(tiny_release):
    sha256 = json.loads((tiny_release / MANIFEST).read_text(encoding="utf-8"))["encoder"]["sha256"]
    assert "licence MIT, sha256" in model_card(tiny_release, {sha256: "MIT"})
    assert "licence not recorded, sha256" in model_card(tiny_release, {})


def test_intervals_and_calibration_are_shown_where_the_manifest_has_them(altered):
    def measure(manifest):
        manifest["metrics"]["dev"]["stage"] |= {"macro_f1": 0.5, "macro_f1_interval": [0.25, 0.75]}
        manifest["metrics"]["dev"]["calibration"] = {"stage": {"ece": 0.03125, "brier": 0.125}}

    text = model_card(altered(measure), {})
    assert "95 % intervals by bootstrap over articles" in text
    assert "| stage | 0.500 (0.250 to 0.750) |" in text
    assert "Calibration on dev: stage expected calibration error 0.031, Brier score 0.125." in text


def test_the_spread_over_seeds_is_shown_beside_their_averaged_weights(altered):
    def three_seeds(manifest):
        manifest["config"]["keep_heads"] = True
        manifest["origin"] = {
            "start": {"name": "before", "version": "1", "encoder": "tiny", "trained_on": 7, "manifest_sha256": "0" * 64}
        }
        scores = dict.fromkeys(["foods", "diet", "stage", "manner", "verdict"], 0.5)
        manifest["seeds"] = [
            {"seed": 7, "scores": {"dev": scores}},
            {"seed": 8, "scores": {"dev": scores | {"stage": 0.625}}},
            {"seed": None, "scores": {"dev": scores | {"stage": 0.75}}},
        ]

    text = model_card(altered(three_seeds), {})
    assert "in their seed alone (7, 8)" in text
    assert "| stage | 0.500 to 0.625; 0.750 |" in text
    assert "- Started from the weights of before 1 on tiny, trained on 7 sentences" in text


def test_no_interval_is_spoken_of_where_there_is_none(tiny_release):
    assert "interval" not in model_card(tiny_release, {}).partition("## How good it is")[2].partition("## How sure")[0]


def test_optional_parts_of_a_manifest_may_be_missing(altered):
    def strip(manifest):
        for key in ("metrics", "parity", "versions"):
            del manifest[key]
        for key in ("train_labels", "dropped_as_shared", "transfer", "test"):
            del manifest["data"][key]
        manifest["calibration"] = {}

    text = model_card(altered(strip), {})
    assert "Sentences by part: train 15, dev 6, test –, transfer –." in text
    assert "| foods | – | – | – |" in text


def test_a_part_of_another_name_is_shown_too(altered):
    def rename(manifest):
        manifest["metrics"] = {"kitchen": manifest["metrics"]["dev"]}

    assert re.search(
        r"- \*\*kitchen\*\*: 6 sentences of 2 articles; see the manifest\.", model_card(altered(rename), {})
    )


def test_markup_in_a_manifest_is_text_in_the_card(altered):
    def mark(manifest):
        manifest["data"]["sources"][0]["licence"] = "a|b <i>*c*</i>\nd"

    assert r"| a\|b \<i\>\*c\*\</i\> d |" in model_card(altered(mark), {})


def test_a_model_that_is_not_to_be_given_away_says_so(altered):
    text = model_card(altered(lambda manifest: manifest.update(not_to_be_given_away=["secret notes"])), {})
    assert "**Not to be given away**, because of secret notes." in text


def test_the_weakest_labels_are_those_of_lowest_f1_that_gold_holds(tiny_codebook):
    def row(f1, support):
        return {"f1": f1, "support": support}

    metrics = {
        "stage": {"labels": {"start": row(0.5, 4), "finish": row(0.0, 0)}},
        "manner": {"labels": {"gentle": row(0.25, 1), "fierce": row(0.75, 2)}},
        "verdict": {"labels": {"tasty": row(1.0, 1)}},
    }
    found = weakest_labels(metrics, scored_axes(tiny_codebook))
    assert [(item["axis"], item["label"]) for item in found] == [
        ("manner", "gentle"),
        ("stage", "start"),
        ("manner", "fierce"),
    ]


# ---- The data card ----

MARKED = "".join(f"<!-- generated: {name} -->\nold\n<!-- end -->\n" for name in ("sources", "agreement", "bias"))
SOURCES = [
    Source(name="soups", role=TRAIN, licence="MIT", annotators="two cooks", credit="Cook 2020"),
    Source(name="broths", role=TRANSFER, licence="none stated", annotators="a cook", file="data/broths.jsonl"),
]
DATA = {
    "name": "kitchen",
    "version": "1",
    "data": {"sources": [{"name": "soups", "sentences": 1200, "articles": 30}]},
}
AGREEMENT = {
    "readings": [{"source": "soups", "sentences": 50, "how": "read twice", "figures": {"diet": 0.9}}],
    "bias": {"broths": "thin"},
}


def test_generated_parts_are_replaced_and_the_rest_is_left_alone():
    text = data_card("# Before\n" + MARKED + "after\n", SOURCES, DATA, AGREEMENT)
    assert text.startswith("# Before\n<!-- generated: sources -->\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert "| soups | 1,200 | 30 | train, dev, test by article | MIT | Cook 2020 | two cooks |" in text
    assert "| soups | 50 | – | 0.90 | read twice |" in text
    assert "No figure was measured: broths." in text
    assert "- broths: thin" in text


def test_a_source_that_the_manifest_lacks_has_no_counts():
    row = "| broths (`data/broths.jsonl`) | – | – | transfer: never trained on | none stated | – | a cook |"
    assert row in data_card(MARKED, SOURCES, DATA, AGREEMENT)


def test_generating_twice_gives_the_same():
    once = data_card(MARKED, SOURCES, DATA, AGREEMENT)
    assert data_card(once, SOURCES, DATA, AGREEMENT) == once


def test_missing_markers_are_refused():
    with pytest.raises(ConfigError) as refusal:
        data_card("<!-- generated: bias -->\n<!-- end -->\n", SOURCES, DATA, AGREEMENT)
    assert str(refusal.value) == (
        "data card: expected one pair of markers each for ['agreement', 'bias', 'sources'], but found ['bias']. "
        "Write <!-- generated: NAME --> and <!-- end --> around each part."
    )


def test_agreement_of_an_unknown_source_is_refused():
    agreement = copy.deepcopy(AGREEMENT) | {"bias": {"stews": "thick"}}
    with pytest.raises(ConfigError) as refusal:
        data_card(MARKED, SOURCES, DATA, agreement)
    assert str(refusal.value) == (
        "agreement.yaml: expected sources of ['broths', 'soups'], but found ['stews']. Correct the names."
    )


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({}, "train, dev, test by article"),
        ({"fixed_part": "train"}, "train"),
        ({"axis": "verdict"}, "train (verdict only), without articles of dev and test"),
        ({"role": TRANSFER}, "transfer: never trained on"),
        ({"benchmark": True}, "benchmark: in no weights that are given away"),
    ],
)
def test_a_source_says_what_it_is_used_for(fields, part):
    assert part_of(Source(**{"name": "x", "role": TRAIN, "licence": "MIT", "annotators": "y", **fields})) == part
