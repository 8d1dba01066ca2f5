"""Metadata of articles: date, source, author and other fields.

The fields of an article come from `metadata.csv` in its folder, its document or its file's name.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from paratopic.project.errors import (
    UserError,
    closest_word_hint,
    plural,
    refuse_repeated,
    shortened,
)
from paratopic.project.files import METADATA_FILE, Paths
from paratopic.reading.cells import LONGEST, clean_field, date_in_name, iso_date
from paratopic.tables.sheets import read_sheet

if TYPE_CHECKING:
    import pandas as pd

# Column of a metadata.csv with the name of an article, with or without its suffix.
ARTICLE = "article"
DATE = "date"
# No field may have this name: it is the column of paragraphs in the table of fields.
ID = "id"
# Origins of fields. The first origin that has a field of an article counts.
IN_SHEET, IN_DOCUMENT, IN_NAME, IN_TABLE = METADATA_FILE, "documents", "file names", "tables"
ORIGINS = IN_SHEET, IN_DOCUMENT, IN_NAME, IN_TABLE
# File and number of a row of a metadata.csv, and its fields.
_Row = tuple[str, dict[str, str]]


class Field(NamedTuple):
    """The value of a field, and its origin: `IN_SHEET`, `IN_DOCUMENT` or `IN_NAME`."""

    value: str
    origin: str


def fields_of(path: Path, in_document: Mapping[str, str]) -> dict[str, Field]:
    """Name of a field → its value and origin, for the article in a file.

    metadata.csv in the folder of `path` takes precedence over `in_document`, the document's fields,
    and these over the date in the file's name. Dates have ISO form, and a date of a document that
    cannot be read is ignored. A `UserError` reports a metadata.csv that cannot be read, has no
    column `article`, repeats a column or an article, or has a date that cannot be read.
    """
    in_name = date_in_name(path.stem)
    fields = {DATE: Field(in_name, IN_NAME)} if in_name else {}
    texts = {name: clean_field(text) for name, text in in_document.items()}
    texts[DATE] = iso_date(texts.get(DATE, "")) or ""
    fields |= {name: Field(text, IN_DOCUMENT) for name, text in texts.items() if text}
    return fields | {name: Field(value, IN_SHEET) for name, value in _sheet_fields(path).items()}


def check_sheets(project: Paths, paths: Collection[Path]) -> list[str]:
    """Return a note for each metadata.csv beside the files with rows for files its folder lacks.

    A `UserError` reports a metadata.csv that `fields_of` would refuse for one of the files.
    """
    for path in paths:
        _sheet_fields(path)
    notes = []
    for folder in dict.fromkeys(path.parent for path in paths):
        rows = _sheet_rows(folder)
        files = list(folder.iterdir()) if rows else []
        present = {_normalised(name) for file in files for name in (file.name, file.stem)}
        if absent := [name for name in rows if name not in present]:
            known = sorted({file.stem for file in files} - {METADATA_FILE.partition(".")[0]})
            named = [f"{name}{closest_word_hint(name, known)}" for name in absent]
            names = shortened(", ".join(named), LONGEST)
            sheet = project.name(folder / METADATA_FILE)
            notes.append(f"{sheet}: these rows name files that are not in its folder: {names}")
    return notes


def date_notes(metadata: pd.DataFrame) -> list[str]:
    """A list of one note, which names the dates of a table that cannot be read; [] for none."""
    dates = metadata[[ID, DATE]].dropna().to_numpy() if DATE in metadata else ()
    unread = [f"{date} ({id_})" for id_, date in dates if not iso_date(date)]
    number = plural(len(unread), "date is", "dates are")
    listed = shortened(", ".join(unread), LONGEST)
    note = f"{number} not read and in no period; write 2025-09-15, 2025-09 or 2025: {listed}"
    return [note] if unread else []


def _sheet_fields(path: Path) -> Mapping[str, str]:
    """An article's fields in metadata.csv of its folder; {} for none, UserError for two rows."""
    rows = _sheet_rows(path.parent)
    names = dict.fromkeys((_normalised(path.name), _normalised(path.stem)))
    matches = [rows[name] for name in names if name in rows]
    if len(matches) > 1:
        raise _repeated_article(path.name, matches[0][0], matches[1][0])
    return matches[0][1] if matches else {}


def _sheet_rows(folder: Path) -> Mapping[str, _Row]:
    """The rows of a folder's metadata.csv by the names in its column `article`; {} without it."""
    path = folder / METADATA_FILE
    try:
        stat = path.stat()
    except OSError:
        return {}
    return _read_sheet_rows(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4)  # the file is read only once for all articles of its folder
def _read_sheet_rows(path: Path, modified: int, size: int) -> Mapping[str, _Row]:
    """Name in the column `article` (NFC) → place of its row, and its other filled cells but `id`.

    Dates have ISO form. A `UserError` reports a name that is missing or repeated, and a date that
    cannot be read. `modified` and `size` are those of the file, for the cache.
    """
    sheet = read_sheet(path, [ARTICLE])
    columns = [name for name in map(clean_field, sheet.columns) if name]
    refuse_repeated(f"{path}, row 1", columns)
    rows: dict[str, _Row] = {}
    for where, cells in sheet.rows:
        fields = {clean_field(name): clean_field(cell) for name, cell in cells.items()}
        fields = {name: cell for name, cell in fields.items() if name and cell}
        if not fields:
            continue
        article = _normalised(cells[ARTICLE].strip())
        if not article:
            raise UserError(f"{where}: names no article; write the name of its file")
        if article in rows:
            raise _repeated_article(article, rows[article][0], where)
        fields = {name: cell for name, cell in fields.items() if name not in (ARTICLE, ID)}
        if DATE in fields:
            date = iso_date(fields[DATE])
            if not date:
                raise UserError(
                    f'{where}: the date "{fields[DATE]}" cannot be read; write it as 2025-09-15, '
                    "2025-09 or 2025"
                )
            fields[DATE] = date
        rows[article] = where, fields
    return rows


def _repeated_article(article: str, first: str, second: str) -> UserError:
    return UserError(f"{second}: names {article}, and so does {first}; remove one of these rows")


def _normalised(name: str) -> str:
    """The name of a file in a form to compare: some systems write é as two letters."""
    return unicodedata.normalize("NFC", name)
