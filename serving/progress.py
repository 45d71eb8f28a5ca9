"""How a run over an archive is shown: a moving line on a terminal, plain lines elsewhere, a table at the end."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from serving.table import Terminal

if TYPE_CHECKING:
    from serving.archive.meter import Snapshot
    from serving.archive.run import ArchiveResult

_EVERY = 10.0  # seconds between plain lines: a log of a night stays readable


class ProgressDisplay:
    """Shows on stderr how far a run is; leaves nothing behind on a terminal."""

    def __init__(self, quiet: bool = False) -> None:
        self._bar: Progress | None = None
        self._quiet = quiet
        self._said = time.monotonic()
        if not quiet and sys.stderr.isatty():
            self._bar = Progress(
                BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True), transient=True
            )  # fmt: skip
            self._task = self._bar.add_task("reading", total=1.0)

    def __enter__(self) -> "ProgressDisplay":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, snapshot: "Snapshot") -> None:
        """Show the state of the run."""
        if self._bar:
            self._bar.update(self._task, completed=snapshot.share, description=line(snapshot))
        elif not self._quiet and time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            click.echo(line(snapshot), err=True)


def line(snapshot: "Snapshot") -> str:
    """The state of a run in one line."""
    counts = snapshot.counts
    left = "time left unknown" if snapshot.seconds_left is None else f"{_duration(snapshot.seconds_left)} left"
    return (
        f"{snapshot.share:.0%} · {counts['documents']:,} documents · {counts['sentences']:,} sentences · "
        f"{snapshot.sentences_per_second:,.0f} sentences/s · {snapshot.repeated:.1%} repeated · {left}"
    )


def print_summary(result: "ArchiveResult") -> None:
    """Print what a run came to, as a table."""
    counts, copies = result.counts, result.manifest["copies"]
    table = Table(title=escape(str(result.out)), title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    labelled = max(1, counts["labelled"])
    for name, count, remark in (
        ("records read", counts["read"], ""),
        ("documents", counts["documents"], ""),
        ("  copies of another", copies["copies"], f"{copies['copies'] / max(1, counts['documents']):.1%}"),
        ("rejected", counts["rejected"], "see rejects.jsonl" if counts["rejected"] else ""),
        ("sentences", counts["sentences"], ""),
        ("  labelled", counts["labelled"], ""),
        ("    repeated", counts["deduplicated"], f"{counts['deduplicated'] / labelled:.1%}"),
        ("    not sure", counts["abstained"], f"{counts['abstained'] / labelled:.1%}"),
        ("  other language", counts["skipped"], ""),
        ("  not readable", counts["errors"], ""),
    ):
        table.add_row(name, f"{count:,}", remark)
    rate = counts["sentences"] / max(1e-9, result.seconds)
    table.add_row("time", _duration(result.seconds), f"{rate:,.0f} sentences/s")
    Terminal().print(table)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
