"""The project's own data and runs: what stands behind `newsframe train` and `newsframe evaluate --part`."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model.codebook import Codebook, load_codebook
from model.errors import ConfigError
from model.predictions import Prediction
from model.records import GoldSentence, Sentence
from training.baselines import KeywordBaseline, MajorityBaseline
from training.config import load_config
from training.loop import Step
from training.sources import TRAIN, LoadedSource, Source, load_source, load_sources
from training.splits import Split, split_sources

ROOT = Path(__file__).resolve().parent.parent
CODEBOOK, SOURCES, NAMES = ROOT / "data/codebook.yaml", ROOT / "data/sources.yaml", ROOT / "data/names.yaml"
FUNCTION_WORDS = ROOT / "data/function_words.txt"
KEYWORDS, CONFIG = ROOT / "data/keywords.yaml", ROOT / "training/config.toml"


def load_project_sources(corpora: Path | None, codebook: Codebook) -> list[LoadedSource]:
    """Load every source of the project, and say on stderr what is missing."""
    console = Console(stderr=True)
    loaded = [load_source(source, ROOT, corpora, codebook) for source in load_sources(SOURCES)]
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


def train_from_command_line(
    config_file: Path,
    overrides: Sequence[str],
    corpora: Path,
    codebook_file: Path | None,
    data: Path | None,
    out: Path,
    encoder: Path | None,
) -> dict[str, Any]:
    """Train with progress on stderr; see `training.run.train`.

    Args:
        overrides: `KEY=VALUE`, the value as TOML.
        codebook_file, data: A user's own codebook and gold records, or None for the project's.
    """
    from training.run import Job, train
    from training.swaps import NameSwapper

    config = load_config(config_file, dict(_override(text) for text in overrides))
    codebook = load_codebook(codebook_file or CODEBOOK)
    if data:
        own = Source(
            name=data.stem, role=TRAIN, licence="the user's own", annotators="the user", file=str(data.resolve())
        )
        sources = [load_source(own, ROOT, None, codebook)]
    else:
        sources = load_project_sources(corpora, codebook)
    job = Job(
        name=codebook.name,
        version=_version(),
        config=config,
        codebook=codebook,
        sources=sources,
        out=out,
        # The project's names say nothing of a user's own codebook.
        swapper=None if data else NameSwapper(NAMES),
        function_words=read_words(FUNCTION_WORDS),
        encoder=encoder,
    )
    console = Console(stderr=True)
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
        f"weights at {out}; parity with torch {manifest['parity']['max_probability_difference']:.1e}", highlight=False
    )
    return manifest


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
