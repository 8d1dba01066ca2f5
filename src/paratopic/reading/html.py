"""Web pages → segments.

trafilatura says which text is the article's; order, words and headings are the page's own. What of
a page is no article (navigation, captions, small print) is kept with the reason. No script is run
and nothing is fetched.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.reading.article import Segment
from paratopic.reading.boilerplate import CAPTION

OUTSIDE = "outside of the main text"

TABLE = "table"

# A shorter text is the article's only where trafilatura has it as a block of its own.
FINGERPRINT = 25

CELL_WORDS = 12  # a table's cell with more may be a paragraph of a page that is laid out in cells

# What these elements, roles and ids hold is no paragraph; of the soft ones, what is not main text.
_HARD = {
    "aside": "aside",
    "button": "form",
    "caption": CAPTION,
    "complementary": "aside",
    "contentinfo": "footer",
    "dialog": "dialog",
    "figcaption": CAPTION,
    "footer": "footer",
    "nav": "navigation",
    "navigation": "navigation",
    "toc": "navigation",
}

_SOFT = {"banner": "header", "form": "form", "header": "header"}

_UNSEEN = set("script style noscript template svg head iframe object select textarea".split())

_BLOCKS = set(
    "address article aside blockquote body button caption center dd details dialog div dl dt "
    "fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre "
    "section summary table tbody td tfoot th thead tr ul".split()
)

_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", re.I
)


@dataclass(frozen=True)
class Block:
    """A block of a page's text, and where it stands.

    Parameters
    ----------
    text
        On one line.
    level
        Of a heading, 1 to 6; 0 for no heading.
    place
        Name of the part of the page, from `_HARD` or `_SOFT`; "" for none.
    hard
        Whether what stands there is never a paragraph.
    kind
        "li" or "td" inside a list's item or a table's cell.
    """

    text: str = ""
    level: int = 0
    place: str = ""
    hard: bool = False
    kind: str = ""


def html_segments(data: bytes, source: str) -> list[Segment]:
    """Segments of a web page."""
    import lxml.html
    import trafilatura

    # As UTF-8 bytes: lxml refuses a str that declares its encoding.
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = lxml.html.document_fromstring(_decode(data, source).encode(), parser=parser)
    except (lxml.etree.LxmlError, ValueError) as error:
        raise UserError(
            f"{source}: cannot be read as HTML: {error}. Save the page again."
        ) from None
    extracted = trafilatura.bare_extraction(tree, include_comments=False)
    # A dict only where one is asked for.
    assert not isinstance(extracted, dict)
    main = Main(() if extracted is None else extracted.body.iter())
    blocks = list(html_blocks(tree))
    kept = [not block.hard and block.text in main for block in blocks]
    if not any(kept):
        raise UserError(
            f"{source}: no article found in this page. Where a script writes its text, save it "
            "from the browser once it is shown (as 'complete'), or copy the text into a .txt file."
        )
    # Headings go with what they stand over, whatever trafilatura makes of them, and the title is
    # the last heading of the first level before the text.
    start = next(i for i, keep in enumerate(kept) if keep)
    start = next((i for i in range(start, len(kept)) if kept[i] and not blocks[i].level), start)
    titles = [i for i in range(start) if blocks[i].level == 1 and not blocks[i].hard]
    title = titles[-1] if titles else start
    next_kept = text_below = False
    for i in reversed(range(len(blocks))):
        if blocks[i].hard:
            continue
        if blocks[i].level:
            kept[i] = i in titles[-1:] or (i > title and (kept[i] and text_below or next_kept))
        next_kept = kept[i]
        text_below = text_below or (kept[i] and not blocks[i].level)
    return merge_blocks(
        block if keep else replace(block, place=block.place or OUTSIDE, hard=True)
        for block, keep in zip(blocks, kept, strict=True)
    )


class Main:
    """The text that is an article's, whatever its white space.

    Parameters
    ----------
    elements
        Of the tree that trafilatura made.
    """

    def __init__(self, elements: Any) -> None:
        texts = ["".join("".join(element.itertext()).split()) for element in elements]
        self.whole = texts[0] if texts else ""  # the body's
        self.texts = set(texts)

    def __contains__(self, text: str) -> bool:
        squeezed = "".join(text.split())
        return squeezed in self.texts or (len(squeezed) >= FINGERPRINT and squeezed in self.whole)


def _decode(data: bytes, source: str) -> str:
    """A page's text, in the encoding that it declares, if it does."""
    declared = _CHARSET.search(data[:4096])
    if declared and not data.startswith(
        (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    ):
        name = declared[1].decode().lower()
        try:
            codec = codecs.lookup(name).name
            # As browsers have it: who declares these means Windows' superset.
            return data.decode("cp1252" if codec in ("ascii", "iso8859-1") else codec)
        except (LookupError, UnicodeDecodeError):
            pass  # declared wrongly: go by the bytes
    return files.decode(data, source)


def merge_blocks(blocks: Iterator[Block]) -> list[Segment]:
    """Blocks as segments; what is left out for one reason side by side becomes one of them."""
    found: list[Segment] = []
    for block in blocks:
        why = block.place if block.hard else ""
        if not why and block.kind == "td" and len(block.text.split()) <= CELL_WORDS:
            why = TABLE
        if not why:
            text = f"- {block.text}" if block.kind == "li" and not block.level else block.text
            found.append(Segment("heading" if block.level else "body", text))
        elif found and found[-1].reason == why != OUTSIDE:
            found[-1] = replace(found[-1], text=f"{found[-1].text} | {block.text}")
        else:
            found.append(Segment("skipped", block.text, why))
    return found


def html_blocks(root: Any) -> Iterator[Block]:
    """The text of a tree of HTML, a block at a time."""
    pieces: list[str] = []
    breaks = 0  # <br>s since the last text: two of them end a paragraph

    def ended(context: Block) -> Iterator[Block]:
        nonlocal breaks
        text = " ".join("".join(pieces).split())
        pieces.clear()
        breaks = 0
        if text:
            yield replace(context, text=text)

    def add(text: str | None, context: Block) -> Iterator[Block]:
        nonlocal breaks
        if text and text.strip():
            if breaks > 1:
                yield from ended(context)
            breaks = 0
        pieces.append(text or "")

    def walk(element: Any, context: Block) -> Iterator[Block]:
        nonlocal breaks
        tag = element.tag
        if not isinstance(tag, str) or tag in _UNSEEN or _reference(element):
            return
        if tag == "br":
            breaks += 1
            pieces.append(" ")
            return
        if tag not in _BLOCKS:
            yield from inside(element, context)
            return
        yield from ended(context)
        inner = _context(element, context)
        yield from inside(element, inner)
        yield from ended(inner)

    def inside(element: Any, context: Block) -> Iterator[Block]:
        yield from add(element.text, context)
        for child in element:
            yield from walk(child, context)
            yield from add(child.tail, context)

    yield from walk(root, Block())


def _reference(element: Any) -> bool:
    """Whether an element is a note's mark, <sup><a href="#note-1">[1]</a></sup>, or '[edit]'."""
    return "mw-editsection" in (element.get("class") or "").split() or (
        element.tag == "sup"
        and any((link.get("href") or "").startswith("#") for link in element.iter("a"))
    )


def _context(element: Any, outer: Block) -> Block:
    """Where the text inside an element stands."""
    tag, role = element.tag, element.get("role") or ""
    classes = (element.get("class") or "").split()
    level = int(tag[1]) if re.fullmatch(r"h[1-6]", tag) else outer.level
    kind = {"li": "li", "td": "td", "th": "td"}.get(tag, outer.kind)
    place, hard = outer.place, outer.hard
    hidden = element.get("hidden") is not None or element.get("aria-hidden") == "true"
    name = element.get("id") or ""
    # Of Word documents, and of wikis.
    note = name.startswith(("footnote-", "endnote-")) or "references" in classes
    named = _HARD.get(tag) or _HARD.get(role) or ("note" if note else _HARD.get(name))
    if named:
        place, hard = named, True
    elif not hard:
        # Behind a dialog that was open when a page was saved, all of it is hidden.
        place = _SOFT.get(tag) or _SOFT.get(role) or ("hidden" if hidden else place)
    return Block("", level, place, hard, kind)
