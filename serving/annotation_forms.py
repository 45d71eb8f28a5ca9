"""What every form of annotation has in common: what goes out, what comes back, and the JSON Lines form itself.

A form writes chosen sentences for people to label, and reads what they made of them as rows of gold records.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.codebook import Codebook
from model.errors import CodebookError, RecordError
from model.jsonl import dumps, read_file
from serving.selection import Chosen

LABEL_STUDIO, CSV, JSONL = "label-studio", "csv", "jsonl"
FORMS = (LABEL_STUDIO, CSV, JSONL)
_SUFFIXES = {".json": LABEL_STUDIO, ".csv": CSV, ".jsonl": JSONL, ".ndjson": JSONL}

SUGGESTED, SELECTED, UNCERTAINTY, UNCERTAIN_AXIS = "suggested", "selected", "uncertainty", "uncertain_axis"
LABELLED, META = "labelled", "meta"
OWN_NAMES = frozenset({SUGGESTED, SELECTED, UNCERTAINTY, UNCERTAIN_AXIS, LABELLED, META})


@dataclass(frozen=True)
class Row:
    """One sentence as it came back.

    Attributes:
        where: Its place, for messages.
        raw: As it stood in the file.
        answers: For each annotator, their gold record; empty where nobody labelled it. Forms that know no annotators
            have one without a name.
        problem: The finished error message of a row that cannot be read, or None.
    """

    where: str
    raw: object
    answers: Mapping[str, Mapping[str, Any]]
    problem: str | None = None


def form_of(path: Path) -> str | None:
    """The form that a file's name says it has, if any."""
    return _SUFFIXES.get(path.suffix.lower())


def check_names(codebook: Codebook) -> None:
    """Refuse a codebook whose axes are called as fields of the forms.

    Raises:
        CodebookError: An axis has such a name.
    """
    if clash := sorted(OWN_NAMES & {axis.name for axis in codebook.axes}):
        raise CodebookError(
            f"codebook {codebook.name}: axes: expected names that are none of {sorted(OWN_NAMES)}, but found {clash}. "
            "Rename the axis."
        )


def reasons(chosen: Chosen) -> dict[str, Any]:
    """Why a sentence was chosen."""
    candidate, why = chosen
    return {SELECTED: why, UNCERTAINTY: round(candidate.uncertainty, 4), UNCERTAIN_AXIS: candidate.axis}


def origin(chosen: Chosen) -> dict[str, Any]:
    """Where a sentence comes from."""
    return {"article": chosen.candidate.article, **chosen.candidate.meta}


def write_jsonl(chosen: Sequence[Chosen], codebook: Codebook, predictions: bool) -> str:
    """Write gold records whose axes are null, to be filled; `suggested` has what the model says."""
    empty = {axis.name: None for axis in codebook.axes}
    lines = []
    for item in chosen:
        suggested = {SUGGESTED: item.candidate.suggestion} if predictions else {}
        head = {"id": item.candidate.id, "text": item.candidate.text}
        lines.append(dumps(head | empty | suggested | reasons(item) | origin(item)) + "\n")
    return "".join(lines)


def read_jsonl(path: Path, codebook: Codebook) -> Iterator[Row]:
    """Read records back; an axis that is null was not labelled, and an empty list says that no label holds."""
    axes = {axis.name for axis in codebook.axes}
    for line in read_file(path):
        where = f"{path}:{line.number}"
        if line.record is None:
            yield Row(where, None, {}, line.problem)
            continue
        filled = {
            key: value
            for key, value in line.record.items()
            if key != SUGGESTED and not (key in axes and value is None)
        }  # fmt: skip
        yield Row(where, line.record, {"": filled} if axes & filled.keys() else {})


def need(condition: object, where: str, expected: str, found: object, remedy: str) -> None:
    """Refuse a row unless a condition holds.

    Raises:
        RecordError: It does not.
    """
    if not condition:
        shown = found if isinstance(found, str) else f"{found!r:.80}"
        raise RecordError(f"{where}: expected {expected}, but found {shown}. {remedy}.")
