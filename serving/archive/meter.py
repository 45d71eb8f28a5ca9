"""How far a run is, and how long it will take."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.archive.shards import Input, Position, ShardHead
from serving.archive.state import State

# Characters of records to a byte of input, until it was measured: compressed text holds some four times its bytes.
_PLAIN, _COMPRESSED = 1.0, 4.0


@dataclass(frozen=True)
class Snapshot:
    """The state of a run.

    Attributes:
        counts: Of all that is committed, by the names in `state.COUNTS`.
        share: Of the input that is committed, 0 to 1, by its bytes; within a file an estimate.
        sentences_per_second: Of this sitting; repeated ones count.
        seconds_left: None before there is anything to tell it by.
    """

    counts: Mapping[str, int]
    share: float
    sentences_per_second: float
    seconds_left: float | None

    @property
    def repeated(self) -> float:
        """Share of the sentences to label that took over the labels of an identical one."""
        return self.counts["deduplicated"] / max(1, self.counts["labelled"])


class Meter:
    """Measures one sitting."""

    def __init__(self, inputs: Sequence[Input], state: State) -> None:
        self._inputs = inputs
        self._state = state
        self._began = time.monotonic()
        self._sentences = state.counts["sentences"]
        self._items, self._characters = 0, 0
        self._share: float | None = None

    def see(self, shard: ShardHead) -> None:
        """Take note of what was read."""
        self._items += shard.read
        self._characters += shard.characters

    def snapshot(self) -> Snapshot:
        """The state of the run now."""
        seconds = max(1e-9, time.monotonic() - self._began)
        share = self._committed(self._state.position)
        if self._share is None:
            self._share = share
        gained = share - self._share
        return Snapshot(
            counts=dict(self._state.counts),
            share=share,
            sentences_per_second=(self._state.counts["sentences"] - self._sentences) / seconds,
            seconds_left=seconds * (1 - share) / gained if gained > 0 else None,
        )

    def _committed(self, position: Position) -> float:
        total = sum(item.source.size for item in self._inputs)
        done = sum(item.source.size for item in self._inputs[: position.source])
        if position.source < len(self._inputs):
            current = self._inputs[position.source].source
            compressed = current.compression or current.format == "parquet"
            ratio = _COMPRESSED if compressed else _PLAIN
            each = self._characters / max(1, self._items) / ratio
            done += min(int(position.item * each), int(0.99 * current.size))
        return done / total if total else 1.0
