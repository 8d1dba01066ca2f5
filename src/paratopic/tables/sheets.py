"""Tables that people fill in: CSV, or the first sheet of a workbook, each with a header.

What the columns mean is the callers' business.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from paratopic.project.errors import UserError
from paratopic.project.files import decode
from paratopic.tables.cells import find_separator
from paratopic.tables.workbook import read_workbook


class Sheet(NamedTuple):
    """A table.

    Parameters
    ----------
    columns
        Names of the columns.
    rows
        Where each row is (file and number, as a spreadsheet counts: the header is row 1), and its
        cells by column; "" for an empty one.
    """

    columns: list[str]
    rows: list[tuple[str, dict[str, str]]]


def read_sheet(path: Path, required: Sequence[str]) -> Sheet:
    """Read a .csv or .xlsx file.

    Parameters
    ----------
    path
        The file. In CSV, cells are separated by commas, semicolons or tabs.
    required
        Names of columns that it has to have, and that each of its rows has to have a cell in.

    Raises
    ------
    UserError
        The file cannot be read, or lacks a column; or a row has too few or too many cells.
    """
    if path.suffix.lower() == ".xlsx":
        (first, header), *others = read_workbook(path)
        numbered = ((f"{path}, row {number}", cells) for number, cells in others)
        return _sheet(header, f"{path}, row {first}", numbered, required)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return read_csv(decode(data, str(path)), path, required, "row")


def read_csv(text: str, path: Path, required: Sequence[str], unit: str = "line") -> Sheet:
    """Read the text of a CSV file; see `read_sheet`.

    Rows are numbered as a spreadsheet does. They are called by the `unit`, by default lines, for
    files that have one row a line.
    """
    # Strict: otherwise a quote that is never closed would silently hide all rows after it.
    file, separator = io.StringIO(text, newline=""), find_separator(text, *required[:1])
    reader = csv.reader(file, delimiter=separator, strict=True)
    rows: list[tuple[str, list[str]]] = []
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            if cells:  # an empty line has no cells
                rows.append((f"{path}, {unit} {number}", cells))
    except csv.Error as error:
        raise UserError(
            f"{path}, {unit} {number + 1}: this {unit} cannot be read ({error}); quotes stand "
            'around a whole cell, and a quote inside it is written ""'
        ) from None
    (where, header), *others = rows or [(f"{path}, {unit} 1", [])]
    return _sheet(header, where, others, required)


def _sheet(
    columns: list[str],
    where: str,
    rows: Iterable[tuple[str, list[str]]],
    required: Sequence[str],
) -> Sheet:
    for column in required:
        if column not in columns:
            raise UserError(
                f'{where}: there is no column "{column}"; the columns are {", ".join(columns)}. In '
                "CSV, columns are separated by commas, semicolons or tabs."
            )
    least = 1 + max(map(columns.index, required), default=-1)
    named = []
    for place, cells in rows:
        if len(cells) < least:
            absent = next(name for name in required if columns.index(name) >= len(cells))
            raise UserError(
                f'{place} ends before the column "{absent}"; each row needs a cell there, even if '
                "it is empty"
            )
        if len(cells) > len(columns):
            raise UserError(f"{place}: more cells than columns; quote a cell with the separator")
        cells = cells + [""] * (len(columns) - len(cells))
        named.append((place, dict(zip(columns, cells, strict=True))))
    return Sheet(columns, named)
