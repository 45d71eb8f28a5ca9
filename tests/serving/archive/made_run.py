"""A run made by hand, so that every number of its report can be computed by hand."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from model.codebook import Codebook
from serving.archive.copies import assign_clusters, signature
from serving.archive.tables import document_schema, model_columns, rate_columns, score_columns, sentence_schema

MODEL = {"name": "kitchen", "version": "1", "sha256": "0" * 64}


@dataclass
class Document:
    """A document whose labels are given by hand.

    Attributes:
        labels: The labels of each sentence, on every sentence-level axis together: `meat`, `start`, …
        score: Of every label that a sentence has; the others get what is left to 1.
    """

    labels: Sequence[Sequence[str]]
    outlet: str | None = "spoon"
    published_at: str | None = "2020-01-05"
    id: str = ""
    words: str = ""
    texts: Sequence[str] = ()
    score: float = 0.9
    repeated: Sequence[int] = field(default_factory=list)


def write_run(folder: Path, codebook: Codebook, documents: Sequence[Document], copies: bool = True) -> Path:
    """Write documents as a finished run."""
    info = MODEL | {"codebook": {"name": codebook.name, "version": codebook.version, "sha256": codebook.sha256}}
    rows = [_rows(n, document, codebook, info) for n, document in enumerate(documents)]
    tables = {
        "documents": pa.Table.from_pylist([row for row, _ in rows], schema=document_schema(codebook, info)),
        "sentences": pa.Table.from_pylist(
            [s for _, some in rows for s in some], schema=sentence_schema(codebook, info)
        ),
    }
    for name, table in tables.items():
        (folder / name).mkdir(parents=True)
        half = len(table) // 2
        parquet.write_table(table.slice(0, half), folder / name / "part-00000.parquet")
        parquet.write_table(table.slice(half), folder / name / "part-00001.parquet")
    if copies:
        assign_clusters(folder)
    (folder / "rejects.jsonl").write_text("")
    (folder / "manifest.json").write_text(json.dumps({"counts": {}}))
    return folder


def _rows(
    number: int, document: Document, codebook: Codebook, info: Mapping[str, Any]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    axis_of = {label: axis for axis, label in rate_columns(codebook)}
    identifier = document.id or f"d{number}"
    counts = Counter(label for labels in document.labels for label in labels)
    texts = list(document.texts) or [f"Sentence {n} of {identifier}." for n in range(1, len(document.labels) + 1)]
    mention, target = codebook.mention_axis, codebook.target_axis
    sentences, start = [], 0
    for n, labels in enumerate(document.labels):
        text = texts[n]
        held = [label for label in labels if axis_of[label] == mention.summary]
        spans = [
            {
                "text": text[:8], "start": start, "end": start + 8, "label": label, "score": document.score,
                target.name: {"label": target.label_names[0], "score": document.score},
            }
            for label in held
        ]  # fmt: skip
        sentence = {
            "document": number, "document_id": identifier, "id": f"{identifier}:{n + 1}", "number": n + 1,
            "start": start, "end": start + len(text), "text": text, "language": "en", "status": "ok", "n_tokens": 4,
            "truncated": False, mention.summary: held, mention.name: spans, "targets": [], "abstained": [],
            "is_repeat": n in document.repeated, "outlet": document.outlet, "published_at": document.published_at,
            "evidence": [
                {"axis": axis_of[x], "label": x, "text": text[-9:-1], "start": start + len(text) - 9,
                 "end": start + len(text) - 1, "weight": 1.0}
                for x in labels if x not in held
            ],
        }  # fmt: skip
        sentence |= {a.name: [x for x in labels if axis_of[x] == a.name] for a in codebook.sentence_axes}
        for axis, label in score_columns(codebook):
            sentence[f"scores.{axis}.{label}"] = document.score if label in labels else 1 - document.score
        sentences.append(sentence | model_columns(info))
        start += len(text) + 1
    row: dict[str, Any] = {
        "number": number, "id": identifier, "place": f"made:{number}", "outlet": document.outlet,
        "published_at": document.published_at, "language": "en", "n_characters": start,
        "sentences": len(texts), "labelled": len(texts), "abstained_sentences": 0, "skipped": 0, "errors": 0,
        "repeats": len(document.repeated), "signature": signature(document.words) or None,
    }  # fmt: skip
    for axis, label in rate_columns(codebook):
        row |= {f"count.{axis}.{label}": counts[label], f"rate.{axis}.{label}": counts[label] / len(texts)}
    for label in mention.label_names:
        row[f"count.{mention.name}.{label}"] = counts[label]
    meats = sum(counts[label] for label in mention.label_names)
    for label in target.label_names:
        row[f"count.{target.name}.{label}"] = meats if label == target.label_names[0] else 0
    row |= {f"abstained.{axis.name}": 0 for axis in codebook.axes}
    return row | model_columns(info), sentences
