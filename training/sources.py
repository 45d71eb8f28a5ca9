"""Where gold comes from: the sources of data/sources.yaml, with their licences.

The project keeps annotations of public corpora as stand-off records (ids, labels, offsets); their texts are read
from a folder of corpora. A source whose texts are not at hand is left out, and said so.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from model.codebook import Codebook
from model.errors import ConfigError, RecordError
from model.jsonl import read_file
from model.records import GoldSentence, LabelledSpan, gold_sentence, load_gold
from model.spans import Span

TRAIN, TRANSFER = "train", "transfer"
ROLES = (TRAIN, TRANSFER)
DEV, TEST = "dev", "test"
PARTS = (TRAIN, DEV, TEST)
# Licences under which a sentence may train weights that are given away.
TRAINING_LICENCES = ("Apache-2.0", "CC BY 4.0", "MIT", "quotation of published articles")


@dataclass(frozen=True)
class Source:
    """One entry of data/sources.yaml.

    Attributes:
        file: Gold records, or a folder of them, or stand-off records where `corpus` is given.
        corpus: Folder under the corpora that holds the texts.
        texts: JSON Lines file in that folder; `id_field` and `text_field` name its fields.
        id_pattern: Regular expression whose first group is the document's id within `id_field`.
        article_pattern: Regular expression whose first group is the article's id within the document's.
        drop: Patterns taken out of a text before offsets are counted.
        axis, labels: For a corpus of targets: its axis, and its polarity values as labels.
        fixed_part: The part that all of its articles belong to, instead of a split, as long as there are others.
        article_field: Field of a record that names its article, where it is not `article`.
    """

    name: str
    role: str
    licence: str
    annotators: str
    file: str | None = None
    corpus: str | None = None
    texts: str | None = None
    id_field: str = "id"
    id_pattern: str | None = None
    article_pattern: str | None = None
    text_field: str = "text"
    drop: tuple[str, ...] = ()
    credit: str | None = None
    fixed_part: str | None = None
    article_field: str = "article"
    axis: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedSource:
    """A source with its sentences, or the reason why it has none."""

    source: Source
    gold: list[GoldSentence]
    sha256: str
    missing: str | None = None


def load_sources(path: Path) -> list[Source]:
    """Read data/sources.yaml.

    Raises:
        ConfigError: A field is unknown or missing, or a source may not train.
    """
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = set(Source.__dataclass_fields__)
    sources = []
    for entry in [*data.get("annotations", []), *data.get("target_corpora", [])]:
        name = entry.get("name", "?")
        if unknown := set(entry) - known:
            raise ConfigError(
                f"{path}: {name}: expected fields {sorted(known)}, but found {sorted(unknown)}. Remove them."
            )
        try:
            source = Source(**{**entry, "drop": tuple(entry.get("drop", ()))})
        except TypeError as error:
            raise ConfigError(
                f"{path}: {name}: expected name, role, licence and annotators, but found: {error}."
            ) from None
        if source.fixed_part not in (None, *PARTS):
            raise ConfigError(f"{path}: {name}: fixed_part: expected one of {PARTS}, but found {source.fixed_part!r}.")
        if source.role not in ROLES:
            raise ConfigError(f"{path}: {name}: role: expected one of {list(ROLES)}, but found {source.role!r}.")
        if source.role == TRAIN and source.licence not in TRAINING_LICENCES:
            raise ConfigError(
                f"{path}: {name}: licence: expected one that allows training ({', '.join(TRAINING_LICENCES)}), "
                f"but found {source.licence!r}. Give it the role '{TRANSFER}', or leave it out."
            )
        sources.append(source)
    return sources


def load_source(source: Source, root: Path, corpora: Path | None, codebook: Codebook) -> LoadedSource:
    """Load the sentences of one source.

    Args:
        root: Folder that `file` is relative to.
        corpora: Folder of public corpora, or None if there is none.

    Raises:
        RecordError: A record cannot be read under the codebook.
    """
    if source.corpus is None:
        return _load_records(source, root / str(source.file), codebook)
    texts = corpora / source.corpus / str(source.texts) if corpora else None
    if texts is None or not texts.is_file():
        reason = f"no texts of {source.corpus} in the corpora folder ({corpora or 'none given'}); see --corpora"
        return LoadedSource(source, [], "", reason)
    if source.file is None:
        return LoadedSource(source, _load_targets(source, texts, codebook), _sha256(texts))
    standoff = root / source.file
    documents = read_documents(source, texts)
    gold, lost = [], []
    for line in read_file(standoff):
        if line.record is None:
            raise RecordError(str(line.problem))
        record = restore(line.record, documents, codebook)
        if record is None:
            lost.append(str(line.record["id"]))
            continue
        gold.append(gold_sentence({**record, "source": source.name}, codebook, f"{standoff}:{line.number}"))
    missing = f"{len(lost)} sentences are not in the texts at hand, such as {lost[0]}" if lost else None
    return LoadedSource(source, gold, _sha256(standoff), missing)


def _load_records(source: Source, path: Path, codebook: Codebook) -> LoadedSource:
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not all(file.is_file() for file in files) or not files:
        return LoadedSource(source, [], "", f"{path} does not exist")
    gold = []
    for file in files:
        for sentence in load_gold(file, codebook):
            article = str(sentence.extra.get(source.article_field, sentence.article))
            extra = {**sentence.extra, "source": source.name}
            gold.append(dataclasses.replace(sentence, article=article, extra=extra))
    digest = hashlib.sha256("".join(_sha256(file) for file in files).encode()).hexdigest()
    return LoadedSource(source, gold, digest)


def document_id(source: Source, record: Mapping[str, Any]) -> str:
    """Id of the document that a corpus row belongs to."""
    value = str(record[source.id_field])
    return _first_group(source.id_pattern, value)


def article_name(source: Source, document: str) -> str:
    """Name of the article that a document of a corpus belongs to; several documents may share one."""
    return f"{source.corpus}/{_first_group(source.article_pattern, document)}"


def _first_group(pattern: str | None, value: str) -> str:
    found = re.match(pattern, value) if pattern else None
    return found.group(1) if found else value


def read_documents(source: Source, texts: Path) -> dict[str, str]:
    """Read a corpus as documents: rows of one id are joined in order, white space is folded."""
    parts: dict[str, dict[str, None]] = {}
    for row in _rows(texts):
        parts.setdefault(document_id(source, row), {})[str(row[source.text_field])] = None
    return {key: clean(" ".join(rows), source.drop) for key, rows in parts.items()}


def clean(text: str, drop: tuple[str, ...]) -> str:
    """Take the patterns out and fold white space, as the annotated texts were made."""
    for pattern in drop:
        text = re.sub(pattern, " ", text)
    return " ".join(text.split())


def restore(record: Mapping[str, Any], documents: Mapping[str, str], codebook: Codebook) -> dict[str, Any] | None:
    """Put the text back into a stand-off record; None if the document at hand does not hold it.

    The record's id ends in the first ten hexadecimal digits of the sha1 of its text.
    """
    document = documents.get(str(record["article_id"]), "")
    start, end = record["at"]
    text = document[start:end]
    if hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:10] != str(record["id"]).rsplit("/", 1)[-1]:
        return None
    restored: dict[str, Any] = {"id": record["id"], "text": text, "article": record["article"]}
    for axis in codebook.axes:
        if axis.name not in record:
            continue
        values = record[axis.name]
        if axis.kind == "sentence":
            restored[axis.name] = values
            continue
        key = "text" if axis.kind == "mention" else "target"
        restored[axis.name] = [{key: text[s:e], "start": s, "label": label} for s, e, label in values]
    return restored


def _load_targets(source: Source, texts: Path, codebook: Codebook) -> list[GoldSentence]:
    """Read a corpus that gives a polarity to one target a row; rows of one sentence are joined."""
    axis = next((axis for axis in codebook.axes if axis.name == source.axis), None)
    if axis is None:
        return []
    rows: dict[tuple[str, str], list[LabelledSpan]] = {}
    for row in _rows(texts):
        sentence = str(row[source.text_field])
        article = article_name(source, document_id(source, row))
        span = Span(int(row["from"]), int(row["to"]))
        labelled = LabelledSpan(span, source.labels[str(row["polarity"])])
        found = rows.setdefault((article, sentence), [])
        if all(span != other.span for other in found):
            found.append(labelled)
    return [
        GoldSentence(
            id=f"{source.name}/{hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:10]}",
            text=text,
            mentions=None,
            labels={},
            targets=tuple(targets),
            article=article,
            extra={"source": source.name},
        )
        for (article, text), targets in rows.items()
    ]


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
