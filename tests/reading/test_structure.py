"""Paragraphs of plain text, and their kinds: headings, body and boilerplate."""

from __future__ import annotations

import textwrap
import time

import pytest
from hypothesis import given

from paratopic.reading.article import Segment
from paratopic.reading.structure import classify
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


@pytest.mark.parametrize("width", [45, 72, 100])
@pytest.mark.parametrize("hyphens", [True, False])
def test_wrapped_text_between_blank_lines(width: int, hyphens: bool) -> None:
    wrapped = [textwrap.fill(line, width, break_on_hyphens=hyphens) for line in LINES]
    assert pairs("\n\n".join(wrapped)) == DOCUMENT


@pytest.mark.parametrize("width", [60, 100])
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


@pytest.mark.parametrize(
    "text",
    [
        "Am Dienstag sprachen beide Seiten über die Import- und Exportzölle der Union, sagte er.",
        "قال وزير التجارة إن المفاوضات ستستمر حتى الربيع. وأضاف أن الرسوم على الصلب ستبقى كما هي.",
        "የንግድ ሚኒስትሩ ድርድሩ እንደሚቀጥል ተናግረዋል። ጠቅላይ ሚኒስትሩ ደግሞ ቀረጡን ከባድ ስህተት ብለውታል።",
        "वाणिज्य मंत्री ने कहा कि बातचीत जारी रहेगी। प्रधानमंत्री ने इसे गंभीर भूल बताया।",
    ],
)
def test_wrapped_lines_of_other_languages_are_joined(text: str) -> None:
    paragraphs = [text, f"{text} {text}"]
    wrapped = "\n\n".join(textwrap.fill(body, 48, break_on_hyphens=False) for body in paragraphs)
    assert [segment.text for segment in segments_of(wrapped)] == paragraphs
    wrapped = wrapped.replace("Import- und", "Import-\nund")
    assert [segment.text for segment in segments_of(wrapped)] == paragraphs


def test_white_space_is_normalised_and_invisible_characters_are_dropped() -> None:
    text = "\ufeffThe\u00a0talks\u2009\u3000 went\u200b on\u2060 and\t on: ta\u00adriffs."
    assert [segment.text for segment in segments_of(text)] == ["The talks went on and on: tariffs."]


def test_a_long_wrapped_paragraph_takes_linear_time() -> None:
    started = time.process_time()
    line = "the ministers met in the old customs house and said nothing to all\n"
    assert kinds(line * 40_000) == "b"
    assert time.process_time() - started < 3


LONG_TITLE = "Order 7 of May 2, 2031 " + "On the Duties for Timber " * 4 + "and Steel"


@pytest.mark.parametrize(
    "line",
    [
        *("Background", "Trade and Tariffs", "The Harbour Context: Why Here?", "Key Points:"),
        *("What the ministers want", "COVID-19: What We Know", "Risks for the U.S."),
        *("Paying for Goods from Overseas", "Q & A With the Minister"),
        *("# chips and what they cost.", "第一章", "ምን ማለት ነው?"),
        "ปฏิกิริยาจากเบอร์ลิน",
    ],
)
def test_headings(line: str) -> None:
    assert kinds(f"Opening words.\n\n{line}\n\nTalks went on.") == "bhb"


@pytest.mark.parametrize(
    "line",
    [
        *("They left.", "They left.”", "They left.[3]", "Did they leave?", "会谈结束。"),
        *("They want the following:", "steel and timber;", "where they would meet"),
        *("But what did you —", "- Steel", "• Steel", "(a) Steel", "2) Steel", "* * *"),
        *("Q Do you think so", "Q: And Then", "Q—and Then", "THE PRESIDENT: Yes", "DR. STONE: Yes"),
        "A heading would not go on for thirteen words as this one does",
        *("Die Sprecherin sagte: „Wir bleiben.“", "Le ministre a dit : « Nous restons. »"),
        *("El portavoz contestó: «Nos quedamos.»", "发言人回答说：“我们留到星期日。”"),
        *("ሚኒስትሩ ተናግረዋል።", 'उन्होंने कहा, "हम तैयार हैं।"', "وأضاف الوزير،"),
        "双方是否愿意在明年春天以前降低关税，并让边境上的企业自由买卖货物，现在没有人能够回答？",
    ],
)
def test_short_lines_that_are_not_headings(line: str) -> None:
    assert kinds(f"Opening words.\n\n{line}\n\nTalks went on.") == "bbb"


def test_a_long_title_is_a_heading_only_as_the_first_segment() -> None:
    assert kinds(f"{LONG_TITLE}\n\nTalks went on.") == "hb"
    assert kinds(f"Opening words.\n\n{LONG_TITLE}\n\nTalks went on.") == "bbb"
    # Boilerplate above it does not count.
    assert kinds(f"Advertisement\n\n{LONG_TITLE}\n\n{BODIES[0]}") == "shb"


def test_short_lines_of_a_transcript_are_speech() -> None:
    talk = "Ms. Stone: Yes\nMr. Reed: No\nMs. Stone: Why Not\nMr. Reed: Wait\nMs. Stone: Well\n"
    talk += "Mr. Reed: Go on.\nSo I am happy to answer\nPeter?\nOpening of the Harbour\nIt is open."
    headings = [segment.text for segment in segments_of(talk) if segment.kind == "heading"]
    assert headings == ["Opening of the Harbour"]


def test_a_heading_with_no_body_below_it_becomes_body() -> None:
    assert kinds("Talks went on.\n\nConclusion\n\nSources") == "bbb"
    assert segments_of("Conclusion") == [Segment("body", "Conclusion")]
    assert kinds(f"{BODIES[0]}\n\nConclusion\n\n© 2031") == "bbs"  # boilerplate is no body


def test_marks_of_the_format_are_kept() -> None:
    marked = [
        Segment("skipped", "Home", "navigation"),
        Segment("heading", "they left."),
        Segment("body", " Talks\u00a0went on. "),
        Segment("body", "\u200b"),
    ]
    assert classify(marked) == [*marked[:2], Segment("body", "Talks went on.")]
