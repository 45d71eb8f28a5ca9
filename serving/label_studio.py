"""Sentences to label as tasks of Label Studio with their labelling configuration, and its JSON export back.

A mention is a region. A label of the target axis is a choice of that region, linked by its id; a target that is no
mention is a region of the control `targets`. Labels of a sentence axis are choices of the whole task.

Offsets: Label Studio counts code points of the text; its early versions counted UTF-16 code units, as a browser does.
Both are read, told apart by the words that a region quotes; code points are written.
Source: labelstud.io/guide/task_format and /guide/predictions; HumanSignal/label-studio, issues 1008 and 1347.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from model.codebook import Codebook, Label
from model.errors import CodebookError, RecordError
from model.jsonl import loads
from model.records import phrase_key
from model.spans import Span
from serving.annotation_forms import META, Row, need, origin, reasons
from serving.selection import Chosen

TEXT, TARGETS = "text", "targets"  # names that no axis can have
_TARGET = "target"  # the one label of that control
_REGION, _CHOICES = "labels", "choices"


def write_tasks(chosen: Sequence[Chosen], codebook: Codebook, predictions: bool, model: str) -> str:
    """Write tasks to import; `model` names who made the predictions."""
    tasks = []
    for item in chosen:
        candidate = item.candidate
        data = {"id": candidate.id, TEXT: candidate.text, META: origin(item), **reasons(item)}
        task: dict[str, Any] = {"data": data}
        if predictions:
            result = list(_results(candidate.suggestion, codebook))
            task["predictions"] = [
                {"model_version": model, "score": round(1 - candidate.uncertainty, 4), "result": result}
            ]
        tasks.append(task)
    return json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"


def _results(suggestion: Mapping[str, Any], codebook: Codebook) -> Iterator[dict[str, Any]]:
    places: dict[Span, str] = {}

    def region(name: str, kind: str, span: Span, words: str, label: str) -> dict[str, Any]:
        value = {"start": span.start, "end": span.end, "text": words, kind: [label]}
        return {"id": places[span], "from_name": name, "to_name": TEXT, "type": kind, "value": value}

    if axis := codebook.mention_axis:
        for item in suggestion[axis.name]:
            span = Span(item["start"], item["end"])
            places[span] = f"r{len(places)}"
            yield region(axis.name, _REGION, span, item["text"], item["label"])
    if axis := codebook.target_axis:
        for item in suggestion[axis.name]:
            span = Span(item["start"], item["end"])
            if span not in places:
                places[span] = f"r{len(places)}"
                yield region(TARGETS, _REGION, span, item[phrase_key(axis)], _TARGET)
            yield region(axis.name, _CHOICES, span, item[phrase_key(axis)], item["label"])
    for number, axis in enumerate(codebook.sentence_axes):
        if labels := list(suggestion[axis.name]):
            value = {_CHOICES: labels}
            yield {"id": f"s{number}", "from_name": axis.name, "to_name": TEXT, "type": _CHOICES, "value": value}


def labelling_config(codebook: Codebook) -> str:
    """Write the labelling configuration: XML, to paste into a project's settings before tasks are imported.

    Raises:
        CodebookError: A name or definition has a character that XML cannot carry.
    """
    view = ElementTree.Element("View")
    # Without it the browser folds spaces, and offsets would count in another text.
    ElementTree.SubElement(view, "Style").text = ".htx-text { white-space: pre-wrap; }"
    mention, target = codebook.mention_axis, codebook.target_axis
    if mention:
        _control(view, "Labels", mention.question, mention.name, mention.labels)
    if target:
        header = "Any other target, that is none of these" if mention else "Mark each target"
        _control(view, "Labels", header, TARGETS, [Label(_TARGET, target.question, ())])
    ElementTree.SubElement(view, "Text", name=TEXT, value=f"${TEXT}")
    if target:
        _control(view, "Choices", target.question, target.name, target.labels, choice="single", perRegion="true")
    for axis in codebook.sentence_axes:
        exactly_one = {"choice": "single", "required": "true"} if axis.exclusive else {"choice": "multiple"}
        _control(view, "Choices", axis.question, axis.name, axis.labels, **exactly_one)
    ElementTree.indent(view)
    xml = ElementTree.tostring(view, encoding="unicode") + "\n"
    try:
        ElementTree.fromstring(xml)
    except ElementTree.ParseError as error:
        raise CodebookError(
            f"codebook {codebook.name}: expected names and definitions that XML can carry, but found {error}. "
            "Remove the control character."
        ) from None
    return xml


def _control(
    view: ElementTree.Element, tag: str, header: str, name: str, labels: Sequence[Label], **settings: str
) -> None:
    ElementTree.SubElement(view, "Header", value=header)
    control = ElementTree.SubElement(view, tag, {"name": name, "toName": TEXT, "showInline": "true", **settings})
    for label in labels:
        hint = " ".join(label.definition.split())
        ElementTree.SubElement(control, "Label" if tag == "Labels" else "Choice", value=label.name, hint=hint)


def read_tasks(path: Path, codebook: Codebook) -> Iterator[Row]:
    """Read an export in the format JSON. Skipped annotations count as none; of one annotator's, the latest counts.

    Raises:
        RecordError: The file is no such export.
    """
    try:
        tasks = loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise RecordError(f"{path}: expected JSON, but found other text. Export the project as JSON.") from None
    need(isinstance(tasks, list), f"{path}", "a list of tasks", type(tasks).__name__, "Export the project as JSON")
    for number, task in enumerate(tasks, 1):
        name = task.get("id", f"number {number}") if isinstance(task, dict) else f"number {number}"
        where = f"{path}: task {name}"
        try:
            yield Row(where, task, _answers(task, codebook, where))
        except RecordError as error:
            yield Row(where, task, {}, str(error))


def _answers(task: object, codebook: Codebook, where: str) -> dict[str, dict[str, Any]]:
    fields = task if isinstance(task, dict) else {}
    data, annotations = fields.get("data"), fields.get("annotations")
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise RecordError(
            f"{where}: expected the fields 'data' and 'annotations', but found others. Export as JSON, not as JSON-MIN."
        )
    text = data.get(TEXT)
    need(isinstance(text, str), where, f"a text in '{TEXT}' of its data", text, "Name the field so")
    meta = data.get(META)
    head = (meta if isinstance(meta, dict) else {}) | {key: value for key, value in data.items() if key != META}
    head["id"] = str(head.get("id", fields.get("id", where)))
    latest: dict[str, tuple[str, dict[str, Any]]] = {}
    for annotation in annotations:
        usable = isinstance(annotation, dict) and isinstance(annotation.get("result"), list)
        need(usable, where, "annotations with a list 'result'", annotation, "Export as JSON")
        if annotation.get("was_cancelled"):
            continue
        annotator = _annotator(annotation.get("completed_by"))
        time = str(annotation.get("updated_at") or annotation.get("created_at") or "")
        if annotator not in latest or time >= latest[annotator][0]:
            latest[annotator] = time, annotation
    return {
        name: head | _axes_of(annotation["result"], str(text), codebook, f"{where}: annotator {name}")
        for name, (_, annotation) in sorted(latest.items())
    }


def _annotator(completed_by: object) -> str:
    """The name of who made an annotation: an export gives a number, or an object with an e-mail address."""
    if isinstance(completed_by, dict):
        return str(completed_by.get("email") or completed_by.get("id"))
    return str(completed_by)


def _axes_of(result: Sequence[Any], text: str, codebook: Codebook, where: str) -> dict[str, Any]:
    """The axes of a gold record that one annotation's results make."""
    mention, target = codebook.mention_axis, codebook.target_axis
    found: dict[str, Any] = {axis.name: [] for axis in codebook.axes}
    known = [*found, *([TARGETS] if target else [])]
    in_text: list[tuple[str, Mapping[str, Any], str]] = []
    span_axes = {axis.name: axis for axis in (mention, target) if axis}
    for item in result:
        well_formed = isinstance(item, dict) and isinstance(item.get("value", {}), dict)
        need(well_formed, where, "results with a 'value'", item, "Export as JSON")
        name, kind, value = item.get("from_name"), item.get("type"), item.get("value", {})
        if kind not in (_REGION, _CHOICES):
            continue  # notes, ratings and links that a project adds are no labels
        need(name in known, where, f"controls named {known}", repr(name), "Use the configuration of the export")
        labels = value.get(kind)
        need(isinstance(labels, list) and labels, f"{where}: '{name}'", "labels", labels, "Label or delete the region")
        if name in found and name not in span_axes:
            found[name].extend(labels)
            continue
        need(len(labels) == 1, f"{where}: '{name}'", "one label a region", f"{labels}", "Keep the one that holds best")
        in_text.append((name, value, labels[0]))
    spans = _spans([value for _, value, _ in in_text], text, where)
    for (name, _, label), span in zip(in_text, spans, strict=True):
        if axis := span_axes.get(name):
            found[name].append({phrase_key(axis): span.of(text), "start": span.start, "label": label})
    return found


def _spans(values: Sequence[Mapping[str, Any]], text: str, where: str) -> list[Span]:
    """Read the regions of one annotation, all in code points or else all in UTF-16 units; spaces at the ends go."""
    units = [0, *accumulate(1 + (ord(character) > 0xFFFF) for character in text)]
    to_points = {unit: point for point, unit in enumerate(units)}
    problem = ""
    for places in ({point: point for point in range(len(text) + 1)}, to_points):
        spans = []
        for value in values:
            start, end = (
                places.get(at, -1) if type(at) is int else -1 for at in (value.get("start"), value.get("end"))
            )
            words = text[max(start, 0) : max(end, 0)]
            quoted = value.get("text", words)
            if start < 0 or not words.strip() or "".join(str(quoted).split()) != "".join(words.split()):
                problem = problem or (
                    f"{where}: expected a region of the text, but found start={value.get('start')!r}, "
                    f"end={value.get('end')!r} for {quoted!r:.80}. Mark it again."
                )
                break
            spans.append(Span(end - len(words.lstrip()), start + len(words.rstrip())))
        else:
            return spans
    raise RecordError(problem)
