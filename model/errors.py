"""Every error that Newsframe raises on purpose.

NewsframeError
├── CodebookError      a codebook file that cannot be used
├── RecordError        a line or field of the input that cannot be read
├── WeightsError       trained weights that are missing, altered or of another form
├── EncoderError       no base encoder with the expected content was found
├── ArtifactError      a serving artifact that is missing, truncated or altered
├── ConfigError        a configuration file with unknown or impossible values
└── MissingExtra       a command whose optional dependencies are not installed

Each message reads `<where>: expected <what>, but found <what>. <One thing to do>.`
"""

from collections.abc import Sequence


class NewsframeError(Exception):
    """The root: catching it catches every refusal, and nothing that is a bug."""


class CodebookError(NewsframeError):
    """A codebook file that cannot be used; the message lists every problem at once."""


class RecordError(NewsframeError):
    """A line or field of the input that cannot be read."""


class WeightsError(NewsframeError):
    """Trained weights that are missing, altered or of another form."""


class EncoderError(NewsframeError):
    """No base encoder with the expected content was found."""


class ArtifactError(NewsframeError):
    """A serving artifact that is missing, truncated or altered."""


class ConfigError(NewsframeError):
    """A configuration file with unknown or impossible values."""


class MissingExtra(NewsframeError):
    """A command whose optional dependencies are not installed."""


SHOWN = 10


def join_problems(problems: Sequence[str]) -> str:
    """Put many problems into one message: the first ten, then the count of the others."""
    shown = list(problems[:SHOWN])
    if len(problems) > SHOWN:
        shown.append(f"… and {len(problems) - SHOWN} more of {len(problems)} problems")
    return "\n".join(shown)
