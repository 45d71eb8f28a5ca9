"""Plots of rates as SVG that stands in a page: readable without colour, with the page's own colours, light or dark.

A filled mark with a solid line counts all documents, a hollow one with a dashed line leaves copies out. Each plot has
its own scale, from 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from markupsafe import Markup

from serving.archive.rates import Rate

_WIDTH, _NAMES, _RIGHT, _ROW, _TOP, _AXIS = 470, 150, 24, 22, 6, 26
_HEIGHT, _LEFT, _BARS = 170, 46, 34
_TICKS = 4
_LETTERS = 21  # of an outlet's name beside its row


@dataclass(frozen=True)
class Series:
    """Two rates of one row or period: of all documents, and without copies where that was counted."""

    name: str
    everything: Rate
    without: Rate | None
    documents: int


def outlet_plot(rows: Sequence[Series], name: str, about: str) -> Markup:
    """Draw rates with their intervals, one row below the other.

    Args:
        name: Of the plot; no other on the page may have it.
        about: Its title, for those who do not see it.
    """
    top, step = _scale(rows)
    height = _TOP + _ROW * len(rows) + _AXIS
    base = _TOP + _ROW * len(rows)

    def x(value: float) -> float:
        return _NAMES + value / top * (_WIDTH - _NAMES - _RIGHT)

    parts = [_line(x(tick), _TOP, x(tick), base, "grid-line") for tick in _ticks(top, step)]
    parts += [_text(x(tick), base + 16, _percent(tick, step), "middle") for tick in _ticks(top, step)]
    for n, row in enumerate(rows):
        middle = _TOP + _ROW * (n + 0.5)
        short = row.name if len(row.name) <= _LETTERS else row.name[: _LETTERS - 1] + "…"
        parts.append(Markup("<g><title>{}</title>{}</g>").format(row.name, _text(_NAMES - 8, middle + 4, short, "end")))
        marks = [(row.everything, middle - (4 if row.without else 0), False)]
        marks += [(row.without, middle + 4, True)] if row.without else []
        for rate, y, hollow in marks:
            if rate.interval:
                parts.append(_line(x(rate.interval[0]), y, x(rate.interval[1]), y, "dashed" if hollow else "solid"))
            if rate.value is not None:
                parts.append(_dot(x(rate.value), y, hollow))
    return _svg(parts, _WIDTH, height, name, about)


def time_plot(periods: Sequence[Series | None], names: Sequence[str], name: str, about: str) -> Markup:
    """Draw rates over time, above bars of how many documents each period has.

    Args:
        periods: In order, without a gap; None where there is no document, and then the line breaks.
        names: Of all periods.
        name: Of the plot; no other on the page may have it.
        about: Its title, for those who do not see it.
    """
    known = [row for row in periods if row]
    top, step = _scale(known)
    most = max((row.documents for row in known), default=1)
    base = _HEIGHT - _AXIS - _BARS
    width = (_WIDTH - _LEFT - _RIGHT) / max(1, len(periods))

    def x(n: int) -> float:
        return _LEFT + width * (n + 0.5)

    def y(value: float) -> float:
        return base - value / top * (base - _TOP - 6)

    parts = [_line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid-line") for tick in _ticks(top, step)]
    parts += [_text(_LEFT - 6, y(tick) + 4, _percent(tick, step), "end") for tick in _ticks(top, step)]
    every = ceil(len(names) * 62 / (_WIDTH - _LEFT - _RIGHT)) if names else 1
    parts += [_text(x(n), _HEIGHT - 8, names[n], "middle") for n in range(0, len(names), every)]
    for hollow in (False, True):
        rates = [(row.without if hollow else row.everything) if row else None for row in periods]
        shift = min(3.0, width / 6) * (1 if hollow else -1) if any(row.without for row in known) else 0.0
        before = None
        for n, rate in enumerate(rates):
            here = None
            if rate and rate.value is not None:
                here = (x(n) + shift, y(rate.value))
                if before:
                    parts.append(_line(*before, *here, "dashed" if hollow else "solid"))
                if rate.interval:
                    low, high = (y(bound) for bound in rate.interval)
                    parts.append(_line(here[0], low, here[0], high, "thin"))
                parts.append(_dot(*here, hollow))
            before = here
    bottom = _HEIGHT - _AXIS + 4
    for n, row in enumerate(periods):
        if row:
            tall = max(1.0, row.documents / most * (_BARS - 12))
            parts.append(
                Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" class="bar"/>').format(
                    x(n) - width * 0.35, bottom - tall, width * 0.7, tall
                )
            )
    return _svg(parts, _WIDTH, _HEIGHT, name, about)


def _scale(rows: Sequence[Series]) -> tuple[float, float]:
    """The end of an axis that starts at 0 and the distance of its ticks."""
    rates = [rate for row in rows for rate in (row.everything, row.without) if rate]
    values = [rate.value for rate in rates if rate.value is not None]
    values += [rate.interval[1] for rate in rates if rate.interval]
    most = max(values, default=0) or 0.01
    raw = most / _TICKS
    size = 10.0 ** floor(log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    return step * ceil(most / step * 0.999), step


def _ticks(top: float, step: float) -> list[float]:
    return [n * step for n in range(round(top / step) + 1)]


def _percent(value: float, step: float) -> str:
    digits = max(0, -floor(log10(step * 100) + 1e-9) + (1 if f"{step:e}".startswith("2.5") else 0))
    return f"{100 * value:.{digits}f} %"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, kind)


def _dot(x: float, y: float, hollow: bool) -> Markup:
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" class="{}"/>').format(x, y, "hollow" if hollow else "full")


def _text(x: float, y: float, words: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)


def _svg(parts: Sequence[Markup], width: int, height: float, name: str, about: str) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {:.0f}" width="{}" height="{:.0f}" role="img" aria-labelledby="{}">')
    title = Markup('<title id="{}">{}</title>').format(name, about)
    parts = [head.format(width, height, width, height, name), title, *parts]
    return Markup("").join(parts) + Markup("</svg>")
