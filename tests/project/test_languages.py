"""Languages of texts, and the words about texts in other languages than the known ones."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.project.errors import UserError
from paratopic.project.languages import (
    LOOKED_AT,
    NAMES,
    READ_BY,
    audience_of,
    count_languages,
    encoder_for,
    language_of,
    main_languages,
    others,
)
from paratopic.transformer.settings import BUNDLED
from tests.samples import BODIES, GERMAN


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The minister said that talks would go on in Geneva next week."),
        ("de", GERMAN),
        ("fr", "Le gouvernement a annoncé lundi de nouveaux droits de douane sur l'acier."),
        ("ru", "Правительство объявило в понедельник о новых пошлинах на сталь."),
        ("zh", "政府周一宣布对钢铁征收新的关税。"),
    ],
)
def test_a_sentence_has_its_language(language: str, text: str) -> None:
    assert language_of(text) == language_of(text) == language


@pytest.mark.parametrize(
    "text",
    [
        *("", "Zeitgeist", "São Paulo", "Angela Merkel", "El País", "Bundesrat", "USMCA"),
        *("3295-F1-P", "Billing code 3295-F1-P", "[FR Doc. 2020-12345 Filed 6-1-20; 8:45 am]"),
        "https://example.org/harbour?id=1234567890&page=12",
        "1,024 2,048 4,096 8,192 16,384 32,768 65,536 131,072",
        "Madrid, Barcelona, Sevilla, Valencia",
        "Angela Merkel, Olaf Scholz and Emmanuel Macron",
    ],
)
def test_words_names_and_codes_have_none(text: str) -> None:
    assert language_of(text) is None


@given(st.text(max_size=400))
def test_every_text_gets_an_answer(text: str) -> None:
    assert language_of(text) in {None, *NAMES}


def test_of_many_texts_some_are_counted_and_a_language_is_learnt_from_a_twentieth_on() -> None:
    assert count_languages([]) == Counter()
    assert count_languages([GERMAN, "x"]) == Counter({"de": 1, "": 1})
    half = Counter({"": LOOKED_AT // 2, "de": LOOKED_AT // 2})  # they lie evenly
    assert count_languages(["x"] * LOOKED_AT + [GERMAN] * LOOKED_AT) == half
    assert main_languages({"de": 5, "en": 95, "": 1000}) == ("en", "de")
    assert main_languages({"de": 4, "en": 96}) == ("en",)
    assert main_languages({"": 3}) == main_languages({}) == ()


@pytest.mark.parametrize(
    ("counts", "languages", "words"),
    [
        ({"de": 1, "en": 2}, ["en"], "1 of 3 texts seems to be German, but labels are English"),
        ({"de": 1, "fr": 2000}, ["en", "es"], "2,001 of .* French .2,000. or German .1.*Spanish"),
        ({"en": 2, "": 5}, ["en"], ""),
        ({"de": 2}, [], ""),  # nothing is known
        ({}, ["en"], ""),
    ],
)
def test_languages_are_counted(counts: dict[str, int], languages: list[str], words: str) -> None:
    assert re.fullmatch(words, others(counts, languages, "texts", "labels are"))


def test_a_model_is_for_what_its_encoder_reads_or_else_for_what_it_learnt_from() -> None:
    assert audience_of(BODIES, (), BUNDLED) == (("en",), "")
    for encoder in (None, "someone/encoder"):
        assert audience_of([*BODIES, GERMAN], (), encoder) == (("en", "de"), "")
    assert audience_of([], (), None) == ((), "")
    codes, note = audience_of([*BODIES, GERMAN], (), BUNDLED)
    assert codes == ("en",) and note.startswith("1 of 4 labelled paragraphs seems to be German")
    assert "transformer.encoder" in note
    # Without labels, definitions are what is learnt from.
    german = (GERMAN, f"Am Abend: {GERMAN}")
    assert audience_of([], german, None) == (("de",), "")
    assert "2 of 2 definitions seem to be German" in audience_of([], german, BUNDLED).note


ENGLISH = "The minister said that the talks about tariffs would soon be continued."
SMALL, MULTILINGUAL = READ_BY


@pytest.mark.parametrize(
    ("n_german", "before", "taken"),
    [(0, "", SMALL), (1, "", SMALL), (2, "", MULTILINGUAL), (20, "", MULTILINGUAL)]
    + [(0, MULTILINGUAL, MULTILINGUAL), (2, SMALL, MULTILINGUAL)],
)
def test_auto_takes_the_multilingual_encoder_from_a_tenth_on(
    n_german: int, before: str, taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    texts = [GERMAN] * n_german + [ENGLISH] * (20 - n_german) + ["2026"] * 20
    encoder, reason = encoder_for("auto", texts, before)
    assert encoder == taken
    assert (f"so {MULTILINGUAL} was taken" in reason) == (taken == MULTILINGUAL and n_german > 0)
    assert encoder_for("own", texts, before) == ("own", "")


def test_without_the_multilingual_encoder_a_message_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert encoder_for("auto", [ENGLISH]) == (SMALL, "")
    assert encoder_for("auto", []) == (SMALL, "")
    assert encoder_for("auto", [ENGLISH], MULTILINGUAL) == (MULTILINGUAL, "")  # loading it says so
    with pytest.raises(UserError, match=r"1 of 1 paragraphs .* German.*paratopic\[multilingual\]"):
        encoder_for("auto", [GERMAN])


def test_many_languages_are_counted_not_named() -> None:
    known = READ_BY[MULTILINGUAL]
    words = others({"mt": 1, "de": 1}, known, "texts", "the model is for")
    assert words == f"1 of 2 texts seems to be Maltese, but the model is for {len(known)} others"
