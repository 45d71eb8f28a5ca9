"""Where gold comes from: the sources of data/sources.yaml, with their licences.

The project keeps annotations of public corpora as stand-off records (ids, labels, offsets); their texts are read
from a folder of corpora. A corpus with labels of its own, one a row, is read by the names of its fields. A source
whose texts are not at hand is left out, and said so.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from model.codebook import MENTION, TARGET, Axis, Codebook
from model.errors import ConfigError, RecordError
from model.jsonl import Line, read_file
from model.records import GoldSentence, find_target, gold_sentence, load_gold, phrase_key

TRAIN, TRANSFER = "train", "transfer"
ROLES = (TRAIN, TRANSFER)
DEV, TEST = "dev", "test"
PARTS = (TRAIN, DEV, TEST)
# Keys of a file of sources, in the order in which they are read.
LISTS = ("annotations", "target_corpora", "corpora")
# Licences under which a sentence may train weights that are given away.
TRAINING_LICENCES = ("Apache-2.0", "CC BY 4.0", "MIT", "quotation of published articles")


@dataclass(frozen=True)
class Source:
    """One entry of a file of sources, such as data/sources.yaml.

    Attributes:
        file: Gold records, or a folder of them, or stand-off records where `corpus` is given.
        corpus: Folder under the corpora that holds the texts.
        texts: JSON Lines file in that folder; `id_field` and `text_field` name its fields.
        id_pattern: Regular expression whose first group is the document's id within `id_field`.
        article_pattern: Regular expression whose first group is the article's id within the document's.
        drop: Patterns taken out of a text before offsets are counted.
        axis: For a corpus with labels of its own, one a row: the axis that they belong to.
        labels: What its values are called in the codebook; where it is empty, the same.
        label_field: Field of a row that holds its label, or a list of labels.
        start_field, end_field: Fields of a row that hold the span of its target, on a target axis.
        benchmark: Whether it trains models for comparison alone; then its licence may be any, and no weights that it
            trained are to be given away.
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
    label_field: str = "polarity"
    start_field: str = "from"
    end_field: str = "to"
    benchmark: bool = False


@dataclass(frozen=True)
class LoadedSource:
    """A source with its sentences, or the reason why it has none."""

    source: Source
    gold: list[GoldSentence]
    sha256: str
    missing: str | None = None


