"""The page of a known-groups check: what holds, a plot, the rates; it opens without a network."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from training import plots
from training.templates import environment

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
    marks = dict(zip(result["groups"], _MARKS, strict=False))
    template = environment(autoescape=True).get_template(TEMPLATE)
    return template.render(
        result=result,
        plots={part: Markup(_plot(result, part, f"rates{n}", marks)) for n, part in enumerate(result["parts"])},
        legend=[f"{name}: {group}" for group, (name, *_) in marks.items()] + [f"{_NO_GROUP[0]}: no group"],
    )


def _plot(result: Mapping[str, Any], part: str, name: str, marks: Mapping[str | None, tuple[str, ...]]) -> str:
    """Draw each measure as a panel: the outlets' rates with their intervals, group by group."""
    found = result["parts"][part]["outlets"]
    places = [*result["groups"], None]
    outlets = sorted(found, key=lambda o: (places.index(found[o]["group"]), -found[o]["articles"]))

    def draw(axes: Axes, measure: str) -> None:
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

    about = "Rate of each label by outlet with its 95 % interval; in brackets, the articles of the outlet."
    measures = {measure["name"]: measure["name"] for measure in result["measures"]}
    return plots.panels(measures, draw, name, about, 0.8 + 0.24 * len(outlets), _COLUMNS, sharey=True)
