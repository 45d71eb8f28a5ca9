"""What the command `classify` does between reading and printing: sources in, labelled sentences out."""

from collections.abc import Iterable, Iterator
from typing import Any

from model.errors import RecordError
from model.labeller import Labeller, error_record
from model.records import read_sentence
from model.spans import Span
from serving.inputs import DocumentInput, Input, LineInput

CHUNK = 256  # lines labelled at a time: enough to fill batches of like length, and memory stays bounded

# A sentence's words beside its labelled record; the words of one that could not be read are empty.
Labelled = tuple[str, dict[str, Any]]


def label_inputs(
    labeller: Labeller, inputs: Iterable[Input | RecordError], split: bool
) -> Iterator[tuple[str, list[Labelled]]]:
    """Label what was read, in order.

    Args:
        split: Whether a JSON Lines record is a document to segment, instead of one sentence.

    Yields:
        The name of a source and its labelled sentences; of a long JSON Lines source, a chunk at a time.
    """
    for item in _chunks(inputs):
        if isinstance(item, RecordError):
            yield "error", [("", error_record(None, str(item)))]
        elif isinstance(item, DocumentInput):
            yield str(item.record["id"]), _document(labeller, item.record, item.name)
        elif split:
            yield item[0].name, [row for line in item for row in _line_document(labeller, line)]
        else:
            yield item[0].name, _lines(labeller, item)


def _chunks(inputs: Iterable[Input | RecordError]) -> Iterator[RecordError | DocumentInput | list[LineInput]]:
    """Gather lines of one source into chunks; everything else passes."""
    chunk: list[LineInput] = []
    for item in inputs:
        if isinstance(item, LineInput) and (not chunk or (chunk[0].name == item.name and len(chunk) < CHUNK)):
            chunk.append(item)
            continue
        if chunk:
            yield chunk
            chunk = []
        if isinstance(item, LineInput):
            chunk.append(item)
        else:
            yield item
    if chunk:
        yield chunk


def _lines(labeller: Labeller, chunk: list[LineInput]) -> list[Labelled]:
    rows: list[Labelled | None] = []
    sentences = []
    for item in chunk:
        where = f"{item.name}:{item.line.number}"
        try:
            if item.line.record is None:
                raise RecordError(str(item.line.problem))
            sentences.append(read_sentence(item.line.record, where, default_id=where))
            rows.append(None)
        except RecordError as error:
            identifier = (item.line.record or {}).get("id", where)
            rows.append(("", error_record(identifier, str(error))))
    labelled = iter(zip(sentences, labeller.label(sentences), strict=True))
    out: list[Labelled] = []
    for row in rows:
        if row is None:
            sentence, record = next(labelled)
            row = (sentence.text, record)
        out.append(row)
    return out


def _line_document(labeller: Labeller, item: LineInput) -> list[Labelled]:
    where = f"{item.name}:{item.line.number}"
    if item.line.record is None:
        return [("", error_record(where, str(item.line.problem)))]
    if "targets" in item.line.record:
        problem = f"{where}: field 'targets': expected none in a document, but found some. Leave --split or them out."
        return [("", error_record(item.line.record.get("id", where), problem))]
    return _document(labeller, {"id": where} | item.line.record, where)


def _document(labeller: Labeller, record: dict[str, Any], where: str) -> list[Labelled]:
    """Label one document; its sentences come with their words."""
    [document] = labeller.label_documents([record], [where])
    if "sentences" not in document:
        return [("", document)]
    text = str(document.get("text", record.get("text")))
    # Each row stands alone in the output: it carries what the document carried.
    carried = {key: value for key, value in record.items() if key not in ("text", "html", "summary", "sentences")}
    return [
        (
            Span(s["start"], s["end"]).of(text) if "start" in s else "",
            s | {key: value for key, value in carried.items() if key not in s},
        )
        for s in document["sentences"]
    ]
