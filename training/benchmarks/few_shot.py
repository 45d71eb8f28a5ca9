"""A codebook of one's own with few examples: our training against SetFit. One command, one table.

    python -m training.benchmarks.few_shot --corpora DIR [--tasks …] [--sizes 8 16] [--draws 5] [--systems …]

Tasks are the sentence axes of the project's codebook (examples from its training part, scored on its test part) and the
recipes under training/recipes/ whose corpus labels sentences (one of five folds is scored, the examples come from the
others; each draw has a fold of its own). A draw holds n sentences for each label, and where a sentence may hold none, n
of those. Every system learns from the same sentences, without calibration on others: decisions fall at one half.

The shipped encoder was trained on the project's own labels, so that on those tasks its row is no fair one, and marked
with *: the row of the base encoder is. Every result is a line in --log, and what stands there is not run again, so that
the benchmark may run in pieces.
"""

import argparse
import dataclasses
import hashlib
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model import weights
from model.calibration import Calibration
from model.codebook import Axis, Codebook, load_codebook
from model.decoding import Decoder
from model.encoder_files import TOKENIZER_FILE, find_encoder
from model.network import Network, load_network
from model.records import GoldSentence
from model.tokenization import SentenceTokenizer
from training.baselines import ClassifierBaseline
from training.config import TrainingConfig
from training.evaluation import Predictor, evaluate_predictor
from training.fit import Fitter, assign_folds, make_deterministic
from training.project import CODEBOOK, FEW, FUNCTION_WORDS, ROOT, load_part, load_run_config, read_words
from training.setfit import SetFitClassifier
from training.sources import load_source, load_sources
from training.torch_predictor import TorchPredictor
from training.trained import start_from

SETFIT, BASE, SHIPPED = "setfit", "ours, base encoder", "ours, shipped encoder"
SYSTEMS = (SETFIT, BASE, SHIPPED)
SIZES = (8, 16, 32, 64)
FOLDS = 5
RECIPES = ROOT / "training/recipes"


@dataclass(frozen=True)
class Task:
    """One axis with the sentences to draw from and those to score on.

    Attributes:
        codebook: Of that axis alone.
        test: Sentences to score on, or None where the folds of `pool` take turns.
        seen: Whether the shipped encoder was trained on these labels.
    """

    name: str
    codebook: Codebook
    pool: Sequence[GoldSentence]
    test: Sequence[GoldSentence] | None
    seen: bool

    @property
    def axis(self) -> Axis:
        """The axis."""
        return self.codebook.axes[0]

    def divide(self, draw: int) -> tuple[list[GoldSentence], list[GoldSentence]]:
        """Sentences to draw examples from and sentences to score on, for one draw."""
        if self.test is not None:
            return list(self.pool), list(self.test)
        folds = assign_folds([s.article for s in self.pool], FOLDS, seed=0)
        held = draw % FOLDS
        return (
            [s for s, fold in zip(self.pool, folds, strict=True) if fold != held],
            [s for s, fold in zip(self.pool, folds, strict=True) if fold == held],
        )


def find_tasks(corpora: Path, wanted: Sequence[str]) -> Iterator[Task]:
    """The tasks, all or those of some names, `AXIS` of the project or `RECIPE/AXIS`."""
    codebook = load_codebook(CODEBOOK)
    axes = [axis for axis in codebook.sentence_axes if not wanted or axis.name in wanted]
    if axes:
        test, split = load_part("test", corpora, codebook)
        for axis in axes:
            yield Task(axis.name, _alone(codebook, axis), _only(split.train, axis), _only(test, axis), True)
    for folder in sorted(path.parent for path in RECIPES.glob("*/sources.yaml")):
        theirs = load_codebook(folder / "codebook.yaml")
        for axis in theirs.sentence_axes:
            name = f"{folder.name}/{axis.name}"
            if wanted and name not in wanted:
                continue
            loaded = [load_source(s, folder, corpora, theirs) for s in load_sources(folder / "sources.yaml")]
            yield Task(name, _alone(theirs, axis), _only([s for x in loaded for s in x.gold], axis), None, False)


def _alone(codebook: Codebook, axis: Axis) -> Codebook:
    return dataclasses.replace(codebook, axes=(axis,))


def _only(gold: Sequence[GoldSentence], axis: Axis) -> list[GoldSentence]:
    """The sentences that are annotated for an axis, without their other labels."""
    return [
        dataclasses.replace(s, mentions=None, targets=None, labels={axis.name: s.labels[axis.name]})
        for s in gold
        if axis.name in s.labels
    ]


def draw_examples(pool: Sequence[GoldSentence], axis: Axis, size: int, seed: int) -> list[GoldSentence]:
    """Draw sentences until each label has at least `size`, and, where sentences may hold none, `size` of those.

    The rarest label comes first; what it brings of others counts for them.
    """
    order = np.random.default_rng((seed, size)).permutation(len(pool)).tolist()
    held = [pool[n].labels[axis.name] for n in range(len(pool))]
    kinds = sorted(axis.label_names, key=lambda label: sum(label in row for row in held))
    chosen: dict[int, None] = {}
    for label in kinds:
        have = sum(label in held[n] for n in chosen)
        more = [n for n in order if label in held[n] and n not in chosen]
        chosen.update(dict.fromkeys(more[: max(0, size - have)]))
    if not axis.exclusive:
        chosen.update(dict.fromkeys([n for n in order if not held[n]][:size]))
    return [pool[n] for n in chosen]


