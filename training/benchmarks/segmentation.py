"""Compare sentence segmenters on the golden file: `python -m training.benchmarks.segmentation [--text FILE]`.

Every candidate is given a golden text as it stands. A boundary is the start of a sentence, the first one of
a text excepted. A candidate that hands back words that are not in the text (it changed them) gets it wrong.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from model.sentences import split_sentences

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "sentences.jsonl"
OURS = "newsframe"

Splitter = Callable[[str], list[str]]


@dataclass(frozen=True)
class Case:
    """A golden text and its sentences, in order."""

    id: str
    text: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """How one segmenter does on the golden file.

    Attributes:
        exact: Share of texts with exactly the golden sentences, 0 to 1.
        precision: Share of its boundaries that are golden, 0 to 1.
        recall: Share of the golden boundaries that it found, 0 to 1.
        wrong: Ids of the texts that are not exact, in the order of the file.
    """

    exact: float
    precision: float
    recall: float
    wrong: tuple[str, ...]

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 to 1."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def _newsframe() -> Splitter:
    return lambda text: [span.of(text) for span in split_sentences(text)]


def _sentencex() -> Splitter:
    segment = import_module("sentencex").segment
    return lambda text: list(segment("en", text))


def _nupunkt() -> Splitter:
    tokenizer = import_module("nupunkt").load("default")
    return lambda text: list(tokenizer.tokenize(text))


def _syntok() -> Splitter:
    analyze = import_module("syntok.segmenter").analyze

    def split(text: str) -> list[str]:
        sentences = [sentence for paragraph in analyze(text) for sentence in paragraph if sentence]
        return [text[words[0].offset : words[-1].offset + len(words[-1].value)] for words in sentences]

    return split


def _pysbd() -> Splitter:
    segmenter = import_module("pysbd").Segmenter(language="en", clean=False)
    return lambda text: list(segmenter.segment(text))


def _blingfire() -> Splitter:
    split = import_module("blingfire").text_to_sentences_and_offsets
    return lambda text: [text[start:end] for start, end in split(text)[1]]


def _nltk() -> Splitter:
    tokenizer = import_module("nltk.tokenize.punkt").PunktTokenizer("english")  # LookupError without its data
    return lambda text: list(tokenizer.tokenize(text))


def _spacy() -> Splitter:
    pipeline = import_module("spacy").blank("en")
    pipeline.add_pipe("sentencizer")
    pipeline.max_length = 10**8
    return lambda text: [sentence.text for sentence in pipeline(text).sents]


# Distribution on PyPI → how to make its splitter.
CANDIDATES: dict[str, Callable[[], Splitter]] = {
    "sentencex": _sentencex,
    "nupunkt": _nupunkt,
    "syntok": _syntok,
    "pysbd": _pysbd,
    "blingfire": _blingfire,
    "nltk": _nltk,
    "spacy": _spacy,
}


def load_golden(path: Path = GOLDEN) -> list[Case]:
    """Read the golden file, one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        rows = map(json.loads, lines)
        return [Case(row["id"], row["text"], tuple(row["sentences"])) for row in rows]


def sentence_starts(text: str, sentences: Sequence[str]) -> list[int] | None:
    """Find where each sentence starts.

    Args:
        text: The text that was split.
        sentences: Its sentences in order; white space around them does not count.

    Returns:
        Offsets in code points, or None if a sentence is not in the text behind the one before it.
    """
    starts = []
    offset = 0
    for sentence in filter(None, map(str.strip, sentences)):
        start = text.find(sentence, offset)
        if start < 0:
            return None
        starts.append(start)
        offset = start + len(sentence)
    return starts


def score_splitter(split: Splitter, cases: Sequence[Case]) -> Score:
    """Compare a splitter with the golden sentences; a text on which it raises is wrong."""
    hits = n_predicted = n_golden = 0
    wrong = []
    for case in cases:
        golden = sentence_starts(case.text, case.sentences) or []
        try:
            predicted = sentence_starts(case.text, split(case.text))
        except Exception:  # Whatever a library raises is a finding about it, not an end to the comparison.
            predicted = None
        hits += len(set(golden[1:]) & set((predicted or [])[1:]))
        n_predicted += len((predicted or [])[1:])
        n_golden += len(golden[1:])
        if predicted != golden:
            wrong.append(case.id)
    exact = 1 - len(wrong) / len(cases)
    return Score(exact, hits / max(n_predicted, 1), hits / max(n_golden, 1), tuple(wrong))


def seconds_to_split(split: Splitter, text: str) -> float | None:
    """Time the better of two runs over a text; None if the splitter raises."""
    runs = []
    for _ in range(2):
        began = time.perf_counter()
        try:
            split(text)
        except Exception:
            return None
        runs.append(time.perf_counter() - began)
    return min(runs)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m training.benchmarks.segmentation", description=__doc__)
    parser.add_argument("--text", type=Path, help="text for the speed (default: the golden texts repeated)")
    parser.add_argument("--wrong", metavar="NAME", help="list the golden texts this segmenter gets wrong")
    options = parser.parse_args(argv)

    cases = load_golden()
    if options.text:
        text = options.text.read_text(encoding="utf-8")
    else:
        sound = [case.text for case in cases if not any(0xD800 <= ord(char) < 0xE000 for char in case.text)]
        text = "\n\n".join(sound * 10)
    our_seconds = seconds_to_split(_newsframe(), text)
    assert our_seconds is not None

    print(f"{len(cases)} golden texts; speed on {len(text)} code points, in sentences a second, ours = 1\n")
    print(f"{'segmenter':<20}{'exact':>8}{'precision':>11}{'recall':>8}{'F1':>8}{'speed':>8}")
    for name, make in {OURS: _newsframe, **CANDIDATES}.items():
        try:
            split = make()
        except ImportError:
            print(f"{name:<20}  not installed")
            continue
        except LookupError:
            print(f"{name:<20}  installed, but its data would have to be downloaded")
            continue
        score = score_splitter(split, cases)
        seconds = seconds_to_split(split, text)
        speed = f"{our_seconds / seconds:.2f}" if seconds else "raises"
        label = name if name == OURS else f"{name} {version(name)}"
        print(
            f"{label:<20}{score.exact:>8.3f}{score.precision:>11.3f}{score.recall:>8.3f}{score.f1:>8.3f}{speed:>8}",
            flush=True,
        )
        if options.wrong == name:
            print(*(f"    {case_id}" for case_id in score.wrong), sep="\n")


if __name__ == "__main__":
    main()
