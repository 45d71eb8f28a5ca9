"""What `newsframe train` starts from, whom it learns from, and which keys of a configuration may be left out."""

import json
import re

import numpy as np
import pytest

from model import weights
from model.errors import ConfigError
from tests.conftest import TINY_CODEBOOK, TINY_GOLD
from tests.serving.command_line import run
from training import project
from training.config import load_config
from training.evaluation import to_sentences
from training.project import CONFIG, FUNCTION_WORDS, TrainOptions, load_run_config, read_words
from training.trained import load_predictor, load_teacher


@pytest.fixture
def options(tmp_path):
    def make(**fields):
        return TrainOptions(config=CONFIG, corpora=tmp_path, out=tmp_path / "out", **fields)

    return make


def test_keys_that_a_configuration_leaves_out_are_the_projects(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("epochs = 3\n")
    expected = load_config(CONFIG, {"epochs": 3, "seed": 11})
    assert load_run_config(path, {"seed": 11}) == expected


def test_a_wrong_key_is_named_with_the_users_file(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("epochs = 2.5\n")
    with pytest.raises(
        ConfigError, match=f"^{re.escape(f'{path}: epochs: expected int, but found 2.5. Correct the value.')}$"
    ):
        load_run_config(path)


def test_a_users_codebook_starts_from_the_shipped_weights_and_the_projects_own_from_the_base(
    options, tiny_config, tiny_release, monkeypatch
):
    monkeypatch.setattr(weights, "RELEASE", tiny_release)
    assert project._start(options(codebook=TINY_CODEBOOK), tiny_config) == tiny_release
    assert project._start(options(codebook=TINY_CODEBOOK, start="none"), tiny_config) is None
    assert project._start(options(), tiny_config) is None
    assert project._start(options(start=str(tiny_release)), tiny_config) == tiny_release


def test_shipped_weights_on_another_encoder_are_passed_over_and_named_ones_refused(options, tiny_release, monkeypatch):
    monkeypatch.setattr(weights, "RELEASE", tiny_release)
    config = load_config(CONFIG)
    assert project._start(options(codebook=TINY_CODEBOOK), config) is None
    message = (
        f"--start {tiny_release}: expected weights on the base encoder {config.encoder_name}, but found tests/tiny. "
        "Name others, or 'none'."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        project._start(options(start=str(tiny_release)), config)


def test_without_shipped_weights_a_run_starts_from_the_base(options, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "RELEASE", tmp_path / "none")
    assert project._start(options(codebook=TINY_CODEBOOK), tiny_config) is None


def test_a_teacher_is_the_model_that_is_served(tiny_release, tiny_encoder, tiny_codebook, tiny_labeller, tiny_gold):
    teacher = load_teacher(tiny_release, tiny_encoder, tiny_codebook, read_words(FUNCTION_WORDS))
    served = tiny_labeller.label(to_sentences(tiny_gold))
    for said, record in zip(teacher(to_sentences(tiny_gold)), served, strict=True):
        for axis, scores in said.scores.items():
            theirs = record["scores"][axis]
            assert list(scores.values()) == pytest.approx([theirs[label] for label in scores], abs=1e-3)


def test_a_teacher_under_another_codebook_is_refused(tiny_release, tiny_encoder, codebook):
    message = (
        f"--teacher {tiny_release}: expected weights with the axes and labels of the codebook {codebook.name} "
        f"{codebook.version}, but found those of kitchen-notes 0.2. Train the teacher under it."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        load_teacher(tiny_release, tiny_encoder, codebook)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "d.jsonl", "--sources", "s.yaml"], "Give --data or --sources, not both."),
        (["--data", "d.jsonl"], "Give --codebook and --data together."),
        (["--teacher-encoder", "d"], "--teacher-encoder goes with --teacher."),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments, message):
    result = run("train", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_the_file_that_describes_a_form_goes_with_a_file_to_read():
    result = run("evaluate", "--part", "dev", "--sources", "s.yaml")
    assert result.exit_code == 2
    assert "--sources goes with a file." in result.stderr


def test_the_command_learns_from_a_teacher(tmp_path, tiny_release, tiny_encoder, tiny_config):
    own = tmp_path / "run.toml"
    values = {**tiny_config.to_dict(), "epochs": 1}
    own.write_text("".join(f"{k} = {json.dumps(list(v) if isinstance(v, tuple) else v)}\n" for k, v in values.items()))
    common = ["--config", own, "--codebook", TINY_CODEBOOK, "--data", TINY_GOLD, "--encoder", tiny_encoder]
    taught = ["--teacher", tiny_release, "--teacher-encoder", tiny_encoder]
    made = []
    for name, more in (("alone", []), ("taught", taught)):
        result = run("train", *common, *more, "--out", tmp_path / name)
        assert result.exit_code == 0, result.stderr
        made.append(load_predictor(tmp_path / name, tiny_encoder).network.sentence_head.score.weight.detach().numpy())
    assert not np.array_equal(*made)


@pytest.mark.parametrize(
    ("own", "few_below", "expected"), [(True, 25, "few"), (True, 24, "config"), (False, 25, "config")]
)
def test_a_users_few_sentences_take_the_configuration_for_few(
    options, tiny_codebook, monkeypatch, own, few_below, expected
):
    # The tiny gold has 24 sentences.
    monkeypatch.setattr(project, "FEW_BELOW", few_below)
    chosen = options(codebook=TINY_CODEBOOK, data=TINY_GOLD)
    sources = project._sources(chosen, tiny_codebook)
    assert project._configuration(chosen if own else options(), sources).stem == expected


def test_the_configuration_for_few_sentences_holds_keys_of_the_projects():
    assert load_run_config(project.FEW).head_start
    for file in ("further.toml", "distil.toml"):
        assert load_run_config(project.ROOT / "training" / file).keep_heads
