"""A file → an `Article` → its paragraphs, each with the heading it stands under and its position.

One set of rules reads every layout: a paragraph a line, blocks between blank lines, hard-wrapped
text. White space is all that is ever changed, and what is left out (`skipped`) is told with its
reason, which `boilerplate` gives. What this module does *not* do: it reads no HTML, no PDF
(`documents` does) and no Markdown but `#` headings, does not see paragraphs that indentation alone
marks, does not mend hyphenation, corrects and normalises nothing, and knows nothing about topics.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from paratopic.boilerplate import reasons
from paratopic.errors import UserError

HEADING_WORDS = 12
TITLE_WORDS = 40  # the first block may be a title, and those of executive orders run to 35 words
WRAP_WIDTHS = range(40, 121)  # with a longest line outside these, lines are not taken for wrapped

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")  # all but \t \n \v \f \r and NEL
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u2060\ufeff\u00ad"))

_MARKDOWN = re.compile(r"#{1,6} (?=\S)")
_BULLET = re.compile(r"(?:[-*+•‣◦▪·–—]|\(?(?:\d{1,3}|[a-z]|[ivx]+)[.)]|\([A-Z]\)) ")
_QUESTION = re.compile(r"[QA]:|Q[.—–]|Q (?!&)")  # 'Q Do you…', 'Q: Do…', 'Q—and…', but not 'Q & A'
_CLOSERS = r"[\"'’”»)\]*_]*(?:\[\d+\])*$"  # what may follow a full stop: quotes, a wiki's '[3]'
_SENTENCE_END = re.compile(rf"[.!?…:;。！？]{_CLOSERS}")
_BODY_END = re.compile(rf"[.!…,;—–。！，；-]{_CLOSERS}")  # a speaker cut off ('I think —') included
_TITLE_CASE_END = re.compile(r"(?:[?:]|\b[A-Z]\.[A-Z]\.)$")  # '…: Why Spain?', 'Risks for the U.S.'


@dataclass(frozen=True)
class Segment:
    """A heading, a body paragraph or what is neither, and why, on one line.

    A Markdown heading keeps its marks here.
    """

    kind: Literal["heading", "body", "skipped"]
    text: str
    reason: str = ""


@dataclass(frozen=True)
class Article:
    """A text and the name it goes by, its file's stem.

    `left_out` is what its file had besides: each with the number of the segment of `text` that it
    stood before.
    """

    name: str
    text: str
    left_out: tuple[tuple[int, Segment], ...] = ()


@dataclass(frozen=True)
class Paragraph:
    """A body paragraph; `heading` is "" above the first heading, `position` counts from 0."""

    id: str
    article: str
    heading: str
    position: int
    text: str


@dataclass(frozen=True)
class Skipped:
    """What is no paragraph of an article; `position` is that of the paragraph it stood before."""

    article: str
    position: int
    text: str
    reason: str


def read_article(path: Path) -> Article:
    """Read a text file.

    Parameters
    ----------
    path
        A file of UTF-8, UTF-16 with a byte order mark, or cp1252 (Windows) text.

    Raises
    ------
    UserError
        When there is no such file, or it cannot be read, or is no text, or holds no text.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder. Name the text files inside it.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Check the name and the folder.") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}. Check its permissions."
        ) from None
    return Article(path.stem, decode(data, str(path)))


def decode(data: bytes, source: str) -> str:
    """Turn the bytes of a text into the text, without its byte order mark.

    Parameters
    ----------
    data
        UTF-8, UTF-16 with a byte order mark, or else cp1252.
    source
        Where the bytes are from, for the messages: a path, 'standard input'.

    Raises
    ------
    UserError
        When the bytes are no text in these encodings, or hold nothing to read.
    """
    bom, encoding = next((b for b in _BOMS if data.startswith(b[0])), (b"", "utf-8"))
    body = data[len(bom) :]
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        # cp1252 takes almost any bytes. Where UTF-8 was declared, or has served for some letters
        # before, the file is damaged UTF-8, and cp1252 would silently make 'â€™' of its quotes.
        if bom or not body[: error.start].isascii():
            raise UserError(
                f"{source}: is not valid {encoding.upper()} at byte {len(bom) + error.start}. "
                "The file is damaged or mixes encodings: save it as UTF-8 again."
            ) from None
        encoding = "cp1252"
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError as undefined:
            raise UserError(
                f"{source}: is neither UTF-8 nor cp1252 (Windows) text: byte {undefined.start} is "
                f"0x{body[undefined.start]:02x}. Save it as UTF-8."
            ) from None
    if control := _CONTROL.search(text):
        offset = len(bom) + len(text[: control.start()].encode(encoding))
        raise UserError(
            f"{source}: is not plain text: control character U+{ord(control[0]):04X} at byte "
            f"{offset}. Give a text file, not a PDF or a Word document; save UTF-16 with its BOM."
        )
    if not _clean(text):
        raise UserError(f"{source}: holds no text. Give a file with at least one paragraph.")
    return text


