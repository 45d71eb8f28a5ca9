"""Known-groups check: label a whole archive, and see whether outlets differ as what is known of them lets expect.

    python -m training.known_groups --corpora DIR [--out DIR]

Outlets, contrasts and expectations are data: data/known_groups.yaml.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.artifact import find_artifact, load_artifact
from model.codebook import Axis
from model.encoder_files import sha256_of
from model.errors import NewsframeError
from model.labeller import Labeller
from model.records import normalise
from model.weights import RELEASE, load_release
from training.group_rates import Counts, check_order, count_outlet, join_outlets, rate_rows
from training.intervals import LEVEL, RESAMPLES, SEED
from training.known_archive import (
    KnownGroups,
    LabelledArticle,
    derived_axis,
    label_archive,
    load_known_groups,
    read_archive,
)
from training.sources import load_source, load_sources
from training.splits import split_sources

ROOT = Path(__file__).resolve().parent.parent
SOURCES, KNOWN_GROUPS = ROOT / "data/sources.yaml", ROOT / "data/known_groups.yaml"
RESULT, PAGE = "known_groups.json", "known_groups.html"
ALL, HELD_OUT = "all articles", "articles of dev and test alone"
# Shorter sentences recur by chance.
_COPIED_WORDS = 6


def measure_articles(
    articles: Sequence[LabelledArticle], settings: KnownGroups, axis: Axis, resamples: int, seed: int
) -> dict[str, Any]:
    """Rates by outlet and by group with intervals, orderings, and the expectations put to the test."""
    outlets: dict[str, Counts] = {}
    rows = {}
    for n, (outlet, entry) in enumerate(settings.outlets.items()):
        held = [article for article in articles if article.outlet == outlet]
        if not held:
            continue
        counts = np.array([[x for m in settings.measures for x in m.count(a.records, axis)] for a in held], dtype=float)
        outlets[outlet] = count_outlet(counts, resamples, seed + n)
        days = sorted(article.day for article in held if article.day)
        rows[outlet] = {
            "name": entry["name"],
            "group": entry.get("group"),
            "articles": len(held),
            "sentences": sum(len(article.records) for article in held),
            "first": str(days[0]) if days else None,
            "median": str(statistics.median_low(days)) if days else None,
            "last": str(days[-1]) if days else None,
            "rates": rate_rows(outlets[outlet], settings.measures),
        }
    groups = {}
    for group in settings.groups:
        if members := [counts for outlet, counts in outlets.items() if rows[outlet]["group"] == group]:
            groups[group] = join_outlets(members)
    names = [measure.name for measure in settings.measures]
    return {
        "articles": len(articles),
        "sentences": sum(len(article.records) for article in articles),
        "outlets": rows,
        "groups": {
            group: {"articles": counts.articles, "rates": rate_rows(counts, settings.measures)}
            for group, counts in groups.items()
        },
        "orderings": {name: _ordering(name, rows, settings.fewest_articles) for name in names},
        "expectations": [
            {**expected, "pairs": check_order(groups, expected["order"], names.index(expected["of"]))}
            for expected in settings.expectations
        ],
    }


def _ordering(measure: str, rows: Mapping[str, Mapping[str, Any]], fewest: int) -> list[str]:
    """Outlets from the highest rate to the lowest, those with too few articles left out."""
    rates = {o: row["rates"][measure]["rate"] for o, row in rows.items() if row["articles"] >= fewest}
    return sorted((o for o, rate in rates.items() if rate is not None), key=lambda o: -rates[o])


def seen_in_training(articles: Sequence[LabelledArticle], trained: set[str]) -> dict[str, int]:
    """How much of the archive was trained on; `trained` holds the normalised training sentences."""
    seen = [(article, sum(words in trained for words in article.words)) for article in articles]
    return {
        "sentences": sum(count for _, count in seen),
        "articles": sum(count > 0 for _, count in seen),
        "sentences_of_held_out": sum(count for article, count in seen if article.held_out),
    }


def copied_sentences(articles: Sequence[LabelledArticle]) -> int:
    """How many sentences stand, to the word, in articles of more than one outlet."""
    outlets: dict[str, set[str]] = {}
    for article in articles:
        for words in article.words:
            outlets.setdefault(words, set()).add(article.outlet)
    copied = {words for words, held in outlets.items() if len(held) > 1 and len(words.split()) >= _COPIED_WORDS}
    return sum(words in copied for article in articles for words in article.words)


def run_check(corpora: Path, release_folder: Path, resamples: int = RESAMPLES, seed: int = SEED) -> dict[str, Any]:
    """The whole check.

    Returns:
        What known_groups.json holds.

    Raises:
        NewsframeError: Model, archive or settings cannot be used.
    """
    release = load_release(release_folder)
    labeller = Labeller(load_artifact(find_artifact(release_folder)))
    settings = load_known_groups(KNOWN_GROUPS, labeller.codebook)
    loaded = [load_source(source, ROOT, corpora, labeller.codebook) for source in load_sources(SOURCES)]
    [own] = [item for item in loaded if item.source.name == settings.source]
    archive = corpora / str(own.source.corpus) / str(own.source.texts)
    rows, repeated = read_archive(archive, own.source, settings)
    config = release.manifest["config"]
    articles = label_archive(rows, labeller, own.source, settings, config)
    train = split_sources(loaded, config["dev_share"], config["test_share"]).train
    of_manifest = {entry["name"]: entry for entry in release.manifest["data"]["sources"]}.get(settings.source, {})
    axis = derived_axis(labeller.codebook)
    parts = {ALL: articles, HELD_OUT: [article for article in articles if article.held_out]}
    return {
        "model": labeller.model_info,
        "archive": {
            "source": own.source.name,
            "credit": own.source.credit,
            "licence": own.source.licence,
            "sha256": sha256_of(archive),
            "articles": len(articles),
            "repeated_rows": repeated,
            "sentences": sum(len(article.records) for article in articles),
            "errors": sum(article.errors for article in articles),
            "copied_sentences": copied_sentences(articles),
        },
        "training": {
            **seen_in_training(articles, {normalise(sentence.text) for sentence in train}),
            "annotated": len(own.gold),
            "annotated_by_manifest": of_manifest.get("sentences"),
            "same_annotations": own.sha256 == of_manifest.get("sha256"),
        },
        "measures": [{"name": m.name, "label": m.label, "among": list(m.among)} for m in settings.measures],
        "groups": dict(settings.groups),
        "known": {outlet: entry["known"] for outlet, entry in settings.outlets.items()},
        "fewest_articles": settings.fewest_articles,
        "parts": {part: measure_articles(held, settings, axis, resamples, seed) for part, held in parts.items()},
        "options": {"level": LEVEL, "resamples": resamples, "seed": seed},
    }


def main() -> int:
    """Run the check, write its page and its figures, and print what holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", type=Path, required=True, help="folder of the public corpora")
    parser.add_argument("--model", type=Path, default=RELEASE, help="trained weights (default: the shipped ones)")
    parser.add_argument("--out", type=Path, default=ROOT / "build/known_groups")
    arguments = parser.parse_args()
    from training.known_groups_page import render_page

    try:
        result = run_check(arguments.corpora, arguments.model)
    except NewsframeError as error:
        print(error, file=sys.stderr)
        return 1
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / RESULT).write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (arguments.out / PAGE).write_text(render_page(result), encoding="utf-8")
    for part, found in result["parts"].items():
        print(f"{part}: {found['articles']} articles, {found['sentences']} sentences")
        for expected in found["expectations"]:
            for pair in expected["pairs"]:
                shown = "" if pair["interval"] is None else " ({:+.3f} to {:+.3f})".format(*pair["interval"])
                print(f"  {pair['verdict']:14} {expected['of']}: {pair['higher']} over {pair['lower']}{shown}")
    print(f"page at {arguments.out / PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
