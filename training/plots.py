"""Plots of an evaluation, as SVG that stands in a page and takes its colours from the page."""

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Stand-ins that no plot uses otherwise; the page's own colours, light or dark, take their places.
INK, ACCENT, MUTED, GRID = "#010101", "#020202", "#030303", "#040404"
_VARIABLES = {INK: "var(--ink)", ACCENT: "var(--accent)", MUTED: "var(--muted)", GRID: "var(--line)"}
_SETTINGS: Any = {
    "svg.hashsalt": "newsframe",  # the same plot has the same ids
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}
Content = TypeVar("Content")


def interval_plot(rows: Sequence[tuple[str, float, Sequence[float] | None]], name: str) -> str:
    """Draw figures with their intervals, one below the other.

    Args:
        rows: Title, value from 0 to 1 and interval of each.
        name: Of the plot; no other on the page may have it.
    """
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(7.5, 0.6 + 0.36 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for n, (_, value, interval) in enumerate(rows):
            if interval:
                axes.plot(interval, [n, n], color=ACCENT, linewidth=2, solid_capstyle="butt")
            axes.plot([value], [n], "o", color=ACCENT, markersize=6)
        axes.set_yticks(range(len(rows)), [title for title, _, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        return _svg(figure, name, "Headline figure of each axis with its 95 % interval, from 0 to 1.")


def reliability_plot(calibration: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Draw the share right against the mean probability of each bin, one diagram an axis."""

    def draw(axes: Axes, found: Mapping[str, Any]) -> None:
        bins = [row for row in found["bins"] if row["count"]]
        most = max(row["count"] for row in bins)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
        axes.plot([b["mean_probability"] for b in bins], [b["share_right"] for b in bins], color=ACCENT, linewidth=1)
        for row in bins:
            size = 3 + 6 * (row["count"] / most) ** 0.5
            axes.plot([row["mean_probability"]], [row["share_right"]], "o", color=ACCENT, markersize=size)
        axes.set_xlim(-0.02, 1.04)
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel("mean probability")
        axes.set_ylabel("share right")

    return panels(calibration, draw, name, "Reliability diagrams: on the dashed line, a probability is what it says.")


def risk_coverage_plot(calibration: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """Draw the share of sentences with an error against coverage, with the point where the model abstains."""

    def draw(axes: Axes, found: Mapping[str, Any]) -> None:
        measured = found["risk_coverage"]
        axes.plot(*zip(*measured["curve"], strict=True), color=ACCENT, linewidth=1.5)
        kept = measured["abstained"]
        if kept["count"] and kept["risk_kept"] is not None:
            axes.plot([kept["coverage"]], [kept["risk_kept"]], "o", color=INK, markersize=6)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, max(0.1, 1.1 * max(risk for _, risk in measured["curve"])))
        axes.set_xlabel("coverage")
        axes.set_ylabel("share with an error")

    about = "Risk against coverage: the dot is where the model's own 'not sure' stands."
    return panels(calibration, draw, name, about)


def panels(
    contents: Mapping[str, Content],
    draw: Callable[[Axes, Content], None],
    name: str,
    about: str,
    height: float = 2.9,
    columns: int = 3,
    sharey: bool = False,
) -> str:
    """Draw a panel for each content under its title.

    Args:
        draw: Draws one.
        name: Of the plot; no other on the page may have it.
        about: Its title, for those who do not see it.
        height: Of a panel, in inches.
        columns: Panels in a row.
        sharey: Whether the panels have one vertical axis.
    """
    rows = -(-len(contents) // columns)
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(9, height * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey).ravel()
        for axes, (title, content) in zip(grid, contents.items(), strict=False):
            draw(axes, content)
            axes.set_title(title, loc="left")
        for axes in grid[len(contents) :]:
            axes.set_axis_off()
        return _svg(figure, name, about)


def _svg(figure: Figure, name: str, about: str) -> str:
    """Write a figure as an `svg` element with a title, ids of its own and the page's colours."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The page's fonts draw the text: what the one that measures it lacks is of no account.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)  # it would hold for the whole page
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    head = f'<svg role="img" aria-labelledby="{name}-title"'
    return text.replace("<svg", head, 1).replace(">", f'>\n <title id="{name}-title">{about}</title>', 1).strip()
