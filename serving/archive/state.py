"""What a run has done so far, on disk: one commit record a shard, and a lock that keeps a second run out.

The parts of a shard are renamed into place first, and its commit record last: a part without a record does not
count, and is removed by the next run. So each shard is there exactly once, at whatever instant a run ends.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.archive.errors import ArchiveError
from serving.archive.parts import FOLDERS, sync_folder, temporary, write_json
from serving.archive.shards import Position, ShardHead
from serving.archive.tables import MANIFEST_FILE, REJECTS_FILE, RUN_FILE, STATE

COUNTS = (
    "read", "documents", "rejected", "sentences", "labelled", "abstained", "skipped", "errors", "inferred",
    "deduplicated",
)  # fmt: skip
STORE_FILE = f"{STATE}/sentences.sqlite"
_LOCK_FILE = f"{STATE}/lock"
_RECORDS = f"{STATE}/shards"


@dataclass(frozen=True)
class Progress:
    """Sums over all committed shards.

    Attributes:
        position: Where the next shard begins.
        counts: By the names in `COUNTS`.
        seconds: Time that it took, over all sittings.
        items: Items read of each input that was begun, by its place in the run.
        last_was_rejected: Of each such input, whether the last of them was a reject.
    """

    position: Position
    counts: Mapping[str, int]
    seconds: float
    items: Mapping[int, int]
    last_was_rejected: Mapping[int, bool]


class State:
    """The committed shards of one run."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.counts = dict.fromkeys(COUNTS, 0)
        self.seconds = 0.0
        self.position = Position()
        self._items: dict[int, int] = {}
        self._rejected_end: dict[int, bool] = {}

    def recover(self) -> Progress:
        """Read what was committed, and remove what was not.

        Raises:
            ArchiveError: A committed file is missing or has another size.
        """
        (self.out / _RECORDS).mkdir(parents=True, exist_ok=True)
        committed: set[Path] = set()
        for number, path in enumerate(_records(self.out)):
            record = json.loads(path.read_bytes())
            if record["shard"] != number:
                raise ArchiveError(
                    f"{self.out}: expected the record of shard {number}, but found that of {record['shard']}. "
                    "Start anew with --fresh."
                )
            for name, facts in record["files"].items():
                part = self.out / name
                size = part.stat().st_size if part.is_file() else None
                if size != facts["bytes"]:
                    found = "none" if size is None else f"one of {size}"
                    raise ArchiveError(
                        f"{part}: expected a file of {facts['bytes']} bytes, but found {found}. Bring it back, or "
                        "start anew with --fresh."
                    )
                committed.add(part)
            self._add(record)
        for path in _parts(self.out):
            if path not in committed:
                path.unlink()
        return self.progress

    @property
    def progress(self) -> Progress:
        """Sums so far."""
        return Progress(self.position, dict(self.counts), self.seconds, dict(self._items), dict(self._rejected_end))

    def commit(
        self, shard: ShardHead, written: Mapping[str, Any], inferred: int, seconds: float, ends_in_reject: bool
    ) -> None:
        """Make a shard part of the run.

        Args:
            written: What `parts.write_parts` gave.
            inferred: Sentences that the model read for it.
            seconds: Time since the last commit.
            ends_in_reject: Whether its last record was rejected.
        """
        for name in written["files"]:
            temporary(self.out / name).replace(self.out / name)
        for folder in {(self.out / name).parent for name in written["files"]}:
            sync_folder(folder)
        record = {
            "shard": shard.number,
            "first": shard.first,
            "ranges": [[r.source, r.start, r.end] for r in shard.ranges],
            "last_was_rejected": ends_in_reject,
            "counts": {**written["counts"], "read": shard.read, "inferred": inferred},
            "seconds": round(seconds, 3),
            "files": written["files"],
        }
        write_json(self.out / _RECORDS / f"{shard.number:06d}.json", record)
        self._add(record)

    def _add(self, record: Mapping[str, Any]) -> None:
        for name in COUNTS:
            self.counts[name] += record["counts"][name]
        self.seconds += record["seconds"]
        for source, _, end in record["ranges"]:
            self._items[source] = end
            self._rejected_end[source] = False
        if record["ranges"]:
            source, _, end = record["ranges"][-1]
            self._rejected_end[source] = record["last_was_rejected"]
            place = (source, end)
        else:
            place = (self.position.source, self.position.item)
        ordinal = record["first"] + record["counts"]["read"]
        self.position = Position(record["shard"] + 1, ordinal, *place)


def _records(out: Path) -> list[Path]:
    return sorted((out / _RECORDS).glob("[0-9]*.json"))


def _parts(out: Path) -> Iterator[Path]:
    """Parts of shards, committed or not, and whatever was half written; what else somebody put there is not ours."""
    for folder in (_RECORDS, *FOLDERS):
        for path in (out / folder).glob("*"):
            if path.name.startswith("part-") or temporary(path.with_name("x")).suffix == path.suffix:
                yield path


def is_ours(path: Path) -> bool:
    """Tell whether an entry of an output folder is one that runs write."""
    return path.name == STATE or path.name in FOLDERS or path.name.startswith(".") and path.name.endswith(".writing")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep the folder for this run alone; the lock goes when the process does.

    Raises:
        ArchiveError: Another run holds it.
    """
    (out / STATE).mkdir(parents=True, exist_ok=True)
    with (out / _LOCK_FILE).open("a+") as file:
        try:
            _lock(file.fileno())
        except OSError:
            file.seek(0)
            raise ArchiveError(
                f"{out}: expected a folder that no other run writes into, but found process "
                f"{file.read().strip() or 'unknown'} at it. Wait for it, or choose another --out."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        return
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_run(out: Path) -> None:
    """Remove what runs wrote into a folder, and nothing else; the lock stays."""
    from serving.archive.copies import COPIES_FILE

    # First what makes the folder a run: one that is broken here begins anew, and never goes on with half the files.
    for name in (MANIFEST_FILE, RUN_FILE, REJECTS_FILE, COPIES_FILE):
        (out / name).unlink(missing_ok=True)
    for path in [*_parts(out), *_records(out)]:
        path.unlink()
    for path in (out / STATE).glob(f"{Path(STORE_FILE).name}*"):
        path.unlink()
