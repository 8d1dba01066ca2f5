"""PDFs: paragraphs across lines, columns and pages, and skipped text."""

from __future__ import annotations

import random
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pdfminer.fontmetrics import FONT_METRICS

from paratopic.project.errors import UserError
from paratopic.reading.article import skipped_of
from paratopic.reading.article_files import read_file
from paratopic.reading.pdf import Hyphens, pdf_fields, pdf_segments
from tests.documents import SAMPLES, Text, kept_segments, pdf, save
from tests.samples import BODIES

WIDTHS = FONT_METRICS["Helvetica"][1]
LOCKED = (
    f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{'00' * 32}> /U <{'00' * 32}> >> "
    "/ID [<00> <00>]"
)


def fill(text: str, width: float, indent: float = 0.0) -> list[str]:
    """Break a text into lines of 10-point Helvetica, each as long as the width allows."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        room = width - indent if len(lines) == 1 else width
        if lines[-1] and sum(WIDTHS.get(letter, 556) for letter in longer) / 100 > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def typeset(
    document: list[tuple[str, str]], width: float, rows: int, gap: float, indent: float
) -> list[list[Text]]:
    """Set pages with a running header, page numbers, headings in larger type and filled lines."""
    pages: list[list[Text]] = [[]]
    y = 700.0

    def put(left: float, size: float, font: str, text: str, down: float) -> None:
        nonlocal y
        # Without indents, a page must not end in a full line that ends a paragraph: the beginning
        # of the next paragraph could not be recognised.
        if y < 700 - rows * 14 and (indent or not text[0].isupper()):
            pages.append([])
            y = 700.0
        pages[-1].append((left, y, size, font, text))
        y -= down

    for kind, text in document:
        if kind == "heading":
            put(72, 16, "B", text, 24)
            continue
        lines = fill(text, width, indent)
        for number, line in enumerate(lines):
            left = 72 if number else 72 + indent
            down = 14 if number < len(lines) - 1 else 14 + gap
            put(left, 10, "F", line, down)
    for number, page in enumerate(pages, start=1):
        page += [(72, 760, 8, "F", "Harbour Press"), (300, 30, 8, "F", f"- {number} -")]
    return pages


def made_up_paragraphs(
    count: int, rng: random.Random, least_words: int = 14
) -> list[tuple[str, str]]:
    """Paragraphs without common lines, which would look like running headers."""
    words = " ".join(BODIES).replace(".", "").split()
    texts = [" ".join(rng.choices(words, k=rng.randrange(least_words, 90))) for _ in range(count)]
    return [("body", f"{text[0].upper()}{text[1:].strip(',;')}.") for text in texts]


def texts(data: bytes) -> list[str]:
    return [segment.text for segment in pdf_segments(data, "a.pdf")]


def in_lines(lines: list[str], left: float = 72) -> list[Text]:
    return [(left, 700 - 14 * number, 10, "F", line) for number, line in enumerate(lines)]


@given(
    st.integers(2, 12),
    st.integers(250, 450),
    st.integers(6, 30),
    st.sampled_from([(8.0, 0.0), (0.0, 12.0), (8.0, 12.0)]),
    st.integers(0, 999).map(random.Random),
)
@settings(max_examples=40)
def test_paragraphs_are_whole_wherever_lines_and_pages_end(
    count: int, width: float, rows: int, layout: tuple[float, float], rng: random.Random
) -> None:
    # Indented paragraphs of one line look like a quotation, so indented ones have at least two.
    bodies = made_up_paragraphs(count, rng, 14 if layout[0] else 28)
    document = [("heading", "Harbour Talks Open"), *bodies[:1], ("heading", "Steel"), *bodies[1:]]
    pages = typeset(document, width, rows, *layout)
    segments = pdf_segments(pdf(pages), "x.pdf")
    assert [(s.kind, s.text) for s in segments if s.kind != "skipped"] == document
    skipped = " | ".join(segment.text for segment in segments if segment.kind == "skipped")
    assert skipped.count("Harbour Press") == len(pages) or len(pages) == 1


def test_two_columns_and_a_title_across_them(tmp_path: Path) -> None:
    title, columns = (
        "Harbour Talks Open and Nobody Says for How Long",
        [" ".join(BODIES[:2]), BODIES[2]],
    )
    page = [(72.0, 740.0, 20.0, "B", title), *in_lines(fill(columns[0], 200))]
    page += in_lines(fill(columns[1], 200), 320)
    expected = [("heading", title), *(("body", column) for column in columns)]
    assert kept_segments(save(tmp_path, "a.pdf", pdf([page]))) == expected


def test_words_broken_at_the_end_of_lines_are_mended_and_compounds_are_not() -> None:
    lines = [
        "The ministers of both islands came to the nego-",
        "tiations with little hope for a long-",
        "term answer, and the nego-",
        "tiations ended. The negotiations were about steel.",
    ]
    assert texts(pdf([in_lines(lines)])) == [
        "The ministers of both islands came to the negotiations with little hope for a "
        "long-term answer, and the negotiations ended. The negotiations were about steel."
    ]


def test_headers_of_browsers_small_print_and_empty_pages_are_skipped(tmp_path: Path) -> None:
    page = typeset([("body", BODIES[0])], 400, 30, 8, 0)[0][:-2]
    page += [
        (72, 770, 8, "F", "9/15/31, 10:04 AM"),
        (200, 770, 8, "F", "Harbour Talks Open"),
        (72, 20, 8, "F", "https://example.org/harbour"),
        (500, 20, 8, "F", "1/1"),
        (72, 600, 7, "F", "The harbour at dawn"),
    ]
    path = save(tmp_path, "a.pdf", pdf([page, []]))
    assert kept_segments(path) == [("body", BODIES[0])]
    reasons = [(part.text.split(" ")[0], part.reason) for part in skipped_of(read_file(path))]
    assert ("The", "small print") in reasons
    assert ("page", "page without text") in reasons
    assert ("9/15/31,", "running header or footer") in reasons


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pdf([[], []]), "has no text"),
        (b"Talks went on.", "cannot be read as PDF"),
        (SAMPLES[".pdf"][:40], ".*"),
        (pdf([[]], LOCKED), "is encrypted"),
    ],
    ids=["scanned", "plain text", "cut off", "encrypted"],
)
def test_pdfs_that_cannot_be_read_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=f"^a.pdf: {message}"):
        pdf_segments(data, "a.pdf")


def test_type_and_pages_of_any_size_are_read() -> None:
    page: list[Text] = [(72, y, 0.1, "F", "Talks went on.") for y in (700, 600)]
    assert texts(pdf([page])) == ["Talks went on. Talks went on."]
    for box in (b"0 0 0 0", b"0 0 900000000 900000000"):
        assert texts(SAMPLES[".pdf"].replace(b"0 0 612 792", box)) == ["Talks went on."]


@pytest.mark.parametrize("place", [(9e10, 700.0), (-9e10, 9e10), (72.0, -9e10)])
def test_text_far_off_the_page_is_read(place: tuple[float, float]) -> None:
    page: list[Text] = [(72, 700, 10, "F", "Talks went on."), (*place, 10, "F", "They ended.")]
    words = " ".join(texts(pdf([page]))).split()
    assert sorted(words) == sorted("Talks went on. They ended.".split())


def test_long_paragraphs_take_linear_time() -> None:
    hyphens = Hyphens([])
    started = time.process_time()
    text = hyphens.join_all(["the ministers met in the old customs house and said noth-"] * 20_000)
    assert text.endswith("noth-the ministers met in the old customs house and said noth-")
    hyphens.join("a" * 100_000, "b")
    assert time.process_time() - started < 3


def with_letters(cmap: str) -> bytes:
    data = SAMPLES[".pdf"].replace(b"/Encoding /WinAnsiEncoding", b"/ToUnicode 7 0 R", 1)
    stream = f"7 0 obj\n<< /Length {len(cmap)} >>\nstream\n{cmap}\nendstream\nendobj\nxref\n"
    return data.replace(b"xref\n", stream.encode(), 1)


def test_half_a_letter_becomes_a_replacement_character() -> None:
    data = with_letters("begincmap 1 beginbfrange <54> <54> [55296] endbfrange endcmap")
    assert texts(data) == ["\ufffdalks went on."]


def test_letters_from_right_to_left_are_refused() -> None:
    letters = " ".join(["1576"] * 58)  # an Arabic letter for each from A to z
    data = with_letters(f"begincmap 1 beginbfrange <41> <7a> [{letters}] endbfrange endcmap")
    with pytest.raises(UserError, match=r"right to left.* \.docx"):
        texts(data)


@pytest.mark.parametrize(
    ("lines", "between"),
    [
        (["总理称这是", "“严重的错误”。产量为", "740万吨，上一年为", "710万吨。"], ""),
        (["経済産業大臣は、", "交渉は続くと語った。"], ""),
        (["Xinhua (新华社)", "said so in 北京", "on Monday."], " "),
        (["무역 협상이", "계속됐다."], " "),
    ],
)
def test_lines_of_chinese_are_joined_without_a_blank(lines: list[str], between: str) -> None:
    assert Hyphens([]).join_all(lines) == between.join(lines)


def with_content(stream: bytes) -> bytes:
    """A PDF of one page whose content is a compressed stream."""
    start = SAMPLES[".pdf"].split(b"6 0 obj")[0]
    head = f"6 0 obj\n<< /Filter /FlateDecode /Length {len(stream)} >>\nstream\n".encode()
    return start + head + stream + b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>"


@pytest.mark.parametrize("lost", [0, 6])
def test_packed_pages_are_read_even_if_their_end_is_damaged(lost: int) -> None:
    stream = zlib.compress(b"BT /F 10 Tf 72 700 Td (Talks went on.) Tj ET " + b" " * 2_000_000)
    data = with_content(stream[: len(stream) - lost])
    assert texts(data)[0] == "Talks went on."


@pytest.mark.parametrize(
    ("info", "date", "author"),
    [
        ("/CreationDate (D:20250915100430+02'00') /Author (Jane Doe)", "2025-09-15", "Jane Doe"),
        ("/CreationDate (D:202509) /Author /Jane", "2025-09", None),
        ("/CreationDate (Monday)", None, None),
        ("", None, None),
    ],
)
def test_date_and_author_of_a_pdf(info: str, date: str | None, author: str | None) -> None:
    data = pdf([[(72, 700, 10, "F", "Talks went on.")]], f"/Info << {info} >>" if info else "")
    assert pdf_fields(data) == {"date": date, "author": author}
