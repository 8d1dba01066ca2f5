"""Read the lines of a PDF's pages in reading order, and its properties.

pdfminer.six finds letters and pieces of lines. This module joins the pieces to lines, and orders
the lines column by column. Structure tags are not used, and no text is recognised in pictures.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import accumulate, pairwise
from statistics import median

from pdfminer.converter import PDFPageAggregator
from pdfminer.layout import LAParams, LTAnno, LTChar, LTPage, LTTextLine
from pdfminer.pdfdocument import PDFDocument, PDFEncryptionError
from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager
from pdfminer.pdfpage import PDFPage
from pdfminer.pdfparser import PDFParser
from pdfminer.pdftypes import resolve1
from pdfminer.utils import decode_text

from paratopic.project.errors import UserError
from paratopic.project.scripts import CJK

LARGER = 1.08  # least size of a heading, as a multiple of the body's size of type
COLUMN = 8  # least width of a column, as a multiple of the size of its type
COLUMN_ROWS = 4  # least number of rows in a column
CROSSING = 6  # at most one in so many rows crosses the gutter between two columns
WIDEST = 14_400  # points: the widest page that the PDF format allows

# A line of Chinese or Japanese may end after any character and the signs around it.
_FIRST_WORD = re.compile(rf"[^\w\s]*[{CJK}][^\w\s]*|[^\s{CJK}]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half a letter, which no file can contain
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl"}


@dataclass(frozen=True)
class Line:
    """A line of type, or a piece of one. Lengths are in points.

    `page` and `column` are from 0; the column of a line across columns is -1. `left` and `right`
    are from the left edge of the page, `top` and `bottom` from its bottom. `first` is the width of
    the first word, `size` that of the type, `height` the page's. `bold`: all of the line is bold.
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


def read_pages(data: bytes, source: str) -> list[list[Line]]:
    """Lines of each page in reading order, [] if empty; a UserError for damage or encryption."""
    try:
        pieces = [_pieces(page, number) for number, page in enumerate(_pages(data))]
    except PDFEncryptionError:
        raise UserError(
            f"{source}: is encrypted. Save it without a password (qpdf --decrypt, say)."
        ) from None
    except Exception as error:  # damaged files raise any error inside pdfminer
        raise UserError(
            f"{source}: cannot be read as PDF ({error or type(error).__name__}). It is damaged or "
            "cut off: get it again."
        ) from None
    if not pieces:
        raise UserError(f"{source}: has no pages. It is damaged or cut off: get it again.")
    document_gutters = _gutters([piece for page in pieces for piece in page])
    return [_lines(page, _gutters(page) or document_gutters) for page in pieces]


def read_info(data: bytes) -> dict[str, str]:
    """Read the properties of a PDF that are texts, such as "Author"; damage may raise any error."""
    document = PDFDocument(PDFParser(BytesIO(data)))
    newest_last = reversed(document.info)
    values = ((name, resolve1(value)) for info in newest_last for name, value in info.items())
    return {name: decode_text(value) for name, value in values if isinstance(value, bytes)}


def body_size(lines: Iterable[Line]) -> float:
    """The most frequent size of type, by letters; 0 without lines."""
    letters: Counter[float] = Counter()
    for line in lines:
        letters[line.size] += len(line.text)
    return letters.most_common(1)[0][0] if letters else 0.0


def _pages(data: bytes) -> Iterator[LTPage]:
    """Yield the pages of a PDF, each with its letters in the order in which they are drawn."""
    manager = PDFResourceManager()
    device = PDFPageAggregator(manager, laparams=None)
    interpreter = PDFPageInterpreter(manager, device)
    for page in PDFPage.get_pages(BytesIO(data)):
        interpreter.process_page(page)
        yield device.get_result()


def _pieces(page: LTPage, number: int) -> list[Line]:
    # pdfminer's next step, grouping the pieces in boxes, takes time cubic in their number.
    letters = [item for item in page if isinstance(item, LTChar)]
    pieces = page.group_objects(LAParams(char_margin=1.0), letters) if letters else ()
    filled = (piece for piece in pieces if not piece.is_empty() and piece.get_text().strip())
    return [_piece(piece, number, page.height) for piece in filled]


