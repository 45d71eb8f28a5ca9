"""The formats that an archive may come in, and the names that tell them."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

from serving.archive.errors import ArchiveError

AUTO = "auto"
JSONL, CSV, PARQUET, TEXT, HTML, WARC, NINJS, JSON = "jsonl", "csv", "parquet", "text", "html", "warc", "ninjs", "json"
FORMATS = (JSONL, CSV, PARQUET, TEXT, HTML, WARC, NINJS, JSON)
GZIP, ZSTD = "gzip", "zstd"
COMPRESSIONS: Mapping[str, str] = {".gz": GZIP, ".zst": ZSTD}
SUFFIXES: Mapping[str, str] = {
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".json": JSON,
    ".csv": CSV,
    ".tsv": CSV,
    ".parquet": PARQUET,
    ".txt": TEXT,
    ".md": TEXT,
    ".html": HTML,
    ".htm": HTML,
    ".warc": WARC,
}
# A Parquet file is compressed inside, and has its index at its end.
NEVER_COMPRESSED = frozenset({PARQUET})

# One record is held in memory whole. A document may have 1,000,000 characters, which is 6 MB of JSON at worst;
# a page has its markup besides. What is longer is rejected, and passed over a piece at a time.
MAX_RECORD_BYTES = 16 << 20
MAX_RAW_CHARACTERS = 2_000


@dataclass(frozen=True)
class ReadOptions:
    """How the fields of a record are called, and how a table is written.

    Attributes:
        text_field: The field that holds the text.
        html_field: The field that holds a page instead; "" for none.
        id_field: The field that names a record; one without it is named by its place.
        title_field, outlet_field, url_field, published_at_field, language_field: What a document is known by.
        sentences: Whether a record is one sentence; of a plain text, a line then is one.
        delimiter: What parts the cells of a CSV file, one character; "" finds it in the first line.
        encoding: Of CSV, JSON Lines and plain text. Pages say theirs themselves.

    Raises:
        ArchiveError: The encoding is unknown or not an extension of ASCII, or the delimiter is no single character.
    """

    text_field: str = "text"
    html_field: str = "html"
    id_field: str = "id"
    title_field: str = "title"
    outlet_field: str = "outlet"
    url_field: str = "url"
    published_at_field: str = "published_at"
    language_field: str = "language"
    sentences: bool = False
    delimiter: str = ""
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        try:
            # Lines are told apart as bytes, before they are decoded: UTF-16 would be torn.
            safe = '\n\r,"{'.encode(codecs.lookup(self.encoding).name) == b'\n\r,"{'
        except LookupError:
            safe = False
        if not safe:
            raise ArchiveError(
                f"encoding: expected the name of an encoding that extends ASCII, but found {self.encoding!r}. "
                "Use utf-8, cp1252 or the like, or convert the files to UTF-8."
            )
        if len(self.delimiter) > 1 or self.delimiter in ('"', "\n", "\r"):
            raise ArchiveError(
                f"delimiter: expected one character that parts cells, but found {self.delimiter!r}. Use ',' or ';'."
            )

    @property
    def fields(self) -> Mapping[str, str]:
        """The house's name of each known field, with the name that it has in the input."""
        return {
            "id": self.id_field,
            "text": self.text_field,
            "html": self.html_field,
            "title": self.title_field,
            "outlet": self.outlet_field,
            "url": self.url_field,
            "published_at": self.published_at_field,
            "language": self.language_field,
        }
