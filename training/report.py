"""The report of an evaluation: one page that opens without a network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training.plots import interval_plot, reliability_plot, risk_coverage_plot

TEMPLATE = "report.html.j2"
# Figures of an axis that have a row of their own in the first table.
FIGURES = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "span_f1": "span F1, exact",
    "labelled_span_f1": "span F1, exact with label",
    "overlap_f1": "span F1, overlapping",
}


def render_report(everything: Mapping[str, Any]) -> str:
    """Render what metrics.json holds as a page; every text in it is escaped."""
    axes = {name: everything[name] for name in everything["confusion"]}
    headlines = [
        {
            "axis": name,
            "title": title,
            "value": metrics[key],
            "interval": metrics[f"{key}_interval"],
            "beside": [other.get(name, {}).get(key) for other in everything.get("baselines", {}).values()],
            "annotated": metrics["annotated"],
            "abstained": metrics["abstained"],
        }
        for name, metrics in axes.items()
        for key, title in FIGURES.items()
        if key in metrics
    ]
    calibration = everything["calibration"]
    rows = [(f"{row['axis']}: {row['title']}", row["value"], row["interval"]) for row in headlines]
    plots = {"intervals": interval_plot(rows, "intervals")}
    if calibration:
        plots["reliability"] = reliability_plot(calibration, "reliability")
        plots["risk"] = risk_coverage_plot(calibration, "risk")
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": _figure, "interval": _interval, "marked": _marked}
    return environment.get_template(TEMPLATE).render(
        everything=everything,
        axes=axes,
        headlines=headlines,
        plots={name: Markup(svg) for name, svg in plots.items()},
    )


def _figure(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else f"{value:{form}}"


def _interval(bounds: Sequence[float] | None, form: str = ".3f") -> str:
    return "–" if bounds is None else " to ".join(f"{bound:{form}}" for bound in bounds)


def _marked(mistake: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Cut a sentence into pieces, and tell which of them its words mark."""
    text: str = mistake["text"]
    held = {n for words in mistake["words"] for n in range(words["start"], words["end"])}
    edges = [0, *(n for n in range(1, len(text)) if (n in held) != (n - 1 in held)), len(text)]
    return [(text[first:last], first in held) for first, last in zip(edges, edges[1:], strict=False)]
