"""Read labels.csv, and write to it: a log with one line for each vote on a paragraph.

A line is never removed. Topics are as they were written; `Topics.current_meaning` translates former
names. The cells of all lines have the header's separator: a comma, a semicolon or a tab.
"""

from __future__ import annotations

import csv
import errno
import io
import math
import os
import shutil
import unicodedata
from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import shorten
from typing import Literal

from filelock import BaseFileLock, FileLock

from paratopic.project.encodings import decode
from paratopic.project.errors import UserError
from paratopic.project.files import CONTROL, atomic_write, escape_formula, unescape_formula
from paratopic.project.system import sync_folder
from paratopic.project.topics import UNDECIDED, join_cell, split_cell
from paratopic.tables.sheets import LineFeeds, find_separator, read_csv

COLUMNS = ("paragraph", "topics", "text")
# These columns may be missing: a file that one person writes by hand needs none of them.
OPTIONAL = ("annotator", "when", "note", "drawn")
_OWN = (*COLUMNS, *OPTIONAL)
# The column `drawn` has this word instead of a chance if the whole article was drawn at random.
ARTICLE = "article"
# Messages use these words for an annotator without a name.
UNNAMED = "unnamed annotator"
# Prefix of the annotator's name of a language model, and of columns with the costs of its reply.
LLM = "llm-"
# Time of a line without one.
NEVER = datetime.min.replace(tzinfo=UTC)
# Unicode categories of control characters, and of lone surrogates, which JSON can contain.
_UNWRITABLE = ("Cc", "Cs")
# Python's csv module refuses longer cells by default.
MAX_CELL = 131_072


@dataclass(frozen=True)
class Label:
    """One line of labels.csv.

    Parameters
    ----------
    where
        File and line, for messages: ``"seeds/labels.csv, line 7"``.
    cell
        Topics as written: ``"trade;technology"``, "" for none of the topics, "?" for undecided.
    text
        First words of the paragraph, for people who read the file.
    annotator
        Name of the person or weak source that voted; "" where it is not known.
    when
        ISO 8601 date or time, UTC where it has no zone; "" where it is not known.
    drawn
        How the paragraph was chosen. A number is its chance to be drawn next, relative to a random
        draw from the remaining paragraphs: "1" is such a draw. "article" means that its whole
        article was drawn at random; "" that the draw is not known. The number of paragraphs at the
        time of the draw follows " of ": "1 of 940". A draw from a group has the number of
        paragraphs in the group, and then the group: "1 of 44 in decade=1970s".
    more
        Names and cells of further columns, which are kept.
    """

    where: str
    paragraph: str
    cell: str
    text: str
    annotator: str = ""
    when: str = ""
    note: str = ""
    drawn: str = ""
    more: tuple[tuple[str, str], ...] = ()

    @property
    def who(self) -> str:
        """The annotator's name in messages."""
        return self.annotator or UNNAMED

    @property
    def names(self) -> tuple[str, ...]:
        """Topics, the dominant one first: ``"trade; security"`` → ``("trade", "security")``."""
        return split_cell(self.cell)

    @property
    def is_decided(self) -> bool:
        """Whether the line has a vote; else it withdraws one, or waits to be filled in."""
        return self.cell != UNDECIDED

    @property
    def is_filled_in(self) -> bool:
        """Whether the line has or withdraws a vote; else it waits to be filled in."""
        return self.is_decided or bool(self.when)

    @property
    def line(self) -> str:
        """Number of the line in its file, for people: ``"seeds/labels.csv, line 7"`` → ``"7"``."""
        return self.where.rpartition(" ")[2]

    @property
    def time(self) -> datetime:
        """Time of the vote, by default UTC; `NEVER` for "", a `UserError` if not ISO 8601."""
        try:
            time = datetime.fromisoformat(self.when) if self.when else NEVER
        except ValueError:
            raise UserError(
                f'{self.where}: "{self.when}" is not an ISO 8601 time; write 2025-09-15T10:00:00Z, '
                "or leave it empty"
            ) from None
        return time if time.tzinfo else time.replace(tzinfo=UTC)

    @property
    def chance(self) -> float | None:
        """The chance of the draw, relative to a random one: "0.3 of 940" in `drawn` → 0.3.

        None for "article" and "", with or without " of " and a number. Another form, or a chance
        that is not above 0, is a `UserError`.
        """
        how, separator, total = self.drawn.removesuffix(f" in {self.group}").partition(" of ")
        has_valid_total = total.isdecimal() == bool(separator)
        if how in ("", ARTICLE) and has_valid_total:
            return None
        chance = math.nan
        with suppress(ValueError):
            chance = float(how)
        if not 0 < chance < math.inf or not has_valid_total:
            raise UserError(
                f'{self.where}: "{self.drawn}" in the column drawn is neither a positive number '
                f'nor "{ARTICLE}"; copy it from the sheet of `paratopic suggest`, or leave it empty'
            )
        return chance

    @property
    def draw(self) -> str:
        """The unit of the draw: "paragraph", "article", or "" where it is not known."""
        return "paragraph" if self.chance is not None else self.drawn.partition(" of ")[0]

    @property
    def group(self) -> str:
        """The group of the draw, ``"decade=1970s"``; "" if it was from all paragraphs."""
        return self.drawn.partition(" in ")[2]

    @property
    def drawn_from(self) -> int | None:
        """Number of all paragraphs at the time of a draw from all; None where it is not known."""
        total = "" if self.group else self.drawn.partition(" of ")[2]
        return int(total) if total else None

    @property
    def key(self) -> tuple[str, tuple[str, ...], str, datetime, str]:
        """A key that is equal for two lines with the same vote."""
        return self.paragraph, self.names, self.annotator, self.time, self.note


