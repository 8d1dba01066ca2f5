"""Tables that people fill in: CSV, or the first sheet of a workbook, each with a header.

What the columns mean is the callers' business.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from paratopic.project.cells import find_separator
from paratopic.project.errors import UserError
from paratopic.project.files import decode
from paratopic.project.workbook import read_workbook


class Sheet(NamedTuple):
    """A table.

    Parameters
    ----------
    columns
        Names of the columns.
    rows
        Where each row is (file and line), and its cells by column; "" for an empty one.
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
    return read_csv(decode(data, str(path)), path, required)


def read_csv(text: str, path: Path, required: Sequence[str]) -> Sheet:
    """Read the text of a CSV file; see `read_sheet`."""
    # Strict: otherwise a quote that is never closed would silently hide all rows after it.
    file, separator = io.StringIO(text, newline=""), find_separator(text, required[0])
    reader = csv.reader(file, delimiter=separator, strict=True)
    header, rows = [], []
    line = 0
    try:
        header = next(reader, [])
        line = reader.line_num
        for cells in reader:
            line = reader.line_num
            if cells:  # an empty line is not a row
                rows.append((f"{path}, line {line}", cells))
    except csv.Error as error:
        raise UserError(
            f"{path}, line {line + 1}: this line cannot be read ({error}); quotes stand around a "
            'whole cell, and a quote inside it is written ""'
        ) from None
    return _sheet(header, f"{path}, line 1", rows, required)


def _sheet(
    columns: list[str],
    where: str,
    rows: Iterable[tuple[str, list[str]]],
    required: Sequence[str],
) -> Sheet:
    for column in required:
        if column not in columns:
            raise UserError(
                f'{where}: there is no column "{column}"; in CSV, columns are separated by commas, '
                "semicolons or tabs"
            )
    least = 1 + max(map(columns.index, required))
    named = []
    for place, cells in rows:
        if len(cells) < least:
            raise UserError(f"{place}: a line needs a cell for each of {', '.join(required)}")
        if len(cells) > len(columns):
            raise UserError(f"{place}: more cells than columns; quote a cell with the separator")
        cells = cells + [""] * (len(columns) - len(cells))
        named.append((place, dict(zip(columns, cells, strict=True))))
    return Sheet(columns, named)
