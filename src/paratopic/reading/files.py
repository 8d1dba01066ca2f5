"""Which files a path, folder or glob stands for, and which reader each of them has."""

from __future__ import annotations

import glob
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from paratopic.project.errors import UserError
from paratopic.project.files import decode
from paratopic.reading.article import Article, Segment
from paratopic.reading.html import html_segments
from paratopic.reading.plain import segments
from paratopic.reading.structure import classify
from paratopic.reading.word import word_segments


def find_files(
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


def read_file(path: Path) -> Article:
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
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        return read_text(path.stem, data, str(path))
    if not data.strip():
        raise UserError(f"{path}: is empty. Give a file with at least one paragraph.")
    try:
        blocks = reader(data, str(path))
    except ImportError as error:
        raise UserError(
            f"{path}: {path.suffix} needs {error.name}: pip install 'paratopic[articles]'"
        ) from None
    return Article(path.stem, tuple(classify(blocks)))


def read_text(name: str, data: bytes, source: str) -> Article:
    """Read an article of plain text.

    Parameters
    ----------
    name
        Name of the article.
    data
        UTF-8, UTF-16 with a byte order mark, or cp1252 (Windows).
    source
        Where the bytes are from, for the messages: a path, 'standard input'.

    Raises
    ------
    UserError
        The bytes are no text in these encodings, or hold nothing to read.
    """
    return Article(name, tuple(segments(decode(data, source))))


def _pdf(data: bytes, source: str) -> list[Segment]:
    """Segments of a PDF."""
    from paratopic.reading.pdf import pdf_segments

    return pdf_segments(data, source)


_WEB = (".html", ".htm")

READERS: dict[str, Callable[[bytes, str], list[Segment]]] = {
    **dict.fromkeys(_WEB, html_segments),
    ".docx": word_segments,
    ".pdf": _pdf,
}

# Of the files that are articles.
SUFFIXES = (".txt", ".md", *READERS)
