"""The outputs that are lines of JSON: labelled sentences, and IPTC ninjs items with the labels as subjects."""

import json
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from model.codebook import Codebook
from model.predictions import ABSTAINED, ERROR, OK, rounded
from serving.archive.tables import rate_columns, score_columns, span_columns

if TYPE_CHECKING:
    import pyarrow as pa

    from serving.archive.segmented import Segmented

NINJS_STANDARD = {"name": "ninjs", "version": "1.4", "schema": "http://www.iptc.org/std/ninjs/ninjs-schema_1.4.json"}


def sentence_records(
    sentences: "pa.Table", codebook: Codebook, model_info: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Labelled sentences as every other door of the program gives them, with the model on each."""
    for row in sentences.to_pylist():
        record = {name: row[name] for name in ("id", "status", "start", "end", "language")}
        if row["status"] in (OK, ABSTAINED):
            record |= _labels(row, codebook)
        elif row["status"] == ERROR:
            record = {"id": row["id"], "status": ERROR, "error": row["error"]}
        carried = {name: row[name] for name in ("text", "outlet", "published_at", "repeat_of") if row[name] is not None}
        record |= {"document": row["document_id"], **carried, "model": dict(model_info)}
        extra = json.loads(row["extra"]) if row["extra"] else {}
        yield record | {key: value for key, value in extra.items() if key not in record}


def _labels(row: Mapping[str, Any], codebook: Codebook) -> dict[str, Any]:
    record: dict[str, Any] = {"n_tokens": row["n_tokens"], "truncated": row["truncated"]}
    mention, target = codebook.mention_axis, codebook.target_axis
    if mention:
        if mention.summary:
            record[mention.summary] = row[mention.summary]
        record[mention.name] = [_tidy(item) for item in row[mention.name]]
    for axis in codebook.sentence_axes:
        record[axis.name] = [
            {
                "label": label,
                "score": rounded(row[f"scores.{axis.name}.{label}"]),
                "evidence": [
                    {key: item[key] for key in ("text", "start", "end")} | {"weight": round(item["weight"], 3)}
                    for item in row["evidence"]
                    if (item["axis"], item["label"]) == (axis.name, label)
                ],
            }
            for label in row[axis.name]
        ]
    if target:
        record["targets"] = [_tidy(item) for item in row["targets"]]
    scores: dict[str, dict[str, float]] = {}
    for axis_name, label in score_columns(codebook):
        if (score := row[f"scores.{axis_name}.{label}"]) is not None:
            scores.setdefault(axis_name, {})[label] = rounded(score)
    return record | {"scores": scores, "abstained": row["abstained"]}


def _tidy(item: Mapping[str, Any]) -> dict[str, Any]:
    """A span with its label; what the codebook has no axis for is left out, and scores have their digits."""
    tidy: dict[str, Any] = {}
    for key, value in item.items():
        if isinstance(value, Mapping):
            if value["label"] is not None:
                tidy[key] = _tidy(value)
        else:
            tidy[key] = rounded(value) if key == "score" else value
    return tidy


def news_items(
    documents: "pa.Table", segmented: "Segmented", codebook: Codebook, model_info: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Documents as news items: each label that occurs is a subject, the most frequent first.

    A subject's code is its axis, a colon and its label, in a scheme that names the codebook and its version. Labels
    that say nothing in particular are no subjects.

    Source: IPTC, "ninjs 1.4", ninjs-schema_1.4.json.
    """
    plain = {(axis.name, axis.plain) for axis in codebook.axes}
    columns = [pair for pair in [*rate_columns(codebook), *span_columns(codebook)] if pair not in plain]
    scheme = f"urn:newsframe:{_quoted(codebook.name)}:{_quoted(codebook.version)}"
    profile = f"newsframe {model_info['name']} {model_info['version']} {model_info['sha256']}"
    for row, document in zip(documents.to_pylist(), segmented.documents, strict=True):
        counted = [(row[f"count.{axis}.{label}"], axis, label) for axis, label in columns]
        subjects = sorted((entry for entry in counted if entry[0]), key=lambda entry: -entry[0])
        item = {
            "$standard": NINJS_STANDARD,
            "uri": _uri(row["id"]),
            "type": "text",
            "profile": profile,
            "language": row["language"],
            "versioncreated": row["published_at"] if "T" in (row["published_at"] or "") else None,
            "headline": row["title"],
            "body_text": document.body,
            "subject": [{"name": label, "scheme": scheme, "code": f"{axis}:{label}"} for _, axis, label in subjects],
        }
        yield {key: value for key, value in item.items() if value is not None}


def _uri(identifier: str) -> str:
    """An id as a URI: as it stands if it is one, else as a name of this program's."""
    return identifier if urllib.parse.urlsplit(identifier).scheme else f"urn:newsframe:item:{_quoted(identifier)}"


def _quoted(name: str) -> str:
    return urllib.parse.quote(name, safe="")
