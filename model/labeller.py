"""Sentences and documents in, labelled records out: the one path of library, command line and HTTP."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.article import Article, looks_like_html, read_article, read_html
from model.artifact import Artifact, find_artifact, load_artifact
from model.codebook import Codebook
from model.engine import Engine
from model.errors import RecordError
from model.predictions import ERROR, OK, Prediction, rounded
from model.records import Sentence, check_text, read_id, read_sentence
from model.sentences import split_sentences
from model.spans import Span

MAX_DOCUMENT_CHARACTERS = 1_000_000
# Fields of a document that labelling reads or writes; every other one is carried through as it is.
_OWN_FIELDS = ("id", "text", "html", "status", "error", "sentences", "summary")


@dataclass(frozen=True)
class Reading:
    """Input that was read and not labelled yet; what labels it may join its sentences with those of others.

    Attributes:
        sentences: What there is to label.
        finish: Makes the results, in the order of the input, from a prediction for each sentence.
    """

    sentences: list[Sentence]
    finish: Callable[[Sequence[Prediction]], list[dict[str, Any]]]


class Labeller:
    """Labels sentences and documents with one loaded model; safe to call from several threads."""

    def __init__(self, artifact: Artifact, threads: int = 0) -> None:
        """Load the model of an artifact; `threads` as in `Engine`."""
        self.artifact = artifact
        self.engine = Engine(artifact, threads)

    @classmethod
    def load(cls, folder: Path | None = None, threads: int = 0) -> "Labeller":
        """Load a model.

        Args:
            folder: An artifact; None finds the shipped one, and builds it where that was not done yet.

        Raises:
            ArtifactError, WeightsError, EncoderError: The model is missing or altered.
        """
        return cls(load_artifact(folder or find_artifact()), threads)

    @property
    def codebook(self) -> Codebook:
        """The codebook that the labels are of."""
        return self.artifact.codebook

    @property
    def model_info(self) -> dict[str, Any]:
        """Name, version and content hash of model and codebook."""
        return self.artifact.model_info

    @property
    def max_tokens(self) -> int:
        """Tokens that the model sees of a sentence, special tokens included."""
        return int(self.artifact.manifest["max_tokens"])

    def label(self, sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
        """Label sentences; records come in the order of the sentences."""
        return _labelled_all(sentences, self.engine(sentences))

    def label_records(self, records: Iterable[Mapping[str, Any] | str], where: str = "inputs") -> list[dict[str, Any]]:
        """Label records `{"id", "text", "targets"?, ...}` or bare texts.

        A record that cannot be labelled gets `status: "error"` in its place, and costs the others nothing.

        Args:
            where: What to call the list in messages.
        """
        reading = self.read_records(records, where)
        return reading.finish(self.engine(reading.sentences))

    def read_records(self, records: Iterable[Mapping[str, Any] | str], where: str = "inputs") -> Reading:
        """Read records, without labelling them; see `label_records`."""
        failed: dict[int, dict[str, Any]] = {}
        sentences: list[Sentence] = []
        count = 0
        for n, item in enumerate(records):
            count += 1
            record = {"text": item} if isinstance(item, str) else item
            try:
                sentences.append(read_sentence(record, f"{where}[{n}]", default_id=str(n)))
            except RecordError as error:
                failed[n] = error_record(_id_or(str(n), record), str(error))

        def finish(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
            labelled = iter(_labelled_all(sentences, predictions))
            return [failed[n] if n in failed else next(labelled) for n in range(count)]

        return Reading(sentences, finish)

    def label_documents(
        self, documents: Iterable[Mapping[str, Any]], places: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """Label documents `{"id", "text" or "html", ...}`: their sentences with offsets, and a summary of each.

        All documents are labelled in one go. One that cannot be read gets `status: "error"` in its place.

        Args:
            places: What to call each document in messages; by default `documents[0]` and so on.
        """
        reading = self.read_documents(documents, places)
        return reading.finish(self.engine(reading.sentences))

    def read_documents(self, documents: Iterable[Mapping[str, Any]], places: Sequence[str] | None = None) -> Reading:
        """Read and split documents, without labelling them; see `label_documents`."""
        read: list[tuple[dict[str, Any], list[Sentence | str]]] = []
        for n, document in enumerate(documents):
            where = places[n] if places else f"documents[{n}]"
            try:
                identifier = read_id(document, where, default=str(n))
                article = read_document(document, where)
            except RecordError as error:
                read.append((error_record(_id_or(str(n), document), str(error)), []))
                continue
            carried = {key: value for key, value in document.items() if key not in _OWN_FIELDS}
            head = {"id": identifier, "status": OK} | carried
            for key in ("title", "outlet", "url", "published_at"):
                if (value := getattr(article, key)) and not head.get(key):
                    head[key] = value
            if "html" in document:
                head["text"] = article.text  # what the offsets count in
            read.append((head, list(document_sentences(article, identifier, document.get("language")))))

        def finish(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
            left = iter(predictions)
            return [self._document(head, items, left) for head, items in read]

        return Reading([item for _, items in read for item in items if isinstance(item, Sentence)], finish)

    def _document(
        self, head: dict[str, Any], items: list[Sentence | str], predictions: Iterator[Prediction]
    ) -> dict[str, Any]:
        if head["status"] == ERROR:
            return head
        records = []
        for n, item in enumerate(items, 1):
            if isinstance(item, str):
                records.append(error_record(f"{head['id']}:{n}", item))
                continue
            start = item.extra["start"]
            records.append(_labelled(item, next(predictions), Span(start, start + len(item.text))))
        return head | {"sentences": records, "summary": summarise(records, self.codebook)}


def read_document(document: Mapping[str, Any], where: str) -> Article:
    """Tell the article of a document from its furniture.

    Raises:
        RecordError: There is no text that can be read, or both text and html.
    """
    fields = [name for name in ("text", "html") if document.get(name) is not None]
    if len(fields) != 1:
        found = " and ".join(fields) or "neither"
        raise RecordError(
            f"{where}: expected one of the fields 'text' and 'html', but found {found}. Give one of them."
        )
    content = check_text(document[fields[0]], f"{where}: field '{fields[0]}'", MAX_DOCUMENT_CHARACTERS, "document")
    if fields[0] == "text" and not looks_like_html(content):
        return read_article(content)
    if fields[0] == "text":
        raise RecordError(f"{where}: field 'text': expected plain text, but found HTML. Give it as 'html'.")
    article = read_html(content)
    if not article.prose():
        raise RecordError(
            f"{where}: field 'html': expected a page with an article, but found none. Give its words as 'text'."
        )
    return article


def document_sentences(article: Article, identifier: str, language: object = None) -> Iterable[Sentence | str]:
    """Split an article into sentences, numbered from 1; one that is too long comes as its error message."""
    number = 0
    for block in article.prose():
        for span in split_sentences(block.of(article.text)):
            number += 1
            place = Span(block.start + span.start, block.start + span.end)
            try:
                text = check_text(place.of(article.text), f"{identifier}: characters {place.start} to {place.end}")
            except RecordError as error:
                yield str(error)
                continue
            yield Sentence(f"{identifier}:{number}", text, extra={"start": place.start, "language": language})


def summarise(records: Sequence[Mapping[str, Any]], codebook: Codebook) -> dict[str, Any]:
    """Count a document's labels.

    Returns:
        `sentences`: number of labelled sentences; for each sentence-level axis, the count and the rate (share of
        labelled sentences) of each label; for a mention axis and a target axis, the count of mentions a label;
        `abstained`: for each axis, the number of sentences that the model is not sure of.
    """
    labelled = [record for record in records if record["status"] != ERROR]
    summary: dict[str, Any] = {"sentences": len(labelled), "errors": len(records) - len(labelled)}
    mention, target = codebook.mention_axis, codebook.target_axis
    if mention:
        mentions = [m for record in labelled for m in record[mention.name]]
        summary[mention.name] = {label: sum(m["label"] == label for m in mentions) for label in mention.label_names}
        if mention.summary:
            rows = [record[mention.summary] for record in labelled]
            summary[mention.summary] = _rates(rows, mention.summary_labels)
        if target:
            labels = [m[target.name]["label"] for m in mentions]
            summary[target.name] = {label: labels.count(label) for label in target.label_names}
    for axis in codebook.sentence_axes:
        rows = [[item["label"] for item in record[axis.name]] for record in labelled]
        summary[axis.name] = _rates(rows, axis.label_names)
    summary["abstained"] = {
        axis.name: sum(axis.name in record["abstained"] for record in labelled) for axis in codebook.axes
    }
    return summary


def _rates(rows: Sequence[Sequence[str]], labels: Sequence[str]) -> dict[str, dict[str, float]]:
    counts = {label: sum(label in row for row in rows) for label in labels}
    return {label: {"count": n, "rate": rounded(n / len(rows)) if rows else 0.0} for label, n in counts.items()}


def _id_or(default: str, record: object) -> str:
    """Give the id of a record that cannot be labelled, or the default where the id is what is wrong with it."""
    try:
        return read_id(record, "", default)
    except RecordError:
        return default


def error_record(identifier: object, message: str) -> dict[str, Any]:
    """What stands in the place of a sentence or document that cannot be labelled."""
    return {"id": identifier, "status": ERROR, "error": message}


def _labelled_all(sentences: Sequence[Sentence], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Join sentences that are texts of their own with their predictions."""
    return [
        _labelled(sentence, prediction, Span(0, len(sentence.text)))
        for sentence, prediction in zip(sentences, predictions, strict=True)
    ]


def _labelled(sentence: Sentence, prediction: Prediction, place: Span) -> dict[str, Any]:
    """Join a sentence and its prediction; spans count from the start of the document."""
    head = {
        "id": sentence.id,
        "status": prediction.status,
        "start": place.start,
        "end": place.end,
        "language": sentence.extra.get("language"),
    }
    record = head | prediction.to_record(sentence.text, place.start)
    for key, value in sentence.extra.items():
        if key != "error":
            record.setdefault(key, value)
    return record
