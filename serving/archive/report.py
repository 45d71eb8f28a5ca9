"""The report of a run: one page that opens without a network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from markupsafe import Markup

from model.codebook import Axis, Codebook, parse_codebook
from model.jsonl import read_file
from model.weights import MANIFEST, RELEASE
from serving.archive.copies import THRESHOLD
from serving.archive.errors import ArchiveError
from serving.archive.examples import LabelExamples, example_columns, find_examples
from serving.archive.figures import CopyFlags, Figures, Row, batches, count_documents, parts_of
from serving.archive.plots import Series, outlet_plot, time_plot
from serving.archive.rates import CELLS, RESAMPLES, Measure, Rate
from serving.archive.tables import DOCUMENTS, MANIFEST_FILE, REJECTS_FILE, SENTENCES

TEMPLATE = "report.html.j2"
REPORT_FILE = "report.html"
NONE = "–"
_REJECTS_SHOWN = 10


@dataclass(frozen=True)
class Panel:
    """What the page shows of one label.

    Attributes:
        column: The place of its rate in every row.
        definition: Of the codebook.
    """

    measure: Measure
    column: int
    definition: str
    by_outlet: Markup
    over_time: Markup | None


@dataclass(frozen=True)
class Part:
    """The panels of one axis.

    Attributes:
        of_mentions: Whether its rates are shares of mentions, or of labelled sentences.
        unsure: Share of labelled sentences on which the model is not sure of the axis; None of a derived axis.
    """

    name: str
    question: str
    of_mentions: bool
    unsure: float | None
    panels: Sequence[Panel]


def write_report(folder: Path, to: Path | None = None) -> Path:
    """Write the page of a finished run.

    Args:
        folder: The folder that `newsframe score` wrote.
        to: Where to write it; None puts `report.html` into the folder.

    Raises:
        ArchiveError: The folder holds no finished run.
    """
    page = render_report(folder)
    path = to or folder / REPORT_FILE
    try:
        beside = path.with_name(f".{path.name}.writing")
        beside.write_text(page, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ArchiveError(
            f"{path}: expected a place for a file, but found {error.strerror or error}. Choose another."
        ) from None
    return path


def render_report(folder: Path) -> str:
    """Render the page of a finished run; every text in it is escaped. See `write_report`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    manifest = _manifest(folder)
    codebook, model, documents = _metadata(folder)
    flags = CopyFlags(folder, documents)
    figures = count_documents(folder, codebook, flags)
    sentences = parts_of(folder, SENTENCES)
    examples = find_examples(batches(sentences, example_columns(codebook)), codebook, flags.is_copy)
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    pages.filters |= {
        "share": _share,
        "bounds": _bounds,
        "number": _number,
        "row_name": lambda row: row_name(row, figures),
    }
    return pages.get_template(TEMPLATE).render(
        manifest=manifest,
        model=model,
        codebook=codebook,
        figures=figures,
        rows=outlet_rows(figures),
        parts=_parts(figures, codebook),
        examples=_by_axis(examples) if sentences else None,
        rejects=list(islice(_rejects(folder), _REJECTS_SHOWN)),
        rejected=sum(1 for _ in _rejects(folder)),
        errors_of_model=_known_errors(model, codebook),
        threshold=THRESHOLD,
        resamples=RESAMPLES,
        cells=CELLS,
    )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    try:
        found = json.loads(path.read_bytes())
    except OSError:
        raise ArchiveError(
            f"{path}: expected the manifest of a finished run, but found none. Run `newsframe score` to its end."
        ) from None
    except ValueError:
        raise ArchiveError(f"{path}: expected JSON, but found other content. Run `newsframe score` again.") from None
    if not isinstance(found, dict):
        raise ArchiveError(f"{path}: expected a JSON object, but found another value. Run `newsframe score` again.")
    return found


def _metadata(folder: Path) -> tuple[Codebook, dict[str, Any], int]:
    """Codebook and model of a run, which every part carries, and how many documents there are."""
    import pyarrow.parquet as parquet

    parts = parts_of(folder, DOCUMENTS)
    if not parts:
        raise ArchiveError(
            f"{folder / DOCUMENTS}: expected at least one document, but found none. Score an archive that has some."
        )
    metadata = parquet.read_schema(parts[0]).metadata or {}
    if not {b"codebook", b"model"} <= set(metadata):
        raise ArchiveError(
            f"{parts[0]}: expected a table that names its model and codebook, but found another. Name the folder that "
            "`newsframe score` wrote."
        )
    codebook = parse_codebook(metadata[b"codebook"].decode(), str(parts[0]))
    return codebook, json.loads(metadata[b"model"]), sum(parquet.read_metadata(part).num_rows for part in parts)


