"""Splits by article: no article, and no sentence that recurs across articles, stands on both sides."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from model.records import GoldSentence, normalise
from training.sources import DEV, TEST, TRAIN, TRANSFER, LoadedSource


@dataclass(frozen=True)
class Split:
    """The parts of the data; `transfer` is a conflict that no training article is about.

    Attributes:
        dropped: Training sentences left out because an evaluation part holds the same words.
    """

    train: list[GoldSentence]
    dev: list[GoldSentence]
    test: list[GoldSentence]
    transfer: list[GoldSentence]
    dropped: int

    @property
    def evaluation_parts(self) -> list[tuple[str, list[GoldSentence]]]:
        """Names and sentences of the parts to measure on, those that have none left out."""
        parts = [(DEV, self.dev), (TEST, self.test), (TRANSFER, self.transfer)]
        return [(name, gold) for name, gold in parts if gold]


def article_part(article: str, dev_share: float, test_share: float) -> str:
    """The part that an article belongs to: a function of its id alone, so that it never moves."""
    place = int.from_bytes(hashlib.sha256(article.encode()).digest()[:8]) / 2**64
    if place < test_share:
        return TEST
    return DEV if place < test_share + dev_share else TRAIN


def split_sources(loaded: Sequence[LoadedSource], dev_share: float, test_share: float) -> Split:
    """Divide the loaded sources.

    Sentences annotated for targets alone (no mention and no sentence axis) are training data. Where sources share an
    article, it stands whole in the test part if one of them holds it there, or else in the development part; what
    others have of it is left out.

    Args:
        dev_share: Of the articles, where no source brings development sentences of its own.
    """
    parts: dict[str, list[GoldSentence]] = {TRAIN: [], DEV: [], TEST: []}
    transfer: list[GoldSentence] = []
    # Where only sources with a fixed part are at hand, they are divided as well: there must be something to choose on.
    divide_all = not any(item.gold for item in loaded if item.source.role == TRAIN and not item.source.fixed_part)
    if not divide_all and any(item.gold and item.source.fixed_part == DEV for item in loaded):
        dev_share = 0.0
    for item in loaded:
        if item.source.role != TRAIN:
            transfer += item.gold
            continue
        fixed = None if divide_all else item.source.fixed_part
        for sentence in item.gold:
            part = fixed or article_part(sentence.article, dev_share, test_share)
            parts[TRAIN if sentence.has_targets_alone else part].append(sentence)
    taken: set[str] = set()
    for part in (TEST, DEV, TRAIN):
        parts[part] = [s for s in parts[part] if s.article not in taken]
        taken |= {s.article for s in parts[part]}
    held_out = {normalise(s.text) for s in [*parts[DEV], *parts[TEST], *transfer]}
    train = [s for s in parts[TRAIN] if normalise(s.text) not in held_out]
    # Wire copy recurs across outlets: what dev shares with test or transfer would be chosen on and reported.
    reported = {normalise(s.text) for s in [*parts[TEST], *transfer]}
    dev = [s for s in parts[DEV] if normalise(s.text) not in reported]
    dropped = len(parts[TRAIN]) - len(train) + len(parts[DEV]) - len(dev)
    return Split(train, dev, parts[TEST], transfer, dropped)


def shared_sentences(left: Iterable[GoldSentence], right: Iterable[GoldSentence]) -> list[str]:
    """Ids of sentences of `left` whose normalised text is in `right`; empty when a split is clean."""
    texts = {normalise(sentence.text) for sentence in right}
    return [sentence.id for sentence in left if normalise(sentence.text) in texts]


def label_counts(sentences: Iterable[GoldSentence]) -> Mapping[str, Mapping[str, int]]:
    """How often each label occurs, by axis; mention labels are counted by mention, under the key ''."""
    counts: dict[str, dict[str, int]] = {}
    for sentence in sentences:
        for mention in sentence.mentions or ():
            held = counts.setdefault("", {})
            held[mention.label] = held.get(mention.label, 0) + 1
        for axis, labels in sentence.labels.items():
            held = counts.setdefault(axis, {})
            for label in labels:
                held[label] = held.get(label, 0) + 1
    return counts
