"""Read and write tables that people edit: CSV, or the first sheet of a workbook, with a header."""

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
from paratopic.project.files import escape_formula
from paratopic.tables.workbook import read_workbook

_LINE_END = re.compile(r"[\r\n]")
# A first line that sets the separator for spreadsheets.
_SEPARATOR = re.compile(r"sep=(.)\r?\n")
# Rows searched for the separator and a title. More than this share below it have several cells.
FIRST_ROWS, WIDE_SHARE = 50, 0.8
# Numbers as people write them, dates and times. A number that begins with zeros is an id.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)
_DATE, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d(:\d\d)?"
# Number of digits that all programs keep.
_DIGITS = 15


class Sheet(NamedTuple):
    """A table: names of its columns, and its rows.

    A row consists of its location (file and number, as a spreadsheet counts: the header is row 1)
    and its cells by column; "" for an empty cell.
    """

    columns: list[str]
    rows: list[tuple[str, dict[str, str]]]


def read_sheet(path: Path, required: Sequence[str]) -> Sheet:
    """Read a .csv or .xlsx file; a title above the header is left out.

    In CSV, commas, semicolons, tabs or vertical bars separate cells. A `UserError` reports a file
    that cannot be read, a column that is missing or occurs twice, and a row that ends before a
    required column or has more cells than the header.
    """
    if path.suffix.lower() == ".xlsx":
        rows = [(f"{path}, row {number}", cells) for number, cells in read_workbook(path)]
        return _sheet(pad_rows(rows, ""), required)
    return read_csv(read_decoded(path), path, required, "row")


def read_csv(text: str, path: Path, required: Sequence[str], unit: str = "line") -> Sheet:
    """Read the text of a CSV file, whose separator is found; a title above the header is left out.

    The location of a row is "PATH, UNIT 2", as in a spreadsheet; `path` is not read. Empty lines
    are left out. A `UserError` reports a missing required column, any column that occurs twice, a
    damaged quote, and a row with more cells than the header, or that ends before a required column
    or, if none is required, before the last one.
    """
    file, separator = io.StringIO(text, newline=""), find_separator(text, *required[:1])
    place = f"{path}, {unit}"
    lines = csv_rows(file, separator, lambda row, _: f"{place} {row}: this {unit}")
    rows = [(f"{place} {n}", cells) for n, cells in enumerate(lines, start=1) if cells]
    # A short row may be part of a text with an unquoted line break.
    return _sheet(rows or [(f"{place} 1", [])], required, needs_all_columns=not required)


def csv_encoding(file: io.BufferedReader) -> tuple[str, str]:
    """Encoding and handler of decoding errors for a CSV file, whose position stays as it is.

    With a byte order mark of UTF-16, they are "utf-16" and "backslashreplace", else "utf-8-sig" and
    "surrogateescape": neither handler raises. UTF-16 without the mark is a `UserError`.
    """
    start = file.peek(2)[:2]
    if b"\0" in start:
        raise UserError(f"{file.name}: is UTF-16 without its byte order mark; save it as UTF-8")
    if start in (BOM_UTF16_LE, BOM_UTF16_BE):
        return "utf-16", "backslashreplace"
    return "utf-8-sig", "surrogateescape"  # the row has an error, but other rows are read


def csv_rows(
    lines: Iterable[str], separator: str, row_name: Callable[[int, int], str]
) -> Iterator[list[str]]:
    """Yield the cells of each row of CSV, [] for an empty line, and for ``sep=`` and the separator.

    A `UserError` reports a quote that is not closed and text after a closing quote; it begins with
    `row_name` of the numbers, from 1, of the row and of its last line. Cells may have any length.
    """
    csv.field_size_limit(sys.maxsize)  # a text may be long
    # Without `strict`, a quote that is never closed would silently hide all rows after it.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    number = 1
    try:
        for cells in reader:
            yield [] if cells == ["sep=", ""] else cells
            number += 1
    except csv.Error as error:
        raise UserError(
            f"{row_name(number, reader.line_num)} cannot be read ({error}); quotes stand around a "
            'whole cell, and a quote inside it is written ""'
        ) from None


def csv_table(file: TextIO, path: Path, column: str) -> tuple[str, Iterator[list[str]]]:
    """The separator of an open CSV file, and an iterator of its rows from the header on.

    `file` is at its beginning, and its header has the name `column`. A title and rows without cells
    are left out. A damaged quote is a `UserError`, here or from the iterator.
    """
    separator = find_separator("".join(islice(file, FIRST_ROWS)), column)
    file.seek(0)
    place = f"{path}: the row that ends on line"
    rows = csv_rows(file, separator, lambda _, line: f"{place} {line}")
    numbered = enumerate(filter(None, rows))
    start = without_title(list(islice(numbered, FIRST_ROWS)), column)
    return separator, (cells for _, cells in chain(start, numbered))


