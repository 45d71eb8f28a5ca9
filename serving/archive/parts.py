"""The files of a shard: tables or lines, written under temporary names and brought to the disk."""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.artifact import Artifact
from model.jsonl import dumps
from model.predictions import ABSTAINED, ERROR, OK
from serving.archive.columns import count_columns, label_columns, statuses, table
from serving.archive.lines import news_items, sentence_records
from serving.archive.options import NINJS, PARQUET
from serving.archive.packed import Layout, blank, concatenate
from serving.archive.stages import Assembly
from serving.archive.tables import (
    DOCUMENTS,
    REJECTS_FILE,
    SENTENCES,
    SKIPPED,
    STATE,
    document_schema,
    model_columns,
    part_name,
    sentence_schema,
)

ITEMS = "items"
REJECTS = f"{STATE}/{Path(REJECTS_FILE).stem}"
# Every folder that a run may write parts into.
FOLDERS = (DOCUMENTS, SENTENCES, ITEMS, REJECTS)
_ZSTD_LEVEL = 3


@dataclass(frozen=True)
class Rendered:
    """The files of a shard, not yet written.

    Attributes:
        files: Content by name in the run's folder.
        counts: Documents and sentences by what became of them.
    """

    files: Mapping[str, bytes]
    counts: Mapping[str, int]


def render_parts(output_format: str, artifact: Artifact, layout: Layout, assembly: Assembly) -> Rendered:
    """Make the files of a shard."""
    sentences, documents = make_tables(artifact, layout, assembly)
    number = assembly.shard
    files = {f"{DOCUMENTS}/{part_name(number)}": _parquet(documents)}
    if output_format == PARQUET:
        files[f"{SENTENCES}/{part_name(number)}"] = _parquet(sentences)
    elif output_format == NINJS:
        items = news_items(documents, assembly.segmented, artifact.codebook, artifact.model_info)
        files[f"{ITEMS}/{part_name(number, 'jsonl')}"] = _lines(items)
    else:
        records = sentence_records(sentences, artifact.codebook, artifact.model_info)
        files[f"{SENTENCES}/{part_name(number, 'jsonl')}"] = _lines(records)
    if assembly.segmented.rejects:
        files[f"{REJECTS}/{part_name(number, 'jsonl')}"] = _lines(assembly.segmented.rejects)
    return Rendered(files, _counts(sentences, assembly))


def write_parts(out: Path, rendered: Rendered) -> dict[str, Any]:
    """Write the files of a shard under temporary names.

    Returns:
        `files`: for each file, by its name in the run's folder, its `bytes` and `sha256`; it still stands under the
        name that `temporary` gives. `counts`: those of the shard.

    Raises:
        OSError: The disk is full, or cannot be written; nothing is left behind.
    """
    try:
        for name, data in rendered.files.items():
            (out / name).parent.mkdir(exist_ok=True)
            write_durably(temporary(out / name), data)
    except OSError:
        for name in rendered.files:
            temporary(out / name).unlink(missing_ok=True)
        raise
    facts = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in rendered.files.items()
    }
    return {"files": facts, "counts": rendered.counts}


def temporary(path: Path) -> Path:
    """Where a file is written before it is renamed."""
    return path.with_name(f".{path.name}.writing")


def make_tables(artifact: Artifact, layout: Layout, assembly: Assembly) -> tuple[Any, Any]:
    """The tables of a shard's sentences and documents, as `tables` describes them."""
    segmented = assembly.segmented
    everything = concatenate([assembly.packed, blank(layout)], layout)
    packed = everything.take(np.where(assembly.source < 0, len(assembly.packed), assembly.source))
    labelled = assembly.source >= 0
    model = model_columns(artifact.model_info)
    sentences = table(
        {
            **_sentence_columns(assembly),
            **label_columns(
                packed, layout, segmented.texts, np.array(segmented.starts, np.int64), labelled,
                [[name for name, _ in targets] for targets in segmented.targets],
            ),
            "status": statuses(packed, labelled, [ERROR if problem else SKIPPED for problem in segmented.problems]),
            **model,
        },
        sentence_schema(artifact.codebook, artifact.model_info),
        len(segmented),
    )  # fmt: skip
    document = np.array(segmented.document, np.int64)
    size = len(segmented.documents)
    repeats = np.array([identifier is not None for identifier in assembly.repeat_of], bool)
    flags = {
        "labelled": labelled,
        "abstained_sentences": labelled & (packed.rows["unsure"] > 0),
        "skipped": np.array(segmented.skipped, bool),
        "errors": np.array([problem is not None for problem in segmented.problems], bool),
        "repeats": repeats,
    }
    names = ("number", "id", "place", "title", "outlet", "url", "published_at", "language", "text", "n_characters")
    columns: dict[str, Any] = {
        name: [getattr(row, name) for row in segmented.documents] for name in (*names, "signature", "extra")
    }
    columns["sentences"] = np.bincount(document, minlength=size)
    columns |= {name: np.bincount(document[flag], minlength=size) for name, flag in flags.items()}
    columns |= count_columns(packed, layout, document, labelled, size)
    documents = table({**columns, **model}, document_schema(artifact.codebook, artifact.model_info), size)
    return sentences, documents


def _sentence_columns(assembly: Assembly) -> dict[str, Any]:
    """Columns that come from the archive, and not from the model."""
    segmented = assembly.segmented
    owner = [segmented.documents[n] for n in segmented.document]
    good = [problem is None for problem in segmented.problems]
    places = list(zip(segmented.starts, segmented.texts, good, strict=True))
    return {
        "document": [document.number for document in owner],
        "document_id": [document.id for document in owner],
        "id": segmented.ids,
        "number": segmented.number,
        "start": [start if known else None for start, _, known in places],
        "end": [start + len(text) if known else None for start, text, known in places],
        "text": [text if known else None for _, text, known in places],
        "language": segmented.languages,
        "error": segmented.problems,
        "is_repeat": [identifier is not None for identifier in assembly.repeat_of],
        "repeat_of": assembly.repeat_of,
        "outlet": [document.outlet for document in owner],
        "published_at": [document.published_at for document in owner],
        "extra": [document.extra for document in owner],
    }


def _counts(sentences: Any, assembly: Assembly) -> dict[str, int]:
    by_status = {row["values"]: row["counts"] for row in sentences["status"].value_counts().to_pylist()}
    return {
        "documents": len(assembly.segmented.documents),
        "rejected": len(assembly.segmented.rejects),
        "sentences": len(sentences),
        "labelled": by_status.get(OK, 0) + by_status.get(ABSTAINED, 0),
        "abstained": by_status.get(ABSTAINED, 0),
        "skipped": by_status.get(SKIPPED, 0),
        "errors": by_status.get(ERROR, 0),
        "deduplicated": sum(identifier is not None for identifier in assembly.repeat_of),
    }


def _parquet(content: Any) -> bytes:
    import pyarrow.parquet as parquet

    buffer = io.BytesIO()
    parquet.write_table(content, buffer, compression="zstd", compression_level=_ZSTD_LEVEL)
    return buffer.getvalue()


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(f"{dumps(record)}\n" for record in records).encode()


def write_durably(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file beside its place and rename it, so that it is there whole or not at all."""
    write_durably(temporary(path), (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode())
    temporary(path).replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring renamed files' names to the disk, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
