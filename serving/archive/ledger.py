"""What is done in the order of the shards: repeated sentences are looked up, and shards are committed."""

import time
from pathlib import Path

import numpy as np

from serving.archive.errors import ArchiveError
from serving.archive.packed import Layout, Packed, concatenate, from_bytes
from serving.archive.repeats import Lookup, Repeats
from serving.archive.segmented import Segmented
from serving.archive.shards import ShardHead
from serving.archive.stages import Assembly
from serving.archive.state import STORE_FILE, State


class Ledger:
    """The book of a run: its committed shards, and the sentences that it remembers."""

    def __init__(self, out: Path, state: State, layout: Layout, remember: int) -> None:
        """Open the book; `state` must have recovered."""
        self.out = out
        self.state = state
        self.layout = layout
        self._repeats = Repeats(out / STORE_FILE, remember, state.counts["inferred"])
        self._repeats.drop(state.position.shard)
        self._since = time.monotonic()

    def close(self) -> None:
        """Let go of the files."""
        self._repeats.close()

    def lookup(self, segmented: Segmented) -> Lookup:
        """Tell the new sentences of the next shard from those that were inferred before."""
        return self._repeats.lookup([key for key in segmented.keys if key])

    def settle(self, shard: int, segmented: Segmented, lookup: Lookup, packed: Packed) -> Assembly:
        """Remember the new predictions of a shard, and bring together all that it needs.

        Args:
            packed: Predictions of the new sentences, in their order.
        """
        places = segmented.to_infer()
        new = [places[n] for n in lookup.new]
        ids = [segmented.ids[n] for n in new]
        self._repeats.store(shard, lookup.first, [segmented.keys[n] for n in new], ids, packed.to_bytes())
        older = np.unique(lookup.numbers[lookup.numbers < lookup.first])
        found = self._repeats.fetch(older)
        if len(found) != len(older):
            raise ArchiveError(
                f"{self.out / STORE_FILE}: expected {len(older)} sentences that shard {shard} repeats, but found "
                f"{len(found)}. Start anew with --fresh."
            )
        entries = [found[number] for number in older.tolist()]
        everything = concatenate([packed, from_bytes([value for _, value in entries], self.layout)], self.layout)
        is_new = lookup.numbers >= lookup.first
        source = np.full(len(segmented), -1, dtype=np.int64)
        source[places] = np.where(
            is_new, lookup.numbers - lookup.first, len(packed) + np.searchsorted(older, lookup.numbers)
        )
        names = [*ids, *(identifier for identifier, _ in entries)]
        first_ones = set(new)
        repeat_of = [None if place < 0 or n in first_ones else names[place] for n, place in enumerate(source.tolist())]
        return Assembly(shard, segmented, everything, source, repeat_of)

    def commit(self, shard: ShardHead, segmented: Segmented, lookup: Lookup, written: dict[str, object]) -> None:
        """Make the next shard part of the run."""
        now = time.monotonic()
        rejects = segmented.rejects
        ends_in_reject = bool(rejects) and rejects[-1]["place"] == shard.last_place
        self.state.commit(shard, written, len(lookup.new), now - self._since, ends_in_reject)
        self._since = now
        self._repeats.forget(self.state.counts["inferred"])
