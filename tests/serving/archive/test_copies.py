"""Wire copy: what counts as one, whatever the order, and what the table says of it."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from serving.archive import copy_groups
from serving.archive.copies import SHINGLE, THRESHOLD, CopySummary, assign_clusters, signature
from serving.archive.copy_groups import BAND, BANDS, HASHES
from serving.archive.errors import ArchiveError

WORDS = [f"w{n}" for n in range(5000)]


def article(seed: int, words: int = 120) -> str:
    """Words drawn at random: two of them share hardly a shingle."""
    return " ".join(random.Random(seed).choices(WORDS, k=words))


def edited(text: str, every: int) -> str:
    """A text with every so-manieth word changed."""
    return " ".join(f"{word}x" if n % every == 0 else word for n, word in enumerate(text.split(), 1))


def exact(one: str, other: str) -> float:
    """Jaccard similarity of the shingles, counted and not estimated."""
    a, b = (
        {tuple(words[n : n + SHINGLE]) for n in range(len(words) - SHINGLE + 1)}
        for words in (one.split(), other.split())
    )
    return len(a & b) / len(a | b)


def write_run(folder: Path, documents: Sequence[tuple[int, str, str | None]], parts: int = 2) -> Path:
    """Write documents (number, text, outlet) as the parts of a run."""
    (folder / "documents").mkdir(parents=True)
    each = -(-len(documents) // parts)
    for part in range(parts):
        some = documents[part * each : (part + 1) * each]
        table = pa.table(
            {
                "number": pa.array([number for number, _, _ in some], pa.int64()),
                "id": pa.array([f"d{number}" for number, _, _ in some], pa.string()),
                "outlet": pa.array([outlet for _, _, outlet in some], pa.string()),
                "signature": pa.array([signature(text) or None for _, text, _ in some], pa.binary()),
            }
        )
        parquet.write_table(table, folder / "documents" / f"part-{part}.parquet")
    return folder


def rows_of(folder: Path) -> dict[int, dict[str, Any]]:
    return {row["number"]: row for row in parquet.read_table(folder / "copies.parquet").to_pylist()}


# ---- Signatures ----


def test_a_signature_has_the_size_that_it_says() -> None:
    assert len(signature(article(1))) == 2 * HASHES
    assert len(signature("One.")) == 2 * HASHES
    assert HASHES == BANDS * BAND


def test_a_text_without_words_has_no_signature() -> None:
    assert signature("") == signature(" \n… — !") == b""


def test_capitals_punctuation_and_spacing_do_not_count() -> None:
    assert signature("“The ministers met,” he said.") == signature("the  ministers MET he\nsaid")


def test_a_signature_is_the_same_on_every_machine() -> None:
    # Runs are continued by other versions and on other machines: these numbers must never change.
    found = np.frombuffer(signature("The ministers of both countries met in Moscow."), dtype="<u2")
    assert found[:4].tolist() == [42394, 40113, 57713, 18978]


@pytest.mark.parametrize("every", [60, 20, 10])
def test_equal_hashes_estimate_the_similarity(every: int) -> None:
    one = article(1, 600)
    other = edited(one, every)
    a, b = (np.frombuffer(signature(text), dtype="<u2") for text in (one, other))
    # the standard deviation is at most sqrt(0.25 / 256) = 0.031; four of them
    assert (a == b).mean() == pytest.approx(exact(one, other), abs=0.125)


# ---- Clusters ----


def test_a_lightly_edited_copy_is_found_and_a_story_of_its_own_is_not(tmp_path: Path) -> None:
    wire, other = article(1), article(2)
    copy = edited(wire, 30)  # 4 words of 120 changed: 12 of 118 shingles lost on either side, 106 / 130 = 0.82
    write_run(tmp_path, [(0, wire, "agency"), (1, other, "daily"), (2, copy, "daily"), (3, wire, "agency")])
    summary = assign_clusters(tmp_path)
    assert summary == CopySummary(4, 4, 1, 2, 1, THRESHOLD)
    rows = rows_of(tmp_path)
    assert [rows[n]["cluster"] for n in range(4)] == [0, 1, 0, 0]
    assert [rows[n]["is_copy"] for n in range(4)] == [False, False, True, True]
    assert [rows[n]["other_outlet"] for n in range(4)] == [False, False, True, False]
    assert [rows[n]["size"] for n in range(4)] == [3, 1, 3, 3]
    assert [rows[n]["outlets"] for n in range(4)] == [2, 1, 2, 2]
    assert [rows[n]["similarity"] for n in (0, 1, 3)] == [1, 1, 1]
    assert rows[2]["similarity"] == pytest.approx(106 / 130, abs=0.1)
    assert [rows[n]["id"] for n in range(4)] == ["d0", "d1", "d2", "d3"]


def test_documents_without_words_are_no_copies_of_each_other(tmp_path: Path) -> None:
    summary = assign_clusters(write_run(tmp_path, [(0, "", "a"), (1, "", "a"), (2, article(1), "a")]))
    assert (summary.documents, summary.judged, summary.copies) == (3, 1, 0)
    assert [row["similarity"] for row in rows_of(tmp_path).values()] == [None, None, 1]


def test_a_copy_of_a_copy_that_resembles_no_first_one_stands_for_itself(tmp_path: Path) -> None:
    # A story that is rewritten from day to day: its end shares nothing with its beginning.
    first = article(1, 300)
    then = " ".join(first.split()[90:]) + " " + article(2, 90)
    last = " ".join(then.split()[150:]) + " " + article(3, 150)
    assert exact(first, then) > 0.5 > 0.25 > exact(first, last)
    write_run(tmp_path, [(0, first, "a"), (1, then, "a"), (2, last, "a")])
    assign_clusters(tmp_path)
    assert [row["cluster"] for row in rows_of(tmp_path).values()] == [0, 0, 2]


def archive(stories: int) -> list[tuple[str, str]]:
    """Stories and edited copies of them in several outlets, in a random order."""
    made = [(article(n), "agency") for n in range(stories)]
    made += [(edited(article(n), every), f"daily {every}") for n in range(stories) for every in (7, 15, 40) if n % 3]
    made += [(article(n), "evening") for n in range(0, stories, 5)]
    random.Random(9).shuffle(made)
    return made


def by_comparing_all(signatures: list[Any], numbers: Sequence[int]) -> dict[int, int]:
    """The same rule, without bands on disk, groups or shortcuts."""
    firsts: dict[int, Any] = {}
    found: dict[int, int] = {}
    seen: dict[bytes, int] = {}
    for place in np.argsort(numbers):
        number, mine = numbers[place], np.frombuffer(signatures[place], dtype="<u2")
        if signatures[place] in seen:
            found[number] = seen[signatures[place]]
            continue
        alike = {n: other == mine for n, other in firsts.items()}
        alike = {n: same.mean() for n, same in alike.items() if same.reshape(-1, BAND).all(axis=1).any()}
        best = max(alike, key=lambda n: (alike[n], -n), default=None)
        if best is None or alike[best] < THRESHOLD:
            firsts[number] = mine
            best = number
        found[number] = seen[signatures[place]] = best
    return found


@pytest.mark.parametrize("bucket", [2, 64])
@pytest.mark.parametrize("seed", [None, 1])
def test_the_shortcuts_find_what_comparing_all_finds(
    bucket: int, seed: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_groups, "_BUCKET", bucket)
    monkeypatch.setattr(copy_groups, "_COMPARED", 10)
    documents = archive(40)
    numbers = list(range(len(documents)))
    if seed is not None:  # parts may hold the run's documents in any order
        random.Random(seed).shuffle(numbers)
    write_run(tmp_path, [(n, text, outlet) for n, (text, outlet) in zip(numbers, documents, strict=True)], parts=3)
    summary = assign_clusters(tmp_path)
    expected = by_comparing_all([signature(text) for text, _ in documents], numbers)
    found = rows_of(tmp_path)
    assert {n: row["cluster"] for n, row in found.items()} == expected
    assert summary.copies == sum(n != cluster for n, cluster in expected.items()) > 50
    assert min(row["similarity"] for row in found.values()) >= THRESHOLD


def test_documents_that_come_later_change_nothing_of_what_was_said(tmp_path: Path) -> None:
    documents = [(n, text, outlet) for n, (text, outlet) in enumerate(archive(40))]
    assign_clusters(write_run(tmp_path / "before", documents[:60]))
    assign_clusters(write_run(tmp_path / "after", documents))
    before, after = rows_of(tmp_path / "before"), rows_of(tmp_path / "after")
    for number, row in before.items():
        assert {k: after[number][k] for k in ("cluster", "is_copy", "similarity")} == {
            k: row[k] for k in ("cluster", "is_copy", "similarity")
        }


def test_the_table_is_the_same_when_it_is_made_again_and_nothing_else_stays(tmp_path: Path) -> None:
    write_run(tmp_path, [(n, text, outlet) for n, (text, outlet) in enumerate(archive(20))])
    (tmp_path / ".copies.building").mkdir()  # as a run leaves it that was killed
    assign_clusters(tmp_path)
    once = (tmp_path / "copies.parquet").read_bytes()
    assign_clusters(tmp_path)
    assert (tmp_path / "copies.parquet").read_bytes() == once
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copies.parquet", "documents"]


def test_a_run_without_documents_has_no_copies(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    assert assign_clusters(tmp_path) == CopySummary(0, 0, 0, 0, 0, THRESHOLD)
    assert rows_of(tmp_path) == {}


def test_another_algorithm_of_the_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.archive.copies._ALGORITHM", 3)
    with pytest.raises(ArchiveError) as refusal:
        signature("One.")
    assert str(refusal.value) == ("rensa: expected version 3 of its algorithm, but found 2. Install rensa 0.5.")
