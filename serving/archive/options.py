"""What a run is asked to do: one frozen object, the same from the command line and from Python."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serving.archive.errors import ArchiveError
from serving.archive.formats import ReadOptions

PARQUET, JSONL, NINJS = "parquet", "jsonl", "ninjs"
OUTPUT_FORMATS = (PARQUET, JSONL, NINJS)
LOCAL, CLUSTER = "local", "ray"
ENGINES = (LOCAL, CLUSTER)
SHARD_DOCUMENTS = 1000  # some 15 seconds of two cores: what a crash costs, and files of some MB


@dataclass(frozen=True)
class ArchiveOptions:
    """Options of a run.

    Those of the first group decide on what is written: another run into the same folder must have the same ones.

    Attributes:
        read: Names of the records' fields, and whether a record is a sentence instead of a document.
        input_format: What the inputs hold; "auto" tells by each file's name and beginning.
        output_format: "parquet", "jsonl" (a labelled sentence a line) or "ninjs" (a news item a line).
        all_languages: Label sentences in other languages than the model's too.
        shard_size: Records that are committed together.
        remember: Sentences that are kept to recognise repeated ones; about 200 bytes each, on disk.
        engine: "local" or "ray".
        cluster: Address of a Ray cluster; None starts one on this machine.
        workers: Processes, each with the model in one thread; 0 takes the cores there are. None labels in this
            process, which needs no other one but leaves the other cores idle.
        model: An artifact or trained weights, instead of the shipped model.
        encoder: Folder of the base encoder, where its package is not installed.
        fresh: Remove what an earlier run left in the folder, and begin anew.
        update: Go on from a finished run with what is new in the inputs.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    input_format: str = "auto"
    output_format: str = PARQUET
    all_languages: bool = False
    shard_size: int = SHARD_DOCUMENTS
    remember: int = 2_000_000
    engine: str = LOCAL
    cluster: str | None = None
    workers: int | None = 0
    model: Path | None = None
    encoder: Path | None = None
    fresh: bool = False
    update: bool = False

    def __post_init__(self) -> None:
        _check("output format", self.output_format, OUTPUT_FORMATS)
        _check("engine", self.engine, ENGINES)
        for name, value, least in (
            ("shard size", self.shard_size, 1), ("remember", self.remember, 0), ("workers", self.workers or 0, 0)
        ):  # fmt: skip
            if value < least:
                raise ArchiveError(f"{name}: expected at least {least}, but found {value}. Give a larger number.")
        if self.fresh and self.update:
            raise ArchiveError("options: expected fresh or update, but found both. Choose one of them.")

    def deciding(self) -> Mapping[str, Any]:
        """Those options that decide on what is written, as plain data."""
        return {
            **asdict(self.read),
            "input_format": self.input_format,
            "output_format": self.output_format,
            "all_languages": self.all_languages,
            "shard_size": self.shard_size,
            "remember": self.remember,
        }


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ArchiveError(f"{name}: expected one of {list(known)}, but found {value!r}. Choose one of them.")
