"""The report of an evaluation: one page that opens without a network."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from training.plots import interval_plot, reliability_plot, risk_coverage_plot
from training.templates import environment

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
    pages = environment(autoescape=True)
    pages.filters["marked"] = _marked
    return pages.get_template(TEMPLATE).render(
        everything=everything,
        axes=axes,
        headlines=headlines,
        plots={name: Markup(svg) for name, svg in plots.items()},
    )


def _marked(mistake: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """Cut a sentence into pieces, and tell which of them its words mark."""
    text: str = mistake["text"]
    held = {n for words in mistake["words"] for n in range(words["start"], words["end"])}
    edges = [0, *(n for n in range(1, len(text)) if (n in held) != (n - 1 in held)), len(text)]
    return [(text[first:last], first in held) for first, last in zip(edges, edges[1:], strict=False)]
