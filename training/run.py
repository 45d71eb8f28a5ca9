"""One training run: data → network → packed weights → calibration → a release with its manifest."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from model import weights
from model.calibration import Calibration
from model.codebook import Codebook
from model.decoding import Decoder
from model.encoder_files import WEIGHTS_FILE, find_encoder, sha256_of
from model.errors import ConfigError
from model.names import NameList
from model.network import Network, load_network
from model.outputs import Floats
from model.predictor import Predictor
from model.records import GoldSentence
from model.tokenization import SentenceTokenizer
from training.calibrate import fit_calibration
from training.compute_type import compute_type
from training.config import TrainingConfig
from training.evaluation import evaluate_predictions, evaluate_predictor, to_sentences
from training.export import network_weights
from training.fit import Fitter, Log, make_deterministic
from training.loop import Step
from training.seeds import fit_seeds
from training.served_form import Exporter
from training.sources import TRAIN, LoadedSource
from training.splits import Split, label_counts, shared_sentences, split_sources
from training.swaps import NameSwapper
from training.trained import check_labels, load_weights, start_from

LOG = "log.jsonl"
# Entry of a manifest: benchmark sources behind weights that are therefore not to be given away.
HELD_BACK = "not_to_be_given_away"
_FLOAT = "-float.safetensors"


@dataclass(frozen=True)
class Job:
    """What to train, on what, and where to put it.

    Attributes:
        name, version: Of the model, for its manifest.
        sources: Loaded sources; those without sentences are named in the manifest as missing.
        swapper: Swaps names for the share of sentences that the configuration says, or None.
        function_words: Words that a label's evidence never rests on.
        names: Names to hide from the network, or None.
        encoder: A folder with the base encoder, where it is not installed.
        start: Trained weights whose encoder, and heads where the configuration keeps them, to start from; None starts
            from the base encoder.
        teacher: A larger model under the same codebook to learn from beside the gold, or None.
        weights: What an earlier run left, its release or its weights before packing (`float_weights_file`): packed,
            exported, calibrated and measured anew, on gold that was mended since; nothing is trained.
        origin: What the manifest says of `start` and `teacher`.
        out: Folder of the release to write.
    """

    name: str
    version: str
    config: TrainingConfig
    codebook: Codebook
    sources: Sequence[LoadedSource]
    out: Path
    swapper: NameSwapper | None = None
    function_words: Sequence[str] = ()
    names: NameList | None = None
    encoder: Path | None = None
    start: Path | None = None
    teacher: Predictor | None = None
    weights: Path | None = None
    origin: Mapping[str, Mapping[str, Any]] | None = None


def train(job: Job, report: Callable[[Step], None]) -> dict[str, Any]:
    """Train, pack, calibrate, export and check a model, and write its release.

    Args:
        report: Called after every step; may show progress.

    Returns:
        The manifest of the release.

    Raises:
        ConfigError: The sources leave nothing to train on or nothing to choose on.
    """
    config, codebook = job.config, job.codebook
    split = _split(job)
    encoder_folder = find_encoder(config.encoder, job.encoder)
    tokenizer = SentenceTokenizer(encoder_folder / "tokenizer.json", config.max_tokens, job.names)
    start = _start(job, split)

    fitter = Fitter(config, codebook, tokenizer, job.swapper, report, job.teacher)

    def new_network(own: TrainingConfig = config) -> Network:
        make_deterministic(own)
        network = load_network(encoder_folder, codebook, own.dropout, tokenizer.ids_of(job.function_words))
        if start:
            start_from(network, start, encoder_folder, own.keep_heads)
        return network

    crossed = None if split.dev else _cross_validate(fitter, new_network, split.train)
    seeds: list[dict[str, Any]] = []
    if job.weights:
        network = new_network()
        tensors, log = _earlier(job.weights, encoder_folder)
        load_weights(network, tensors)
        network.eval()
    else:
        network, log, seeds = fit_seeds(fitter, new_network, split)

    job.out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=job.out.parent, prefix=".training-") as staging:
        staged = dataclasses.replace(job, out=Path(staging, job.out.name))
        manifest = _release(staged, network, tokenizer, encoder_folder, split, crossed, log, seeds)
        # Only a release that passed its checks takes the place of another.
        float_weights_file(staged.out).replace(float_weights_file(job.out))
        shutil.rmtree(job.out, ignore_errors=True)
        staged.out.rename(job.out)
    return manifest


def _release(
    job: Job,
    network: Network,
    tokenizer: SentenceTokenizer,
    encoder_folder: Path,
    split: Split,
    crossed: "_Crossed | None",
    log: Log,
    seeds: list[dict[str, Any]],
) -> dict[str, Any]:
    """Pack, calibrate, export and check the trained network, into the job's folder."""
    config, codebook = job.config, job.codebook
    job.out.mkdir()
    base = load_file(encoder_folder / WEIGHTS_FILE)
    trained = _nonempty_weights(network)
    save_file(trained, float_weights_file(job.out))
    packed = weights.split(base, trained, config.bits, config.group)
    save_file(packed, job.out / weights.DELTA)
    # From here on the model is the one that users get: the packed one.
    load_weights(network, weights.join(base, packed, config.bits))
    (job.out / weights.CODEBOOK).write_text(codebook.source, encoding="utf-8")
    if job.names:
        (job.out / weights.NAMES).write_text(job.names.source, encoding="utf-8")
    (job.out / LOG).write_text("".join(json.dumps(line) + "\n" for line in log), encoding="utf-8")
    served = Exporter(
        config,
        codebook,
        network,
        tokenizer,
        _packing(config),
        encoder_folder,
        split.train,
        split.dev,
        crossed.calibration if crossed else None,
    ).export(job.out, job.out.with_name("artifacts"))
    manifest = _manifest(job, split, served.engine.decoder.calibration)
    manifest |= {"precision": served.precision, "parity": served.parity}
    manifest["metrics"] = {
        part: evaluate_predictor(gold, served.engine, codebook) for part, gold in split.evaluation_parts
    }
    manifest |= _of_training(job, seeds)
    if crossed:
        manifest["metrics"]["cross_validated"] = crossed.metrics
    _write_manifest(job.out, manifest)
    return manifest


