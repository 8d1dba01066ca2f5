"""Read the first sheet of a workbook (.xlsx, not .xls), and write workbooks without formulas."""

from __future__ import annotations

import logging
import math
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from paratopic.project.errors import UserError, plural

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell import Cell
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

log = logging.getLogger(__name__)

# Maximum rows below the header, columns of a sheet, and characters of a cell.
MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 1_048_575, 16_384, 32_767
# Maximum unpacked bytes and cells, with empty ones, of a workbook. A small file may have more.
MOST_BYTES, MOST_CELLS = 500_000_000, 50_000_000
# The first bytes of an OLE file: an old .xls, or an encrypted .xlsx.
_OLE = b"\xd0\xcf\x11\xe0"
# Digits of a whole number that a spreadsheet keeps. Longer numbers, such as ids, become text.
_DIGITS = 15
# The date of creation in all workbooks, so that the same rows give the same bytes.
_TIME = datetime(1980, 1, 1)
# Formulas of all kinds, and merged cells, in the XML of a sheet.
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s+ref=\"([A-Z]+[0-9]+:[A-Z]+[0-9]+)\"")
# Rows that a person or a filter hid.
_HIDDEN = re.compile(rb"<(?:\w+:)?row\s[^>]*\bhidden=\"(?:1|true)\"")
# A number format that shows leading zeros, such as for the id 00123.
_ZEROS = re.compile("00+")
# Options that make openpyxl read a workbook row by row.
_QUICK: dict[str, bool] = {"read_only": True, "keep_links": False}
# The first day that has the same number in all spreadsheets. Earlier days are written as text.
_FIRST_DAY = date(1900, 3, 1)
# Characters that XML must not contain, which become _x0007_ in a workbook, and text of this form.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


@dataclass(frozen=True)
class Tab:
    """A sheet to write to a workbook. Its first row is a header, which stays in view.

    Parameters
    ----------
    rows
        Strings, numbers, booleans, dates, times, None; not checked for too many rows or columns.
    widths
        Width of each column, in characters. Other columns get the spreadsheet's default.
    wraps
        Whether a text that is wider than its column continues on the next line; False by default.
    choices
        Index of a column, from 0 → the range with the choices for its cells, such as
        "codebook!$A$2:$A$5". Other values are allowed, too.
    """

    rows: Iterable[Sequence[object]]
    title: str = "Sheet1"
    widths: Sequence[int] = ()
    wraps: bool = False
    choices: Mapping[int, str] = field(default_factory=dict)


def write_workbook(path: Path, *tabs: Tab) -> None:
    """Write a workbook; the same rows give the same bytes.

    Strings become text, which no spreadsheet runs as a formula; None is an empty cell. Numbers,
    booleans, dates and times keep their type, but whole numbers over 15 digits, NaN, times with a
    zone and dates before March 1900 become text. Text over `MOST_CHARACTERS` is a `UserError`.
    """
    from openpyxl import Workbook
    from openpyxl.writer.excel import ExcelWriter

    book = Workbook(write_only=True)
    book.properties.created = book.properties.modified = _TIME
    for tab in tabs:
        _write_tab(book.create_sheet(tab.title), tab)
    # The archive is copied, because openpyxl adds the time of writing to each entry.
    with TemporaryFile() as file, ZipFile(file, "w") as stamped, ZipFile(path, "w") as archive:
        ExcelWriter(book, stamped).write_data()
        for name in stamped.namelist():
            entry = ZipInfo(name)
            entry.compress_type = ZIP_DEFLATED
            with stamped.open(name) as source, archive.open(entry, "w", force_zip64=True) as target:
                shutil.copyfileobj(source, target)


def read_workbook(path: Path) -> list[tuple[int, list[str]]]:
    """Read the first sheet of a workbook as `read_values` does, each cell as its `display_text`."""
    return [(number, list(map(display_text, values))) for number, values in read_values(path)]


