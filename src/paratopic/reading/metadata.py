"""What an article is from: its date, its source, its author, and columns of one's own.

The fields of an article come from `metadata.csv` in its folder, from its document or from its
file's name. The readers of formats find those of documents, and `tables` has those of its rows.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from paratopic.project.errors import UserError, plural, refuse_repeated, shortened
from paratopic.project.files import SHEET, Paths
from paratopic.reading.cells import LONGEST, cleaned, date_in_name, iso_date
from paratopic.tables.sheets import read_sheet

if TYPE_CHECKING:
    import pandas as pd

# Column of a metadata.csv with the name of an article, with or without its suffix.
ARTICLE = "article"
DATE = "date"
# What no field may be called: this is the column of paragraphs in the table of fields.
ID = "id"
# Where fields are found. Of an article, the first that has a field counts.
ORIGINS = IN_SHEET, IN_DOCUMENT, IN_NAME, IN_TABLE = SHEET, "documents", "file names", "tables"


class Field(NamedTuple):
    """The value of a field, and where it was found: `IN_SHEET`, `IN_DOCUMENT` or `IN_NAME`."""

    value: str
    origin: str


def article_fields(path: Path, in_document: Mapping[str, str]) -> dict[str, Field]:
    """The fields of an article by their names, given what its document says that it is from.

    A date of the document that is none is left out.

    Raises
    ------
    UserError
        The metadata.csv beside it cannot be read, has no column `article` or two of one name, names
        an article twice, or has a date that is none.
    """
    in_name = date_in_name(path.stem)
    fields = {DATE: Field(in_name, IN_NAME)} if in_name else {}
    texts = {name: cleaned(text) for name, text in in_document.items()}
    texts[DATE] = iso_date(texts.get(DATE, "")) or ""
    fields |= {name: Field(text, IN_DOCUMENT) for name, text in texts.items() if text}
    return fields | {name: Field(value, IN_SHEET) for name, value in _in_sheet(path).items()}


def metadata_sheets(paths: Iterable[Path]) -> set[Path]:
    """The metadata.csv of each folder with a file, whether it is there or not."""
    return {path.with_name(SHEET) for path in paths}


def check_sheets(project: Paths, paths: Collection[Path]) -> list[str]:
    """Check each metadata.csv beside articles as `article_fields` does; note absent articles."""
    for path in paths:
        _in_sheet(path)
    notes = []
    for folder in dict.fromkeys(path.parent for path in paths):
        files = list(folder.iterdir()) if (rows := _rows_of(folder)) else []
        present = {_plain(name) for file in files for name in (file.name, file.stem)}
        if absent := [name for name in rows if name not in present]:
            names = shortened(", ".join(absent), LONGEST)
            sheet = project.name(folder / SHEET)
            notes.append(f"{sheet}: these rows name files that are not in its folder: {names}")
    return notes


def unread_dates(metadata: pd.DataFrame) -> list[str]:
    """A note about dates that cannot be read: they stay as written, and are in no period."""
    dates = metadata[[ID, DATE]].dropna().to_numpy() if DATE in metadata else ()
    unread = [f"{date} ({id_})" for id_, date in dates if not iso_date(date)]
    number = plural(len(unread), "date is", "dates are")
    listed = shortened(", ".join(unread), LONGEST)
    note = f"{number} not read and in no period; write 2025-09-15, 2025-09 or 2025: {listed}"
    return [note] if unread else []


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
