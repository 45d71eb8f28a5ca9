"""Wire copy: which documents of an archive repeat an earlier one, whole or lightly edited.

A document is a copy if its words resemble those of an earlier document that is no copy itself. The resemblance is the
Jaccard similarity of the sets of three-word shingles, estimated from MinHash signatures. Later documents never change
what was said of earlier ones: a run that is continued or updated agrees with one that was not.

Threshold and shingle were chosen by reading pairs of articles; `training/LOG.md` tells the evidence. An article that
holds a short agency story among much of its own is not taken for a copy: the sentences that it repeats to the word
are counted as repeated sentences.

Source: Broder 1997, "On the resemblance and containment of documents".
"""

import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.archive.copy_groups import BAND, HASHES, SignatureStore
from serving.archive.errors import ArchiveError
from serving.archive.tables import DOCUMENTS

SHINGLE = 3  # words
THRESHOLD = 0.4
SEED = 7
# Signatures of two methods cannot be compared: a run states its own.
METHOD = f"rensa R-MinHash 2, {HASHES} hashes of 16 bits, {SHINGLE} words, seed {SEED}, bands of {BAND}, {THRESHOLD}"
COPIES_FILE = "copies.parquet"
_BUILDING = ".copies.building"
_ALGORITHM = 2
_ROWS = 8192
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class CopySummary:
    """How much of an archive is copy.

    Attributes:
        documents: All documents.
        judged: Those with words.
        clusters: Groups of two or more.
        copies: Documents that repeat the first one of their cluster.
        across_outlets: Copies whose first one stands in another outlet; the others are an outlet's own repeats.
        threshold: The least similarity of a copy.
    """

    documents: int
    judged: int
    clusters: int
    copies: int
    across_outlets: int
    threshold: float


def signature(text: str) -> bytes:
    """Make the MinHash signature of a text; capitals, punctuation and spacing do not count.

    Returns:
        256 numbers of 16 bits, little-endian; nothing for a text without words.

    Raises:
        ArchiveError: The installed rensa makes other signatures.
    """
    from rensa import RMinHash

    if RMinHash.ALGORITHM_VERSION != _ALGORITHM:
        found = RMinHash.ALGORITHM_VERSION
        raise ArchiveError(
            f"rensa: expected version {_ALGORITHM} of its algorithm, but found {found}. Install rensa 0.5."
        )
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if not words:
        return b""
    sketch = RMinHash(num_perm=HASHES, seed=SEED)
    sketch.update([" ".join(words[n : n + SHINGLE]) for n in range(max(1, len(words) - SHINGLE + 1))])
    return np.array(sketch.digest(), dtype=np.uint32).astype("<u2").tobytes()


def assign_clusters(out_dir: Path) -> CopySummary:
    """Find the copies among the documents of a run, and write them to `copies.parquet` in its folder.

    Columns: `number` and `id` of the document; `cluster`, the number of the first document of its cluster; `is_copy`;
    `other_outlet`, whether that first document stands in another outlet; `similarity` to it, null where there are no
    words; `size`, documents of the cluster; `outlets`, different outlets in it.

    Needs about 1 KB a document on disk while it runs, and 120 bytes in memory.
    """
    numbers, outlets = _Growing(np.int64), _Growing(np.int32)
    codes: dict[str | None, int] = {}
    rows = _Growing(np.int64)  # the place among all documents of each one with a signature
    with _own_folder(out_dir / _BUILDING) as folder, SignatureStore(folder) as store:
        for batch in _batches(out_dir, ["number", "outlet", "signature"]):
            signed = [n for n, value in enumerate(batch["signature"]) if value]
            rows.extend([len(numbers) + n for n in signed])
            store.append([batch["signature"][n] for n in signed])
            numbers.extend(batch["number"])
            outlets.extend([codes.setdefault(outlet, len(codes)) for outlet in batch["outlet"]])
        found = store.first_of_each(numbers.values[rows.values], THRESHOLD)
    documents = len(numbers)
    first = np.arange(documents)
    first[rows.values] = rows.values[found.first]
    similarity = np.full(documents, np.nan, dtype=np.float32)
    similarity[rows.values] = found.similarity
    size = np.bincount(first, minlength=documents)
    outlets_of = _outlets_of(first, outlets.values, len(codes))
    other_outlet = outlets.values != outlets.values[first]
    _write(out_dir, numbers.values, first, other_outlet, similarity, size, outlets_of)
    copies = np.flatnonzero(first != np.arange(documents))
    return CopySummary(
        documents=documents,
        judged=len(rows),
        clusters=int((size > 1).sum()),
        copies=len(copies),
        across_outlets=int(other_outlet.sum()),
        threshold=THRESHOLD,
    )


