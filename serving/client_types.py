"""What the client takes and gives. Axes and labels are those of the service's codebook, and come as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, NotRequired, TypedDict, TypeVar


class SpanTarget(TypedDict):
    """A target by its half-open code-point offsets into the text."""

    start: int
    end: int


class SentenceRecord(TypedDict):
    """A sentence to label."""

    text: str
    id: NotRequired[str | None]
    targets: NotRequired[list[str | SpanTarget] | None]


class DocumentRecord(TypedDict):
    """A document to split and label: its `text` or its `html`."""

    text: NotRequired[str]
    html: NotRequired[str]
    id: NotRequired[str | None]
    title: NotRequired[str | None]
    outlet: NotRequired[str | None]
    url: NotRequired[str | None]
    published_at: NotRequired[str | None]
    language: NotRequired[str | None]


class CodebookName(TypedDict):
    """Which codebook."""

    name: str
    version: str
    sha256: str


class Model(TypedDict):
    """Which model: the same content hash gives the same labels."""

    name: str
    version: str
    sha256: str
    codebook: CodebookName


class Info(TypedDict):
    """What GET /v1/info says; each limit is described in the service's documentation."""

    model: Model
    codebook: CodebookName
    limits: dict[str, float]
    versions: dict[str, str]


class Label(TypedDict):
    """A label of the codebook."""

    name: str
    definition: str
    examples: list[str]


class HardCase(TypedDict):
    """A text on which readers could differ, and what holds of it."""

    text: str
    label: str | None
    why: str


class Axis(TypedDict):
    """An axis of the codebook."""

    name: str
    kind: str
    question: str
    definition: str
    plain: str | None
    exclusive: bool
    summary: str | None
    labels: list[Label]
    rules: list[str]
    hard_cases: list[HardCase]


class Codebook(TypedDict):
    """What GET /v1/codebook says."""

    name: str
    version: str
    language: str
    sha256: str
    axes: list[Axis]


@dataclass(frozen=True, slots=True)
class Result:
    """A labelled item, or the error that stands in its place.

    Attributes:
        record: All of it, as the library gives it; the axes are among its fields.
        model: The model that labelled it; None if it was too large to be sent.
    """

    record: Mapping[str, Any]
    model: Model | None

    def __getitem__(self, field: str) -> Any:
        """A field of the record, such as an axis of the codebook."""
        return self.record[field]

    @property
    def id(self) -> str:
        """The item's own id, or its number in the list."""
        return str(self.record["id"])

    @property
    def status(self) -> str:
        """`ok`, `abstained` or `error`."""
        return str(self.record["status"])

    @property
    def error(self) -> str | None:
        """Why the item could not be labelled; None if it was."""
        found = self.record.get("error")
        return None if found is None else str(found)


class Sentence(Result):
    """A labelled sentence. All but `id`, `status` and `error` is there only if it could be labelled."""

    __slots__ = ()

    @property
    def start(self) -> int:
        """Where it starts, in code points of the text as it was given."""
        return int(self.record["start"])

    @property
    def end(self) -> int:
        """Where it ends, exclusive."""
        return int(self.record["end"])

    @property
    def truncated(self) -> bool:
        """Whether the model saw only the beginning."""
        return bool(self.record["truncated"])

    @property
    def scores(self) -> Mapping[str, Mapping[str, float]]:
        """The calibrated probability of every label, by axis."""
        scores: Mapping[str, Mapping[str, float]] = self.record["scores"]
        return scores

    @property
    def abstained(self) -> tuple[str, ...]:
        """The axes on which the model is not sure."""
        return tuple(self.record["abstained"])


class Document(Result):
    """A labelled document. `sentences` and `summary` are there only if it could be labelled."""

    __slots__ = ()

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """Its sentences; offsets count in the document's text."""
        return tuple(Sentence(record, self.model) for record in self.record["sentences"])

    @property
    def summary(self) -> Mapping[str, Any]:
        """Counts and rates of its labels."""
        summary: Mapping[str, Any] = self.record["summary"]
        return summary


Item = TypeVar("Item", bound=Result)


@dataclass(frozen=True, slots=True)
class Reply(Generic[Item]):
    """One answer, however many requests it took.

    Attributes:
        model: The model that made all of it.
        results: One for each item, in order.
    """

    model: Model
    results: tuple[Item, ...]
