"""How fast an archive is scored, in how much memory, and what repetition saves; then beside `datasets.map`.

    python -m serving.benchmarks.archive_speed ../shared/corpora/fa-kes/articles.jsonl
    python -m serving.benchmarks.archive_speed articles.jsonl --sizes 20000 --slice 2000 --runs 1

First archives of the sizes asked for, made from the one that is named (`serving/benchmarks/made_archive.py`), each
scored by `newsframe score` as a process of its own. Then sentences that are all different, as one sentence a record,
scored by both programs in turn: `newsframe score` by the time of its whole process, from its start to the files on
disk; the pipeline (`training/benchmarks/pipeline_peer.py`) by that of its map alone.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.encoder_files import find_encoder
from model.weights import RELEASE, Release, load_release
from serving.archive.tables import MANIFEST_FILE, score_columns
from serving.benchmarks.machine import machine
from serving.benchmarks.made_archive import Maker, read_articles, write_documents, write_sentences
from serving.benchmarks.processes import Run, run_measured

_MB = 1_000_000
_SEED = 7


@dataclass(frozen=True)
class Sized:
    """An archive of one size, scored."""

    run: Run
    counts: dict[str, int]
    copies: dict[str, Any]
    made_repeated: float
    made_copies: int


@dataclass(frozen=True)
class Compared:
    """Sentences a second of one way to label the slice, a run each."""

    name: str
    speeds: Sequence[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.speeds)


def score(inputs: Path, out: Path, options: Sequence[str]) -> Run:
    """Score an archive with the command line, as a process of its own."""
    command = [sys.executable, "-m", "serving.cli", "score", str(inputs), "--out", str(out), "--quiet", *options]
    return run_measured(command)


def measure_size(
    articles: Sequence[Sequence[str]], size: int, copies: float, standing: float, options: Sequence[str], folder: Path
) -> Sized:
    """Make an archive of so many sentences and score it."""
    file, out = folder / f"made-{size}.jsonl", folder / f"scored-{size}"
    made = write_documents(Maker(articles, copies, standing, _SEED), size, file)
    run = score(file, out, options)
    manifest = json.loads((out / MANIFEST_FILE).read_bytes())
    file.unlink()
    return Sized(run, manifest["counts"], manifest["copies"], made.repeated, made.copies)


def compare(
    articles: Sequence[Sequence[str]],
    size: int,
    runs: int,
    batches: Sequence[int],
    release: Release,
    encoder: Path | None,
    options: Sequence[str],
    folder: Path,
) -> list[Compared]:
    """Label different sentences in every way, in turn; the first one is `newsframe score`."""
    file = folder / "slice.jsonl"
    write_sentences(Maker(articles, 0, 0, _SEED + 1), size, file)
    labels = len(score_columns(release.codebook))
    peer = [
        sys.executable, "-m", "training.benchmarks.pipeline_peer", str(file),
        "--encoder", str(find_encoder(release.encoder, encoder)), "--labels", str(labels),
        "--max-tokens", str(release.manifest["config"]["max_tokens"]),
    ]  # fmt: skip
    speeds: list[list[float]] = [[] for _ in range(1 + len(batches))]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")}
    for n in range(runs):
        run = score(file, folder / f"slice-{n}", [*options, "--sentences", "--all-languages"])
        speeds[0].append(size / run.seconds)
        for batch, found in zip(batches, speeds[1:], strict=True):
            output = run_measured([*peer, "--batch", str(batch)], offline).output
            found.append(size / json.loads(output.splitlines()[-1])["seconds"])
    names = ["newsframe score", *(f"datasets.map, pipeline, batches of {batch}" for batch in batches)]
    return [Compared(name, found) for name, found in zip(names, speeds, strict=True)]


def size_table(sized: Sequence[Sized]) -> Iterator[str]:
    """Markdown lines: a row for each size, then memory of the largest as a multiple of the smallest's."""
    columns = (
        "sentences", "documents", "seconds", "sentences/s", "repeated, made", "repeated, saved", "copies, made",
        "copies, found", "peak MB",
    )  # fmt: skip
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---:|' * len(columns)}"
    for one in sized:
        counts = one.counts
        yield (
            f"| {counts['sentences']:,} | {counts['documents']:,} | {one.run.seconds:,.1f} | "
            f"{counts['labelled'] / one.run.seconds:,.0f} | {one.made_repeated:.1%} | "
            f"{counts['deduplicated'] / max(1, counts['labelled']):.1%} | {one.made_copies:,} | "
            f"{one.copies['copies']:,} | {one.run.peak / _MB:,.0f} |"
        )
    if len(sized) > 1:
        yield ""
        yield f"Peak memory of the largest over the smallest: {sized[-1].run.peak / sized[0].run.peak:.2f}"


def comparison_table(compared: Sequence[Compared], size: int) -> Iterator[str]:
    """Markdown lines: the median, every run, and how many times as fast as each the first one is."""
    yield f"{size:,} different sentences, a record each:"
    yield ""
    yield "| | sentences/s, median | each run | newsframe is faster by |"
    yield "|---|---:|---:|---:|"
    for one in compared:
        each = ", ".join(f"{speed:,.0f}" for speed in one.speeds)
        ratio = f"{compared[0].median / one.median:.2f}" if one is not compared[0] else ""
        yield f"| {one.name} | {one.median:,.0f} | {each} | {ratio} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.benchmarks.archive_speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("archive", type=Path, help="JSON Lines of articles to make the archives from")
    parser.add_argument("--sizes", type=int, nargs="*", default=[100_000, 1_000_000], help="sentences of each archive")
    parser.add_argument("--copies", type=float, default=0.1, help="share of documents that are copies")
    parser.add_argument("--standing", type=float, default=0.04, help="share of sentences that outlets repeat")
    parser.add_argument("--slice", type=int, default=10_000, help="sentences to compare on; 0 compares nothing")
    parser.add_argument("--runs", type=int, default=3, help="of the comparison, in turn")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], help="batch sizes of the pipeline")
    parser.add_argument("--model", type=Path, help="trained weights, instead of the shipped ones")
    parser.add_argument("--encoder", type=Path, help="folder of the base encoder, where it is not installed")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    chosen = parser.parse_args(argv)
    release = load_release(chosen.model or RELEASE)
    options = [*(["--model", str(chosen.model)] if chosen.model else [])]
    options += ["--encoder", str(chosen.encoder)] if chosen.encoder else []
    articles = read_articles(chosen.archive)
    print(f"{machine()}\n", flush=True)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)
        sized = [measure_size(articles, size, chosen.copies, chosen.standing, options, folder) for size in chosen.sizes]
        if sized:
            print("\n".join(size_table(sized)) + "\n", flush=True)
        if chosen.slice:
            compared = compare(
                articles, chosen.slice, chosen.runs, chosen.batches, release, chosen.encoder, options, folder
            )
            print("\n".join(comparison_table(compared, chosen.slice)), flush=True)


if __name__ == "__main__":
    main()
