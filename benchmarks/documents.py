"""How much of an article survives as a web page, as a PDF and as a Word document.

Articles in plain text are rendered as pages with what surrounds articles: navigation, byline, share
buttons, figures with captions, related stories in between, a newsletter box, comments, a cookie
banner, a footer. One layout marks all of that with elements (nav, aside, figure), the other uses
<div> elements with class names. Chromium prints the pages with its own header and footer: once with
the print style of most sites, once with all that surrounds the article, once in two justified
columns with hyphenation and running heads. paratopic reads the files, and its segments are compared
with the paragraphs and headings of the plain text. White space is ignored.

    python benchmarks/documents.py FOLDER
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import docx
import lxml.html
import mammoth
import pandas as pd
from pdfminer.high_level import extract_text
from record import parser_of, rows_of, save
from tables import markdown

from paratopic.reading.article import Segment, skipped_of
from paratopic.reading.article_files import read_file

# Texts around an article, which should not be read as paragraphs or headings.
AROUND = {
    "cookies": "We and our 312 partners store cookies to show you adverts. Accept all, or choose "
    "what you agree to in the settings of your device.",
    "nav": "Home World Business Technology Sport Weather Podcasts",
    "byline": "By Jane Doe, Reuters",
    "stamp": "Published September 15, 2025 10:04 GMT",
    "share": "Share this article",
    "caption": "Delegates arrive at the old customs house on Sunday morning. Photo: Harbour Press",
    "advert": "Advertisement",
    "newsletter": "Sign up for our newsletter and get the day's top stories in your inbox.",
    "related": "Related stories",
    "related 1": "Minister resigns after a night of counting in the coastal provinces",
    "related 2": "Why the price of bread has doubled since the spring, in five charts",
    "more": "Read more: What the harbour deal means for fishermen",
    "comment": "Tom from Leeds wrote: I have read this paper for thirty years and never saw the "
    "like of it, well done to all of the reporters who were there.",
    "popular": "Most read",
    "popular 1": "The village that moved its church two miles up the hill",
    "footer": "© 2025 Harbour Press. All rights reserved. Terms of use Privacy policy Contact",
}
SITE = "Harbour Press"
# What is printed of each.
SHOWN = {
    "": "{format}",
    "paragraphs": "{paragraphs}",
    "found": "{found}",
    "headings": "{headings}",
    "headings found": "{headings_found}",
    "other blocks": "{other_blocks}",
    "surroundings leaked": "{leaked} of {surroundings}",
    "seconds": "{seconds:.0f}",
}

STYLE = """
body { font: 16px/1.5 Georgia, serif; margin: 0 auto; max-width: 46em }
nav, .nav, .cookies { background: #eee; font-size: 13px } figcaption, .caption { font-size: 12px }
h1 { font-size: 30px } h2 { font-size: 21px } .stamp, .byline { font-size: 13px }
"""
PRINT = """@media print { nav, aside, footer, form, button, .cookies, .nav, .side, .foot, .share,
.promo, .comments, .advert { display: none } }"""
COLUMNS = f"""
body {{ font: 10.5pt/1.25 Georgia, serif }} h1 {{ font-size: 20pt }} h2 {{ font-size: 13pt }}
.story {{ columns: 2; column-gap: 1.8em; text-align: justify }}
.story p {{ text-indent: 1.2em; margin: 0 }}
@page {{ margin: 2.2cm; @top-center {{ content: "{SITE}"; font-size: 9pt }}
@bottom-center {{ content: counter(page); font-size: 9pt }} }}
"""


def semantic(segments: Sequence[Segment], title: str, head: str = "") -> str:
    """A page whose elements say what they are."""
    around = {key: escape(text) for key, text in AROUND.items()}
    title, parts = elements(segments, title)
    between = [
        f'<figure><img src="a.jpg" alt=""><figcaption>{around["caption"]}</figcaption></figure>',
        f'<div class="advert">{around["advert"]}</div>',
        f"<aside><h2>{around['related']}</h2><ul><li><a href='/1'>{around['related 1']}</a></li>"
        f"<li><a href='/2'>{around['related 2']}</a></li></ul></aside>",
        f'<p class="promo"><a href="/3">{around["more"]}</a></p>',
    ]
    links = "".join(f'<li><a href="/{word}">{word}</a></li>' for word in around["nav"].split())
    return page(
        head,
        f'<div class="cookies" role="dialog"><p>{around["cookies"]}</p><button>Accept</button>'
        f"</div><header><a href='/' class='nav'>{SITE}</a><nav><ul>{links}</ul></nav></header>"
        f'<main><article class="story"><header><h1>{escape(title)}</h1>'
        f'<p class="byline">{around["byline"]}</p>'
        f'<p class="stamp"><time>{around["stamp"]}</time></p>'
        f'<div class="share"><button>{around["share"]}</button></div></header>'
        f"{story(segments, parts, between)}"
        f'<aside class="promo"><p>{around["newsletter"]}</p><form><input><button>Go</button></form>'
        f'</aside></article><section class="comments" id="comments"><h2>Comments</h2>'
        f"<p>{around['comment']}</p></section></main>"
        f"<aside><h2>{around['popular']}</h2><ul><li><a href='/4'>{around['popular 1']}</a></li>"
        f"</ul></aside><footer><p>{around['footer']}</p></footer>",
        title,
    )


def divs(segments: Sequence[Segment], title: str) -> str:
    """A page of <div> elements, as older systems write them."""
    around = {key: escape(text) for key, text in AROUND.items()}
    title, parts = elements(segments, title)
    between = [
        f'<div class="image"><img src="a.jpg"><div class="caption">{around["caption"]}</div></div>',
        f'<div class="advert">{around["advert"]}</div>',
        f'<div class="side related-links"><div>{around["related"]}</div><div><a href="/1">'
        f'{around["related 1"]}</a></div><div><a href="/2">{around["related 2"]}</a></div></div>',
        f'<div class="promo"><a href="/3">{around["more"]}</a></div>',
    ]
    links = " ".join(f'<a href="/{word}">{word}</a>' for word in around["nav"].split())
    return page(
        "",
        f'<div id="wrap"><div class="nav">{links}</div><div class="cookies cookie-banner">'
        f'{around["cookies"]}</div><div class="content"><h1>{escape(title)}</h1>'
        f'<div class="byline">{around["byline"]}</div><div class="stamp">{around["stamp"]}</div>'
        f'<div class="share">{around["share"]}</div>'
        f'<div class="story-body story">{story(segments, parts, between)}</div>'
        f'<div class="promo newsletter">{around["newsletter"]}</div></div>'
        f'<div class="comments"><div>Comments</div><div class="comment">{around["comment"]}</div>'
        f'</div><div class="side"><div>{around["popular"]}</div><a href="/4">{around["popular 1"]}'
        f'</a></div><div class="foot">{around["footer"]}</div></div>',
        title,
    )


def columns(segments: Sequence[Segment], title: str) -> str:
    """A page for print: two columns, justified, with words broken at hyphens."""
    title, parts = elements(segments, title)
    # Without a dictionary browsers break words only where the page says that they may.
    breakable = re.compile(r"([a-z]{3}[bcdfgklmnprst])([bcdfgklmnprst][aeiou][a-z]{2})")
    text = "".join(breakable.sub(r"\1&shy;\2", part).replace("<h&shy;", "<h") for part in parts)
    return page(COLUMNS, f'<h1>{escape(title)}</h1><div class="story">{text}</div>', title)


def page(head: str, body: str, title: str) -> str:
    """A whole page."""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} | '
        f"{SITE}</title><style>{STYLE}{head}</style><script>var ads = 'Buy now';</script></head>"
        f"<body>{body}</body></html>"
    )


def elements(segments: Sequence[Segment], title: str) -> tuple[str, list[str]]:
    """The title, which is the first segment if that is a heading, and elements for the rest."""
    if segments[0].kind == "heading":
        title, segments = bare(segments[0].text), segments[1:]
    tags = ["h2" if segment.kind == "heading" else "p" for segment in segments]
    return title, [
        f"<{tag}>{escape(bare(segment.text))}</{tag}>"
        for tag, segment in zip(tags, segments, strict=True)
    ]


def story(segments: Sequence[Segment], parts: Sequence[str], between: Sequence[str]) -> str:
    """An article's elements with others in between, spread over the article."""
    parts = list(parts)
    for place, extra in reversed(list(zip(middle(segments), between, strict=False))):
        parts.insert(place + 1, extra)
    return "".join(parts)


def middle(segments: Sequence[Segment]) -> list[int]:
    """Indices of the paragraphs after which a figure or a box is inserted."""
    bodies = [index for index, segment in enumerate(segments) if segment.kind == "body"]
    return [bodies[len(bodies) * k // 5] for k in (1, 2, 3, 4)] if len(bodies) > 5 else bodies[:1]


def bare(text: str) -> str:
    """A heading without its Markdown mark."""
    return re.sub(r"^#{1,6} ", "", text)


def write_docx(path: Path, segments: Sequence[Segment]) -> None:
    """Write a Word document with styles, a caption, a table and a running header."""
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = SITE
    places = middle(segments)
    for number, segment in enumerate(segments):
        text = bare(segment.text)
        if segment.kind == "heading":
            document.add_heading(text, level=0 if number == 0 else 2)
            if number == 0:
                document.add_paragraph(AROUND["byline"])
        else:
            words = text.split(" ")
            paragraph = document.add_paragraph(" ".join(words[:3]))
            if len(words) > 3:  # real paragraphs consist of many runs
                paragraph.add_run(" " + " ".join(words[3:])).italic = number % 7 == 0
        if number == places[0]:
            document.add_paragraph(AROUND["caption"], style="Caption")
            table = document.add_table(rows=2, cols=2)
            for row, name in zip(table.rows, ("Steel", "Timber"), strict=True):
                row.cells[0].text, row.cells[1].text = name, "12,000"
    document.add_paragraph(AROUND["newsletter"])
    document.save(str(path))


def print_pdf(html: Path, pdf: Path) -> None:
    """Print a page with Chromium, its header and footer included."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("chromium is not on the path: install it")
    switches = "--headless --no-sandbox --disable-gpu --disable-background-networking".split()
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *switches, f"--user-data-dir={profile}", f"--print-to-pdf={pdf}"]
        subprocess.run([*command, html.as_uri()], check=True, capture_output=True, timeout=300)


# Writes an article to a path without a suffix; returns the path of the file.
Writer = Callable[[Path, Sequence[Segment]], Path]


def web(layout: Callable[[Sequence[Segment], str], str]) -> Writer:
    """A writer of web pages."""

    def write(stem: Path, segments: Sequence[Segment]) -> Path:
        path = stem.with_suffix(".html")
        path.write_text(layout(segments, stem.name), encoding="utf-8")
        return path

    return write


def printed(layout: Callable[[Sequence[Segment], str], str]) -> Writer:
    """A writer of web pages that are printed as PDFs."""

    def write(stem: Path, segments: Sequence[Segment]) -> Path:
        print_pdf(web(layout)(stem, segments), stem.with_suffix(".pdf"))
        return stem.with_suffix(".pdf")

    return write


def word(stem: Path, segments: Sequence[Segment]) -> Path:
    """Write an article as a Word document."""
    write_docx(stem.with_suffix(".docx"), segments)
    return stem.with_suffix(".docx")


FORMATS: dict[str, Writer] = {
    "html, elements": web(semantic),
    "html, divs": web(divs),
    "docx": word,
    "pdf, print style": printed(partial(semantic, head=PRINT)),
    "pdf, whole page": printed(divs),
    "pdf, two columns": printed(columns),
}


def compare(path: Path, plain: Sequence[Segment]) -> dict[str, int]:
    """Count what of an article is read from a file, and what else is."""
    article = read_file(path)
    body, headings = texts(plain, "body"), texts(plain, "heading")
    read_body, read_headings = texts(article.segments, "body"), texts(article.segments, "heading")
    kept = "\n".join([*read_body, *read_headings])
    whole = squeeze(all_text(path))
    around = [text for text in map(squeeze, AROUND.values()) if text in whole]
    return {
        "paragraphs": body.total(),
        "found": (body & read_body).total(),
        "headings": headings.total(),
        "headings_found": (headings & read_headings).total(),
        "other_blocks": (read_body - body).total(),
        "surroundings": len(around),
        "leaked": sum(text in kept for text in around),
        "skipped": len(skipped_of(article)),
    }


def texts(segments: Sequence[Segment], kind: str) -> Counter[str]:
    """The texts of one kind of segment, without white space and Markdown marks."""
    return Counter(squeeze(bare(segment.text)) for segment in segments if segment.kind == kind)


def squeeze(text: str) -> str:
    """A text without its white space."""
    return "".join(text.split())


def all_text(path: Path) -> str:
    """All of a file's text."""
    if path.suffix == ".pdf":
        return extract_text(path)
    if path.suffix == ".docx":
        return str(mammoth.extract_raw_text(path.open("rb")).value)
    return str(lxml.html.parse(str(path)).getroot().text_content())


def measure(
    articles: Sequence[Path], formats: Sequence[str], work: Path
) -> list[dict[str, str | float]]:
    """Write every article in every format, below the folder `work`, and read it back."""
    results: list[dict[str, str | float]] = []
    for path in articles:
        segments = read_file(path).segments
        plain = [segment for segment in segments if segment.kind != "skipped"]
        for name in formats:
            folder = work / name.replace(", ", "-").replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            rendered = FORMATS[name]((folder / path.stem).resolve(), plain)
            started = time.perf_counter()
            counts = compare(rendered, plain)
            seconds = time.perf_counter() - started
            results.append({"article": path.stem, "format": name, **counts, "seconds": seconds})
    return results


def sums_of(results: Sequence[dict[str, str | float]]) -> list[dict[str, Any]]:
    """Sums over articles: a line for each format."""
    of_format = pd.DataFrame(results).groupby("format", sort=False)
    sums = of_format.sum(numeric_only=True)
    sums.insert(0, "articles", of_format.size())
    return rows_of(sums.reset_index())


def main() -> None:
    """Print a table and write the counts."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("folder", type=Path, help="articles in plain text")
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--keep", type=Path, help="folder for the rendered files")
    arguments = parser.parse_args()

    articles = sorted(arguments.folder.glob("*.txt"))
    with tempfile.TemporaryDirectory() as temporary:
        results = measure(articles, arguments.formats, arguments.keep or Path(temporary))
    lines = sums_of(results)
    save(arguments.results, lines, ["format"], __file__)
    print(markdown(lines, SHOWN))


if __name__ == "__main__":
    main()
