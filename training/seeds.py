"""Runs that differ in their seed alone: how far their scores lie apart, and the mean of their weights.

Runs that begin with the same trained weights end near each other, and the mean of their weights then does at least as
well as one of them (Wortsman et al. 2022, "Model soups"). Runs with new heads end far apart and have no such mean.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from model.decoding import Decoder
from model.network import Network
from training.calibrate import fit_calibration
from training.config import TrainingConfig
from training.evaluation import evaluate_predictor, headline
from training.fit import Fitter, Log
from training.sources import DEV
from training.splits import Split
from training.torch_predictor import TorchPredictor, uncalibrated

Scores = dict[str, dict[str, float]]


def fit_seeds(
    fitter: Fitter, new_network: Callable[[TrainingConfig], Network], split: Split
) -> tuple[Network, Log, list[dict[str, Any]]]:
    """Fit one network, or as many as `config.seeds` says, and average those.

    Args:
        fitter: With the configuration, whose `seeds` tells how many.
        new_network: Makes a network to fit, from the configuration of its run.
        split: With development sentences, if there are several seeds.

    Returns:
        The network: of several the mean, or the one with the best development score where the mean is behind it. Its
        log, with the seed in every line where there are several. And for each seed, and for the mean of several (its
        seed is None), the scores of every part, calibrated on development sentences; nothing for a single run.
    """
    config = fitter.config
    if config.seeds == 1:
        network = new_network(config)
        return network, fitter.fit(network, split.train, split.dev), []
    log: Log = []
    scored: list[dict[str, Any]] = []
    states: list[Mapping[str, torch.Tensor]] = []
    for seed in range(config.seed, config.seed + config.seeds):
        one = fitter.with_seed(seed)
        network = new_network(one.config)
        log += [{"seed": seed, **line} for line in one.fit(network, split.train, split.dev)]
        scored.append({"seed": seed, "scores": _scores(network, fitter, split)})
        states.append(network.state_dict())
    network = new_network(config)
    network.load_state_dict(_mean(states))
    scored.append({"seed": None, "scores": _scores(network, fitter, split)})
    on_dev = [float(np.mean(list(row["scores"][DEV].values()))) for row in scored]
    best = int(np.argmax(on_dev[:-1]))
    if on_dev[best] > on_dev[-1]:
        network.load_state_dict(states[best])
    return network, log, scored


def _mean(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(value.dtype)
        for name, value in states[0].items()
    }


def _scores(network: Network, fitter: Fitter, split: Split) -> Scores:
    """The one number of each axis on every part that has sentences."""
    codebook, tokenizer = fitter.codebook, fitter.tokenizer
    tokens = tokenizer([sentence.text for sentence in split.dev])
    outputs = uncalibrated(network, tokenizer, codebook).outputs(tokens)
    calibration = fit_calibration(split.dev, tokens, outputs, codebook, fitter.config.abstain_below)
    predictor = TorchPredictor(network, tokenizer, Decoder(codebook, calibration))
    return {part: headline(evaluate_predictor(gold, predictor, codebook)) for part, gold in split.evaluation_parts}
