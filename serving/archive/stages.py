"""What is done with a shard by whoever has a core free: segment its records, infer its new sentences, write its files.

Each stage is a function of its arguments and of a worker's model: the same whether it runs in this process, in
another one or on another machine.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from model.article import Article
from model.artifact import Artifact, load_artifact
from model.errors import RecordError
from model.jsonl import dumps
from model.labeller import document_sentences, read_document
from model.records import Sentence, read_id, read_sentence
from serving.archive.formats import MAX_RAW_CHARACTERS
from serving.archive.items import Item
from serving.archive.options import NINJS
from serving.archive.packed import Layout, Numbers, Packed, pack
from serving.archive.repeats import key_of
from serving.archive.segmented import Document, Segmented

if TYPE_CHECKING:
    from serving.archive.parts import Rendered

SEGMENTED, INFERRED = 64, 512  # items and sentences of one task: a second of work or so, little to wait for at the end
_TOLD_BY = 10  # sentences of a document that its language is told by
_HEAD = ("title", "outlet", "url", "published_at")
# What a record says that stands in columns of its own; `text` and `html` are what was labelled.
_OWN_FIELDS = frozenset(("id", "text", "html", "language", "targets", *_HEAD))


@dataclass(frozen=True)
class Setup:
    """What every worker needs to know of a run."""

    artifact: Path
    sentences: bool
    all_languages: bool
    output_format: str
    out: Path


@dataclass(frozen=True)
class Assembly:
    """Everything that the files of a shard are made from.

    Attributes:
        shard: Its number.
        segmented: Its documents and sentences.
        packed: Predictions; of the new sentences and of those that came before the shard.
        source: For each sentence, the place of its prediction in `packed`, or -1.
        repeat_of: For each sentence, the id of the identical one before it, or None.
    """

    shard: int
    segmented: Segmented
    packed: Packed
    source: Numbers
    repeat_of: list[str | None]


class Worker:
    """Runs the stages with one model, loaded when it is first needed."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    @cached_property
    def artifact(self) -> Artifact:
        """The model, checked."""
        return load_artifact(self.setup.artifact)

    @cached_property
    def layout(self) -> Layout:
        """Where the codebook's labels stand."""
        return Layout(self.artifact.codebook)

    @cached_property
    def _engine(self) -> Any:
        from model.engine import Engine

        # One thread: several processes fill the cores better than several threads of one. Nothing kept: the run itself
        # remembers sentences, for all its processes and over all sittings.
        return Engine(self.artifact, threads=1, cached=0)

    def segment(self, first: int, items: Sequence[Item]) -> Segmented:
        """Read records into sentences.

        Args:
            first: Place of the first item among all items of the run.
        """
        segmented = Segmented()
        for n, item in enumerate(items):
            try:
                if item.record is None:
                    raise RecordError(str(item.error))
                read = self._read_sentence if self.setup.sentences else self._read_document
                segmented.extend(read(first + n, item.place, item.record))
            except RecordError as error:
                segmented.rejects.append(_reject(item, str(error)))
            except Exception as error:
                problem = f"{item.place}: expected a record that can be read, but found {type(error).__name__} in it"
                segmented.rejects.append(_reject(item, f"{problem}. Correct the record."))
        self._choose(segmented)
        return segmented

    def infer(self, texts: Sequence[str], targets: Sequence[tuple[Any, ...]]) -> Packed:
        """Label sentences that differ from one another."""
        asked = targets or [()] * len(texts)
        sentences = [Sentence("", text, names) for text, names in zip(texts, asked, strict=True)]
        return pack(self._engine(sentences), self.layout)

    def render(self, assembly: Assembly) -> "Rendered":
        """Make the files of a shard."""
        from serving.archive.parts import render_parts

        return render_parts(self.setup.output_format, self.artifact, self.layout, assembly)

    def assemble(self, assembly: Assembly) -> dict[str, Any]:
        """Make the files of a shard and write them under temporary names; see `parts.write_parts`."""
        from serving.archive.parts import write_parts

        return write_parts(self.setup.out, self.render(assembly))

    def _read_document(self, number: int, place: str, record: Mapping[str, Any]) -> Segmented:
        from serving.archive.copies import signature

        identifier = _writable(read_id(record, place, default=place))
        article = read_document(record, place)
        prose = " ".join(span.of(article.text) for span in article.prose())
        document = Document(
            number=number,
            id=identifier,
            place=_writable(place),
            **_head(record, article),
            language=_text(record.get("language")),
            text=article.text if "html" in record else None,
            n_characters=len(article.text),
            signature=signature(prose),
            extra=_extra(record),
            body=article.text if self.setup.output_format == NINJS else None,
        )
        found = Segmented(documents=[document])
        for n, item in enumerate(document_sentences(article, identifier), 1):
            if isinstance(item, str):
                _add(found, n, f"{identifier}:{n}", "", 0, item)
            else:
                _add(found, n, item.id, item.text, item.extra["start"])
        return found

    def _read_sentence(self, number: int, place: str, record: Mapping[str, Any]) -> Segmented:
        sentence = read_sentence(record, place, default_id=place)
        document = Document(
            number=number,
            id=_writable(sentence.id),
            place=_writable(place),
            **_head(record),
            language=_text(record.get("language")),
            text=None,
            n_characters=len(sentence.text),
            signature=None,
            extra=_extra(record),
            body=sentence.text if self.setup.output_format == NINJS else None,
        )
        found = Segmented(documents=[document])
        _add(found, 1, document.id, sentence.text, 0)
        found.targets = [sentence.targets]
        return found

    def _choose(self, segmented: Segmented) -> None:
        """Tell the sentences' languages, and give a key to each that is to be inferred."""
        sure = _tell_languages(segmented)
        model_language = self.artifact.codebook.language
        for n, problem in enumerate(segmented.problems):
            other = sure[n] and segmented.languages[n] not in (None, model_language)
            segmented.skipped.append(problem is None and other and not self.setup.all_languages)
            infer = problem is None and not segmented.skipped[n]
            segmented.keys.append(key_of(segmented.texts[n], _plain(segmented.targets[n])) if infer else b"")


