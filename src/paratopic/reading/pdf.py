"""The layout of a PDF → headings, paragraphs and what is neither.

pdfminer.six finds pieces of lines; here they become lines, columns and paragraphs again: by the
space above a line, its indent, its type, and whether the next line's first word would still have
fitted on it.
Lines that come again at the edge of the pages are no text of the article, nor is small print. What
this module does *not* do: it reads no structure tags and recognises no letters in pictures.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from statistics import median
from typing import Literal

from pdfminer.high_level import extract_pages
from pdfminer.layout import LAParams, LTChar, LTPage, LTTextBox, LTTextLine
from pdfminer.pdfdocument import PDFEncryptionError

from paratopic.project.errors import UserError
from paratopic.reading.article import Segment

RUNNING = "running header or footer"

SMALL = "small print"

PICTURE = "page without text"

HEADING_WORDS = 40

LARGER, SMALLER = 1.08, 0.82  # than the body's type: a heading's, small print's

EDGE = 0.12  # share of a page's height in which running headers and footers stand

EDGE_LINES = 3  # at most so many of them at the top, and at the bottom

# One-page documents show nothing twice: there, small and short lines at the edge are such.
RUNNING_SIZE, RUNNING_WORDS = 0.95, 12

COLUMN = 8  # a column is as wide as so many times its type's size, or wider

COLUMN_ROWS = 4  # and has so many rows or more

BROKEN_WORDS = 0.03  # share of lines that end in a hyphen, above which words are broken there

PITCH = 1.3  # times the usual distance of lines: more is a new paragraph

# First parts of compounds that keep their hyphen where no evidence is in the document.
_PREFIXES = set(
    "all anti best co cross deep ex far fast full half high ill large left long low mid multi near "
    "non off old on one open over post pre pro quasi re right second self semi short single small "
    "so state third top two ultra under up vice well wide world year".split()
)

_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl"}

_HYPHENS = "-\u00ad\u2010"

_ENDED = re.compile(r"[.!?:…。！？][\"'’”»)\]]*(?:\[?\d{1,3}\]?)?$")

_BULLET = re.compile(r"(?:[•‣◦▪·–—*-]|\(?(?:\d{1,3}|[a-z])[.)]) ")

_PAGE_NUMBER = re.compile(r"(?:[Pp]age )?[-–—]? ?\d{1,4}(?: ?(?:/|of) ?\d{1,4})? ?[-–—]?")

# What browsers print above and below a page: '9/15/25, 10:04 AM   Talks Open', the URL and '1/2'.
_PRINTED = re.compile(
    r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}, \d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp][Mm])?\b.*|"
    r"(?:https?|file)://\S+(?: \d+/\d+)?"
)


@dataclass(frozen=True)
class Line:
    """A line of type; lengths in points, `top` and `bottom` from the page's bottom.

    Parameters
    ----------
    page
        Counts from 0.
    column
        Counts from 0; -1 where it crosses columns.
    first
        Width of its first word.
    size
        Of the type.
    bold
        Whether all of its letters are.
    height
        Of the page.
    """

    text: str
    page: int
    column: int
    left: float
    right: float
    top: float
    bottom: float
    first: float
    size: float
    bold: bool
    height: float


@dataclass
class Block:
    """Lines of one paragraph or heading, in order."""

    lines: list[Line]
    reason: str = ""

    @property
    def last(self) -> Line:
        return self.lines[-1]


def pdf_segments(data: bytes, source: str) -> list[Segment]:
    """Read the headings and paragraphs of a PDF.

    Parameters
    ----------
    data
        The file's bytes.
    source
        Its path, for the messages.

    Raises
    ------
    UserError
        The PDF is damaged or encrypted, or no text can be had from it.
    """
    pages = _pages(data, source)
    lines = [line for page in pages for line in page]
    if not lines:
        raise UserError(
            f"{source}: has no text, only pictures of it: it was probably scanned. Recognise its "
            "text first (with ocrmypdf, say)."
        )
    unknown = sum(line.text.count("(cid:") for line in lines)
    if 20 * unknown > sum(len(line.text.split()) for line in lines):
        raise UserError(
            f"{source}: its fonts do not say which letters they show. Recognise its text anew "
            "(with ocrmypdf --force-ocr, say)."
        )
    body = _size(lines)
    running = _running(pages, body)
    found: list[Block] = []
    for page in pages:
        edge = [line for line in page if id(line) in running]
        text = [line for line in page if id(line) not in running]
        found += [Block([line], RUNNING) for line in edge]
        found += _blocks(text, body)
    found = _continued(found, body)
    hyphens = Hyphens(lines)
    return _joined([_segment(block, hyphens, body) for block in found]) + [
        Segment("skipped", f"page {number}", PICTURE)
        for number, page in enumerate(pages, start=1)
        if not page
    ]


def _pages(data: bytes, source: str) -> list[list[Line]]:
    """The lines of each page, in reading order."""
    logging.getLogger("pdfminer").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pages = extract_pages(BytesIO(data), laparams=LAParams(char_margin=1.0))
            pieces = [_pieces(page, number) for number, page in enumerate(pages)]
    except PDFEncryptionError:
        raise UserError(
            f"{source}: is encrypted. Save it without a password (qpdf --decrypt, say)."
        ) from None
    except Exception as error:  # pdfminer raises whatever damaged files lead it into
        raise UserError(
            f"{source}: cannot be read as PDF ({error or type(error).__name__}). It is damaged or "
            "cut off: get it again."
        ) from None
    if not pieces:
        raise UserError(f"{source}: has no pages. It is damaged or cut off: get it again.")
    usual = _gutters([piece for page in pieces for piece in page])
    return [_lines(page, _gutters(page) or usual) for page in pieces]


def _pieces(page: LTPage, number: int) -> list[Line]:
    return [
        _line(item, number, page.height)
        for box in page
        if isinstance(box, LTTextBox)
        for item in box
        if item.get_text().strip()
    ]


def _lines(pieces: Sequence[Line], gutters: Sequence[float]) -> list[Line]:
    """The lines of a page, in reading order: column by column between those that cross columns."""
    rows: list[Line] = []
    for piece in sorted(pieces, key=lambda piece: (-round(piece.bottom), piece.left)):
        # Wide spaces tear a line apart; so does a gutter, which two lines keep between them.
        for place, row in enumerate(rows[-8:], start=max(0, len(rows) - 8)):
            between = any(row.right <= gutter <= piece.left for gutter in gutters)
            same_row = abs(row.bottom - piece.bottom) < 0.3 * row.size
            if same_row and row.right <= piece.left + 1 and not between:
                rows[place] = _together(row, piece)
                break
        else:
            rows.append(piece)
    columns = []
    for row in rows:
        crossed = any(row.left < gutter < row.right for gutter in gutters)
        column = -1 if crossed else sum(gutter < row.right for gutter in gutters)
        columns.append(replace(row, column=column))
    crossing = [row.top for row in columns if row.column < 0]

    def order(row: Line) -> tuple[int, int, float]:
        above = sum(top >= row.top for top in crossing)
        return 2 * above + (row.column >= 0), row.column, -row.top

    return sorted(columns, key=order)


def _line(item: LTTextLine, number: int, height: float) -> Line:
    letters = [char for char in item if isinstance(char, LTChar) and char.get_text().strip()]
    text = " ".join(_text(item).split()).translate(_LIGATURES)
    first = min(len(text.split()[0]), len(letters))
    return Line(
        text=text,
        page=number,
        column=0,
        left=letters[0].x0,
        right=letters[-1].x1,
        top=item.y1,
        bottom=item.y0,
        first=letters[first - 1].x1 - letters[0].x0,
        size=round(median(char.size for char in letters), 1),
        bold=all("bold" in char.fontname.lower() for char in letters),
        height=height,
    )


def _together(line: Line, other: Line) -> Line:
    longer = max(line, other, key=lambda piece: len(piece.text))
    return replace(
        line,
        text=f"{line.text} {other.text}",
        right=other.right,
        top=max(line.top, other.top),
        size=longer.size,
        bold=line.bold and other.bold,
    )


def _gutters(pieces: Sequence[Line]) -> list[float]:
    """Where the white strips between columns are, from left to right.

    A strip that few rows cross, with more rows on either side of it; a list's numbers and a
    ragged edge are no columns.
    """
    if not pieces:
        return []
    size = _size(pieces)
    cover = [0] * (int(max(piece.right for piece in pieces)) + 2)
    for piece in pieces:
        if piece.size < LARGER * size:  # titles cross columns
            for x in range(max(0, int(piece.left)), int(piece.right) + 1):
                cover[x] += 1
    found = []
    least = int(COLUMN * size)
    x = least
    while x < len(cover) - least:
        here = cover[x]
        left, right = max(cover[:x]), max(cover[x:])
        if min(left, right) >= COLUMN_ROWS and 6 * here <= min(left, right):
            end = x
            while end < len(cover) and 6 * cover[end] <= min(left, right):
                end += 1
            if end - x >= 0.7 * size and end < len(cover) - least:
                found.append((x + end) / 2)
                x = end + least
                continue
            x = end
        x += 1
    return found


def _text(line: LTTextLine) -> str:
    """A line's text, without the 'space' that another letter is printed over: a soft hyphen."""
    items = list(line)
    found = []
    for item, following in zip(items, [*items[1:], None], strict=True):
        over = (
            isinstance(item, LTChar)
            and isinstance(following, LTChar)
            and item.get_text() == " "
            and following.x0 < item.x0 + 0.3 * item.width
        )
        found.append("" if over else item.get_text())
    return "".join([*found, " "])


