"""Scoring an archive: inputs of many formats in, a dataset of labelled sentences out, no row lost and none twice.

from serving.archive import ArchiveOptions, SentenceLabeller, score_archive
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.archive.options import ArchiveOptions as ArchiveOptions
    from serving.archive.run import ArchiveResult as ArchiveResult
    from serving.archive.run import score_archive as score_archive
    from serving.archive.sentence_labeller import SentenceLabeller as SentenceLabeller

# Found when they are asked for: whoever needs one module of the package does not load the others.
_PLACES = {
    "ArchiveOptions": "serving.archive.options",
    "ArchiveResult": "serving.archive.run",
    "SentenceLabeller": "serving.archive.sentence_labeller",
    "score_archive": "serving.archive.run",
}
__all__ = ["ArchiveOptions", "ArchiveResult", "SentenceLabeller", "score_archive"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
