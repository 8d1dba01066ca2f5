"""Web pages → segments.

trafilatura decides which text belongs to the article. Order, words and headings come from the page
itself. All other text becomes skipped segments with a reason: navigation, captions, asides. No
script is run and nothing is fetched.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

import lxml.etree
import lxml.html
import trafilatura
from lxml.html import HtmlElement, HTMLParser

from paratopic.project.encodings import decode
from paratopic.project.errors import UserError
from paratopic.project.scripts import n_words
from paratopic.reading.article import Segment, merge_skipped
from paratopic.reading.cells import FIRST_YEAR, LAST_YEAR, clean_line, day_in_words
from paratopic.reading.furniture import CAPTION

OUTSIDE = "outside the main text"
TABLE = "table"

# A block of at least this many characters belongs to the article if the text from trafilatura
# contains it. A shorter block may occur there by chance, so it has to be an element of that text.
FINGERPRINT = 25
# A table cell with more words may be a paragraph: some pages use a table for their layout.
CELL_WORDS = 12

# Tag, role or id of an element → its region of the page. Text of these regions is never part of an
# article.
_EXCLUDED = {
    "button": "form",
    "dialog": "dialog",
    **dict.fromkeys(("aside", "complementary"), "aside"),
    **dict.fromkeys(("caption", "figcaption"), CAPTION),
    **dict.fromkeys(("contentinfo", "footer"), "footer"),
    **dict.fromkeys(("nav", "navigation", "toc"), "navigation"),
}
# Text of these regions is part of the article if trafilatura extracts it.
_DOUBTFUL = {"banner": "header", "form": "form", "header": "header"}
# Tag of an element → the kind of container that it is.
_INSIDE: dict[str, Literal["li", "td"]] = {"li": "li", "td": "td", "th": "td"}
_LEVELS = {f"h{level}": level for level in range(1, 7)}
# Tags of elements whose text a browser does not show as text.
_WITHOUT_TEXT = set("script style noscript template svg head iframe object select textarea".split())
# Tags of elements that begin and end a block of text.
_BLOCK_TAGS = set(
    "address article aside blockquote body button caption center dd details dialog div dl dt "
    "fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre "
    "section summary table tbody td tfoot th thead tr ul".split()
)
# Settings for dates of pages. The last day is fixed, so that results do not change in time.
_DATES = {
    "original_date": True,
    "extensive_search": False,  # it would find dates that the text is about
    "min_date": f"{FIRST_YEAR}-01-01",
    "max_date": f"{LAST_YEAR}-12-31",
}
# XPath of elements that may show the date of an article.
_DATED = "//time | //*[contains(@class, 'date') or contains(@class, 'fecha')]"
# The sign for <br> while text is collected, and two or more in a row. No tree contains NUL.
_BREAK, _TWO_BREAKS = "\0", re.compile(r"\0(?:\s*\0)+")
# The encoding that a page declares.
_CODEC = re.compile(rb"""(?i)<(?:meta|\?xml)\b[^>]*?(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""")


@dataclass(frozen=True)
class Block:
    """A block of a page's text, on one line, and its place.

    `level` is that of a heading, 1 to 6, or 0 for other text. `inside` is "li" inside a list item,
    "td" inside a table cell, else "". `region` is the region of the page, such as "footer", or ""
    for none; `excluded` says whether text of this region is never part of an article.
    """

    text: str = ""
    level: int = 0
    inside: Literal["", "li", "td"] = ""
    region: str = ""
    excluded: bool = False


def html_segments(data: bytes, source: str) -> list[Segment]:
    """Cut a web page into segments in its order: the main text, and all other text as skipped ones.

    A `UserError` reports bytes that are not HTML, too deep nesting, and a page without an article.
    A skipped segment's reason is its region, such as "footer", "outside the main text" or "table".
    """
    tree = parse(_decode_page(data, source), source)
    blocks = blocks_of(tree)
    in_main = _are_in_main(blocks, tree, source)
    if not any(in_main):
        raise UserError(
            f"{source}: no article found in this page. Where a script writes its text, save it "
            "from the browser once it is shown (as 'complete'), or copy the text into a .txt file."
        )
    return to_segments(blocks, _with_headings(blocks, in_main))


def html_fields(data: bytes) -> dict[str, object]:
    """Read ISO `date`, `source` (site) and `author`, None if absent; damage may raise any error."""
    page = _decode_page(data, "")
    tree = parse(page, "")
    dated = [clean_line(element.text_content()) for element in tree.xpath(_DATED)]
    metadata = trafilatura.extract_metadata(tree, date_config=_DATES)
    # trafilatura reads months in English and German, and some in French.
    in_words = next(filter(None, map(day_in_words, dated)), None)
    date = _as_written(metadata.date, page) if metadata.date else in_words
    return {"date": date, "source": metadata.sitename, "author": metadata.author}


def parse(page: str, source: str) -> HtmlElement:
    """Parse a page to its root element; a `UserError` if it is not HTML, or nested too deep."""
    # lxml refuses a str that declares its encoding, so it gets UTF-8 bytes.
    parser = HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        tree = lxml.html.document_fromstring(page.encode(), parser=parser)
    except (lxml.etree.LxmlError, ValueError) as error:
        raise UserError(
            f"{source}: cannot be read as HTML: {error}. Save the page again."
        ) from None
    limit = lxml.etree.ErrorTypes.ERR_RESOURCE_LIMIT
    if exceeded := [entry.message for entry in parser.error_log if entry.type == limit]:
        # The parser stopped here, and the rest of the page would be lost.
        cause = exceeded[0].partition(",")[0]
        raise UserError(f"{source}: cannot be read whole: {cause}. Copy its text into a .txt file.")
    return tree


def blocks_of(tree: HtmlElement) -> list[Block]:
    """Cut the text of a tree of HTML into blocks, in document order.

    A block ends at the beginning or end of a block element, and at two <br> in a row. Blank blocks,
    marks of notes, edit links and elements `_WITHOUT_TEXT` are left out; excluded regions are not.
    """
    blocks: list[Block] = []
    pieces: list[str] = []  # text since the last block ended

    def end_block(place: Block) -> None:
        for part in _TWO_BREAKS.split("".join(pieces)):
            if text := " ".join(part.replace(_BREAK, " ").split()):
                blocks.append(replace(place, text=text))
        pieces.clear()

    def collect(element: HtmlElement, place: Block) -> None:
        """Add an element to `pieces` and `blocks`; `place`, without text, is that around it."""
        if element.tag == "br":
            pieces.append(_BREAK)
        if element.tag in _WITHOUT_TEXT or _is_reference(element):
            return
        is_block = element.tag in _BLOCK_TAGS
        if is_block:
            end_block(place)
            place = _place(element, place)
        pieces.append(element.text or "")
        for child in element:
            collect(child, place)
            pieces.append(child.tail or "")
        if is_block:
            end_block(place)

    collect(tree, Block())
    return blocks


def to_segments(blocks: Sequence[Block], kept: Sequence[bool]) -> list[Segment]:
    """Turn blocks into segments, given which of them belong to the article."""
    return merge_skipped(map(_segment, blocks, kept), separate=OUTSIDE)


def _as_written(date: str, page: str) -> str:
    """Remove the day of a date if the page does not contain it: trafilatura adds one.

    >>> [_as_written("2025-09-01", page) for page in ("1 Sept. 2025", "2025-9-1", "2025-09")]
    ['2025-09-01', '2025-09-01', '2025-09']
    """
    year, month, day = date.split("-")
    month, day = rf"0?{int(month)}", rf"0?{int(day)}"
    written = rf"{year}\D?{month}\D?{day}(?!\d)|(?<!\d){day}(?!\d).{{1,15}}(?<!\d){year}"
    page = re.sub(r"[^\D0-9]", lambda digit: str(int(digit[0])), page)  # digits of other scripts
    return date if re.search(written, page) else date[:7]


def _decode_page(data: bytes, source: str) -> str:
    """Decode a page by the encoding that it declares, or by `decode` if it is missing or wrong."""
    declared = _CODEC.search(data[:4096])
    if declared and not data.startswith(codecs.BOM_UTF8):
        with suppress(LookupError, UnicodeError):  # the declaration is wrong
            codec = codecs.lookup(declared[1].decode()).name
            # Browsers read these two as their superset cp1252, and authors mean that.
            codec = "cp1252" if codec in ("ascii", "iso8859-1") else codec
            if not codec.startswith(("utf-16", "utf-32")):  # else it could not be read as ASCII
                return data.decode(codec)
    return decode(data, source)


def _are_in_main(blocks: Sequence[Block], tree: HtmlElement, source: str) -> list[bool]:
    """Whether the text of each block is in the main text that trafilatura extracts.

    White space does not count. A text below `FINGERPRINT` characters has to be an element there.
    Excluded blocks are not in it. A `UserError` reports a page that trafilatura cannot read.
    """
    try:
        document = trafilatura.bare_extraction(tree, include_comments=False)
    except Exception as error:  # malformed pages raise any error inside trafilatura
        raise UserError(
            f"{source}: cannot be read as a web page ({error}). Copy its text into a .txt file."
        ) from None
    assert not isinstance(document, dict)  # the default output is no dict
    elements = () if document is None else document.body.iter()  # the root first
    texts = [_without_space("".join(element.itertext())) for element in elements]
    main_text, element_texts = "".join(texts[:1]), set(texts)

    def is_in_main(block: Block) -> bool:
        text = _without_space(block.text)
        return text in element_texts or (len(text) >= FINGERPRINT and text in main_text)

    return [not block.excluded and is_in_main(block) for block in blocks]


def _with_headings(blocks: Sequence[Block], in_main: Sequence[bool]) -> list[bool]:
    """Whether each block belongs to the article, given which are in the main text (at least one).

    Text belongs to it if it is in the main text, but trafilatura is unreliable about headings. The
    title, the last h1 above the first text, stays. A heading below it or, without a title, below
    the first text stays if the next block stays, or if it is in the main text above its last text.
    Other headings go.
    """
    included = [(n, block) for n, block in enumerate(blocks) if not block.excluded]
    texts = [n for n, block in included if in_main[n] and not block.level]
    first, last = (texts[0], texts[-1]) if texts else (in_main.index(True), -1)
    title = _title_index(included, first)
    start = first if title is None else title
    kept = list(in_main)
    next_kept = False
    for n, block in reversed(included):
        if block.level:
            has_text = next_kept or (in_main[n] and n < last)
            kept[n] = n == title or (n > start and has_text)
        next_kept = kept[n]
    return kept


def _title_index(blocks: Iterable[tuple[int, Block]], first: int) -> int | None:
    """The index of the last h1 above the first text, which is the title; None for none."""
    return max((n for n, block in blocks if n < first and block.level == 1), default=None)


def _segment(block: Block, keep: bool) -> Segment:
    """A skipped segment if a block is excluded, not kept or a short cell; else heading or body.

    The reason is the region or else `OUTSIDE`, or `TABLE` for a cell. List items begin with "- ".
    """
    if block.excluded or not keep:
        return Segment("skipped", block.text, block.region or OUTSIDE)
    if block.inside == "td" and n_words(block.text) <= CELL_WORDS:
        return Segment("skipped", block.text, TABLE)
    if block.level:
        return Segment("heading", block.text)
    return Segment("body", f"- {block.text}" if block.inside == "li" else block.text)


def _is_reference(element: HtmlElement) -> bool:
    """Whether an element is a note's mark, <sup><a href="#n1">1</a></sup>, or a wiki's '[edit]'."""
    links = element.iter("a") if element.tag == "sup" else ()
    is_note = any((link.get("href") or "").startswith("#") for link in links)
    return is_note or "mw-editsection" in _classes(element)


def _place(element: HtmlElement, outer: Block) -> Block:
    """The place inside an element, as a block without text; `outer` is the place around it.

    What the element does not set is as in `outer`; all inside an excluded place is excluded.
    """
    tag, role, id_ = element.tag, element.get("role") or "", element.get("id") or ""
    inside, level = _INSIDE.get(tag, outer.inside), _LEVELS.get(tag, outer.level)
    # Notes of Word documents and of wikis.
    is_note = id_.startswith(("footnote-", "endnote-")) or "references" in _classes(element)
    excluded = _EXCLUDED.get(tag) or _EXCLUDED.get(role)
    excluded = excluded or ("note" if is_note else _EXCLUDED.get(id_))
    # Everything is hidden in a page that was saved behind an open dialog.
    is_hidden = element.get("hidden") is not None or element.get("aria-hidden") == "true"
    doubtful = _DOUBTFUL.get(tag) or _DOUBTFUL.get(role) or ("hidden" if is_hidden else "")
    region = excluded or (outer.region if outer.excluded else doubtful or outer.region)
    return Block("", level, inside, region, bool(excluded) or outer.excluded)


def _classes(element: HtmlElement) -> list[str]:
    return (element.get("class") or "").split()


def _without_space(text: str) -> str:
    return "".join(text.split())