def after(time: datetime) -> str:
    """The next instant after a time, as `Label.when`."""
    return (time + timedelta(microseconds=1)).isoformat(timespec="microseconds")


def cell_of(names: Iterable[str] | None) -> str:
    """Write the topics of a vote as `Label.cell`; None for undecided.

    >>> cell_of(["trade", "technology"]), cell_of([]), cell_of(None)
    ('trade;technology', '', '?')
    """
    return UNDECIDED if names is None else join_cell(names)


def first_words(text: str, width: int = 60) -> str:
    """Shorten a text to its first words, by which people recognise a paragraph.

    They are whole words of at most `width` characters, or the beginning of a longer first word.
    Runs of white space become one space.

    >>> first_words("Tariffs rose on all goods", 12)
    'Tariffs rose'
    """
    return shorten(text, width, placeholder="", break_on_hyphens=False)


def one_line(text: str) -> str:
    r"""Put a text on one line, and remove control characters, which break text files.

    >>> one_line("two\n lines\x00")
    'two lines'
    """
    kept = (" " if unicodedata.category(char) in _UNWRITABLE else char for char in text)
    return " ".join("".join(kept).split())


def checked(label: Label) -> Label:
    """Return the label if its time and chance can be parsed, or raise a `UserError`."""
    _ = label.time, label.chance
    return label


def tidy(label: Label) -> Label:
    """The label as `append` writes it: each cell on one line, without blanks at its ends."""
    text, note = one_line(label.text), one_line(label.note)
    return replace(label, text=text, annotator=one_line(label.annotator), note=note)


def read_lines(path: Path) -> list[Label]:
    """Read all lines of labels.csv in their order, with the errors of `read_table`."""
    return read_table(path)[1]


def read_table(path: Path) -> tuple[list[str], list[Label]]:
    """Read the names of the columns, and all lines of labels.csv, also those that others replace.

    Topics are not checked. A `UserError` reports a missing or empty file, a missing column
    paragraph or topics, an incomplete line or one without a paragraph, quotes that do not match,
    and a time or a cell of the column drawn that cannot be parsed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path} not found: make it with `paratopic paragraphs`, or set prepare.labels to null"
        ) from None
    if not data.strip():
        columns = ",".join(COLUMNS)
        raise UserError(f"{path} is empty: its first line has to be {columns}")
    return _parse(_decode(data, path), path)


def append(path: Path, label: Label) -> Label:
    """Add a line at the end of labels.csv, on the disk when this returns; return it as written.

    The line gets the current time. If the clock was set back, it still gets a later time than that
    of the label, which may be the time of a line that it replaces. Earlier lines stay, unparsed. A
    file that is missing, lacks a column or the last line end, or is not UTF-8, is written anew by
    `rewrite`, with the errors of `read_table`. A `UserError` about a cell that is too long or has a
    control character, or an `OSError`, as for a full disk, leaves the file as it was.
    """
    with locked(path):
        time = max(datetime.now(UTC), label.time + timedelta(microseconds=1))
        label = replace(tidy(label), when=time.isoformat(timespec="microseconds"))
        needed = (*_OWN, *dict(label.more))
        form = _form_for(path, needed) if path.exists() else None
        if form:
            _add(path, _csv([label], *form).encode())
        else:
            columns, lines = read_table(path) if path.exists() else ([], [])
            rewrite(path, columns, [*lines, label])
        return label


def _form_for(path: Path, needed: Iterable[str]) -> tuple[list[str], str, str] | None:
    """Columns, separator and line end of an existing file to which a line can be appended.

    None unless it is UTF-8, has the `needed` columns, and its last line ends.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        header = text.partition("\n")[0]
        separator, end = _form(header)
        columns = next(csv.reader([header], delimiter=separator, strict=True))
    except (ValueError, StopIteration, csv.Error):
        return None
    is_complete = text.endswith("\n") and set(needed) <= set(columns)
    return (columns, separator, end) if is_complete else None


def _form(text: str) -> tuple[str, str]:
    """The separator of cells and the line end of a file."""
    end = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"
    return find_separator(text, COLUMNS[0]), end