def _tell_languages(segmented: Segmented) -> list[bool]:
    """Fill in the languages: a sentence's own where that is sure, else its document's, declared or identified.

    Returns:
        For each sentence, whether its language is beyond doubt.
    """
    from serving.archive.language import identify, normalise, settle

    members: list[list[int]] = [[] for _ in segmented.documents]
    for n, owner in enumerate(segmented.document):
        members[owner].append(n)
    found = identify(segmented.texts)
    whole = identify([" ".join(segmented.texts[n] for n in sentences[:_TOLD_BY]) for sentences in members])
    sure = [language.sure for language in found]
    languages = [""] * len(found)
    for n, (document, sentences) in enumerate(zip(segmented.documents, members, strict=True)):
        code = normalise(document.language) or (whole[n].code if whole[n].sure else "")
        segmented.documents[n] = replace(document, language=code or None)
        for place, own in zip(sentences, settle([found[place] for place in sentences], code), strict=True):
            languages[place] = own
            sure[place] = sure[place] or bool(code)
    segmented.languages = [code or None for code in languages]
    return sure


def _add(found: Segmented, number: int, identifier: str, text: str, start: int, problem: str | None = None) -> None:
    found.document.append(0)
    found.number.append(number)
    found.ids.append(identifier)
    found.texts.append(text)
    found.starts.append(start)
    found.problems.append(problem)
    found.targets.append(())


def _plain(targets: tuple[Any, ...]) -> list[Any]:
    return [(name, span.start, span.end) for name, span in targets]


def _head(record: Mapping[str, Any], article: Article | None = None) -> dict[str, str | None]:
    """What stands above a document: as the record says, else as its page does; an outlet may be the host of its url."""
    head = {name: _text(record.get(name)) or _text(getattr(article, name, None)) for name in _HEAD}
    if head["outlet"] is None and head["url"]:
        try:
            host = urlsplit(head["url"]).hostname
        except ValueError:  # no url after all
            host = None
        head["outlet"] = host.removeprefix("www.") if host else None
    return head


def _text(value: object) -> str | None:
    """A field as a column of texts holds it; an empty one is none."""
    return None if value is None or value == "" else _writable(str(value))


def _writable(text: str) -> str:
    """A text that can be written as UTF-8: a lone surrogate, as of a file's name in another encoding, is spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _extra(record: Mapping[str, Any]) -> str | None:
    extra = {key: value for key, value in record.items() if key not in _OWN_FIELDS}
    if not extra:
        return None
    try:
        return dumps(extra)
    except (TypeError, ValueError):  # a date, bytes, or not a number: as a table may hold them
        return dumps(_jsonable(extra))


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _reject(item: Item, problem: str) -> dict[str, Any]:
    """What `rejects.jsonl` says of a record; `skipped` where nothing is wrong with it but that it holds no words."""
    raw = item.raw or dumps(_jsonable(item.record or {}))
    return {"place": item.place, "error": problem, "raw": raw[:MAX_RAW_CHARACTERS], "skipped": item.skipped}
