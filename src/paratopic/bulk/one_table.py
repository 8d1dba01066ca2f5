"""Bulk prediction into one table, .csv, .xlsx or .parquet, with all rows of all inputs."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from paratopic.bulk import formats
from paratopic.bulk.formats import FORMATS, Chunk, Columns, format_of
from paratopic.bulk.jobs import Advance, Job, Progress, predict_chunk, share_done
from paratopic.project.errors import UserError
from paratopic.project.files import atomic_write, printable
from paratopic.tables.sheets import LineFeeds, cell_parser, inert_value
from paratopic.tables.workbook import MOST_COLUMNS, MOST_ROWS, Tab, display_text, write_workbook

if TYPE_CHECKING:
    import pyarrow as pa

# If there are several inputs, this column has the path of each row's input.
SOURCE = "source"

# Bounds of a workbook's column widths, in characters, and number of rows that determine the widths.
_NARROWEST, _WIDEST, _MEASURED = 9, 60, 100


class PredictedRows(NamedTuple):
    """Rows of an input in their format, the column `SOURCE`, if any, and the added columns."""

    input: Path
    rows: formats.Rows
    source: Columns
    predictions: Columns
    types: formats.Types


def predict_table(job: Job, out: Path, advance: Advance) -> Progress:
    """Predict the rows of tables and the paragraphs of articles, and write them as one table.

    Returns the totals. All inputs are read first, so that one that does not fit is refused at once.
    The skipped parts of articles are listed on stderr. A `UserError` reports a damaged .csv or
    .parquet file, a table without the column of texts or with an added one, and an `out` that is an
    input, parquet without pyarrow, or .csv or .xlsx and too large for a spreadsheet.

    Parameters
    ----------
    out
        The table, whose suffix is one of `WRITERS`. It has the columns of all inputs in order of
        first occurrence, then the columns that `bulk.predict_files` adds. With several inputs, the
        first column is `SOURCE`.
    advance
        Called with the number of rows predicted so far and a share, 0 to 1: with 0 rows, of the
        inputs that have been read; then, from 0 on, of the rows.
    """
    # Folders of the path may not exist yet, so it is resolved before the comparison.
    if (place := out.resolve()).exists() and any(map(place.samefile, job.inputs)):
        raise UserError(f"--out {out} is one of the inputs; name another file")
    if out.suffix.lower() == ".parquet":
        formats.require_pyarrow(out)
    added = [SOURCE, *job.added] if len(job.inputs) > 1 else job.added
    job.check(added)
    chunks = list(_read(job, added, out, advance))
    n_rows = sum(len(chunk.texts) for _, chunk in chunks)
    progress, parts = Progress(), list[PredictedRows]()

    def show(rows: int) -> None:
        advance(progress.rows + rows, (progress.rows + rows) / n_rows)

    for path, chunk in chunks:
        predictions = predict_chunk(job, chunk, show)
        source = {SOURCE: [printable(path)] * len(chunk.texts)} if SOURCE in added else {}
        parts.append(PredictedRows(path, chunk.rows, source, predictions, job.added))
        progress = progress.add(job, predictions)
    with atomic_write(out) as draft:
        WRITERS[out.suffix.lower()](draft, parts)
    return progress


def _read(
    job: Job, added: Collection[str], out: Path, advance: Advance
) -> Iterator[tuple[Path, Chunk]]:
    """Yield path and chunk of each shard; `UserError` if `out` cannot have all rows or columns."""
    sizes = [path.stat().st_size for path in job.inputs]
    names = dict.fromkeys(added)
    n_rows = 0
    for number, _, chunk in job.chunks(added):
        path = job.inputs[number]
        names |= dict.fromkeys(format_of(path).columns(chunk.rows))
        n_rows += len(chunk.texts)
        too_many = n_rows > MOST_ROWS or len(names) > MOST_COLUMNS
        if too_many and out.suffix.lower() != ".parquet":
            raise UserError(
                f"--out {out}: a spreadsheet has {MOST_ROWS:,} rows and {MOST_COLUMNS:,} columns "
                f"at most, and the inputs have more; name {out.with_suffix('.parquet')}, or a "
                f"folder, such as {out.with_suffix('')}"
            )
        formats.log_skipped(printable(path), chunk.skipped)
        advance(0, share_done(sizes, number, chunk.share))
        yield path, chunk


def _rows(parts: Sequence[PredictedRows], own: Sequence[Columns]) -> Iterator[list[object]]:
    """Yield header and rows: columns of all parts (`own`), None if one lacks it; predictions."""
    names = [*dict.fromkeys(chain(*own)), *parts[0].predictions]
    yield [_cell(name) for name in names]
    for part, own_columns in zip(parts, own, strict=True):
        columns = own_columns | part.predictions
        named_columns = [columns.get(name) for name in names]
        for row in range(len(part.predictions["error"])):
            yield [None if values is None else _cell(values[row]) for values in named_columns]


def _cell(value: object) -> object:
    """Convert a value to a cell that is no formula; lists and objects become JSON."""
    if value is None or isinstance(value, (bool, int, float, Decimal, date, time, timedelta)):
        return value
    return inert_value(_text(value))


def _text(value: object) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _values(parts: Sequence[PredictedRows]) -> list[Columns]:
    """Columns of each part's input, with numbers and dates, which in CSV are parsed from texts."""
    own = [part.source | format_of(part.input).columns(part.rows, typed=True) for part in parts]
    for path in dict.fromkeys(part.input for part in parts):
        if format_of(path) is FORMATS[".csv"]:
            _parse_cells([c for part, c in zip(parts, own, strict=True) if part.input == path])
    return own


