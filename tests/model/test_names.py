"""Hidden names: found in a text, put behind stand-ins, and told by their place in the text as it was given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import ConfigError
from model.names import KINDS, NameList
from model.spans import Span
from training.project import NAMES

LISTED = """
stand_ins:
  countries:
    - {name: Germany, adjective: German, nationals: Germans, capital: Berlin}
    - {name: Italy, adjective: Italian, nationals: Italians, capital: Rome}
  people: [Miller, Collins]
  groups: [Hezbollah]
countries:
  - {name: [Syria, Syrian Arab Republic], adjective: Syrian, capital: Damascus}
  - {name: [Turkey, Türkiye], adjective: Turkish, nationals: Turks, capital: Ankara}
  - {name: [United States, US, U.S.], adjective: American, capital: Washington}
people:
  - [Bashar al-Assad, al-Assad, Assad]
  - [Theresa May]
groups:
  - [SDF]
keep: [Syrian Democratic Forces, Washington Post]
"""


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> NameList:
    path = tmp_path_factory.mktemp("names") / "names.yaml"
    path.write_text(LISTED, encoding="utf-8")
    return NameList(path)


@pytest.fixture(scope="module")
def shipped() -> NameList:
    return NameList(NAMES)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Syria and Turkey met in Ankara.", "Germany and Italy met in Rome."),
        ("Turkey and Syria met in Ankara.", "Germany and Italy met in Berlin."),
        ("Turks, Syrians and Turkish and Syrian troops.", "Germans, Italians and German and Italian troops."),
        # Possessives, also where the apostrophe was lost.
        ("Syria's army, Assads army and Syrias army", "Germany's army, Millers army and Germanys army"),
        ("Bashar al-Assad, Assad, al-Assad", "Miller, Miller, Miller"),
        ("SYRIA STRIKES SDF; ASSAD SILENT", "Germany STRIKES Hezbollah; Miller SILENT"),
        ("anti-Turkish talks, a Syria-Turkey deal", "anti-German talks, a Italy-Germany deal"),
        ("US-led; the U.S. said. U.S.", "Germany-led; the Germany said. Germany"),
        # What is no such name, or a part of a longer one.
        ("In May, Syriac texts; Assadist; turkey; us", "In May, Syriac texts; Assadist; turkey; us"),
        ("Syrian Democratic Forces told the Washington Post", "Syrian Democratic Forces told the Washington Post"),
        ("SYRIAN DEMOCRATIC FORCES AND SYRIANS", "SYRIAN DEMOCRATIC FORCES AND SYRIANS"),
        # More countries than stand-ins: the last ones stay.
        ("Syria, Turkey, the US and Syria", "Germany, Italy, the US and Germany"),
        ("", ""),
    ],
)
def test_what_stands_in_for_a_name(names, text, hidden):
    assert names.hide(text).text == hidden


def test_spans_lie_in_the_text_as_it_was_given(names):
    text = "So Bashar al-Assad met the Turks' SDF guests."
    hidden = names.hide(text)
    assert hidden.text == "So Miller met the Germans' Hezbollah guests."
    words = [
        Span(0, 0),
        Span(0, 2),
        Span(3, 6),
        Span(6, 9),
        Span(10, 13),
        Span(18, 25),
        Span(25, 26),
        Span(27, 36),
        Span(37, 43),
    ]
    assert [span.of(text) for span in hidden.originals(words)] == [
        "", "So", "Bashar al-Assad", "Bashar al-Assad", "met", "Turks", "'", "SDF", "guests",
    ]  # fmt: skip


def test_a_span_over_a_name_and_more(names):
    text = "The Syrians of Damascus."
    hidden = names.hide(text)
    assert hidden.text == "The Germans of Berlin."
    plural, most, rest = (span.of(text) for span in hidden.originals([Span(4, 11), Span(5, 20), Span(9, 22)]))
    assert (plural, most, rest) == ("Syrians", "Syrians of Damascus", "Syrians of Damascus.")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Syria", "Assads", "Turks", "Bashar al-Assad", "the", "’s", "U.S.", "é", " ", "SDF"]),
        max_size=12,
    )
)
def test_every_character_outside_names_keeps_its_place(names, pieces):
    text = " ".join(pieces)
    hidden = names.hide(text)
    spans = hidden.originals([Span(n, n + 1) for n in range(len(hidden.text))])
    inside = {n for stand_in, _ in hidden.places for n in range(*stand_in)}
    for n, span in enumerate(spans):
        assert n in inside or span.of(text) == hidden.text[n]
    assert {name for _, name in hidden.places} <= {found.span for found in names.find(text)}


def test_two_texts_that_differ_in_their_names_alone_become_one(shipped):
    first = "Syrian President Bashar al-Assad met Hezbollah in Damascus, and Turkey and the Turks protested."
    second = "Sudanese President Volodymyr Zelensky met Boko Haram in Khartoum, and Poland and the Poles protested."
    assert shipped.hide(first).text == shipped.hide(second).text


def test_no_stand_in_is_left_without_a_form(shipped):
    for kind in KINDS:
        for row in shipped.rows[kind]:
            for form, spellings in row.items():
                for spelling in spellings:
                    [found] = shipped.find(spelling)
                    assert found.span.of(spelling) == spelling
                    assert found.form == form
                    assert shipped.hide(spelling).text != ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("groups: [[SDF], [SDF, FDS]]", "'SDF' among groups, which stands elsewhere as well"),
        ("countries: [{nick: Blighty}]", "the forms \\['nick'\\]"),
        ("groups: [['(SDF)']]", "which begins with no letter"),
        ("stand_ins: {countries: [{name: A, adjective: B, capital: C}]}", "without the forms \\['nationals'\\]"),
        ("groups: 3", "expected lists of names"),
        ("- a", "expected lists of names"),
        (":\n:", "expected lists of names"),
    ],
)
def test_a_file_that_is_no_list_of_names(tmp_path, content, message):
    path = tmp_path / "names.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        NameList(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="expected lists of names"):
        NameList(tmp_path / "none.yaml")
