"""Turn annotations that carry their text into stand-off records, which the project may keep.

    python -m training.standoff ANNOTATIONS.jsonl --corpora DIR

A stand-off record holds no word of the corpus: `{"id", "article", "article_id", "at": [start, end], <axis>: …}`, where
mention and target axes are lists of [start, end, label] in the sentence.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from model.codebook import load_codebook
from model.jsonl import dumps, read_file
from training.sources import Source, article_name, clean, load_sources, read_documents

ROOT = Path(__file__).resolve().parent.parent


def standoff_record(record: dict[str, Any], document: str, source: Source, axes: dict[str, str]) -> dict[str, Any]:
    """Describe an annotated sentence by its place in its document.

    Raises:
        ValueError: The document does not hold the sentence.
    """
    at = document.index(record["text"])
    out: dict[str, Any] = {
        "id": record["id"],
        "article": article_name(source, record["doc"]),
        "article_id": record["doc"],
        "at": [at, at + len(record["text"])],
    }
    for name, kind in axes.items():
        if kind == "sentence":
            out[name] = record[name]
        else:
            spans = [[item["start"], item["end"], item["label"]] for item in record[name]]
            out[name] = drop_nested(spans) if kind == "mention" else spans
    return out


def drop_nested(spans: list[list[Any]]) -> list[list[Any]]:
    """Keep the longest of spans that overlap: a nested actor is not marked again."""
    kept: list[list[Any]] = []
    for span in sorted(spans, key=lambda s: s[0] - s[1]):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return sorted(kept)


def main() -> int:
    """Write one stand-off file for each corpus under data/annotations/."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations", type=Path)
    parser.add_argument("--corpora", type=Path, required=True)
    arguments = parser.parse_args()
    codebook = load_codebook(ROOT / "data/codebook.yaml")
    axes = {axis.name: axis.kind for axis in codebook.axes}
    records = [line.record for line in read_file(arguments.annotations) if line.record]
    for source in load_sources(ROOT / "data/sources.yaml"):
        if source.corpus is None or source.file is None:
            continue
        documents = read_documents(source, arguments.corpora / source.corpus / str(source.texts))
        lines = []
        for record in records:
            if record["corpus"] != source.corpus:
                continue
            if record["text"] != clean(record["text"], ()):
                print(f"{record['id']}: white space is not folded, left out", file=sys.stderr)
                continue
            lines.append(dumps(standoff_record(record, documents[record["doc"]], source, axes)))
        (ROOT / source.file).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / source.file).write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{source.file}: {len(lines)} records", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
