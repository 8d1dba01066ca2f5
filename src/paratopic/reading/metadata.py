"""What an article is from: its date, its source, its author, and columns of one's own.

The fields of an article come from `metadata.csv` in its folder, from its document or from its
file's name. The readers of formats find those of documents, and `tables` has those of its rows.
"""

from __future__ import annotations

import functools
import re
import textwrap
import unicodedata
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

from paratopic.project.errors import UserError, refuse_repeated
from paratopic.project.files import printable
from paratopic.reading.structure import clean_line
from paratopic.tables.sheets import read_sheet

# A file with fields of the articles in its folder, one article a row.
SHEET = "metadata.csv"
# Its column with the name of an article, with or without its suffix.
ARTICLE = "article"
DATE = "date"
# Name of the paragraph's own column in the table of fields, which no field may have.
ID = "id"
# Where fields are found. Of an article, the first that has a field counts.
ORIGINS = IN_SHEET, IN_DOCUMENT, IN_NAME, IN_TABLE = SHEET, "documents", "file names", "tables"

# The most characters of a field, or of its name.
LONGEST = 300
# Years that are believed in the name of a file, and on a web page.
FIRST_YEAR, LAST_YEAR = 1800, 2100

_DATE = re.compile(
    r"([0-9]{4})(?:(?P<by>[-/._])([0-9]{1,2})(?:(?P=by)([0-9]{1,2})"
    # The time of day, and its zone.
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?(?:Z|UTC|[+-][0-9:]{2,5}))?)?)?)?"
)
_YEAR_LAST = re.compile(r"([0-9]{1,2})([./-])([0-9]{1,2})\2([0-9]{4})(?:[ T][0-9:]{4,8})?")
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T[0-9]{4,6}Z?)?")
_DAY_IN_NAME = re.compile(r"(?<!\d)([0-9]{4})(?P<by>[-_]?)([0-9]{2})(?P=by)([0-9]{2})(?!\d)")
_MONTH_IN_NAME = re.compile(r"(?<!\d)(?<!\d[-_])([0-9]{4})-([0-9]{2})(?![-_]?\d)")


class Field(NamedTuple):
    """The value of a field, and where it was found: `IN_SHEET`, `IN_DOCUMENT` or `IN_NAME`."""

    value: str
    origin: str


def article_fields(path: Path, in_document: Mapping[str, str]) -> dict[str, Field]:
    """The fields of an article by their names, given those that its document has.

    Raises
    ------
    UserError
        The metadata.csv beside it cannot be read, has no column `article` or two of one name, names
        an article twice, or has a date that is none.
    """
    in_name = date_in_name(path.stem)
    fields = {DATE: Field(in_name, IN_NAME)} if in_name else {}
    fields |= {name: Field(value, IN_DOCUMENT) for name, value in in_document.items()}
    return fields | {name: Field(value, IN_SHEET) for name, value in _in_sheet(path).items()}


def check_sheets(paths: Collection[Path]) -> list[str]:
    """Check each metadata.csv beside articles as `article_fields` does; note absent articles."""
    for path in paths:
        _in_sheet(path)
    notes = []
    for folder in dict.fromkeys(path.parent for path in paths):
        files = list(folder.iterdir()) if (rows := _rows_of(folder)) else []
        present = {_plain(name) for file in files for name in (file.name, file.stem)}
        if absent := [name for name in rows if name not in present]:
            names = textwrap.shorten(", ".join(absent), LONGEST, placeholder=" …")
            sheet = printable(folder / SHEET)
            notes.append(f"{sheet} names articles that are not in its folder: {names}")
    return notes


def iso_date(text: str) -> str | None:
    """A date in ISO form, as precise as it is written; None for what is no date, or ambiguous.

    >>> [iso_date(text) for text in ("2025-9-5", "2025/09", "2025", "2025-09-15T10:00Z")]
    ['2025-09-05', '2025-09', '2025', '2025-09-15']
    >>> [iso_date(text) for text in ("15.09.2025", "9/15/2025", "15/9/2025")]
    ['2025-09-15', '2025-09-15', '2025-09-15']
    >>> iso_date("03/04/2025"), iso_date("2025-02-30")
    (None, None)
    """
    if match := _DATE.fullmatch(text):
        return _valid(match[1], match[3], match[4])
    if match := _YEAR_LAST.fullmatch(text):
        one, by, other, year = match.groups()
        day_first, month_first = _valid(year, other, one), _valid(year, one, other)
        if by == "." or not month_first:
            return day_first
        return None if day_first else month_first
    match = _COMPACT.fullmatch(text)
    return _valid(*match.groups()) if match else None


