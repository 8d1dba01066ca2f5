"""Web pages: the article, skipped text around it, and encodings."""

from __future__ import annotations

from pathlib import Path

import pytest

from paratopic.project.errors import UserError
from paratopic.reading.article import paragraphs_of, skipped_of
from paratopic.reading.article_files import read_file
from paratopic.reading.html import OUTSIDE, html_fields, html_segments
from tests.documents import PAGE, html, kept_segments, save
from tests.samples import BODIES, DOCUMENT


def texts(page: str) -> list[str]:
    return [segment.text for segment in html_segments(page.encode(), "a.html")]


def test_a_page_is_its_article_and_the_rest_is_skipped_with_reasons(tmp_path: Path) -> None:
    path = save(tmp_path, "news.html", PAGE)
    assert kept_segments(path) == DOCUMENT
    skipped = skipped_of(read_file(path))
    assert {part.text: part.reason for part in skipped} == {
        "Home | World | Sport": "navigation",
        "By Jane Doe, Reuters": "byline",
        "The harbour at dawn": "caption or credit",
        "Minister resigns | Bread is dearer": "aside",
        "© 2031 Harbour Press": "footer",
    }
    assert [part.position for part in skipped] == [0, 0, 1, 2, 3]
    assert paragraphs_of(read_file(path))[0].article == "news"


def test_encodings_of_pages(tmp_path: Path) -> None:
    page = html(
        f"<article><h1>Café</h1>{''.join(f'<p>“{body}”</p>' for body in BODIES)}</article>",
        '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">',
    )
    expected = [("heading", "Café")] + [("body", f"“{body}”") for body in BODIES]
    for name, data in (
        ("declared.htm", page.encode("cp1252")),
        ("undeclared.html", page.replace("charset=", "").encode("cp1252")),
        ("wrongly.html", page.replace("iso-8859-1", "ascii-7").encode()),
        ("undefined.html", page.replace("iso-8859-1", "undefined").encode()),
        ("impossible.html", page.replace("iso-8859-1", "utf-16").encode().ljust(5000)),
        ("marked.html", b"\xef\xbb\xbf" + page.encode()),
        ("other.html", page.replace("iso-8859-1", "utf-16").encode("utf-16")),
        ("russian.html", page.replace("iso-8859-1", "cp1251").replace("é", "е").encode("cp1251")),
    ):
        segments = kept_segments(save(tmp_path, name, data))
        assert [(kind, text.replace("Cafе", "Café")) for kind, text in segments] == expected, name


def test_two_breaks_end_a_paragraph_and_list_items_are_separate(tmp_path: Path) -> None:
    page = html(
        f"<article>{BODIES[0]}<br><br>{BODIES[1]}<br/>They left.<p>The islands want this:</p>"
        "<ul><li>lower duties on steel and timber</li><li>Another meeting in the spring</li></ul>"
        f"<p>{BODIES[2]}</p></article>"
    )
    assert kept_segments(save(tmp_path, "a.html", page)) == [
        ("body", BODIES[0]),
        ("body", f"{BODIES[1]} They left."),
        ("body", "The islands want this:"),
        ("body", "- lower duties on steel and timber"),
        ("body", "- Another meeting in the spring"),
        ("body", BODIES[2]),
    ]


def test_notes_contents_and_edit_links_of_a_wiki_page_are_skipped(tmp_path: Path) -> None:
    page = html(
        f"<div id=content><h1>Harbour talks</h1><p>{BODIES[0]}<sup><a href='#n1'>[1]</a></sup></p>"
        "<div id=toc><h2>Contents</h2><ul><li>1 Steel</li></ul></div>"
        "<h2><span>Steel</span><span class='mw-editsection'>[<a href=/e>edit</a>]</span></h2>"
        f"<p>{BODIES[1]}</p><p>{BODIES[2]}</p><h2>References</h2>"
        "<ol class='small references'><li id=n1>Doe, Jane: The Talks, 2031.</li></ol></div>"
    )
    path = save(tmp_path, "a.html", page)
    assert kept_segments(path) == [
        ("heading", "Harbour talks"),
        ("body", BODIES[0]),
        ("heading", "Steel"),
        ("body", BODIES[1]),
        ("body", BODIES[2]),
    ]
    assert [(part.text, part.reason) for part in skipped_of(read_file(path))] == [
        ("Contents | 1 Steel", "navigation"),
        ("References", OUTSIDE),
        ("Doe, Jane: The Talks, 2031.", "note"),
    ]