def _parse_cells(parts: Sequence[Columns]) -> None:
    """Replace texts by numbers and dates in each column of a CSV file that has only these."""
    for name in parts[0]:
        parse = cell_parser(chain.from_iterable(columns[name] for columns in parts))
        for columns in parts:
            columns[name] = list(map(parse, columns[name]))


def _write_csv(path: Path, parts: Sequence[PredictedRows]) -> None:
    own = [part.source | format_of(part.input).columns(part.rows) for part in parts]
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(LineFeeds(file), lineterminator="\r\n").writerows(_rows(parts, own))


def _write_xlsx(path: Path, parts: Sequence[PredictedRows]) -> None:
    own = _values(parts)
    first = islice(_rows(parts, own), _MEASURED)
    longest = [max(map(len, map(display_text, column))) for column in zip(*first, strict=True)]
    widths = [min(max(length + 1, _NARROWEST), _WIDEST) for length in longest]
    write_workbook(path, Tab(_rows(parts, own), widths=widths))


def _write_parquet(path: Path, parts: Sequence[PredictedRows]) -> None:
    """Write all rows; a column without a common type becomes text, and predictions go last."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [_arrow(part, columns) for part, columns in zip(parts, _values(parts), strict=True)]
    for name in dict.fromkeys(name for table in tables for name in table.schema.names):
        columns = [table.select([name]) for table in tables if name in table.schema.names]
        try:
            pa.concat_tables(columns, promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid):  # two inputs have different types
            for n, table in enumerate(tables):
                if name in table.schema.names:
                    texts = _texts(table[name].to_pylist())
                    tables[n] = table.set_column(table.schema.names.index(name), name, texts)
    table = pa.concat_tables(tables, promote_options="permissive")
    own = [name for name in table.schema.names if name not in parts[0].predictions]
    pq.write_table(table.select([*own, *parts[0].predictions]), path)


def _arrow(part: PredictedRows, columns: Columns) -> pa.Table:
    """Table of a part: source and rows if they are of parquet, else `columns`; then predictions."""
    import pyarrow as pa

    if isinstance(part.rows, pa.Table):
        rows = part.rows.add_column(0, SOURCE, part.source.values()) if part.source else part.rows
    else:
        rows = pa.table({printable(name): _array(values) for name, values in columns.items()})
    return formats.with_columns(rows, part.predictions, part.types)


def _array(values: Sequence[object]) -> pa.Array:
    """Convert values to an array; of texts if they have no type in common, None stays null."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return _texts(values)


def _texts(values: Sequence[object]) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if value is None else printable(_text(value)) for value in values])


# Suffix of a table → function that writes it.
WRITERS = {".csv": _write_csv, ".xlsx": _write_xlsx, ".parquet": _write_parquet}
