"""From MinHash signatures to the first document that each one resembles; the signatures stay on disk.

Two signatures are compared only where a band of them, four hashes in a row, is equal: with 64 bands a pair of
similarity 0.5 is seen with probability 0.98, one of 0.4 with 0.81, one of 0.02 with 0.00001.

Source: Leskovec, Rajaraman and Ullman 2020, "Mining of Massive Datasets", ch. 3.4.
"""

import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

HASHES, BAND = 256, 4
BANDS = HASHES // BAND
_HASH = np.dtype("<u2")
_KEY = np.dtype("<u8")  # a band as one number
# Of a larger bucket not every pair is looked at: it is taken as one group, whose members are compared later on.
_BUCKET = 64
_COMPARED = 4_096  # pairs compared at once: 4 MB

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Firsts:
    """What each signature repeats.

    Attributes:
        first: Shape (signatures,): the place of the signature that it repeats; its own if it repeats none.
        similarity: Shape (signatures,): estimated Jaccard similarity to that one, 0 to 1.
    """

    first: Integers
    similarity: NDArray[np.float32]


class SignatureStore:
    """Signatures on disk, as rows and once more band by band; used as a context."""

    def __init__(self, folder: Path) -> None:
        """Store into a folder that exists and is empty."""
        self._rows_file = folder / "signatures"
        self._band_files = [folder / f"band-{n}" for n in range(BANDS)]
        self._whole_file = folder / "whole"
        self._open = ExitStack()
        self._rows, self._whole, *self._bands = (
            self._open.enter_context(file.open("wb")) for file in (self._rows_file, self._whole_file, *self._band_files)
        )
        self._length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def append(self, signatures: Sequence[bytes]) -> None:
        """Add signatures, each of `HASHES` numbers of 16 bits."""
        self._length += len(signatures)
        rows = b"".join(signatures)
        self._rows.write(rows)
        self._whole.write(b"".join(blake2b(row, digest_size=8).digest() for row in signatures))
        keys = np.frombuffer(rows, dtype=_KEY).reshape(-1, BANDS)
        for file, column in zip(self._bands, keys.T, strict=True):
            _write(file, column)

    def first_of_each(self, numbers: Integers, threshold: float) -> Firsts:
        """Find for each signature the earlier one that it repeats.

        In run order, a signature repeats the most similar one of those that repeat none themselves, share a band with
        it and reach the threshold; of equally similar ones the earliest. Equal signatures repeat the same one.

        Args:
            numbers: Place in run order, shape (signatures,): of two signatures the lower number is the earlier one.
            threshold: Least estimated similarity, 0 to 1.
        """
        self._open.close()
        first = np.arange(self._length)
        similarity = np.ones(self._length, dtype=np.float32)
        if not self._length:
            return Firsts(first, similarity)
        with self._rows_file.open("rb", buffering=0) as file:
            self._find(_Rows(file), numbers, threshold, first, similarity)
        return Firsts(first, similarity)

    def _find(
        self, rows: "_Rows", numbers: Integers, threshold: float, first: Integers, similarity: NDArray[np.float32]
    ) -> None:
        """Fill in what `first_of_each` returns."""
        equal = self._equal_to(rows, numbers)
        roots = self._components(rows, equal, threshold)
        own = np.flatnonzero(equal == np.arange(self._length))
        own = own[np.bincount(roots[own])[roots[own]] > 1]
        own = own[np.lexsort((numbers[own], roots[own]))]  # component by component, in run order
        ends = np.flatnonzero(np.diff(roots[own], append=-1)) + 1
        for start, end in zip([0, *ends[:-1]], ends, strict=False):
            members = own[start:end]
            places, found = _follow(rows[members], threshold)
            first[members], similarity[members] = members[places], found
        similarity[:] = similarity[equal]
        repeated = equal != np.arange(self._length)
        first[repeated] = first[equal[repeated]]

    def _equal_to(self, rows: "_Rows", numbers: Integers) -> Integers:
        """The earliest signature that equals each one, shape (signatures,)."""
        keys = np.fromfile(self._whole_file, dtype=_KEY)
        order = np.lexsort((numbers, keys))
        starts = np.flatnonzero(np.diff(keys[order], prepend=keys[order[0]] ^ 1))
        heads = np.empty_like(order)
        heads[order] = np.repeat(order[starts], np.diff(starts, append=len(order)))
        others = np.flatnonzero(heads != np.arange(len(heads)))
        for some in _chunks(others):
            unlike = (rows[some] != rows[heads[some]]).any(axis=1)  # two hashes of 64 bits may meet
            heads[some[unlike]] = some[unlike]
        return heads

    def _components(self, rows: "_Rows", equal: Integers, threshold: float) -> Integers:
        """Number the groups outside of which no signature resembles another, shape (signatures,)."""
        everyone = np.arange(self._length)
        roots = everyone.copy()
        own = np.flatnonzero(equal == everyone)
        for file in self._band_files:
            keys = np.fromfile(file, dtype=_KEY)[own]
            order = np.argsort(keys, kind="stable")
            keys, places = keys[order], own[order]
            starts = np.flatnonzero(np.diff(keys, prepend=keys[0] ^ 1))
            sizes = np.diff(starts, append=len(keys))
            large = np.repeat(sizes > _BUCKET, sizes)
            near = np.flatnonzero(large[1:] & (keys[1:] == keys[:-1]))
            _join(roots, places[near], places[near + 1])
            for apart in range(1, min(int(sizes.max()), _BUCKET)):
                same = np.flatnonzero((keys[apart:] == keys[:-apart]) & ~large[apart:])
                ones, others = places[same], places[same + apart]
                for some in _chunks(np.flatnonzero(_roots_of(roots, ones) != _roots_of(roots, others))):
                    alike = (rows[ones[some]] == rows[others[some]]).mean(axis=1) >= threshold
                    _join(roots, ones[some[alike]], others[some[alike]])
            roots = _roots_of(roots, everyone)
        return roots


