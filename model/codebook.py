"""The codebook as typed objects: which axes there are, of which kind, with which labels.

Nothing else in the program knows an axis or a label by name. A codebook is a YAML file:

    name: conflict-framing
    version: "1.4"
    language: en
    axes:
      <axis>:
        kind: mention | sentence | target
        question: one line
        definition: what is annotated
        labels: {<label>: {definition: ..., examples: [...]}}
        plain: <label>             # mention, target: the label that says nothing in particular
        summary: <name>            # mention: the sentence-level axis derived from the other labels
        exclusive: true            # sentence: exactly one label holds, instead of any number
        rules: [...]
        hard_cases: [{text: ..., label: <label> | null, why: ...}]
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml

from model.errors import CodebookError, join_problems

MENTION, SENTENCE, TARGET = "mention", "sentence", "target"
KINDS = (MENTION, SENTENCE, TARGET)

# Keys of a labelled sentence, a mention, a summary, a gold record, a table of metrics or an export for annotators: an
# axis may not take them.
RESERVED = frozenset(
    [
        "id",
        "text",
        "title",
        "status",
        "start",
        "end",
        "language",
        "n_tokens",
        "truncated",
        "targets",
        "scores",
        "abstained",
        "error",
        "label",
        "score",
        "sentences",
        "errors",
        "article",
        "articles",
        "model",
        "gold",
        "calibration",
        "confusion",
        "mistakes",
        "slices",
        "comparison",
        "baselines",
        "options",
        "labelled",
        "meta",
        "selected",
        "suggested",
        "uncertain_axis",
        "uncertainty",
    ]
)


@dataclass(frozen=True)
class Label:
    """One label of an axis, with what an annotator needs to apply it."""

    name: str
    definition: str
    examples: tuple[str, ...]


@dataclass(frozen=True)
class HardCase:
    """A phrase that annotators stumble over, and the label it gets (None: no label)."""

    text: str
    label: str | None
    why: str


@dataclass(frozen=True)
class Axis:
    """One question that the codebook asks of a sentence.

    Attributes:
        name: Key of the axis in records.
        kind: `mention` (labelled spans), `sentence` (any number of labels a sentence, or exactly one if it is
            `exclusive`) or `target` (exactly one label a target).
        labels: In codebook order, the order of every array of scores.
        plain: The unmarked label of a mention or target axis; decisions in doubt fall to it.
        summary: Name of the sentence-level axis derived from a mention axis, or None.
    """

    name: str
    kind: str
    question: str
    definition: str
    labels: tuple[Label, ...]
    rules: tuple[str, ...] = ()
    hard_cases: tuple[HardCase, ...] = ()
    plain: str | None = None
    summary: str | None = None
    exclusive: bool = False

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels, in codebook order."""
        return tuple(label.name for label in self.labels)

    @cached_property
    def summary_labels(self) -> tuple[str, ...]:
        """Labels that the derived sentence-level axis can hold: all but the plain one."""
        return tuple(name for name in self.label_names if name != self.plain)


