"""How much of an article survives as a web page, as a PDF and as a Word document.

Articles in plain text are rendered as pages with what surrounds articles: navigation, byline, share
buttons, figures with captions, related stories in between, a newsletter box, comments, a cookie
banner, a footer. One layout says what is what by its elements (nav, aside, figure), the other has
<div>s with class names. Chromium prints the pages, with its own header and footer: once as most
sites style them for print, once with all that surrounds the article, once in two justified columns
with hyphenation and running heads. The files are read as `paratopic` reads them, and compared with
the paragraphs and headings of the plain text, white space aside.

    python benchmarks/documents.py FOLDER
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

import docx
import lxml.html
import mammoth
import pandas as pd
from pdfminer.high_level import extract_text
from tables import RESULTS, machine

from paratopic.project.files import write_json
from paratopic.reading.article import Segment, skipped_of
from paratopic.reading.files import read_file

# Everything around an article: each text is looked for in what is read.
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


def middle(found: Sequence[Segment]) -> list[int]:
    """Numbers of the paragraphs after which something stands between: a figure, a box."""
    bodies = [i for i, segment in enumerate(found) if segment.kind == "body"]
    return [bodies[len(bodies) * k // 5] for k in (1, 2, 3, 4)] if len(bodies) > 5 else bodies[:1]


def tags(found: Sequence[Segment], title: str) -> tuple[str, list[str]]:
    """The title and the other segments as elements."""
    texts = [re.sub(r"^#{1,6} ", "", segment.text) for segment in found]
    if found[0].kind == "heading":
        title, found, texts = texts[0], found[1:], texts[1:]
    names = ["h2" if segment.kind == "heading" else "p" for segment in found]
    return title, [f"<{n}>{escape(text)}</{n}>" for n, text in zip(names, texts, strict=True)]


def page(head: str, body: str, title: str) -> str:
    """A whole page."""
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} | '
        f"{SITE}</title><style>{STYLE}{head}</style><script>var ads = 'Buy now';</script></head>"
        f"<body>{body}</body></html>"
    )


def semantic(found: Sequence[Segment], title: str, head: str = "") -> str:
    """A page whose elements say what they are."""
    a = {key: escape(text) for key, text in AROUND.items()}
    title, parts = tags(found, title)
    between = [
        f'<figure><img src="a.jpg" alt=""><figcaption>{a["caption"]}</figcaption></figure>',
        f'<div class="advert">{a["advert"]}</div>',
        f"<aside><h2>{a['related']}</h2><ul><li><a href='/1'>{a['related 1']}</a></li>"
        f"<li><a href='/2'>{a['related 2']}</a></li></ul></aside>",
        f'<p class="promo"><a href="/3">{a["more"]}</a></p>',
    ]
    for place, extra in reversed(list(zip(middle(found), between, strict=False))):
        parts.insert(place + 1, extra)
    links = "".join(f'<li><a href="/{w}">{w}</a></li>' for w in a["nav"].split())
    return page(
        head,
        f'<div class="cookies" role="dialog"><p>{a["cookies"]}</p><button>Accept</button></div>'
        f"<header><a href='/' class='nav'>{SITE}</a><nav><ul>{links}</ul></nav></header>"
        f'<main><article class="story"><header><h1>{escape(title)}</h1>'
        f'<p class="byline">{a["byline"]}</p><p class="stamp"><time>{a["stamp"]}</time></p>'
        f'<div class="share"><button>{a["share"]}</button></div></header>'
        f"{''.join(parts)}"
        f'<aside class="promo"><p>{a["newsletter"]}</p><form><input><button>Go</button></form>'
        f"</aside></article>"
        f'<section class="comments" id="comments"><h2>Comments</h2><p>{a["comment"]}</p></section>'
        f"</main><aside><h2>{a['popular']}</h2><ul><li><a href='/4'>{a['popular 1']}</a></li></ul>"
        f"</aside><footer><p>{a['footer']}</p></footer>",
        title,
    )


def divs(found: Sequence[Segment], title: str, head: str = "") -> str:
    """A page of <div>s, as older systems write them."""
    a = {key: escape(text) for key, text in AROUND.items()}
    title, parts = tags(found, title)
    between = [
        f'<div class="image"><img src="a.jpg"><div class="caption">{a["caption"]}</div></div>',
        f'<div class="advert">{a["advert"]}</div>',
        f'<div class="side related-links"><div>{a["related"]}</div><div><a href="/1">'
        f'{a["related 1"]}</a></div><div><a href="/2">{a["related 2"]}</a></div></div>',
        f'<div class="promo"><a href="/3">{a["more"]}</a></div>',
    ]
    for place, extra in reversed(list(zip(middle(found), between, strict=False))):
        parts.insert(place + 1, extra)
    links = " ".join(f'<a href="/{w}">{w}</a>' for w in a["nav"].split())
    return page(
        head,
        f'<div id="wrap"><div class="nav">{links}</div><div class="cookies cookie-banner">'
        f'{a["cookies"]}</div><div class="content"><h1>{escape(title)}</h1>'
        f'<div class="byline">{a["byline"]}</div><div class="stamp">{a["stamp"]}</div>'
        f'<div class="share">{a["share"]}</div><div class="story-body story">{"".join(parts)}</div>'
        f'<div class="promo newsletter">{a["newsletter"]}</div></div>'
        f'<div class="comments"><div>Comments</div><div class="comment">{a["comment"]}</div></div>'
        f'<div class="side"><div>{a["popular"]}</div><a href="/4">{a["popular 1"]}</a></div>'
        f'<div class="foot">{a["footer"]}</div></div>',
        title,
    )


def columns(found: Sequence[Segment], title: str) -> str:
    """A page for print: two columns, justified, words broken at hyphens."""
    title, parts = tags(found, title)
    # Without a dictionary browsers break only where the page says that they may.
    parts = [re.sub(r"([a-z]{3}[bcdfgklmnprst])([bcdfgklmnprst][aeiou][a-z]{2})", r"\1&shy;\2", p)
             for p in parts]  # fmt: skip
    story = "".join(part.replace("<h&shy;", "<h") for part in parts)
    return page(COLUMNS, f'<h1>{escape(title)}</h1><div class="story">{story}</div>', title)


def write_docx(path: Path, found: Sequence[Segment], title: str) -> None:
    """A Word document with styles, a caption, a table and a running header."""
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = SITE
    places = middle(found)
    for number, segment in enumerate(found):
        text = re.sub(r"^#{1,6} ", "", segment.text)
        if segment.kind == "heading":
            document.add_heading(text, level=0 if number == 0 else 2)
            if number == 0:
                document.add_paragraph(AROUND["byline"])
        else:
            words = text.split(" ")
            paragraph = document.add_paragraph(" ".join(words[:3]))
            if len(words) > 3:  # a paragraph is many runs
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


def web(make: Callable[..., str], head: str = "") -> Callable[[Path, Sequence[Segment]], Path]:
    """What writes an article as a page."""

    def write(stem: Path, found: Sequence[Segment]) -> Path:
        path = stem.with_suffix(".html")
        text = make(found, stem.name, head) if head else make(found, stem.name)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def printed(make: Callable[..., str], head: str = "") -> Callable[[Path, Sequence[Segment]], Path]:
    """What writes an article as a page and prints it."""

    def write(stem: Path, found: Sequence[Segment]) -> Path:
        path = web(make, head)(stem, found)
        print_pdf(path, stem.with_suffix(".pdf"))
        return stem.with_suffix(".pdf")

    return write


def word(stem: Path, found: Sequence[Segment]) -> Path:
    """Write an article as a Word document."""
    write_docx(stem.with_suffix(".docx"), found, stem.name)
    return stem.with_suffix(".docx")


FORMATS = {
    "html, elements": web(semantic),
    "html, divs": web(divs),
    "docx": word,
    "pdf, print style": printed(semantic, PRINT),
    "pdf, whole page": printed(divs),
    "pdf, two columns": printed(columns),
}


def squeezed(texts: Iterable[str]) -> Counter[str]:
    """Texts without white space."""
    return Counter("".join(re.sub(r"^#{1,6} ", "", text).split()) for text in texts)


def kept(found: Sequence[Segment], kind: str) -> Counter[str]:
    return squeezed(segment.text for segment in found if segment.kind == kind)


def raw(path: Path) -> str:
    """All of a file's text."""
    if path.suffix == ".pdf":
        return extract_text(path)
    if path.suffix == ".docx":
        return str(mammoth.extract_raw_text(path.open("rb")).value)
    return str(lxml.html.parse(str(path)).getroot().text_content())


