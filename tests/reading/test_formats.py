"""Web pages, Word documents and PDFs as articles, and the errors of each."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import docx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pdfminer.fontmetrics import FONT_METRICS

from paratopic.project.errors import UserError
from paratopic.reading.article import paragraphs_of, skipped_of
from paratopic.reading.files import READERS, SUFFIXES, find_files, read_file
from paratopic.reading.html import OUTSIDE
from paratopic.reading.pdf import pdf_segments
from tests.documents import PAGE, SAMPLES, Text, html, pdf
from tests.samples import BODIES, DOCUMENT

AROUND = {
    "Home | World | Sport": "navigation",
    "By Jane Doe, Reuters": "byline",
    "The harbour at dawn": "caption or credit",
    "Minister resigns | Bread is dearer": "aside",
    "© 2031 Harbour Press": "footer",
}


def written(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def shown(path: Path) -> list[tuple[str, str]]:
    """Kinds and texts of a file's segments."""
    segments = read_file(path).segments
    return [(s.kind, s.text) for s in segments if s.kind != "skipped"]


# --- web pages


def test_a_page_is_its_article_and_the_rest_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "news.html", PAGE)
    assert shown(path) == DOCUMENT
    told = skipped_of(read_file(path))
    assert {part.text: part.reason for part in told} == AROUND
    assert [part.position for part in told] == [0, 0, 1, 2, 3]
    assert paragraphs_of(read_file(path))[0].article == "news"


def test_pages_of_one_byte_encodings(tmp_path: Path) -> None:
    quoted = html(
        f"<article><h1>Café</h1>{''.join(f'<p>“{body}”</p>' for body in BODIES)}</article>",
        '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">',
    )
    expected = [("heading", "Café")] + [("body", f"“{body}”") for body in BODIES]
    for name, data in (
        ("declared.htm", quoted.encode("cp1252")),
        ("undeclared.html", quoted.replace("charset=", "").encode("cp1252")),
        ("wrongly.html", quoted.replace("iso-8859-1", "ascii-7").encode()),
        ("marked.html", b"\xef\xbb\xbf" + quoted.encode()),
        ("other.html", quoted.replace("iso-8859-1", "utf-16").encode("utf-16")),
        ("russian.html", quoted.replace("iso-8859-1", "cp1251").replace("é", "е").encode("cp1251")),
    ):
        found = shown(written(tmp_path, name, data))
        assert [(k, t.replace("Cafе", "Café")) for k, t in found] == expected, name


def test_two_breaks_end_a_paragraph_and_a_list_keeps_its_items(tmp_path: Path) -> None:
    page = html(
        f"<article>{BODIES[0]}<br><br>{BODIES[1]}<br/>They left.<p>The islands want this:</p>"
        "<ul><li>lower duties on steel and timber</li><li>Another meeting in the spring</li></ul>"
        f"<p>{BODIES[2]}</p></article>"
    )
    assert shown(written(tmp_path, "a.html", page)) == [
        ("body", BODIES[0]),
        ("body", f"{BODIES[1]} They left."),
        ("body", "The islands want this:"),
        ("body", "- lower duties on steel and timber"),
        ("body", "- Another meeting in the spring"),
        ("body", BODIES[2]),
    ]


def test_a_wiki_page(tmp_path: Path) -> None:
    page = html(
        f"<div id=content><h1>Harbour talks</h1><p>{BODIES[0]}<sup><a href='#n1'>[1]</a></sup></p>"
        "<div id=toc><h2>Contents</h2><ul><li>1 Steel</li></ul></div>"
        "<h2><span>Steel</span><span class='mw-editsection'>[<a href=/e>edit</a>]</span></h2>"
        f"<p>{BODIES[1]}</p><p>{BODIES[2]}</p><h2>References</h2>"
        "<ol class='small references'><li id=n1>Doe, Jane: The Talks, 2031.</li></ol></div>"
    )
    path = written(tmp_path, "a.html", page)
    assert shown(path) == [
        ("heading", "Harbour talks"),
        ("body", BODIES[0]),
        ("heading", "Steel"),
        ("body", BODIES[1]),
        ("body", BODIES[2]),
    ]
    told = [(part.text, part.reason) for part in skipped_of(read_file(path))]
    assert told == [
        ("Contents | 1 Steel", "navigation"),
        ("References", OUTSIDE),
        ("Doe, Jane: The Talks, 2031.", "note"),
    ]


def test_a_page_saved_behind_an_open_dialog(tmp_path: Path) -> None:
    page = PAGE.replace(
        "<main>", '<div role="dialog">Accept cookies?</div><main aria-hidden="true">'
    )
    path = written(tmp_path, "a.html", page)
    assert shown(path) == DOCUMENT
    assert ("Accept cookies?", "dialog") in [
        (s.text, s.reason) for s in skipped_of(read_file(path))
    ]


# --- Word


