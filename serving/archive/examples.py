"""The most typical and the most uncertain sentences of each label, chosen while the sentences stream by.

Only a sentence's first occurrence counts, and none of a document that is a copy. Of equally good ones some are taken at
random, the same ones in every run.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.codebook import Codebook
from model.predictions import ABSTAINED, DIGITS, OK
from serving.archive.tables import rate_columns, span_columns

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 5
_KEPT = 8 * SHOWN  # so that enough are left when a document may give but one
_TIE = 0.9 * 10.0**-DIGITS  # less than a step of a score: it orders equal ones alone
_OF_EVERY_ROW = ("document", "document_id", "number", "start", "text", "outlet", "published_at")

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Example:
    """A sentence that is shown.

    Attributes:
        pieces: Its words in pieces, each with whether it is evidence for the label.
        score: Of the label, 0 to 1.
        given: Whether the sentence, or the mention that is marked, has the label.
    """

    pieces: tuple[tuple[str, bool], ...]
    document: str
    outlet: str | None
    published_at: str | None
    score: float
    given: bool


@dataclass(frozen=True)
class LabelExamples:
    """The sentences of one label; of a label of mentions, the mention is marked."""

    axis: str
    label: str
    typical: tuple[Example, ...]
    uncertain: tuple[Example, ...]


@dataclass(frozen=True)
class _Offer:
    """Candidates in a batch; every array has shape (candidates,).

    Attributes:
        rows: The row of the batch that each one stands in.
        spans: Start and end of the mention, shape (candidates, 2); None where it is the sentence that has the label.
    """

    rows: Places
    scores: Floats
    given: Flags
    spans: Places | None


@dataclass
class _Shortlist:
    """The best rows so far, by rank."""

    heap: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    seen: int = 0

    def take(self, offer: _Offer, ranks: Floats, row_of: Callable[[int], dict[str, Any]]) -> None:
        """Take in what is better than what there is; shape of the ranks (candidates,)."""
        floor = self.heap[0][0] if len(self.heap) == _KEPT else -np.inf
        better = np.flatnonzero(ranks > floor)
        for n in better[np.argsort(-ranks[better], kind="stable")][:_KEPT].tolist():
            self.seen += 1
            span = None if offer.spans is None else tuple(offer.spans[n].tolist())
            found = {"score": float(offer.scores[n]), "given": bool(offer.given[n]), "span": span}
            entry = (float(ranks[n]), -self.seen, row_of(int(offer.rows[n])) | {"found": found})
            if len(self.heap) < _KEPT:
                heapq.heappush(self.heap, entry)
            else:
                heapq.heappushpop(self.heap, entry)

    def best(self) -> list[dict[str, Any]]:
        """The best ones, at most one a document."""
        chosen: dict[int, dict[str, Any]] = {}
        for *_, row in sorted(self.heap, key=lambda entry: entry[:2], reverse=True):
            chosen.setdefault(row["document"], row)
        return list(chosen.values())[:SHOWN]


def example_columns(codebook: Codebook) -> list[str]:
    """The columns of the sentences table that are read."""
    mention = codebook.mention_axis
    axes = [axis for axis, _ in rate_columns(codebook)] + ([mention.name] if mention else [])
    scores = [f"scores.{axis}.{label}" for axis, label in rate_columns(codebook)]
    return [*_OF_EVERY_ROW, "status", "is_repeat", "evidence", *dict.fromkeys(axes), *scores]


def find_examples(
    batches: Iterable["pa.RecordBatch"], codebook: Codebook, is_copy: Callable[[Places], Flags]
) -> list[LabelExamples]:
    """Choose the sentences to show.

    Args:
        batches: Of the sentences table, with the columns of `example_columns`.
        is_copy: Tells of document numbers, shape (rows,), which are copies.

    Returns:
        For each label in the order of the codebook: typical ones have it with the highest scores; uncertain ones have
        a score near 0.5 or, of mentions, have it with the lowest score.
    """
    mention = codebook.mention_axis
    of_sentences, of_mentions = rate_columns(codebook), span_columns(codebook)
    if mention and mention.summary:  # the derived axis shows the labels of mentions
        of_mentions = [pair for pair in of_mentions if pair[0] != mention.name]
    lists = {pair: (_Shortlist(), _Shortlist()) for pair in (*of_sentences, *of_mentions)}
    for batch in batches:
        rows = _eligible(batch, is_copy)
        ties = _ties(batch)

        def row_of(n: int, batch: "pa.RecordBatch" = batch) -> dict[str, Any]:
            found: dict[str, Any] = batch.slice(n, 1).to_pylist()[0]
            return found

        for pair in of_sentences:
            offer = _sentences(batch, pair, rows)
            typical, uncertain = lists[pair]
            typical.take(offer, np.where(offer.given, offer.scores, -np.inf) + ties[offer.rows], row_of)
            uncertain.take(offer, -np.abs(offer.scores - 0.5) + ties[offer.rows], row_of)
        for pair, offer in _mentions(batch, codebook, of_mentions, rows):
            typical, uncertain = lists[pair]
            typical.take(offer, offer.scores + ties[offer.rows], row_of)
            uncertain.take(offer, -offer.scores + ties[offer.rows], row_of)
    return [
        LabelExamples(*pair, *(tuple(_example(row, pair, codebook) for row in rows.best()) for rows in both))
        for pair, both in lists.items()
    ]


def _eligible(batch: "pa.RecordBatch", is_copy: Callable[[Places], Flags]) -> Flags:
    """Which rows have labels, for the first time and in a document that is no copy; shape (rows,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    labelled = pc.is_in(batch["status"], pa.array([OK, ABSTAINED])).to_numpy(zero_copy_only=False)
    repeated = batch["is_repeat"].to_numpy(zero_copy_only=False)
    documents = batch["document"].to_numpy()
    found: Flags = labelled & ~repeated & ~is_copy(documents)
    return found


def _ties(batch: "pa.RecordBatch") -> Floats:
    """A number below `_TIE` for each row that depends on the row alone, shape (rows,)."""
    mixed = batch["document"].to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= batch["number"].to_numpy().astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xD6E8FEB86659FD93)
    found: Floats = (mixed >> np.uint64(40)).astype(np.float64) / 2**24 * _TIE
    return found


