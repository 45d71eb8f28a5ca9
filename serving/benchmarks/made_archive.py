"""An archive of any size made from a small real one, that repeats itself as news does and yet holds no sentence twice.

A document is a real article's length of sentences drawn from all of them, their numbers, days, months and names changed
until the sentence is a new one. Some documents are an earlier one in another outlet, lightly edited, as agency copy is;
and each outlet has sentences that it puts below many articles.
"""

import random
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model.errors import RecordError
from model.jsonl import dumps, read_file
from model.labeller import document_sentences, read_document

_OUTLETS = 25
_RECENT = 2000  # documents that a copy can be made of
_STANDING = 2  # sentences that each outlet repeats
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_NUMBER = re.compile(r"\d+")
_DAY_OR_MONTH = re.compile(rf"\b({'|'.join(_DAYS + _MONTHS)})\b")
# Capitalised words that do not begin the sentence.
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*")


@dataclass
class Count:
    """What was made.

    Attributes:
        distinct: Different sentences.
        copies: Documents made as copies.
    """

    documents: int = 0
    sentences: int = 0
    distinct: int = 0
    copies: int = 0

    @property
    def repeated(self) -> float:
        """Share of the sentences that repeat an earlier one to the word, 0 to 1."""
        return 1 - self.distinct / max(1, self.sentences)


@dataclass
class Maker:
    """Makes sentences and documents out of an archive; the same ones for the same seed.

    Attributes:
        copies: Share of the documents that are copies, 0 to 1.
        standing: Share of the sentences that an outlet repeats, 0 to 1.
    """

    articles: Sequence[Sequence[str]]
    copies: float
    standing: float
    seed: int = 7
    count: Count = field(default_factory=Count)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._pool = [sentence for article in self.articles for sentence in article]
        names = Counter(name for sentence in self._pool for name in _NAME.findall(sentence))
        self._names = sorted(names) or ["Smith"]
        self._seen: set[int] = set()
        self._below = [[self.sentence() for _ in range(_STANDING)] for _ in range(_OUTLETS)]
        self._seen.clear()

    def sentence(self) -> str:
        """Make a sentence that was not made before."""
        while True:
            text = self._changed(self._random.choice(self._pool))
            if (known := hash(text)) not in self._seen:
                self._seen.add(known)
                return text

    def documents(self, sentences: int) -> Iterator[dict[str, str]]:
        """Make documents until they hold so many sentences; `count` tells what was made."""
        recent: deque[tuple[int, list[str]]] = deque(maxlen=_RECENT)
        seen = set[int]()
        mean = len(self._pool) / len(self.articles)
        while self.count.sentences < sentences:
            outlet = self._random.randrange(_OUTLETS)
            copied = recent and self._random.random() < self.copies
            if copied:
                before, words = self._random.choice(recent)
                outlet = self._random.choice([n for n in range(_OUTLETS) if n != before])
                body = self._edited(words)
                self.count.copies += 1
            else:
                body = [self.sentence() for _ in self._random.choice(self.articles)]
                recent.append((outlet, body))
            if self._random.random() < self.standing * mean:
                body = [*body, self._random.choice(self._below[outlet])]
            body = body[: sentences - self.count.sentences]
            seen.update(map(hash, body))
            self.count.documents += 1
            self.count.sentences += len(body)
            self.count.distinct = len(seen)
            yield {
                "id": f"m{self.count.documents}",
                "text": "\n\n".join(body),  # paragraphs, so that they are segmented as they were made
                "outlet": f"outlet {outlet}",
                "published_at": f"{self._random.randint(2011, 2020)}-{self._random.randint(1, 12):02}-15",
            }

    def _changed(self, text: str) -> str:
        def number(found: re.Match[str]) -> str:
            digits = len(found[0])
            return str(self._random.randrange(10 ** (digits - 1), 10**digits))

        def name(found: re.Match[str]) -> str:
            return self._random.choice(self._names) if self._random.random() < 0.5 else found[0]

        text = _NAME.sub(name, text)
        text = _DAY_OR_MONTH.sub(lambda f: self._random.choice(_DAYS if f[0] in _DAYS else _MONTHS), text)
        text = _NUMBER.sub(number, text)
        if hash(text) in self._seen:  # nothing in it could be changed enough
            text = f"On {self._random.choice(_MONTHS)} {self._random.randint(1, 28)} {self._lowered(text)}"
        return text

    @staticmethod
    def _lowered(text: str) -> str:
        return text[:1].lower() + text[1:]

    def _edited(self, words: Sequence[str]) -> list[str]:
        """A text as another outlet prints it: whole, or without a sentence, or with another one in its place."""
        body = list(words)
        place, kind = self._random.randrange(len(body)), self._random.random()
        if kind < 0.3 and len(body) > 3:
            del body[place]
        elif kind < 0.6 and len(body) > 3:
            body[place] = self.sentence()
        return body


def read_articles(archive: Path) -> list[list[str]]:
    """Segment the documents of a JSON Lines file.

    Raises:
        RecordError: It holds no document with sentences.
    """
    articles = []
    for line in read_file(archive):
        try:
            article = read_document(line.record or {}, f"{archive}:{line.number}")
        except RecordError:
            continue
        found = [item.text for item in document_sentences(article, "") if not isinstance(item, str)]
        if found:
            articles.append(found)
    if not articles:
        raise RecordError(f"{archive}: expected documents, but found none. Name a JSON Lines file with some.")
    return articles


def write_documents(maker: Maker, sentences: int, path: Path) -> Count:
    """Write an archive of so many sentences as JSON Lines, document by document."""
    with path.open("w", encoding="utf-8") as file:
        for document in maker.documents(sentences):
            file.write(dumps(document) + "\n")
    return maker.count


def write_sentences(maker: Maker, sentences: int, path: Path) -> None:
    """Write so many different sentences as JSON Lines, one record a sentence."""
    with path.open("w", encoding="utf-8") as file:
        for n in range(sentences):
            file.write(dumps({"id": str(n), "text": maker.sentence()}) + "\n")