def segments(text: str) -> list[Segment]:
    """Cut a text into headings, body paragraphs and what is neither, in order.

    Nothing is lost, added or moved, save that white space becomes single spaces and that zero-width
    spaces, word joiners, byte order marks and soft hyphens are dropped.

    Examples
    --------
    >>> segments("Trade and Tariffs\\nTalks went on.\\n")
    [Segment(kind='heading', text='Trade and Tariffs'), Segment(kind='body', text='Talks went on.')]
    """
    blocks = _blocks(text)
    whys = reasons(blocks)
    kept = [block for block, why in zip(blocks, whys, strict=True) if not why]
    is_heading = _heading_rule(kept)
    first = whys.index("") if kept else None
    found: list[Segment] = []
    above_body = False  # from the end, so that a 'heading' with no body below it is kept as body
    for index, (block, why) in reversed(list(enumerate(zip(blocks, whys, strict=True)))):
        if why:
            found.append(Segment("skipped", block, why))
            continue
        heading = is_heading(block, index == first)
        found.append(Segment("heading" if heading and above_body else "body", block))
        above_body = above_body or not heading
    return found[::-1]


def split(article: Article) -> list[Paragraph]:
    """Cut an article into its body paragraphs.

    Headings with no body between them are joined: 'Key Issues / Trade and Tariffs'. Of paragraphs
    that are the same, the second one's id ends in '-2', the third one's in '-3'.

    Raises
    ------
    UserError
        When the article holds no text, or none that is a paragraph.
    """
    headings: list[str] = []
    paragraphs: list[Paragraph] = []
    seen: Counter[str] = Counter()
    after_body = False
    found = segments(article.text)
    for segment in found:
        if segment.kind == "skipped":
            continue
        if segment.kind == "heading":
            headings = [*([] if after_body else headings), _MARKDOWN.sub("", segment.text, count=1)]
        else:
            id_ = paragraph_id(article.name, segment.text)
            seen[id_] += 1
            unique = id_ if seen[id_] == 1 else f"{id_}-{seen[id_]}"
            heading = " / ".join(headings)
            paragraphs.append(
                Paragraph(unique, article.name, heading, len(paragraphs), segment.text)
            )
        after_body = segment.kind == "body"
    if not paragraphs:
        what = f'no paragraph but "{found[0].text}" ({found[0].reason})' if found else "no text"
        raise UserError(
            f"{article.name}: holds {what}. Give an article with at least one paragraph."
        )
    return paragraphs


def skipped(article: Article) -> list[Skipped]:
    """What `split` leaves out of an article, in order: nothing else is lost between them."""
    found: list[Skipped] = []
    left_out = list(article.left_out)
    position = 0

    def skip(segment: Segment) -> None:
        found.append(Skipped(article.name, position, segment.text, segment.reason))

    for number, segment in enumerate(segments(article.text)):
        while left_out and left_out[0][0] <= number:
            skip(left_out.pop(0)[1])
        if segment.kind == "skipped":
            skip(segment)
        position += segment.kind == "body"
    for _, segment in left_out:
        skip(segment)
    return found


def paragraph_id(article_name: str, text: str) -> str:
    """Name a paragraph by what it says, so that edits elsewhere in the article leave it its labels.

    Examples
    --------
    >>> paragraph_id("madrid", "Talks went on.")
    'madrid:5db912d5a3'
    """
    digest = hashlib.sha256(unicodedata.normalize("NFC", text).encode())
    return f"{article_name}:{digest.hexdigest()[:10]}"


def _clean(line: str) -> str:
    """'\\xa0Trade\\u2009 and\\u200b tariffs' → 'Trade and tariffs'."""
    return " ".join(line.translate(_INVISIBLE).split())


