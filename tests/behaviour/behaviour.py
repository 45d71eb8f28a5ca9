"""What a behavioural case demands of the labels of its sentences; see README.md for the form of a case."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from model.codebook import Codebook
from model.predictions import Prediction
from model.records import GoldSentence, Sentence
from model.spans import Span
from training.swaps import NameSwapper

CASES = Path(__file__).parent / "cases.yaml"
NEW_NAMES = Path(__file__).parent / "renames.yaml"


def load_cases() -> list[dict[str, Any]]:
    """Every case, with the capability that it belongs to."""
    groups = yaml.safe_load(CASES.read_text(encoding="utf-8"))
    return [case | {"capability": group["capability"]} for group in groups for case in group["cases"]]


def case_texts() -> list[str]:
    """Every text of every case."""
    return [text for case in load_cases() for text in case.get("texts", [case.get("text")])]


def renamed(text: str, generator: np.random.Generator, swapper: NameSwapper) -> str:
    """The text with other names for its countries, people and groups."""
    return swapper(GoldSentence("", text, None, {}, None, ""), generator).text


def failures(
    case: Mapping[str, Any], predict: Callable[[Sequence[Sentence]], list[Prediction]], codebook: Codebook
) -> list[str]:
    """Run a case; return what does not hold, nothing if it passes."""
    if case["kind"] == "minimum":
        return list(_minimum(case["text"], case["expect"], predict, codebook))
    sentences = [Sentence(str(n), text) for n, text in enumerate(case["texts"])]
    labels = [labels_of(prediction, codebook) for prediction in predict(sentences)]
    return list(_invariance(case, labels) if case["kind"] == "invariance" else _direction(case, labels))


def labels_of(prediction: Prediction, codebook: Codebook) -> dict[str, set[str]]:
    """The labels of a sentence on every sentence-level axis, the summary among them."""
    labels = {axis: {item.label for item in items} for axis, items in prediction.labels.items()}
    if codebook.mention_axis and codebook.mention_axis.summary:
        labels[codebook.mention_axis.summary] = set(prediction.summary)
    return labels


def _minimum(
    text: str,
    expect: Mapping[str, Any],
    predict: Callable[[Sequence[Sentence]], list[Prediction]],
    codebook: Codebook,
) -> Iterator[str]:
    mention_axis, target_axis = codebook.mention_axis, codebook.target_axis
    assert mention_axis is not None
    assert target_axis is not None
    towards = expect.get(target_axis.name, {})
    targets = tuple((phrase, _span(phrase, text)) for phrase in towards)
    [prediction] = predict([Sentence("0", text, targets)])
    found = {mention.span: mention.label for mention in prediction.mentions}
    for phrase, label in expect.get(mention_axis.name, {}).items():
        said = found.get(_span(phrase, text))
        if said != label:
            yield f"{phrase!r} should be {label}, is {said}; mentions: {[s.of(text) for s in found]}"
    for phrase in expect.get("no_mention", []):
        for span in found:
            if span.overlaps(_span(phrase, text)):
                yield f"{phrase!r} should be no mention, is {found[span]} as {span.of(text)!r}"
    for target in prediction.targets:
        if target.label != towards[target.name]:
            yield f"{target_axis.name} towards {target.name!r} should be {towards[target.name]}, is {target.label}"
    labels = labels_of(prediction, codebook)
    for axis, held in labels.items():
        for label in expect.get(axis, {}).get("has", []):
            if label not in held:
                yield f"{axis} should have {label}, has {sorted(held)}"
        for label in expect.get(axis, {}).get("lacks", []):
            if label in held:
                yield f"{axis} should lack {label}, has {sorted(held)}"


def _invariance(case: Mapping[str, Any], labels: Sequence[Mapping[str, set[str]]]) -> Iterator[str]:
    for axis in case["same"]:
        for text, held in zip(case["texts"], labels, strict=True):
            if held[axis] != labels[0][axis]:
                yield f"{axis} should stay {sorted(labels[0][axis])}, is {sorted(held[axis])} in {text!r}"


def _direction(case: Mapping[str, Any], labels: Sequence[Mapping[str, set[str]]]) -> Iterator[str]:
    wanted = {"gains": (False, True), "loses": (True, False), "keeps": (True, True)}
    for key, presence in wanted.items():
        for axis, names in case.get(key, {}).items():
            for name in names:
                for place, held, present in zip(("first", "second"), labels, presence, strict=True):
                    if (name in held[axis]) != present:
                        verb = "have" if present else "lack"
                        yield f"{axis} of the {place} text should {verb} {name}, has {sorted(held[axis])}"


def _span(phrase: str, text: str) -> Span:
    start = text.index(phrase)
    return Span(start, start + len(phrase))
