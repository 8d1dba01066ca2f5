"""Layouts, encodings, errors and ids of `paratopic.articles`, on made-up texts and on the seed."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.project.errors import UserError
from paratopic.project.files import decode
from paratopic.reading.article import (
    Paragraph,
    Segment,
    paragraph_id,
    paragraphs_of,
    skipped_of,
)
from paratopic.reading.files import read_file
from paratopic.reading.plain import segments
from tests.programs import ROOT
from tests.samples import BODIES, DOCUMENT, plain_article

SEED = ROOT / "seeds" / "us-china-talks-madrid-2025-09-15.txt"

LINES = [text for _, text in DOCUMENT]

sentences = st.sampled_from(BODIES).flatmap(
    lambda body: st.integers(3, 20).map(lambda n: " ".join(body.split()[:n]).strip(",.;") + ".")
)
odd_lines = st.one_of(
    sentences,
    st.sampled_from(["Trade and Tariffs", "# Chips", "- a point", "Q Do you think so", "…", "x-"]),
    st.text(alphabet="aB-é.:#•字\u00a0\u3000\u200b\u00ad\ufeff\u2060\t 1", max_size=30),
    st.text(max_size=10),
)
line_breaks = st.sampled_from(
    ["\n", "\n\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\f", "\v", "\n \u00a0\n"]
)
documents = st.one_of(
    st.lists(st.tuples(odd_lines, line_breaks)).map(lambda parts: "".join(sum(parts, ()))),
    st.builds(
        lambda paragraphs, width, gap: gap.join(textwrap.fill(p, width) for p in paragraphs),
        st.lists(st.sampled_from(LINES), max_size=8),
        st.integers(20, 130),
        line_breaks,
    ),
)


def pairs(text: str) -> list[tuple[str, str]]:
    return [(segment.kind, segment.text) for segment in segments(text)]


def kinds(text: str) -> str:
    return "".join(segment.kind[0] for segment in segments(text))


def visible(text: str) -> str:
    return re.sub(r"[\s\u200b\u2060\ufeff\u00ad]", "", text)


# --- what holds of every text


@given(documents)
def test_only_white_space_is_changed(text: str) -> None:
    assert visible("".join(s.text for s in segments(text))) == visible(text)
    for segment in segments(text):
        assert segment.text and segment.text == " ".join(segment.text.split())


@given(documents)
def test_segments_of_the_rendered_segments_are_the_same(text: str) -> None:
    once = segments(text)
    assert segments("\n\n".join(s.text for s in once)) == once


@given(documents)
def test_text_never_ends_in_a_heading_and_positions_count_up(text: str) -> None:
    if not visible(text):
        return
    assert segments(text)[-1].kind == "body"
    paragraphs = paragraphs_of(plain_article("a", text))
    assert [p.position for p in paragraphs] == list(range(len(paragraphs)))
    assert len({p.id for p in paragraphs}) == len(paragraphs)


@given(st.lists(sentences, min_size=1, max_size=8), st.data())
def test_inserting_a_paragraph_moves_nobodys_id(texts: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(texts)))
    longer = [*texts[:at], "Nobody wrote this before.", *texts[at:]]
    before = [p.id for p in paragraphs_of(plain_article("a", "\n\n".join(texts)))]
    after = [p.id for p in paragraphs_of(plain_article("a", "\n\n".join(longer)))]
    assert after[:at] + after[at + 1 :] == before


# --- layouts


@pytest.mark.parametrize(
    "gap", ["\n", "\n\n", "\r\n", "\r", "\u2028", "\u2029", "\x85", "\f", "\v"]
)
def test_a_paragraph_a_line_and_blank_lines(gap: str) -> None:
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


def test_short_lines_are_not_taken_for_wrapped_text() -> None:
    assert kinds("Trade and Tariffs\nTalks went on.\nSteel\nThey ended on Friday night.") == "hbhb"
    assert kinds(f"{BODIES[0]} {BODIES[1]}\nshort and small\nas is this") == "bbb"


def test_list_items_of_wrapped_text_stand_alone() -> None:
    text = f"{textwrap.fill(BODIES[0], 60)}\n- cut the duties on timber\n- meet again\n2. go home"
    assert [s.text for s in segments(text)][1:] == [
        "- cut the duties on timber",
        "- meet again",
        "2. go home",
    ]


def test_a_word_cut_at_its_hyphen_is_whole_again_but_a_hanging_hyphen_is_not() -> None:
    text = "The ministers want an answer for the long-\nterm, and both a short-\nand a middle one."
    assert [s.text for s in segments(text)] == [
        "The ministers want an answer for the long-term, and both a short- and a middle one."
    ]


def test_odd_spaces_become_one_and_the_invisible_goes() -> None:
    text = "\ufeffThe\u00a0talks\u2009\u3000 went\u200b on\u2060 and\t on: ta\u00adriffs."
    assert [s.text for s in segments(text)] == ["The talks went on and on: tariffs."]


# --- headings


@pytest.mark.parametrize(
    "line",
    [
        "Background",
        "Trade and Tariffs",
        "The Harbour Context: Why Here?",
        "Key Points:",
        "What the ministers want",
        "COVID-19: What We Know",
        "Risks for the U.S.",
        "Paying for Goods from Overseas",
        "Q & A With the Minister",
        "# chips and what they cost.",
        "第一章",
    ],
)
def test_headings(line: str) -> None:
    assert kinds(f"Opening words.\n\n{line}\n\nTalks went on.") == "bhb"


@pytest.mark.parametrize(
    "line",
    [
        "They left.",
        "They left.”",
        "They left.[3]",
        "Did they leave?",
        "They want the following:",
        "steel and timber;",
        "where they would meet",
        "But what did you —",
        "- Steel",
        "• Steel",
        "(a) Steel",
        "2) Steel",
        "Q Do you think so",
        "Q: And Then",
        "Q—and Then",
        "THE PRESIDENT: Yes",
        "DR. STONE: Yes",
        "* * *",
        "A heading would not go on for thirteen words as this one does",
        "会谈结束。",
    ],
)
def test_not_headings(line: str) -> None:
    assert kinds(f"Opening words.\n\n{line}\n\nTalks went on.") == "bbb"


def test_the_first_block_may_be_a_long_title() -> None:
    title = "Order 7 of May 2, 2031 " + "On the Duties for Timber " * 4 + "and Steel"
    assert kinds(f"{title}\n\nTalks went on.") == "hb"
    assert kinds(f"Opening words.\n\n{title}\n\nTalks went on.") == "bbb"


def test_in_a_transcript_short_lines_are_speech() -> None:
    talk = "Ms. Stone: Yes\nMr. Reed: No\nMs. Stone: Why Not\nMr. Reed: Wait\nMs. Stone: Well\n"
    talk += "Mr. Reed: Go on.\nSo I am happy to answer\nPeter?\nOpening of the Harbour\nIt is open."
    assert [s.text for s in segments(talk) if s.kind == "heading"] == ["Opening of the Harbour"]


def test_a_heading_with_nothing_below_it_is_body() -> None:
    assert kinds("Talks went on.\n\nConclusion\n\nSources") == "bbb"
    assert segments("Conclusion") == [Segment("body", "Conclusion")]


# --- split


def test_paragraphs_know_their_heading_and_position() -> None:
    text = "Opening words.\n\n# Key Issues\n\n## Trade\n\nOne.\n\nTwo.\n\nChips\n\nThree."
    article = plain_article("harbour", text)
    assert [(p.heading, p.position, p.text) for p in paragraphs_of(article)] == [
        ("", 0, "Opening words."),
        ("Key Issues / Trade", 1, "One."),
        ("Key Issues / Trade", 2, "Two."),
        ("Chips", 3, "Three."),
    ]
    assert paragraphs_of(article)[0] == Paragraph(
        paragraph_id("harbour", "Opening words."), "harbour", "", 0, "Opening words."
    )


def test_ids_are_ten_hex_digits_of_the_normalised_text() -> None:
    assert re.fullmatch(r"harbour:[0-9a-f]{10}", paragraph_id("harbour", "Café."))
    assert paragraph_id("harbour", "Cafe\u0301.") == paragraph_id("harbour", "Caf\u00e9.")
    assert paragraph_id("harbour", "Café.") != paragraph_id("harbour", "Cafe.")


def test_the_same_paragraph_again_gets_a_number() -> None:
    one = paragraph_id("a", "(Applause.)")
    ids = [
        p.id
        for p in paragraphs_of(plain_article("a", "(Applause.)\nYes.\n(Applause.)\n(Applause.)"))
    ]
    assert ids == [one, paragraph_id("a", "Yes."), f"{one}-2", f"{one}-3"]


@pytest.mark.parametrize("text", ["", " \n\u00a0\n", "\u200b\ufeff"])
def test_split_refuses_an_article_without_text(text: str) -> None:
    with pytest.raises(UserError, match="^harbour: holds no text. Give an article with at least"):
        paragraphs_of(plain_article("harbour", text))


# --- bytes


@pytest.mark.parametrize(
    "data",
    [
        "“Café,” he said.\r\n".encode(),
        "\ufeff“Café,” he said.\r\n".encode(),
        b"\xff\xfe" + "“Café,” he said.\r\n".encode("utf-16-le"),
        b"\xfe\xff" + "“Café,” he said.\r\n".encode("utf-16-be"),
        "“Café,” he said.\r\n".encode("cp1252"),
    ],
    ids=["utf-8", "utf-8 with BOM", "utf-16-le", "utf-16-be", "cp1252"],
)
def test_encodings(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cafe.v2.txt"
    path.write_bytes(data)
    assert decode(data, "standard input") == "“Café,” he said.\r\n"
    assert read_file(path) == plain_article("cafe.v2", "“Café,” he said.\r\n")


def test_every_line_break_and_tab_is_text() -> None:
    text = "a\tb\nc\rd\r\ne\x0bf\x0cg\x85h\u2028i\u2029j\u00a0k"
    assert decode(text.encode(), "x") == text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.txt: holds no text. Give a file with at least one paragraph."),
        (b" \r\n\t", "x.txt: holds no text."),
        ("\ufeff\u00a0\u200b".encode(), "x.txt: holds no text."),
        (
            b"caf\xe9 \x81",
            "x.txt: is neither UTF-8 nor cp1252 (Windows) text: byte 5 is 0x81. Save",
        ),
        ("Café ".encode() + b"\xe9 x", "x.txt: is not valid UTF-8 at byte 6. The file is damaged"),
        (b"\xef\xbb\xbfcaf\xe9", "x.txt: is not valid UTF-8 at byte 6."),
        (b"\xff\xfea\x00b", "x.txt: is not valid UTF-16-LE at byte 4."),
        (b"PK\x03\x04", "x.txt: is not plain text: control character U+0003 at byte 2. Give"),
        ("é\0".encode(), "x.txt: is not plain text: control character U+0000 at byte 2."),
        (b"\xef\xbb\xbfa\x1b", "control character U+001B at byte 4."),
        (b"\xfe\xff\x00a\x00\x07", "control character U+0007 at byte 4."),
        ("ab".encode("utf-16-le"), "control character U+0000 at byte 1."),
    ],
)
def test_bytes_that_are_no_text(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        decode(data, "x.txt")


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"gone\.txt: no such file\. Check the name"):
        read_file(tmp_path / "gone.txt")
    with pytest.raises(UserError, match=r": is a folder\. Name the text files inside it"):
        read_file(tmp_path)
    (tmp_path / "empty.txt").touch()
    with pytest.raises(UserError, match=r"empty\.txt: holds no text"):
        read_file(tmp_path / "empty.txt")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"empty\.txt: cannot be read: Permission denied\. Check"):
        read_file(tmp_path / "empty.txt")


# --- the seed


@pytest.mark.skipif(not SEED.exists(), reason="the tests run without the project's seeds")
def test_the_seed_article() -> None:
    article = read_file(SEED)
    assert (
        "".join(segment.kind[0] for segment in article.segments)
        == "bbhbbbhhbbbhbbbbhbbbhbbhbbbbhbbbhb"
    )
    paragraphs = paragraphs_of(article)
    assert len(paragraphs) == 25
    assert list(dict.fromkeys(p.heading for p in paragraphs)) == [
        "",
        "Background: A Relationship Under Strain",
        "Key Issues on the Table / Trade and Tariffs",
        "TikTok and Technology Restrictions",
        "Geopolitical and Security Concerns",
        "The Madrid Context: Why Spain?",
        "Challenges and Expectations",
        "The Global Implications",
        "Conclusion",
    ]


@pytest.mark.skipif(not SEED.exists(), reason="the tests run without the project's seeds")
def test_the_labels_of_the_seed_hang_on_all_of_its_paragraphs() -> None:
    article = read_file(SEED)
    lines = SEED.with_name("labels.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [p.id for p in paragraphs_of(article)] == [line.partition(",")[0] for line in lines]
    assert skipped_of(article) == []
