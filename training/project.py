"""The project's own data and runs: what stands behind `newsframe train` and `newsframe evaluate --part`."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model import weights
from model.codebook import Codebook, load_codebook
from model.encoder_files import sha256_of
from model.errors import ConfigError
from model.names import NameList
from model.predictions import Prediction
from model.records import GoldSentence, Sentence
from training.baselines import KeywordBaseline, MajorityBaseline
from training.config import TrainingConfig, load_config
from training.loop import Step
from training.sources import TRAIN, LoadedSource, Source, load_source, load_sources
from training.splits import Split, split_sources

ROOT = Path(__file__).resolve().parent.parent
CODEBOOK, SOURCES = ROOT / "data/codebook.yaml", ROOT / "data/sources.yaml"
NAMES, UNLISTED_NAMES = ROOT / "data/names.yaml", ROOT / "data/unlisted_names.yaml"
FUNCTION_WORDS = ROOT / "data/function_words.txt"
KEYWORDS, CONFIG = ROOT / "data/keywords.yaml", ROOT / "training/config.toml"
FEW = ROOT / "training/few.toml"
FEW_BELOW = 500  # annotated sentences; with more, the usual training is better than the one for few examples
NONE = "none"


def load_project_sources(corpora: Path | None, codebook: Codebook) -> list[LoadedSource]:
    """Load every source of the project, and say on stderr what is missing."""
    return load_listed_sources(SOURCES, ROOT, corpora, codebook)


def load_listed_sources(path: Path, root: Path, corpora: Path | None, codebook: Codebook) -> list[LoadedSource]:
    """Load every source that a file lists, and say on stderr what is missing.

    Args:
        root: Folder that the sources' own files are relative to.
    """
    console = Console(stderr=True)
    loaded = [load_source(source, root, corpora, codebook) for source in load_sources(path)]
    for item in loaded:
        if item.missing:
            console.print(f"{item.source.name}: left out: {item.missing}", style="yellow", highlight=False)
    return loaded


def project_split(corpora: Path | None, codebook: Codebook) -> Split:
    """The project's data, divided as its configuration says."""
    return _split(load_project_sources(corpora, codebook))


def _split(loaded: Sequence[LoadedSource]) -> Split:
    config = load_config(CONFIG)
    return split_sources(loaded, config.dev_share, config.test_share)


def load_part(part: str, corpora: Path | None, codebook: Codebook) -> tuple[list[GoldSentence], Split]:
    """One part of the project's data, by name, and the split that it is a part of.

    Raises:
        ConfigError: A corpus is not at hand: the parts would then be divided otherwise than the model was trained.
    """
    loaded = load_project_sources(corpora, codebook)
    if missing := [item.source.name for item in loaded if item.missing]:
        raise ConfigError(
            f"part {part}: expected the texts of every source, but found none of {missing}. "
            "Name the folder of the corpora with --corpora."
        )
    split = _split(loaded)
    return getattr(split, part), split


def baseline_predictors(
    train: Sequence[GoldSentence], codebook: Codebook
) -> dict[str, Callable[[Sequence[Sentence]], list[Prediction]]]:
    """The baselines by name, fitted on training sentences."""
    majority = MajorityBaseline(train, codebook)
    return {"majority": majority, "keywords": KeywordBaseline(KEYWORDS, majority)}


@dataclass(frozen=True)
class TrainOptions:
    """The options of `newsframe train`.

    Attributes:
        config: The configuration; keys that it leaves out are the project's. Without it, the project's, or that for few
            examples where `data` has fewer than `FEW_BELOW` annotated sentences.
        overrides: `KEY=VALUE`, the value as TOML; they win over the configuration.
        codebook: A user's own codebook, or None for the project's.
        data: Gold records to train on, or None for `sources` or the project's own.
        sources: A file of sources to train on; their files are relative to it.
        start: Folder of trained weights that the run starts from, as in `training.run.Job`, or `none`. Without it, a
            user's codebook starts from the shipped weights, whose encoder has read news, and the project's own from
            the base encoder.
        teacher: Folder of trained weights of a larger model under the same codebook.
        teacher_encoder: Folder of the teacher's base encoder, where it is not installed.
        weights: What an earlier run left, a release or its weights before packing: exported anew, not trained.
    """

    corpora: Path
    out: Path
    config: Path | None = None
    overrides: Sequence[str] = ()
    codebook: Path | None = None
    data: Path | None = None
    sources: Path | None = None
    encoder: Path | None = None
    start: str | None = None
    teacher: Path | None = None
    teacher_encoder: Path | None = None
    weights: Path | None = None