def test_a_word_document(tmp_path: Path) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Harbour Press"
    for number, (kind, text) in enumerate(DOCUMENT):
        if kind == "heading":
            document.add_heading(text, level=min(number, 2))
        else:
            paragraph = document.add_paragraph(text[:20])
            paragraph.add_run(text[20:]).bold = True
    document.add_paragraph("The harbour at dawn", style="Caption")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Steel", "12"
    document.add_paragraph("Timber", style="List Bullet")
    document.save(str(tmp_path / "news.docx"))
    assert shown(tmp_path / "news.docx") == [*DOCUMENT, ("body", "- Timber")]
    assert [(part.text, part.reason) for part in skipped_of(read_file(tmp_path / "news.docx"))] == [
        ("The harbour at dawn", "caption or credit"),
        ("Steel | 12", "table"),
    ]


# --- PDF

WIDTHS = FONT_METRICS["Helvetica"][1]


def wrapped(text: str, width: float, indent: float = 0.0) -> list[str]:
    """Lines of 10-point Helvetica, each filled as far as it goes."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        room_left = width - indent * (len(lines) == 1)
        if lines[-1] and sum(WIDTHS.get(letter, 556) for letter in longer) / 100 > room_left:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def typeset(
    document: list[tuple[str, str]], width: float, rows: int, gap: float, indent: float
) -> list[list[Text]]:
    """Pages with a running header, page numbers, headings in larger type and text in lines."""
    pages: list[list[Text]] = [[]]
    y = 700.0

    def put(left: float, size: float, font: str, text: str, down: float) -> None:
        nonlocal y
        # Without an indent nobody can say whether a full line above a page's end was the last one.
        if y < 700 - rows * 14 and (indent or not text[0].isupper()):
            pages.append([])
            y = 700.0
        pages[-1].append((left, y, size, font, text))
        y -= down

    for kind, text in document:
        if kind == "heading":
            put(72, 16, "B", text, 24)
            continue
        lines = wrapped(text, width, indent)
        for number, line in enumerate(lines):
            last = number == len(lines) - 1
            put(72 + indent * (number == 0), 10, "F", line, 14 + gap * last)
    for number, page in enumerate(pages, start=1):
        page += [(72, 760, 8, "F", "Harbour Press"), (300, 30, 8, "F", f"- {number} -")]
    return pages


def made_up(number: int, rng: random.Random) -> list[tuple[str, str]]:
    """Paragraphs that have no line in common, which would look like a running header."""
    words = " ".join(BODIES).replace(".", "").split()
    texts = [" ".join(rng.choices(words, k=rng.randrange(14, 90))) for _ in range(number)]
    return [("body", f"{text[0].upper()}{text[1:].strip(',;')}.") for text in texts]


@given(
    st.integers(2, 12),
    st.integers(250, 450),
    st.integers(6, 30),
    st.sampled_from([(8.0, 0.0), (0.0, 12.0), (8.0, 12.0)]),
    st.integers(0, 999).map(random.Random),
)
@settings(max_examples=40, deadline=None)
def test_paragraphs_of_a_pdf_are_whole_wherever_lines_and_pages_end(
    number: int, width: float, rows: int, layout: tuple[float, float], rng: random.Random
) -> None:
    bodies = made_up(number, rng)
    document = [("heading", "Harbour Talks Open"), *bodies[:1], ("heading", "Steel"), *bodies[1:]]
    pages = typeset(document, width, rows, *layout)
    found = pdf_segments(pdf(pages), "x.pdf")
    assert [(s.kind, s.text) for s in found if s.kind != "skipped"] == document
    told = " | ".join(s.text for s in found if s.kind == "skipped")
    assert told.count("Harbour Press") == len(pages) or len(pages) == 1


def test_two_columns_and_a_title_across_them(tmp_path: Path) -> None:
    page: list[Text] = [(72, 740, 20, "B", "Harbour Talks Open and Nobody Says for How Long")]
    columns = [BODIES[0] + " " + BODIES[1], BODIES[2]]
    for left, text in zip((72, 320), columns, strict=True):
        for number, line in enumerate(wrapped(text, 200)):
            page.append((left, 700 - 14 * number, 10, "F", line))
    assert shown(written(tmp_path, "a.pdf", pdf([page]))) == [
        ("heading", "Harbour Talks Open and Nobody Says for How Long"),
        ("body", columns[0]),
        ("body", columns[1]),
    ]


def test_words_broken_at_the_end_of_lines_are_mended_and_compounds_are_not(tmp_path: Path) -> None:
    lines = [
        "The ministers of both islands came to the nego-",
        "tiations with little hope for a long-",
        "term answer, and the nego-",
        "tiations ended. The negotiations were about steel.",
    ]
    page: list[Text] = [(72, 700 - 14 * n, 10, "F", line) for n, line in enumerate(lines)]
    assert shown(written(tmp_path, "a.pdf", pdf([page]))) == [
        (
            "body",
            "The ministers of both islands came to the negotiations with little hope for a "
            "long-term answer, and the negotiations ended. The negotiations were about steel.",
        )
    ]


def test_what_browsers_print_around_a_page_and_small_print(tmp_path: Path) -> None:
    page = typeset([("body", BODIES[0])], 400, 30, 8, 0)[0][:-2]
    page += [
        (72, 770, 8, "F", "9/15/31, 10:04 AM"),
        (200, 770, 8, "F", "Harbour Talks Open"),
        (72, 20, 8, "F", "https://example.org/harbour"),
        (500, 20, 8, "F", "1/1"),
        (72, 600, 7, "F", "The harbour at dawn"),
    ]
    path = written(tmp_path, "a.pdf", pdf([page, []]))
    assert shown(path) == [("body", BODIES[0])]
    reasons = [(part.text.split(" ")[0], part.reason) for part in skipped_of(read_file(path))]
    assert ("The", "small print") in reasons and ("page", "page without text") in reasons
    assert ("9/15/31,", "running header or footer") in reasons


# --- errors


def test_files_that_are_no_articles(tmp_path: Path) -> None:
    whole = pdf([[(72, 700, 10, "F", "Talks went on.")]])
    document = docx.Document()
    document.add_paragraph("Talks went on.")
    document.save(str(tmp_path / "whole.docx"))
    data = (tmp_path / "whole.docx").read_bytes()
    docx.Document().save(str(tmp_path / "nothing.docx"))
    locked = "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{0}> /U <{0}> >> /ID [<00> <00>]"
    for name, content, told in (
        ("empty.html", b"", "is empty. Give a file with at least one paragraph"),
        ("empty.pdf", b" \n", "is empty"),
        ("hollow.html", html("<div id=root></div><script>go()</script>"), "no article found in"),
        ("menu.html", html("<nav><a href=/>Home</a></nav>"), "no article found in this page"),
        ("binary.html", b"\x00\x01" * 50, "is not plain text"),
        ("cut.docx", data[: len(data) // 2], "is no whole Word document"),
        ("other.docx", b"PK", "is no whole Word document"),
        ("nothing.docx", (tmp_path / "nothing.docx").read_bytes(), "holds no text"),
        ("old.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "is encrypted, or an old"),
        ("scan.pdf", pdf([[], []]), "only pictures of it: it was probably scanned"),
        ("text.pdf", b"Talks went on.", "cannot be read as PDF"),
        ("cut.pdf", whole[:40], "It is damaged or cut off"),
        ("locked.pdf", pdf([[]], locked.format("00" * 32)), "is encrypted. Save it without"),
    ):
        path = written(tmp_path, name, content)
        with pytest.raises(UserError) as raised:
            paragraphs_of(read_file(path))
        assert str(raised.value).startswith(str(path)) and told in str(raised.value), name
    with pytest.raises(UserError, match=r"gone\.pdf: no such file"):
        read_file(tmp_path / "gone.pdf")


@given(st.integers(0, 2**32), st.sampled_from(["a.html", "a.pdf", "a.docx"]))
@settings(max_examples=40, deadline=None)
def test_damaged_files_end_in_an_answer_or_one_message(seed: int, name: str) -> None:
    rng = random.Random(seed)
    data = bytearray(SAMPLES[Path(name).suffix])
    for _ in range(rng.randrange(1, 20)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        READERS[Path(name).suffix](bytes(data), name)
    except UserError as error:
        assert str(error).startswith(name)


@pytest.mark.parametrize(
    ("name", "module"), [("a.html", "trafilatura"), ("a.docx", "mammoth"), ("a.pdf", "pdfminer")]
)
def test_a_lean_install_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, module: str
) -> None:
    for loaded in list(sys.modules):
        if loaded.split(".")[0] == module or loaded == "paratopic.reading.pdf":
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delattr("paratopic.reading.pdf", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    path = written(tmp_path, name, SAMPLES[Path(name).suffix])
    with pytest.raises(UserError, match=r"needs .*pip install 'paratopic\[articles\]'"):
        read_file(path)


# --- files


def test_folders_globs_and_what_they_hold_besides(tmp_path: Path) -> None:
    for name in (
        "b.PDF",
        "a.txt",
        "picture.png",
        ".hidden.txt",
        "labels.csv",
        "saved.html",
        "saved_files/advert.html",
        "sub/c.docx",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, others = find_files([str(tmp_path)], SUFFIXES)
    names = [str(path.relative_to(tmp_path)) for path in found]
    assert names == ["a.txt", "b.PDF", "saved.html", "sub/c.docx"]
    assert [(path.name, why) for path, why in others] == [
        ("labels.csv", "a file of another kind"),
        ("picture.png", "a file of another kind"),
        ("saved_files", "what a saved page consists of"),
    ]
    assert find_files([str(tmp_path / "*.txt"), str(tmp_path / "a.txt")], [".txt"])[0] == found[:1]
    with pytest.raises(UserError, match="names no file"):
        find_files([str(tmp_path / "*.odt")], SUFFIXES)