def _sentences(batch: "pa.RecordBatch", pair: tuple[str, str], eligible: Flags) -> _Offer:
    """The sentences of a batch, with their scores of a label of sentences."""
    import pyarrow.compute as pc

    axis, label = pair
    held = np.zeros(len(batch), dtype=bool)
    labels = batch[axis].flatten()
    parents = pc.list_parent_indices(batch[axis]).to_numpy(zero_copy_only=False)
    held[parents[pc.equal(labels, label).to_numpy(zero_copy_only=False)]] = True
    rows = np.flatnonzero(eligible)
    scores = batch[f"scores.{axis}.{label}"].to_numpy(zero_copy_only=False).astype(np.float64)
    return _Offer(rows, scores[rows], held[rows], None)


def _mentions(
    batch: "pa.RecordBatch", codebook: Codebook, pairs: Sequence[tuple[str, str]], eligible: Flags
) -> Iterator[tuple[tuple[str, str], _Offer]]:
    """The mentions of a batch that have each label of mentions."""
    import pyarrow.compute as pc

    mention = codebook.mention_axis
    if not mention or not pairs:
        return
    spans = batch[mention.name].flatten()
    parents = pc.list_parent_indices(batch[mention.name]).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.stack([spans.field(edge).to_numpy(zero_copy_only=False) for edge in ("start", "end")], axis=1)
    for axis, label in pairs:
        labelled = spans if axis == mention.name else spans.field(axis)
        has = pc.fill_null(pc.equal(labelled.field("label"), label), False).to_numpy(zero_copy_only=False)
        some = np.flatnonzero(has & eligible[parents])
        scores = labelled.field("score").to_numpy(zero_copy_only=False).astype(np.float64)[some]
        yield (axis, label), _Offer(parents[some], scores, np.ones(len(some), dtype=bool), ends[some].astype(np.int64))


def _example(row: Mapping[str, Any], pair: tuple[str, str], codebook: Codebook) -> Example:
    axis, label = pair
    mention = codebook.mention_axis
    found = row["found"]
    if found["span"]:
        spans = [found["span"]]
    elif mention and axis == mention.summary:
        spans = [(item["start"], item["end"]) for item in row[mention.name] if item["label"] == label]
    else:
        spans = [(e["start"], e["end"]) for e in row["evidence"] if (e["axis"], e["label"]) == pair]
    pieces = cut(row["text"], [(start - row["start"], end - row["start"]) for start, end in spans])
    return Example(
        pieces, row["document_id"], row["outlet"], row["published_at"], round(found["score"], DIGITS), found["given"]
    )


def cut(text: str, spans: Iterable[tuple[int, int]]) -> tuple[tuple[str, bool], ...]:
    """Cut a text into pieces, and tell which of them lie in one of the spans."""
    held = {n for start, end in spans for n in range(max(start, 0), min(end, len(text)))}
    edges = [0, *(n for n in range(1, len(text)) if (n in held) != (n - 1 in held)), len(text)]
    return tuple((text[a:b], a in held) for a, b in zip(edges, edges[1:], strict=False))