def _parts(figures: Figures, codebook: Codebook) -> list[Part]:
    parts: dict[str, list[Panel]] = {}
    names = figures.period_names
    for column, measure in enumerate(figures.measures):
        axis = _axis(codebook, measure.axis)
        label = next(label for label in axis.labels if label.name == measure.label)
        about = f"{measure.axis}, {measure.label}: rate by outlet with its 95 % interval."
        by_outlet = outlet_plot(
            [_series(row, column, figures) for row in outlet_rows(figures)], f"outlets-{column}", about
        )
        periods = [_series(row, column, figures) if row else None for row in figures.periods]
        about = (
            f"{measure.axis}, {measure.label}: rate by {figures.unit} with its 95 % interval, above bars of documents."
        )
        over_time = time_plot(periods, names, f"time-{column}", about) if len(names) > 1 else None
        panel = Panel(measure, column, label.definition, by_outlet, over_time)
        parts.setdefault(measure.axis, []).append(panel)
    return [_part(name, panels, figures, codebook) for name, panels in parts.items()]


def _part(name: str, panels: Sequence[Panel], figures: Figures, codebook: Codebook) -> Part:
    axis = _axis(codebook, name)
    labelled = figures.counts["labelled"]
    unsure = figures.abstained[name] / labelled if labelled and axis.name == name else None
    return Part(name, axis.question, panels[0].measure.of_mentions, unsure, panels)


def _axis(codebook: Codebook, name: str) -> Axis:
    """The axis of a name, which may be the one that is derived from it."""
    return next(axis for axis in codebook.axes if name in (axis.name, axis.summary))


def _series(row: Row, column: int, figures: Figures) -> Series:
    without = row.without[column] if row.without else None
    return Series(row_name(row, figures), row.rates[column], without, row.documents)


def outlet_rows(figures: Figures) -> list[Row]:
    """The rows by outlet: everything first, where there is more than one outlet, and those not listed last."""
    rows = [*figures.outlets, *([figures.rest] if figures.rest else [])]
    return [figures.everything, *rows] if len(rows) > 1 else rows


def row_name(row: Row, figures: Figures) -> str:
    """What a row is called: everything, an outlet without a name, and those taken together have names too."""
    if row is figures.everything:
        return "all"
    if row is figures.rest:
        return f"{figures.rest_outlets} other outlets"
    return row.name or "no outlet given"


def _by_axis(examples: Sequence[LabelExamples]) -> dict[str, list[LabelExamples]]:
    found: dict[str, list[LabelExamples]] = {}
    for example in examples:
        found.setdefault(example.axis, []).append(example)
    return found


def _rejects(folder: Path) -> Any:
    path = folder / REJECTS_FILE
    if path.is_file():
        yield from (line.record for line in read_file(path) if line.record is not None)


def _known_errors(model: Mapping[str, Any], codebook: Codebook) -> dict[str, Any] | None:
    """What the model card of the shipped weights says of each label, if this run's model is of that name and version.

    Returns:
        `parts`: the names of the evaluations; `rows`: of each label its axis, name and figures, a part.
    """
    path = RELEASE / MANIFEST
    if not path.is_file():
        return None
    release = json.loads(path.read_bytes())
    same = all(release.get(key) == model[key] for key in ("name", "version"))
    if not same or release["codebook"]["sha256"] != codebook.sha256:
        return None
    metrics = {part: found for part, found in release["metrics"].items() if part != "dev"}  # dev chose the weights
    first = next(iter(metrics.values()))
    rows = [
        {"axis": axis, "label": label, "parts": [metrics[part][axis]["labels"][label] for part in metrics]}
        for axis, found in first.items()
        if isinstance(found, dict)
        for label in found.get("labels", {})
    ]
    return {"parts": list(metrics), "rows": rows}


def _share(value: float | None, digits: int = 1) -> str:
    """A share as a percentage, or a dash where there is none."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"


def _bounds(rate: Rate, digits: int = 1) -> str:
    """The interval of a rate, or a dash where there is none."""
    return NONE if rate.interval is None else " to ".join(f"{100 * bound:.{digits}f}" for bound in rate.interval)


def _number(value: float) -> str:
    """A count, its thousands apart."""
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
