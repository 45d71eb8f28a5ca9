"""Write the model card, and the generated parts of the data card, from what the release and the data say of themselves.

    python -m training.cards

Writes model/README.md whole, and in data/README.md what stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment
from markupsafe import Markup

from model.codebook import load_codebook
from model.errors import ConfigError, NewsframeError
from model.weights import CODEBOOK, MANIFEST, RELEASE
from training.scored_axes import ScoredAxis, scored_axes
from training.sources import TRANSFER, Source, load_sources
from training.templates import NONE, environment

ROOT = Path(__file__).resolve().parent.parent
MODEL_CARD, DATA_CARD = ROOT / "model/README.md", ROOT / "data/README.md"
SOURCES, AGREEMENT, ENCODERS = ROOT / "data/sources.yaml", ROOT / "data/agreement.yaml", ROOT / "data/encoders.yaml"
MODEL_TEMPLATE, DATA_TEMPLATE = "model_card.md.j2", "data_card.md.j2"

# What the parts of a manifest's metrics are; a part that is not here is named alone.
MEANING = {
    "dev": "unseen articles of the training sources, chosen and calibrated on",
    "test": "unseen articles of the training sources, kept for this report",
    "transfer": "sources that training never saw",
    "cross_validated": "each sentence labelled by a model that had not seen it",
}
_WEAKEST = 3
_MARKED = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def model_card(release: Path, encoder_licences: Mapping[str, str]) -> str:
    """Render the model card of a release.

    Args:
        encoder_licences: Licence of each known encoder, by the sha256 of its weights.
    """
    text = (release / MANIFEST).read_text(encoding="utf-8")
    manifest = json.loads(text)
    codebook = load_codebook(release / CODEBOOK)
    axes = scored_axes(codebook)
    rendered = _environment().get_template(MODEL_TEMPLATE).render(
        manifest=manifest,
        codebook=codebook,
        axes=axes,
        meaning=MEANING,
        intervals='_interval": [' in text,
        weakest={part: weakest_labels(found, axes) for part, found in manifest.get("metrics", {}).items()},
        credits=list(dict.fromkeys(entry["credit"] for entry in manifest["data"]["sources"] if entry.get("credit"))),
        encoder_licence=manifest["encoder"].get("licence") or encoder_licences.get(manifest["encoder"]["sha256"]),
        manifest_sha256=hashlib.sha256(text.encode()).hexdigest(),
        configuration="".join(f"    {key} = {json.dumps(value)}\n" for key, value in manifest["config"].items()),
        literal=Markup,
    )  # fmt: skip
    return _tidy(rendered)


def weakest_labels(metrics: Mapping[str, Any], axes: Sequence[ScoredAxis]) -> list[dict[str, Any]]:
    """The labels of lowest F1 in one part, the lowest first; labels that gold does not hold are left out."""
    rows = [
        {"axis": axis.name, "label": label, **row}
        for axis in axes
        for label, row in metrics.get(axis.name, {}).get("labels", {}).items()
        if row["support"]
    ]
    return sorted(rows, key=lambda row: float(row["f1"]))[:_WEAKEST]


def data_card(text: str, sources: Sequence[Source], manifest: Mapping[str, Any], agreement: Mapping[str, Any]) -> str:
    """Put the generated parts into the text of the data card.

    Args:
        agreement: What data/agreement.yaml holds.

    Raises:
        ConfigError: The markers are not those of the template, or agreement speaks of an unknown source.
    """
    names = [source.name for source in sources]
    spoken = {*(reading["source"] for reading in agreement["readings"]), *agreement["bias"]}
    if unknown := sorted(spoken - set(names)):
        raise ConfigError(
            f"{AGREEMENT.name}: expected sources of {sorted(names)}, but found {unknown}. Correct the names."
        )
    entries = {entry["name"]: entry for entry in manifest["data"]["sources"]}
    template = _environment().get_template(DATA_TEMPLATE)
    marked = [found[2] for found in _MARKED.finditer(text)]
    if sorted(marked) != sorted(template.blocks):
        raise ConfigError(
            f"data card: expected one pair of markers each for {sorted(template.blocks)}, but found {sorted(marked)}. "
            "Write <!-- generated: NAME --> and <!-- end --> around each part."
        )
    read = {reading["source"] for reading in agreement["readings"]}
    context = template.new_context(
        {
            "manifest": manifest,
            "agreement": agreement,
            "rows": [{"source": s, "entry": entries.get(s.name, {}), "part": part_of(s)} for s in sources],
            "figures": list(dict.fromkeys(name for reading in agreement["readings"] for name in reading["figures"])),
            "unread": [name for name in names if name not in read],
        }
    )

    def generated(found: re.Match[str]) -> str:
        return found[1] + _tidy("".join(template.blocks[found[2]](context))) + found[3]

    return _MARKED.sub(generated, text)


def part_of(source: Source) -> str:
    """What a source is used for, in words."""
    if source.role == TRANSFER:
        return "transfer: never trained on"
    if source.benchmark:
        return "benchmark: in no weights that are given away"
    if source.axis:
        return f"train ({source.axis} only), without articles of dev and test"
    return source.fixed_part or "train, dev, test by article"


def _environment() -> Environment:
    cards = environment(finalize=_markdown)
    cards.filters |= {"interval": _interval, "count": _count, "plain": _plain}
    return cards


def _markdown(value: object) -> str:
    """Any value as text in a Markdown table: markup is escaped, lines are joined; what is marked as such stays."""
    if isinstance(value, Markup):
        return str(value)
    return NONE if value is None else re.sub(r"([\\*|<>\[\]])", r"\\\1", str(value).replace("\n", " "))


def _interval(bounds: Sequence[float] | None) -> str:
    return "" if bounds is None else " (" + " to ".join(f"{bound:.3f}" for bound in bounds) + ")"


def _count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _plain(value: float | None) -> str:
    return NONE if value is None else f"{value:g}"


def _tidy(text: str) -> str:
    """At most one blank line in a row, none at the ends."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def read_yaml(path: Path) -> Any:
    """Read a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def cards() -> dict[Path, str]:
    """Both cards of the project as they should stand, by file."""
    manifest = json.loads((RELEASE / MANIFEST).read_text(encoding="utf-8"))
    held = DATA_CARD.read_text(encoding="utf-8")
    return {
        MODEL_CARD: model_card(RELEASE, read_yaml(ENCODERS)),
        DATA_CARD: data_card(held, load_sources(SOURCES), manifest, read_yaml(AGREEMENT)),
    }


def main() -> int:
    """Write the cards."""
    try:
        for path, text in cards().items():
            path.write_text(text, encoding="utf-8")
            print(path)
    except NewsframeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
