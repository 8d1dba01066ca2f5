"""Find the files of articles, and read each file with the reader of its format."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from paratopic.project.encodings import decode
from paratopic.project.errors import UserError
from paratopic.project.files import CODEBOOK_FILE, CONTROL, LABELS_FILE, METADATA_FILE, printable
from paratopic.reading.article import MOST_CHARACTERS, Article, Segment, check_size
from paratopic.reading.sandbox import FORMATS, read_in_sandbox
from paratopic.reading.structure import classify, plain_segments

log = logging.getLogger(__name__)

SUFFIXES = (".txt", ".md", *FORMATS)
# Maximum size of a file, and number of segments of an article. Books are smaller.
MOST_BYTES = 250_000_000
MOST_SEGMENTS = 100_000
# Files of a project that are no articles.
_OTHER_FILES = (METADATA_FILE, LABELS_FILE, CODEBOOK_FILE)
# A file or folder, and the reason to skip it; "" for none.
Hit = tuple[Path, str]


def log_left_out(skipped_files: Iterable[Hit]) -> None:
    """Log the files that `find_files` skipped, each with the reason."""
    for path, reason in skipped_files:
        log.warning("%s: not read (%s)", path, reason)


def find_files(patterns: Sequence[str], suffixes: Collection[str]) -> tuple[list[Path], list[Hit]]:
    """List the files of paths, folders and globs, in the order of these patterns.

    The first list has the files, each once, and the second (path, reason) of each file or folder
    that is skipped. A folder stands for all files in it and its subfolders with one of the suffixes
    (in lower case), sorted; paths and globs may have others. In a folder, a file that several links
    lead to counts once, and neither list has metadata.csv, labels.csv, codebook.yaml and names that
    begin with . or ~$. A `UserError` reports a pattern that matches no file, a folder or glob with
    only skipped files, and skipped files without any others.
    """
    files: list[Path] = []
    skipped: dict[Path, str] = {}
    for pattern in patterns:
        matches = _matches(pattern, suffixes)
        # The methods of Path would raise an OSError on names that are too long.
        is_file = os.path.exists(pattern) and not os.path.isdir(pattern)
        if all(reason for _, reason in matches) and not is_file:
            problem = "matches no file: give the path of an article, a table or a folder"
            if os.path.isdir(pattern):
                problem = f"has no article: add some ({', '.join(suffixes)})"
            raise UserError(f"{printable(Path(pattern))} {problem}")
        for path, reason in matches:
            if reason:
                skipped[path] = reason
            else:
                files.append(path)
    if skipped and not files:
        reasons = [f"{printable(path)}: has {reason}" for path, reason in skipped.items()]
        raise UserError("\n".join([*reasons, "Rename it."]))
    unique = dict.fromkeys(files)
    return list(unique), [(path, reason) for path, reason in skipped.items() if path not in unique]


def metadata_sheets(paths: Iterable[Path]) -> set[Path]:
    """The path of metadata.csv in the folder of each file, whether it exists or not."""
    return {path.with_name(METADATA_FILE) for path in paths}


def read_file(path: Path) -> Article:
    """Read an article with classified segments; its name is the file's without the suffix.

    Files not of `FORMATS` are read as plain text, with no `fields`. A `UserError` reports a file
    that is missing, damaged, encrypted, too large, too slow to read or without text, a name that is
    not UTF-8 or has control characters or outer blanks, and a format whose library is missing.
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
    """Read an article of plain text; errors name its `source`, such as "standard input".

    A `UserError` reports bytes that `decode` cannot read, and a text that is blank or too long.
    """
    return _article(name, plain_segments(decode(data, source)), source)


def _article(name: str, segments: Sequence[Segment], source: str) -> Article:
    check_size(len(segments), MOST_SEGMENTS, "paragraphs", source)
    size = sum(len(segment.text) for segment in segments)
    check_size(size, MOST_CHARACTERS, "characters", source)
    return Article(name, tuple(classify(segments)))


def _matches(pattern: str, suffixes: Collection[str]) -> list[Hit]:
    """(path, "" or a reason to skip it) of each file that a path, glob or folder stands for."""
    if os.path.isdir(pattern):
        return list(_folder_content(Path(pattern), suffixes, set()))
    globbed = filter(os.path.isfile, sorted(glob.glob(pattern, recursive=True)))
    paths = map(Path, [pattern] if os.path.exists(pattern) else globbed)
    return [(path, _name_problem(path)) for path in paths]


def _folder_content(folder: Path, suffixes: Collection[str], visited: set[str]) -> Iterator[Hit]:
    """Yield (path, "" or a reason to skip it) of each file in a folder and its subfolders, sorted.

    Skipped folders are yielded, too, but names that `find_files` leaves out are not. `visited` has
    the real paths of the folders and of the files without a reason so far; new ones are added.
    """
    visited.add(os.path.realpath(folder))
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        yield folder, f"a folder that cannot be read: {error.strerror}"
        return
    for path in paths:
        # Names of lock files of office programs begin with ~$.
        if path.name.startswith((".", "~$")) or path.name in _OTHER_FILES:
            continue
        page, real = str(path).removesuffix("_files"), os.path.realpath(path)
        if real in visited:
            yield path, "read under another name"
        elif not path.is_dir():
            reason = _file_problem(path, suffixes)
            if not reason:
                visited.add(real)
            yield path, reason
        # A browser saves the pictures and scripts of 'news.html' in a folder 'news_files'.
        elif page != str(path) and any(os.path.exists(page + end) for end in (".html", ".htm")):
            yield path, "part of a saved web page"
        else:
            yield from _folder_content(path, suffixes, visited)


def _file_problem(path: Path, suffixes: Collection[str]) -> str:
    """The reason to skip a file of a folder; "" for none."""
    if path.suffix.lower() not in suffixes:
        return "a file of another kind"
    # Reading a pipe would wait for ever, and the target of a link may be missing.
    return _name_problem(path) if path.is_file() else "not a file"


def _name_problem(path: Path) -> str:
    """The fault of a file's name, such as "a name that is not UTF-8"; "" for a name without one."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if CONTROL.search(path.stem) or path.stem.splitlines() != [path.stem.strip()]:
        return "a name with a control character, or with a blank at its beginning or end"
    return ""


def _read_bytes(path: Path) -> bytes:
    """The file's bytes; `UserError` if missing, a folder, unreadable or above `MOST_BYTES`."""
    if os.path.isdir(path):
        raise UserError(f"{path}: is a folder. Name the text files inside it.")
    try:
        check_size(path.stat().st_size, MOST_BYTES, "bytes", str(path))
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Check the name and the folder.") from None
    except OSError as error:
        problem = f"cannot be read: {error.strerror}. Check its permissions."
        raise UserError(f"{path}: {problem}") from None