@dataclass(frozen=True)
class Codebook:
    """A checked codebook.

    Attributes:
        sha256: Hash of the file's bytes; tells two editions of one version apart.
        source: The YAML text, so that a model can carry the codebook it was trained on.
    """

    name: str
    version: str
    language: str
    axes: tuple[Axis, ...]
    sha256: str
    source: str

    def of_kind(self, kind: str) -> tuple[Axis, ...]:
        """The axes of one kind, in codebook order."""
        return tuple(axis for axis in self.axes if axis.kind == kind)

    @cached_property
    def mention_axis(self) -> Axis | None:
        """The one mention axis, if the codebook has any."""
        return next(iter(self.of_kind(MENTION)), None)

    @cached_property
    def target_axis(self) -> Axis | None:
        """The one target axis, if the codebook has any."""
        return next(iter(self.of_kind(TARGET)), None)

    @property
    def sentence_axes(self) -> tuple[Axis, ...]:
        """The axes of the whole sentence."""
        return self.of_kind(SENTENCE)

    @property
    def sentence_labels(self) -> tuple[tuple[str, str], ...]:
        """(axis, label) of every column of the sentence head, in order."""
        return tuple((axis.name, label) for axis in self.sentence_axes for label in axis.label_names)

    @property
    def sentence_columns(self) -> list[tuple[Axis, slice]]:
        """Each sentence axis with its columns of the sentence head."""
        ends = list(accumulate(len(axis.labels) for axis in self.sentence_axes))
        return [(axis, slice(end - len(axis.labels), end)) for axis, end in zip(self.sentence_axes, ends, strict=True)]

    def summary_of(self, mention_labels: Iterable[str]) -> tuple[str, ...]:
        """Labels of the derived sentence-level axis that mentions with these labels give, in codebook order."""
        present = set(mention_labels)
        return tuple(n for n in self.mention_axis.summary_labels if n in present) if self.mention_axis else ()

    def to_dict(self) -> dict[str, Any]:
        """The codebook as plain data, for the command line and the HTTP service."""
        return {
            "name": self.name,
            "version": self.version,
            "language": self.language,
            "sha256": self.sha256,
            "axes": [
                {
                    "name": axis.name,
                    "kind": axis.kind,
                    "question": axis.question,
                    "definition": axis.definition,
                    "plain": axis.plain,
                    "summary": axis.summary,
                    "exclusive": axis.exclusive,
                    "labels": [
                        {"name": x.name, "definition": x.definition, "examples": list(x.examples)} for x in axis.labels
                    ],
                    "rules": list(axis.rules),
                    "hard_cases": [{"text": c.text, "label": c.label, "why": c.why} for c in axis.hard_cases],
                }
                for axis in self.axes
            ],
        }


