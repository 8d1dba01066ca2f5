"""The formats of bulk prediction: each reads an input, and writes its output, one shard at a time.

`FORMATS` maps the suffix of an input to its `Format`. A format knows rows, texts and what is wrong
with a row. It does not know the model: `bulk` gets the predictions.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from paratopic.project.errors import UserError
from paratopic.reading.article import Skipped, paragraphs_of, skipped_of
from paratopic.reading.files import SUFFIXES, read_file

if TYPE_CHECKING:
    import pyarrow as pa

# Rows of a shard, at most.
SHARD = 5_000

# Name of an added column → its values, one per row.
Columns = dict[str, list[Any]]

Item = TypeVar("Item")
Rows = TypeVar("Rows")


@dataclass(frozen=True)
class Chunk(Generic[Rows]):
    """The rows of one shard.

    Parameters
    ----------
    rows
        The rows in the form that `Format.write` of the same format takes.
    texts
        The text of each row; None for a row without one.
    errors
        What is wrong with each row; None for a row that can be answered.
    share
        Share of the input that has been read up to the end of these rows, 0 to 1.
    skipped
        Parts of an article that are not paragraphs; given with its first shard.
    """

    rows: Rows
    texts: Sequence[str | None]
    errors: Sequence[str | None]
    share: float
    skipped: Sequence[Skipped] = ()


class Format(Protocol[Rows]):
    """A file format of bulk prediction; `suffix` is that of its shards."""

    suffix: str

    def read(self, path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk[Rows]]:
        """Read a file shard by shard. A file without rows gives one chunk without rows.

        Parameters
        ----------
        path
            The input.
        column
            Name of the column that holds the texts; articles have none.
        added
            Names of the columns that prediction adds.

        Raises
        ------
        UserError
            The file cannot be read, lacks the column, or already has one that would be added.
        """
        ...

    def write(self, path: Path, rows: Rows, columns: Columns) -> None:
        """Write the rows of a chunk with the added columns."""
        ...


class Parquet:
    """Parquet files; the input's columns keep their types."""

    suffix = ".parquet"

    def read(self, path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk[pa.Table]]:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise UserError(f"{path}: parquet needs pyarrow: pip install pyarrow") from None
        try:
            # Buffers that are filled in advance would be kept until the file is closed.
            file = pq.ParquetFile(path, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path} cannot be read as parquet: {error}") from None
        schema, total = file.schema_arrow, file.metadata.num_rows
        _check_columns(path, schema.names, column, added)
        batches = file.iter_batches(SHARD) if total else iter([schema.empty_table()])
        read = 0
        for batch in batches:
            rows = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch], schema)
            texts = rows[column].to_pylist()
            read += len(texts)
            yield Chunk(rows, texts, [_text_error(text) for text in texts], read / max(1, total))

    def write(self, path: Path, rows: pa.Table, columns: Columns) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for name, values in columns.items():
            if name == "windows":
                kind = pa.int64()
            elif name == "confidence" or name.startswith("score_"):
                kind = pa.float64()
            elif name == "sure":
                kind = pa.bool_()
            else:
                kind = pa.string()
            rows = rows.append_column(name, pa.array(values, kind))
        pq.write_table(rows, path)


class Csv:
    """CSV files with a header; cells stay as they are written. The first of the rows is the header.

    A row with too few or too many cells has an error that shows the cells; the row is filled up or
    cut to the width of the header.
    """

    suffix = ".csv"

    def read(
        self, path: Path, column: str, added: Sequence[str]
    ) -> Iterator[Chunk[list[list[str]]]]:
        size = max(1, path.stat().st_size)
        csv.field_size_limit(sys.maxsize)
        # Bytes that are not UTF-8 become surrogates, so that one bad row does not end the run.
        decoding: Any = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
        with path.open("rb") as raw, io.TextIOWrapper(raw, **decoding) as file:
            reader = csv.reader(file)
            header = next(reader, [])
            _check_columns(path, header, column, added)
            width, place = len(header), header.index(column)
            for rows in _batches(row for row in reader if row):  # an empty line is not a row
                errors = [_cells_error(row, width) for row in rows]
                cells = [_fitted(row, width) for row in rows]
                texts = [
                    None if error else row[place] for row, error in zip(cells, errors, strict=True)
                ]
                yield Chunk([header, *cells], texts, errors, raw.tell() / size)

    def write(self, path: Path, rows: list[list[str]], columns: Columns) -> None:
        header, *cells = rows
        with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*header, *columns])
            added = zip(*columns.values(), strict=True)
            writer.writerows([*row, *values] for row, values in zip(cells, added, strict=True))


