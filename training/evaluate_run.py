"""`newsframe evaluate` from its options to its results: gold, one or two systems, every measure, the files."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.artifact import find_artifact, load_artifact
from model.codebook import Codebook, load_codebook
from model.encoder_files import sha256_of
from model.errors import ConfigError, RecordError
from model.jsonl import dumps
from model.labeller import Labeller
from model.predictions import Prediction
from model.records import GoldSentence, load_gold
from model.weights import codebook_file
from training.comparison import DRAWS, compare
from training.confusion import confusion
from training.counts import CountTable, count_table
from training.evaluation import evaluate_axes, to_sentences
from training.intervals import LEVEL, RESAMPLES, SEED, bootstrap_intervals, with_intervals
from training.mistakes import MISTAKES, mistakes
from training.reliability import calibration
from training.saved_predictions import load_predictions, predictions_of, saved_record
from training.scored_axes import ScoredAxis, scored_axes
from training.slices import check_field, slices
from training.sources import load_rows

METRICS, PREDICTIONS, REPORT = "metrics.json", "predictions.jsonl", "report.html"


@dataclass(frozen=True)
class EvaluationOptions:
    """What to evaluate, on what, and how.

    Attributes:
        gold: A file of gold records, or None for `part`.
        part: A part of the project's own data.
        sources: A file of sources with one corpus in whose form `gold` stands; None for gold records.
        corpora: Folder of the public corpora, for `part` and `baselines`.
        model, encoder: As in `find_artifact`; with `predictions` the model gives the codebook alone.
        predictions: A file of predictions to score instead of running a model.
        codebook: The codebook of the predictions, instead of the model's.
        against: Another model, or a file of its predictions, to compare with.
        by: Fields of the gold records to slice by.
        baselines: Whether to score the majority and the keywords as well.
        resamples: Of articles, for each interval.
        seed: Of resampling and randomisation.
        mistakes: How many errors to list.
        threads: Of a run of the model; 0 takes the cores there are.
    """

    gold: Path | None = None
    part: str | None = None
    sources: Path | None = None
    corpora: Path | None = None
    model: Path | None = None
    encoder: Path | None = None
    predictions: Path | None = None
    codebook: Path | None = None
    against: Path | None = None
    by: tuple[str, ...] = ()
    baselines: bool = False
    resamples: int = RESAMPLES
    seed: int = SEED
    mistakes: int = MISTAKES
    threads: int = 0


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation gives.

    Attributes:
        results: `sentences`, `articles`, and the metrics of each axis with their intervals.
        baselines: The same, by name of the baseline.
        everything: What metrics.json holds; the results among it.
        records: A labelled sentence for each gold sentence.
    """

    results: dict[str, Any]
    baselines: dict[str, dict[str, Any]]
    everything: dict[str, Any]
    records: list[dict[str, Any]]


@dataclass(frozen=True)
class _System:
    """What one system says of the gold sentences, and what it is called."""

    info: dict[str, Any]
    predictions: Sequence[Prediction]
    records: list[dict[str, Any]]
    unpredicted: frozenset[str] = frozenset()


def run_evaluation(options: EvaluationOptions, note: Callable[[str], None]) -> Evaluation:
    """Evaluate one system on gold, beside others where asked.

    Args:
        note: Called with what a user should know and no result says.

    Raises:
        NewsframeError: Model, gold, predictions or options cannot be used.
    """
    labeller = None if options.predictions else _labeller(options.model, options)
    codebook = labeller.codebook if labeller else load_codebook(options.codebook or codebook_file(options.model))
    gold, train = _load_gold(options, codebook)
    for field in options.by:
        check_field(gold, field)
    ours = (
        _model_system(labeller, gold, codebook)
        if labeller
        else _file_system(Path(str(options.predictions)), gold, codebook, note)
    )
    run = _Scoring(gold, codebook, options)
    axes, results, tables = run.score(ours)
    if not axes:
        raise RecordError(
            f"{options.gold or options.part}: expected an axis that is annotated and predicted, one of "
            f"{sorted(axis.name for axis in scored_axes(codebook))}, but found none. Name the fields of the records so."
        )
    pairs = list(zip(gold, ours.predictions, strict=True))
    measured = {axis.name: calibration(axis, pairs) for axis in axes}
    everything: dict[str, Any] = {
        "model": ours.info,
        **results,
        "gold": _gold_info(options, gold),
        "calibration": {name: found for name, found in measured.items() if found},
        "confusion": {axis.name: confusion(axis, pairs) for axis in axes},
        "mistakes": mistakes(axes, pairs, options.mistakes),
    }
    if options.by:
        everything["slices"] = {
            field: slices(gold, tables, field, options.resamples, options.seed) for field in options.by
        }
    if options.against:
        other = (
            _file_system(options.against, gold, codebook, note)
            if options.against.is_file()
            else _model_system(_labeller(options.against, options), gold, codebook)
        )
        their_tables = run.score(other)[2]
        compared = compare(tables, their_tables, run.articles, options.resamples, options.seed)
        everything["comparison"] = {"against": other.info, "axes": compared}
    baselines = {}
    if options.baselines:
        from training.project import baseline_predictors

        for name, predict in baseline_predictors(train(), codebook).items():
            baselines[name] = run.score(_System({}, predict(to_sentences(gold)), []))[1]
        everything["baselines"] = baselines
    everything["options"] = {
        "level": LEVEL,
        "resamples": options.resamples,
        "randomisation_draws": DRAWS,
        "seed": options.seed,
        "by": list(options.by),
        "mistakes": options.mistakes,
    }
    return Evaluation(results, baselines, everything, ours.records)


