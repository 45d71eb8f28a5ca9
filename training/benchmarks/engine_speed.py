"""How fast the engine labels: beside the Hugging Face pipeline on the same weights, and the processor's 8-bit rate.

    python -m training.benchmarks.engine_speed [--text FILE.jsonl] [--sentences 300] [--rounds 3]

Sentences are those of a JSON Lines file of texts, each once: nothing is repeated, and the engine keeps nothing. The
pipeline classifies with one head of as many labels on the same encoder: no spans, no evidence, no targets, which
favours it. The systems take turns, round by round, in one process with the same cores; figures are medians of rounds.
"""

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table

from model.artifact import find_artifact, load_artifact
from model.decoding import Tokens
from model.encoder_files import find_encoder
from model.engine import Engine
from model.records import Sentence
from model.sentences import split_sentences
from model.weights import ENCODER_PREFIX, RELEASE, load_release, unpack_weights
from training.project import ROOT

GOLD = ROOT / "data/seeds/gold.jsonl"
BATCHES = (1, 8, 32, 128)
LENGTHS = (8, 16, 32, 64, 128, 256)


def read_texts(file: Path, count: int) -> list[str]:
    """Distinct sentences of a JSON Lines file of texts; those of articles are cut from them."""
    texts: dict[str, None] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"]
        texts |= dict.fromkeys(span.of(text) for span in split_sentences(text))
        if len(texts) >= count:
            break
    return list(texts)[:count]


def pipelines(threads: int) -> tuple[Callable[[list[str]], object], Callable[[list[str]], object]]:
    """The pipeline as commonly called, one text a call, and with batches of 32."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    release = load_release(RELEASE)
    folder = find_encoder(release.encoder)
    labels = sum(len(axis.label_names) for axis in release.codebook.axes)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=labels, local_files_only=True)
    trained = unpack_weights(release, folder)
    with torch.no_grad():
        for name, parameter in model.base_model.named_parameters():
            if (key := ENCODER_PREFIX + name) in trained:
                parameter.copy_(torch.from_numpy(trained[key]))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    pipe = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, top_k=None, device="cpu")
    return lambda texts: [pipe(text) for text in texts], lambda texts: pipe(texts, batch_size=32)


def int8_rate(threads: int, seconds: float = 1.0) -> float:
    """Operations a second of a product of 8-bit codes at the encoder's largest shape, all cores together.

    A multiplication and an addition count as two; 1,024 rows, 384 inputs, 1,536 outputs.
    """
    rows, inputs, outputs = 1024, 384, 1536
    random = np.random.default_rng(0)
    codes = numpy_helper.from_array(random.integers(-63, 64, (inputs, outputs), dtype=np.int8), "codes")
    zero = numpy_helper.from_array(np.array(128, dtype=np.uint8), "zero")
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "codes", "zero"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [rows, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [rows, outputs])],
        [codes, zero],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"x": random.integers(0, 256, (rows, inputs), dtype=np.uint8)}

    def work(_: int) -> float:
        count, start = 0, time.perf_counter()
        while time.perf_counter() < start + seconds:
            session.run(None, feed)
            count += 1
        return count / (time.perf_counter() - start)

    session.run(None, feed)
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads))) * 2 * rows * inputs * outputs


def operations_a_token() -> int:
    """Multiplications and additions of the encoder's linear layers, without attention and heads."""
    release = load_release(RELEASE)
    tensors = unpack_weights(release, find_encoder(release.encoder))
    return sum(2 * t.size for name, t in tensors.items() if ".layer." in name and t.ndim == 2)


def rate(work: Callable[[list[str]], object], texts: list[str]) -> float:
    """Texts a second of one pass."""
    start = time.perf_counter()
    work(texts)
    return len(texts) / (time.perf_counter() - start)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=GOLD, help="JSON Lines with a field `text`.")
    parser.add_argument("--sentences", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # the pipeline's advice on its own use
    texts = read_texts(arguments.text, arguments.sentences)
    engine = Engine(load_artifact(find_artifact()), arguments.threads, cached=0)
    tokens = engine.tokenizer(texts)
    mean_tokens = sum(len(t.ids) for t in tokens) / len(tokens)

    def label(some: Sequence[str]) -> object:
        return engine([Sentence(str(n), text) for n, text in enumerate(some)])

    one, batched = pipelines(arguments.threads)
    systems: dict[str, Callable[[list[str]], object]] = {
        "engine, all sentences at once": label,
        "engine, 32 a call": lambda some: [label(some[n : n + 32]) for n in range(0, len(some), 32)],
        "engine, one a call": lambda some: [label([text]) for text in some],
        "pipeline, one a call": one,
        "pipeline, batches of 32": batched,
    }
    found: dict[str, list[float]] = {name: [] for name in systems}
    peaks = []
    for _ in range(arguments.rounds):
        peaks.append(int8_rate(arguments.threads))
        for name, work in systems.items():
            work(texts[:32])
            found[name].append(rate(work, texts))
    console = Console(width=120)
    console.print(f"{len(texts)} sentences of {mean_tokens:.1f} tokens, {arguments.threads} threads")
    table = Table("system", "sentences/s", "times one a call", "times batches of 32")
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, value in medians.items():
        table.add_row(
            name, f"{value:.1f}",
            f"{value / medians['pipeline, one a call']:.1f}", f"{value / medians['pipeline, batches of 32']:.1f}",
        )  # fmt: skip
    console.print(table)
    peak = statistics.median(peaks)
    used = medians["engine, all sentences at once"] * mean_tokens * operations_a_token()
    console.print(
        f"8-bit products: {peak / 1e9:.0f} GOP/s; the engine's linear layers {used / 1e9:.0f}: {used / peak:.0%}"
    )
    _shares(console, engine, texts)
    _costs(console, engine)


def _shares(console: Console, engine: Engine, texts: list[str]) -> None:
    """Print where the processor's time goes, on one core."""
    sentences = [Sentence(str(n), text) for n, text in enumerate(texts)]
    start = time.process_time()
    tokens = engine.tokenizer(texts)
    tokenised = time.process_time()
    outputs = engine.outputs(tokens)
    run = time.process_time()
    engine.decoder.decode_batch(outputs, tokens, [sentence.targets for sentence in sentences])
    parts = {"tokenise": tokenised - start, "network": run - tokenised, "decode": time.process_time() - run}
    whole = sum(parts.values())
    console.print(
        "processor time a sentence: "
        + ", ".join(f"{name} {1e3 * t / len(texts):.2f} ms ({t / whole:.0%})" for name, t in parts.items())
    )


def _costs(console: Console, engine: Engine) -> None:
    """Print the network's time over the length of sentences and their number in a call."""
    table = Table("tokens", *(f"{batch} a call" for batch in BATCHES), title="ms a sentence")
    [long] = engine.tokenizer(["peace " * 400])
    for length in LENGTHS:
        cells = []
        for batch in BATCHES:
            tokens = [_cut(long, length)] * batch
            engine.outputs(tokens)
            start = time.perf_counter()
            for _ in range(max(1, 128 // batch)):
                engine.outputs(tokens)
            cells.append(f"{1e3 * (time.perf_counter() - start) / (batch * max(1, 128 // batch)):.2f}")
        table.add_row(str(length), *cells)
    console.print(table)


def _cut(tokens: Tokens, length: int) -> Tokens:
    return replace(tokens, ids=tokens.ids[:length], spans=tokens.spans[:length], words=tokens.words[:length])


if __name__ == "__main__":
    main()
