"""The engine that users will run, made of a trained network: exported, calibrated, and held against the network.

In 8 bits where that costs no axis more than a point, and half a point on average, else in 32: a faster wrong label is
no gain.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from model import weights
from model.artifact import load_artifact, write_artifact
from model.calibration import Calibration
from model.codebook import Codebook
from model.decoding import Decoder, Tokens
from model.engine import Engine
from model.errors import WeightsError
from model.network import Network
from model.outputs import SentenceOutputs
from model.predictions import Prediction
from model.records import GoldSentence
from model.tokenization import SentenceTokenizer
from training.activations import SENTENCES, observe
from training.calibrate import fit_calibration
from training.config import FLOAT32, INT8, TrainingConfig
from training.evaluation import evaluate_predictions, headline, to_sentences
from training.export import export_graph
from training.torch_predictor import uncalibrated

# In 32 bits the engine must repeat the torch model's probabilities this closely.
PARITY = 1e-4
# What 8 bits may cost on any axis and on average, in shares of 1. One decision about a label that 30 development
# sentences hold moves an axis of two labels by most of a point.
MOST_LOST, MOST_LOST_ON_AVERAGE = 0.01, 0.005


@dataclass(frozen=True)
class Served:
    """An exported model.

    Attributes:
        engine: As users will run it, calibrated.
        precision: That it computes in.
        parity: How it compares with the torch model, for the manifest.
    """

    engine: Engine
    precision: str
    parity: dict[str, Any]


@dataclass(frozen=True)
class Exporter:
    """Exports one trained network into a release's folder.

    Attributes:
        network: With the weights as packed.
        packing: The manifest's entry of that name.
        encoder_folder: Of the base encoder.
        train: Sentences that the ranges of 8-bit codes are taken from.
        held_out: Sentences to calibrate on and to compare on; none where `calibration` is given, and then on `train`.
        calibration: That of a cross-validation, or None.
    """

    config: TrainingConfig
    codebook: Codebook
    network: Network
    tokenizer: SentenceTokenizer
    packing: Mapping[str, Any]
    encoder_folder: Path
    train: Sequence[GoldSentence]
    held_out: Sequence[GoldSentence]
    calibration: Calibration | None = None

    def export(self, release: Path, scratch: Path) -> Served:
        """Write the graph and its layout into a release that has everything else.

        Args:
            scratch: A place for the artifact that is made to check it.

        Raises:
            WeightsError: The engine does not repeat the torch model.
        """
        wanted = uncalibrated(self.network, self.tokenizer, self.codebook).outputs(self._tokens)
        if self.config.precision == INT8:
            served = self._try(INT8, wanted, release, scratch / INT8)
            points = list(served.parity["points"].values()) or [0.0]
            if min(points) >= -MOST_LOST and sum(points) / len(points) >= -MOST_LOST_ON_AVERAGE:
                return served
        return self._try(FLOAT32, wanted, release, scratch / FLOAT32)

    @property
    def _gold(self) -> Sequence[GoldSentence]:
        return self.held_out or self.train

    @cached_property
    def _tokens(self) -> list[Tokens]:
        return self.tokenizer([sentence.text for sentence in self._gold])

    def _try(self, precision: str, wanted: Sequence[SentenceOutputs], release: Path, scratch: Path) -> Served:
        ranges = None
        if precision == INT8:
            drawn = random.Random(self.config.seed).sample(list(self.train), min(SENTENCES, len(self.train)))
            ranges = observe(self.network, [tokens.ids for tokens in self.tokenizer([s.text for s in drawn])])
        export_graph(self.network, release, ranges)
        scratch.mkdir(parents=True)
        manifest = {
            "name": self.codebook.name,
            "version": self.codebook.version,
            "packing": self.packing,
            "config": self.config.to_dict(),
            "calibration": Calibration().to_dict(),
            "files": [weights.NAMES] if self.tokenizer.names else [],
        }
        write_artifact(weights.Release(release, manifest, self.codebook), self.encoder_folder, scratch)
        engine = Engine(load_artifact(scratch), self.config.threads, cached=0)
        found = engine.outputs(self._tokens)
        engine.decoder = self._calibrated(found)
        parity = self._compare(wanted, found, engine.decoder)
        if precision == FLOAT32 and parity["max_probability_difference"] > PARITY:
            raise WeightsError(
                f"parity: expected probabilities of torch and engine within {PARITY}, but found a difference of "
                f"{parity['max_probability_difference']:.2e}. Look at the export; nothing was put in place."
            )
        return Served(engine, precision, parity)

    def _calibrated(self, outputs: Sequence[SentenceOutputs]) -> Decoder:
        """Calibrate on some outputs, so that each model is measured at its best."""
        calibration = self.calibration
        if calibration is None:
            bound = self.config.abstain_below
            calibration = fit_calibration(self._gold, self._tokens, outputs, self.codebook, bound)
        return Decoder(self.codebook, calibration)

    def _compare(
        self, wanted: Sequence[SentenceOutputs], found: Sequence[SentenceOutputs], decoder: Decoder
    ) -> dict[str, Any]:
        """Compare the probabilities of torch and engine under one calibration, and their scores under their own."""
        ours, theirs = self._decoded(wanted, decoder), self._decoded(found, decoder)
        differences = [d for one, other in zip(ours, theirs, strict=True) for d in probability_differences(one, other)]
        at_best = self._decoded(wanted, self._calibrated(wanted))
        before, after = (headline(evaluate_predictions(self._gold, said, self.codebook)) for said in (at_best, theirs))
        return {
            "max_probability_difference": max(differences, default=0.0),
            "mean_probability_difference": sum(differences) / max(len(differences), 1),
            "points": {axis: round(after[axis] - score, 4) for axis, score in before.items()},
            "sentences": len(ours),
        }

    def _decoded(self, outputs: Sequence[SentenceOutputs], decoder: Decoder) -> list[Prediction]:
        return [
            decoder.decode(out, tokens, sentence.targets)
            for out, tokens, sentence in zip(outputs, self._tokens, to_sentences(self._gold), strict=True)
        ]


def probability_differences(one: Prediction, other: Prediction) -> list[float]:
    """How far two predictions of a sentence lie apart, label by label.

    What only one of them has a probability of, as of targets where the other found no mention, is 0 in the other.
    """
    ours, theirs = (
        {(axis, label): p for axis, labels in said.scores.items() for label, p in labels.items()}
        for said in (one, other)
    )
    return [abs(ours.get(key, 0.0) - theirs.get(key, 0.0)) for key in ours | theirs]
