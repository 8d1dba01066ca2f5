"""Cells of tables that people open in a spreadsheet, which runs some of them as formulas.

In some countries spreadsheets separate the cells of CSV files by semicolons.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

# Beginning of a cell that a spreadsheet may run, or that `inert` has already changed. In East Asian
# spreadsheets full-width signs count too.
_FORMULA = re.compile(r"[\s']*[-=+@\t\r＝＋－＠]")
_LINE_END = re.compile(r"[\r\n]")

# Numbers as people write them, dates and times. Zeros before a number are those of an id.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)
_DATE, _TIME = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d(:\d\d)?"
# Digits that each program keeps of a number.
_DIGITS = 15


class _Writable(Protocol):
    def write(self, text: str, /) -> object: ...


@dataclass(frozen=True)
class LineFeeds:
    """A file whose lines end in LF, for a `csv.writer` that ends them in CR LF.

    A writer quotes cells with characters of its line end only, but readers end lines at either.
    """

    file: _Writable

    def write(self, line: str) -> None:
        self.file.write(line.removesuffix("\r\n") + "\n")


def find_separator(text: str, column: str = "") -> str:
    r"""Find what separates the cells of a CSV file: comma, semicolon or tab.

    The header alone decides: of the three, the first with which it has the column that is asked
    for. Where none has it, that which parts the header into most columns; the comma if none does.

    >>> find_separator("paragraph;topics\na,b;trade\n", "paragraph")
    ';'
    >>> find_separator("id;body, in full;topic\n")
    ';'

    Parameters
    ----------
    column
        Name of a column that it has to have; "", the default, for none.
    """
    header = _LINE_END.split(text.lstrip("\r\n"), maxsplit=1)[0]
    counts = dict.fromkeys(",;\t", 0)
    for separator in counts:
        with suppress(csv.Error):  # a cell that is too long
            columns = next(csv.reader([header], delimiter=separator), [])
            if column and column in columns:
                return separator
            counts[separator] = len(columns)
    return max(counts, key=lambda separator: counts[separator])


def reader_of(cells: Iterable[str]) -> Callable[[str], object]:
    """Find out what the cells of a column are: numbers, dates, times of dates, or texts.

    They are numbers or dates if all of them are, except empty ones, and if no two different cells
    are the same number. So codes such as 007, or 1.1 beside 1.10, stay texts.

    >>> [list(map(reader_of(cells), cells)) for cells in (["7", "", "1.5"], ["7", "007"])]
    [[7, None, 1.5], ['7', '007']]

    Parameters
    ----------
    cells
        The cells of a column.

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


def inert(cell: str) -> str:
    """Keep a spreadsheet from running a cell as a formula; `live` gives the cell back.

    One apostrophe is put before it, also where there is one already. See
    https://owasp.org/www-community/attacks/CSV_Injection.

    Examples
    --------
    >>> [inert(cell) for cell in ("=1+1", "1 + 1", "'=1+1")]
    ["'=1+1", '1 + 1', "''=1+1"]
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def live(cell: str) -> str:
    """Give back the cell that `inert` was called with.

    >>> live("'=1+1"), live("1 + 1")
    ('=1+1', '1 + 1')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
