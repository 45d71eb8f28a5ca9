"""Labelled sentences for a reader at a terminal, with the words that made each label."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from model.codebook import Axis, Codebook
from model.predictions import ERROR

# Colours of a mention axis by the place of the label in the codebook; the plain label is dim.
_COLOURS = ("green", "red", "yellow", "magenta", "cyan", "blue", "bright_red", "bright_green")
_SURE = 0.75
_FILE_WIDTH = 120


class Terminal(Console):
    """Stdout, as tables are printed on it."""

    def __init__(self) -> None:
        # A pipe or a file has no width of its own; rich would take 80 columns, and cut the figures.
        super().__init__(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)

    def on_broken_pipe(self) -> None:
        """Leave a closed pipe to the command, which knows that it is no error."""
        raise BrokenPipeError


class SentenceTable:
    """Prints labelled sentences under one codebook."""

    def __init__(self, codebook: Codebook, console: Console) -> None:
        self.codebook = codebook
        self.console = console

    def print(self, title: str, sentences: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Print the sentences of one source: each with its text, a row an axis that holds something."""
        table = Table(title=escape(title), title_justify="left", box=None, show_header=False, pad_edge=False)
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for number, (text, record) in enumerate(sentences, 1):
            table.add_row(str(number), "", self._sentence(text, record))
            if record["status"] == ERROR:
                table.add_row("", "error", Text(str(record["error"]), style="bold red"))
                continue
            for axis in self.codebook.axes:
                if cell := self._cell(axis, record, text):
                    table.add_row("", axis.name, cell)
            if record["abstained"]:
                table.add_row("", "not sure", Text(", ".join(record["abstained"]), style="italic yellow"))
            table.add_row()
        self.console.print(table)

    def _sentence(self, text: str, record: Mapping[str, Any]) -> Text:
        shown = Text(text.replace("\n", " "), style="bold")
        axis = self.codebook.mention_axis
        if axis and record["status"] != ERROR:
            for mention in record[axis.name]:
                offset = record["start"]
                colour = self._colour(axis, mention["label"])
                shown.stylize(f"{colour} underline", mention["start"] - offset, mention["end"] - offset)
        return shown

    def _colour(self, axis: Axis, label: str) -> str:
        if label == axis.plain:
            return "bright_black"
        return _COLOURS[axis.label_names.index(label) % len(_COLOURS)]

    def _cell(self, axis: Axis, record: Mapping[str, Any], text: str) -> Text | None:
        parts: list[Text] = []
        if axis.kind == "mention":
            for mention in record[axis.name]:
                part = Text.assemble(
                    f"{mention['text']} ", (mention["label"], self._colour(axis, mention["label"])), _score(mention)
                )
                target_axis = self.codebook.target_axis
                if target_axis and (towards := mention.get(target_axis.name)):
                    part.append_text(Text.assemble(" (", towards["label"], _score(towards), ")"))
                parts.append(part)
        elif axis.kind == "sentence":
            for item in record[axis.name]:
                words = " … ".join(f"“{e['text']}”" for e in item["evidence"])
                parts.append(Text.assemble((item["label"], "bold"), _score(item), f" {words}"))
        else:
            for item in record["targets"]:
                parts.append(Text.assemble(f"{item['target']} ", (item["label"], "bold"), _score(item)))
        return Text(" · ").join(parts) if parts else None


def _score(item: Mapping[str, Any]) -> tuple[str, str]:
    return f" {item['score']:.2f}", "dim" if item["score"] >= _SURE else "yellow"


def metrics_table(results: Mapping[str, Any], beside: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """Print evaluation results: a row a label, and the F1 of other systems on the same sentences beside it."""
    counts = f"{results['sentences']} sentences of {results['articles']} articles"
    table = Table(title=counts, title_justify="left", box=None, pad_edge=False)
    for name in ("axis", "label"):
        table.add_column(name)
    for name in ("precision", "recall", "F1", "95 %", "gold", "not sure", *(f"F1 {other}" for other in beside)):
        table.add_column(name, justify="right")
    for axis, metrics in results.items():
        if not isinstance(metrics, Mapping):
            continue
        others = [other.get(axis, {}) for other in beside.values()]
        unsure = f"{metrics['abstained']}/{metrics['annotated']}"
        for label, row in metrics.get("labels", {}).items():
            table.add_row(
                axis, label, *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")), "", str(row["support"]), "",
                *(_number(other.get("labels", {}).get(label, {}).get("f1")) for other in others),
            )  # fmt: skip
        for key, title in (
            ("macro_f1", "macro-F1"), ("accuracy", "accuracy"), ("span_f1", "span F1, exact"),
            ("labelled_span_f1", "span F1, exact with label"), ("overlap_f1", "span F1, overlapping"),
        ):  # fmt: skip
            if key in metrics:
                support = str(metrics.get("support", metrics.get("targets", metrics["annotated"])))
                interval = _interval(metrics.get(f"{key}_interval"))
                cells = [axis, title, "", "", f"{metrics[key]:.3f}", interval, support, unsure]
                table.add_row(*cells, *(_number(other.get(key)) for other in others), style="bold")
    console.print(table)


def comparison_table(comparison: Mapping[str, Any] | None, console: Console) -> None:
    """Print a comparison of two systems, if there is one: a row an axis."""
    if comparison is None:
        return
    other = comparison["against"]
    title = escape(f"against {other['name']}, sha256 {other['sha256'][:12]}…")
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("axis")
    for name in ("this", "other", "difference", "95 %", "p"):
        table.add_column(name, justify="right")
    for axis, row in comparison["axes"].items():
        cells = (f"{row['ours']:.3f}", f"{row['theirs']:.3f}", f"{row['difference']:+.3f}")
        table.add_row(axis, *cells, _interval(row["interval"], "+.3f"), f"{row['p_value']:.4f}")
    console.print()
    console.print(table)


def _interval(bounds: Sequence[float] | None, form: str = ".3f") -> str:
    return "–" if bounds is None else " to ".join(f"{bound:{form}}" for bound in bounds)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