def without_title(rows: list[Any], column: str | None = None) -> list[Any]:
    """Remove a title: rows above the header, which is the first row with several filled cells.

    Rows are pairs of a location and cells; the first `FIRST_ROWS` are examined. Rows above the
    header are a title if only their first cell is filled, and if more than `WIDE_SHARE` of the
    others have several filled cells. No row is removed if the first one contains the name `column`.
    """
    if rows and column in rows[0][1]:
        return rows
    sizes = [sum(map(bool, cells)) for _, cells in rows[:FIRST_ROWS]]
    header = next((number for number, size in enumerate(sizes) if size > 1), 0)
    is_title = all(cells[0] for _, cells in rows[:header] if any(cells))
    n_wide = sum(size > 1 for size in sizes[header:])
    return rows[header:] if is_title and n_wide > WIDE_SHARE * len(sizes[header:]) else rows


def pad_rows(rows: list[Any], empty: str | None, column: str | None = None) -> list[Any]:
    """Rows `without_title`, with `empty` in the columns of the header that a row does not reach."""
    rows = without_title(rows, column)
    width = len(rows[0][1])
    return [(place, [*cells, *[empty] * (width - len(cells))]) for place, cells in rows]


def _sheet(
    rows: list[tuple[str, list[str]]], required: Sequence[str], needs_all_columns: bool = False
) -> Sheet:
    """Make a sheet of locations and cells; the first row after a title is the header.

    Cells that a row lacks at its end are "". A `UserError` reports a required column that is
    missing, any column that occurs twice, and a row with more cells than the header, or that ends
    before a required column or, if `needs_all_columns`, before the last one.
    """
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
    min_cells = 1 + max(map(columns.index, required), default=-1)
    if needs_all_columns:
        min_cells = len(columns)
    named_cells = []
    for place, cells in rows:
        if len(cells) < min_cells:
            missing = (name for name in required if columns.index(name) >= len(cells))
            absent = next(missing, columns[len(cells)])
            raise UserError(
                f'{place} ends before the column "{absent}"; each row needs a cell there, even if '
                "it is empty"
            )
        if len(cells) > len(columns):
            raise UserError(f"{place}: more cells than columns; quote a cell with the separator")
        named_cells.append((place, dict(zip_longest(columns, cells, fillvalue=""))))
    return Sheet(columns, named_cells)


@dataclass(frozen=True)
class LineFeeds:
    """A file for a `csv.writer` with CR LF, whose lines end in LF or another `end`.

    A writer quotes only cells with characters of its own line end, but readers end lines at both.
    """

    file: TextIO
    end: str = "\n"

    def write(self, line: str) -> None:
        self.file.write(line.removesuffix("\r\n") + self.end)


def inert_value(cell: object) -> object:
    """Escape a cell that a spreadsheet would run as a formula; numbers stay as they are.

    >>> [inert_value(cell) for cell in ("=A1", "'=A1", "-1.5", "a=b")]
    ["'=A1", "''=A1", '-1.5', 'a=b']
    """
    return escape_formula(cell) if isinstance(cell, str) else cell


def find_separator(text: str, column: str = "") -> str:
    r"""Find the separator of the cells of a CSV file: comma, semicolon, tab or vertical bar.

    A first line such as ``sep=;`` names it. Else it is the first with which the header contains
    `column` or, if none does, the one that gives the largest share of the first rows the same
    number of cells, and among equals the most cells. The default is the comma.

    >>> find_separator("paragraph;topics\na,b;trade\n", "paragraph")
    ';'
    >>> find_separator("text, in full;label\nTariffs rose, and fell;trade\nTalks;security\n")
    ';'
    """
    if declaration := _SEPARATOR.match(text):
        return declaration[1]
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


def cell_parser(cells: Iterable[str]) -> Callable[[str], object]:
    """Choose a parser for the cells of a column: to int or float, date, datetime, or str.

    A column has numbers or dates if all cells that are not empty do, and if different cells have
    different values. So codes such as 007, or 1.1 and 1.10, stay texts, as do more than 15 digits.
    The parser returns None for an empty cell, or "" in a column of texts.

    >>> [list(map(cell_parser(cells), cells)) for cells in (["7", "", "1.5"], ["7", "007"])]
    [[7, None, 1.5], ['7', '007']]
    """
    filled = {cell for cell in cells if cell}
    for form, parse in _PARSERS:
        if filled and all(map(form.fullmatch, filled)):
            with suppress(ValueError):  # the 31st of a month that has 30 days
                if len({parse(cell) for cell in filled}) == len(filled):
                    return lambda cell: parse(cell) if cell else None
    return str


def _number(cell: str) -> int | float:
    if sum(map(str.isdigit, cell)) > _DIGITS:
        raise ValueError(f"{cell} has too many digits")
    return float(cell) if "." in cell else int(cell)


# Pattern of all cells of a column, and their parser.
_PARSERS: tuple[tuple[re.Pattern[str], Callable[[str], object]], ...] = (
    (_NUMBER, _number),
    (re.compile(_DATE), date.fromisoformat),
    (re.compile(f"{_DATE}[T ]{_TIME}"), datetime.fromisoformat),
)
