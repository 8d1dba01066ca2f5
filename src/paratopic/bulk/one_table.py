"""Bulk prediction into one table, .csv, .xlsx or .parquet, with all rows of all inputs.

Everything is read before anything is predicted: what the table cannot hold is refused at once.
"""

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
from paratopic.bulk.jobs import Advance, Done, Job, predict_chunk, share_done
from paratopic.project.errors import UserError
from paratopic.project.files import aside, printable
from paratopic.tables.sheets import LineFeeds, inert_value, reader_of
from paratopic.tables.workbook import MOST_COLUMNS, MOST_ROWS, Tab, shown, write_workbook

if TYPE_CHECKING:
    import pyarrow as pa

# Name of the column with the path of each row's input, where there are several inputs.
SOURCE = "source"

# Width of a workbook's columns, in characters, and number of rows that it is taken from.
_NARROWEST, _WIDEST, _MEASURED = 9, 60, 100


class Predicted(NamedTuple):
    """Rows of one input, as its format has them; the column `SOURCE`, if any; and predictions."""

    input: Path
    rows: formats.Rows
    source: formats.Columns
    answers: formats.Columns
    types: formats.Types


def predict_table(job: Job, out: Path, advance: Advance) -> Done:
    """Predict the rows of tables and the paragraphs of articles, and write them as one table.

    Parts of articles that are skipped are listed on stderr.

    Parameters
    ----------
    out
        The table, whose suffix is one of `WRITERS`. It has the columns of all inputs, in the order
        in which they are met, then those that `bulk.predict_files` adds. Of several inputs, the
        first column is `SOURCE`.
    advance
        Called after each step; the share is first of what is read, then of what is predicted.

    Raises
    ------
    UserError
        An input cannot be read, lacks the column, or already has one that would be added; a .csv or
        .xlsx table has more rows or columns than a spreadsheet, or a cell of a workbook is too
        long; or parquet is asked for without pyarrow.
    """
    # Resolved, because a folder on the way may not be there yet.
    if (place := out.resolve()).exists() and any(map(place.samefile, job.inputs)):
        raise UserError(f"--out {out} is one of the inputs; name another file")
    if out.suffix.lower() == ".parquet":
        formats.require_pyarrow(out)
    taken = [SOURCE, *job.added] if len(job.inputs) > 1 else job.added
    job.check(taken)
    chunks = list(_read(job, taken, out, advance))
    n_rows = sum(len(chunk.texts) for _, chunk in chunks)
    done, parts = Done(), list[Predicted]()

    def show(rows: int) -> None:
        advance(done.rows + rows, (done.rows + rows) / n_rows)

    for path, chunk in chunks:
        answers = predict_chunk(job, chunk, show)
        source = {SOURCE: [printable(path)] * len(chunk.texts)} if SOURCE in taken else {}
        parts.append(Predicted(path, chunk.rows, source, answers, job.added))
        done = done.add(job, answers)
    with aside(out) as draft:
        WRITERS[out.suffix.lower()](draft, parts)
    return done


def _read(
    job: Job, added: Collection[str], out: Path, advance: Advance
) -> Iterator[tuple[Path, formats.Chunk]]:
    """The rows of all inputs, if the table holds them."""
    sizes = [path.stat().st_size for path in job.inputs]
    names = dict.fromkeys(added)
    n_rows = 0
    for number, _, chunk in job.chunks(added):
        path = job.inputs[number]
        names |= dict.fromkeys(formats.format_of(path).columns(chunk.rows))
        n_rows += len(chunk.texts)
        too_many = n_rows > MOST_ROWS or len(names) > MOST_COLUMNS
        if too_many and out.suffix.lower() != ".parquet":
            raise UserError(
                f"--out {out}: a spreadsheet has {MOST_ROWS:,} rows and {MOST_COLUMNS:,} columns "
                f"at most, and the inputs have more; name {out.with_suffix('.parquet')}, or a "
                f"folder, such as {out.with_suffix('')}"
            )
        formats.list_skipped(printable(path), chunk.skipped)
        advance(0, share_done(sizes, number, chunk.share))
        yield path, chunk


