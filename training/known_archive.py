"""What the known-groups check works on: its settings, and an archive with its sentences labelled."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from model.codebook import Axis, Codebook
from model.errors import ConfigError
from model.labeller import Labeller
from model.predictions import ERROR
from model.records import normalise
from training.group_rates import Measure
from training.sources import DEV, TEST, Source, article_name, document_id
from training.splits import article_part


@dataclass(frozen=True)
class KnownGroups:
    """data/known_groups.yaml.

    Attributes:
        source: Entry of data/sources.yaml whose archive is labelled.
        fewest_articles: An outlet with fewer has no place in an ordering.
        groups: What is meant by each group of outlets.
        outlets: `name`, `known` and perhaps `group` of each, by its spelling in the archive.
        measures: One for each label of the derived axis, then the contrasts.
        expectations: `of` (a measure), `order` (groups, highest rate first), `because`.
    """

    source: str
    outlet_field: str
    date_field: str
    date_format: str
    fewest_articles: int
    groups: Mapping[str, str]
    outlets: Mapping[str, Mapping[str, str]]
    measures: tuple[Measure, ...]
    expectations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class LabelledArticle:
    """An article of the archive with its labelled sentences; `words` are their normalised texts."""

    id: str
    outlet: str
    day: date | None
    held_out: bool
    records: list[dict[str, Any]]
    words: list[str]
    errors: int


def load_known_groups(path: Path, codebook: Codebook) -> KnownGroups:
    """Read data/known_groups.yaml.

    Raises:
        ConfigError: A field is unknown or missing, or names a label, measure or group that is not there.
    """
    axis = derived_axis(codebook)
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    _check_names(f"{path}: fields", data, {*KnownGroups.__dataclass_fields__, "contrasts"} - {"measures"}, exact=True)
    measures = [Measure(label, label) for label in axis.summary_labels]
    for contrast in data.pop("contrasts"):
        measures.append(Measure(contrast["name"], contrast["label"], tuple(contrast["among"])))
        _check_names(f"{path}: contrast '{contrast['name']}'", [contrast["label"]], contrast["among"])
        _check_names(f"{path}: contrast '{contrast['name']}'", contrast["among"], axis.label_names)
    for outlet, entry in data["outlets"].items():
        _check_names(f"{path}: outlet '{outlet}': group", [entry["group"]] if "group" in entry else [], data["groups"])
    for n, expected in enumerate(data["expectations"]):
        _check_names(f"{path}: expectations[{n}].of", [expected["of"]], [measure.name for measure in measures])
        _check_names(f"{path}: expectations[{n}].order", expected["order"], data["groups"])
    return KnownGroups(**{**data, "measures": tuple(measures), "expectations": tuple(data["expectations"])})


def derived_axis(codebook: Codebook) -> Axis:
    """The mention axis, if sentence-level labels are derived from it.

    Raises:
        ConfigError: There is none.
    """
    axis = codebook.mention_axis
    if axis is None or axis.summary is None:
        raise ConfigError(
            f"codebook {codebook.name}: expected a mention axis with a summary, but found none. "
            "Use a model with such a codebook."
        )
    return axis


def _check_names(where: str, found: Iterable[str], known: Iterable[str], exact: bool = False) -> None:
    found, known = set(found), set(known)
    if found - known or (exact and found != known):
        raise ConfigError(f"{where}: expected names of {sorted(known)}, but found {sorted(found)}. Correct the file.")


def read_archive(path: Path, source: Source, settings: KnownGroups) -> tuple[list[dict[str, Any]], int]:
    """Read the rows of the archive, the first of each id, and count those that repeat one.

    Raises:
        ConfigError: The archive is not there, or an outlet is not among the known.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: expected the archive, but found no such file. Name its folder with --corpora.")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    _check_names(f"{path}: outlets", (row[settings.outlet_field] for row in rows), settings.outlets)
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(document_id(source, row), row)
    return list(first.values()), len(rows) - len(first)


def label_archive(
    rows: Sequence[Mapping[str, Any]],
    labeller: Labeller,
    source: Source,
    settings: KnownGroups,
    config: Mapping[str, Any],
) -> list[LabelledArticle]:
    """Label the articles; `config` of the model says which of them it was not trained on."""
    documents = [{"id": document_id(source, row), "text": row[source.text_field]} for row in rows]
    articles = []
    for row, document in zip(rows, labeller.label_documents(documents), strict=True):
        found = document.get("sentences", [document])
        records = [record for record in found if record["status"] != ERROR]
        name = article_name(source, document["id"])
        text = row[source.text_field]
        articles.append(
            LabelledArticle(
                id=name,
                outlet=row[settings.outlet_field],
                day=_day(row.get(settings.date_field), settings.date_format),
                held_out=article_part(name, config["dev_share"], config["test_share"]) in (DEV, TEST),
                records=records,
                words=[normalise(text[record["start"] : record["end"]]) for record in records],
                errors=len(found) - len(records),
            )
        )
    return articles


def _day(text: object, form: str) -> date | None:
    try:
        return datetime.strptime(str(text), form).date()
    except ValueError:
        return None