def test_the_title_is_the_last_h1_above_the_text() -> None:
    page = html(
        f"<h1>Harbour Press</h1><h2>World</h2><article><h1>Talks Open</h1><p>{BODIES[0]}</p>"
        f"<h2>Steel</h2><h3>What Comes First?</h3><p>{BODIES[1]}</p></article><h2>Most read</h2>"
    )
    segments = html_segments(page.encode(), "a.html")
    assert [(segment.kind, segment.text) for segment in segments] == [
        ("skipped", "Harbour Press"),
        ("skipped", "World"),
        ("heading", "Talks Open"),
        ("body", BODIES[0]),
        ("heading", "Steel"),
        ("heading", "What Comes First?"),
        ("body", BODIES[1]),
        ("skipped", "Most read"),
    ]


def test_a_page_saved_behind_an_open_dialog(tmp_path: Path) -> None:
    dialog = '<div role="dialog">Accept cookies?</div><main aria-hidden="true">'
    path = save(tmp_path, "a.html", PAGE.replace("<main>", dialog))
    assert kept_segments(path) == DOCUMENT
    skipped = [(part.text, part.reason) for part in skipped_of(read_file(path))]
    assert ("Accept cookies?", "dialog") in skipped


@pytest.mark.parametrize(
    "body", ["<div id=root></div><script>go()</script>", "<nav><a href=/>Home</a></nav>"]
)
def test_a_page_without_an_article_is_refused(body: str) -> None:
    with pytest.raises(UserError, match=r"^a\.html: no article"):
        texts(html(body))


def test_deeply_nested_text_is_read_or_the_page_is_refused() -> None:
    def page(depth: int) -> str:
        nested = f"{'<div>' * depth}<p>{BODIES[1]}</p>{'</div>' * depth}"
        return html(f"<p>{BODIES[0]}</p>{nested}<p>{BODIES[2]}</p>")

    assert texts(page(600)) == BODIES[:3]
    with pytest.raises(UserError, match=r"^a\.html: cannot be read whole: Excessive depth"):
        texts(page(6000))


def test_the_rest_of_a_page_with_a_huge_text_is_not_lost() -> None:
    page = html(f"<p>{BODIES[0]}</p><!--{'word ' * 2_100_000}--><p>{BODIES[1]}</p>")
    assert texts(page) == BODIES[:2]


def test_scripts_and_pictures_inside_a_page_may_be_long() -> None:
    script = f"<script>if (i<n) {{ x = [{'1, ' * 20_000}] }}</script>"
    picture = f"<img src='data:image/png;base64,{'A' * 100_000}'>"
    assert texts(html(f"{script}<p>{BODIES[0]}</p>{picture}<p>{BODIES[1]}</p>")) == BODIES[:2]


BODY = "".join(f"<p>{body}</p>" for body in BODIES)
NOTHING = {"date": None, "source": None, "author": None}


def test_metadata_of_a_page() -> None:
    head = (
        '<meta property="article:published_time" content="1955-09-15T10:00:00Z">'
        '<meta property="og:site_name" content="Harbour Press"><meta name="author" content="A Doe">'
    )
    expected = {"date": "1955-09-15", "source": "Harbour Press", "author": "A Doe"}
    assert html_fields(html(BODY, head).encode()) == expected
    assert html_fields(html(f"{BODY}<footer>© 2031 Harbour Press</footer>").encode()) == NOTHING


def test_dates_of_pages_in_the_future_and_without_a_day() -> None:
    for body in ("<time datetime=2031-09-15>Monday</time>", "<p>2031-09-15</p>"):
        assert html_fields(html(body + BODY).encode())["date"] == "2031-09-15"
    for words in ("15 de septiembre de 2031", "Lundi 15 août 2031", "١٥ سبتمبر ٢٠٣١"):
        page = f"<p>Il 15 maggio 2019 <span class=pub-date>{words}</span>{BODY}"
        assert html_fields(html(page).encode())["date"] in ("2031-09-15", "2031-08-15")
    month = '<meta name="date" content="2025-09">'
    assert html_fields(html(BODY, month).encode())["date"] == "2025-09"