def prepare_output(folder: Path) -> None:
    """Make the folder of the results, before anything takes time.

    Raises:
        ConfigError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder}: expected a folder to write to, but found: {error.strerror}. Choose another --out."
        ) from None


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write metrics.json, predictions.jsonl and report.html."""
    from training.report import render_report

    (folder / METRICS).write_text(as_json(evaluation.everything) + "\n", encoding="utf-8")
    lines = "".join(dumps(record) + "\n" for record in evaluation.records)
    (folder / PREDICTIONS).write_text(lines, encoding="utf-8")
    (folder / REPORT).write_text(render_report(evaluation.everything), encoding="utf-8")


def as_json(everything: Mapping[str, Any]) -> str:
    """All results as text."""
    return json.dumps(everything, ensure_ascii=False, indent=2, allow_nan=False)


class _Scoring:
    """Scores systems on the same gold in the same way."""

    def __init__(self, gold: Sequence[GoldSentence], codebook: Codebook, options: EvaluationOptions) -> None:
        self.gold, self.codebook, self.options = gold, codebook, options
        self.articles = [sentence.article for sentence in gold]

    def score(self, system: _System) -> tuple[list[ScoredAxis], dict[str, Any], dict[str, CountTable]]:
        """Axes that are scored, results with intervals, and counts by axis."""
        pairs = list(zip(self.gold, system.predictions, strict=True))
        axes = [axis for axis in scored_axes(self.codebook) if axis.name not in system.unpredicted]
        results = evaluate_axes(pairs, axes)
        axes = [axis for axis in axes if axis.name in results]
        tables = {axis.name: count_table(axis, pairs) for axis in axes}
        for name, table in tables.items():
            counts = table.by_article(self.articles)
            intervals = bootstrap_intervals(table.axis, counts, self.options.resamples, self.options.seed)
            results[name] = with_intervals(results[name], intervals)
        return axes, results, tables


def _labeller(model: Path | None, options: EvaluationOptions) -> Labeller:
    return Labeller(load_artifact(find_artifact(model, options.encoder)), options.threads)


def _load_gold(
    options: EvaluationOptions, codebook: Codebook
) -> tuple[list[GoldSentence], Callable[[], Sequence[GoldSentence]]]:
    """The gold sentences, and what gives the project's training sentences if they are needed."""

    def train() -> Sequence[GoldSentence]:
        from training.project import load_listed_sources, project_split

        if options.sources:
            loaded = load_listed_sources(options.sources, options.sources.parent, options.corpora, codebook)
            return [sentence for item in loaded for sentence in item.gold]

        return project_split(options.corpora, codebook).train

    if options.gold and options.sources:
        return load_rows(options.gold, options.sources, codebook), train
    if options.gold:
        return load_gold(options.gold, codebook), train
    # The project's own data comes with all that training needs, torch too; gold from a file does without.
    from training.project import load_part

    gold, split = load_part(str(options.part), options.corpora, codebook)
    return gold, lambda: split.train


def _gold_info(options: EvaluationOptions, gold: Sequence[GoldSentence]) -> dict[str, Any]:
    if options.gold:
        return {"file": str(options.gold), "sha256": sha256_of(options.gold)}
    digest = hashlib.sha256()
    for s in gold:
        labels = {axis: sorted(held) for axis, held in sorted(s.labels.items())}
        spans = [None if held is None else [[*x.span, x.label] for x in held] for held in (s.mentions, s.targets)]
        digest.update(dumps([s.id, s.text, s.article, labels, *spans]).encode())
    return {"part": options.part, "sha256": digest.hexdigest()}


def _model_system(labeller: Labeller, gold: Sequence[GoldSentence], codebook: Codebook) -> _System:
    """Label the gold; what is scored is what the records show, to the last digit."""
    sentences = [
        dataclasses.replace(sentence, extra={"language": s.extra.get("language"), "article": s.article})
        for s, sentence in zip(gold, to_sentences(gold), strict=True)
    ]
    records = labeller.label(sentences)
    saved = predictions_of(records, gold, codebook, "model")
    return _System(labeller.model_info, saved.predictions, records, saved.unpredicted)


def _file_system(path: Path, gold: Sequence[GoldSentence], codebook: Codebook, note: Callable[[str], None]) -> _System:
    saved = load_predictions(path, gold, codebook)
    if saved.ignored:
        note(f"{path}: {saved.ignored} predictions are of sentences that are not in the gold; they are ignored.")
    if saved.unpredicted:
        note(f"{path}: no record speaks of {sorted(saved.unpredicted)}; not scored.")
    info = {
        "name": path.name,
        "predictions": str(path),
        "sha256": sha256_of(path),
        "codebook": {"name": codebook.name, "version": codebook.version, "sha256": codebook.sha256},
    }
    records = [saved_record(s, said, saved.unpredicted) for s, said in zip(gold, saved.predictions, strict=True)]
    return _System(info, saved.predictions, records, saved.unpredicted)
