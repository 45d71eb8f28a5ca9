"""What a report says of a run, counted while its tables stream by: memory does not grow with the archive."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.codebook import Codebook
from serving.archive.copies import COPIES_FILE
from serving.archive.errors import ArchiveError
from serving.archive.periods import Calendar
from serving.archive.rates import SEED, Groups, Measure, Rate, count_columns, matrix, measures
from serving.archive.tables import DOCUMENTS

if TYPE_CHECKING:
    import pyarrow as pa

MOST_OUTLETS = 40  # those with fewer documents are taken together
_ROWS = 8192
_COUNTED = ("sentences", "labelled", "abstained_sentences", "skipped", "errors", "repeats")
# What a document is, as far as copies go.
_OWN, _REPEAT, _TAKEN, _GIVEN = 0, 1, 2, 3
_FLAG_COLUMNS = ["number", "is_copy", "other_outlet", "similarity", "outlets"]
_ALL, _REST = "all", "rest"


@dataclass(frozen=True)
class Row:
    """Rates of an outlet, a period or everything; shape of both lists (measures,).

    Attributes:
        without: The same without copies; None where copies were not looked for.
        repeats: Documents that repeat one of the same outlet.
        taken: Documents that repeat one of another outlet.
        given: Documents that stand first, and are repeated by another outlet.
    """

    name: str | None
    documents: int
    sentences: int
    rates: Sequence[Rate]
    without: Sequence[Rate] | None
    repeats: int = 0
    taken: int = 0
    given: int = 0


@dataclass(frozen=True)
class Figures:
    """Everything that is counted of the documents.

    Attributes:
        counts: Sums of the columns of the documents table, by name.
        abstained: For each axis, the labelled sentences that the model is not sure of.
        outlets: The largest first.
        rest: The outlets that are not listed, taken together, and how many they are.
        periods: In order of time, without a gap; None where there is no document.
        judged: Documents whose words could be compared; None where copies were not looked for.
    """

    measures: Sequence[Measure]
    everything: Row
    counts: dict[str, int]
    abstained: dict[str, int]
    outlets: Sequence[Row]
    rest: Row | None
    rest_outlets: int
    periods: Sequence[Row | None]
    period_names: Sequence[str]
    unit: str
    undated: int
    unclear: int
    judged: int | None


class CopyFlags:
    """What each document is, by its number."""

    def __init__(self, folder: Path, documents: int) -> None:
        """Read the copies of a run.

        Raises:
            ArchiveError: They are of other documents than the run's.
        """
        import pyarrow.parquet as parquet

        self.file = folder / COPIES_FILE
        self._codes: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self.judged: int | None = None
        if not self.file.is_file():
            return
        self.judged = 0
        with parquet.ParquetFile(self.file) as file:
            if file.metadata.num_rows != documents:
                raise ArchiveError(
                    f"{self.file}: expected a row for each of the {documents} documents, but found "
                    f"{file.metadata.num_rows}. Run `newsframe score` again, which finishes what is there."
                )
            for batch in file.iter_batches(_ROWS, columns=_FLAG_COLUMNS):
                numbers = batch["number"].to_numpy()
                if (short := int(numbers.max()) + 1 - len(self._codes)) > 0:
                    self._codes = np.concatenate([self._codes, np.zeros(max(short, len(self._codes)), np.uint8)])
                copy, other = (batch[name].to_numpy(zero_copy_only=False) for name in ("is_copy", "other_outlet"))
                given = ~copy & (batch["outlets"].to_numpy() > 1)
                self._codes[numbers] = np.select([copy & other, copy, given], [_TAKEN, _REPEAT, _GIVEN], _OWN)
                self.judged += len(batch) - batch["similarity"].null_count

    def of(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The codes of documents, shape (documents,)."""
        return self._codes[numbers] if len(self._codes) else np.zeros(len(numbers), np.uint8)

    def is_copy(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which documents are copies, shape (documents,)."""
        codes = self.of(numbers)
        found: NDArray[np.bool_] = (codes == _REPEAT) | (codes == _TAKEN)
        return found


def parts_of(folder: Path, table: str) -> list[Path]:
    """The Parquet parts of a table of a run, in order."""
    return sorted((folder / table).glob("*.parquet"))


def batches(parts: Sequence[Path], columns: Sequence[str]) -> Iterator["pa.RecordBatch"]:
    """Read columns of the parts, a few thousand rows at a time."""
    import pyarrow.parquet as parquet

    for part in parts:
        with parquet.ParquetFile(part) as file:
            yield from file.iter_batches(_ROWS, columns=list(columns))


def count_documents(folder: Path, codebook: Codebook, flags: CopyFlags) -> Figures:
    """Count the documents of a run, in two passes: first which outlets and periods there are, then their rates."""
    parts = parts_of(folder, DOCUMENTS)
    sizes: Counter[str | None] = Counter()
    calendar = Calendar()
    for batch in batches(parts, ["outlet", "published_at"]):
        sizes.update(batch["outlet"].to_pylist())
        calendar.add(batch["published_at"].to_pylist())
    calendar.settle()
    # Equally large ones by name; the one without a name last.
    ordered = sorted(sizes, key=lambda name: (-sizes[name], name is None, name or ""))
    listed = ordered if len(ordered) <= MOST_OUTLETS + 1 else ordered[:MOST_OUTLETS]
    places: dict[str | None, int] = {name: n for n, name in enumerate(listed)}
    counter = _Counter(codebook, flags.judged is not None)
    columns = ["number", "outlet", "published_at", *_COUNTED, *(f"abstained.{axis.name}" for axis in codebook.axes)]
    for batch in batches(parts, [*dict.fromkeys([*columns, *counter.columns])]):
        outlets = [places.get(name, _REST) for name in batch["outlet"].to_pylist()]
        periods = [calendar.period(text) for text in batch["published_at"].to_pylist()]
        counter.add(batch, flags.of(batch["number"].to_numpy()), outlets, periods)
    known = sorted(key[1] for key in counter.known if key[0] == "period")
    span = range(known[0], known[-1] + 1) if known else range(0)
    present = set(known)
    return Figures(
        measures=counter.measures,
        everything=counter.row(("everything", _ALL), None, 0),
        counts=counter.sums(_COUNTED),
        abstained={axis.name: counter.sums([f"abstained.{axis.name}"]).popitem()[1] for axis in codebook.axes},
        outlets=[counter.row(("outlet", n), name, 1 + n) for n, name in enumerate(listed)],
        rest=counter.row(("outlet", _REST), None, 1 + len(listed)) if len(listed) < len(ordered) else None,
        rest_outlets=len(ordered) - len(listed),
        periods=[counter.row(("period", n), calendar.name(n), 100_000 + n) if n in present else None for n in span],
        period_names=[calendar.name(n) for n in span],
        unit=calendar.unit,
        undated=calendar.undated,
        unclear=calendar.unclear if calendar.unit == "month" else 0,
        judged=flags.judged,
    )


Key = tuple[str, Any]


class _Counter:
    """Counts with and without copies, by outlet, by period and of everything."""

    def __init__(self, codebook: Codebook, copies: bool) -> None:
        self.measures = measures(codebook)
        self.columns = count_columns(codebook)
        self._copies = copies
        self._with, self._without = Groups(len(self.columns)), Groups(len(self.columns))
        self._kinds: Counter[tuple[Key, int]] = Counter()
        self._sums: Counter[str] = Counter()
        self.known: set[Key] = set()

    def add(
        self, batch: "pa.RecordBatch", codes: NDArray[np.uint8], outlets: Sequence[Any], periods: Sequence[int | None]
    ) -> None:
        counts = matrix(batch, self.columns)
        for name in batch.schema.names:
            if name in _COUNTED or name.startswith("abstained."):
                self._sums[name] += int(matrix(batch, [name]).sum())
        kept = [code not in (_REPEAT, _TAKEN) for code in codes.tolist()]
        keys: list[list[Key | None]] = [
            [("everything", _ALL)] * len(batch),
            [("outlet", outlet) for outlet in outlets],
            [None if period is None else ("period", period) for period in periods],
        ]
        for some in keys:
            self._with.add(some, counts)
            if self._copies:
                self._without.add([key if keep else None for key, keep in zip(some, kept, strict=True)], counts)
            self.known.update(key for key in some if key)
        self._kinds.update(zip(keys[1], codes.tolist(), strict=True))  # type: ignore[arg-type]
        self._kinds.update((("everything", _ALL), code) for code in codes.tolist())

    def sums(self, names: Sequence[str]) -> dict[str, int]:
        return {name: self._sums[name] for name in names}

    def row(self, key: Key, name: str | None, seed: int) -> Row:
        return Row(
            name=name,
            documents=self._with.documents(key),
            sentences=int(self._with.sums(key)[0]),
            rates=self._with.rates(key, self.measures, (SEED, seed)),
            without=self._without.rates(key, self.measures, (SEED, seed)) if self._copies else None,
            repeats=self._kinds[key, _REPEAT],
            taken=self._kinds[key, _TAKEN],
            given=self._kinds[key, _GIVEN],
        )
