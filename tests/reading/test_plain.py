"""Layouts of plain text: which lines form a paragraph."""

from __future__ import annotations

import textwrap
import time

import pytest
from hypothesis import given

from tests.reading.texts import LINES, documents, kinds, pairs, segments_of, visible
from tests.samples import BODIES, DOCUMENT


@given(documents)
def test_only_white_space_is_changed(text: str) -> None:
    segments = segments_of(text)
    assert visible("".join(segment.text for segment in segments)) == visible(text)
    for segment in segments:
        assert segment.text and segment.text == " ".join(segment.text.split())


@given(documents)
def test_segments_written_out_and_read_again_are_the_same(text: str) -> None:
    segments = segments_of(text)
    assert segments_of("\n\n".join(segment.text for segment in segments)) == segments


@pytest.mark.parametrize(
    "gap", ["\n", "\n\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\f", "\v"]
)
def test_one_paragraph_a_line_or_between_blank_lines(gap: str) -> None:
    assert pairs(gap.join(LINES)) == DOCUMENT


@pytest.mark.parametrize("width", [45, 60, 72, 80, 100])
@pytest.mark.parametrize("hyphens", [True, False])
def test_wrapped_text_between_blank_lines(width: int, hyphens: bool) -> None:
    wrapped = [textwrap.fill(line, width, break_on_hyphens=hyphens) for line in LINES]
    assert pairs("\n\n".join(wrapped)) == DOCUMENT


@pytest.mark.parametrize("width", [60, 72, 80, 100])
def test_wrapped_text_without_blank_lines(width: int) -> None:
    assert pairs("\n".join(textwrap.fill(line, width) for line in LINES)) == DOCUMENT


def test_text_wrapped_by_hand_with_ragged_lines() -> None:
    text = """\
        The ferry company said on Monday that it would
        add two sailings a day between the islands,
        after farmers complained that their milk was
        spoiling on the quay. Tickets will cost the
        same. The Ministry of Transport, which pays a
        third of the bill, has agreed.

        Fishermen are less pleased."""
    assert kinds(text) == "bb"


def test_short_lines_are_not_joined_as_wrapped_text() -> None:
    assert kinds("Trade and Tariffs\nTalks went on.\nSteel\nThey ended on Friday night.") == "hbhb"
    assert kinds(f"{BODIES[0]} {BODIES[1]}\nshort and small\nas is this") == "bbb"


def test_list_items_in_wrapped_text_are_separate() -> None:
    text = f"{textwrap.fill(BODIES[0], 60)}\n- cut the duties on timber\n- meet again\n2. go home"
    items = ["- cut the duties on timber", "- meet again", "2. go home"]
    assert [segment.text for segment in segments_of(text)][1:] == items


def test_a_compound_broken_at_its_hyphen_is_joined_but_not_a_suspended_hyphen() -> None:
    text = "The ministers want an answer for the long-\nterm, and both a short-\nand a middle one."
    assert [segment.text for segment in segments_of(text)] == [
        "The ministers want an answer for the long-term, and both a short- and a middle one."
    ]


def test_white_space_is_normalised_and_invisible_characters_are_dropped() -> None:
    text = "\ufeffThe\u00a0talks\u2009\u3000 went\u200b on\u2060 and\t on: ta\u00adriffs."
    assert [segment.text for segment in segments_of(text)] == ["The talks went on and on: tariffs."]


def test_a_long_wrapped_paragraph_takes_linear_time() -> None:
    started = time.process_time()
    line = "the ministers met in the old customs house and said nothing to all\n"
    assert kinds(line * 40_000) == "b"
    assert time.process_time() - started < 3
