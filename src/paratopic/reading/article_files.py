"""Finding the files of articles, and reading each with the reader of its format.

Readers turn bytes into segments; `structure.classify` then applies the same rules to the segments
of every format.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from paratopic.project.encodings import decode
from paratopic.project.errors import UserError
from paratopic.project.files import CODEBOOK, CONTROL, LOG, SHEET, printable
from paratopic.reading.article import MOST_CHARACTERS, Article, Segment, check_size
from paratopic.reading.sandbox import FORMATS, read_in_sandbox
from paratopic.reading.structure import classify, plain_segments

log = logging.getLogger(__name__)

# Suffixes of articles.
SUFFIXES = (".txt", ".md", *FORMATS)
# Largest file and greatest number of segments of an article. A book has neither.
MOST_BYTES = 250_000_000
MOST_SEGMENTS = 100_000


def list_left_out(left_out: Iterable[tuple[Path, str]]) -> None:
    """Note what `find_files` left out, and why, on stderr."""
    for path, reason in left_out:
        log.warning("%s: not read (%s)", path, reason)


def find_files(
    patterns: Sequence[str], suffixes: Collection[str]
) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Find the files that paths, folders and globs stand for.

    A folder stands for all files in it and in its subfolders that have one of the suffixes (in
    lower case), in sorted order; what links lead to again is read once. Files and folders whose
    names begin with a dot or ~$ are ignored, and so are metadata.csv, labels.csv and codebook.yaml.

    Returns
    -------
    The files, each once, and the other content of the folders with the reason why it is left out.

    Raises
    ------
    UserError
        One of the patterns matches no file.
    """
    files: list[Path] = []
    left_out: dict[Path, str] = {}
    for pattern in patterns:
        matches = _matches(pattern, suffixes)
        # Not by the methods of Path, which raise an OSError on names that are too long.
        is_file = os.path.exists(pattern) and not os.path.isdir(pattern)
        if all(reason for _, reason in matches) and not is_file:
            lack = "matches no file: give the path of an article, a table or a folder"
            if os.path.isdir(pattern):
                lack = f"has no article: add some ({', '.join(suffixes)})"
            raise UserError(f"{printable(Path(pattern))} {lack}")
        files += [path for path, reason in matches if not reason]
        left_out |= {path: reason for path, reason in matches if reason}
    if left_out and not files:
        reasons = [f"{printable(path)}: has {reason}" for path, reason in left_out.items()]
        raise UserError("\n".join([*reasons, "Rename it."]))
    unique = dict.fromkeys(files)
    return list(unique), [(path, reason) for path, reason in left_out.items() if path not in unique]


def read_file(path: Path) -> Article:
    """Read an article. A file that has no suffix of `FORMATS` is read as plain text.

    Raises
    ------
    UserError
        The file is missing, damaged, encrypted or too large, its name is not UTF-8, or it holds no
        text of an article.
    """
    if reason := _name_problem(path):
        raise UserError(f"{printable(path)}: has {reason}. Rename it.")
    data = _read_bytes(path)
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        return read_text(path.stem, data, str(path))
    if not data.strip():
        raise UserError(f"{path}: is empty. Give a file with at least one paragraph.")
    segments, fields = read_in_sandbox(suffix, data, str(path))
    return replace(_article(path.stem, segments, str(path)), fields=fields)


def read_text(name: str, data: bytes, source: str) -> Article:
    """Read an article of plain text from a source, such as "standard input", for messages.

    Raises
    ------
    UserError
        The bytes are not text in one of the encodings of `decode`, or it is blank or too long.
    """
    return _article(name, plain_segments(decode(data, source)), source)


def _article(name: str, segments: Sequence[Segment], source: str) -> Article:
    check_size(len(segments), MOST_SEGMENTS, "paragraphs", source)
    size = sum(len(segment.text) for segment in segments)
    check_size(size, MOST_CHARACTERS, "characters", source)
    return Article(name, tuple(classify(segments)))


def _matches(pattern: str, suffixes: Collection[str]) -> list[tuple[Path, str]]:
    """The files that a pattern stands for, each with the reason to leave it out, if any."""
    # Not by the methods of Path, which raise an OSError on names that are too long.
    if os.path.isdir(pattern):
        return list(_folder_content(Path(pattern), suffixes, set()))
    globbed = filter(os.path.isfile, sorted(glob.glob(pattern, recursive=True)))
    paths = map(Path, [pattern] if os.path.exists(pattern) else globbed)
    return [(path, _name_problem(path)) for path in paths]


def _folder_content(
    folder: Path, suffixes: Collection[str], known: set[str]
) -> Iterator[tuple[Path, str]]:
    """The files of a folder, each with the reason to leave it out, if any.

    `known` are the real paths of files and folders that were read before, also by a link.
    """
    known.add(os.path.realpath(folder))
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        yield folder, f"a folder that cannot be read: {error.strerror}"
        return
    for path in paths:
        # Locks of office programs begin with ~$.
        if path.name.startswith((".", "~$")) or path.name in (SHEET, LOG, CODEBOOK):
            continue
        page = str(path).removesuffix("_files")
        if (real := os.path.realpath(path)) in known:
            yield path, "read under another name"
        elif not path.is_dir():
            if not (reason := _file_problem(path, suffixes)):
                known.add(real)
            yield path, reason
        # A browser saved the pictures and scripts of 'news.html' beside it in 'news_files'.
        elif page != str(path) and any(os.path.exists(page + end) for end in (".html", ".htm")):
            yield path, "part of a saved web page"
        else:
            yield from _folder_content(path, suffixes, known)


def _file_problem(path: Path, suffixes: Collection[str]) -> str:
    """The reason to leave out a file of a folder; "" for none."""
    if path.suffix.lower() not in suffixes:
        return "a file of another kind"
    # A pipe, say, would be waited for; a link may lead to nothing.
    return _name_problem(path) if path.is_file() else "not a file"


def _name_problem(path: Path) -> str:
    """Why no article can be named after a file; "" for no reason."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if CONTROL.search(path.stem) or path.stem.splitlines() != [path.stem.strip()]:
        return "a name with a control character, or with a blank at its beginning or end"
    return ""


def _read_bytes(path: Path) -> bytes:
    if os.path.isdir(path):
        raise UserError(f"{path}: is a folder. Name the text files inside it.")
    try:
        check_size(path.stat().st_size, MOST_BYTES, "bytes", str(path))
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Check the name and the folder.") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}. Check its permissions."
        ) from None
