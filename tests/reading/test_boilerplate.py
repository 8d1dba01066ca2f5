"""Boilerplate that is recognised, and text that looks like boilerplate but is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.reading.boilerplate import BYLINE, CALL, CAPTION, DATE, LINK, NOTICE, reasons

TITLE = "Harbour Talks Open"
BODY = "The ministers met in the old customs house and said nothing at all to those who waited."


def reason_in_the_middle(text: str) -> str:
    """The reason of a text between two paragraphs."""
    return reasons([TITLE, BODY, text, BODY])[2]


def reason_below_the_title(text: str) -> str:
    """The reason of a text between the title and the first paragraph."""
    return reasons([TITLE, text, BODY])[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("By Jane Doe, Reuters", BYLINE),
        ("By Jane Doe and John A. Roe, BBC News", BYLINE),
        ("By Jane Doe, Chief Political Correspondent", BYLINE),
        ("Jane Doe, jane.doe@example.org", BYLINE),
        ("Reporting by Jane Doe in Madrid; Editing by John Roe", BYLINE),
        ("(Additional reporting by Jane Doe; Writing by John Roe)", BYLINE),
        ("Published September 15, 2025 10:04 GMT", DATE),
        ("Updated on 15 Sept 2025", DATE),
        ("MADRID, Sept 15 (Reuters) -", DATE),
        ("5 min read", DATE),
        ("FILE PHOTO: The harbour at dawn, May 2, 2031.", CAPTION),
        ("FILE - The harbour at dawn.", CAPTION),
        ("Image source, Getty Images", CAPTION),
        ("Photo: Harbour Press", CAPTION),
        ("Photo by Jane Doe on Unsplash", CAPTION),
        ("The yard, seen from the pier. Image: Harbour Press.", CAPTION),
        ("The yard, seen from the pier. (AP Photo/Jane Doe)", CAPTION),
        ("A tug leaves the harbour. REUTERS/Jane Doe", CAPTION),
        ("Read more: What the deal means for fishermen", CALL),
        ("Related: Why the price of bread has doubled", CALL),
        ("## Related stories", CALL),
        ("Share this article", CALL),
        ("**Advertisement**", CALL),
        ("Sign up for our newsletter and get the day's top stories.", CALL),
        ("Follow us on Facebook", CALL),
        ("© 2031 Harbour Press. All rights reserved.", NOTICE),
        ("Our Standards: The Thomson Reuters Trust Principles.", NOTICE),
        ("This article was originally published in The Harbour Gazette.", NOTICE),
        ("https://example.org/harbour?id=1", LINK),
    ],
)
def test_boilerplate_anywhere(text: str, reason: str) -> None:
    assert reason_in_the_middle(text) == reason_below_the_title(text) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("By Jane Doe", BYLINE),
        ("BY JANE DOE AND JOHN ROE", BYLINE),
        ("September 15, 2031", DATE),
        ("Madrid, Monday, 15 September 2031, 10:04 CEST", DATE),
        ("2031-09-15", DATE),
    ],
)
def test_boilerplate_only_below_the_title(text: str, reason: str) -> None:
    assert reason_below_the_title(text) == reason
    assert reason_in_the_middle(text) == ""
    assert reasons([text, BODY]) == ["", ""]  # it is the title


@pytest.mark.parametrize(
    "text",
    [
        "MADRID, Sept 15 (Reuters) – The talks went on for a second day, officials said.",
        "Madrid, September 15, 2031 – High-level discussions have entered a second day.",
        "By Monday the ministers had left.",
        "By the authority vested in me as President, it is hereby ordered as follows:",
        "Reporting by Reuters showed that the yard had paid no duties for years.",
        "Writing by hand is slower, he said.",
        "Like many users on Facebook, she said, he had not read it.",
        "See also what she wrote in May, he said, and read it twice.",
        "Read more closely, the order says nothing about steel.",
        "Share prices fell.",
        "Share of Exports",
        "The picture: nobody knew what was to come.",
        "Images by satellites show that the yard is empty.",
        "The app shows images from Getty Images, and users pay for them by the month.",
        "He showed them the photo: a yard full of steel.",
        "Register of Ships",
        "Copyright law protects the maps.",
        "Advertisement revenue fell.",
        "Get out there, he said, and sell.",
        "She wrote to jane.doe@example.org, and nobody answered her.",
        "In September 2031",
        "Trade and Tariffs",
        "(Applause.)",
        "Q Thank you, Mr. President. By whom?",
    ],
)
def test_text_that_is_not_boilerplate(text: str) -> None:
    assert reason_in_the_middle(text) == reason_below_the_title(text) == ""


@pytest.mark.parametrize(
    ("body", "bylines"),
    [
        (
            "Die Minister trafen sich am Montag im alten Zollhaus und sagten denen, die seit dem "
            "Morgen gewartet hatten, kein einziges Wort.",
            "Von Anna Müller | VON ANNA MÜLLER UND KARL-HEINZ ROTH | Von Anna von der Au, dpa | "
            "Von Anna Müller, Berlin | Von unserem Korrespondenten in Madrid",
        ),
        (
            "Les ministres se sont réunis lundi dans l'ancienne douane et n'ont rien dit à ceux "
            "qui attendaient depuis le matin.",
            "Par Jeanne Dupont | Par Jeanne de La Tour et Éric Roy (AFP) | "
            "De notre correspondant à Madrid | De notre envoyée spéciale Jeanne Dupont",
        ),
        (
            "Los ministros se reunieron el lunes en la antigua aduana y no dijeron nada a quienes "
            "esperaban desde la mañana.",
            "Por Ana Pérez | Por Ana del Río y Juan Gómez | De nuestro corresponsal en Madrid",
        ),
        (
            "Os ministros reuniram-se na segunda-feira na antiga alfândega e não disseram nada a "
            "quem esperava desde a manhã.",
            "Por Ana dos Santos | Por João Silva e Ana Sousa | Do nosso correspondente em Madrid",
        ),
        (
            "I ministri si sono riuniti lunedì nella vecchia dogana e non hanno detto nulla a chi "
            "aspettava dal mattino.",
            "Di Anna Bianchi | Di Marco De Luca e Anna Bianchi | Dal nostro inviato Marco De Luca",
        ),
        (
            "De ministers kwamen maandag bijeen in het oude douanehuis en zeiden niets tegen wie "
            "sinds de ochtend had gewacht.",
            "Door Jan de Vries | Door Jan van der Berg en Anna Smit | Van onze correspondent",
        ),
    ],
)
def test_bylines_in_other_languages(body: str, bylines: str) -> None:
    for byline in bylines.split(" | "):
        assert reasons([TITLE, byline, body]) == ["", BYLINE, ""]
        assert reasons([TITLE, byline, BODY]) == ["", "", ""]  # the article is in English
        assert reasons([TITLE, body, byline, body]) == [""] * 4


@pytest.mark.parametrize(
    "text",
    [
        "Von Krieg und Frieden",
        "Von der Leyen reist nach Kiew",
        "Von Montag an wird gestreikt",
        "Von Berlin nach Paris",
        "Von unseren Korrespondenten hörte man nichts.",
        "Vonovia Senkt Mieten",
        "Von Anna Müller hatte niemand etwas erwartet.",
    ],
)
def test_text_that_is_no_german_byline(text: str) -> None:
    body = "Die Minister trafen sich am Montag und sagten kein Wort zu denen, die gewartet hatten."
    assert reasons([TITLE, text, body]) == [""] * 3


def test_dates_that_recur_are_headings() -> None:
    assert reasons([TITLE, "September 14", BODY, "September 15", BODY]) == [""] * 5


def test_no_rule_is_slow_on_a_long_text() -> None:
    assert reason_in_the_middle("Photo: " + "word " * 200_000) == ""
    assert reason_in_the_middle("By A" * 100_000) == ""


@given(st.lists(st.text(max_size=40), max_size=6))
def test_every_text_gets_an_answer(texts: list[str]) -> None:
    assert len(reasons(texts)) == len(texts)


class Unsliced(list[str]):
    """Texts of which no slice, which is a copy, may be taken for each of them."""

    def __getitem__(self, key: Any) -> Any:
        assert not isinstance(key, slice)
        return super().__getitem__(key)


def test_an_article_of_short_lines_takes_linear_time() -> None:
    lines = Unsliced([TITLE, *["a"] * 100, "September 14", *["b"] * 100, "September 15"])
    assert set(reasons(lines)) == {"", DATE}
    assert reasons(lines)[101] == "" and reasons(lines)[-1] == DATE