class Trainer:
    """Trains a system on examples of a task."""

    def __init__(self, config: TrainingConfig, encoder: Path | None, setfit_pairs: int) -> None:
        self.config = config
        self.folder = find_encoder(config.encoder, encoder)
        self.tokenizer = SentenceTokenizer(self.folder / TOKENIZER_FILE, config.max_tokens)
        self.without_content = self.tokenizer.ids_of(read_words(FUNCTION_WORDS))
        self.setfit_pairs = setfit_pairs

    def train(self, system: str, task: Task, examples: Sequence[GoldSentence], seed: int) -> Predictor:
        """Train a system by name."""
        config = dataclasses.replace(self.config, seed=seed)
        make_deterministic(config)
        network = self._network(task, config)
        if system == SETFIT:
            return ClassifierBaseline(
                examples,
                task.codebook,
                lambda: SetFitClassifier(network.encoder, self.tokenizer, self.setfit_pairs, seed, config.bfloat16),
            )
        if system == SHIPPED:
            start_from(network, weights.load_release(weights.RELEASE), self.folder)
        Fitter(config, task.codebook, self.tokenizer, None, lambda step: None).fit(network, examples, [])
        return TorchPredictor(network, self.tokenizer, Decoder(task.codebook, Calibration()))

    def _network(self, task: Task, config: TrainingConfig) -> Network:
        return load_network(self.folder, task.codebook, config.dropout, self.without_content)

    def settings(self, system: str) -> str:
        """Short digest of what the result of a system depends on, besides its task, size and draw."""
        parts: list[Any] = [self.config.encoder_sha256]
        parts.append([self.setfit_pairs] if system == SETFIT else self.config.to_dict())
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def run(tasks: Sequence[Task], trainer: Trainer, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run what the log does not hold yet, draw by draw, and give all results that were asked for."""
    done = {}
    if options.log.is_file():
        lines = [json.loads(line) for line in options.log.read_text(encoding="utf-8").splitlines()]
        done = {tuple(line[key] for key in ("task", "system", "settings", "size", "draw")): line for line in lines}
    options.log.parent.mkdir(parents=True, exist_ok=True)
    found = []
    for draw in range(options.draws):
        for task in tasks:
            pool, test = task.divide(draw)
            for size in options.sizes:
                examples = draw_examples(pool, task.axis, size, draw)
                for system in options.systems:
                    key = (task.name, system, trainer.settings(system), size, draw)
                    if key not in done:
                        began = time.perf_counter()
                        predict = trainer.train(system, task, examples, draw)
                        seconds = time.perf_counter() - began
                        results = evaluate_predictor(test, predict, task.codebook)[task.axis.name]
                        done[key] = {
                            **dict(zip(("task", "system", "settings", "size", "draw"), key, strict=True)),
                            "macro_f1": round(results["macro_f1"], 4),
                            "seconds": round(seconds, 1),
                            "examples": len(examples),
                            "test": len(test),
                        }
                        with options.log.open("a", encoding="utf-8") as log:
                            log.write(json.dumps(done[key]) + "\n")
                    found.append(done[key])
    return found


def table(results: Sequence[dict[str, Any]], tasks: Sequence[Task]) -> list[str]:
    """Markdown: mean and standard deviation of macro-F1 over the draws, and the mean seconds of training."""
    sizes = sorted({line["size"] for line in results})
    lines = ["| task | system | " + " | ".join(f"n = {size}" for size in sizes) + " |", "|---" * (len(sizes) + 2) + "|"]
    for task in tasks:
        for system in dict.fromkeys(line["system"] for line in results):
            mark = " *" if task.seen and system == SHIPPED else ""
            cells = []
            for size in sizes:
                held = [x for x in results if (x["task"], x["system"], x["size"]) == (task.name, system, size)]
                scores = [line["macro_f1"] for line in held]
                spread = f" ± {statistics.stdev(scores):.3f}" if len(scores) > 1 else ""
                seconds = statistics.mean(line["seconds"] for line in held)
                cells.append(f"{statistics.mean(scores):.3f}{spread}, {seconds:.0f} s")
            lines.append(f"| {task.name} | {system}{mark} | " + " | ".join(cells) + " |")
    if any(task.seen for task in tasks):
        lines += ["", "\\* This encoder was trained on these labels; the row of the base encoder is the fair one."]
    return lines


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, default=Path("../shared/corpora"))
    parser.add_argument("--tasks", nargs="+", default=[], help="axes of the project, or RECIPE/AXIS; all by default")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="examples a label")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--setfit-pairs", type=int, default=10_000, help="pairs that SetFit trains on at most")
    parser.add_argument("--config", type=Path, default=FEW)
    parser.add_argument("--encoder", type=Path, help="folder of the base encoder")
    parser.add_argument("--log", type=Path, default=Path("build/few-shot.jsonl"))
    options = parser.parse_args()
    tasks = list(find_tasks(options.corpora, options.tasks))
    if not tasks:
        raise SystemExit(f"--tasks: expected an axis of the project or RECIPE/AXIS, but found {options.tasks}.")
    trainer = Trainer(load_run_config(options.config), options.encoder, options.setfit_pairs)
    print("\n".join(table(run(tasks, trainer, options), tasks)))


if __name__ == "__main__":
    main()