@contextmanager
def _own_folder(folder: Path) -> Iterator[Path]:
    """An empty folder for as long as it is needed; one that a killed run left is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Growing:
    """An array that grows without the cost of a Python object for each number."""

    def __init__(self, kind: type[np.integer[Any]]) -> None:
        self._values: NDArray[Any] = np.empty(1024, dtype=kind)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[Any]:
        return self._values[: self._length]

    def extend(self, items: list[int]) -> None:
        needed = self._length + len(items)
        if needed > len(self._values):
            grown = np.empty(max(needed, 2 * len(self._values)), dtype=self._values.dtype)
            grown[: self._length] = self.values
            self._values = grown
        self._values[self._length : needed] = items
        self._length = needed


def _batches(out_dir: Path, columns: list[str]) -> Iterator[dict[str, list[Any]]]:
    """Read columns of the committed parts, in run order, a few thousand documents at a time."""
    import pyarrow.parquet as parquet

    for part in document_parts(out_dir):
        with parquet.ParquetFile(part) as file:
            for batch in file.iter_batches(_ROWS, columns=columns):
                yield batch.to_pydict()


def document_parts(out_dir: Path) -> list[Path]:
    """The committed parts of the documents table."""
    return sorted((out_dir / DOCUMENTS).glob("*.parquet"))


def _outlets_of(first: NDArray[Any], outlets: NDArray[Any], kinds: int) -> NDArray[Any]:
    """Count the different outlets of the cluster that each first document stands for, shape (documents,)."""
    pairs = np.unique(first.astype(np.int64) * max(kinds, 1) + outlets)
    return np.bincount(pairs // max(kinds, 1), minlength=len(first))


def _write(
    out_dir: Path,
    numbers: NDArray[Any],
    first: NDArray[Any],
    other_outlet: NDArray[Any],
    similarity: NDArray[Any],
    size: NDArray[Any],
    outlets: NDArray[Any],
) -> None:
    """Write the table beside its place and rename it, so that nobody ever sees half of it."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    schema = pa.schema(
        [
            pa.field("number", pa.int64(), nullable=False),
            pa.field("id", pa.string(), nullable=False),
            pa.field("cluster", pa.int64(), nullable=False),
            pa.field("is_copy", pa.bool_(), nullable=False),
            pa.field("other_outlet", pa.bool_(), nullable=False),
            pa.field("similarity", pa.float32()),
            pa.field("size", pa.int64(), nullable=False),
            pa.field("outlets", pa.int32(), nullable=False),
        ],
        metadata={"copies": METHOD},
    )
    beside = out_dir / f".{COPIES_FILE}.writing"
    start = 0
    with parquet.ParquetWriter(beside, schema, compression="zstd") as writer:
        for batch in _batches(out_dir, ["number", "id"]):
            rows = np.arange(start, start + len(batch["id"]))
            start += len(rows)
            of = first[rows]
            columns = [
                pa.array(batch["number"], pa.int64()),
                pa.array(batch["id"], pa.string()),
                pa.array(numbers[of]),
                pa.array(of != rows),
                pa.array(other_outlet[rows]),
                pa.array(similarity[rows], from_pandas=True),  # not a number is a null
                pa.array(size[of]),
                pa.array(outlets[of].astype(np.int32)),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    with beside.open("rb+") as file:
        os.fsync(file.fileno())
    beside.replace(out_dir / COPIES_FILE)
