"""Workbooks of spreadsheets (.xlsx): the first sheet is read, and one is written, without formulas.

What the rows mean is the callers' business. Old workbooks (.xls) are not read.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, time
from html import escape
from io import TextIOWrapper
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from paratopic.project.errors import UserError

# What a sheet holds below its header, and a cell.
MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 1_048_575, 16_384, 32_767

# Of a workbook that is read: its unpacked size, and the cells of its sheet, empty ones included. A
# small file may have gigabytes, and a row with one cell at its far end has 16,384.
MOST_BYTES, MOST_CELLS = 500_000_000, 50_000_000
# The first bytes of an OLE file: an old .xls, or an encrypted .xlsx.
_OLE = b"\xd0\xcf\x11\xe0"

# Digits of a whole number that a spreadsheet keeps: longer ones, such as ids, are written as text.
_DIGITS = 15
# Characters that XML must not hold, which a workbook writes as _x0007_, and text that looks so.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET = "xl/worksheets/sheet1.xml"
# All that a workbook of one sheet needs beside the sheet.
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_TYPES}"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
    f'<Override PartName="/{_SHEET}" ContentType="{_KIND}.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" '
    f'Type="{_RELATION}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATION}"><sheets>'
    '<sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" '
    f'Type="{_RELATION}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def write_workbook(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """Write rows as the one sheet of a workbook; the same rows give the same bytes.

    Strings become text, which no spreadsheet runs as a formula; numbers and booleans keep their
    type.

    Parameters
    ----------
    path
        File to write.
    rows
        Rows of strings, numbers and booleans; None for an empty cell. `MOST_ROWS` and
        `MOST_COLUMNS` are not checked.

    Raises
    ------
    UserError
        A text has more than `MOST_CHARACTERS`.
    """
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            archive.writestr(_entry(name), _HEAD + content)
        with archive.open(_entry(_SHEET), "w", force_zip64=True) as raw:
            sheet = TextIOWrapper(raw, encoding="utf-8", newline="")
            sheet.writelines(_sheet(rows))
            sheet.flush()


def read_workbook(path: Path) -> list[tuple[int, list[str]]]:
    """Read the first sheet of a workbook, each cell as a spreadsheet shows it.

    Whole numbers are read as such, "1" and not "1.0", and dates as "2025-09-15". Of formulas, the
    results are read.

    Returns
    -------
    The number of each row, and its cells; rows without any are left out. The first one is the
    header. The others have as many cells as it has, or more where there are some beside its own.

    Raises
    ------
    UserError
        The file cannot be read, is no workbook, is too large, or has no cell.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_OLE)) == _OLE:
                raise UserError(
                    f"{path}: is encrypted, or an old .xls. Save it as .xlsx without a password."
                )
            rows = list(_rows(file, path))
    except (UserError, MemoryError):
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # openpyxl passes on whatever zipfile and the XML parser raise
        raise UserError(f"{path}: is not a whole workbook ({error}). Save it again.") from None
    if not rows:
        raise UserError(f"{path}: the first sheet has no cells; put the table there")
    width = len(rows[0][1])
    return [(number, cells + [""] * (width - len(cells))) for number, cells in rows]


def _rows(file: IO[bytes], path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows with cells; empty cells at their ends are left out."""
    import openpyxl

    with ZipFile(file) as archive:
        size = sum(part.file_size for part in archive.infolist())
    if size > MOST_BYTES:
        raise _too_large(path)
    with warnings.catch_warnings():  # of colours and the like, which are not read
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some files say that each row has 16,384 cells
        n_cells = 0
        for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
            n_cells += 1 + len(values)
            if n_cells > MOST_CELLS:
                raise _too_large(path)
            cells = list(map(_shown, values))
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                yield number, cells


def _too_large(path: Path) -> UserError:
    return UserError(
        f"{path}: has more than {MOST_BYTES:,} bytes when unpacked, or {MOST_CELLS:,} cells. Save "
        "the sheet as CSV."
    )


def _shown(value: object) -> str:
    """A cell as a spreadsheet shows it: ``1.0`` → "1", a date → "2025-09-15", True → "TRUE"."""
    from openpyxl.utils.escape import unescape

    match value:
        case None:
            return ""
        case str():
            return str(unescape(value))
        case bool():
            return str(value).upper()
        case float():
            return f"{value:.15g}"
        case datetime() if value.time() == time():
            return str(value.date())
        case _:
            return str(value)


def length(text: str) -> int:
    """Number of characters as a spreadsheet counts them, which takes an emoji for two."""
    return len(text) + sum(char > "\uffff" for char in text)


def _entry(name: str) -> ZipInfo:
    """An entry of the archive, of a fixed time."""
    entry = ZipInfo(name)
    entry.compress_type = ZIP_DEFLATED
    return entry


def _sheet(rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'
    for row in rows:
        yield f"<row>{''.join(map(_cell, row))}</row>"
    yield "</sheetData></worksheet>"


def _cell(value: object) -> str:
    match value:
        case None | "":
            return "<c/>"
        case bool():
            return f'<c t="b"><v>{value:d}</v></c>'
        case int() if abs(value) < 10**_DIGITS:
            return f"<c><v>{value}</v></c>"
        case float() if math.isfinite(value):
            return f"<c><v>{value!r}</v></c>"
        case _:
            if length(str(value)) > MOST_CHARACTERS:
                raise UserError(
                    f"a cell of .xlsx holds {MOST_CHARACTERS:,} characters, and this text has "
                    f"more: {str(value)[:60]} … Write a .csv file instead."
                )
            text = _UNWRITABLE.sub(lambda match: f"_x{ord(match[0]):04X}_", str(value))
            text = escape(text, quote=False)
            return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
