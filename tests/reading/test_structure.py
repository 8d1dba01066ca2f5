"""Which segments are headings, body paragraphs and boilerplate."""

from __future__ import annotations

import pytest

from paratopic.reading.article import Segment
from paratopic.reading.structure import classify
from tests.reading.texts import kinds, segments_of
from tests.samples import BODIES

LONG_TITLE = "Order 7 of May 2, 2031 " + "On the Duties for Timber " * 4 + "and Steel"


@pytest.mark.parametrize(
    "line",
    [
        *("Background", "Trade and Tariffs", "The Harbour Context: Why Here?", "Key Points:"),
        *("What the ministers want", "COVID-19: What We Know", "Risks for the U.S."),
        *("Paying for Goods from Overseas", "Q & A With the Minister"),
        *("# chips and what they cost.", "第一章"),
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


def test_what_the_format_marks_is_kept() -> None:
    marked = [
        Segment("skipped", "Home", "navigation"),
        Segment("heading", "they left."),
        Segment("body", " Talks\u00a0went on. "),
        Segment("body", "\u200b"),
    ]
    assert classify(marked) == [*marked[:2], Segment("body", "Talks went on.")]