def _piece(item: LTTextLine, page: int, height: float) -> Line:
    """Convert a line of pdfminer, not blank, to a piece of column 0; ValueError if infinite."""
    letters = [char for char in item if isinstance(char, LTChar) and char.get_text().strip()]
    if not all(map(math.isfinite, (item.y0, item.y1, letters[0].x0, letters[-1].x1, height))):
        raise ValueError("a number in it is too large")
    text = " ".join(_text(item).split()).translate(_LIGATURES)
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    first = min(len(_FIRST_WORD.findall(text)[0]), len(letters))
    return Line(
        text=text,
        page=page,
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


def _text(line: LTTextLine) -> str:
    """The text of a line without blanks over which the next letter is printed (soft hyphens)."""

    def is_overprinted(item: LTChar | LTAnno, following: LTChar | LTAnno) -> bool:
        if not (isinstance(item, LTChar) and isinstance(following, LTChar)):
            return False
        return item.get_text() == " " and following.x0 < item.x0 + 0.3 * item.width

    pairs = pairwise([*line, LTAnno("\n")])
    return "".join(item.get_text() for item, other in pairs if not is_overprinted(item, other))


def _lines(pieces: Sequence[Line], gutters: Sequence[float]) -> list[Line]:
    """Join the pieces of a page to lines, in reading order.

    Lines across `gutters` get column -1; between two of them, the page is read column by column.
    """
    lines = [_with_column(row, gutters) for row in _rows(pieces, gutters)]
    tops = sorted(line.top for line in lines if line.column < 0)

    def order(line: Line) -> tuple[int, int, float]:
        n_above = len(tops) - bisect_left(tops, line.top)
        return 2 * n_above + (line.column >= 0), line.column, -line.top

    return sorted(lines, key=order)


def _rows(pieces: Sequence[Line], gutters: Sequence[float]) -> list[Line]:
    """Join pieces of a row by blanks unless a gutter is between them; rows from the top down."""
    rows: list[Line] = []
    for piece in sorted(pieces, key=lambda piece: (-round(piece.bottom), piece.left)):
        for index, row in enumerate(rows[-8:], start=max(0, len(rows) - 8)):
            is_separate = any(row.right <= gutter <= piece.left for gutter in gutters)
            same_row = abs(row.bottom - piece.bottom) < 0.3 * row.size
            if same_row and row.right <= piece.left + 1 and not is_separate:
                rows[index] = _joined(row, piece)
                break
        else:
            rows.append(piece)
    return rows


def _joined(left: Line, right: Line) -> Line:
    size = max(left, right, key=lambda piece: len(piece.text)).size
    text, top = f"{left.text} {right.text}", max(left.top, right.top)
    bold = left.bold and right.bold
    return replace(left, text=text, right=right.right, top=top, size=size, bold=bold)


def _with_column(line: Line, gutters: Sequence[float]) -> Line:
    crosses = any(line.left < gutter < line.right for gutter in gutters)
    return replace(line, column=-1 if crosses else sum(gutter < line.right for gutter in gutters))


def _gutters(pieces: Sequence[Line]) -> list[float]:
    """The middles of the gutters between columns, from left to right; [] for one column.

    A gutter is a vertical strip that at most 1 of `CROSSING` rows crosses, with `COLUMN_ROWS` or
    more on either side. Strips after a list's numbers or along a ragged edge are too near a margin.
    """
    if not pieces:
        return []
    size = body_size(pieces)
    cover = _cover(pieces, size)
    width = max(1, int(COLUMN * size))
    rows_left = list(accumulate(cover, max))
    rows_right = list(accumulate(reversed(cover), max))[::-1]
    gutters = []
    x = width
    while x < len(cover) - width:
        # Number of rows in the column, to the left or to the right of x, that has fewer rows.
        rows = min(rows_left[x - 1], rows_right[x])
        end = x
        while rows >= COLUMN_ROWS and end < len(cover) and CROSSING * cover[end] <= rows:
            end += 1
        if end > x and end - x >= 0.7 * size and end < len(cover) - width:
            gutters.append((x + end) / 2)
            x = end + width
        else:
            x = end + 1
    return gutters


def _cover(pieces: Sequence[Line], size: float) -> list[int]:
    """Number of pieces at each point from the left edge, without titles, in type above `size`."""
    width = int(min(WIDEST, max(piece.right for piece in pieces))) + 2
    changes = [0] * (width + 1)
    for piece in pieces:
        first, last = max(0, int(piece.left)), min(int(piece.right), width - 1)
        if piece.size < LARGER * size and first <= last:
            changes[first] += 1
            changes[last + 1] -= 1
    return list(accumulate(changes[:width]))
