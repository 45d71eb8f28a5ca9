"""The benchmark of scoring an archive: what it makes, what it measures, and that it runs."""

import json
import re
import sys
from pathlib import Path

import pytest

from model.errors import RecordError
from serving.benchmarks.archive_speed import Sized, main, size_table
from serving.benchmarks.made_archive import Maker, read_articles, write_documents, write_sentences
from serving.benchmarks.processes import Run, run_measured

ARTICLES = [
    [f"The cook of {town} said on Monday that {n} guests ate {dish}." for n in range(3, 9)]
    for town, dish in (("Old Mill", "beef"), ("Riverside", "kale"), ("Stone Bridge", "bread"))
]


def texts(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_made_archive_repeats_itself_as_much_as_it_says(tmp_path: Path) -> None:
    made = write_documents(Maker(ARTICLES, copies=0.2, standing=0.05), 3000, tmp_path / "made.jsonl")
    sentences = [sentence for text in texts(tmp_path / "made.jsonl") for sentence in text.split("\n\n")]
    assert len(sentences) == made.sentences == 3000
    assert len(set(sentences)) == made.distinct
    # A copy repeats about 0.9 of its sentences (with 0.3 it loses one of six, with 0.3 it changes one); standing
    # sentences are 0.05 of all, and repeat all but 50 of them.
    assert made.repeated == pytest.approx(0.2 * 0.95 + 0.05, abs=0.04)
    assert made.copies / made.documents == pytest.approx(0.2, abs=0.04)


def test_sentences_to_compare_on_are_all_different(tmp_path: Path) -> None:
    write_sentences(Maker(ARTICLES, 0, 0), 2000, tmp_path / "slice.jsonl")
    found = texts(tmp_path / "slice.jsonl")
    assert len(found) == len(set(found)) == 2000


def test_the_same_seed_makes_the_same_archive(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_documents(Maker(ARTICLES, 0.2, 0.05), 500, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_archive_without_documents_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text('{"id": "1"}\n')
    with pytest.raises(RecordError) as refusal:
        read_articles(tmp_path / "empty.jsonl")
    assert str(refusal.value) == (
        f"{tmp_path}/empty.jsonl: expected documents, but found none. Name a JSON Lines file with some."
    )


def test_memory_is_that_of_the_whole_process_tree() -> None:
    hold = "import time; held = b'x' * 80_000_000; time.sleep(1.5)"
    alone = run_measured([sys.executable, "-c", hold])
    started = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {hold!r}]); print('done')"
    with_child = run_measured([sys.executable, "-c", started])
    assert alone.peak > 80_000_000
    assert with_child.peak > alone.peak
    assert with_child.output == "done\n"


def test_a_command_that_fails_tells_what_it_said() -> None:
    with pytest.raises(RuntimeError, match=r"expected exit code 0, but found 3\.\nno luck"):
        run_measured([sys.executable, "-c", "import sys; sys.stderr.write('no luck'); sys.exit(3)"])


def test_memory_of_the_largest_archive_is_told_as_a_multiple_of_the_smallests() -> None:
    counts = {"sentences": 1000, "documents": 90, "labelled": 980, "deduplicated": 98}
    sized = [
        Sized(Run(seconds, peak, ""), counts, {"copies": 8}, 0.11, 9)
        for seconds, peak in ((4, 500_000_000), (9, 525_000_000))
    ]
    *_, first, _, _, last = size_table(sized)
    assert first == "| 1,000 | 90 | 4.0 | 245 | 11.0% | 10.0% | 9 | 8 | 500 |"
    assert last == "Peak memory of the largest over the smallest: 1.05"


def test_it_prints_its_tables(
    tmp_path: Path, tiny_release: Path, tiny_encoder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "articles.jsonl"
    archive.write_text("".join(json.dumps({"text": " ".join(article)}) + "\n" for article in ARTICLES))
    main([
        str(archive), "--sizes", "200", "--slice", "40", "--runs", "1", "--batches", "8",
        "--model", str(tiny_release), "--encoder", str(tiny_encoder), "--folder", str(tmp_path),
    ])  # fmt: skip
    printed = capsys.readouterr().out
    assert re.search(r"^\d+ cores, ", printed)
    assert re.search(
        r"^\| 200 \| \d+ \| [\d.]+ \| [\d,]+ \| [\d.]+% \| [\d.]+% \| \d+ \| \d+ \| [\d,]+ \|$", printed, re.M
    )
    assert re.search(r"^\| newsframe score \| [\d,]+ \| [\d,]+ \|  \|$", printed, re.M)
    assert re.search(r"^\| datasets\.map, pipeline, batches of 8 \| [\d,]+ \| [\d,]+ \| [\d.]+ \|$", printed, re.M)
    assert [path.name for path in tmp_path.iterdir()] == ["articles.jsonl"]
