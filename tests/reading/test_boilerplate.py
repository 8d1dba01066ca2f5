"""What is certainly no paragraph, and what must stay one although it looks alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.project.errors import UserError
from paratopic.reading.article import Skipped, paragraphs_of, skipped_of
from paratopic.reading.boilerplate import BYLINE, CALL, CAPTION, DATE, LINK, NOTICE, reasons
from paratopic.reading.plain import segments
from tests.samples import plain_article

TITLE = "Harbour Talks Open"
BODY = "The ministers met in the old customs house and said nothing at all to those who waited."


def reason(block: str) -> str:
    """Of a block in the middle of an article."""
    return reasons([TITLE, BODY, block, BODY])[2]


def opening(block: str) -> str:
    """Of a block between the title and the text."""
    return reasons([TITLE, block, BODY])[1]


@pytest.mark.parametrize(
    ("block", "why"),
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
def test_what_is_skipped_wherever_it_stands(block: str, why: str) -> None:
    assert reason(block) == opening(block) == why


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("By Jane Doe", BYLINE),
        ("BY JANE DOE AND JOHN ROE", BYLINE),
        ("September 15, 2031", DATE),
        ("Madrid, Monday, 15 September 2031, 10:04 CEST", DATE),
        ("2031-09-15", DATE),
    ],
)
def test_what_is_skipped_below_the_title_alone(block: str, why: str) -> None:
    assert opening(block) == why
    assert reason(block) == ""
    assert reasons([block, BODY]) == ["", ""]  # it is the title


@pytest.mark.parametrize(
    "block",
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
def test_what_stays(block: str) -> None:
    assert reason(block) == opening(block) == ""


def test_dates_that_come_again_are_headings() -> None:
    assert reasons([TITLE, "September 14", BODY, "September 15", BODY]) == [""] * 5


def test_no_rule_takes_long_to_read_a_long_block() -> None:
    assert reason("Photo: " + "word " * 200_000) == ""
    assert reason("By A" * 100_000) == ""


@given(st.lists(st.text(max_size=40), max_size=6))
def test_every_block_has_an_answer(blocks: list[str]) -> None:
    assert len(reasons(blocks)) == len(blocks)


def test_an_article_without_what_is_skipped_and_the_list_of_it() -> None:
    text = f"{TITLE}\n\nBy Jane Doe\n\n{BODY}\n\nPhoto: Harbour Press\n\nTrade\n\n{BODY}\n\n© 2031"
    article = plain_article("harbour", text)
    assert [(p.heading, p.position) for p in paragraphs_of(article)] == [(TITLE, 0), ("Trade", 1)]
    assert skipped_of(article) == [
        Skipped("harbour", 0, "By Jane Doe", BYLINE),
        Skipped("harbour", 1, "Photo: Harbour Press", CAPTION),
        Skipped("harbour", 2, "© 2031", NOTICE),
    ]


def test_a_heading_above_nothing_but_a_notice_is_body() -> None:
    kinds = [segment.kind for segment in segments(f"{BODY}\n\nConclusion\n\n© 2031")]
    assert kinds == ["body", "body", "skipped"]


def test_the_title_is_the_first_block_that_is_kept() -> None:
    title = "Order 7 of May 2, 2031 " + "On the Duties for Timber " * 4 + "and Steel"
    kinds = [segment.kind for segment in segments(f"Advertisement\n\n{title}\n\n{BODY}")]
    assert kinds == ["skipped", "heading", "body"]


def test_an_article_of_nothing_else_is_refused() -> None:
    with pytest.raises(UserError, match=r'harbour: holds no paragraph but "© 2031" \(notice\)'):
        paragraphs_of(plain_article("harbour", "© 2031"))
