"""The configuration of a training run: one frozen object, read from TOML."""

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.encoder_files import EncoderSpec
from model.errors import ConfigError

INT8, FLOAT32 = "int8", "float32"


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Every knob of a run; training/config.toml says why each has its value.

    Attributes:
        seed: Of weights, order and augmentation; the same seed gives the same weights.
        seeds: Runs, with `seed` and the seeds after it, whose weights are averaged; several need `keep_heads`.
        keep_heads: Whether a run that starts from trained weights takes their heads as well as their encoder.
        start_share: Share of the weights that a run started from in those that it gives; needs `keep_heads`.
        bfloat16: Whether the forward pass computes in 16 bits where the processor can; weights and their changes stay
            in 32.
        threads: Torch threads; the order of floating-point sums, and so the weights, depend on it.
        epochs: Passes over the annotated sentences.
        patience: Epochs without a better development score before the run stops.
        batch_size: Sentences a step.
        learning_rate: Of the encoder's top layer, at its peak; the warm-up takes `warmup` of all steps.
        head_learning_rate: Of the heads.
        layer_decay: Factor from each layer to the one below.
        frozen_layers: Lowest layers of the encoder that stay as they are; they run once a sentence.
        train_embeddings: Whether the word embeddings change; if not, the weights stay small.
        weight_decay: Of AdamW, on matrices.
        dropout: Share of states dropped before the heads.
        mention_weight, sentence_weight, target_weight: Of the heads' losses.
        teacher_weight: Of the losses against a teacher's probabilities, where there is a teacher.
        positive_weight_power: Rare labels weigh (negatives / positives) ** power.
        targets_per_epoch: Sentences drawn each epoch from the corpora annotated for targets alone.
        swap_names: Share of sentences whose listed people and groups get names that are not listed, in each epoch.
        consistency_weight: Of the difference between what the network says of a sentence and of its twin, the same
            sentence with names that are not listed and other states dropped; 0 turns it off, and training without
            twins takes half the time.
        average_last: Last epochs whose weights are averaged, and kept if dev is no worse for it; 0 turns it off.
        warm_up_steps: Steps of contrastive warm-up of the encoder before the heads are trained; 0 turns it off.
        warm_up_rate: Learning rate of the warm-up, at its peak.
        head_start: Whether the sentence head begins with a logistic regression on the examples.
        min_steps: Steps that a run takes at least; few sentences get more epochs for it.
        folds, folds_below: With fewer annotated sentences than `folds_below`, none are held out: calibration and
            development scores come from `folds` networks, each asked of the fold that it has not seen.
        bits: Of each weight of a packed matrix.
        group: Weights that share a scale when packed.
        max_tokens: Longest sentence in tokens, special tokens included.
        precision: Of the engine's encoder: `int8`, or `float32`, which also stands in where int8 costs accuracy.
        dev_share, test_share: Of the articles of each source; of none for dev where a source is a development part.
        abstain_below: Probability under which a decision is "not sure".
    """

    encoder_name: str
    encoder_sha256: str
    encoder_packages: tuple[str, ...]
    seed: int
    seeds: int
    keep_heads: bool
    start_share: float
    bfloat16: bool
    threads: int
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    head_learning_rate: float
    warmup: float
    layer_decay: float
    frozen_layers: int
    train_embeddings: bool
    weight_decay: float
    dropout: float
    mention_weight: float
    sentence_weight: float
    target_weight: float
    teacher_weight: float
    positive_weight_power: float
    targets_per_epoch: int
    swap_names: float
    consistency_weight: float
    average_last: int
    warm_up_steps: int
    warm_up_rate: float
    head_start: bool
    min_steps: int
    folds: int
    folds_below: int
    bits: int
    group: int
    max_tokens: int
    precision: str
    dev_share: float
    test_share: float
    abstain_below: float

    @property
    def encoder(self) -> EncoderSpec:
        """The base encoder to start from."""
        return EncoderSpec(self.encoder_name, self.encoder_sha256, self.encoder_packages)

    def to_dict(self) -> dict[str, Any]:
        """The resolved values, for the manifest."""
        return dataclasses.asdict(self)


def load_config(path: Path, overrides: dict[str, Any] | None = None) -> TrainingConfig:
    """Read a training configuration.

    Args:
        overrides: Values that win over the file's, by field name.

    Raises:
        ConfigError: The file is missing or no TOML, a key is unknown or missing, or a value has the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: expected a configuration file, but found: {error.strerror}. Check --config."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: expected TOML, but found an error: {error}. Correct the file.") from None
    values |= overrides or {}
    fields = {field.name: field.type for field in dataclasses.fields(TrainingConfig)}
    if unknown := sorted(set(values) - set(fields)):
        raise ConfigError(f"{path}: expected keys of {sorted(fields)}, but found {unknown}. Remove or rename them.")
    if missing := sorted(set(fields) - set(values)):
        raise ConfigError(f"{path}: expected every key, but found none of {missing}. Add them.")
    for name, kind in fields.items():
        value = values[name]
        if kind is float and type(value) is int:
            values[name] = value = float(value)
        if isinstance(value, list):
            values[name] = value = tuple(value)
        if isinstance(kind, type):
            fits, expected = type(value) is kind, kind.__name__
        else:  # tuple[str, ...]
            fits, expected = type(value) is tuple and all(type(item) is str for item in value), str(kind)
        if not fits:
            raise ConfigError(f"{path}: {name}: expected {expected}, but found {value!r}. Correct the value.")
    for name, (ok, expected) in _RANGES.items():
        if not ok(values[name]):
            raise ConfigError(f"{path}: {name}: expected {expected}, but found {values[name]!r}. Correct the value.")
    return TrainingConfig(**values)


_AT_LEAST_ONE: tuple[Callable[[Any], bool], str] = (lambda value: value >= 1, "at least 1")
_SHARE: tuple[Callable[[Any], bool], str] = (lambda value: 0 <= value < 1, "a share from 0 to below 1")
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("seeds", "threads", "epochs", "patience", "batch_size", "max_tokens"), _AT_LEAST_ONE),
    **dict.fromkeys(("start_share", "dropout", "warmup", "dev_share", "test_share", "abstain_below"), _SHARE),
    "frozen_layers": (lambda layers: layers >= 0, "at least 0"),
    "folds": (lambda folds: folds >= 2, "at least 2"),
    "bits": (lambda bits: bits in (1, 2, 4, 8), "1, 2, 4 or 8"),
    "precision": (lambda precision: precision in (INT8, FLOAT32), f"{INT8} or {FLOAT32}"),
    "group": (lambda group: group >= 8 and group % 8 == 0, "a multiple of 8"),
}