class JsonLines:
    """Files with one JSON object per line; empty lines are not rows.

    Any other line is a row with an error; the line is kept under the key ``line``.
    """

    suffix = ".jsonl"

    def read(
        self, path: Path, column: str, added: Sequence[str]
    ) -> Iterator[Chunk[list[dict[str, Any]]]]:
        size = max(1, path.stat().st_size)
        with path.open("rb") as file:
            numbered = ((n, line) for n, line in enumerate(file, start=1) if line.strip())
            for lines in _batches(numbered):
                rows: list[dict[str, Any]] = []
                errors: list[str | None] = []
                for number, line in lines:
                    row, error = _json_object(number, line.rstrip(b"\r\n"))
                    if error is None:
                        _check_taken(path, list(row), added)
                        error = _text_error(row.get(column))
                    rows.append(row)
                    errors.append(error)
                texts = [
                    None if error else row[column] for row, error in zip(rows, errors, strict=True)
                ]
                yield Chunk(rows, texts, errors, file.tell() / size)

    def write(self, path: Path, rows: list[dict[str, Any]], columns: Columns) -> None:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for row, values in zip(rows, zip(*columns.values(), strict=True), strict=True):
                line = row | dict(zip(columns, values, strict=True))
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


class Articles(JsonLines):
    """Articles of any format, written as JSON lines, one per paragraph.

    An article that cannot be read is one row with an error.
    """

    def read(
        self, path: Path, column: str, added: Sequence[str]
    ) -> Iterator[Chunk[list[dict[str, Any]]]]:
        try:
            article = read_file(path)
            paragraphs = [asdict(paragraph) for paragraph in paragraphs_of(article)]
        except UserError as error:
            yield Chunk([{"article": path.stem, "text": None}], [None], [str(error)], 1.0)
            return
        skipped = skipped_of(article)
        for rows in _batches(paragraphs):
            texts = [row["text"] for row in rows]
            yield Chunk(rows, texts, [None] * len(rows), 1.0, skipped)
            skipped = []


# Suffix of an input → its format.
FORMATS: dict[str, Format[Any]] = {
    ".csv": Csv(),
    ".jsonl": JsonLines(),
    ".parquet": Parquet(),
    **dict.fromkeys(SUFFIXES, Articles()),
}


def format_of(path: Path) -> Format[Any]:
    """The format of an input; a file with an unknown suffix is taken for an article.

    Examples
    --------
    >>> format_of(Path("in.csv")).suffix, format_of(Path("notes.asc")).suffix
    ('.csv', '.jsonl')
    """
    return FORMATS.get(path.suffix.lower()) or FORMATS[".txt"]


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut items into lists of `SHARD`; no items give one empty list, so that a shard is written.

    With `SHARD` 2: a, b, c → [a, b], [c].
    """
    items = iter(items)
    yield list(islice(items, SHARD))
    while batch := list(islice(items, SHARD)):
        yield batch


def _check_columns(path: Path, names: Sequence[str], column: str, added: Sequence[str]) -> None:
    if column not in names:
        present = ", ".join(names) or "none"
        raise UserError(f"{path} has no column {column} (it has: {present}); name one with --text")
    _check_taken(path, names, added)


def _check_taken(path: Path, names: Sequence[str], added: Sequence[str]) -> None:
    """Refuse a column that prediction would add, and two columns with one name."""
    for name in names:
        if name in added:
            raise UserError(f"{path} has a column {name}, which prediction would add; rename it")
    repeated = {name for name in names if list(names).count(name) > 1}
    if repeated:
        raise UserError(f"{path} has two columns {min(repeated)}; rename one")


def _text_error(text: object) -> str | None:
    """What is wrong with a text: ``7`` → "the text is int, not a string"; None for nothing."""
    if text is None:
        return "no text"
    if not isinstance(text, str):
        return f"the text is {type(text).__name__}, not a string"
    return None


def _cells_error(cells: Sequence[str], width: int) -> str | None:
    """What is wrong with a row of a CSV file that has `width` columns; None for nothing."""
    if len(cells) != width:
        return f"{len(cells)} cells under {width} columns: {json.dumps(cells)}"
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return None


def _fitted(cells: list[str], width: int) -> list[str]:
    """A row of just `width` cells: ``["1"]``, 2 → ``["1", ""]``."""
    return cells if len(cells) == width else (cells + [""] * width)[:width]


def _json_object(number: int, line: bytes) -> tuple[dict[str, Any], str | None]:
    """The object of a line and None, or the line as it is and what is wrong with it.

    ``[1]`` on line 6 → ``{"line": [1]}``, "line 6: not a JSON object".
    """
    try:
        row = json.loads(line)
    except ValueError as error:  # bytes that are not UTF-8, too
        return {"line": line.decode(errors="replace")}, f"line {number}: not JSON ({error})"
    if not isinstance(row, dict):
        return {"line": row}, f"line {number}: not a JSON object"
    return row, None