def read_values(path: Path) -> list[tuple[int, list[object]]]:
    """Read the number, from 1, and the cells of each filled row of the first visible sheet.

    Cells are texts, numbers, booleans, dates and times; None for an empty one. Rows have at least
    as many as the first, a header or a title. Hidden rows are read, with a note in the log.
    Formulas are read as their results, and errors such as #N/A as empty cells, with a warning. Rows
    of a merged cell below the header all have its value. A `UserError` reports a file that is
    damaged, encrypted or too large, or has no cell, or a formula without a stored result.
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
    except Exception as error:  # zipfile and the XML parser raise many kinds of errors
        raise UserError(f"{path}: is not a whole workbook ({error}). Save it again.") from None
    if not rows:
        raise UserError(f"{path}: the first sheet has no cells; put the table there")
    width = len(rows[0][1])
    return [(number, cells + [None] * (width - len(cells))) for number, cells in rows]


def _rows(file: IO[bytes], path: Path) -> Iterator[tuple[int, list[object]]]:
    """Yield the number, from 1, and the cells of each row with a filled cell, up to its last one.

    Merged cells are filled in. At the end, the log gets the numbers of hidden rows and of errors
    such as #N/A. A file that is too large, or a formula without a result, is a `UserError`.
    """
    import openpyxl

    with ZipFile(file) as archive, warnings.catch_warnings():
        if sum(part.file_size for part in archive.infolist()) > MOST_BYTES:
            raise _too_large(path)
        warnings.simplefilter("ignore")  # they are about colours and the like, which are not read
        sheet = _first_sheet(openpyxl.load_workbook(file, **_QUICK, data_only=True))
        content, formulas = archive.read(sheet._worksheet_path.lstrip("/")), repeat(())
        if _FORMULA.search(content):
            formulas = _first_sheet(openpyxl.load_workbook(file, **_QUICK)).iter_rows()
        n_cells, merged = 0, _merged(_MERGED.findall(content))
        # Column → the last row and the value of its latest merged cell.
        tall: dict[int, tuple[int, object]] = {}
        errors: list[str] = []
        rows = zip(sheet.iter_rows(), formulas, strict=False)
        for number, (results, written) in enumerate(rows, start=1):
            n_cells += 1 + len(results)
            if n_cells > MOST_CELLS:
                raise _too_large(path)
            where = f"{path}, row {number}"
            _refuse_formulas(written, results, where)
            errors += [f"{where}: {cell.value}" for cell in results if cell.data_type == "e"]
            cells = list(map(_value, results))
            for column, last in merged.get(number, ()):
                tall[column] = last, cells[column - 1] if column <= len(cells) else None
            _fill_merged(cells, number, tall)
            while cells and cells[-1] in (None, ""):
                cells.pop()
            if cells:
                yield number, cells
    if n_hidden := len(_HIDDEN.findall(content)):
        log.warning(
            "note: %s: %s read, too", path, plural(n_hidden, "hidden row is", "hidden rows are")
        )
    if errors:
        log.warning("%s (%s in all, read as empty cells)", errors[0], plural(len(errors), "error"))


def _value(cell: Cell) -> object:
    """The value of a cell: None for an error such as #N/A, text for an integer shown as 007."""
    from openpyxl.utils.escape import unescape

    if isinstance(cell.value, str):
        return None if cell.data_type == "e" else unescape(cell.value)
    if isinstance(cell.value, int) and _ZEROS.fullmatch(cell.number_format):
        return f"{cell.value:0{len(cell.number_format)}}"
    return cell.value


def _fill_merged(cells: list[object], number: int, tall: dict[int, tuple[int, object]]) -> None:
    """Give the cells of a row the values of merged cells that begin in it or above it."""
    for column, (last, value) in tall.items():
        if number <= last:
            cells += [None] * (column - len(cells))
            cells[column - 1] = value


def _merged(places: Iterable[bytes]) -> dict[int, list[tuple[int, int]]]:
    """Top row → (first column, last row) of each range, b"A2:B5", of several rows below row 1."""
    from openpyxl.utils import range_boundaries

    cells: dict[int, list[tuple[int, int]]] = {}
    for place in places:
        column, top, _, bottom = range_boundaries(place.decode())
        if 1 < top < bottom:
            cells.setdefault(top, []).append((column, bottom))
    return cells


def _first_sheet(book: Workbook) -> ReadOnlyWorksheet:
    """The first sheet that is not hidden."""
    visible = (sheet for sheet in book.worksheets if sheet.sheet_state == "visible")
    sheet = next(visible, book.worksheets[0])
    sheet.reset_dimensions()  # some files claim 16,384 cells for each row
    return sheet


