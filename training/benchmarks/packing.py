"""What each compact form of the weights costs in accuracy.

    python -m training.benchmarks.packing RELEASE [--corpora DIR]

RELEASE is a folder that `newsframe train` wrote; beside it lies `RELEASE-float.safetensors`, the weights before
packing. Scored on the development and transfer sentences with the calibration of the release; the low-rank forms keep
the largest singular values of each matrix's change, as an adapter of that rank could at best.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from safetensors.numpy import load_file, save

from model import weights
from model.encoder_files import WEIGHTS_FILE, find_encoder
from model.outputs import Floats
from training.evaluation import evaluate_predictor, headline
from training.project import FUNCTION_WORDS, project_split, read_words
from training.run import float_weights_file
from training.trained import load_predictor, load_weights

BITS = (8, 4, 2, 1)
RANKS = (64, 32, 16, 8)


def forms(
    base: dict[str, Floats], trained: dict[str, Floats], group: int
) -> Iterator[tuple[str, float, dict[str, Floats]]]:
    """Yield the name of each form, its size in MB, and the weights that it gives back."""
    yield "float32", sum(t.nbytes for name, t in trained.items() if changed(base, name, t)) / 1e6, trained
    for bits in BITS:
        packed = weights.split(base, trained, bits, group)
        yield f"{bits} bits", len(save(packed)) / 1e6, weights.join(base, packed, bits)
    for rank in RANKS:
        size, low = 0, {}
        for name, tensor in trained.items():
            low[name] = tensor
            origin = base.get(name.removeprefix(weights.ENCODER_PREFIX))
            if not changed(base, name, tensor):
                continue
            if tensor.ndim != 2 or origin is None:
                size += 2 * tensor.size
                continue
            left, scale, right = np.linalg.svd(tensor - origin, full_matrices=False)
            low[name] = origin + (left[:, :rank] * scale[:rank]) @ right[:rank]
            size += 2 * rank * sum(tensor.shape)
        yield f"rank {rank}", size / 1e6, low


def changed(base: dict[str, Floats], name: str, tensor: Floats) -> bool:
    """Whether training changed a tensor of the encoder, or made it."""
    origin = base.get(name.removeprefix(weights.ENCODER_PREFIX))
    return origin is None or not np.array_equal(origin, tensor)


def main() -> None:
    """Print a row for each form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("--corpora", type=Path, default=Path("../shared/corpora"))
    arguments = parser.parse_args()
    release = weights.load_release(arguments.release)
    codebook = release.codebook
    predictor = load_predictor(arguments.release, function_words=read_words(FUNCTION_WORDS))
    split = project_split(arguments.corpora, codebook)
    base, trained = (
        load_file(find_encoder(release.encoder) / WEIGHTS_FILE),
        load_file(float_weights_file(arguments.release)),
    )
    table = Table("form", "MB", "part")
    for axis in headline(evaluate_predictor(split.dev[:1], predictor, codebook)):
        table.add_column(axis, justify="right")
    for form, megabytes, tensors in forms(base, trained, release.manifest["packing"]["group"]):
        load_weights(predictor.network, tensors)
        for part, gold in (("dev", split.dev), ("transfer", split.transfer)):
            scores = headline(evaluate_predictor(gold, predictor, codebook))
            table.add_row(form, f"{megabytes:.2f}", part, *(f"{value:.3f}" for value in scores.values()))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
