"""Identical sentences are inferred once: a bounded store, on disk, of what the model said of each.

Every sentence that is inferred gets the next number of a run. A later sentence of the same words takes over its
prediction, as long as no more than `capacity` others were inferred before the later one's shard: what is forgotten
is what was inferred longest ago, as most copies appear within days. All of this hangs on the order of the sentences
alone, so that a run that was broken finds the same repeats as one that was not.

An entry belongs to the shard that inferred it, and counts only when that shard is committed.
"""

import hashlib
import json
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BATCH = 500  # values a query: SQLite takes at least 999
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, shard INTEGER, key BLOB, id TEXT, value BLOB);
CREATE INDEX IF NOT EXISTS entries_key ON entries (key);
"""


def key_of(text: str, targets: Sequence[Any] = ()) -> bytes:
    """Hash of all that decides on a prediction: 16 bytes."""
    asked = json.dumps(targets) if targets else ""
    return hashlib.blake2b(f"{asked}\n{text}".encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Lookup:
    """Where the predictions of a shard's sentences come from.

    Attributes:
        first: The number that the shard's first new sentence gets.
        numbers: The number of each sentence's prediction, shape (sentences,); from `first` on, it is new.
        new: Places of the sentences to infer, in the order of their numbers.
    """

    first: int
    numbers: NDArray[np.int64]
    new: list[int]


class Repeats:
    """The store of one run."""

    def __init__(self, path: Path, capacity: int, inferred: int = 0) -> None:
        """Open or create the store.

        Args:
            capacity: How many sentences it holds.
            inferred: How many sentences the run has inferred.
        """
        self.capacity = capacity
        self._next = inferred
        # One thread at a time uses it, but on a cluster not the one that opened it.
        self._database = sqlite3.connect(path, timeout=60, check_same_thread=False)
        # A reader beside the writer, as on a cluster; FULL: what a commit record counts on is on the disk.
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_SCHEMA)
        self._pending: dict[bytes, int] = {}  # looked up, but not stored so far
        self._order: deque[tuple[int, bytes]] = deque()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def drop(self, shard: int) -> None:
        """Forget what belongs to a shard or a later one: they were not committed."""
        with self._database:
            self._database.execute("DELETE FROM entries WHERE shard >= ?", (shard,))

    def lookup(self, keys: Sequence[bytes]) -> Lookup:
        """Tell new sentences from repeated ones; shards must come in order.

        Args:
            keys: `key_of` each sentence of the shard.
        """
        self._prune()
        first, oldest = self._next, max(0, self._next - self.capacity)
        known = self._stored(set(keys) - self._pending.keys())
        numbers = np.empty(len(keys), dtype=np.int64)
        new = []
        for n, key in enumerate(keys):
            number = self._pending.get(key, known.get(key, -1))
            if number < oldest:
                number = self._next
                self._next += 1
                self._pending[key] = number
                self._order.append((number, key))
                new.append(n)
            numbers[n] = number
        return Lookup(first, numbers, new)

    def store(self, shard: int, first: int, keys: Iterable[bytes], ids: Iterable[str], values: Iterable[bytes]) -> None:
        """Keep what was inferred for a shard: the key, the id and the prediction of each new sentence."""
        rows = ((first + n, shard, *entry) for n, entry in enumerate(zip(keys, ids, values, strict=True)))
        with self._database:
            self._database.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", rows)

    def fetch(self, numbers: NDArray[np.int64]) -> Mapping[int, tuple[str, bytes]]:
        """The id and the prediction of stored sentences, by number."""
        found = self._select("SELECT number, id, value FROM entries WHERE number IN ({})", numbers.tolist())
        return {number: (identifier, value) for number, identifier, value in found}

    def forget(self, inferred: int) -> None:
        """Remove what no later shard can take over.

        Args:
            inferred: How many sentences were inferred in all that is committed.
        """
        with self._database:
            self._database.execute("DELETE FROM entries WHERE number < ?", (inferred - self.capacity,))

    def _stored(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        # Of two entries of one key, the older was out of reach when the newer was made.
        query = "SELECT key, MAX(number) FROM entries WHERE key IN ({}) GROUP BY key"
        return dict(self._select(query, sorted(keys)))

    def _select(self, query: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(values), _BATCH):
            batch = values[start : start + _BATCH]
            yield from self._database.execute(query.format(",".join("?" * len(batch))), batch)

    def _prune(self) -> None:
        stored = self._database.execute("SELECT MAX(number) FROM entries").fetchone()[0]
        while self._order and stored is not None and self._order[0][0] <= stored:
            number, key = self._order.popleft()
            if self._pending.get(key) == number:
                del self._pending[key]
