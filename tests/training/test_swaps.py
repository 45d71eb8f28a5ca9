"""Swapped names: other actors, the same annotation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.codebook import load_codebook
from model.names import COUNTRIES, PEOPLE, FoundName, NameList
from model.records import GoldSentence, LabelledSpan
from model.spans import Span
from training.project import CODEBOOK, NAMES, ROOT, UNLISTED_NAMES
from training.sources import load_source, load_sources
from training.swaps import NameSwapper

LISTED, UNLISTED = NameList(NAMES), NameList(UNLISTED_NAMES)
SWAPPER = NameSwapper(LISTED, LISTED)  # as tests rename; training takes names that are not listed
[AUTHORED] = [s for s in load_sources(ROOT / "data/sources.yaml") if s.name == "authored"]
SENTENCES = load_source(AUTHORED, ROOT, None, load_codebook(CODEBOOK)).gold


def swapped(text: str, *phrases: str, seed: int = 0, swapper: NameSwapper = SWAPPER) -> GoldSentence:
    spans = tuple(LabelledSpan(Span(text.index(p), text.index(p) + len(p)), "x") for p in phrases)
    return swapper(GoldSentence("1", text, spans, {}, spans, "a"), np.random.default_rng(seed))


def words(sentence: GoldSentence) -> list[str]:
    return [mention.span.of(sentence.text) for mention in sentence.mentions]


def names_in(text: str) -> list[FoundName]:
    return list(LISTED.find(text))


@pytest.fixture
def villages(tmp_path) -> NameSwapper:
    """Two villages and two people, so that every swap is known but for its direction."""
    path = tmp_path / "names.yaml"
    path.write_text(
        "countries:\n  - {name: Ull, adjective: Ullish}\n  - {name: Great Odd, adjective: Oddish}\n"
        "people:\n  - [Ann Ull, Ull-Ann]\n  - [Bo]\nkeep: [Ull Bank]\n"
    )
    return NameSwapper(NameList(path), NameList(path))


@pytest.mark.parametrize("seed", range(8))
def test_spans_follow_the_names_that_change_length(seed):
    text = "Turkish officials met Bashar al-Assad in Damascus, and Ankara denied it."
    sentence = swapped(text, "Turkish officials", "Bashar al-Assad", "Ankara", seed=seed)
    assert [found.form for found in names_in(sentence.text)] == [found.form for found in names_in(text)]
    country, person, capital = words(sentence)
    assert country.endswith(" officials")
    assert [found.kind for name in (person, capital) for found in names_in(name)] == [PEOPLE, COUNTRIES]
    assert [t.span for t in sentence.targets] == [m.span for m in sentence.mentions]


@pytest.mark.parametrize("seed", range(8))
def test_the_same_name_is_swapped_the_same_way_throughout(seed):
    text = "Assad spoke. Syria and Syrian troops back Bashar al-Assad; Damascus stands by Assad."
    found = names_in(swapped(text, seed=seed).text)
    assert len({(name.kind, name.row) for name in found}) == 2
    # Each form stays what it was: country, adjective, capital.
    assert [(name.kind, name.form) for name in found] == [(name.kind, name.form) for name in names_in(text)]


@pytest.mark.parametrize("seed", range(8))
def test_two_actors_never_become_one(seed):
    text = "Russia, Turkey, Syria and Iran met."
    assert len({found.row for found in names_in(swapped(text, seed=seed).text)}) == 4


def test_the_same_seed_gives_the_same_swap():
    text = "Russia and Turkey met Assad."
    assert swapped(text, seed=5) == swapped(text, seed=5)
    assert len({swapped(text, seed=seed).text for seed in range(10)}) > 5


def test_kept_phrases_stay():
    for phrase in LISTED.data["keep"]:
        text = f"In Syria the {phrase} waits."
        assert f"the {phrase} waits." in swapped(text, seed=len(phrase)).text


@pytest.mark.parametrize("seed", range(8))
def test_a_full_name_takes_the_place_of_a_full_name(seed):
    sentence = swapped("So Bashar al-Assad met Assad.", seed=seed, swapper=NameSwapper(LISTED, UNLISTED))
    full, short = sentence.text.removeprefix("So ").removesuffix(".").split(" met ")
    assert " " in full
    assert " " not in short
    assert short in full


def test_training_swaps_for_names_that_are_not_listed():
    swapper = NameSwapper(LISTED, UNLISTED)
    for seed in range(6):
        text = swapped("Hezbollah and Vladimir Putin in Syria.", seed=seed, swapper=swapper).text
        assert text.endswith(" in Syria.")
        assert [found.kind for found in names_in(text)] == [COUNTRIES]


def test_a_name_inside_a_longer_word_stays():
    for text in ("Chadwick", "Syriac", "Perusal"):
        assert swapped(text).text == text


def test_what_a_swap_does_to_a_small_set_of_names(villages):
    texts = {swapped("Ull and the Ull Bank, Ullish.", seed=n, swapper=villages).text for n in range(20)}
    assert texts == {"Ull and the Ull Bank, Ullish.", "Great Odd and the Ull Bank, Oddish."}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("part", ["Bashar", "Assad", "al-Assad", "Bashar al"])
def test_a_part_of_a_name_becomes_the_whole_new_name(part, seed):
    sentence = swapped("So Bashar al-Assad spoke.", part, seed=seed)
    assert words(sentence) == [sentence.text.removeprefix("So ").removesuffix(" spoke.")]


def test_a_sentence_without_annotation_of_mentions_stays_so():
    gold = GoldSentence("1", "Syria.", None, {"a": frozenset("b")}, None, "x", {"outlet": "y"})
    changed = SWAPPER(gold, np.random.default_rng(1))
    assert (changed.mentions, changed.targets, changed.labels, changed.extra) == (None, None, gold.labels, gold.extra)


def first_letter(phrase: str) -> str:
    """The class of the first character: upper or lower case, digit, or another sign."""
    letter = phrase[0]
    return "upper" if letter.isupper() else "lower" if letter.islower() else "digit" if letter.isdigit() else "sign"


# Names that begin with no capital may stand in for others ("al-Shabaab" or "444 Brigade" for "Hamas").
SMALL = tuple(
    name
    for kind in LISTED.rows.values()
    for row in kind
    for spellings in row.values()
    for name in spellings
    if not name[0].isupper()
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SENTENCES), st.integers(0, 2**32))
def test_every_mention_still_slices_to_words_of_its_class(sentence, seed):
    changed = SWAPPER(sentence, np.random.default_rng(seed))
    for spans, moved in ((sentence.mentions, changed.mentions), (sentence.targets, changed.targets)):
        assert [span.label for span in spans] == [span.label for span in moved]
        for before, after in zip(spans, moved, strict=True):
            old, new = before.span.of(sentence.text), after.span.of(changed.text)
            assert new
            assert new == new.strip()
            if not new.startswith(SMALL) and not old.startswith(SMALL):
                assert first_letter(new) == first_letter(old)
            # What stands around a name does not change.
            assert changed.text[after.span.end :][:1] == sentence.text[before.span.end :][:1]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(SENTENCES), st.integers(0, 2**32))
def test_mentions_that_did_not_overlap_do_not_after_a_swap(sentence, seed):
    moved = SWAPPER(sentence, np.random.default_rng(seed)).mentions
    assert not any(a.span.overlaps(b.span) for a, b in zip(moved, moved[1:], strict=False))
