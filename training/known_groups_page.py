"""The page of a known-groups check: what holds, a plot, the rates; it opens without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from training import plots

TEMPLATE = "known_groups.html.j2"
# What each group in turn is drawn with: its name, marker, colour and filling.
_MARKS = (
    ("circles", "o", plots.ACCENT, plots.ACCENT),
    ("squares", "s", plots.INK, plots.INK),
    ("diamonds", "D", plots.MUTED, plots.MUTED),
    ("hollow triangles", "^", plots.ACCENT, "none"),
    ("hollow squares", "s", plots.INK, "none"),
)
_NO_GROUP = ("hollow circles", "o", plots.MUTED, "none")
_COLUMNS = 2


def render_page(result: Mapping[str, Any]) -> str:
    """Render what known_groups.json holds as a page; every text in it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": _share, "interval": _interval}
    marks = dict(zip(result["groups"], _MARKS, strict=False))
    return environment.get_template(TEMPLATE).render(
        result=result,
        plots={part: Markup(_plot(result, part, f"rates{n}", marks)) for n, part in enumerate(result["parts"])},
        legend=[f"{name}: {group}" for group, (name, *_) in marks.items()] + [f"{_NO_GROUP[0]}: no group"],
    )


def _plot(result: Mapping[str, Any], part: str, name: str, marks: Mapping[str | None, tuple[str, ...]]) -> str:
    """Draw each measure as a panel: the outlets' rates with their intervals, group by group."""
    found = result["parts"][part]["outlets"]
    places = [*result["groups"], None]
    outlets = sorted(found, key=lambda o: (places.index(found[o]["group"]), -found[o]["articles"]))
    measures = [measure["name"] for measure in result["measures"]]
    rows = -(-len(measures) // _COLUMNS)
    with matplotlib.rc_context(plots._SETTINGS):
        figure = Figure(figsize=(9, rows * (0.8 + 0.24 * len(outlets))), layout="constrained")
        grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True).ravel()
        for axes, measure in zip(grid, measures, strict=False):
            for n, outlet in enumerate(outlets):
                _, marker, colour, inside = marks.get(found[outlet]["group"], _NO_GROUP)
                row = found[outlet]["rates"][measure]
                if row["interval"]:
                    axes.plot(row["interval"], [n, n], color=colour, linewidth=1.5, solid_capstyle="butt")
                if row["rate"] is not None:
                    axes.plot([row["rate"]], [n], marker, color=colour, markerfacecolor=inside, markersize=5)
            axes.set_yticks(range(len(outlets)), [f"{found[o]['name']} ({found[o]['articles']})" for o in outlets])
            axes.set_ylim(len(outlets) - 0.5, -0.5)
            axes.set_xlim(-0.02, 1.02)
            axes.set_title(measure, loc="left")
        for axes in grid[len(measures) :]:
            axes.set_axis_off()
        about = "Rate of each label by outlet with its 95 % interval; in brackets, the articles of the outlet."
        return plots._svg(figure, name, about)


def _share(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else f"{value:{form}}"


def _interval(bounds: Sequence[float] | None, form: str = ".3f") -> str:
    return "–" if bounds is None else " to ".join(f"{bound:{form}}" for bound in bounds)
