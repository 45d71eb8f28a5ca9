"""The language of a sentence is told by its words where they are enough, and by its document where they are not."""

import pytest

from serving.archive.language import Language, identify, normalise, settle

SENTENCES = {
    "en": "The army said its forces had entered the northern suburb before dawn.",
    "de": "Die Gespräche werden am Montag in Genf fortgesetzt.",
    "fr": "Les secouristes fouillaient encore les décombres vendredi soir.",
    "es": "Los vecinos describieron dos fuertes explosiones poco después de medianoche.",
    "it": "Il tribunale ha rinviato l'udienza a marzo.",
    "pt": "As escolas ficarão fechadas até novo aviso.",
    "nl": "Reddingswerkers zochten vrijdagavond nog in het puin.",
    "sv": "Domstolen sköt upp förhandlingen till mars.",
    "pl": "Ratownicy nadal przeszukiwali gruzy w piątek wieczorem.",
    "ru": "Переговоры возобновятся в понедельник в Женеве.",
    "uk": "Рятувальники все ще розбирали завали в п'ятницю ввечері.",
    "tr": "Bakan ödemelerden haberi olmadığını savundu.",
    "ar": "قال الجيش إن قواته دخلت الضاحية الشمالية قبل الفجر.",
    "fa": "امدادگران جمعه شب همچنان در میان آوار جست‌وجو می‌کردند.",
    "he": "בית המשפט דחה את הדיון למרץ.",
    "zh": "市长对记者说：“我们不会离开。”",
    "ja": "市長は「私たちは去らない」と述べた。",
    "hi": "वार्ता सोमवार को जिनेवा में फिर शुरू होगी।",
}


def test_the_languages_of_news_are_told_apart() -> None:
    found = identify(list(SENTENCES.values()))
    assert [language.code for language in found] == list(SENTENCES)
    assert all(language.sure for language in found)


def test_a_text_gets_the_same_language_in_any_company() -> None:
    texts = list(SENTENCES.values())
    together = identify(texts)
    assert identify(texts[::-1])[::-1] == together
    assert [identify([text])[0] for text in texts] == together


def test_a_byline_or_a_date_is_what_its_document_is() -> None:
    lines = ["Hazem Sabbagh", "--Reuters", "SA - 12", "218-11", "AFP - Beirut", "Idlib", "", "24-08-2014"]
    found = identify(lines)
    assert settle(found, "en") == ["en"] * len(lines)
    assert settle(found, "ar") == ["ar"] * len(lines)


def test_a_foreign_sentence_in_a_document_is_what_it_is() -> None:
    assert settle(identify([SENTENCES["fr"], SENTENCES["en"], "Yes."]), "en") == ["fr", "en", "en"]


def test_without_a_document_the_best_guess_stands() -> None:
    assert settle([Language("de", 0.2), Language("", 0.0, False)], None) == ["de", ""]


def test_figures_and_signs_tell_no_language() -> None:
    assert identify(["", "12:30 — 218-11 …", "🙂"]) == [Language("", 0.0, False)] * 3


def test_half_characters_and_line_ends_do_no_harm() -> None:
    [found] = identify([f"\ud800 {SENTENCES['de']}\n\x00\r\n"])
    assert found.code == "de"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("en", "en"),
        ("en-GB", "en"),
        ("EN_us", "en"),
        (" de ", "de"),
        ("ckb", "ckb"),
        ("English", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_language_tags_are_cut_down_to_the_language(declared: object, expected: str) -> None:
    assert normalise(declared) == expected
