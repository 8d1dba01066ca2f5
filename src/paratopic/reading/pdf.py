"""PDFs → segments: headings, paragraphs and skipped text.

The space above lines, their indents, their type, and the room for the first word of the next line
decide which lines form a paragraph. Small print and what recurs at the edges of pages are skipped.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from unicodedata import bidirectional

from paratopic.project.errors import UserError
from paratopic.project.scripts import CJK, CLOSERS, QUESTIONS, STOPS, n_words
from paratopic.reading.article import Segment, merge_skipped
from paratopic.reading.pdf_lines import LARGER, Line, body_size, read_info, read_pages

RUNNING = "running header or footer"
SMALL = "small print"
PICTURE = "page without text"

HEADING_WORDS = 40
SMALLER = 0.82  # largest size of small print, as a multiple of the body's size of type
PITCH = 1.3  # largest distance between lines of a paragraph, as a multiple of the usual distance
BROKEN_WORDS = 0.03  # a document breaks words if a greater share of its lines end in a hyphen

# Running headers and footers are in this share of a page's height at its top and its bottom, and
# have at most this many lines each.
EDGE, EDGE_LINES = 0.12, 3
# Small, short lines at the edge are running headers, too, because a single page has no repetition.
RUNNING_SIZE, RUNNING_WORDS = 0.95, 12

# First parts of compounds. They keep their hyphen if the document has no other evidence.
_PREFIXES = set(
    "all anti best co cross deep ex far fast full half high ill large left long low mid multi near "
    "non off old on one open over post pre pro quasi re right second self semi short single small "
    "so state third top two ultra under up vice well wide world year".split()
)
_HYPHENS = "-\u00ad\u2010"
_ENDED = re.compile(rf"[.!?:…{STOPS}{QUESTIONS}][{CLOSERS}]*(?:\[?\d{{1,3}}\]?)?$")
# Lines of Chinese or Japanese are joined without a blank, also before a number or a sign.
_CJK = rf"[{CJK}\u3000-\u303f\uff01-\uff60]"
_UNSPACED = re.compile(rf"{_CJK}\n[^a-zA-Z]|[^a-zA-Z]\n{_CJK}")
_BULLET = re.compile(r"(?:[•‣◦▪·–—*-]|\(?(?:\d{1,3}|[a-z])[.)]) ")
_PAGE_NUMBER = re.compile(r"(?:[Pp]age )?[-–—]? ?\d{1,4}(?: ?(?:/|of) ?\d{1,4})? ?[-–—]?")
# Headers and footers by browsers: '9/15/25, 10:04 AM   Talks Open', the URL and '1/2'.
_PRINTED = re.compile(
    r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}, \d{1,2}:\d{2}(?::\d{2})?(?: ?[AaPp][Mm])?\b.*|"
    r"(?:https?|file)://\S+(?: \d+/\d+)?"
)


@dataclass
class LineGroup:
    """The lines of a paragraph or heading, in order, and the reason to skip it; "" for none."""

    lines: list[Line]
    reason: str = ""


def pdf_segments(data: bytes, source: str) -> list[Segment]:
    """Cut a PDF into segments in reading order; a skipped one for each empty page comes last.

    Running headers and footers are skipped, and come first on their page. A `UserError` reports a
    PDF that is damaged or encrypted, or whose text is missing, unreadable or from right to left.
    """
    pages = read_pages(data, source)
    lines = [line for page in pages for line in page]
    _check_text(lines, source)
    body = body_size(lines)
    running = _running(pages, body)
    distance = _usual_distance(pages, body)
    layouts: list[_Page] = []
    blocks: list[LineGroup] = []
    for page in pages:
        layouts.append(_Page([line for line in page if id(line) not in running]))
        blocks += [LineGroup([line], RUNNING) for line in page if id(line) in running]
        blocks += _blocks(layouts[-1], distance, body)
    hyphens = Hyphens(lines)
    segments = [_segment(block, hyphens, body) for block in _continued(blocks, layouts)]
    empty = [number for number, page in enumerate(pages, start=1) if not page]
    return merge_skipped(segments) + [Segment("skipped", f"page {n}", PICTURE) for n in empty]


def pdf_fields(data: bytes) -> dict[str, object]:
    """Read `date` of creation (ISO) and `author`, None if absent; damage may raise any error."""
    info = read_info(data)
    # The form is D:20250915100430+02'00'. All parts after the year are optional.
    made = re.match(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?", info.get("CreationDate", ""))
    date = "-".join(filter(None, made.groups())) if made else None
    return {"date": date, "author": info.get("Author")}


class Hyphens:
    """Joins lines, and drops hyphens that break words, as the spelling in all `lines` shows."""

    def __init__(self, lines: Sequence[Line]) -> None:
        texts = [line.text for line in lines]
        words = re.findall(r"\w+(?:-\w+)*", "\n".join(texts))
        self._words = Counter(word.lower() for word in words)
        ends = Counter(text[-1] for text in texts if re.search(rf"\w[{_HYPHENS}]$", text))
        # '-' belongs to compounds if another sign breaks words, or if hardly any word is broken.
        uses_other_sign = ends["\u00ad"] + ends["\u2010"] > 0
        self._breaks_words = not uses_other_sign and ends["-"] > max(2, BROKEN_WORDS * len(texts))

    def join(self, text: str, following: str) -> str:
        """Join a text and the line below it: 'the nego-', 'tiations' → 'the negotiations'.

        "-" stays in compounds, beside a digit, before a capital letter, and everywhere if the text
        breaks no words with it; other hyphens are dropped. Without a hyphen, a blank joins the
        lines, but not in Chinese or Japanese.
        """
        # The text is reversed, because a search for a word at its end would try every letter.
        first = re.match(rf"[{_HYPHENS}](\w+)", text[::-1])
        second = re.match(r"\w+", following)
        if not first or not second:
            blank = "" if _UNSPACED.match(f"{text[-1:]}\n{following[:1]}") else " "
            return f"{text}{blank}{following}"
        word = first[1][::-1]
        may_break = self._breaks_words and second[0][0].islower() and word.isalpha()
        keeps_hyphen = not may_break or self._is_compound(word.lower(), second[0].lower())
        return (text if text[-1] == "-" and keeps_hyphen else text[:-1]) + following

    def join_all(self, texts: Iterable[str]) -> str:
        """Join the lines of a paragraph, each to the text above it as `join` does; "" for none."""
        pieces = []
        last_word = ""
        for number, text in enumerate(texts):
            joined = self.join(last_word, text) if number else text
            start, space, last_word = joined.rpartition(" ")
            pieces.append(start + space)
        return "".join([*pieces, last_word])

    def _is_compound(self, first: str, second: str) -> bool:
        n_joined, n_compound = self._words[first + second], self._words[f"{first}-{second}"]
        if n_joined != n_compound:
            return n_compound > n_joined
        return first in _PREFIXES or (self._words[first] > 1 and self._words[second] > 1)


class _Page:
    """The lines of a page without running headers and footers, and the margins of its columns."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self._margins: dict[tuple[int, bool, float], tuple[float, float]] = {}

    def margins(self, line: Line) -> tuple[float, float]:
        """Left and right end of the lines that have the same column and type as a line."""
        kind = line.column, line.bold, line.size
        if kind not in self._margins:
            column = [other for other in self.lines if other.column == line.column]
            lines = [line, *(other for other in column if _same_type(line, other))]
            self._margins[kind] = min(o.left for o in lines), max(o.right for o in lines)
        return self._margins[kind]

    def is_indented(self, line: Line) -> bool:
        """Whether a line begins to the right of other lines of its column."""
        left, _ = self.margins(line)
        return line.left > left + 0.8 * line.size

    def is_full(self, line: Line, following: Line) -> bool:
        """Whether a line has no room for the first word of the next line."""
        _, right = self.margins(line)
        return line.right + 0.2 * line.size + following.first > right - 0.3 * line.size

    @cached_property
    def indents_blocks(self) -> bool:
        """Whether most lines after indented ones are indented: quotations are, not first lines."""
        indented = [self.is_indented(line) for line in self.lines]
        after_indented = [following for line, following in pairwise(indented) if line]
        return 2 * sum(after_indented) > len(after_indented)


