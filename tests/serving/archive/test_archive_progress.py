"""How far a run is: in a line a reader understands, and by figures that add up."""

from dataclasses import replace
from pathlib import Path

import pytest

from model.artifact import Artifact
from serving.archive import ArchiveOptions, score_archive
from serving.archive.meter import Snapshot
from serving.progress import ProgressDisplay, line
from tests.serving.archive.kitchen import write_archive

COUNTS = {"documents": 1200, "sentences": 15000, "labelled": 10000, "deduplicated": 2500}


def test_a_line_says_documents_pace_share_repeated_and_time_left() -> None:
    snapshot = Snapshot(COUNTS, share=0.25, sentences_per_second=812.4, seconds_left=3720.0)
    assert line(snapshot) == (
        "25% · 1,200 documents · 15,000 sentences · 812 sentences/s · 25.0% repeated · 1 h 02 min left"
    )
    assert line(replace(snapshot, seconds_left=None)).endswith("time left unknown")
    assert line(replace(snapshot, seconds_left=61.0)).endswith("1 min 01 s left")


def test_lines_are_plain_and_rare_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("serving.progress.time.monotonic", lambda: now[0])
    snapshot = Snapshot(COUNTS, share=0.25, sentences_per_second=812.4, seconds_left=60.0)
    for quiet in (False, True):
        with ProgressDisplay(quiet) as display:
            for _ in range(25):  # one a second
                now[0] += 1.0
                display.show(snapshot)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{line(snapshot)}\n" * 2


def test_the_share_grows_to_the_whole_and_the_figures_add_up(tmp_path: Path, tiny_artifact: Artifact) -> None:
    options = ArchiveOptions(model=tiny_artifact.folder, shard_size=5, workers=None)
    seen: list[Snapshot] = []
    score_archive(write_archive(tmp_path / "archive", 24), tmp_path / "out", options, seen.append)
    shares = [snapshot.share for snapshot in seen]
    assert shares == sorted(shares)
    assert shares[0] < 0.2
    # Within a file the share is an estimate by the characters of its records, which are short here beside their
    # fields' names.
    assert 0.7 < shares[-1] <= 1.0
    counts = seen[-1].counts
    assert counts["read"] == counts["documents"] + counts["rejected"]
    assert counts["sentences"] == counts["labelled"] + counts["skipped"] + counts["errors"]
    assert counts["labelled"] == counts["inferred"] + counts["deduplicated"]