def state_of(path: Path) -> tuple[int, int, int] | None:
    """A state that differs after each write of a file; None where there is no file."""
    stat = path.stat() if path.exists() else None
    return stat and (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def _add(path: Path, line: bytes) -> None:
    """Append a line with its end to a file, and sync it; an `OSError` leaves the file as it was."""
    with path.open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError as error:
            file.truncate(size)
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def locked(path: Path) -> BaseFileLock:
    """Hold the lock on labels.csv; a thread may take it again inside."""
    path = path.resolve()  # one lock for a file and all links to it
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"), is_singleton=True)


def backup(path: Path) -> Path:
    """Path of the version before the file was last written anew."""
    return path.with_name(f"{path.name}.bak")


def rewrite(path: Path, columns: Sequence[str], lines: Sequence[Label]) -> None:
    """Write the whole file anew, and keep the previous version as `backup`.

    The separator and the line ends are those of the previous version. `columns` are names of
    columns in their order; missing ones are added at the end. A cell that is too long, or has a
    control character, is a `UserError`, and the file is left as it was.
    """
    further = dict.fromkeys(name for line in lines for name, _ in line.more)
    all_columns = list(dict.fromkeys([*columns, *_OWN, *further]))
    previous = _decode(path.read_bytes(), path) if path.exists() else ""
    _replace(path, _csv(lines, all_columns, *_form(previous), is_whole=True).encode())


def _decode(data: bytes, path: Path) -> str:
    if path.suffix.lower() == ".xlsx":
        raise UserError(
            f"{path}: labels are added line by line, which a workbook does not allow: set "
            "prepare.labels to a .csv file, and add these to it (`paratopic import`)"
        )
    return decode(data, str(path))


def _parse(text: str, path: Path) -> tuple[list[str], list[Label]]:
    """Columns and lines in the text of file `path`; a `UserError` reports missing or wrong ones."""
    columns, rows = read_csv(text, path, COLUMNS[:2])
    # `append` writes all cells in quotes, and a line end: a last line without them is incomplete.
    last = text[max(map(text.rfind, "\r\n")) + 1 :]
    cells = next(csv.reader([last], delimiter=find_separator(text, COLUMNS[0])))
    if last.startswith('"') and len(cells) < len(columns):
        raise UserError(f"{rows[-1][0]} was not written to its end; complete or remove it")
    return columns, [_label(where, row) for where, row in rows]


def _label(where: str, row: dict[str, str]) -> Label:
    """The line of a row, with formulas unescaped; a `UserError` if id, time or draw is wrong."""
    row = {name: unescape_formula(cell) for name, cell in row.items()}
    own = {name: row.get(name, "").strip() for name in _OWN}
    if not own["paragraph"]:
        raise UserError(f"{where}: a line needs the id of a paragraph")
    more = tuple((name, cell) for name, cell in row.items() if name not in _OWN and cell)
    return checked(Label(where, own.pop("paragraph"), own.pop("topics"), **own, more=more))


def _replace(path: Path, data: bytes) -> None:
    """Write the file, on the disk when this returns, and keep its previous version as `backup`.

    `data` is without a byte order mark; the file keeps the mark, which spreadsheets need, if it has
    one. It also keeps its permissions, and a link stays a link. A missing file is made.
    """
    if path.exists():
        previous = path.read_bytes()
        with atomic_write(backup(path)) as draft:
            draft.write_bytes(previous)
        data = BOM_UTF8 + data if previous.startswith(BOM_UTF8) else data
    target = path.resolve()
    with atomic_write(target) as draft, draft.open("wb") as file:
        if target.exists():
            shutil.copymode(target, draft)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(target.parent)


def _csv(
    lines: Iterable[Label], columns: Sequence[str], separator: str, end: str, is_whole: bool = False
) -> str:
    """CSV of labels: rows to append, with all cells in quotes, or the whole file if `is_whole`.

    A whole file has a header, and quotes where needed. `columns` has the names of all cells; those
    that a label lacks are empty. Formulas are escaped. A `UserError` reports a cell with a control
    character or over `MAX_CELL` characters; cells of `Label.more` are not checked.
    """
    quoting: Literal[0, 1] = csv.QUOTE_MINIMAL if is_whole else csv.QUOTE_ALL
    text = io.StringIO()
    writer = csv.DictWriter(LineFeeds(text, end), columns, quoting=quoting, delimiter=separator)
    if is_whole:
        writer.writeheader()
    for line in lines:
        cells = {**dict(line.more), "paragraph": line.paragraph, "topics": line.cell}
        cells |= {"text": line.text} | {name: getattr(line, name) for name in OPTIONAL}
        if max(map(len, cells.values())) > MAX_CELL:
            raise UserError(f"{line.where}: a cell has more than {MAX_CELL} characters; shorten it")
        if control := CONTROL.search("".join(cells.values())):
            raise UserError(
                f"{line.where}: a cell has the control character U+{ord(control[0]):04X}, with "
                "which the file could not be read again; remove it"
            )
        writer.writerow({name: escape_formula(cell) for name, cell in cells.items()})
    return text.getvalue()
