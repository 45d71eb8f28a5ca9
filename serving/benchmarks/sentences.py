"""Sentences to measure with: those of news articles, as unequal as they come."""

from collections.abc import Sequence
from pathlib import Path

from model.article import read_article
from model.sentences import split_sentences

SEEDS = Path(__file__).resolve().parent.parent.parent / "data/seeds"


def read_sentences(files: Sequence[Path] = ()) -> list[str]:
    """Segment articles.

    Args:
        files: Text files, an article each; none takes the seed articles.

    Returns:
        Their sentences, in order.
    """
    found: list[str] = []
    for file in files or sorted(SEEDS.glob("*.txt")):
        article = read_article(file.read_text(encoding="utf-8"))
        for block in article.prose():
            text = block.of(article.text)
            found += [span.of(text) for span in split_sentences(text)]
    return found
