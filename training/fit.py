"""Fit a network: on a split with development articles, or by cross-validation where the data are few."""

import copy
import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets

from model.codebook import Codebook
from model.network import Network
from model.outputs import SentenceOutputs
from model.predictor import Predictor
from model.records import GoldSentence
from model.spans import Span
from model.tokenization import SentenceTokenizer
from training.config import TrainingConfig
from training.contrastive import contrastive_warm_up
from training.evaluation import evaluate_predictor, headline
from training.features import TWIN, featurize
from training.frozen import frozen_layers
from training.head_start import fit_sentence_head
from training.loop import Step, train_steps
from training.swaps import NameSwapper
from training.teacher import Lesson, teach
from training.torch_predictor import uncalibrated

Log = list[dict[str, Any]]


def make_deterministic(config: TrainingConfig) -> None:
    """Fix every source of chance; the number of threads is one of them, as it orders sums."""
    random.seed(config.seed)
    np.random.seed(config.seed)
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory guards against reading it before it is written; nothing here does, and it costs time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


class Fitter:
    """Fits networks under one configuration.

    Attributes:
        swapper: Swaps names in the share of sentences that the configuration says, or None.
        report: Called after every step; may show progress.
        teacher: Is asked about the training sentences, all axes of them, and learned from beside the gold; or None.
    """

    def __init__(
        self,
        config: TrainingConfig,
        codebook: Codebook,
        tokenizer: SentenceTokenizer,
        swapper: NameSwapper | None,
        report: Callable[[Step], None],
        teacher: Predictor | None = None,
    ) -> None:
        self.config = config
        self.codebook = codebook
        self.tokenizer = tokenizer
        self.swapper = swapper
        self.report = report
        self.teacher = teacher
        # What the teacher said so far: networks of other folds or seeds learn from many of the same sentences.
        self._lessons: dict[tuple[int, ...], Lesson] = {}

    def with_seed(self, seed: int) -> "Fitter":
        """The same with another seed; what the teacher said is shared."""
        other = copy.copy(self)
        other.config = dataclasses.replace(self.config, seed=seed)
        return other

    def fit(self, network: Network, train: Sequence[GoldSentence], dev: Sequence[GoldSentence]) -> Log:
        """Train in place.

        Keeps the best epoch on `dev`, or the mean of the last ones if that is no worse. Without development sentences
        the run goes to its end, and the last epochs are averaged. Of the weights that it began with, `start_share`
        stays.

        Returns:
            A line an epoch, with the loss and the development scores.
        """
        with frozen_layers(network.encoder, self.config.frozen_layers):
            return self._fit(network, train, dev)

    def _fit(self, network: Network, train: Sequence[GoldSentence], dev: Sequence[GoldSentence]) -> Log:
        config = self.long_enough(len(train))
        predictor = uncalibrated(network, self.tokenizer, self.codebook)
        log: Log = []
        best, best_score = copy.deepcopy(network.state_dict()), -np.inf
        mean: dict[str, torch.Tensor] = {}
        averaged = 0

        def score() -> float:
            if not dev:  # nothing to choose by: later is better
                log.append({})
                return float(len(log))
            scores = headline(evaluate_predictor(dev, predictor, self.codebook))
            found = float(np.mean(list(scores.values())))
            log.append({"score": round(found, 4), "dev": scores})
            return found

        begun = copy.deepcopy(network.state_dict()) if config.start_share else {}
        self._start(network, train)
        lessons = self._ask(train)
        for step in train_steps(network, self._epoch_data(train, lessons), score, config, lessons):
            self.report(step if dev else dataclasses.replace(step, score=None, is_best=False))
            if step.score is None:
                continue
            log[-1] = {"epoch": step.epoch, "loss": round(step.loss, 4), **log[-1]}
            state = network.state_dict()
            if step.is_best:
                best, best_score = copy.deepcopy(state), step.score
            if step.epoch > config.epochs - config.average_last:
                averaged += 1
                for name, value in state.items():
                    mean[name] = mean.get(name, 0.0) + (value.double() - mean.get(name, 0.0)) / averaged
        chosen = best
        if averaged:
            network.load_state_dict({name: value.to(best[name].dtype) for name, value in mean.items()})
            if score() >= best_score:
                chosen = copy.deepcopy(network.state_dict())
            log[-1] = {"averaged_epochs": averaged, **log[-1]}
        if config.start_share:
            # Weights that were trained on from others often do best between the two (Wortsman et al. 2022, "Robust
            # fine-tuning of zero-shot models").
            chosen = {
                name: value.double().lerp(begun[name].double(), config.start_share).to(value.dtype)
                for name, value in chosen.items()
            }
        network.load_state_dict(chosen)
        network.eval()
        return log

    def _ask(self, train: Sequence[GoldSentence]) -> dict[tuple[int, ...], Lesson]:
        """What the teacher says of sentences and of their targets, by token ids; nothing without a teacher."""
        if self.teacher:
            tokens = self.tokenizer([s.text for s in train])
            asked: dict[str, list[Span]] = {}
            for sentence, t in zip(train, tokens, strict=True):
                if tuple(t.ids) not in self._lessons:
                    asked.setdefault(sentence.text, []).extend(target.span for target in sentence.targets or ())
            self._lessons |= teach(asked, self.teacher, self.tokenizer)
        return self._lessons

    def _start(self, network: Network, train: Sequence[GoldSentence]) -> None:
        """Give encoder and sentence head what few examples can give them before the heads are trained."""
        config = self.config
        if not self.codebook.sentence_labels or not (config.warm_up_steps or config.head_start):
            return
        rows = featurize([s for s in train if s.labels], self.tokenizer, self.codebook)
        if not len(rows):
            return
        ids, labels = rows["input_ids"], torch.tensor(rows["sentence_labels"])
        contrastive_warm_up(
            network,
            ids,
            labels,
            config.warm_up_steps,
            config.warm_up_rate,
            config.batch_size,
            config.seed,
            config.bfloat16,
        )
        if config.head_start:
            fit_sentence_head(network, ids, labels, positive_weight_power=config.positive_weight_power)

    def out_of_fold(
        self, make_network: Callable[[], Network], sentences: Sequence[GoldSentence]
    ) -> list[SentenceOutputs]:
        """Outputs of each sentence by a network that was trained on the other folds; articles are kept whole.

        Args:
            make_network: Makes a network to start from.
        """
        folds = assign_folds([s.article for s in sentences], self.config.folds, self.config.seed)
        found: dict[int, SentenceOutputs] = {}
        for fold in range(self.config.folds):
            network = make_network()
            self.fit(network, [s for s, f in zip(sentences, folds, strict=True) if f != fold], [])
            held = [n for n, f in enumerate(folds) if f == fold]
            predictor = uncalibrated(network, self.tokenizer, self.codebook)
            outputs = predictor.outputs(self.tokenizer([sentences[n].text for n in held]))
            found |= dict(zip(held, outputs, strict=True))
        return [found[n] for n in range(len(sentences))]

    def long_enough(self, sentences: int) -> TrainingConfig:
        """The configuration, with as many epochs as few sentences need for `min_steps`."""
        steps = -(-sentences // self.config.batch_size)
        return dataclasses.replace(self.config, epochs=max(self.config.epochs, -(-self.config.min_steps // steps)))

    def _epoch_data(
        self, train: Sequence[GoldSentence], lessons: dict[tuple[int, ...], Lesson]
    ) -> Callable[[int], Dataset]:
        """All annotated sentences each epoch, some with swapped names, and a fresh draw of those with targets alone.

        Args:
            lessons: What a teacher says of the sentences; those with swapped names are added, epoch by epoch.
        """
        config = self.config
        full = [s for s in train if not s.has_targets_alone]
        targets_only = [s for s in train if s.has_targets_alone]
        target_rows = featurize(targets_only, self.tokenizer, self.codebook)
        to_twin = self.swapper if config.consistency_weight else None
        if to_twin and targets_only:  # all rows of a run have twins
            target_rows = target_rows.add_column(TWIN, target_rows.to_list())
        keys = [tuple(tokens.ids) for tokens in self.tokenizer([s.text for s in full])] if lessons else []

        def data(epoch: int) -> Dataset:
            generator = np.random.default_rng((config.seed, epoch, 1))
            sentences = full
            if self.swapper and config.swap_names:
                chosen = generator.random(len(full)) < config.swap_names
                sentences = [self.swapper(s, generator) if swap else s for s, swap in zip(full, chosen, strict=True)]
            rows = featurize(sentences, self.tokenizer, self.codebook)
            renamed = [rows]
            if to_twin:
                twins = featurize([to_twin(s, generator) for s in full], self.tokenizer, self.codebook)
                rows = rows.add_column(TWIN, twins.to_list())
                renamed.append(twins)
            for dataset in renamed if keys else ():
                for key, ids in zip(keys, map(tuple, dataset["input_ids"]), strict=True):
                    if ids not in lessons:
                        lessons[ids] = lessons[key].for_other_names(len(ids))
            if not targets_only or not config.targets_per_epoch:
                return rows
            drawn = generator.permutation(len(target_rows))[: config.targets_per_epoch]
            return concatenate_datasets([rows, target_rows.select(drawn)])

        return data


def assign_folds(articles: Sequence[str], folds: int, seed: int) -> list[int]:
    """Deal articles into folds of like size, an article whole into one.

    Args:
        articles: The article of each sentence.

    Returns:
        The fold of each sentence, from 0.
    """
    counts = Counter(articles)
    order = np.random.default_rng(seed).permutation(sorted(counts))
    sizes = [0] * folds
    fold_of: dict[str, int] = {}
    for article in sorted(order, key=lambda name: -counts[name]):  # the largest first, each to the smallest fold
        fold = sizes.index(min(sizes))
        fold_of[article] = fold
        sizes[fold] += counts[article]
    return [fold_of[article] for article in articles]
