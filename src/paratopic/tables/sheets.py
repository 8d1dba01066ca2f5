"""Tables that people fill in: CSV, or the first sheet of a workbook, each with a header.

In some countries spreadsheets separate the cells of CSV files by semicolons, and they run some
cells as formulas. What the columns mean is the callers' business.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain, islice, zip_longest
from pathlib import Path
from statistics import mode
from typing import Any, NamedTuple, TextIO

from paratopic.project.encodings import read_decoded
from paratopic.project.errors import UserError, refuse_repeated
from paratopic.project.files import inert
from paratopic.tables.workbook import read_workbook

_LINE_END = re.compile(r"[\r\n]")
# A first line with which spreadsheets are told the separator.
_SEPARATOR = re.compile(r"sep=(.)\r?\n")
# Number of rows by which the separator and a title are found; and the share of them that have as
# many cells as the header below a title, at least.
FIRST_ROWS, ALIKE = 50, 0.8
# Numbers as people write them, dates and times. Zeros before a number are those of an id.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)
_DATE, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d(:\d\d)?"
# Digits that each program keeps of a number.
_DIGITS = 15


class Sheet(NamedTuple):
    """A table: names of its columns, and its rows.

    Of each row it has where it is (file and number, as a spreadsheet counts: the header is row 1),
    and the cells by column; "" for an empty one.
    """

    columns: list[str]
    rows: list[tuple[str, dict[str, str]]]


def read_sheet(path: Path, required: Sequence[str]) -> Sheet:
    """Read a .csv or .xlsx file.

    In CSV, cells are separated by commas, semicolons, tabs or vertical bars. The table has to have
    the columns that are required, and each of its rows a cell in them.

    Raises
    ------
    UserError
        The file cannot be read, or lacks a column; or a row has too few or too many cells.
    """
    if path.suffix.lower() == ".xlsx":
        rows = [(f"{path}, row {number}", cells) for number, cells in read_workbook(path)]
        return _sheet(rows, required)
    return read_csv(read_decoded(path), path, required, "row")


def read_csv(text: str, path: Path, required: Sequence[str], unit: str = "line") -> Sheet:
    """Read the text of a CSV file; see `read_sheet`.

    Rows are numbered as a spreadsheet does. They are called by the `unit`, by default lines, for
    files that have one row a line.
    """
    file, separator = io.StringIO(text, newline=""), find_separator(text, *required[:1])
    place = f"{path}, {unit}"
    lines = csv_rows(file, separator, lambda row, _: f"{place} {row}: this {unit}")
    rows = [(f"{place} {n}", cells) for n, cells in enumerate(lines, start=1) if cells]
    # A short row may be part of a text with a line break that is not quoted.
    return _sheet(rows or [(f"{place} 1", [])], required, is_whole=not required)


def csv_encoding(file: io.BufferedReader) -> tuple[str, str]:
    """The encoding of a CSV file, and what becomes of other bytes, so that no row ends the run."""
    start = file.peek(2)[:2]
    if b"\0" in start:
        raise UserError(f"{file.name}: is UTF-16 without its byte order mark; save it as UTF-8")
    if start in (BOM_UTF16_LE, BOM_UTF16_BE):
        return "utf-16", "backslashreplace"
    return "utf-8-sig", "surrogateescape"  # which are an error of the row


def csv_rows(
    lines: Iterable[str], separator: str, named: Callable[[int, int], str]
) -> Iterator[list[str]]:
    """Read the rows of CSV; an empty line is one without cells, and so is one that is ``sep=;``.

    Parameters
    ----------
    named
        Number of a row, from 1, and of the line that it ends on → what a message calls the row.

    Raises
    ------
    UserError
        The quotes of a row do not match.
    """
    csv.field_size_limit(sys.maxsize)  # a text may be long
    # Strict: otherwise a quote that is never closed would silently hide all rows after it.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    number = 1
    try:
        for cells in reader:
            yield [] if cells == ["sep=", ""] else cells
            number += 1
    except csv.Error as error:
        raise UserError(
            f"{named(number, reader.line_num)} cannot be read ({error}); quotes stand around a "
            'whole cell, and a quote inside it is written ""'
        ) from None


def csv_table(file: TextIO, path: Path, column: str) -> tuple[str, Iterator[list[str]]]:
    """Separator and rows of a CSV file of any size with a column, from the header on."""
    separator = find_separator("".join(islice(file, FIRST_ROWS)), column)
    file.seek(0)
    place = f"{path}: the row that ends on line"
    rows = csv_rows(file, separator, lambda _, line: f"{place} {line}")
    numbered = enumerate(filter(None, rows))
    first = without_title(list(islice(numbered, FIRST_ROWS)), column)
    return separator, (cells for _, cells in chain(first, numbered))


def without_title(rows: list[Any], column: str | None = None) -> list[Any]:
    """The rows from the header on: rows with their first cell alone above it are a title.

    Parameters
    ----------
    rows
        Where each row is, and its cells.
    column
        A column of the table; not known by default.
    """
    if rows and column in rows[0][1]:
        return rows
    sizes = [sum(map(bool, cells)) for _, cells in rows[:FIRST_ROWS]]
    header = next((number for number, size in enumerate(sizes) if size > 1), 0)
    is_title = all(cells[0] for _, cells in rows[:header] if any(cells))
    n_alike = sum(size > 1 for size in sizes[header:])
    return rows[header:] if is_title and n_alike > ALIKE * len(sizes[header:]) else rows


def _sheet(
    rows: list[tuple[str, list[str]]], required: Sequence[str], is_whole: bool = False
) -> Sheet:
    (where, columns), *rows = without_title(rows)
    for column in required:
        if column not in columns:
            hint = (
                f"The first row has to name the columns: {','.join(required)}."
                if len(columns) > 1
                else "In CSV, columns are separated by commas, semicolons, tabs or vertical bars."
            )
            raise UserError(
                f'{where}: there is no column "{column}"; the columns are {", ".join(columns)}. '
                f"{hint}"
            )
    refuse_repeated(where, columns)
    least = len(columns) if is_whole else 1 + max(map(columns.index, required), default=-1)
    named = []
    for place, cells in rows:
        if len(cells) < least:
            late = (name for name in required if columns.index(name) >= len(cells))
            absent = next(late, columns[len(cells)])
            raise UserError(
                f'{place} ends before the column "{absent}"; each row needs a cell there, even if '
                "it is empty"
            )
        if len(cells) > len(columns):
            raise UserError(f"{place}: more cells than columns; quote a cell with the separator")
        named.append((place, dict(zip_longest(columns, cells, fillvalue=""))))
    return Sheet(columns, named)


@dataclass(frozen=True)
class LineFeeds:
    """A file whose lines end in LF, or as it is asked for, for a `csv.writer` with CR LF.

    A writer quotes cells with characters of its line end only, but readers end lines at either.
    """

    file: TextIO
    end: str = "\n"

    def write(self, line: str) -> None:
        self.file.write(line.removesuffix("\r\n") + self.end)


def inert_value(cell: object) -> object:
    """A cell that no spreadsheet runs as a formula; numbers stay as they are.

    >>> [inert_value(cell) for cell in ("=A1", "'=A1", "-1.5", "a=b")]
    ["'=A1", "''=A1", '-1.5', 'a=b']
    """
    return inert(cell) if isinstance(cell, str) else cell


def find_separator(text: str, column: str = "") -> str:
    r"""Find what separates the cells of a CSV file: comma, semicolon, tab or vertical bar.

    The first with which the header has the column that is asked for. Where none has it, that with
    which most of the first rows have the same number of cells, and of these, most cells; the comma
    if none does.

    >>> find_separator("paragraph;topics\na,b;trade\n", "paragraph")
    ';'
    >>> find_separator("text, in full;label\nTariffs rose, and fell;trade\nTalks;security\n")
    ';'
    """
    if named := _SEPARATOR.match(text):
        return named[1]
    header = _LINE_END.split(text.lstrip("\r\n"), maxsplit=1)[0]
    fits = dict.fromkeys(",;\t|", (0.0, 0))
    for separator in fits:
        with suppress(csv.Error):  # a cell that is too long
            if column and column in next(csv.reader([header], delimiter=separator), []):
                return separator
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            sizes = [len(cells) for cells in islice(lines, FIRST_ROWS) if cells]
            if sizes and (n := mode(sizes)) > 1:
                fits[separator] = sizes.count(n) / len(sizes), n
    return max(fits, key=lambda separator: fits[separator])


def reader_of(cells: Iterable[str]) -> Callable[[str], object]:
    """Find out what the cells of a column are: numbers, dates, times of dates, or texts.

    They are numbers or dates if all of them are, except empty ones, and if no two different cells
    are the same number. So codes such as 007, or 1.1 beside 1.10, stay texts.

    >>> [list(map(reader_of(cells), cells)) for cells in (["7", "", "1.5"], ["7", "007"])]
    [[7, None, 1.5], ['7', '007']]

    Returns
    -------
    A function that reads one of them; None for an empty one where they are no texts.
    """
    known = {cell for cell in cells if cell}
    for form, read in _READERS:
        if known and all(map(form.fullmatch, known)):
            with suppress(ValueError):  # the 31st of a month that has 30 days
                if len({read(cell) for cell in known}) == len(known):
                    return lambda cell: read(cell) if cell else None
    return str


def _number(cell: str) -> int | float:
    if sum(map(str.isdigit, cell)) > _DIGITS:
        raise ValueError(f"{cell} has too many digits")
    return float(cell) if "." in cell else int(cell)


# What each cell of a column looks like → what reads it.
_READERS: tuple[tuple[re.Pattern[str], Callable[[str], object]], ...] = (
    (_NUMBER, _number),
    (re.compile(_DATE), date.fromisoformat),
    (re.compile(f"{_DATE}[T ]{_TIME}"), datetime.fromisoformat),
)
