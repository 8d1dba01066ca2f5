"""Bulk prediction into one table, .csv or .xlsx, with all rows of all inputs, for a spreadsheet.

Everything is read before anything is predicted: what no spreadsheet holds is refused at once. Files
of any size, and runs that can be resumed, are for `bulk.predict_files`.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from paratopic.project.cells import LineFeeds
from paratopic.project.errors import UserError
from paratopic.project.files import aside, printable
from paratopic.project.workbook import (
    MOST_CHARACTERS,
    MOST_COLUMNS,
    MOST_ROWS,
    length,
    write_workbook,
)
from paratopic.reading.files import list_skipped
from paratopic.serving.bulk import Advance, Done, Job, Work, predict_chunk, share_done
from paratopic.serving.shards import Chunk, Columns, format_of, inert_value

# Name of the column with the path of each row's input, where there are several inputs.
SOURCE = "source"


def predict_table(job: Job, out: Path, advance: Advance) -> Done:
    """Predict the rows of tables and the paragraphs of articles, and write them as one table.

    Parts of articles that are skipped are listed on stderr.

    Parameters
    ----------
    job
        What is to be predicted.
    out
        The table, whose suffix is one of `WRITERS`. It has the columns of all inputs, in the order
        in which they are met, then those that `bulk.predict_files` adds. Of several inputs, the
        first column is `SOURCE`.
    advance
        Called after each step; the share is first of what is read, then of what is predicted.

    Raises
    ------
    UserError
        An input cannot be read, lacks the column, or already has one that would be added; or the
        table has more rows or columns than a spreadsheet, or a cell of a workbook is too long.
    """
    if out.exists() and any(out.samefile(path) for path in job.inputs):
        raise UserError(f"--out {out} is one of the inputs; name another file")
    taken = [SOURCE, *job.added] if len(job.inputs) > 1 else job.added
    job.check(taken)
    work = job.work(taken, Done())
    chunks = list(_read(work, out, advance))
    n_rows = sum(len(chunk.texts) for _, chunk in chunks)
    predict, done = job.engine(job.model, work), Done()
    parts: list[Columns] = []
    for path, chunk in chunks:
        ahead = partial(_ahead, advance, done.rows, n_rows)
        answers = predict_chunk(predict, chunk, job.added, ahead)
        source = {SOURCE: [printable(path)] * len(chunk.texts)} if SOURCE in taken else {}
        parts.append(source | format_of(path).columns(chunk.rows) | answers)
        done = done.add(job.model, answers)
    with aside(out) as draft:
        WRITERS[out.suffix.lower()](draft, _rows(parts, job.added))
    return replace(done, input=len(job.inputs))


def _read(work: Work, out: Path, advance: Advance) -> Iterator[tuple[Path, Chunk[Any]]]:
    """The rows of all inputs, if a spreadsheet holds them."""
    sizes = [path.stat().st_size for path in work.inputs]
    names = dict.fromkeys(work.added)
    rows: Counter[int] = Counter()  # of each input
    for number, _, chunk in work.chunks():
        path = work.inputs[number]
        columns = format_of(path).columns(chunk.rows)
        if out.suffix.lower() == ".xlsx":
            _check_lengths(columns | {"error": list(chunk.errors)}, path, rows[number], out)
        names |= dict.fromkeys(columns)
        rows[number] += len(chunk.texts)
        if rows.total() > MOST_ROWS or len(names) > MOST_COLUMNS:
            raise UserError(
                f"--out {out}: a table has {MOST_ROWS:,} rows and {MOST_COLUMNS:,} columns at "
                f"most, and the inputs have more; name a folder, such as {out.with_suffix('')}"
            )
        list_skipped(printable(path), chunk.skipped)
        advance(0, share_done(sizes, number, chunk.share))
        yield path, chunk


def _check_lengths(columns: Columns, path: Path, first: int, out: Path) -> None:
    """Refuse a text that would not fit a cell of a workbook."""
    start = first + (2 if path.suffix.lower() in _WITH_HEADER else 1)
    for name, values in columns.items():
        for row, value in enumerate(map(_cell, values), start):
            if isinstance(value, str) and length(value) > MOST_CHARACTERS:
                raise UserError(
                    f"{path}, row {row}: a cell of .xlsx holds {MOST_CHARACTERS:,} characters, "
                    f"{name} has more; name a .csv file, such as {out.with_suffix('.csv')}"
                )


def _ahead(advance: Advance, rows: int, n_rows: int, more: int) -> None:
    advance(rows + more, (rows + more) / n_rows)


def _rows(parts: Sequence[Columns], added: Sequence[str]) -> Iterator[list[object]]:
    """The header and all rows; a row has no cell in the columns of other inputs."""
    own = dict.fromkeys(name for part in parts for name in part if name not in added)
    names = [*own, *added]
    yield [_cell(name) for name in names]
    for part in parts:
        columns = [part.get(name) for name in names]
        for row in range(len(part["error"])):
            yield [None if values is None else _cell(values[row]) for values in columns]


def _cell(value: object) -> object:
    """A value as a cell, which is no formula; lists and objects become JSON."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (dict, list)):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return inert_value(str(value))


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(LineFeeds(file), lineterminator="\r\n").writerows(rows)


# Suffixes of tables whose rows a spreadsheet counts from 2, because the header is row 1.
_WITH_HEADER = (".csv", ".xlsx", ".parquet")
# Suffix of a table → what writes it.
WRITERS = {".csv": _write_csv, ".xlsx": write_workbook}
