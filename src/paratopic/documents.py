"""A file of any format → an `Article`, and which files a path, folder or glob stands for.

HTML, Word and PDF become the plain text with `#` headings that `articles` reads, so that one set of
rules goes on from there; what of a file is no article (navigation, captions, small print) is kept
beside it with the reason. Of a web page, trafilatura says which text is the article's; order, words
and headings are the page's own. What this module does *not* do: it runs no scripts and fetches
nothing, recognises no letters in pictures, and reads no .doc, .odt or .rtf.
"""

from __future__ import annotations

import codecs
import glob
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from paratopic import articles
from paratopic.articles import Article, Segment
from paratopic.boilerplate import CAPTION
from paratopic.errors import UserError

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


def find(
    patterns: Sequence[str], suffixes: Collection[str]
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The files that paths, folders and globs name, each once, and the others of these folders.

    Parameters
    ----------
    patterns
        A folder stands for its files with one of the suffixes, sorted, and those of its folders.
        Files and folders whose names begin with a dot are not looked at.
    suffixes
        In small letters: ".txt".

    Returns
    -------
    The files, and what folders hold besides, each with the reason why it is not among them.

    Raises
    ------
    UserError
        One of the patterns names no file.
    """
    found: list[Path] = []
    others: list[tuple[Path, str]] = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            some = []
            for inside, why in _inside(path, suffixes):
                some.append(inside) if not why else others.append((inside, why))
        elif path.exists():
            some = [path]
        else:
            matches = map(Path, sorted(glob.glob(pattern, recursive=True)))
            some = [match for match in matches if match.is_file()]
        if not some:
            raise UserError(f"{pattern} names no file: no article, no table and no folder of them")
        found += some
    named = dict.fromkeys(found)
    return list(named), [(path, why) for path, why in dict(others).items() if path not in named]


def _inside(folder: Path, suffixes: Collection[str]) -> Iterator[tuple[Path, str]]:
    """The files of a folder and why each is to be left out, '' for not."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            page = path.name.removesuffix("_files")
            if page != path.name and any(path.with_name(page + end).exists() for end in _WEB):
                yield path, "what a saved page consists of"
            else:
                yield from _inside(path, suffixes)
        else:
            yield path, "" if path.suffix.lower() in suffixes else "a file of another kind"


def read(path: Path) -> Article:
    """Read an article of any format.

    Parameters
    ----------
    path
        .html, .htm, .docx or .pdf; every other file is taken for plain text.

    Raises
    ------
    UserError
        There is no such file, or it is damaged, encrypted, or holds no text of an article.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None or not path.is_file():
        return articles.read_article(path)  # which says what is wrong with a path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}. Check its permissions."
        ) from None
    if not data.strip():
        raise UserError(f"{path}: is empty. Give a file with at least one paragraph.")
    try:
        found = reader(data, str(path))
    except ImportError as error:
        raise UserError(
            f"{path}: {path.suffix} needs {error.name}: pip install 'paratopic[articles]'"
        ) from None
    return _article(path.stem, found)


def _article(name: str, found: Sequence[Segment]) -> Article:
    """Segments as a text in which each of them is a block again."""
    kept: list[str] = []
    left_out: list[tuple[int, Segment]] = []
    for segment in found:
        if segment.kind == "skipped":
            left_out.append((len(kept), segment))
        else:
            kept.append(f"# {segment.text}" if segment.kind == "heading" else segment.text)
    return Article(name, "\n\n".join(kept), tuple(left_out))


def _html(data: bytes, source: str) -> list[Segment]:
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
    blocks = list(_blocks(tree))
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
    return _merged(
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
    return articles.decode(data, source)


def _docx(data: bytes, source: str) -> list[Segment]:
    """Segments of a Word document."""
    import lxml.html
    import mammoth

    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise UserError(
            f"{source}: is encrypted, or an old .doc. Save it as .docx without a password."
        )
    styles = "\n".join(
        [f"p[style-name='{name}'] => figcaption:fresh" for name in ("caption", "Caption")]
        + ["p[style-name='Title'] => h1:fresh"]
    )
    try:
        html = mammoth.convert_to_html(
            BytesIO(data),
            style_map=styles,
            convert_image=mammoth.images.img_element(lambda image: {}),
        ).value
    except Exception as error:  # mammoth raises whatever zipfile and XML's readers raise
        raise UserError(
            f"{source}: is no whole Word document ({error}). Save it again as .docx."
        ) from None
    if not html:
        raise UserError(f"{source}: holds no text. Give a document with at least one paragraph.")
    return _merged(_blocks(lxml.html.fragment_fromstring(html, create_parent="body")))


def _pdf(data: bytes, source: str) -> list[Segment]:
    """Segments of a PDF."""
    from paratopic import pdf

    return pdf.segments(data, source)


_WEB = (".html", ".htm")
READERS: dict[str, Callable[[bytes, str], list[Segment]]] = {
    **dict.fromkeys(_WEB, _html),
    ".docx": _docx,
    ".pdf": _pdf,
}
# Of the files that are articles.
SUFFIXES = (".txt", ".md", *READERS)


def _merged(blocks: Iterator[Block]) -> list[Segment]:
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


def _blocks(root: Any) -> Iterator[Block]:
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
