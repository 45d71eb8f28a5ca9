"""Repeated sentences: what is remembered hangs on the order of the sentences, and on nothing else."""

from pathlib import Path

import numpy as np
import pytest

from serving.archive.repeats import Repeats, key_of


def take(repeats: Repeats, shard: int, text: str) -> list[int]:
    """Look up sentences, one a letter, and store the new ones; the number of each one's prediction."""
    keys = [key_of(letter) for letter in text]
    found = repeats.lookup(keys)
    new = [text[n] for n in found.new]
    repeats.store(shard, found.first, [keys[n] for n in found.new], new, [letter.encode() for letter in new])
    return found.numbers.tolist()


def test_a_sentence_is_new_once(tmp_path: Path) -> None:
    repeats = Repeats(tmp_path / "s.sqlite", capacity=100)
    assert take(repeats, 0, "abca") == [0, 1, 2, 0]
    assert take(repeats, 1, "dab") == [3, 0, 1]
    assert repeats.fetch(np.array([0, 3])) == {0: ("a", b"a"), 3: ("d", b"d")}
    repeats.close()


def test_a_shard_sees_those_before_it_that_are_not_stored_so_far(tmp_path: Path) -> None:
    repeats = Repeats(tmp_path / "s.sqlite", capacity=100)
    assert repeats.lookup([key_of("a"), key_of("b")]).new == [0, 1]
    second = repeats.lookup([key_of("b"), key_of("c"), key_of("c")])
    assert (second.first, second.numbers.tolist(), second.new) == (2, [1, 2, 2], [1])
    repeats.close()


def test_what_was_inferred_long_ago_is_forgotten(tmp_path: Path) -> None:
    repeats = Repeats(tmp_path / "s.sqlite", capacity=2)
    assert take(repeats, 0, "abc") == [0, 1, 2]
    # Three were inferred before this shard: those from number 1 on are in reach, a is not.
    assert take(repeats, 1, "abc") == [3, 1, 2]
    repeats.forget(4)
    assert sorted(repeats.fetch(np.arange(10))) == [2, 3]
    repeats.close()


@pytest.mark.parametrize("capacity", [0, 1, 3, 100])
@pytest.mark.parametrize("broken_after", [1, 2, 3, 4])
def test_a_broken_run_finds_the_same_repeats(tmp_path: Path, capacity: int, broken_after: int) -> None:
    shards = ["abca", "dab", "ccbe", "aade", "fabc", "ed"]
    whole = Repeats(tmp_path / "whole.sqlite", capacity)
    expected, inferred = [], [0]
    for shard, text in enumerate(shards):
        expected.append(take(whole, shard, text))
        inferred.append(max(inferred[-1], *(n + 1 for n in expected[-1])))
        whole.forget(inferred[-1])
    whole.close()

    first = Repeats(tmp_path / "broken.sqlite", capacity)
    for shard in range(broken_after):
        take(first, shard, shards[shard])
        first.forget(inferred[shard + 1])
    take(first, broken_after, shards[broken_after])  # stored, but its shard was never committed
    first.close()
    second = Repeats(tmp_path / "broken.sqlite", capacity, inferred[broken_after])
    second.drop(broken_after)
    assert [take(second, n, shards[n]) for n in range(broken_after, len(shards))] == expected[broken_after:]
    second.close()


def test_other_targets_are_another_question() -> None:
    assert key_of("The lamb.") != key_of("The lamb.", [("lamb", 4, 8)])
    assert key_of("The lamb.", [("lamb", 4, 8)]) == key_of("The lamb.", [("lamb", 4, 8)])