def _refuse_formulas(formulas: Iterable[Cell], results: Iterable[Cell], where: str) -> None:
    """Raise a `UserError` if a formula in a row has no stored result, as some programs write it."""
    for formula, result in zip(formulas, results, strict=False):
        # An empty text is a result, too.
        if formula.data_type == "f" and result.value is None and result.data_type != "str":
            text = getattr(formula.value, "text", formula.value)  # array formulas are objects
            raise UserError(
                f"{where}: the result of the formula {str(text)[:40]} is not stored. Open the file "
                "in a spreadsheet and save it, or write the values."
            )


def _too_large(path: Path) -> UserError:
    return UserError(
        f"{path}: has more than {MOST_BYTES:,} bytes when unpacked, or {MOST_CELLS:,} cells. Save "
        "the sheet as CSV."
    )


def display_text(value: object) -> str:
    """The text of a cell, as a spreadsheet shows it: 15 digits of floats, and dates in ISO form.

    >>> list(map(display_text, ("07", 1.0, True, datetime(2025, 9, 15), None)))
    ['07', '1', 'TRUE', '2025-09-15', '']
    """
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case float():
            return f"{value:.15g}"
        case datetime() if value.time() == time():
            return str(value.date())
        case _:
            return str(value)


def cell_length(text: str) -> int:
    """Number of characters of a text as spreadsheets count: an emoji has two.

    >>> cell_length("né 🙂")
    5
    """
    return len(_escaped(text).encode("utf-16-le")) // 2


def _escaped(text: str) -> str:
    return _UNWRITABLE.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def _write_tab(sheet: WriteOnlyWorksheet, tab: Tab) -> None:
    """Write a tab to a sheet: a bold header that stays in view, rows, widths, lists of choices."""
    from openpyxl.cell import Cell, WriteOnlyCell
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    sheet.freeze_panes = "A2"  # this and the widths come before the rows in the file
    for number, width in enumerate(tab.widths, start=1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    n_rows = 0
    for row in tab.rows:
        n_rows += 1
        cells = [_cell(sheet, value) for value in row]
        if tab.wraps or n_rows == 1:
            cells = [c if isinstance(c, Cell) else WriteOnlyCell(sheet, c) for c in cells]
            for cell in cells:
                cell.alignment = Alignment(wrap_text=tab.wraps, vertical="top")
                cell.font = Font(bold=n_rows == 1)
        sheet.append(cells)
    for number, source in tab.choices.items():
        letter = get_column_letter(number + 1)
        choice = DataValidation("list", formula1=source, showErrorMessage=False)
        choice.add(f"{letter}2:{letter}{max(2, n_rows)}")
        sheet.data_validations.append(choice)


def _cell(sheet: WriteOnlyWorksheet, value: object) -> Any:
    """A value or cell that openpyxl writes as it is, and as no formula; "" for None.

    Floats and decimals keep all digits. Integers of more than 15 digits, NaN, times with a zone,
    and days before `_FIRST_DAY` become text. A text over `MOST_CHARACTERS` is a `UserError`.
    """
    from openpyxl.cell import WriteOnlyCell

    match value:
        case None:
            return ""
        case bool() | time() | timedelta():
            return value
        case int() if abs(value) < 10**_DIGITS:
            return value
        case datetime() if value.tzinfo is None and value.date() >= _FIRST_DAY:
            return value if value.time() != time() else value.date()
        case date() if not isinstance(value, datetime) and value >= _FIRST_DAY:
            return value
        case float() | Decimal() if math.isfinite(value):
            text, kind = str(value), "n"  # openpyxl would round it to 16 digits
        case _:
            text, kind = _escaped(str(value)), "s"
            if cell_length(str(value)) > MOST_CHARACTERS:
                raise UserError(
                    f"a cell of .xlsx holds {MOST_CHARACTERS:,} characters, and this text has "
                    f"more: {str(value)[:60]} … Write a .csv file instead."
                )
            if not text.startswith(("=", "#")):  # a formula, or the name of an error
                return text
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = kind
    return cell
