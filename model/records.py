"""Records: sentences as they come in, and gold annotations under a codebook."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.codebook import TARGET, Axis, Codebook
from model.errors import RecordError, join_problems
from model.jsonl import Line, read_file
from model.spans import Span

MAX_CHARACTERS = 10_000
MAX_TARGETS = 100


@dataclass(frozen=True)
class LabelledSpan:
    """A span with the one label it has on a mention or target axis."""

    span: Span
    label: str


@dataclass(frozen=True)
class Sentence:
    """A sentence to label.

    Attributes:
        targets: Spans to give a label on the target axis, each with the form in which the caller asked.
        extra: Fields of the caller's record that are carried through untouched.
    """

    id: str
    text: str
    targets: tuple[tuple[str, Span], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GoldSentence:
    """A sentence with its annotation; an axis that is None or absent was not annotated.

    Attributes:
        mentions: Labelled spans of the mention axis, in order of the text.
        labels: For each annotated sentence axis, the labels that hold.
        targets: Labelled spans of the target axis.
        article: The article it comes from; splits keep an article whole.
        extra: The other fields of the record (outlet, licence, …), for slices.
    """

    id: str
    text: str
    mentions: tuple[LabelledSpan, ...] | None
    labels: Mapping[str, frozenset[str]]
    targets: tuple[LabelledSpan, ...] | None
    article: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_targets_alone(self) -> bool:
        """Whether neither the mention axis nor a sentence axis was annotated."""
        return not self.labels and self.mentions is None


def normalise(text: str) -> str:
    """A sentence without case, punctuation and figures' separators, to find repeated ones."""
    return " ".join(re.findall(r"\w+", text.lower()))


def phrase_key(axis: Axis) -> str:
    """The key that holds the words of a span in a gold record."""
    return "target" if axis.kind == TARGET else "text"