def _rows(parts: Sequence[Predicted], own: Sequence[formats.Columns]) -> Iterator[list[object]]:
    """The header and all rows; a row has no cell in the columns of other inputs."""
    names = [*dict.fromkeys(chain(*own)), *parts[0].answers]
    yield [_cell(name) for name in names]
    for part, columns in zip(parts, own, strict=True):
        each = columns | part.answers
        cells = [each.get(name) for name in names]
        for row in range(len(part.answers["error"])):
            yield [None if values is None else _cell(values[row]) for values in cells]


def _cell(value: object) -> object:
    """A value as a cell, which is no formula; lists and objects become JSON."""
    if value is None or isinstance(value, (bool, int, float, Decimal, date, time, timedelta)):
        return value
    return inert_value(_text(value))


def _text(value: object) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _values(parts: Sequence[Predicted]) -> list[formats.Columns]:
    """The own columns of each part, with numbers and dates: in CSV, of which it has the texts."""
    typed = (formats.format_of(part.input).columns(part.rows, typed=True) for part in parts)
    own = [part.source | columns for part, columns in zip(parts, typed, strict=True)]
    for path in dict.fromkeys(part.input for part in parts):
        if formats.format_of(path) is formats.FORMATS[".csv"]:
            of_input = [c for part, c in zip(parts, own, strict=True) if part.input == path]
            for name in of_input[0]:
                read = reader_of(chain(*(columns[name] for columns in of_input)))
                for columns in of_input:
                    columns[name] = list(map(read, columns[name]))
    return own


def _write_csv(path: Path, parts: Sequence[Predicted]) -> None:
    own = [part.source | formats.format_of(part.input).columns(part.rows) for part in parts]
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(LineFeeds(file), lineterminator="\r\n").writerows(_rows(parts, own))


def _write_xlsx(path: Path, parts: Sequence[Predicted]) -> None:
    own = _values(parts)
    first = islice(_rows(parts, own), _MEASURED)
    longest = [max(map(len, map(shown, column))) for column in zip(*first, strict=True)]
    widths = [min(max(length + 1, _NARROWEST), _WIDEST) for length in longest]
    write_workbook(path, Tab(_rows(parts, own), widths=widths))


def _write_parquet(path: Path, parts: Sequence[Predicted]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [_arrow(part, columns) for part, columns in zip(parts, _values(parts), strict=True)]
    for name in dict.fromkeys(name for table in tables for name in table.schema.names):
        alone = [table.select([name]) for table in tables if name in table.schema.names]
        try:
            pa.concat_tables(alone, promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid):  # numbers here, texts there
            for n, table in enumerate(tables):
                if name in (names := table.schema.names):
                    texts = _texts(table[name].to_pylist())
                    tables[n] = table.set_column(names.index(name), name, texts)
    added = list(parts[0].answers)
    table = pa.concat_tables(tables, promote_options="permissive")
    own = [name for name in table.schema.names if name not in added]
    pq.write_table(table.select([*own, *added]), path)


def _arrow(part: Predicted, columns: formats.Columns) -> pa.Table:
    """A part with all of its columns; those of parquet keep their types."""
    import pyarrow as pa

    if isinstance(part.rows, pa.Table):
        rows = part.rows.add_column(0, SOURCE, part.source.values()) if part.source else part.rows
    else:
        rows = pa.table({printable(name): _array(values) for name, values in columns.items()})
    return formats.with_columns(rows, part.answers, part.types)


def _array(values: Sequence[object]) -> pa.Array:
    """Values of a column; texts where they have no type in common."""
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):
        return _texts(values)


def _texts(values: Sequence[object]) -> pa.Array:
    import pyarrow as pa

    return pa.array([None if value is None else printable(_text(value)) for value in values])


# Suffix of a table → what writes it.
WRITERS = {".csv": _write_csv, ".xlsx": _write_xlsx, ".parquet": _write_parquet}