def date_in_name(name: str) -> str | None:
    """The first date in the name of a file: of a day, or else of a month.

    >>> [date_in_name(name) for name in ("talks-20250915", "2025-09 talks", "call 2025091512")]
    ['2025-09-15', '2025-09', None]
    """
    days = [_valid(match[1], match[3], match[4]) for match in _DAY_IN_NAME.finditer(name)]
    months = [_valid(match[1], match[2], None) for match in _MONTH_IN_NAME.finditer(name)]
    dates = filter(None, [*days, *months])
    return next((day for day in dates if FIRST_YEAR <= int(day[:4]) <= LAST_YEAR), None)


def cleaned(text: str) -> str:
    """A text on one line without control characters, cut to `LONGEST` characters.

    >>> cleaned(" Harbour\\x00\\nPress ")
    'Harbour Press'
    """
    return clean_line(printable(text[: 10 * LONGEST]))[:LONGEST].rstrip()


def document_fields(values: Mapping[str, object]) -> dict[str, str]:
    """The fields that a reader found in a document, cleaned; a date that is none is left out."""
    texts = {name: cleaned(value) for name, value in values.items() if isinstance(value, str)}
    texts[DATE] = iso_date(texts.get(DATE, "")) or ""
    return {name: text for name, text in texts.items() if text}


def _valid(year: str, month: str | None, day: str | None) -> str | None:
    """A date in ISO form, as precise as its parts; None if there is no such day."""
    try:
        whole = date(int(year), int(month or 1), int(day or 1)).isoformat()
    except ValueError:
        return None
    return whole[: 4 if month is None else 7 if day is None else 10]


def _in_sheet(path: Path) -> Mapping[str, str]:
    """The fields that the metadata.csv beside an article gives it."""
    rows = _rows_of(path.parent)
    names = dict.fromkeys((_plain(path.name), _plain(path.stem)))
    named = [rows[name] for name in names if name in rows]
    if len(named) > 1:
        raise _twice(path.name, named[0][0], named[1][0])
    return named[0][1] if named else {}


# File and number of a row of a metadata.csv, and its fields.
_Row = tuple[str, dict[str, str]]


def _rows_of(folder: Path) -> Mapping[str, _Row]:
    """The rows of a folder's metadata.csv by the names in its column `article`."""
    path = folder / SHEET
    try:
        stat = path.stat()
    except OSError:
        return {}
    return _read_rows(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4)  # once for all articles of a folder, as long as it is not changed
def _read_rows(path: Path, modified: int, size: int) -> Mapping[str, _Row]:
    sheet = read_sheet(path, [ARTICLE])
    columns = [name for name in map(cleaned, sheet.columns) if name]
    refuse_repeated(f"{path}, row 1", columns)
    rows: dict[str, _Row] = {}
    for where, cells in sheet.rows:
        fields = {cleaned(name): cleaned(cell) for name, cell in cells.items()}
        fields = {name: cell for name, cell in fields.items() if name and cell}
        if not fields:
            continue
        article = _plain(cells[ARTICLE].strip())
        if not article:
            raise UserError(f"{where}: names no article; write the name of its file")
        if article in rows:
            raise _twice(article, rows[article][0], where)
        fields = {name: cell for name, cell in fields.items() if name not in (ARTICLE, ID)}
        if DATE in fields and (day := iso_date(fields[DATE])):
            fields[DATE] = day
        elif DATE in fields:
            raise UserError(
                f'{where}: the date "{fields[DATE]}" cannot be read; write it as 2025-09-15, '
                "2025-09 or 2025"
            )
        rows[article] = where, fields
    return rows


def _twice(article: str, first: str, second: str) -> UserError:
    return UserError(f"{second}: names {article}, and so does {first}; remove one of these rows")


def _plain(name: str) -> str:
    """The name of a file as it is compared: some systems write é as two letters."""
    return unicodedata.normalize("NFC", name)
