"""Tables as they are written: CSV, Excel, JSON lines and Parquet into columns of values.

What the columns mean is for the callers.
"""

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

# The day of a time in ISO form.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Table(NamedTuple):
    """A table as it is written, and where each row is: "t.csv, row 2"; in JSON lines, the line."""

    columns: Columns
    wheres: list[str]


def cell_text(value: object) -> str:
    """A value as it is written: a text or boolean; "" for any other, such as a list."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else ""


def _read_sheet(path: Path, whole: Collection[str]) -> Table:
    sheet = read_sheet(path, [])
    rows = [(where, cells) for where, cells in sheet.rows if any(cells.values())]
    columns: Columns = {name: [cells[name] for _, cells in rows] for name in sheet.columns}
    return Table(columns, [where for where, _ in rows])


def _read_jsonl(path: Path, whole: Collection[str]) -> Table:
    rows: list[dict[str, object]] = []
    wheres: list[str] = []
    # Not `splitlines`, which ends lines at characters that JSON has within strings.
    for number, line in enumerate(read_decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        wheres.append(f"{path}, line {number}")
        try:
            row = json.loads(line, parse_int=str, parse_float=str)  # as they are written
        except (ValueError, RecursionError) as error:
            raise UserError(f"{wheres[-1]}: is not JSON ({error})") from None
        if not isinstance(row, dict):
            raise UserError(f"{wheres[-1]}: is not a JSON object; write one on each line")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return Table({name: [row.get(name) for row in rows] for name in names}, wheres)


def _read_parquet(path: Path, whole: Collection[str]) -> Table:
    try:
        # By its path: if Python ends while a thread of Arrow holds an open file, it is aborted.
        file = pq.ParquetFile(path)
        schema = file.schema_arrow
        refuse_repeated(str(path), schema.names)
        read = file.read([field.name for field in schema if field.name in whole or _is_read(field)])
        columns = _arrow_columns(read, schema, whole)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number else str(error).strip()
        raise UserError(f"{path}: cannot be read as parquet: {reason}") from None
    return Table(columns, [f"{path}, row {row}" for row in range(2, read.num_rows + 2)])


def _arrow_columns(read: pa.Table, schema: pa.Schema, whole: Collection[str]) -> Columns:
    """The columns of a schema, as texts; those that are not read are empty.

    Lists and those that are read `whole` keep the types of their values, and numbers that stand for
    names become these.
    """
    columns: Columns = {name: [None] * read.num_rows for name in schema.names}
    for name, column in zip(read.schema.names, read.columns, strict=True):
        is_whole = name in whole or pa.types.is_nested(column.type)
        columns[name] = column.to_pylist() if is_whole else _as_texts(column)
    for name, named in _class_names(schema).items():
        # Numbers of names, as data sets of Hugging Face have them; -1 is no label.
        by_number = {"-1": None, **{str(number): each for number, each in enumerate(named)}}
        columns[name] = [_named(value, by_number) for value in columns[name]]
    return columns


def _named(value: object, by_number: Mapping[str, object]) -> object:
    """The name that a number stands for, or those of a list of numbers."""
    if isinstance(value, list):
        names = [_named(each, by_number) for each in value]
        return [name for name in names if name is not None]
    # Numbers beside an empty cell may be floats.
    return by_number.get(str(value).removesuffix(".0"), value)


def _is_read(field: pa.Field) -> bool:
    """Whether a column has a simple type that is no bytes, or lists of texts or whole numbers."""
    kind = getattr(field.type, "value_type", field.type)  # of lists and dictionaries
    is_text = kind in (pa.string(), pa.large_string(), pa.string_view())
    if is_text or pa.types.is_nested(field.type):
        return bool(is_text or pa.types.is_integer(kind))
    return bool(pa.types.is_primitive(kind) or pa.types.is_decimal(kind))


def _as_texts(column: pa.ChunkedArray) -> list[object]:
    """A column as texts, with dates in ISO form; None where it has none."""
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
    """The columns of numbers that stand for names, if a file of Hugging Face's says so."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: list(item["names"])
            for column, feature in features.items()
            if column in schema.names and "names" in (item := _item(feature))
        }
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return {}


def _item(feature: Any) -> Any:
    """What a feature, or each item of a list, is; older files have a list of one."""
    return feature[0] if isinstance(feature, list) else feature.get("feature", feature)


# Suffix of a table → its reader; see `reading.tables.read_table`.
LOADERS: dict[str, Callable[[Path, Collection[str]], Table]] = {
    ".csv": _read_sheet,
    ".xlsx": _read_sheet,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
