"""The items of all inputs as one stream, cut into shards: the units that are committed whole or not at all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.archive.formats import ReadOptions
from serving.archive.items import Item
from serving.archive.sources import Source

# A shard ends at so many characters even if it holds fewer records: what is in memory at a time stays bounded.
MAX_SHARD_CHARACTERS = 8_000_000


@dataclass(frozen=True)
class Input:
    """One input of a run, and the item that reading it begins with: what an earlier run read of it is left out."""

    source: Source
    first_item: int = 0


@dataclass(frozen=True)
class ItemRange:
    """Items of one input that lie in a shard: the input's place in the run, the first item, one past the last."""

    source: int
    start: int
    end: int


@dataclass(frozen=True)
class Position:
    """Where in a run the next shard begins.

    Attributes:
        shard: Its number.
        ordinal: Place of its first item among all items of the run.
        source: The input that its first item stands in, or the one after the last.
        item: Place of that item in that input.
    """

    shard: int = 0
    ordinal: int = 0
    source: int = 0
    item: int = 0


@dataclass(frozen=True)
class ShardHead:
    """What is known of a shard apart from its items.

    Attributes:
        number: Of the shard in the run, from 0.
        first: Place of its first item among all items of the run.
        read: How many items it has.
        characters: About how many they hold.
        last_place: Where its last item stands.
        ranges: Where all of them stand.
    """

    number: int
    first: int
    read: int
    characters: int
    last_place: str
    ranges: list[ItemRange]


@dataclass(frozen=True)
class Shard:
    """Some items, good and bad, in order."""

    head: ShardHead
    items: list[Item]


@dataclass(frozen=True)
class ShardStream:
    """What is left to read of a run, a shard at a time.

    Where a shard ends depends on the items since the position alone, and the position is always where one began.

    Attributes:
        read: How records are read.
        size: Items of a shard; it has fewer if they are long, and at the end.
    """

    inputs: Sequence[Input]
    read: ReadOptions
    size: int
    start: Position

    def __iter__(self) -> Iterator[Shard]:
        from serving.archive.readers import read_items

        inputs, start = self.inputs, self.start
        number, first = start.shard, start.ordinal
        items: list[Item] = []
        ranges: list[ItemRange] = []
        characters = 0
        for place in range(start.source, len(inputs)):
            begin = at = start.item if place == start.source and start.item else inputs[place].first_item
            for item in read_items(inputs[place].source, self.read, at):
                items.append(item)
                at += 1
                characters += _length(item)
                if len(items) >= self.size or characters >= MAX_SHARD_CHARACTERS:
                    yield _shard(number, first, items, characters, [*ranges, ItemRange(place, begin, at)])
                    number, first, begin, characters = number + 1, first + len(items), at, 0
                    items, ranges = [], []
            if at > begin:
                ranges.append(ItemRange(place, begin, at))
        if items:
            yield _shard(number, first, items, characters, ranges)


def _shard(number: int, first: int, items: list[Item], characters: int, ranges: list[ItemRange]) -> Shard:
    return Shard(ShardHead(number, first, len(items), characters, items[-1].place, ranges), items)


def _length(item: Item) -> int:
    record: Mapping[str, Any] = item.record or {}
    return len(item.raw) + sum(len(value) for value in record.values() if isinstance(value, str))