def load_sources(path: Path) -> list[Source]:
    """Read a file of sources.

    Raises:
        ConfigError: The file cannot be read, a field is unknown or missing, or a source may not train.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        found = error.strerror if isinstance(error, OSError) else getattr(error, "problem", error)
        raise ConfigError(f"{path}: expected a YAML file of sources, but found: {found}. Check it.") from None
    if not isinstance(data, dict) or not data or not set(data) <= set(LISTS):
        found = sorted(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise ConfigError(f"{path}: expected lists of sources under {list(LISTS)}, but found {found}. Rename them.")
    return [_source(entry, path) for name in LISTS for entry in data.get(name) or ()]


def _source(entry: Mapping[str, Any], path: Path) -> Source:
    name = entry.get("name", "?")
    known = set(Source.__dataclass_fields__)
    if unknown := set(entry) - known:
        raise ConfigError(f"{path}: {name}: expected fields {sorted(known)}, but found {sorted(unknown)}. Remove them.")
    try:
        source = Source(**{**entry, "drop": tuple(entry.get("drop", ()))})
    except TypeError as error:
        raise ConfigError(f"{path}: {name}: expected name, role, licence and annotators, but found: {error}.") from None
    if source.fixed_part not in (None, *PARTS):
        raise ConfigError(f"{path}: {name}: fixed_part: expected one of {PARTS}, but found {source.fixed_part!r}.")
    if source.role not in ROLES:
        raise ConfigError(f"{path}: {name}: role: expected one of {list(ROLES)}, but found {source.role!r}.")
    if source.role == TRAIN and not source.benchmark and source.licence not in TRAINING_LICENCES:
        raise ConfigError(
            f"{path}: {name}: licence: expected one that allows training ({', '.join(TRAINING_LICENCES)}), "
            f"but found {source.licence!r}. Give it the role '{TRANSFER}' or 'benchmark: true', or leave it out."
        )
    return source


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
        if all(axis.name != source.axis for axis in codebook.axes):
            return LoadedSource(source, [], "", f"the codebook {codebook.name} has no axis {source.axis!r}")
        return LoadedSource(source, _join_targets(labelled_rows(source, texts, codebook)), _sha256(texts))
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
    for line in read_file(texts):
        row = _fields(line, f"{texts}:{line.number}", source.id_field, source.text_field)
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
        key = phrase_key(axis)
        restored[axis.name] = [{key: text[s:e], "start": s, "label": label} for s, e, label in values]
    return restored


def load_rows(path: Path, sources: Path, codebook: Codebook) -> list[GoldSentence]:
    """Read a file in the form that a file of sources describes: that of its corpora with labels of their own.

    Raises:
        ConfigError: It describes no such corpus, or several of different forms.
        RecordError: A row cannot be read.
    """
    found = [source for source in load_sources(sources) if source.axis]
    # Files of one corpus, such as its training and its development part, differ in these alone.
    forms = [dataclasses.replace(source, name="", texts=None, fixed_part=None) for source in found]
    if not found or any(form != forms[0] for form in forms):
        raise ConfigError(
            f"{sources}: expected a source with an 'axis', whose form {path} has, and no other form beside it, but "
            f"found {[source.name for source in found]}. Give a file with that one."
        )
    return labelled_rows(found[0], path, codebook)


def labelled_rows(source: Source, path: Path, codebook: Codebook) -> list[GoldSentence]:
    """Read a corpus that gives a sentence axis or one target its label, row by row.

    Args:
        path: The corpus or another file in its form, such as its test part.

    Returns:
        A sentence for each row, even if rows repeat: what others report counts them all.

    Raises:
        RecordError: A row cannot be read under the codebook.
    """
    axis = next((axis for axis in codebook.axes if axis.name == source.axis), None)
    if axis is None or axis.kind == MENTION:
        raise RecordError(
            f"{source.name}: axis: expected a sentence or target axis of the codebook {codebook.name}, but found "
            f"{source.axis!r}. Name one."
        )
    try:
        return [_labelled_row(source, axis, line, f"{path}:{line.number}", codebook) for line in read_file(path)]
    except OSError as error:
        raise RecordError(
            f"{path}: expected rows of {source.name}, but found: {error.strerror}. Check the path."
        ) from None


def _labelled_row(source: Source, axis: Axis, line: Line, where: str, codebook: Codebook) -> GoldSentence:
    spans = (source.start_field, source.end_field) if axis.kind == TARGET else ()
    row = _fields(line, where, source.id_field, source.text_field, source.label_field, *spans)
    value, text = row[source.label_field], str(row[source.text_field])
    values = [str(item) for item in (value if isinstance(value, list) else [value])]
    labels = [source.labels.get(item, "") if source.labels else item for item in values]
    if unknown := [item for item, label in zip(values, labels, strict=True) if label not in axis.label_names]:
        raise RecordError(
            f"{where}: field {source.label_field!r}: expected a value that stands for one of "
            f"{sorted(axis.label_names)}, but found {unknown[0]!r}. Add it to the labels of the source."
        )
    record = {
        "id": f"{source.name}/{line.number}",
        "text": text,
        "article": article_name(source, document_id(source, row)),
        "source": source.name,
    }
    held: Sequence[object] = labels
    if spans:
        start, end = (row[name] for name in spans)
        words, _ = find_target({"start": start, "end": end}, text, f"{where}: fields {list(spans)}")
        held = [{"target": words, "start": start, "label": label} for label in labels]
    sentence = gold_sentence({**record, axis.name: held}, codebook, where)
    # Under a codebook that asks nothing else, the sentence is annotated whole, and may be held out to choose on.
    return dataclasses.replace(sentence, mentions=()) if spans and len(codebook.axes) == 1 else sentence


def _join_targets(rows: Iterable[GoldSentence]) -> list[GoldSentence]:
    """Join the rows of one sentence that hold a target each; a span keeps its first label. Other rows stay apart."""
    joined: dict[tuple[str, ...], GoldSentence] = {}
    for row in rows:
        key = (row.id,) if row.targets is None else (row.article, row.text)
        if key not in joined:
            digest = hashlib.sha1(row.text.encode(), usedforsecurity=False).hexdigest()[:10]
            new_id = row.id if row.targets is None else f"{row.extra['source']}/{digest}"
            joined[key] = dataclasses.replace(row, id=new_id)
            continue
        held = joined[key].targets or ()
        taken = {target.span for target in held}
        more = tuple(target for target in row.targets or () if target.span not in taken)
        joined[key] = dataclasses.replace(joined[key], targets=held + more)
    return list(joined.values())


def _fields(line: Line, where: str, *names: str) -> dict[str, Any]:
    """The row of a corpus, if it has these fields."""
    if line.record is None:
        raise RecordError(str(line.problem))
    if missing := [name for name in names if name not in line.record]:
        raise RecordError(
            f"{where}: expected the fields {list(names)}, but found none of {missing}. Name its own in the source."
        )
    return line.record


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