def train_from_command_line(options: TrainOptions) -> dict[str, Any]:
    """Train with progress on stderr; see `training.run.train`."""
    from training.run import HELD_BACK, Job, train
    from training.swaps import NameSwapper
    from training.trained import load_teacher

    codebook = load_codebook(options.codebook or CODEBOOK)
    sources = _sources(options, codebook)
    config_file = options.config or _configuration(options, sources)
    config = load_run_config(config_file, dict(_override(text) for text in options.overrides))
    start = _start(options, config)
    words = read_words(FUNCTION_WORDS)
    names = None if options.codebook else NameList(NAMES)  # a user's own labels may hang on who is named
    job = Job(
        name=codebook.name,
        version=_version(),
        config=config,
        codebook=codebook,
        sources=sources,
        out=options.out,
        function_words=words,
        swapper=NameSwapper(names, NameList(UNLISTED_NAMES)) if names else None,
        names=names,
        encoder=options.encoder,
        start=start,
        teacher=load_teacher(options.teacher, options.teacher_encoder, codebook, words) if options.teacher else None,
        weights=options.weights,
        origin=_origins(options, start),
    )
    console = Console(stderr=True)
    console.print(f"configuration: {config_file}", highlight=False)
    with Progress(
        TextColumn("epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"), TimeRemainingColumn(), console=console,
    ) as progress:  # fmt: skip
        task = progress.add_task("train", total=None, epoch=1, loss=0.0)

        def report(step: Step) -> None:
            progress.update(task, total=step.steps, completed=step.step, epoch=step.epoch, loss=step.loss)
            if step.score is not None:
                mark = " (best)" if step.is_best else ""
                progress.console.print(f"epoch {step.epoch}: development score {step.score:.4f}{mark}", highlight=False)

        manifest = train(job, report)
    console.print(
        f"weights at {job.out}; parity with torch {manifest['parity']['max_probability_difference']:.1e}",
        highlight=False,
    )
    if HELD_BACK in manifest:
        console.print(f"not to be given away: {', '.join(manifest[HELD_BACK])}", style="yellow", highlight=False)
    return manifest


def load_run_config(path: Path, overrides: dict[str, Any] | None = None) -> TrainingConfig:
    """Read the configuration of a run; keys that it leaves out are as in training/config.toml."""
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        own = {}  # `load_config` says what is wrong
    left_out = {key: value for key, value in load_config(CONFIG).to_dict().items() if key not in own}
    return load_config(path, left_out | (overrides or {}))


def _sources(options: TrainOptions, codebook: Codebook) -> list[LoadedSource]:
    if options.sources:
        return load_listed_sources(options.sources, options.sources.parent, options.corpora, codebook)
    if not options.data:
        return load_project_sources(options.corpora, codebook)
    file = str(options.data.resolve())
    own = Source(name=options.data.stem, role=TRAIN, licence="the user's own", annotators="the user", file=file)
    return [load_source(own, ROOT, None, codebook)]


def _configuration(options: TrainOptions, sources: Sequence[LoadedSource]) -> Path:
    annotated = sum(not sentence.has_targets_alone for item in sources for sentence in item.gold)
    return FEW if options.data and annotated < FEW_BELOW else CONFIG


def _start(options: TrainOptions, config: TrainingConfig) -> Path | None:
    """The trained weights to start from: those of the options, else those that fit."""
    if options.start == NONE or (options.start is None and not options.codebook):
        return None
    folder = Path(options.start or weights.RELEASE)
    if not options.start and not (folder / weights.MANIFEST).is_file():
        return None
    found = weights.load_release(folder).encoder
    if found.sha256 == config.encoder.sha256:
        return folder
    if not options.start:  # nobody asked for it, and another encoder has nothing to start from
        return None
    raise ConfigError(
        f"--start {folder}: expected weights on the base encoder {config.encoder.name}, but found {found.name}. "
        f"Name others, or '{NONE}'."
    )


def _origins(options: TrainOptions, start: Path | None) -> dict[str, Any]:
    """Of a release that is exported anew, what its own manifest says; else of the weights that this run begins with."""
    if options.weights and options.weights.is_dir():
        return dict(weights.load_release(options.weights).manifest["origin"])
    return {role: _origin(folder) for role, folder in (("start", start), ("teacher", options.teacher)) if folder}


def _origin(folder: Path) -> dict[str, Any]:
    """What a manifest says of other weights that went into a model."""
    from training.run import HELD_BACK

    manifest = weights.load_release(folder).manifest
    return {key: manifest[key] for key in (HELD_BACK,) if key in manifest} | {
        "name": manifest["name"],
        "version": manifest["version"],
        "encoder": manifest["encoder"]["name"],
        "manifest_sha256": sha256_of(folder / weights.MANIFEST),
        "trained_on": manifest["data"]["train"],
    }


def read_words(path: Path) -> list[str]:
    """Words of a file, white space between them; lines that begin with `#` and a space are comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [word for line in lines if not line.startswith("# ") for word in line.split()]


def _override(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        raise ConfigError(
            f"--set: expected KEY=VALUE with a TOML value, but found {text!r}. Put texts in quotes."
        ) from None


def _version() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])