def _split(job: Job) -> Split:
    """Divide the sources; where the annotated sentences are few, none are held out."""
    config = job.config
    annotated = sum(not s.has_targets_alone for item in job.sources if item.source.role == TRAIN for s in item.gold)
    if annotated < config.folds_below:
        split = split_sources(job.sources, 0.0, 0.0)
        articles = len({s.article for s in split.train})
        if articles < config.folds:
            raise ConfigError(
                f"training data: expected at least {config.folds} articles to cross-validate on, but found {articles}. "
                "Give more sentences, or articles of their own (field 'article')."
            )
        return split
    split = split_sources(job.sources, config.dev_share, config.test_share)
    if not split.train or not split.dev:
        raise ConfigError(
            f"training data: expected sentences to train on and to choose on, but found {len(split.train)} and "
            f"{len(split.dev)} after the split by article. Give more articles (field 'article'), or a larger dev_share."
        )
    return split


def _start(job: Job, split: Split) -> weights.Release | None:
    """The trained weights to start from, checked against what the configuration does with them."""
    config = job.config
    goes_on = job.weights or (job.start and config.keep_heads)
    if config.seeds > 1 and not (goes_on and (job.weights or split.dev)):
        raise ConfigError(
            f"seeds: expected 1 where runs do not begin with the same trained weights and heads, or where no sentences "
            f"are held out, but found {config.seeds}. Name weights with --start and set keep_heads, or set seeds to 1."
        )
    if config.start_share and not goes_on:
        raise ConfigError(
            f"start_share: expected 0 where a run does not begin with trained weights and heads, but found "
            f"{config.start_share}. Name weights with --start and set keep_heads, or set start_share to 0."
        )
    if not job.start:
        return None
    start = weights.load_release(job.start)
    if config.keep_heads:
        check_labels(start.codebook, job.codebook, f"--start {job.start}", "Set keep_heads to false for new heads.")
    return start


@dataclass(frozen=True)
class _Crossed:
    """What cross-validation gave: the calibration of outputs of unseen sentences, and their metrics."""

    calibration: Calibration
    metrics: dict[str, Any]


