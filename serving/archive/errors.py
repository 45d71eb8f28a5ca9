"""What can go wrong with an archive as a whole; one bad record is a reject instead, and never an exception."""

from model.errors import NewsframeError


class ArchiveError(NewsframeError):
    """Inputs, options or an output folder with which scoring an archive cannot begin or go on."""
