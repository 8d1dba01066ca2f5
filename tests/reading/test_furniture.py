"""Page furniture, and text that only looks like it."""

from __future__ import annotations

import pytest

from paratopic.reading.furniture import BYLINE, CALL, CAPTION, DATE, LINK, NOTICE, TAGS, reasons

TITLE = "Harbour Talks Open"
BODY = "The ministers met in the old customs house and said nothing at all to those who waited."


def reason_in_the_middle(text: str) -> str:
    return reasons([TITLE, BODY, text, BODY])[2]


def reason_below_the_title(text: str) -> str:
    return reasons([TITLE, text, BODY])[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("By Jane Doe, Reuters", BYLINE),
        ("By Jane Doe, Chief Political Correspondent", BYLINE),
        ("Jane Doe, jane.doe@example.org", BYLINE),
        ("Reporting by Jane Doe in Madrid; Editing by John Roe", BYLINE),
        ("(Additional reporting by Jane Doe; Writing by John Roe)", BYLINE),
        ("Published September 15, 2025 10:04 GMT", DATE),
        ("Updated on 15 Sept 2025", DATE),
        ("MADRID, Sept 15 (Reuters) -", DATE),
        ("5 min read", DATE),
        ("FILE PHOTO: The harbour at dawn, May 2, 2031.", CAPTION),
        ("Image source, Getty Images", CAPTION),
        ("Photo: Harbour Press", CAPTION),
        ("Photo by Jane Doe on Unsplash", CAPTION),
        ("The yard, seen from the pier. (AP Photo/Jane Doe)", CAPTION),
        ("A tug leaves the harbour. REUTERS/Jane Doe", CAPTION),
        ("Read more: What the deal means for fishermen", CALL),
        ("## Related stories", CALL),
        ("Share this article", CALL),
        ("**Advertisement**", CALL),
        ("Sign up for our newsletter and get the day's top stories.", CALL),
        ("Follow us on Facebook", CALL),
        ("© 2031 Harbour Press. All rights reserved.", NOTICE),
        ("Our Standards: The Thomson Reuters Trust Principles.", NOTICE),
        ("This article was originally published in The Harbour Gazette.", NOTICE),
        ("https://example.org/harbour?id=1", LINK),
        ("Categories: August 15, 2031 Madrid Published Politics and conflicts Archived", TAGS),
        ("Der Hafen im Mai. Foto: Harbour Press", CAPTION),
        ("Photo : Le port en mai. Crédit : AFP", CAPTION),
        ("Lesen Sie auch: So trifft der Streit die Werften", CALL),
        ("Lire aussi : Comment le port a changé", CALL),
        *((f"{text}.", NOTICE) for text in ("Alle Rechte vorbehalten", "Tous droits réservés")),
    ],
)
def test_furniture_anywhere(text: str, reason: str) -> None:
    assert reason_in_the_middle(text) == reason_below_the_title(text) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("By Jane Doe", BYLINE),
        ("BY JANE DOE AND JOHN ROE", BYLINE),
        ("September 15, 2031", DATE),
        ("Madrid, Monday, 15 September 2031, 10:04 CEST", DATE),
        ("2031-09-15", DATE),
        ("Von Anna Müller und Jörg Schäfer", BYLINE),
        ("Par Jeanne Dupont et Élise Lefèvre", BYLINE),
        *(("Wien, 3. März 2026", DATE), ("mardi 3 mars 2026", DATE), ("2026年3月3日", DATE)),
        *(("3 de marzo de 2026", DATE), ("القاهرة، ٣ مارس ٢٠٢٦", DATE)),
    ],
)
def test_furniture_only_below_the_title(text: str, reason: str) -> None:
    assert reason_below_the_title(text) == reason
    assert reason_in_the_middle(text) == ""
    assert reasons([text, BODY]) == ["", ""]  # it is the title


@pytest.mark.parametrize(
    "text",
    [
        "MADRID, Sept 15 (Reuters) – The talks went on for a second day, officials said.",
        "Madrid, September 15, 2031 – High-level discussions have entered a second day.",
        "By the authority vested in me as President, it is hereby ordered as follows:",
        "Reporting by Reuters showed that the yard had paid no duties for years.",
        *("Writing by hand is slower, he said.", "By Monday the ministers had left."),
        "Like many users on Facebook, she said, he had not read it.",
        "See also what she wrote in May, he said, and read it twice.",
        "Read more closely, the order says nothing about steel.",
        *("Share prices fell.", "Share of Exports", "The picture: nobody knew what was to come."),
        "Categories: these are what the order taxes, and it names nine of them.",
        "Images by satellites show that the yard is empty.",
        "The app shows images from Getty Images, and users pay for them by the month.",
        "He showed them the photo: a yard full of steel.",
        *("Register of Ships", "Copyright law protects the maps.", "Advertisement revenue fell."),
        *("Get out there, he said, and sell.", "In September 2031", "Trade and Tariffs"),
        "She wrote to jane.doe@example.org, and nobody answered her.",
        *("Von Menschen und Mäusen", "Par la force des choses", "Bild: Kanzler will bleiben"),
        *("Der Gipfel vom 3. März 2026", "Im März 2026", "3 Nelken 2026"),
        *("(Applause.)", "Q Thank you, Mr. President. By whom?"),
    ],
)
def test_text_that_is_not_furniture(text: str) -> None:
    assert reason_in_the_middle(text) == reason_below_the_title(text) == ""


def test_dates_that_recur_are_headings() -> None:
    assert reasons([TITLE, "September 14", BODY, "September 15", BODY]) == [""] * 5


def test_no_rule_is_slow_on_a_long_text() -> None:
    assert reason_in_the_middle("Photo: " + "word " * 200_000) == ""
    assert reason_in_the_middle("By A" * 100_000) == ""
