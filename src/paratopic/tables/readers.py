"""Read CSV, Excel, JSON lines and Parquet into columns of values. Callers interpret the columns."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.project.encodings import read_decoded
from paratopic.project.errors import UserError, refuse_repeated
from paratopic.tables.sheets import read_sheet

# Name of a column → its values.
Columns = dict[str, list[object]]
# The date in a time in ISO form.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Table(NamedTuple):
    """A table as it is written, and the location of each row, such as "t.csv, row 2"."""

    columns: Columns
    locations: list[str]


def cell_text(value: object) -> str:
    """The text of a text or boolean as it is written; "" for any other value, such as a list."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else ""


def _read_sheet(path: Path, typed: Collection[str]) -> Table:
    """Read CSV or a workbook: texts, "" in empty cells, and only rows with a filled cell.

    `typed` has no effect. A `UserError` reports an unreadable file or a column that occurs twice.
    """
    sheet = read_sheet(path, [])
    rows = [(where, cells) for where, cells in sheet.rows if any(cells.values())]
    columns: Columns = {}
    for name in sheet.columns:
        columns[name] = [cells[name] for _, cells in rows]
    return Table(columns, [where for where, _ in rows])


def _read_jsonl(path: Path, typed: Collection[str]) -> Table:
    """Read JSON Lines: a column for each key of any line, None in lines without it.

    Numbers become texts as they are written; other values keep their types, so `typed` has no
    effect. Blank lines are skipped, and a line that is not a JSON object is a `UserError`.
    """
    rows: list[dict[str, object]] = []
    locations: list[str] = []
    # `splitlines` would end lines at characters that JSON has within strings.
    for number, line in enumerate(read_decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        locations.append(f"{path}, line {number}")
        try:
            row = json.loads(line, parse_int=str, parse_float=str)  # numbers stay as written
        except (ValueError, RecursionError) as error:
            raise UserError(f"{locations[-1]}: is not JSON ({error})") from None
        if not isinstance(row, dict):
            raise UserError(f"{locations[-1]}: is not a JSON object; write one on each line")
        rows.append(row)
    columns: Columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        columns[name] = [row.get(name) for row in rows]
    return Table(columns, locations)


def _read_parquet(path: Path, typed: Collection[str]) -> Table:
    """Read parquet: cells as texts, but lists and `typed` columns as they are; rows count from 2.

    Columns of bytes, objects, or lists not of texts or whole numbers have only None, unless they
    are `typed`. A `UserError` reports a damaged file or a column that occurs twice.
    """
    try:
        # Arrow opens the path: Python would abort at exit if a thread of Arrow held a file object.
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        refuse_repeated(str(path), schema.names)
        names = [field.name for field in schema if field.name in typed or _is_read(field)]
        table = file.read(names)
        columns = _arrow_columns(table, schema, typed)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number else str(error).strip()
        raise UserError(f"{path}: cannot be read as parquet: {reason}") from None
    return Table(columns, [f"{path}, row {row}" for row in range(2, table.num_rows + 2)])


def _arrow_columns(table: pa.Table, schema: pa.Schema, typed: Collection[str]) -> Columns:
    """Name of each column of `schema` → its cells as texts; only None if `table` lacks the column.

    Lists and `typed` columns keep the types of their values. The numbers of a `ClassLabel` of
    Hugging Face become the names of its classes, and -1 becomes None.
    """
    columns: Columns = {name: [None] * table.num_rows for name in schema.names}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        is_typed = name in typed or pa.types.is_nested(column.type)
        columns[name] = column.to_pylist() if is_typed else _as_texts(column)
    for name, classes in _class_names(schema).items():
        by_number = {"-1": None} | {str(number): label for number, label in enumerate(classes)}
        columns[name] = [_class_of(value, by_number) for value in columns[name]]
    return columns


def _class_of(value: object, by_number: Mapping[str, object]) -> object:
    """The name of the class that has a number, or the names for a list of numbers."""
    if isinstance(value, list):
        names = [_class_of(number, by_number) for number in value]
        return [name for name in names if name is not None]
    # Numbers are floats in a column with empty cells.
    return by_number.get(str(value).removesuffix(".0"), value)


def _is_read(field: pa.Field) -> bool:
    """Whether a column has a simple type other than bytes, or lists of texts or whole numbers."""
    kind = getattr(field.type, "value_type", field.type)  # lists and dictionaries have it
    is_text = kind in (pa.string(), pa.large_string(), pa.string_view())
    if is_text or pa.types.is_nested(field.type):
        return bool(is_text or pa.types.is_integer(kind))
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind))


def _as_texts(column: pa.ChunkedArray) -> list[object]:
    """The cells as texts; times become dates in ISO form, and empty cells and NaN become None.

    Decimals such as 1.00 become "1". All are None if Arrow cannot convert the column.
    """
    try:
        texts: list[str | None] = column.cast(pa.string()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError):  # times of an unknown zone, say
        return [None] * len(column)
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return [text and (_DAY.match(text) or [text])[0] for text in texts]
    if pa.types.is_decimal(column.type):
        texts = [text and re.sub(r"\.0+$", "", text) for text in texts]
    is_float = pa.types.is_floating(column.type)
    return [None if is_float and text == "nan" else text for text in texts]


def _class_names(schema: pa.Schema) -> dict[str, list[object]]:
    """Each `ClassLabel` column → names of its classes; {} without metadata of Hugging Face."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        items = {name: _item(features[name]) for name in features if name in schema.names}
        return {name: list(item["names"]) for name, item in items.items() if "names" in item}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return {}


def _item(feature: Any) -> Any:
    """The type of a feature, or of the items of its lists; older files have a list of one type."""
    return feature[0] if isinstance(feature, list) else feature.get("feature", feature)


# Suffix of a table → its reader; see `reading.tables.read_table`.
LOADERS: dict[str, Callable[[Path, Collection[str]], Table]] = {
    ".csv": _read_sheet,
    ".xlsx": _read_sheet,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