def compare(path: Path, plain: Sequence[Segment]) -> dict[str, int]:
    """Count what of an article is found again in a file, and what else is."""
    article = read_file(path)
    found = article.segments
    body, heads = kept(plain, "body"), kept(plain, "heading")
    got, got_heads = kept(found, "body"), kept(found, "heading")
    whole = "\n".join([*got, *got_heads])
    there = "".join(raw(path).split())
    around = [text for text in squeezed(AROUND.values()) if text in there]
    return {
        "paragraphs": body.total(),
        "found": (body & got).total(),
        "headings": heads.total(),
        "headings_found": (heads & got_heads).total(),
        "other_blocks": (got - body).total(),
        "surroundings": len(around),
        "leaked": sum(text in whole for text in around),
        "skipped": len(skipped_of(article)),
    }


def main() -> None:
    """Print a markdown table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="articles in plain text")
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--keep", type=Path, help="folder for the rendered files")
    arguments = parser.parse_args()

    lines = []
    with tempfile.TemporaryDirectory() as aside:
        work = arguments.keep or Path(aside)
        for path in sorted(arguments.folder.glob("*.txt")):
            found = read_file(path).segments
            plain = [segment for segment in found if segment.kind != "skipped"]
            for name in arguments.formats:
                folder = work / name.replace(", ", "-").replace(" ", "-")
                folder.mkdir(parents=True, exist_ok=True)
                made = FORMATS[name]((folder / path.stem).resolve(), plain)
                started = time.perf_counter()
                counts = compare(made, plain)
                seconds = time.perf_counter() - started
                lines.append({"article": path.stem, "format": name, **counts, "seconds": seconds})
    table = pd.DataFrame(lines)
    sums = table.groupby("format", sort=False).sum(numeric_only=True)
    print(
        "| | paragraphs | found | headings | found | other blocks | surroundings leaked | seconds |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, row in sums.iterrows():
        print(
            f"| {name} | {row['paragraphs']:.0f} | {row['found'] / row['paragraphs']:.1%} | "
            f"{row['headings']:.0f} | {row['headings_found'] / row['headings']:.1%} | "
            f"{row['other_blocks']:.0f} | {row['leaked']:.0f} of {row['surroundings']:.0f} | "
            f"{row['seconds']:.0f} |"
        )
    versions = machine("trafilatura", "mammoth", "pdfminer.six", "lxml")
    write_json(RESULTS / "documents.json", versions | {"results": lines})


if __name__ == "__main__":
    main()
