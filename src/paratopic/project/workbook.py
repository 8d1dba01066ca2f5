"""Workbooks of spreadsheets (.xlsx): one sheet of cells, written without formulas.

What the rows mean is the callers' business.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from io import TextIOWrapper
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

# What a sheet holds below its header, and a cell.
MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 1_048_575, 16_384, 32_767

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
        Rows of strings, numbers and booleans; None for an empty cell. Nothing is checked against
        `MOST_ROWS`, `MOST_COLUMNS` and `MOST_CHARACTERS`.
    """
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            archive.writestr(_entry(name), _HEAD + content)
        with archive.open(_entry(_SHEET), "w", force_zip64=True) as raw:
            sheet = TextIOWrapper(raw, encoding="utf-8", newline="")
            sheet.writelines(_sheet(rows))
            sheet.flush()


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
            text = _UNWRITABLE.sub(lambda match: f"_x{ord(match[0]):04X}_", str(value))
            text = escape(text, quote=False)
            return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
