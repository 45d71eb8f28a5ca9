"""An article read out of a saved page: the words of the story, told from the furniture around them.

A line is furniture only on evidence: a phrase that furniture is known by, a shape, its place relative to the
body of the story. What nothing speaks against stays in the article.
"""

import re
from dataclasses import dataclass
from typing import Any

from model.article_kinds import tell_kinds
from model.article_lines import Line, make_line, read_lines
from model.article_metadata import Metadata, read_metadata
from model.spans import Span

# The tags that trafilatura writes, those of TEI: which part one paragraph from the next, and which mark one.
_PARTING = frozenset({"p", "head", "item", "quote", "lb", "list", "cell", "row", "table", "div", "figure"})
_MARKS = {"head": "heading", "item": "bullet", "quote": "quote"}

ARTICLE_KINDS = ("title", "standfirst", "paragraph", "list_item")
FURNITURE_KINDS = (
    "byline",
    "date",
    "caption",
    "credit",
    "related",
    "newsletter",
    "navigation",
    "author_box",
    "copyright",
    "repeat",
    "address",
    "other_furniture",
)


@dataclass(frozen=True)
class Block:
    """One line or paragraph of a page.

    Attributes:
        span: Its words, without the Markdown marks before them.
        kind: One of ARTICLE_KINDS or FURNITURE_KINDS.
    """

    span: Span
    kind: str

    @property
    def is_article(self) -> bool:
        """Tell whether it belongs to the story."""
        return self.kind in ARTICLE_KINDS


@dataclass(frozen=True)
class Article:
    """A page, read.

    Attributes:
        text: The text that every span is an offset into.
        blocks: Every line of it that holds words, in order.
        title: The headline.
        outlet: The name that the page gives its publisher, or else the host of its address.
        author: Who wrote it, as the byline says.
        published_at: ISO 8601 date, or date-time where the page gives the time and its zone.
        url: The page's own address.
    """

    text: str
    blocks: tuple[Block, ...]
    title: str | None = None
    outlet: str | None = None
    author: str | None = None
    published_at: str | None = None
    url: str | None = None

    def prose(self) -> list[Span]:
        """Return the places of the story's own words, in order."""
        return [block.span for block in self.blocks if block.is_article]


def looks_like_html(text: str) -> bool:
    """Tell whether a text is an HTML page rather than words copied from one."""
    return re.match(r"[\s\ufeff]*<(?:!doctype\s+html|html)\b", text[:2000], re.IGNORECASE) is not None


def read_article(text: str) -> Article:
    """Read an article out of a page saved or copied as plain text or Markdown.

    Args:
        text: The page as given; HTML is for read_html.

    Returns:
        The article; its spans are code-point offsets into `text`. Plain prose comes back whole.
    """
    return _read(text, read_lines(text), Metadata())


def read_html(html: str) -> Article:
    """Read an article out of an HTML page.

    Args:
        html: The page's source.

    Returns:
        The article, with a text of its own: the extracted paragraphs, a blank line between each two, the
        headline first. Without any words if nothing can be extracted.

    Source: Barbaresi 2021, "Trafilatura: A Web Scraping Library and Command-Line Tool for Text Discovery and
    Extraction"; which paragraphs of it are furniture is judged here, as in read_article.
    """
    # Slow to import, and only this door needs it.
    from trafilatura import bare_extraction
    from trafilatura.settings import Document

    found = bare_extraction(
        html,
        favor_recall=True,
        include_comments=False,
        with_metadata=True,
        # A date that stands nowhere as the article's own is a guess, and a copyright year would do for it.
        date_extraction_params={"original_date": True, "extensive_search": False},
    )
    if not isinstance(found, Document) or not (pieces := _pieces(found.body)):
        return Article("", ())
    if found.title and found.title.casefold() not in {words.casefold() for words, _, _ in pieces[:6]}:
        pieces.insert(0, (" ".join(found.title.split()), "heading", 1))
    text = "\n\n".join(words for words, _, _ in pieces)
    lines, start = [], 0
    for words, mark, level in pieces:
        lines.append(make_line(text, Span(start, start + len(words)), mark, level))
        start += len(words) + 2
    return _read(text, lines, Metadata(found.title, found.sitename, found.author, found.date, found.url))


def _read(text: str, lines: list[Line], known: Metadata) -> Article:
    """Judge the lines, and read the metadata that is not known already."""
    kinds, title = tell_kinds(lines, known.title)
    read = read_metadata(lines, kinds, title)
    blocks = tuple(Block(line.span, kind) for line, kind in zip(lines, kinds, strict=True))
    return Article(text, blocks, *(a or b for a, b in zip(known, read, strict=True)))


def _pieces(body: Any) -> list[tuple[str, str, int]]:
    """Walk an extracted tree.

    Args:
        body: An lxml element.

    Returns:
        The words, mark and heading level of each paragraph, in order.
    """
    pieces: list[tuple[list[str], str, int]] = [([], "", 0)]
    # Not recursive: a page may nest deeper than Python's stack.
    todo: list[tuple[Any, str, bool]] = [(body, "", False)]
    while todo:
        element, outer, done = todo.pop()
        mark = _MARKS.get(element.tag, outer)
        if element.tag in _PARTING:
            level = 1 if element.tag == "head" and element.get("rend") == "h1" and not done else 0
            pieces.append(([], outer if done else mark, level))
        pieces[-1][0].append((element.tail if done else element.text) or "")
        if not done:
            todo.append((element, outer, True))
            todo.extend((child, mark, False) for child in reversed(element))
    read = ((" ".join("".join(words).split()), mark, level) for words, mark, level in pieces)
    return [piece for piece in read if piece[0]]