def _size(lines: Iterable[Line]) -> float:
    """The size of type in which most is written."""
    letters: Counter[float] = Counter()
    for line in lines:
        letters[line.size] += len(line.text)
    return letters.most_common(1)[0][0] if letters else 0.0


def _running(pages: Sequence[Sequence[Line]], body: float) -> set[int]:
    """The lines (by identity) at the edge of pages that come again, are small or number them."""
    edges: list[Line] = []
    for page in pages:
        rows = sorted(page, key=lambda line: -line.top)
        for line in [*rows[:EDGE_LINES], *rows[-EDGE_LINES:]]:
            place = (line.top + line.bottom) / 2 / line.height
            if min(place, 1 - place) < EDGE:
                edges.append(line)

    def key(line: Line) -> tuple[str, int]:
        return re.sub(r"\d+", "0", line.text), round(line.top / 4)

    seen: dict[tuple[str, int], set[int]] = {}
    for line in edges:
        text, place = key(line)
        for near in (place - 1, place, place + 1):
            seen.setdefault((text, near), set()).add(line.page)
    return {
        id(line)
        for line in edges
        if len(seen[key(line)]) > max(1, len(pages) // 3)
        or _PAGE_NUMBER.fullmatch(line.text)
        or _PRINTED.fullmatch(line.text)
        or (line.size < RUNNING_SIZE * body and len(line.text.split()) <= RUNNING_WORDS)
    }


def _blocks(lines: Sequence[Line], body: float) -> list[Block]:
    """The paragraphs and headings of one page."""
    pitches = Counter(
        round(one.top - other.top, 0)
        for one, other in pairwise(lines)
        if one.size == other.size == body and one.top > other.top
    )
    usual = min((p for p, n in pitches.most_common(2) if 3 * n > pitches.total()), default=0.0)
    found: list[Block] = []
    for line in lines:
        if found and _goes_on(found[-1].last, line, lines, usual / body if body else 0.0):
            found[-1].lines.append(line)
        else:
            found.append(Block([line]))
    return found


def _goes_on(line: Line, following: Line, page: Sequence[Line], usual: float) -> bool:
    """Whether the following line is the same paragraph's, on one page.

    `usual` is the distance of lines, as a multiple of the type's size.
    """
    if not _same_type(line, following):
        return False
    distance = line.top - following.top
    if distance > PITCH * (usual or 1.3) * line.size:
        return False
    if distance <= 0:  # the next column
        return _may_run_on(line, following, page, page)
    if _indented(following, page) and not (_indented(line, page) and _indents_blocks(page)):
        return False
    if _BULLET.match(following.text) and _ENDED.search(line.text):
        return False
    return _runs_on(line, following) or _full(line, following, page)


def _may_run_on(
    line: Line, following: Line, page: Sequence[Line], following_page: Sequence[Line]
) -> bool:
    """Whether a paragraph may go on over the end of a column or page."""
    if not _same_type(line, following):
        return False
    if _runs_on(line, following):
        return True
    if _BULLET.match(following.text):
        return False
    return not _indented(following, following_page) and _full(line, following, page)


def _same_type(line: Line, other: Line) -> bool:
    return abs(line.size - other.size) < 0.05 * line.size and line.bold == other.bold


def _peers(line: Line, page: Sequence[Line]) -> list[Line]:
    """The lines of a line's column that are of its type, itself among them."""
    return [other for other in page if other.column == line.column and _same_type(line, other)]


def _runs_on(line: Line, following: Line) -> bool:
    """Whether a break lies inside a sentence, by its words alone."""
    return not _ENDED.search(line.text) and following.text[0].islower()


def _indented(line: Line, page: Sequence[Line]) -> bool:
    """Whether a line begins to the right of its column's other lines."""
    return line.left > min(other.left for other in _peers(line, page)) + 0.8 * line.size


def _indents_blocks(page: Sequence[Line]) -> bool:
    """Whether lines are indented many together, as quotations are, or one at a paragraph's start.

    One-line paragraphs stand together too: what counts is what most lines do.
    """
    indented = [_indented(line, page) for line in page]
    after = [following for line, following in pairwise(indented) if line]
    return 2 * sum(after) > len(after)


def _full(line: Line, following: Line, page: Sequence[Line]) -> bool:
    """Whether the next line's first word would not have fitted on a line."""
    right = max(other.right for other in _peers(line, page))
    return line.right + 0.2 * line.size + following.first > right - 0.3 * line.size


def _continued(blocks: Sequence[Block], body: float) -> list[Block]:
    """Paragraphs that a page's end, a picture's caption or a running header has cut, joined."""
    on_page: dict[int, list[Line]] = {}
    for block in blocks:
        for line in block.lines:
            on_page.setdefault(line.page, []).append(line)
    found: list[Block] = []
    open_: Block | None = None  # the last block of the body
    for block in blocks:
        first = block.lines[0]
        if block.reason or first.size <= SMALLER * body:
            found.append(block)
            continue
        if (
            open_ is not None
            and open_.last.page != first.page
            and _may_run_on(open_.last, first, on_page[open_.last.page], on_page[first.page])
        ) or (
            open_ is not None
            and open_ is not found[-1]
            and _runs_on(open_.last, first)
            and _same_type(open_.last, first)
        ):
            open_.lines += block.lines
        else:
            found.append(block)
            open_ = block
    return found


def _segment(block: Block, hyphens: Hyphens, body: float) -> Segment:
    text = block.lines[0].text
    for line in block.lines[1:]:
        text = hyphens.mended(text, line.text)
    if block.reason:
        return Segment("skipped", text, block.reason)
    first = block.lines[0]
    if first.size <= SMALLER * body:
        return Segment("skipped", text, SMALL)
    stands_out = first.size >= LARGER * body or (
        all(line.bold for line in block.lines) and not _ENDED.search(text)
    )
    short = len(text.split()) <= HEADING_WORDS and re.search(r"[^\W\d_]", text)
    kind: Literal["heading", "body"] = "heading" if stands_out and short else "body"
    return Segment(kind, text)


class Hyphens:
    """What a hyphen at the end of a line is: a compound's, or put there to break a word.

    Parameters
    ----------
    lines
        Of the whole document, which shows how it writes its words elsewhere.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        texts = [line.text for line in lines]
        self.words = Counter(
            word.lower() for text in texts for word in re.findall(r"\w+(?:-\w+)*", text)
        )
        ends = Counter(text[-1] for text in texts if re.search(rf"\w[{_HYPHENS}]$", text))
        # Where words are broken with a sign of its own, or hardly ever, a '-' is a compound's.
        own = ends["\u00ad"] + ends["\u2010"]
        self.breaks_words = not own and ends["-"] > max(2, BROKEN_WORDS * len(texts))

    def mended(self, text: str, following: str) -> str:
        """A text and the line below it: 'the nego-', 'tiations' → 'the negotiations'."""
        match = re.search(rf"(\w+)([{_HYPHENS}])$", text)
        second = re.match(r"\w+", following)
        if not match or not second:
            return f"{text} {following}"
        if match[2] == "-" and (
            not self.breaks_words
            or not second[0][0].islower()
            or not match[1].isalpha()
            or self._compound(match[1].lower(), second[0].lower())
        ):
            return text + following
        return text[:-1] + following

    def _compound(self, first: str, second: str) -> bool:
        whole, compound = self.words[first + second], self.words[f"{first}-{second}"]
        if whole != compound:
            return compound > whole
        return first in _PREFIXES or (self.words[first] > 1 and self.words[second] > 1)


def _joined(found: Sequence[Segment]) -> list[Segment]:
    """What is left out for one reason side by side, as one."""
    out: list[Segment] = []
    for segment in found:
        if out and segment.kind == "skipped" and out[-1].reason == segment.reason:
            out[-1] = replace(out[-1], text=f"{out[-1].text} | {segment.text}")
        else:
            out.append(segment)
    return out
