"""What the pages and cards have in common: templates that stand in this folder, and how figures are written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

NONE = "–"


def environment(**settings: Any) -> Environment:
    """Templates that refuse a name they were not given, with the filters `share` and `interval`.

    Args:
        settings: Further settings of the environment, such as `autoescape`.
    """
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **settings,
    )
    made.filters |= {"share": share, "interval": interval}
    return made


def share(value: float | None, form: str = ".3f") -> str:
    """A figure, or a dash where there is none."""
    return NONE if value is None else f"{value:{form}}"


def interval(bounds: Sequence[float] | None, form: str = ".3f") -> str:
    """An interval, or a dash where there is none."""
    return NONE if bounds is None else " to ".join(f"{bound:{form}}" for bound in bounds)
