"""Paragraphs and skipped parts of an article, and the ids of paragraphs."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.project.errors import UserError
from paratopic.project.passages import Passage
from paratopic.reading.article import (
    Article,
    Paragraph,
    Segment,
    Skipped,
    merge_skipped,
    paragraph_id,
    paragraphs_of,
    passages_of,
    skipped_of,
)
from paratopic.reading.furniture import BYLINE, CAPTION, NOTICE
from tests.reading.texts import documents, segments_of, sentences, visible
from tests.samples import BODIES, plain_article


@given(documents)
def test_an_article_ends_in_a_paragraph_and_positions_count_up(text: str) -> None:
    if not visible(text) or "©" in text:  # a line with this sign is a notice, and so skipped
        return
    assert segments_of(text)[-1].kind == "body"
    paragraphs = paragraphs_of(plain_article("a", text))
    assert [paragraph.position for paragraph in paragraphs] == list(range(len(paragraphs)))
    assert len({paragraph.id for paragraph in paragraphs}) == len(paragraphs)


@given(st.lists(sentences, min_size=1, max_size=8), st.data())
def test_inserting_a_paragraph_changes_no_other_id(texts: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(texts)))
    longer = [*texts[:at], "Nobody wrote this before.", *texts[at:]]
    before = [p.id for p in paragraphs_of(plain_article("a", "\n\n".join(texts)))]
    after = [p.id for p in paragraphs_of(plain_article("a", "\n\n".join(longer)))]
    assert after[:at] + after[at + 1 :] == before


def test_paragraphs_have_their_heading_and_position() -> None:
    text = "Opening words.\n\n# Key Issues\n\n## Trade\n\nOne.\n\nTwo.\n\nChips\n\nThree."
    paragraphs = paragraphs_of(plain_article("harbour", text))
    assert [(p.heading, p.position, p.text) for p in paragraphs] == [
        ("", 0, "Opening words."),
        ("Key Issues / Trade", 1, "One."),
        ("Key Issues / Trade", 2, "Two."),
        ("Chips", 3, "Three."),
    ]
    assert paragraphs[0] == Paragraph(
        paragraph_id("harbour", "Opening words."), "harbour", "", 0, "Opening words."
    )


def test_the_title_is_the_first_heading_above_all_paragraphs() -> None:
    text = "# Talks Open\n\n## Trade\n\nOne.\n\nTwo.\n\n## Chips\n\nThree."
    paragraphs = paragraphs_of(plain_article("harbour", text))
    assert [(p.title, p.heading) for p in paragraphs] == [
        ("Talks Open", "Talks Open / Trade"),
        ("Talks Open", "Talks Open / Trade"),
        ("Talks Open", "Chips"),
    ]
    assert passages_of(paragraphs) == [
        Passage("One.", (), ("Two.", "Three."), "Trade", "Talks Open"),
        Passage("Two.", ("One.",), ("Three.",), "Trade", "Talks Open"),
        Passage("Three.", ("One.", "Two."), (), "Chips", "Talks Open"),
    ]
    no_title = passages_of(paragraphs_of(plain_article("harbour", "Words.\n\n# Trade\n\nOne.")))
    assert [(passage.title, passage.heading) for passage in no_title] == [("", ""), ("", "Trade")]


def test_ids_are_ten_hex_digits_of_the_normalised_text() -> None:
    assert re.fullmatch(r"harbour:[0-9a-f]{10}", paragraph_id("harbour", "Café."))
    assert paragraph_id("harbour", "Cafe\u0301.") == paragraph_id("harbour", "Caf\u00e9.")
    assert paragraph_id("harbour", "Café.") != paragraph_id("harbour", "Cafe.")


def test_ids_of_repeated_paragraphs_are_numbered() -> None:
    article = plain_article("a", "(Applause.)\nYes.\n(Applause.)\n(Applause.)")
    applause = paragraph_id("a", "(Applause.)")
    ids = [applause, paragraph_id("a", "Yes."), f"{applause}-2", f"{applause}-3"]
    assert [paragraph.id for paragraph in paragraphs_of(article)] == ids


def test_skipped_parts_have_the_position_of_the_next_paragraph() -> None:
    text = (
        f"Harbour Talks Open\n\nBy Jane Doe\n\n{BODIES[0]}\n\nPhoto: Harbour Press\n\nTrade\n\n"
        f"{BODIES[1]}\n\n© 2031"
    )
    article = plain_article("harbour", text)
    headings = [(p.heading, p.position) for p in paragraphs_of(article)]
    assert headings == [("Harbour Talks Open", 0), ("Trade", 1)]
    assert skipped_of(article) == [
        Skipped("harbour", 0, "By Jane Doe", BYLINE),
        Skipped("harbour", 1, "Photo: Harbour Press", CAPTION),
        Skipped("harbour", 2, "© 2031", NOTICE),
    ]


@pytest.mark.parametrize(
    ("text", "content"),
    [
        *((blank, "no text") for blank in ("", " \n\u00a0\n", "\u200b\ufeff")),
        ("© 2031", r'no paragraph but "© 2031" \(notice\)'),
    ],
)
def test_an_article_without_a_paragraph_is_refused(text: str, content: str) -> None:
    with pytest.raises(UserError, match=rf"^harbour: holds {content}\."):
        paragraphs_of(plain_article("harbour", text))


def test_many_headings_and_links_in_a_row_take_linear_time() -> None:
    links = [Segment("skipped", "https://example.org/" * 20, "link alone")] * 20_000
    headings = [Segment("heading", "# Trade and Tariffs in the Harbour", "")] * 20_000
    started = time.process_time()
    assert len(merge_skipped(links)) == 1
    last = paragraphs_of(Article("a", (*headings, Segment("body", "They left."))))[0]
    assert len(last.heading) > 600_000
    assert time.process_time() - started < 2


def test_an_article_that_grows_beyond_all_bounds_is_refused() -> None:
    headings = [Segment("heading", "Trade and Tariffs")] * 2000
    bodies = [Segment("body", "They left.")] * 500
    with pytest.raises(UserError, match=r"^a: has more than 10,000,000 characters, headings"):
        paragraphs_of(Article("a", (*headings, *bodies)))
