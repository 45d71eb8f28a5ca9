"""What the command `annotate` does when it exports: label, doubt, choose, and write a form to fill."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from model.codebook import Axis, Codebook
from model.errors import RecordError, join_problems
from model.jsonl import read_file
from model.labeller import Labeller
from model.predictions import ERROR
from model.records import check_text, normalise, phrase_key
from serving.annotation_csv import write_csv
from serving.annotation_forms import CSV, LABEL_STUDIO, OWN_NAMES, write_jsonl
from serving.classify import Labelled, label_inputs
from serving.inputs import Input, LineInput
from serving.label_studio import labelling_config, write_tasks
from serving.selection import Candidate, Chosen

# Fields of a labelled sentence that say nothing of where it comes from.
_OF_THE_LABELLER = {
    "id", "text", "article", "status", "start", "end", "n_tokens", "truncated", "targets", "scores", "abstained"
}  # fmt: skip


def candidates(
    labeller: Labeller, inputs: Iterable[Input | RecordError], split: bool
) -> Iterator[Candidate | RecordError]:
    """Label everything; what cannot be read or labelled comes as an error in its place."""
    for _, sentences in label_inputs(labeller, _with_articles(inputs, split), split):
        for labelled in sentences:
            if labelled[1]["status"] == ERROR:
                yield RecordError(labelled[1]["error"])
            else:
                yield _candidate(labelled, labeller.codebook)


def _with_articles(inputs: Iterable[Input | RecordError], split: bool) -> Iterator[Input | RecordError]:
    """Give each lone sentence an article, as gold records do: itself, unless it names one."""
    for item in inputs:
        if isinstance(item, LineInput) and item.line.record is not None and not split:
            itself = item.line.record.get("id", f"{item.name}:{item.line.number}")
            record = {"article": str(itself)} | item.line.record
            item = replace(item, line=replace(item.line, record=record))
        yield item


def _candidate(labelled: Labelled, codebook: Codebook) -> Candidate:
    text, record = labelled
    doubts = {axis.name: doubt(record, axis, codebook) for axis in codebook.axes}
    own = _OF_THE_LABELLER | OWN_NAMES | {name for axis in codebook.axes for name in (axis.name, axis.summary) if name}
    return Candidate(
        id=str(record["id"]),
        text=text,
        # The sentences of a document are numbered behind its id.
        article=str(record.get("article") or record["id"].rpartition(":")[0]),
        uncertainty=fmean(doubts.values()),
        axis=max(doubts, key=lambda name: doubts[name]),
        suggestion={axis.name: _suggested(record, axis, codebook) for axis in codebook.axes},
        meta={key: value for key, value in record.items() if key not in own and value is not None},
    )


def doubt(record: Mapping[str, Any], axis: Axis, codebook: Codebook) -> float:
    """How unsure the model is of a labelled sentence on one axis: 1 minus the certainty of its least certain decision.

    The decisions are: on a sentence axis, each label (or, where exactly one holds, which); on a mention axis, the label
    of each mention, and for each label that no mention has, that no word has it; on a target axis, each target's label.
    An axis without anything to decide leaves no doubt. The doubt of a sentence is the mean over the axes.
    """
    return 1.0 - min(_certainties(record, axis, codebook), default=1.0)


def _certainties(record: Mapping[str, Any], axis: Axis, codebook: Codebook) -> list[float]:
    mention = codebook.mention_axis
    if axis.kind == "target":
        named = record[mention.name] if mention else []
        return [m[axis.name]["score"] for m in named] + [t["score"] for t in record["targets"]]
    name = axis.summary if axis.kind == "mention" else axis.name
    scores: Mapping[str, float] = record["scores"][name] if name else {}
    if axis.exclusive:
        return [max(scores.values())]
    if axis.kind == "mention":
        held = {m["label"] for m in record[axis.name]}
        return [m["score"] for m in record[axis.name]] + [1.0 - p for label, p in scores.items() if label not in held]
    held = {item["label"] for item in record[axis.name]}
    return [p if label in held else 1.0 - p for label, p in scores.items()]


def _suggested(record: Mapping[str, Any], axis: Axis, codebook: Codebook) -> list[Any]:
    """What the model says of one axis, as a gold record has it; offsets count in the sentence."""
    if axis.kind == "sentence":
        return [item["label"] for item in record[axis.name]]
    mention = codebook.mention_axis
    if axis.kind == "mention":
        return [_span(m, m["label"], axis, m["text"], record) for m in record[axis.name]]
    items = [
        _span(m, m[axis.name]["label"], axis, m["text"], record) for m in (record[mention.name] if mention else [])
    ]
    for asked in record["targets"]:
        item = _span(asked, asked["label"], axis, asked["target"], record)
        if item["start"] not in [other["start"] for other in items]:
            items.append(item)
    return items


def _span(item: Mapping[str, Any], label: str, axis: Axis, words: str, record: Mapping[str, Any]) -> dict[str, Any]:
    start, end = item["start"] - record["start"], item["end"] - record["start"]
    return {phrase_key(axis): words, "start": start, "end": end, "label": label}


def labelled_texts(path: Path) -> set[str]:
    """The normalised texts of gold records, which need not be labelled again.

    Raises:
        RecordError: The file cannot be read, or a line has no text.
    """
    problems, texts = [], set()
    try:
        for line in read_file(path):
            try:
                where = f"{path}:{line.number}: field 'text'"
                texts.add(normalise(check_text((line.record or {}).get("text"), where)))
            except RecordError as error:
                problems.append(line.problem or str(error))
    except OSError as error:
        raise RecordError(
            f"{path}: expected a file of gold records, but found: {error.strerror}. Check the path."
        ) from None
    if problems:
        raise RecordError(join_problems(problems))
    return texts


def forms(
    chosen: list[Chosen], codebook: Codebook, form: str, predictions: bool, model: str, out: Path
) -> dict[Path, str]:
    """The files to write, each with its content."""
    chosen = _with_own_ids(chosen)
    if form == CSV:
        return {out: write_csv(chosen, codebook, predictions)}
    if form == LABEL_STUDIO:
        config = out.with_name(out.name + ".config.xml")
        return {out: write_tasks(chosen, codebook, predictions, model), config: labelling_config(codebook)}
    return {out: write_jsonl(chosen, codebook, predictions)}


def _with_own_ids(chosen: list[Chosen]) -> list[Chosen]:
    """Tell sentences of the same id apart, such as those of two texts of one name."""
    times: dict[str, int] = {}
    distinct = []
    for candidate, why in chosen:
        times[candidate.id] = times.get(candidate.id, 0) + 1
        suffix = f"~{times[candidate.id]}" if times[candidate.id] > 1 else ""
        distinct.append(Chosen(replace(candidate, id=candidate.id + suffix), why))
    return distinct


def check_new(*paths: Path) -> None:
    """Refuse files that are there already: they may hold somebody's labels.

    Raises:
        RecordError: One is.
    """
    for path in paths:
        if path.exists():
            raise RecordError(f"{path}: expected no file yet, but found one. Choose another --out, or remove it.")


def write_new(files: Mapping[Path, str]) -> None:
    """Write files that are not there yet, or none.

    Raises:
        RecordError: A file is there already, or cannot be written.
    """
    check_new(*files)
    for path, content in files.items():
        try:
            path.write_text(content, encoding="utf-8", newline="")
        except OSError as error:
            raise RecordError(
                f"{path}: expected a file that can be written, but found: {error.strerror}. Choose another --out."
            ) from None
