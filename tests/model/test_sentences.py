"""What sentence segmentation promises."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.sentences import split_sentences

GOLDEN = Path(__file__).parents[1] / "golden" / "sentences.jsonl"
with GOLDEN.open(encoding="utf-8") as golden_lines:
    CASES = [json.loads(line) for line in golden_lines]

DIRECTION_MARKS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
INVISIBLE = frozenset(DIRECTION_MARKS + "\u00ad\u180e\u200b\u200c\u200d\u2060\ufeff")

# Pieces that meet in news, so that hypothesis tries their combinations and not only single odd characters.
PIECES = st.sampled_from(
    [
        *(" ", "  ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u2029", "\u200b", "\ufeff", "\u200f"),
        *(".", "...", "…", "!", "?", "?!", ",", ";", ":", "-", "—", "•", "* ", "1. ", "a) "),
        *('"', "“", "”", "'", "‘", "’", "«", "»", "(", ")", "[", "]", "<", ">", "@", "#"),
        *("U.S.", "Mr.", "Lt. Gen.", "a.m.", "No. 2", "Jan. 5", "Inc.", "e.g.", "A.", "Yahoo!", "2.5"),
        *("The", "the", "Assad", "said", "he asked", "ERDOGAN", "دمشق", "إدلب؟", "军队。"),
        *("🔴", "👩\u200d👧", "𝐓", "\ud83d"),
        *("https://a.example/?q=1.2", "x@a.example", "@desk", "\x00", "e\u0301", "x" * 250),
    ]
)
TEXTS = st.one_of(st.text(alphabet=st.characters()), st.lists(PIECES, max_size=40).map("".join))


def is_blank(char: str) -> bool:
    return char.isspace() or char in INVISIBLE


def sentences(text: str) -> list[str]:
    return [span.of(text) for span in split_sentences(text)]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_golden_text_is_split_into_its_golden_sentences(case: dict) -> None:
    assert sentences(case["text"]) == case["sentences"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_golden_case_covers_its_text_in_order(case: dict) -> None:
    rest = case["text"]
    for sentence in case["sentences"]:
        assert sentence
        assert not is_blank(sentence[0])
        assert not is_blank(sentence[-1])
        before, found, rest = rest.partition(sentence)
        assert found
        assert all(map(is_blank, before))
    assert all(map(is_blank, rest))


def test_the_golden_file_has_one_id_a_case_and_shows_what_cannot_be_seen() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES) >= 90
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
    text = GOLDEN.read_text(encoding="utf-8")
    assert not [char for char in text if char not in " \n" and unicodedata.category(char) in unseen]


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_spans_are_in_order_and_do_not_overlap(text: str) -> None:
    spans = split_sentences(text)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_no_sentence_begins_or_ends_with_white_space(text: str) -> None:
    for sentence in sentences(text):
        assert not is_blank(sentence[0])
        assert not is_blank(sentence[-1])


@settings(max_examples=500, deadline=None)
@given(TEXTS)
def test_everything_but_white_space_is_in_a_sentence(text: str) -> None:
    covered = {place for span in split_sentences(text) for place in range(*span)}
    assert all(is_blank(char) for place, char in enumerate(text) if place not in covered)


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_white_space_around_a_text_moves_its_sentences_and_changes_none(text: str) -> None:
    unmoved = [(start, end) for start, end in split_sentences(text)]
    moved = split_sentences(f"\n \ufeff{text}\u00a0\r\n")  # three code points in front
    assert [(start - 3, end - 3) for start, end in moved] == unmoved


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, max_size=4))
def test_paragraphs_are_split_the_same_alone_and_together(paragraphs: list[str]) -> None:
    alone = [sentence for paragraph in paragraphs for sentence in sentences(paragraph)]
    assert sentences("\n\n".join(paragraphs)) == alone


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u00a0\ufeff", "\u200b\u2060\u00ad \t\r\n"])
def test_a_text_of_white_space_has_no_sentences(text: str) -> None:
    assert split_sentences(text) == []


def test_offsets_count_code_points_after_emoji_and_astral_letters() -> None:
    # 🔴 and 𝐓 are one code point each (two UTF-16 units, four UTF-8 bytes); the family is five.
    text = "🔴 𝐓he army left. 👨\u200d👩\u200d👧 came."
    assert [tuple(span) for span in split_sentences(text)] == [(0, 16), (17, 28)]
    assert sentences(text) == ["🔴 𝐓he army left.", "👨\u200d👩\u200d👧 came."]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\u2028"])
def test_offsets_hold_whatever_the_line_breaks(line_break: str) -> None:
    text = f"The army left.{line_break}The rebels came.{line_break}{line_break}They stayed"
    assert sentences(text) == ["The army left.", "The rebels came.", "They stayed"]


@pytest.mark.parametrize("code_point", [0xD800, 0xDFFF, 0x00, 0x1B, 0xFFFD, 0xFFFF, 0x10FFFF])
def test_a_broken_character_is_kept_and_raises_nothing(code_point: int) -> None:
    text = f"The army{chr(code_point)} left. The rebels came."
    assert sentences(text) == [f"The army{chr(code_point)} left.", "The rebels came."]


# A million code points each: a quadratic step anywhere would keep these running for minutes or hours.
@pytest.mark.parametrize(
    ("pattern", "n_sentences"),
    [
        ("word ", 1),
        ("x", 1),
        ("a. ", 1),  # single letters are initials
        ("a.", 1),
        ("aa.Bb", 200_001),  # a lost space after every full stop
        ("U.S. ", 1),
        ("It fell. ", 111_112),  # 9 code points each, the last one cut to "I"
        ("?!", 1),
        ('"', 1),
        ("(", 1),
        ("a@b.co. ", 1),
        ("军队撤离了。", 166_667),  # 6 code points each, the last one cut
        (" ", 0),
        ("\n", 0),
        ("\u200b", 0),
        ("He left\n", 125_000),  # short lines are not wrapped prose
        ("https://a.example/?b=", 1),
    ],
)
def test_a_million_characters_of_one_pattern_are_split(pattern: str, n_sentences: int) -> None:
    text = (pattern * (1_000_000 // len(pattern) + 1))[:1_000_000]
    assert len(split_sentences(text)) == n_sentences


def test_a_mark_far_behind_a_million_spaces_is_found() -> None:
    text = "The army left." + " " * 1_000_000 + "The rebels came."
    assert [tuple(span) for span in split_sentences(text)] == [(0, 14), (1_000_014, 1_000_030)]