def _cross_validate(fitter: Fitter, new_network: Callable[[], Network], gold: list[GoldSentence]) -> _Crossed:
    outputs = fitter.out_of_fold(new_network, gold)
    tokens = fitter.tokenizer([s.text for s in gold])
    calibration = fit_calibration(gold, tokens, outputs, fitter.codebook, fitter.config.abstain_below)
    decoder = Decoder(fitter.codebook, calibration)
    predictions = decoder.decode_batch(outputs, tokens, [sentence.targets for sentence in to_sentences(gold)])
    return _Crossed(calibration, evaluate_predictions(gold, predictions, fitter.codebook))


def float_weights_file(release: Path) -> Path:
    """Where a run puts the weights before packing: beside the release, and no part of it."""
    return release.with_name(release.name + _FLOAT)


def _nonempty_weights(network: Network) -> dict[str, Floats]:
    return {name: tensor for name, tensor in network_weights(network).items() if tensor.size}


def _earlier(found: Path, encoder_folder: Path) -> tuple[dict[str, Floats], Log]:
    """Weights and log of an earlier run; no log if only the weights before packing are left."""
    if found.is_dir():
        tensors = weights.unpack_weights(weights.load_release(found), encoder_folder)
        file = found / LOG
    else:
        tensors = load_file(found)
        file = found.with_name(found.name.removesuffix(_FLOAT)) / LOG
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return tensors, [json.loads(line) for line in lines]


def _of_training(job: Job, seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """What a manifest says of the training itself; exporting anew keeps what the earlier release says."""
    if job.weights:
        earlier = weights.load_release(job.weights).manifest if job.weights.is_dir() else {}
        return {key: earlier[key] for key in ("trained_in", "seeds") if key in earlier}
    trained_in = str(compute_type(job.config.bfloat16)).removeprefix("torch.")
    return {"trained_in": trained_in} | ({"seeds": seeds} if seeds else {})


def _manifest(job: Job, split: Split, calibration: Calibration) -> dict[str, Any]:
    spec = job.config.encoder
    files = [weights.DELTA, weights.GRAPH, weights.LAYOUT, weights.ACTIVATIONS, weights.CODEBOOK, LOG]
    if job.names:
        files.append(weights.NAMES)
    origin = dict(job.origin or {})
    held_back = sorted(
        {item.source.name for item in job.sources if item.source.benchmark and item.gold}.union(
            *(other.get(HELD_BACK, ()) for other in origin.values())
        )
    )
    return {
        "format": weights.FORMAT,
        "name": job.name,
        "version": job.version,
        "encoder": {"name": spec.name, "sha256": spec.sha256, "packages": list(spec.packages)},
        "codebook": {"name": job.codebook.name, "version": job.codebook.version, "sha256": job.codebook.sha256},
        "packing": _packing(job.config),
        "config": job.config.to_dict(),
        "origin": origin,
        **({HELD_BACK: held_back} if held_back else {}),
        **({"names": {kind: len(rows) for kind, rows in job.names.rows.items()}} if job.names else {}),
        "data": {
            "sources": [_source_entry(item) for item in job.sources],
            "train": len(split.train),
            "dev": len(split.dev),
            "test": len(split.test),
            "transfer": len(split.transfer),
            "dropped_as_shared": split.dropped,
            "shared_with_evaluation": shared_sentences(split.train, [*split.dev, *split.test, *split.transfer]),
            "train_labels": label_counts(split.train),
        },
        "calibration": calibration.to_dict(),
        "files": {name: sha256_of(job.out / name) for name in files},
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
    }


def _packing(config: TrainingConfig) -> dict[str, int]:
    return {"bits": config.bits, "group": config.group}


def _source_entry(item: LoadedSource) -> dict[str, Any]:
    source = item.source
    return {
        "name": source.name,
        "role": source.role,
        "licence": source.licence,
        "credit": source.credit,
        "annotators": source.annotators,
        "sentences": len(item.gold),
        "articles": len({s.article for s in item.gold}),
        "sha256": item.sha256,
        "missing": item.missing,
    }


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    (folder / weights.MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
