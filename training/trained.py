"""Trained weights in torch: to start from, or as a predictor, such as a larger model that teaches a smaller one."""

from collections.abc import Sequence
from pathlib import Path

import torch

from model import weights
from model.codebook import Codebook
from model.decoding import Decoder
from model.encoder_files import TOKENIZER_FILE, find_encoder
from model.errors import ConfigError
from model.network import Network, load_network
from model.outputs import Floats
from model.tokenization import SentenceTokenizer
from training.torch_predictor import TorchPredictor


def load_weights(network: Network, tensors: dict[str, Floats]) -> None:
    """Put weights into a network, by the names of its parameters."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.numel():
                parameter.copy_(torch.from_numpy(tensors[name]))


def start_from(network: Network, release: weights.Release, encoder_folder: Path, keep_heads: bool = False) -> None:
    """Give the network the encoder of trained weights; its heads stay new, unless they are to be kept.

    Args:
        release: On the network's own base encoder; the caller has checked it, and for its heads the codebook as well.
    """
    tensors = weights.unpack_weights(release, encoder_folder)
    if keep_heads:
        load_weights(network, tensors)
        return
    ours = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name in ours:
                parameter.copy_(torch.from_numpy(ours[name]))


def load_predictor(
    release_folder: Path, encoder_folder: Path | None = None, function_words: Sequence[str] = ()
) -> TorchPredictor:
    """Load trained weights into torch, with their calibration.

    Args:
        encoder_folder: Folder of their base encoder, where it is not installed.
        function_words: Words that a label's evidence never rests on: those that the weights were trained with.

    Raises:
        WeightsError: The weights cannot be read.
        EncoderError: Their base encoder is not found.
    """
    release = weights.load_release(release_folder)
    folder = find_encoder(release.encoder, encoder_folder)
    tokenizer = SentenceTokenizer(
        folder / TOKENIZER_FILE, int(release.manifest["config"]["max_tokens"]), release.load_names()
    )
    network = load_network(folder, release.codebook, without_content=tokenizer.ids_of(function_words))
    load_weights(network, weights.unpack_weights(release, folder))
    return TorchPredictor(network.eval(), tokenizer, Decoder(release.codebook, release.calibration))


def load_teacher(
    release_folder: Path, encoder_folder: Path | None, codebook: Codebook, function_words: Sequence[str] = ()
) -> TorchPredictor:
    """Load trained weights that are to teach a model under a codebook; otherwise as `load_predictor`.

    Raises:
        ConfigError: They stand under a codebook of other axes or labels.
    """
    teacher = load_predictor(release_folder, encoder_folder, function_words)
    check_labels(teacher.decoder.codebook, codebook, f"--teacher {release_folder}", "Train the teacher under it.")
    return teacher


def check_labels(theirs: Codebook, ours: Codebook, where: str, advice: str) -> None:
    """Refuse trained weights whose heads answer other questions.

    Raises:
        ConfigError: They stand under a codebook of other axes or labels.
    """
    if _asks(theirs) != _asks(ours):
        raise ConfigError(
            f"{where}: expected weights with the axes and labels of the codebook {ours.name} {ours.version}, "
            f"but found those of {theirs.name} {theirs.version}. {advice}"
        )


def _asks(codebook: Codebook) -> list[tuple[object, ...]]:
    return [(axis.name, axis.kind, axis.label_names, axis.plain, axis.exclusive) for axis in codebook.axes]
