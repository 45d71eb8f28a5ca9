"""The benchmark recipes: each trains, is scored on a file in its corpus' own form, builds and serves; on made-up rows."""

import json
import tomllib

import pytest
import yaml
from click.testing import CliRunner

from model.codebook import load_codebook
from serving.cli import main
from tests.conftest import ROOT
from training.project import CONFIG, load_run_config
from training.sources import load_sources

# A recipe has one axis; torch remarks that the heads of the others are empty.
pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
RECIPES = ROOT / "training/recipes"
NAMES = sorted(path.name for path in RECIPES.iterdir() if path.is_dir())
WORDS = ("beef", "bread", "lamb", "rice", "ham", "kale")
VERBS = ("sear", "simmer", "serve", "taste")


def newsmtsc_rows():
    for n in range(48):
        word = WORDS[n % len(WORDS)]
        text = f"First {VERBS[n % 4]} the {word} {n}."
        start = text.index(word)
        identifier = f"polusa_{n // 3}_1_{n % 3}_{word}_{start}_{start + len(word)}"
        yield {"id": identifier, "sentence": text, "from": start, "to": start + len(word), "polarity": n % 3 - 1}


def plover_rows():
    for n in range(48):
        text = f"First {VERBS[n % 4]} the {WORDS[n % 6]} {n // 4}."
        yield {"sentence": text, "marked": f"<s>{text}</s>", "quad": n % 4 + 1, "root": "X"}


ROWS = {"newsmtsc": newsmtsc_rows, "plover": plover_rows}


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture(scope="module")
def small(tmp_path_factory, tiny_config):
    """The tiny encoder and a run of seconds, as values that win over a recipe's configuration."""
    values = tiny_config.to_dict()
    keys = [
        "encoder_name",
        "encoder_sha256",
        "encoder_packages",
        "bfloat16",
        "threads",
        "batch_size",
        "learning_rate",
        "head_learning_rate",
        "train_embeddings",
        "group",
        "max_tokens",
        "min_steps",
    ]
    chosen = {key: values[key] for key in keys} | {"epochs": 2, "folds": 2, "folds_below": 10, "dev_share": 0.3}
    texts = {key: json.dumps(list(value) if isinstance(value, tuple) else value) for key, value in chosen.items()}
    return [part for key, text in texts.items() for part in ("--set", f"{key}={text}")]


@pytest.fixture(scope="module", params=NAMES)
def trained(request, tmp_path_factory, tiny_encoder, small):
    """A recipe's name, a corpus of made-up rows in its form, and the weights that `newsframe train` made of it."""
    folder = tmp_path_factory.mktemp(request.param)
    corpus = folder / "corpora" / request.param
    corpus.mkdir(parents=True)
    (corpus / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS[request.param]()))
    recipe = RECIPES / request.param
    result = run(
        "train", "--codebook", recipe / "codebook.yaml", "--sources", recipe / "sources.yaml", "--config",
        recipe / "config.toml", "--corpora", folder / "corpora", "--encoder", tiny_encoder, "--out", folder / "out", *small,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    return request.param, corpus / "train.jsonl", folder / "out", result.stderr


def test_a_recipe_is_scored_on_a_file_in_the_form_of_its_corpus(trained, tiny_encoder):
    name, rows, out, _ = trained
    result = run(
        "evaluate", rows, "--sources", RECIPES / name / "sources.yaml", "--corpora", rows.parent.parent, "--model", out,
        "--encoder", tiny_encoder, "--json", "--resamples", 10, "--baselines",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    [axis] = load_codebook(RECIPES / name / "codebook.yaml").axes
    assert found["sentences"] == 48
    assert found[axis.name]["annotated"] == 48
    assert 0 <= found[axis.name]["macro_f1"] <= 1
    assert set(found["baselines"]) == {"majority", "keywords"}


def test_a_recipe_builds_and_labels(trained, tiny_encoder):
    _, _, out, _ = trained
    built = run("build", "--model", out, "--encoder", tiny_encoder)
    assert built.exit_code == 0, built.stderr
    labelled = run("classify", "--json", "--model", built.stdout.strip(), "First sear the beef hard.")
    assert json.loads(labelled.stdout)["status"] in ("ok", "abstained")


def test_weights_trained_on_a_benchmark_alone_say_that_they_are_not_to_be_given_away(trained):
    name, _, out, said = trained
    held_back = [s.name for s in load_sources(RECIPES / name / "sources.yaml") if s.benchmark]
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest.get("not_to_be_given_away", []) == held_back
    assert ("not to be given away" in said) == bool(held_back)


def test_weights_that_start_from_a_benchmark_are_held_back_too(trained, tmp_path, tiny_encoder, small):
    name, _, out, _ = trained
    result = run(
        "train", "--codebook", ROOT / "tests/data/tiny_codebook.yaml", "--data", ROOT / "tests/data/tiny_gold.jsonl",
        "--start", out, "--encoder", tiny_encoder, "--out", tmp_path / "out", *small,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    held_back = [s.name for s in load_sources(RECIPES / name / "sources.yaml") if s.benchmark]
    assert json.loads((tmp_path / "out/manifest.json").read_text()).get("not_to_be_given_away", []) == held_back


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_fits_together(name):
    codebook = load_codebook(RECIPES / name / "codebook.yaml")
    for source in load_sources(RECIPES / name / "sources.yaml"):
        [axis] = [axis for axis in codebook.axes if axis.name == source.axis]
        assert set(source.labels.values()) == set(axis.label_names)
    load_run_config(RECIPES / name / "config.toml")


@pytest.mark.parametrize(
    "file", sorted({*CONFIG.parent.glob("*.toml"), *RECIPES.glob("*/config.toml")} - {CONFIG}), ids=str
)
def test_a_configuration_holds_what_differs_from_the_projects_alone(file):
    project = load_run_config(CONFIG).to_dict()
    own = tomllib.loads(file.read_text())
    assert set(own) <= set(project)
    same = {"batch_size"} & set(own)  # stated where a reader would look for it
    assert [key for key, value in own.items() if project[key] == value and key not in same] == []


def test_no_recipe_for_benchmarks_has_a_licence_to_train():
    for name in NAMES:
        for entry in yaml.safe_load((RECIPES / name / "sources.yaml").read_text())["corpora"]:
            assert entry.get("benchmark", False) == (entry["licence"] == "none stated")