def check_text(text: object, where: str, limit: int = MAX_CHARACTERS, what: str = "sentence") -> str:
    """Return the text of a record if it can be labelled; `limit` is in characters, and `what` names it in messages.

    Raises:
        RecordError: It is no string, empty, too long, or holds a lone surrogate.
    """
    if not isinstance(text, str):
        raise RecordError(f"{where}: expected a text, but found {_kind(text)}. Give the {what} as a string.")
    if not text.strip():
        raise RecordError(f"{where}: expected a text, but found an empty one. Give the {what}.")
    if len(text) > limit:
        raise RecordError(
            f"{where}: expected at most {limit} characters a {what}, but found {len(text)}. Split it into shorter ones."
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RecordError(
            f"{where}: expected Unicode text, but found a lone surrogate at character {error.start}. Remove it."
        ) from None
    return text


def read_sentence(record: Mapping[str, Any], where: str, default_id: str) -> Sentence:
    """Read one record `{"id", "text", "targets"?, ...}`.

    Raises:
        RecordError: The text or a target cannot be used.
    """
    identifier = read_id(record, where, default_id)
    text = check_text(record.get("text"), f"{where}: field 'text'")
    targets = record.get("targets") or []
    if not isinstance(targets, list) or len(targets) > MAX_TARGETS:
        found = f"{len(targets)} of them" if isinstance(targets, list) else _kind(targets)
        raise RecordError(
            f"{where}: field 'targets': expected a list of at most {MAX_TARGETS}, but found {found}. "
            "Give a list, or several records."
        )
    spans = tuple(find_target(target, text, f"{where}: field 'targets[{n}]'") for n, target in enumerate(targets))
    extra = {key: value for key, value in record.items() if key not in ("id", "text", "targets")}
    return Sentence(identifier, text, spans, extra)


def read_id(record: object, where: str, default: str) -> str:
    """Read the id of a record; a whole number is taken as its digits.

    Raises:
        RecordError: The record is no mapping, or its id is neither a string nor a whole number.
    """
    if not isinstance(record, Mapping):
        raise RecordError(f'{where}: expected a record, but found {_kind(record)}. Write {{"text": …}}.')
    identifier = record.get("id", default)
    if isinstance(identifier, bool) or not isinstance(identifier, str | int):
        raise RecordError(
            f"{where}: field 'id': expected a string, but found {_kind(identifier)}. Give an id or leave it out."
        )
    return str(identifier)


def find_target(target: object, text: str, where: str) -> tuple[str, Span]:
    """Find a target in its sentence: a string means its first occurrence, a mapping its offsets.

    Raises:
        RecordError: The target does not occur, or its offsets lie outside the text.
    """
    if isinstance(target, str) and target:
        start = text.find(target)
        if start < 0:
            raise RecordError(
                f"{where}: expected words of the text, but found {target!r:.80}. Copy them to the letter."
            )
        return target, Span(start, start + len(target))
    if isinstance(target, Mapping):
        first, last = target.get("start"), target.get("end")
        if type(first) is int and type(last) is int and 0 <= first < last <= len(text) and text[first:last].strip():
            return text[first:last], Span(first, last)
        raise RecordError(
            f"{where}: expected 0 <= start < end <= {len(text)} around words, but found start={first!r}, end={last!r}. "
            "Count code points."
        )
    raise RecordError(f"{where}: expected a string or {{'start', 'end'}}, but found {_kind(target)}. Name the target.")


def load_gold(path: Path, codebook: Codebook) -> list[GoldSentence]:
    """Read a file of gold records (JSON Lines) under a codebook.

    Raises:
        RecordError: At least one line has a problem; the first ten are listed, with the count.
    """
    try:
        return read_gold(read_file(path), codebook, str(path))
    except OSError as error:
        raise RecordError(
            f"{path}: expected a file of gold records, but found: {error.strerror}. Check the path."
        ) from None


def read_gold(lines: Iterable[Line], codebook: Codebook, name: str) -> list[GoldSentence]:
    """Read gold records from parsed lines; see `load_gold`."""
    gold: list[GoldSentence] = []
    problems: list[str] = []
    seen: dict[str, int] = {}
    for line in lines:
        if line.record is None:
            problems.append(str(line.problem))
            continue
        try:
            sentence = gold_sentence(line.record, codebook, f"{name}:{line.number}")
        except RecordError as error:
            problems.append(str(error))
            continue
        if sentence.id in seen:
            problems.append(
                f"{name}:{line.number}: expected an id of its own, but found {sentence.id!r} again, "
                f"as on line {seen[sentence.id]}. Rename one."
            )
        seen[sentence.id] = line.number
        gold.append(sentence)
    if not gold and not problems:
        problems.append(f"{name}: expected at least one gold record, but found none. Check the file.")
    if problems:
        raise RecordError(join_problems(problems))
    return gold


def gold_sentence(record: Mapping[str, Any], codebook: Codebook, where: str) -> GoldSentence:
    """Read one gold record; phrases are resolved to spans.

    Raises:
        RecordError: A label is not in the codebook, or a phrase is not in the text.
    """
    text = check_text(record.get("text"), f"{where}: field 'text'")
    identifier = str(record.get("id", where))
    known = {"id", "text"} | {axis.name for axis in codebook.axes}
    mention_axis, target_axis = codebook.mention_axis, codebook.target_axis
    mentions: tuple[LabelledSpan, ...] | None = None
    if mention_axis and mention_axis.name in record:
        mentions = _labelled_spans(record, mention_axis, text, where)
        mentions = tuple(sorted(mentions, key=lambda m: m.span))
        for left, right in zip(mentions, mentions[1:], strict=False):
            if left.span.overlaps(right.span):
                raise RecordError(
                    f"{where}: axis '{mention_axis.name}' expected spans that do not overlap, but found "
                    f"{left.span.of(text)!r} and {right.span.of(text)!r}. Keep the longer."
                )
    targets: tuple[LabelledSpan, ...] | None = None
    if target_axis and target_axis.name in record:
        places = {m.span.of(text): m.span for m in reversed(mentions or ())}
        targets = _labelled_spans(record, target_axis, text, where, places)
    labels: dict[str, frozenset[str]] = {}
    for axis in codebook.sentence_axes:
        if axis.name not in record:
            continue
        values = record[axis.name]
        if axis.exclusive and isinstance(values, str):
            values = [values]
        if not isinstance(values, list):
            raise RecordError(
                f"{where}: axis '{axis.name}' expected a list of labels, but found {_kind(values)}. Use []."
            )
        for value in values:
            _check_label(value, axis.label_names, axis.name, where)
        if axis.exclusive and len(set(values)) != 1:
            raise RecordError(
                f"{where}: axis '{axis.name}' expected exactly one label, but found {len(set(values))}. "
                "Keep the one that holds best."
            )
        labels[axis.name] = frozenset(values)
    extra = {key: value for key, value in record.items() if key not in known}
    return GoldSentence(identifier, text, mentions, labels, targets, str(record.get("article", identifier)), extra)


def _labelled_spans(
    record: Mapping[str, Any],
    axis: Axis,
    text: str,
    where: str,
    places: Mapping[str, Span] | None = None,
) -> tuple[LabelledSpan, ...]:
    """Resolve phrases to spans: by offsets where given, else known places, else the next free occurrence."""
    items, key = record[axis.name], phrase_key(axis)
    others = [item for item in items if not isinstance(item, dict)] if isinstance(items, list) else [items]
    if others:
        raise RecordError(
            f"{where}: axis '{axis.name}' expected a list of objects, but found {_kind(others[0])}. Use []."
        )
    found: list[LabelledSpan] = []
    for item in items:
        phrase = item.get(key)
        _check_label(item.get("label"), axis.label_names, axis.name, where)
        if not isinstance(phrase, str) or not phrase.strip():
            raise RecordError(
                f"{where}: axis '{axis.name}' expected words as '{key}', but found {_kind(phrase)}. Copy them."
            )
        if "start" in item:
            start = item["start"]
        elif places and phrase in places:
            start = places[phrase].start
        else:
            start = next((p for p in _occurrences(phrase, text) if not _taken(p, phrase, found)), -1)
        if type(start) is not int or start < 0 or text[start : start + len(phrase)] != phrase:
            raise RecordError(
                f"{where}: axis '{axis.name}' expected words of the text, but found {phrase!r:.80}. "
                "Copy them to the letter."
            )
        found.append(LabelledSpan(Span(start, start + len(phrase)), item["label"]))
    return tuple(found)


def _occurrences(phrase: str, text: str) -> Iterable[int]:
    """Starts of the phrase in the text: whole words first, then inside words ("Assads")."""
    starts = []
    at = text.find(phrase)
    while at >= 0:
        starts.append(at)
        at = text.find(phrase, at + 1)

    def inside_word(start: int) -> bool:
        end = start + len(phrase)
        before = start > 0 and text[start - 1].isalnum() and phrase[0].isalnum()
        return before or (end < len(text) and text[end].isalnum() and phrase[-1].isalnum())

    return sorted(starts, key=inside_word)


def _taken(start: int, phrase: str, found: Sequence[LabelledSpan]) -> bool:
    span = Span(start, start + len(phrase))
    return any(span.overlaps(other.span) for other in found)


def _check_label(value: object, allowed: Sequence[str], axis: str, where: str) -> None:
    if value not in allowed:
        raise RecordError(
            f"{where}: axis '{axis}' expected one of {sorted(allowed)}, but found {value!r}. "
            "Correct the row, or add the label to the codebook."
        )


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return "an empty text" if isinstance(value, str) and not value.strip() else type(value).__name__
