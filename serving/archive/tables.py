"""The tables that a run writes: their columns, made from the codebook.

A run writes a folder:

    run.json                          what the run was begun with: options, model, inputs
    documents/part-000000.parquet …    one row a document, in the order of the inputs
    sentences/part-000000.parquet …    one row a sentence, in the order of the documents; or part-000000.jsonl …
    copies.parquet                    which documents are copies of which (`serving/archive/copies.py`)
    rejects.jsonl                     each record that could not be read: its place, the reason, its beginning
    manifest.json                     written last: inputs, options, model, counts, time
    state/                            what a later run needs to go on

`sentences.document` is `documents.number`: it is unique in a run, where ids are the archive's own and may not be.
Parts of one number hold the same documents. Below, AXIS is each axis of the codebook and LABEL each label of it.

Sentences:

    document      int64    number of the document
    document_id   string
    id            string   the document's id, a colon and the number; in a run over sentences, the record's own
    number        int32    place in the document, from 1
    start, end    int32    half-open, in code points of the document's text; null where status is `error`
    text          string   null where status is `error`
    language      string   ISO 639-1 code, as identified
    status        string   `ok`, `abstained`, `skipped` (not the model's language) or `error`
    error         string   why there are no labels, where status is `error`
    n_tokens      int32    the columns from here to `abstained` are null unless status is `ok` or `abstained`
    truncated     bool
    SUMMARY       list<string>   labels that the mentions give the sentence
    AXIS          of mentions: list<struct<text, start, end, label, score, TARGET_AXIS: struct<label, score>>>
    AXIS          of the sentence: list<string>, the labels that hold
    evidence      list<struct<axis, label, text, start, end, weight>>: the words that made the labels of sentence axes
    targets       list<struct<target, start, end, label, score>>, as the record asked
    scores.AXIS.LABEL   float32   calibrated probability, 4 digits; of the target axis null without a mention
    abstained     list<string>   axes that are "not sure"
    is_repeat     bool     whether the labels were taken from an identical sentence before
    repeat_of     string   the id of that sentence
    outlet, published_at   string, of the document
    extra         string   the record's other fields, as a JSON object; null if there are none
    model, model_sha256, codebook   string: name and version, content hash, name and version

Documents:

    number        int64    place among all records, from 0: rejected ones leave a gap
    id            string   the record's own, else its place
    place         string   where the record stands: file, then line, row or record
    title, outlet, url, published_at   string, of the record or, where it gives none, of its page;
                                       an outlet that neither names is the host of the url
    language      string   of the whole document, as identified; null in a run over sentences
    text          string   of an HTML page, the text that the offsets count in; else null
    n_characters  int32    of the text
    sentences     int32    rows in the other table; of them
    labelled, abstained_sentences, skipped, errors, repeats   int32
    count.AXIS.LABEL      int32     of a sentence-level axis: sentences; of a mention or target axis: mentions
    rate.AXIS.LABEL       float32   of a sentence-level axis: share of the labelled sentences, 4 digits; 0 of none
    abstained.AXIS        int32     sentences that are "not sure"
    signature     binary   MinHash of the text; null in a run over sentences
    extra, model, model_sha256, codebook   as above

The metadata of each file's schema holds `model` (JSON: name, version, hash, codebook) and `codebook` (its YAML).
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from model.codebook import Codebook
from serving.archive.errors import ArchiveError

if TYPE_CHECKING:
    import pyarrow as pa

DOCUMENTS, SENTENCES, STATE = "documents", "sentences", "state"
RUN_FILE, MANIFEST_FILE, REJECTS_FILE = "run.json", "manifest.json", "rejects.jsonl"
SKIPPED = "skipped"

_TAIL = ("model", "model_sha256", "codebook")


def part_name(shard: int, suffix: str = "parquet") -> str:
    """The file name of a shard's part; in the order of their names, parts are in the order of the inputs."""
    return f"part-{shard:06d}.{suffix}"


def score_columns(codebook: Codebook) -> list[tuple[str, str]]:
    """(axis, label) of every probability: the derived axis first, then sentence axes, then the target axis."""
    mention, target = codebook.mention_axis, codebook.target_axis
    columns = [(mention.summary, name) for name in mention.summary_labels] if mention and mention.summary else []
    columns += codebook.sentence_labels
    columns += [(target.name, name) for name in target.label_names] if target else []
    return columns


def rate_columns(codebook: Codebook) -> list[tuple[str, str]]:
    """(axis, label) of every label that a sentence as a whole can have: the derived axis first, then sentence axes."""
    target = codebook.target_axis
    return [pair for pair in score_columns(codebook) if not target or pair[0] != target.name]