def load_codebook(path: Path) -> Codebook:
    """Read and check a codebook file.

    Raises:
        CodebookError: The file is missing, is no YAML, or holds problems; every problem is named with
            the file and the path of the field.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CodebookError(
            f"{path}: expected a codebook file, but found {error.strerror or error}. Give the path of a YAML file."
        ) from None
    except UnicodeDecodeError:
        raise CodebookError(f"{path}: expected UTF-8 text, but found other bytes. Save it as UTF-8.") from None
    return parse_codebook(source, str(path))


def parse_codebook(source: str, where: str) -> Codebook:
    """Check a codebook given as YAML text; `where` names it in errors.

    Raises:
        CodebookError: As `load_codebook`.
    """
    try:
        data = yaml.load(source, _UniqueKeys)  # a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise CodebookError(
            f"{where}{line}: expected YAML, but found {getattr(error, 'problem', error)}. Correct the file."
        ) from None
    reader = _Reader(where)
    codebook = reader.codebook(data, source)
    if reader.problems:
        raise CodebookError(join_problems(reader.problems))
    return codebook


_AXIS_FIELDS = frozenset(
    {"kind", "question", "definition", "labels", "plain", "summary", "exclusive", "rules", "hard_cases"}
)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping; YAML would keep the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for position, (key, _) in enumerate(node.value):
            if key.value in keys[:position]:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


class _Reader:
    """Walks the parsed YAML and collects every problem instead of stopping at the first."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[str] = []

    def problem(self, field: str, expected: str, found: object, remedy: str = "Correct the field") -> None:
        self.problems.append(f"{self.where}: {field}: expected {expected}, but found {_shown(found)}. {remedy}.")

    def mapping(self, value: object, field: str, known: frozenset[str]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            self.problem(field, f"a mapping with the fields {sorted(known)}", value)
            return {}
        for key in value:
            if key not in known:
                self.problem(f"{field}.{key}", f"one of the fields {sorted(known)}", key, "Remove or rename it")
        return value

    def text(self, data: Mapping[str, Any], key: str, field: str, default: str | None = None) -> str:
        value = data.get(key, default)
        if not isinstance(value, str) or (not value.strip() and default is None):
            self.problem(f"{field}.{key}", "a text that is not empty", value)
            return ""
        return value.strip()

    def texts(self, data: Mapping[str, Any], key: str, field: str) -> tuple[str, ...]:
        value = data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.problem(f"{field}.{key}", "a list of texts", value)
            return ()
        return tuple(item.strip() for item in value)

    def codebook(self, data: object, source: str) -> Codebook:
        top = self.mapping(data, "codebook", frozenset({"name", "version", "language", "axes"}))
        axes_data = top.get("axes")
        if not isinstance(axes_data, dict) or not axes_data:
            self.problem("axes", "a mapping of at least one axis", axes_data)
            axes_data = {}
        axes = tuple(self.axis(str(name), value) for name, value in axes_data.items())
        for kind in (MENTION, TARGET):
            names = [axis.name for axis in axes if axis.kind == kind]
            if len(names) > 1:
                self.problem("axes", f"at most one axis of kind '{kind}'", names, "Keep one of them")
        names = [axis.name for axis in axes]
        for axis in axes:
            if axis.summary in names:
                self.problem(f"axes.{axis.name}.summary", "a name that no axis has", axis.summary)
        return Codebook(
            name=self.text(top, "name", "codebook"),
            version=self.text(top, "version", "codebook"),
            language=self.text(top, "language", "codebook", default="en"),
            axes=axes,
            sha256=hashlib.sha256(source.encode()).hexdigest(),
            source=source,
        )

    def axis(self, name: str, value: object) -> Axis:
        field = f"axes.{name}"
        data = self.mapping(value, field, _AXIS_FIELDS)
        if name in RESERVED or not name.isidentifier():
            self.problem(field, f"a name of letters, digits and _ that is none of {sorted(RESERVED)}", name)
        kind = data.get("kind")
        if kind not in KINDS:
            self.problem(f"{field}.kind", f"one of {list(KINDS)}", kind)
        labels = self.labels(data.get("labels"), field)
        label_names = [label.name for label in labels]
        plain, summary = data.get("plain"), data.get("summary")
        if plain is not None and (kind == SENTENCE or plain not in label_names):
            self.problem(f"{field}.plain", f"one of the labels {label_names} of a mention or target axis", plain)
        if plain is None and kind == TARGET:
            self.problem(f"{field}.plain", f"one of the labels {label_names}, for cases in doubt", plain, "Add it")
        if summary is not None and (kind != MENTION or not str(summary).isidentifier() or str(summary) in RESERVED):
            self.problem(f"{field}.summary", "a new axis name, on a mention axis", summary)
        exclusive = data.get("exclusive", False)
        if not isinstance(exclusive, bool) or (exclusive and kind != SENTENCE):
            self.problem(f"{field}.exclusive", "true or false, and true on a sentence axis alone", exclusive)
        return Axis(
            name=name,
            kind=str(kind),
            question=self.text(data, "question", field),
            definition=self.text(data, "definition", field),
            labels=labels,
            rules=self.texts(data, "rules", field),
            hard_cases=self.hard_cases(data.get("hard_cases", []), field, label_names),
            plain=plain,
            summary=summary,
            exclusive=exclusive is True,
        )

    def labels(self, value: object, field: str) -> tuple[Label, ...]:
        if not isinstance(value, dict) or not value:
            self.problem(f"{field}.labels", "a mapping of at least one label", value)
            return ()
        labels = []
        for name, entry in value.items():
            if not isinstance(name, str):  # YAML reads a bare `no` as False
                self.problem(f"{field}.labels.{name}", "a text as the label's name", name, "Put it in quotes")
                continue
            label_field = f"{field}.labels.{name}"
            data = self.mapping(entry, label_field, frozenset({"definition", "examples"}))
            definition = self.text(data, "definition", label_field)
            labels.append(Label(name, definition, self.texts(data, "examples", label_field)))
        return tuple(labels)

    def hard_cases(self, value: object, field: str, label_names: list[str]) -> tuple[HardCase, ...]:
        if not isinstance(value, list):
            self.problem(f"{field}.hard_cases", "a list", value)
            return ()
        cases = []
        for index, entry in enumerate(value):
            case_field = f"{field}.hard_cases[{index}]"
            data = self.mapping(entry, case_field, frozenset({"text", "label", "why"}))
            label = data.get("label")
            if label is not None and label not in label_names:
                self.problem(f"{case_field}.label", f"one of {label_names} or null", label)
            cases.append(HardCase(self.text(data, "text", case_field), label, self.text(data, "why", case_field, "")))
        return tuple(cases)


def _shown(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
