"""What the command `annotate --read` does: labelled forms in, checked gold records out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from model.codebook import Codebook
from model.errors import RecordError
from model.records import GoldSentence, LabelledSpan, gold_sentence, phrase_key
from serving.agreement import Pair, agreement, same_labels
from serving.annotation_csv import read_csv
from serving.annotation_forms import CSV, JSONL, LABEL_STUDIO, Row, form_of, read_jsonl
from serving.label_studio import read_tasks

_READERS = {LABEL_STUDIO: read_tasks, CSV: read_csv, JSONL: read_jsonl}


@dataclass
class ReadBack:
    """What came back.

    Attributes:
        gold: The good records, in the order of the file.
        unlabelled: The number of rows that nobody labelled.
        rejects: Bad rows: the message, and the row as it stood.
        pairs: Annotations of one sentence by two people, in the order of their names.
    """

    gold: list[GoldSentence] = field(default_factory=list)
    unlabelled: int = 0
    rejects: list[tuple[str, object]] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)


def read_back(path: Path, form: str | None, codebook: Codebook, annotator: str | None) -> ReadBack:
    """Read a form that people have filled.

    Args:
        form: One of the forms; None goes by the file's name, then by its first character.
        annotator: Whose annotation to keep where several differ.

    Raises:
        RecordError: The file cannot be read at all, or the annotator made nothing in it.
    """
    found = ReadBack()
    places: dict[str, str] = {}
    annotators: set[str] = set()
    try:
        for row in _READERS[form or form_of(path) or _guess(path)](path, codebook):
            annotators |= row.answers.keys()
            try:
                sentence = _settled(row, codebook, annotator, found)
                if sentence is None:
                    continue
                if sentence.id in places:
                    raise RecordError(
                        f"{row.where}: expected an id of its own, but found {sentence.id!r} again, "
                        f"as in {places[sentence.id]}. Remove one."
                    )
            except RecordError as error:
                found.rejects.append((str(error), row.raw))
                continue
            places[sentence.id] = row.where
            found.gold.append(sentence)
    except OSError as error:
        raise RecordError(f"{path}: expected a file of labels, but found: {error.strerror}. Check the path.") from None
    if annotator is not None and annotator not in annotators:
        raise RecordError(
            f"{path}: expected annotations by {annotator!r}, but found those by {sorted(annotators)}. "
            "Name one of them with --annotator."
        )
    return found


def _guess(path: Path) -> str:
    with path.open("rb") as file:
        first = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    return {b"[": LABEL_STUDIO, b"{": JSONL}.get(first, CSV)


def _settled(row: Row, codebook: Codebook, annotator: str | None, found: ReadBack) -> GoldSentence | None:
    """The one annotation of a row to keep; None if there is none.

    Raises:
        RecordError: The row is bad, or its annotators differ and none of them was chosen.
    """
    if row.problem is not None:
        raise RecordError(row.problem)
    if not row.answers:
        found.unlabelled += 1
        return None
    answers = {}
    for name, record in row.answers.items():
        where = f"{row.where}: annotator {name}" if len(row.answers) > 1 else row.where
        answers[name] = gold_sentence(record, codebook, where)
    found.pairs += combinations(answers.values(), 2)
    if annotator in answers:
        return answers[annotator]
    first, *others = answers.values()
    if not all(same_labels(first, other) for other in others):
        raise RecordError(
            f"{row.where}: expected annotators who agree, but found that {sorted(answers)} differ. "
            "Choose one with --annotator."
        )
    return first


def gold_record(sentence: GoldSentence, codebook: Codebook) -> dict[str, Any]:
    """A gold sentence as a record: what `model.records.gold_sentence` reads."""
    record: dict[str, Any] = {"id": sentence.id, "text": sentence.text}
    spans = {"mention": sentence.mentions, "target": sentence.targets}
    for axis in codebook.axes:
        if axis.kind in spans:
            labelled = spans[axis.kind]
            if labelled is not None:
                record[axis.name] = [_span_record(item, phrase_key(axis), sentence.text) for item in labelled]
        elif axis.name in sentence.labels:
            record[axis.name] = [label for label in axis.label_names if label in sentence.labels[axis.name]]
    return record | {"article": sentence.article, **sentence.extra}


def _span_record(item: LabelledSpan, key: str, text: str) -> dict[str, Any]:
    return {key: item.span.of(text), "start": item.span.start, "end": item.span.end, "label": item.label}


def report(found: ReadBack, codebook: Codebook) -> Iterator[str]:
    """What to tell the reader on stderr: counts, labels an axis, and how far annotators agree."""
    yield f"{len(found.gold)} labelled, {found.unlabelled} not labelled, {len(found.rejects)} bad"
    for axis in codebook.axes:
        spans = {"mention": lambda s: s.mentions, "target": lambda s: s.targets}.get(axis.kind)
        counts: Counter[str] = Counter()
        for sentence in found.gold:
            labels = [item.label for item in spans(sentence) or ()] if spans else sentence.labels.get(axis.name, ())
            counts.update(labels)
        yield f"  {axis.name}: " + ", ".join(f"{counts[label]} {label}" for label in axis.label_names)
    if found.pairs:
        yield f"agreement over {len(found.pairs)} pairs of annotations of one sentence"
        for name, values in agreement(found.pairs, codebook).items():
            yield f"  {name}: " + ", ".join(f"{what} {value:.3f}" for what, value in values.items())


def rejected(found: ReadBack) -> list[Mapping[str, Any]]:
    """Bad rows as records: what is wrong, and the row as it stood."""
    return [{"problem": problem, "row": row} for problem, row in found.rejects]