def span_columns(codebook: Codebook) -> list[tuple[str, str]]:
    """(axis, label) of every label that a mention can have: of the mention axis, then of the target axis."""
    axes = [axis for axis in (codebook.mention_axis, codebook.target_axis) if axis]
    return [(axis.name, label) for axis in axes for label in axis.label_names] if codebook.mention_axis else []


def sentence_schema(codebook: Codebook, model_info: Mapping[str, Any]) -> "pa.Schema":
    """Columns of the sentences; see the head of this file.

    Raises:
        ArchiveError: An axis has the name of another column.
    """
    import pyarrow as pa

    mention, target = codebook.mention_axis, codebook.target_axis
    text, number, score = pa.string(), pa.int32(), pa.float32()
    scored = [pa.field("label", text), pa.field("score", score)]
    span = [pa.field("start", number), pa.field("end", number)]
    columns: list[tuple[str, Any]] = [
        ("document", pa.int64()), ("document_id", text), ("id", text), ("number", number), ("start", number),
        ("end", number), ("text", text), ("language", text), ("status", text), ("error", text), ("n_tokens", number),
        ("truncated", pa.bool_()),
    ]  # fmt: skip
    if mention:
        if mention.summary:
            columns.append((mention.summary, pa.list_(text)))
        towards = [pa.field(target.name, pa.struct(scored))] if target else []
        columns.append((mention.name, pa.list_(pa.struct([pa.field("text", text), *span, *scored, *towards]))))
    columns += [(axis.name, pa.list_(text)) for axis in codebook.sentence_axes]
    words = [pa.field(name, text) for name in ("axis", "label", "text")]
    columns.append(("evidence", pa.list_(pa.struct([*words, *span, pa.field("weight", score)]))))
    if target:
        columns.append(("targets", pa.list_(pa.struct([pa.field("target", text), *span, *scored]))))
    columns += [(f"scores.{axis}.{label}", score) for axis, label in score_columns(codebook)]
    columns += [
        ("abstained", pa.list_(text)), ("is_repeat", pa.bool_()), ("repeat_of", text), ("outlet", text),
        ("published_at", text), ("extra", text),
    ]  # fmt: skip
    columns += [(name, text) for name in _TAIL]
    required = {"document", "document_id", "id", "number", "status", "is_repeat", *_TAIL}
    return _schema(columns, required, codebook, model_info)


def document_schema(codebook: Codebook, model_info: Mapping[str, Any]) -> "pa.Schema":
    """Columns of the documents; see the head of this file."""
    import pyarrow as pa

    text, number = pa.string(), pa.int32()
    columns: list[tuple[str, Any]] = [("number", pa.int64()), ("id", text), ("place", text)]
    columns += [(name, text) for name in ("title", "outlet", "url", "published_at", "language", "text")]
    counts = ("n_characters", "sentences", "labelled", "abstained_sentences", "skipped", "errors", "repeats")
    columns += [(name, number) for name in counts]
    for axis, label in rate_columns(codebook):
        columns += [(f"count.{axis}.{label}", number), (f"rate.{axis}.{label}", pa.float32())]
    columns += [(f"count.{axis}.{label}", number) for axis, label in span_columns(codebook)]
    columns += [(f"abstained.{axis.name}", number) for axis in codebook.axes]
    columns += [("signature", pa.binary()), ("extra", text)]
    columns += [(name, text) for name in _TAIL]
    optional = {"title", "outlet", "url", "published_at", "language", "text", "signature", "extra"}
    return _schema(columns, {name for name, _ in columns} - optional, codebook, model_info)


def model_columns(model_info: Mapping[str, Any]) -> dict[str, str]:
    """What every row says of the model."""
    codebook = model_info["codebook"]
    values = (
        f"{model_info['name']} {model_info['version']}",
        model_info["sha256"],
        f"{codebook['name']} {codebook['version']}",
    )
    return dict(zip(_TAIL, values, strict=True))


def _schema(
    columns: list[tuple[str, Any]], required: set[str], codebook: Codebook, model_info: Mapping[str, Any]
) -> "pa.Schema":
    import pyarrow as pa

    names = [name for name, _ in columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ArchiveError(
            f"codebook {codebook.name}: expected axes with names of their own, but found {twice}, which are columns of "
            "an archive too. Rename the axis."
        )
    metadata = {"model": json.dumps(model_info, sort_keys=True), "codebook": codebook.source}
    return pa.schema([pa.field(name, kind, name not in required) for name, kind in columns], metadata)
