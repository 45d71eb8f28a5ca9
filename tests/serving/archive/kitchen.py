"""A made-up archive about cookery, for the tiny model, and what a run over it gives, for comparison."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.dataset as dataset

from model.jsonl import dumps

SENTENCES = (
    "First sear the beef hard.", "Then simmer the kale slowly.", "Serve with bread at once.",
    "The lamb was delicious.", "First simmer the rice slowly.", "The beef came with rice and kale.",
    "Stir the leek gently, then add the lamb.", "The bread held too much salt.",
)  # fmt: skip


def make_documents(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Articles of some sentences; many sentences occur again and again, and each article has one of its own."""
    rng = random.Random(seed)
    return [
        {
            "id": f"d{n}",
            "text": " ".join([*rng.choices(SENTENCES, k=rng.randint(1, 4)), f"Dish {n} needs {n + 3} leeks."]),
            "outlet": rng.choice(["spoon", "fork"]),
            "published_at": f"2020-01-{n % 28 + 1:02d}",
            "page": n,
        }
        for n in range(count)
    ]


def write_archive(folder: Path, count: int, files: int = 2, bad: bool = True) -> list[str]:
    """An archive of JSON Lines files with some bad lines; the names of its files."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = make_documents(count)
    paths = []
    for n in range(files):
        lines = [dumps(document) for document in documents[n::files]]
        if bad:
            lines[len(lines) // 2 : len(lines) // 2] = ["{no json", dumps({"id": "empty", "text": " "})]
        path = folder / f"part-{n}.jsonl"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        paths.append(str(path))
    return paths


def rows(out: Path, table: str = "sentences") -> list[dict[str, Any]]:
    """All rows of a table, in order."""
    found: list[dict[str, Any]] = dataset.dataset(out / table).to_table().to_pylist()
    return found


def content(out: Path) -> dict[str, Any]:
    """Everything that a run gives, but for its times: the bytes of every part, the rejects, the counts."""
    parts = {
        str(path.relative_to(out)): path.read_bytes()
        for folder in ("sentences", "documents", "items")
        for path in sorted((out / folder).glob("part-*"))
    }
    manifest = json.loads((out / "manifest.json").read_bytes())
    told = {name: manifest[name] for name in ("counts", "copies", "model", "options", "inputs", "shards")}
    # Other files, such as half-written ones, have no business in the folder.
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    names = [name for name in names if not name.startswith("state/sentences.sqlite-")]
    return {
        "parts": parts, "rejects": (out / "rejects.jsonl").read_text(), "names": names, **told,
        "copies.parquet": (out / "copies.parquet").read_bytes(),
    }  # fmt: skip


def json_lines(*paths: Path) -> list[dict[str, Any]]:
    """All records of some JSON Lines files."""
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
