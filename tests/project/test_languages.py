"""Languages of texts, and notes on texts in other languages than the known ones."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.project.errors import UserError
from paratopic.project.languages import (
    ENCODER_LANGUAGES,
    LANGUAGE_NAMES,
    MAX_DETECTED,
    choose_encoder,
    count_languages,
    detect_language,
    find_audience,
    language_note,
    main_languages,
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
    assert detect_language(text) == detect_language(text) == language


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
def test_words_names_and_codes_have_no_language(text: str) -> None:
    assert detect_language(text) is None


@given(st.text(max_size=400))
def test_every_text_has_a_known_language_or_none(text: str) -> None:
    assert detect_language(text) in {None, *LANGUAGE_NAMES}


def test_some_of_many_texts_are_counted_and_a_main_language_has_a_twentieth() -> None:
    assert count_languages([]) == Counter()
    assert count_languages([GERMAN, "x"]) == Counter({"de": 1, "": 1})
    half = Counter({"": MAX_DETECTED // 2, "de": MAX_DETECTED // 2})  # the texts are evenly spaced
    assert count_languages(["x"] * MAX_DETECTED + [GERMAN] * MAX_DETECTED) == half
    assert main_languages({"de": 5, "en": 95, "": 1000}) == ("en", "de")
    assert main_languages({"de": 4, "en": 96}) == ("en",)
    assert main_languages({"": 3}) == main_languages({}) == ()


@pytest.mark.parametrize(
    ("counts", "languages", "words"),
    [
        ({"de": 1, "en": 2}, ["en"], "1 of 3 texts seems to be German, but labels are English"),
        ({"de": 1, "fr": 2000}, ["en", "es"], "2,001 of .* French .2,000. or German .1.*Spanish"),
        ({"en": 2, "": 5}, ["en"], ""),
        ({"de": 2}, [], ""),  # no language is known
        ({}, ["en"], ""),
    ],
)
def test_languages_are_counted(counts: dict[str, int], languages: list[str], words: str) -> None:
    assert re.fullmatch(words, language_note(counts, languages, "texts", "labels are"))


def test_a_model_is_for_the_languages_of_its_encoder_or_of_its_training_texts() -> None:
    assert find_audience(BODIES, (), BUNDLED) == (("en",), "")
    for encoder in (None, "someone/encoder"):
        assert find_audience([*BODIES, GERMAN], (), encoder) == (("en", "de"), "")
    assert find_audience([], (), None) == ((), "")
    codes, note = find_audience([*BODIES, GERMAN], (), BUNDLED)
    assert codes == ("en",) and note.startswith("1 of 4 labelled paragraphs seems to be German")
    assert "transformer.encoder" in note
    # Without labels, models are trained on definitions.
    german = (GERMAN, f"Am Abend: {GERMAN}")
    assert find_audience([], german, None) == (("de",), "")
    assert "2 of 2 definitions seem to be German" in find_audience([], german, BUNDLED).note


ENGLISH = "The minister said that the talks about tariffs would soon be continued."
SMALL, MULTILINGUAL = ENCODER_LANGUAGES


@pytest.mark.parametrize(
    ("n_german", "before", "chosen"),
    [(0, "", SMALL), (1, "", SMALL), (2, "", MULTILINGUAL), (20, "", MULTILINGUAL)]
    + [(0, MULTILINGUAL, MULTILINGUAL), (2, SMALL, MULTILINGUAL)],
)
def test_auto_takes_the_multilingual_encoder_from_a_tenth_on(
    n_german: int, before: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    texts = [GERMAN] * n_german + [ENGLISH] * (20 - n_german) + ["2026"] * 20
    encoder, reason = choose_encoder("auto", texts, before)
    assert encoder == chosen
    assert (f"so {MULTILINGUAL} was taken" in reason) == (chosen == MULTILINGUAL and n_german > 0)
    assert choose_encoder("own", texts, before) == ("own", "")


def test_without_the_multilingual_encoder_a_message_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert choose_encoder("auto", [ENGLISH]) == (SMALL, "")
    assert choose_encoder("auto", []) == (SMALL, "")
    # Loading the encoder reports that it is missing.
    assert choose_encoder("auto", [ENGLISH], MULTILINGUAL) == (MULTILINGUAL, "")
    with pytest.raises(UserError, match=r"1 of 1 paragraphs .* German.*paratopic\[multilingual\]"):
        choose_encoder("auto", [GERMAN])


def test_many_languages_are_counted_not_named() -> None:
    known = ENCODER_LANGUAGES[MULTILINGUAL]
    words = language_note({"mt": 1, "de": 1}, known, "texts", "the model is for")
    assert words == f"1 of 2 texts seems to be Maltese, but the model is for {len(known)} others"