def _blocks(text: str) -> list[str]:
    """Join the lines that wrapping has broken: 'The talks\\ngo on.\\n\\nNo end.' → two blocks."""
    lines = [_clean(line) for line in text.splitlines()]
    joins = _wrap_rule(lines)
    blocks: list[str] = []
    for line, following in pairwise(["", *lines]):
        if line and following and joins(line, following):
            hyphenated = re.search(r"\w-$", line) and re.match(r"(?!and |or |to )\w", following)
            blocks[-1] += following if hyphenated else f" {following}"
        elif following:
            blocks.append(following)
    return blocks


def _wrap_rule(lines: list[str]) -> Callable[[str, str], bool]:
    """Say of two neighbouring lines whether they are one paragraph's.

    How far a line would have *reached* with the next line's first word on it tells whether the
    break had to be: beyond the longest line, it had to. A document is wrapped when a third of its
    breaks or more fall inside a sentence: before a small letter, or where they had to be and no
    sentence ends. The rest may be the ends of short paragraphs.
    """
    breaks = [pair for pair in pairwise(lines) if all(pair)]
    # A word that is longer than the line, a URL say, tells nothing about the width.
    width = max((len(line) for line in lines if " " in line), default=0)

    def reach(line: str, following: str) -> int:
        return len(line) + 1 + len(following.split(" ", 1)[0])

    def open_ended(line: str) -> bool:
        return not (_SENTENCE_END.search(line) or _title_case(line))

    def runs_on(following: str) -> bool:
        return following[0].islower() and not _BULLET.match(following)

    inside = sum(
        runs_on(following) or (reach(line, following) > width and open_ended(line))
        for line, following in breaks
    )
    if width not in WRAP_WIDTHS or 3 * inside < len(breaks):
        return lambda line, following: False
    # Most programs fill each line as far as it goes; some, and people, break earlier. So the
    # shortest reach of the breaks that are surely wraps is this document's measure. Lines not half
    # full, and one break in fifty, are left out: a paragraph that starts small must not set it.
    sure = sorted(
        reach(line, following)
        for line, following in breaks
        if runs_on(following) and 2 * len(line) >= width
    )
    limit = min([width + 1, *sure[len(sure) // 50 :]])

    def joins(line: str, following: str) -> bool:
        if _MARKDOWN.match(line) or _MARKDOWN.match(following):
            return False
        if _speaks(following) and not open_ended(line):
            return False
        return runs_on(following) or reach(line, following) >= limit

    return joins


def _heading_rule(blocks: list[str]) -> Callable[[str, bool], bool]:
    """Say of a block, and whether it is the first, whether it is a heading."""
    labels = Counter(block.partition(":")[0] for block in blocks if ":" in block)

    def utterance(block: str) -> bool:
        # 'President Trump: Yes' looks like 'Trade Talks: Why Spain'; only the speaker comes again.
        return _speaks(block) or (":" in block and labels[block.partition(":")[0]] > 2)

    # There, a short line without a full stop is more often speech than the heading of a section.
    transcript = sum(map(utterance, blocks)) > 2

    def is_heading(block: str, first: bool) -> bool:
        if _MARKDOWN.match(block):
            return True
        if (
            len(block.split()) > (TITLE_WORDS if first else HEADING_WORDS)
            or not re.search(r"[^\W\d_]", block)
            or block[0].islower()
            or _BULLET.match(block)
            or utterance(block)
        ):
            return False
        if _TITLE_CASE_END.search(block):
            return not transcript and _title_case(block)
        return not _BODY_END.search(block) and (not transcript or _title_case(block))

    return is_heading


def _speaks(block: str) -> bool:
    """'Q Do you think so', 'THE PRESIDENT: Yes' → True; 'COVID-19: What We Know' → False."""
    label, colon, _ = block.partition(":")
    called = bool(colon) and label.isupper() and " " in label and not block.isupper()
    return called or bool(_QUESTION.match(block))


def _title_case(text: str) -> bool:
    """'The Madrid Context: Why Spain?' → True; 'The talks in Madrid' → False."""
    words = re.findall(r"[^\W\d_][\w'’-]*", text)
    small = [word for word in words if word[0].islower()]
    return (
        len(words) > 1
        and not words[0][0].islower()
        and 2 * len(small) <= len(words)
        and all(len(word) < 5 for word in small)  # 'of', 'and', 'from'
    )