class _Rows:
    """Signatures by their places, read one by one: a mapped file would count as memory."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file

    def __getitem__(self, places: Integers) -> NDArray[np.uint16]:
        """Signatures of the given places, shape (places, HASHES)."""
        rows = np.empty((len(places), HASHES), dtype=_HASH)
        for n in np.argsort(places).tolist():
            self._file.seek(int(places[n]) * rows.itemsize * HASHES)
            self._file.readinto(rows[n].data)
        return rows


def _write(file: BinaryIO, column: NDArray[Any]) -> None:
    file.write(np.ascontiguousarray(column).tobytes())


def _chunks(places: Integers) -> list[Integers]:
    return [places[n : n + _COMPARED] for n in range(0, len(places), _COMPARED)]


def _roots_of(roots: Integers, places: Integers) -> Integers:
    """Follow the pointers of the union-find forest to their ends, all at once."""
    found = roots[places]
    while True:
        further = roots[found]
        if np.array_equal(further, found):
            return found
        found = further


def _join(roots: Integers, ones: Integers, others: Integers) -> None:
    """Join the trees of each pair under the lower root."""
    for one, other in zip(ones.tolist(), others.tolist(), strict=True):
        low, high = sorted((_root_of(roots, one), _root_of(roots, other)))
        roots[high] = low


def _root_of(roots: Integers, place: int) -> int:
    while (above := int(roots[place])) != place:
        roots[place] = roots[above]  # half the way for the next one
        place = above
    return place


def _follow(rows: NDArray[np.uint16], threshold: float) -> tuple[Integers, NDArray[np.float32]]:
    """Find which earlier row each one repeats, in a group small enough for memory.

    Args:
        rows: Signatures in run order, shape (members, HASHES).

    Returns:
        The place of the row that each one repeats, or its own, and the similarity to it; shape (members,) both.
    """
    places = np.arange(len(rows))
    similarity = np.ones(len(rows), dtype=np.float32)
    firsts = np.empty_like(rows)
    firsts[0] = rows[0]
    of = [0]
    for n in range(1, len(rows)):
        best, where = 0.0, -1
        for start in range(0, len(of), _COMPARED):
            same = firsts[start : min(start + _COMPARED, len(of))] == rows[n]  # (firsts, HASHES)
            found = same.mean(axis=1)
            found[~same.reshape(len(same), BANDS, BAND).all(axis=2).any(axis=1)] = 0
            if found.max() > best:
                best, where = float(found.max()), start + int(found.argmax())
        if best >= threshold:
            places[n], similarity[n] = of[where], best
        else:
            firsts[len(of)] = rows[n]
            of.append(n)
    return places, similarity
