"""Our model beside simpler systems and its teacher, on a part of the project's data. One command, one table.

    python -m training.benchmarks.baselines --corpora DIR [--part test] [--teacher FOLDER --teacher-encoder DIR]

Every system but the model and its teacher learns from the same training part here and now: `majority` and `keywords`
(a list written by hand), `tf-idf` with logistic regression, and `setfit` on our base encoder. SetFit makes more pairs
than can be trained on: it gets `--setfit-pairs` an axis, drawn at random. tf-idf and setfit classify whole sentences,
and find no mentions. Figures are macro-F1 or exact span F1, with 95 % intervals by bootstrap over articles. Results are
kept in --out, system by system; a later call adds to them.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from model.artifact import find_artifact, load_artifact
from model.codebook import Codebook, load_codebook
from model.encoder_files import TOKENIZER_FILE, find_encoder
from model.engine import Engine
from model.network import load_network
from model.predictions import Prediction
from model.records import GoldSentence, Sentence
from model.tokenization import SentenceTokenizer
from training.baselines import ClassifierBaseline
from training.config import TrainingConfig, load_config
from training.counts import count_table
from training.evaluation import evaluate_axes, to_sentences
from training.fit import make_deterministic
from training.intervals import RESAMPLES, SEED, bootstrap_intervals
from training.project import CODEBOOK, CONFIG, FUNCTION_WORDS, baseline_predictors, load_part, read_words
from training.scored_axes import SPANS, scored_axes
from training.setfit import SetFitClassifier
from training.text_classifiers import TfidfClassifier
from training.trained import load_teacher

Predict = Callable[[Sequence[Sentence]], list[Prediction]]
MODEL, TEACHER, TFIDF, SETFIT = "model", "teacher", "tf-idf", "setfit"


def headlines(
    gold: Sequence[GoldSentence], predictions: Sequence[Prediction], codebook: Codebook, resamples: int = RESAMPLES
) -> dict[str, dict[str, Any]]:
    """The figure of each axis with its interval; an axis of spans is left out where the system finds none at all."""
    pairs = list(zip(gold, predictions, strict=True))
    results = evaluate_axes(pairs, scored_axes(codebook))
    found = {}
    for axis in scored_axes(codebook):
        if axis.name not in results or (axis.form == SPANS and not results[axis.name]["predicted"]):
            continue
        counts = count_table(axis, pairs).by_article([sentence.article for sentence in gold])
        interval = bootstrap_intervals(axis, counts, resamples, SEED)[axis.headline,]
        found[axis.name] = {"figure": axis.headline, "value": results[axis.name][axis.headline], "interval": interval}
    return found


def systems(
    options: argparse.Namespace, train: Sequence[GoldSentence], codebook: Codebook, config: TrainingConfig
) -> dict[str, Callable[[], Predict]]:
    """What makes each system, by name, in the order of the table."""
    made: dict[str, Callable[[], Predict]] = {
        name: lambda predict=predict: predict  # type: ignore[misc]
        for name, predict in baseline_predictors(train, codebook).items()
    }
    made[TFIDF] = lambda: ClassifierBaseline(train, codebook, TfidfClassifier)
    made[SETFIT] = lambda: ClassifierBaseline(train, codebook, _setfit(options, codebook, config))
    if options.teacher:
        words = read_words(FUNCTION_WORDS)
        made[TEACHER] = lambda: load_teacher(options.teacher, options.teacher_encoder, codebook, words)
    made[MODEL] = lambda: Engine(load_artifact(find_artifact(options.model, options.encoder)), config.threads)
    return made


def _setfit(options: argparse.Namespace, codebook: Codebook, config: TrainingConfig) -> Callable[[], SetFitClassifier]:
    make_deterministic(config)
    folder = find_encoder(config.encoder, options.encoder)
    tokenizer = SentenceTokenizer(folder / TOKENIZER_FILE, config.max_tokens)
    encoder = load_network(folder, codebook).encoder
    return lambda: SetFitClassifier(encoder, tokenizer, options.setfit_pairs, config.seed, config.bfloat16)


def table(results: Mapping[str, Any], markdown: bool) -> list[str]:
    """A row a system, a column an axis."""
    axes = list(dict.fromkeys(axis for held in results["systems"].values() for axis in held["axes"]))
    rows = [["system", *axes]]
    for name, held in results["systems"].items():
        rows.append([name, *(_cell(held["axes"].get(axis)) for axis in axes)])
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return [lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "–"
    interval = found["interval"]
    return f"{found['value']:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def digest_of(gold: Sequence[GoldSentence], codebook: Codebook) -> str:
    """What tells that earlier results are of the same sentences under the same codebook."""
    return hashlib.sha256(json.dumps([codebook.sha256, [s.id for s in gold]]).encode()).hexdigest()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Score the systems that are asked for, and add them to what is in `options.out`."""
    codebook, config = load_codebook(CODEBOOK), load_config(CONFIG)
    gold, split = load_part(options.part, options.corpora, codebook)
    results: dict[str, Any] = {"part": options.part, "gold_sha256": digest_of(gold, codebook), "systems": {}}
    if options.out.is_file():
        earlier = json.loads(options.out.read_text(encoding="utf-8"))
        if earlier["gold_sha256"] == results["gold_sha256"]:
            results = earlier
    made = systems(options, split.train, codebook, config)
    if unknown := sorted(set(options.systems or ()) - set(made)):
        raise SystemExit(f"--systems: expected some of {sorted(made)}, but found {unknown}.")
    for name in options.systems or made:
        began = time.perf_counter()
        predictions = made[name]()(to_sentences(gold))
        seconds = round(time.perf_counter() - began, 1)
        held: dict[str, Any] = {"axes": headlines(gold, predictions, codebook, options.resamples), "seconds": seconds}
        if name == SETFIT:
            held["pairs_an_axis_at_most"] = options.setfit_pairs
        # In the order of the table, whenever each was run.
        systems_now = {**results["systems"], name: held}
        results["systems"] = {key: systems_now[key] for key in [*made, *systems_now] if key in systems_now}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return results


def main() -> None:
    """Score systems, keep the results, and print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, default=Path("../shared/corpora"))
    parser.add_argument("--part", choices=["dev", "test", "transfer"], default="test")
    parser.add_argument("--systems", nargs="+", help="run these alone; all by default")
    parser.add_argument("--model", type=Path, help="trained weights, instead of the shipped ones")
    parser.add_argument("--encoder", type=Path, help="folder of the base encoder")
    parser.add_argument("--teacher", type=Path, help="trained weights of the teacher")
    parser.add_argument("--teacher-encoder", type=Path)
    parser.add_argument("--setfit-pairs", type=int, default=10_000, help="pairs that SetFit trains on, an axis")
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--out", type=Path, help="default: build/baselines-PART.json")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    options.out = options.out or Path(f"build/baselines-{options.part}.json")
    print("\n".join(table(run(options), options.markdown)))


if __name__ == "__main__":
    main()
