"""A shard's documents and sentences in columns, between being read and being written."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Document:
    """A document without its sentences; the fields are columns of its table."""

    number: int
    id: str
    place: str
    title: str | None
    outlet: str | None
    url: str | None
    published_at: str | None
    language: str | None
    text: str | None
    n_characters: int
    signature: bytes | None
    extra: str | None
    body: str | None = None  # the text as it was given, where the output carries it on


@dataclass
class Segmented:
    """Documents and their sentences, in columns.

    Attributes:
        documents: Those that could be read.
        document: For each sentence, the place of its document in `documents`.
        number: Its place in its document, from 1.
        ids, texts, starts, languages: Of each sentence.
        problems: For each sentence, why it cannot be labelled, or None.
        skipped: Whether it is left out for its language.
        targets: What a record asked for, as pairs of words and span; empty in a run over documents.
        keys: What sentences with equal predictions have in common; empty bytes where there is nothing to infer.
        rejects: Records that could not be read: place, error, raw.
    """

    documents: list[Document] = field(default_factory=list)
    document: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    languages: list[str | None] = field(default_factory=list)
    problems: list[str | None] = field(default_factory=list)
    skipped: list[bool] = field(default_factory=list)
    targets: list[tuple[Any, ...]] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)

    def extend(self, other: "Segmented") -> None:
        """Add what comes after it in the shard."""
        shift = len(self.documents)
        for name in self.__dataclass_fields__:
            values = getattr(other, name)
            getattr(self, name).extend([n + shift for n in values] if name == "document" else values)

    def to_infer(self) -> list[int]:
        """Places of the sentences that the model must read."""
        return [n for n, key in enumerate(self.keys) if key]
