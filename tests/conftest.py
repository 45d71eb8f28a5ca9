"""Fixtures in a chain: codebook → encoder → gold → release → artifact → labeller, each made once.

Only `tiny_encoder` and `tiny_release` load torch, inside their functions: a test that asks for neither needs none.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from model.codebook import Codebook, load_codebook, parse_codebook
from model.records import GoldSentence, load_gold

if TYPE_CHECKING:
    from model.artifact import Artifact
    from model.labeller import Labeller
    from training.config import TrainingConfig
    from training.run import Job

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The same examples in every run, and no deadline: the cores may be busy.
settings.register_profile("newsframe", deadline=None, derandomize=True, max_examples=50, database=None)
settings.load_profile("newsframe")

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).resolve().parent / "data"
TINY_CODEBOOK, TINY_GOLD = DATA / "tiny_codebook.yaml", DATA / "tiny_gold.jsonl"

TINY_MAX_TOKENS = 32


@pytest.fixture(scope="session", autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's settings out of the tests, and the tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("NEWSFRAME_"):
                patch.delenv(name)
        patch.setenv("NEWSFRAME_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def codebook() -> Codebook:
    """The project's own codebook."""
    return load_codebook(ROOT / "data/codebook.yaml")


@pytest.fixture(scope="session")
def tiny_codebook() -> Codebook:
    """A made-up codebook about cookery: other axes, other labels, all three kinds."""
    return load_codebook(TINY_CODEBOOK)


@pytest.fixture(scope="session")
def exclusive_codebook(tiny_codebook: Codebook) -> Codebook:
    """The tiny codebook, with one label and no other on the axis `stage`."""
    source = tiny_codebook.source.replace(
        "    question: When does it happen?", "    exclusive: true\n    question: When?"
    )
    return parse_codebook(source, "exclusive.yaml")


@pytest.fixture(scope="session")
def tiny_gold(tiny_codebook: Codebook) -> list[GoldSentence]:
    """24 sentences of cookery in 8 articles: 5 fall to training, 2 to development, 1 to the test part."""
    return load_gold(TINY_GOLD, tiny_codebook)


@pytest.fixture(scope="session")
def tiny_tokenizer_file(tmp_path_factory: pytest.TempPathFactory, tiny_gold: list[GoldSentence]) -> Path:
    """A lower-casing WordPiece tokenizer: every printable ASCII character, and most words of the gold whole.

    "kale" and "leek" are left out of the vocabulary, so that some words of known sentences have several tokens.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = [char for char in map(chr, range(33, 127)) if not char.isupper()]
    words = {word.lower().strip(".") for sentence in tiny_gold for word in sentence.text.split()} - {"kale", "leek"}
    pieces = [*specials, *characters, *(f"##{char}" for char in characters if char.isalnum()), *sorted(words)]
    vocabulary = {piece: n for n, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    )
    tokenizer.add_special_tokens(specials)
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(file))
    return file


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_file: Path) -> Path:
    """A seeded BERT of two layers and width 32: config.json, model.safetensors, tokenizer.json."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoder")
    config = BertConfig(
        vocab_size=Tokenizer.from_file(str(tiny_tokenizer_file)).get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=TINY_MAX_TOKENS,
    )
    torch.manual_seed(3)
    encoder = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():  # a trained encoder has no two equal vectors, such as biases that are all 0
        for parameter in encoder.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    encoder.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(tiny_tokenizer_file.read_bytes())
    return folder


@pytest.fixture(scope="session")
def tiny_config(tiny_encoder: Path) -> "TrainingConfig":
    """The shipped configuration, with the tiny encoder and a run of seconds."""
    from model.encoder_files import WEIGHTS_FILE, sha256_of
    from training.config import load_config

    return load_config(
        ROOT / "training/config.toml",
        {
            "encoder_name": "tests/tiny",
            "encoder_sha256": sha256_of(tiny_encoder / WEIGHTS_FILE),
            "encoder_packages": [],
            "bfloat16": False,
            "threads": 1,  # on busy cores, two wait for each other
            "epochs": 20,
            "patience": 20,
            "min_steps": 1,
            "folds_below": 0,
            "batch_size": 4,
            "learning_rate": 3e-3,
            "head_learning_rate": 1e-2,
            "train_embeddings": True,  # the tiny encoder's are random
            "sentence_weight": 4.0,
            "dropout": 0.0,
            "group": 16,
            "max_tokens": TINY_MAX_TOKENS,
            "precision": "float32",  # exact; what 8 bits do is tested in tests/training/test_served_form.py
            "dev_share": 0.25,
            "test_share": 0.15,
        },
    )


@pytest.fixture(scope="session")
def tiny_job(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_codebook: Codebook,
    tiny_gold: list[GoldSentence],
    tiny_encoder: Path,
    tiny_config: "TrainingConfig",
) -> "Job":
    """The job that makes the tiny release; others are made of it by `dataclasses.replace`, with an `out` of their own."""
    from model.encoder_files import sha256_of
    from training.project import FUNCTION_WORDS, read_words
    from training.run import Job
    from training.sources import TRAIN, LoadedSource, Source

    source = Source(name="kitchen notes", role=TRAIN, licence="MIT", annotators="the tests", file=str(TINY_GOLD))
    return Job(
        name=tiny_codebook.name,
        version="0.0.1",
        config=tiny_config,
        codebook=tiny_codebook,
        sources=[LoadedSource(source, tiny_gold, sha256_of(TINY_GOLD))],
        out=tmp_path_factory.mktemp("release"),
        function_words=read_words(FUNCTION_WORDS),
        encoder=tiny_encoder,
    )


@pytest.fixture(scope="session")
def tiny_release(tiny_job: "Job") -> Path:
    """A release trained on the tiny gold."""
    from training.run import train

    train(tiny_job, lambda step: None)
    return tiny_job.out


@pytest.fixture(scope="session")
def tiny_artifact(tiny_release: Path, tiny_encoder: Path) -> "Artifact":
    """The serving artifact of the tiny release, checked and loaded; tests that alter files copy its folder."""
    from model.artifact import build_artifact, load_artifact

    return load_artifact(build_artifact(tiny_release, tiny_encoder))


@pytest.fixture(scope="session")
def tiny_labeller(tiny_artifact: "Artifact") -> "Labeller":
    """The tiny model, ready to label. Its labels of the gold are mostly right; its exact scores vary with the machine."""
    from model.labeller import Labeller

    return Labeller(tiny_artifact, threads=1)