def _check_text(lines: Sequence[Line], source: str) -> None:
    """Raise `UserError` if there is no text, its letters are unknown, or most run right to left."""
    if not lines:
        raise UserError(
            f"{source}: has no text, only pictures of it: it was probably scanned. Recognise its "
            "text first (with ocrmypdf, say)."
        )
    n_unknown = sum(line.text.count("(cid:") for line in lines)
    if 20 * n_unknown > sum(len(line.text.split()) for line in lines):
        raise UserError(
            f"{source}: its fonts do not say which letters they show. Recognise its text anew "
            "(with ocrmypdf --force-ocr, say)."
        )
    kinds = [bidirectional(letter) for line in lines for letter in line.text if letter.isalpha()]
    if 2 * sum(kind in ("R", "AL") for kind in kinds) > len(kinds):
        raise UserError(
            f"{source}: is written from right to left, and PDFs do not tell the order of its "
            "letters. Save its text as .docx, .html or .txt."
        )


def _running(pages: Sequence[Sequence[Line]], body: float) -> set[int]:
    """Python's `id` of each line at the edge of a page that is a running header or footer.

    Such lines recur, maybe with other digits, at about the same height on more than a third of the
    pages and more than one, or are page numbers, headers of browsers, or short lines in smaller
    type than `body`, the size of body text.
    """
    edge = [line for page in pages for line in _edge(page)]

    def key(line: Line) -> tuple[str, int]:
        return re.sub(r"\d+", "0", line.text), round(line.top / 4)

    # Text and height → the pages with this text at about this height.
    pages_with: dict[tuple[str, int], set[int]] = {}
    for line in edge:
        text, height = key(line)
        for bin_ in (height - 1, height, height + 1):
            pages_with.setdefault((text, bin_), set()).add(line.page)
    return {
        id(line)
        for line in edge
        if len(pages_with[key(line)]) > max(1, len(pages) // 3)
        or _PAGE_NUMBER.fullmatch(line.text)
        or _PRINTED.fullmatch(line.text)
        or (line.size < RUNNING_SIZE * body and n_words(line.text) <= RUNNING_WORDS)
    }


def _edge(page: Sequence[Line]) -> list[Line]:
    """The `EDGE_LINES` highest and lowest lines of a page, if in its `EDGE`; some may be twice."""
    rows = sorted(page, key=lambda line: -line.top)

    def is_at_edge(line: Line) -> bool:
        middle = (line.top + line.bottom) / 2
        return min(middle, line.height - middle) < EDGE * line.height

    return list(filter(is_at_edge, [*rows[:EDGE_LINES], *rows[-EDGE_LINES:]]))


def _usual_distance(pages: Iterable[Sequence[Line]], body: float) -> float:
    """The usual distance of lines of size `body`, top to top, as a multiple of it; 0 if unknown.

    It is the smallest distance, in whole points, that more than a third of the pairs of lines have.
    """
    distances = Counter(
        round(line.top - following.top, 0)
        for page in pages
        for line, following in pairwise(page)
        if line.size == following.size == body and line.top > following.top
    )
    # If most paragraphs have one line, the distance between paragraphs is the most frequent one.
    frequent = (d for d, n in distances.most_common(2) if 3 * n > distances.total())
    return min(frequent, default=0.0) / (body or 1.0)


def _blocks(page: _Page, usual: float, body: float) -> list[LineGroup]:
    """Group a page's lines by paragraph; groups of small print (by `body`) get reason `SMALL`."""
    blocks: list[LineGroup] = []
    for line in page.lines:
        if blocks and _continues(blocks[-1].lines[-1], line, page, usual):
            blocks[-1].lines.append(line)
        else:
            blocks.append(LineGroup([line], SMALL if line.size <= SMALLER * body else ""))
    return blocks


def _continues(line: Line, following: Line, page: _Page, usual: float) -> bool:
    """Whether two lines in a row on a page belong to the same paragraph.

    They have the same type and, in a column, at most `PITCH` times the `usual` distance, which is a
    multiple of its size. The second is not indented, unless both are in a quotation, does not begin
    with a bullet after a sentence, and continues a sentence or would not fit in the first line.
    """
    distance = line.top - following.top
    if not _same_type(line, following) or distance > PITCH * (usual or 1.3) * line.size:
        return False
    if distance <= 0:  # the next column
        return _may_continue(line, following, page, page)
    if page.is_indented(following) and not (page.is_indented(line) and page.indents_blocks):
        return False
    if _BULLET.match(following.text) and _ENDED.search(line.text):
        return False
    return _breaks_sentence(line, following) or page.is_full(line, following)


def _may_continue(line: Line, following: Line, page: _Page, following_page: _Page) -> bool:
    """Whether a paragraph may go on from the last line of a column or page to the next line."""
    if not _same_type(line, following):
        return False
    begins = _BULLET.match(following.text) or following_page.is_indented(following)
    return _breaks_sentence(line, following) or (not begins and page.is_full(line, following))


def _same_type(line: Line, other: Line) -> bool:
    return abs(line.size - other.size) < 0.05 * line.size and line.bold == other.bold


def _breaks_sentence(line: Line, following: Line) -> bool:
    """Whether the break between two lines lies inside a sentence, by their words."""
    return not _ENDED.search(line.text) and following.text[0].islower()


def _continued(blocks: Sequence[LineGroup], pages: Sequence[_Page]) -> list[LineGroup]:
    """Join the blocks of a paragraph that a page break, a caption or a running header divides.

    The first block gets the lines of the others, which are left out. `pages` are all pages.
    """
    joined: list[LineGroup] = []
    body = LineGroup([])  # the last block that is body text
    for block in blocks:
        if not block.reason:
            if body.lines and _is_cut(body, block, pages, is_next=body is joined[-1]):
                body.lines += block.lines
                continue
            body = block
        joined.append(block)
    return joined


def _is_cut(block: LineGroup, following: LineGroup, pages: Sequence[_Page], is_next: bool) -> bool:
    """Whether two blocks are one paragraph; `is_next`: whether no block is between them."""
    last, first = block.lines[-1], following.lines[0]
    if last.page != first.page and _may_continue(last, first, pages[last.page], pages[first.page]):
        return True
    return not is_next and _breaks_sentence(last, first) and _same_type(last, first)


def _segment(block: LineGroup, hyphens: Hyphens, body: float) -> Segment:
    """Join the lines of a block to a segment, which is skipped if the block has a reason.

    Short blocks in bold type without the end of a sentence, or in type larger than `body`, become
    headings. Others become body text.
    """
    text = hyphens.join_all(line.text for line in block.lines)
    if block.reason:
        return Segment("skipped", text, block.reason)
    is_bold = all(line.bold for line in block.lines) and not _ENDED.search(text)
    stands_out = is_bold or block.lines[0].size >= LARGER * body
    is_short = n_words(text) <= HEADING_WORDS and re.search(r"[^\W\d_]", text)
    return Segment("heading" if stands_out and is_short else "body", text)
