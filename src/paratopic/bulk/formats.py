"""File formats of bulk prediction: reading rows in shards, and writing them with added columns."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

from paratopic.project.errors import UserError, closest_word_hint
from paratopic.project.passages import table_passages
from paratopic.project.source_settings import CONTEXT_COLUMNS
from paratopic.reading.article import Paragraph, Skipped, paragraphs_of, passages_of, skipped_of
from paratopic.reading.article_files import SUFFIXES, metadata_sheets, read_file
from paratopic.reading.metadata import fields_of
from paratopic.tables.sheets import LineFeeds, csv_encoding, csv_table, inert_value, pad_rows
from paratopic.tables.workbook import display_text, read_values

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

# Columns of a table with the group of a text and its position in the group. Neighbours are found
# only within a shard. Training reads the same columns, and `CONTEXT_COLUMNS`.
GROUP, POSITION = "group", "position"
# Maximum number of rows of a shard.
SHARD = 5_000

# Rows in the representation of a format; only the format reads them.
Rows: TypeAlias = Any
# Name of a column → its values, one per row.
Columns = dict[str, list[Any]]
# Name of a column → the type of its values: str, int, float or bool.
Types = Mapping[str, type]

Item = TypeVar("Item")


@dataclass(frozen=True)
class Chunk:
    """The rows of one shard, with the text and the error message of each row.

    The error is None for a row that can be predicted. `share` of the input, 0 to 1, has been read
    with these rows. `skipped` has parts that are no rows, such as bylines; by default none.
    """

    rows: Rows
    texts: Sequence[Any]
    errors: Sequence[str | None]
    share: float
    skipped: Sequence[Skipped] = ()


class BulkFormat(Protocol):
    """A file format of bulk prediction; its shards have the suffix `suffix`."""

    suffix: str

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        """Yield the shards of a file, or one chunk without rows if the file has none.

        A `UserError` reports a file that cannot be read, lacks `column`, which has the texts, or
        has one of the columns that prediction would add, `added`.
        """

    def check(self, path: Path, column: str, added: Collection[str]) -> None:
        """Refuse an input that cannot be read to its end, before anything is predicted."""
        for _ in self.read(path, column, added):
            pass

    def write(self, path: Path, rows: Rows, columns: Columns, types: Types) -> None:
        """Write the rows of a chunk, then the added columns; `types` matter only in parquet."""

    def columns(self, rows: Rows, typed: bool = False) -> Columns:
        """Columns of the input, as texts, or with the numbers and dates of the file if `typed`."""


class Parquet(BulkFormat):
    """Parquet files; the input's columns keep their types. A damaged file is refused."""

    suffix = ".parquet"

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        """Yield all rows in shards; a text that is null or no string has a message in `errors`.

        A `UserError` reports a damaged file, and one without `column` or with a column in `added`.
        """
        require_pyarrow(path)
        import pyarrow as pa
        import pyarrow.parquet as pq

        n_read = 0
        try:
            # Pre-filled buffers would stay in memory until the file is closed.
            file = pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
            schema, total = file.schema_arrow, max(1, file.metadata.num_rows)
            _check_columns(path, schema.names, added, column)
            if not file.metadata.num_rows:
                yield Chunk(schema.empty_table(), [], [], 1.0)
            for batch in file.iter_batches(SHARD):
                batch.validate(full=True)  # damaged rows could crash the process when written
                n_read += batch.num_rows
                texts = batch[column].to_pylist()
                errors = [_text_error(text) for text in texts]
                yield Chunk(pa.Table.from_batches([batch], schema), texts, errors, n_read / total)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{path} is not a whole parquet file: after {n_read:,} rows it cannot be read "
                f"({error}). Write it again, or leave it out."
            ) from None

    def write(self, path: Path, rows: pa.Table, columns: Columns, types: Types) -> None:
        import pyarrow.parquet as pq

        pq.write_table(with_columns(rows, columns, types), path)

    def columns(self, rows: pa.Table, typed: bool = False) -> Columns:
        times = "timestamp[us]" if typed else "string"
        return {name: _values(rows[name], times) for name in rows.schema.names}


class Cells(NamedTuple):
    """Texts of CSV, or a workbook's texts, numbers and dates; rows have the header's length."""

    header: list[str]
    rows: list[list[object]]
    separator: str = ","


class Csv(BulkFormat):
    """CSV files with a header; cells and the separator stay as they are in the file."""

    suffix = ".csv"

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        """Yield all rows in shards; faulty ones have the text None and a message in `errors`.

        They have too few or too many cells, or bytes not in UTF-8. A `UserError` reports quotes
        that do not match, or a header without `column` or with a column in `added`.
        """
        size = max(1, path.stat().st_size)
        with path.open("rb") as raw, io.TextIOWrapper(raw, *csv_encoding(raw), newline="") as file:
            separator, lines = csv_table(file, path, column)
            header = next(lines, [])
            _check_columns(path, header, added, column)
            for rows in batches(lines):
                yield _cells_chunk(header, rows, separator, column, raw.tell() / size)

    def write(self, path: Path, rows: Cells, columns: Columns, types: Types) -> None:
        with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            writer = csv.writer(LineFeeds(file), delimiter=rows.separator, lineterminator="\r\n")
            writer.writerow(map(inert_value, [*rows.header, *columns]))
            added = zip(*columns.values(), strict=True)
            for row, values in zip(rows.rows, added, strict=True):
                writer.writerow(map(inert_value, [*map(display_text, row), *values]))

    def columns(self, rows: Cells, typed: bool = False) -> Columns:
        columns: Columns = {}
        for n, name in enumerate(rows.header):
            cells = [row[n] for row in rows.rows]
            columns[name] = cells if typed else list(map(display_text, cells))
        return columns


class Xlsx(Csv):
    """First sheets of workbooks, written as CSV; cells are read as a spreadsheet displays them."""

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        """Yield all rows in shards; a row with more cells than the header is faulty.

        It has the text None and a message in `errors`. A workbook that cannot be read gives one
        such row. A `UserError` reports a header without `column` or with a column in `added`.
        """
        try:
            (_, names), *rows = pad_rows(read_values(path), None, column)
        except UserError as error:
            yield Chunk(Cells([column], [[None]]), [None], [str(error)], 1.0)
            return
        header = list(map(display_text, names))
        _check_columns(path, header, added, column)
        done = 0
        for batch in batches(cells for _, cells in rows):
            done += len(batch)
            yield _cells_chunk(header, batch, ",", column, done / max(1, len(rows)))


class JsonLines(BulkFormat):
    """Files with one JSON object per line; empty lines are skipped. Rows are JSON strings."""

    suffix = ".jsonl"

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        """Yield all lines in shards, except empty ones; faulty ones have a message in `errors`.

        They have no JSON object, no text in `column`, or a key in `added`. None raises an error.
        """
        size = max(1, path.stat().st_size)
        with path.open("rb") as file:
            numbered = ((n, line) for n, line in enumerate(file, start=1) if line.strip())
            for lines in batches(numbered):
                objects = [_json_object(n, line.rstrip(b"\r\n"), added) for n, line in lines]
                texts = [values.get(column) for _, values, _ in objects]
                errors = [error or _text_error(values.get(column)) for _, values, error in objects]
                yield Chunk([row for row, _, _ in objects], texts, errors, file.tell() / size)

    def check(self, path: Path, column: str, added: Collection[str]) -> None:
        """Refuse an added column in the first line; in other lines, it is an error of the row."""
        with path.open("rb") as file:
            first = next((line for line in file if line.strip()), b"")
        _, values, _ = _json_object(1, first.rstrip(b"\r\n"))
        _check_columns(path, list(values), added)

    def write(self, path: Path, rows: list[str], columns: Columns, types: Types) -> None:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for row, values in zip(rows, zip(*columns.values(), strict=True), strict=True):
                added = json.dumps(dict(zip(columns, values, strict=True)), ensure_ascii=False)
                separator = "" if row == "{}" else ", "
                file.write(f"{row[:-1]}{separator}{added[1:]}\n")

    def columns(self, rows: list[str], typed: bool = False) -> Columns:
        objects = [json.loads(row) for row in rows]
        columns: Columns = {}
        for key in dict.fromkeys(chain.from_iterable(objects)):
            columns[key] = [values.get(key) for values in objects]
        return columns


class Articles(JsonLines):
    """Articles of any format, written as JSON lines with one paragraph per line."""

    def check(self, path: Path, column: str, added: Collection[str]) -> None:
        """Refuse a damaged metadata.csv. A damaged article gives a row with an error instead."""
        fields_of(path, {})

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        """Yield the paragraphs of one article in shards, as passages; `column` has no effect.

        Rows also have the fields of the article whose name is no other column nor in `added`.
        An article that cannot be read gives one row with the text None and a message in `errors`.
        """
        try:
            article = read_file(path)
            paragraphs = paragraphs_of(article)
        except UserError as error:
            row = json.dumps({"article": path.stem, "text": None}, ensure_ascii=False)
            yield Chunk([row], [None], [str(error)], 1.0)
            return
        reserved = {*added, *(field.name for field in fields(Paragraph))}
        own_fields = fields_of(path, article.fields).items()
        metadata = {name: field.value for name, field in own_fields if name not in reserved}
        skipped = skipped_of(article)
        for batch in batches(zip(paragraphs, passages_of(paragraphs), strict=True)):
            rows = [json.dumps(asdict(row) | metadata, ensure_ascii=False) for row, _ in batch]
            yield Chunk(rows, [passage for _, passage in batch], [None] * len(rows), 1.0, skipped)
            skipped = []


# Suffix of an input → its format.
FORMATS: dict[str, BulkFormat] = {
    ".csv": Csv(),
    ".xlsx": Xlsx(),
    ".jsonl": JsonLines(),
    ".parquet": Parquet(),
    **dict.fromkeys(SUFFIXES, Articles()),
}


def format_of(path: Path) -> BulkFormat:
    """Format of an input; a file with an unknown suffix is read as an article.

    >>> format_of(Path("in.csv")).suffix, format_of(Path("notes.asc")).suffix
    ('.csv', '.jsonl')
    """
    return FORMATS.get(path.suffix.lower()) or FORMATS[".txt"]


def log_skipped(source: str, skipped: Iterable[Skipped]) -> None:
    """Log the parts of an article that are no paragraphs, with the reasons, on stderr."""
    for part in skipped:
        log.warning("%s: skipped (%s): %s", source, part.reason, part.text)


def input_files(inputs: Sequence[Path]) -> list[Path]:
    """List the inputs, and the metadata files of articles."""
    articles = [path for path in inputs if isinstance(format_of(path), Articles)]
    return [*inputs, *filter(Path.exists, sorted(metadata_sheets(articles)))]


def with_context(chunk: Chunk, columns: Columns) -> Chunk:
    """Replace the texts of a table with `Passage` objects, whose context comes from `columns`.

    It is in `CONTEXT_COLUMNS`, and in neighbours in the chunk by `GROUP` and `POSITION`. Texts that
    are no str stay. Without a column of context or position, the result is the chunk itself.
    """
    if not {*CONTEXT_COLUMNS, POSITION} & columns.keys():
        return chunk
    texts = [text if isinstance(text, str) else None for text in chunk.texts]
    empty = [None] * len(texts)
    groups = columns.get(GROUP, empty)
    places = list(map(_place, groups, columns.get(POSITION, empty)))
    context = []
    for name in CONTEXT_COLUMNS:
        cells = columns.get(name, empty)
        context.append([cell if isinstance(cell, str) else "" for cell in cells])
    rows = [row for row, text in enumerate(texts) if text is not None]
    passages = table_passages(texts, list(map(str, groups)), places, context, rows)
    row_passages = dict(zip(rows, passages, strict=True))
    return replace(chunk, texts=[row_passages.get(n, text) for n, text in enumerate(chunk.texts)])


def _place(group: object, position: Any) -> float | None:
    """The position as a number; None if it is not one, or if the group is empty or NaN."""
    if group is None or group != group or not str(group).strip():  # NaN is not itself
        return None
    try:
        place = float(position)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(place) else place


def require_pyarrow(path: Path) -> None:
    """Raise a `UserError` for a parquet file if pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401  # the import only tests the installation
    except ImportError:
        raise UserError(f"{path}: parquet needs pyarrow: pip install pyarrow") from None


def with_columns(rows: pa.Table, columns: Columns, types: Types) -> pa.Table:
    """Append columns to rows of parquet; each has the type in `types`, even if all are None."""
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    for name, values in columns.items():
        rows = rows.append_column(name, pa.array(values, kinds[types[name]]))
    return rows


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Split items into lists of `SHARD` items. Without items, yield an empty list for a shard."""
    items = iter(items)
    yield list(islice(items, SHARD))
    while batch := list(islice(items, SHARD)):
        yield batch


def _check_columns(
    path: Path, names: Sequence[str], added: Collection[str], column: str | None = None
) -> None:
    """Raise a `UserError` if `names` lack `column` (if any), have an added one, or repeat one."""
    if column is not None and column not in names:
        present, hint = ", ".join(names) or "none", closest_word_hint(column, names)
        raise UserError(
            f"{path} has no column {column}{hint}; it has: {present}. Name one with --text"
        )
    for name in names:
        if name in added:
            raise UserError(f"{path} has a column {name}, which prediction would add; rename it")
        if names.count(name) > 1 and name:
            raise UserError(f"{path} has two columns {name}; rename one")
        if names.count(name) > 1:
            raise UserError(f"{path} has columns without a name; name or delete one")


def _values(column: pa.ChunkedArray, times: str) -> list[object]:
    """List the values of a column; timestamps are cast to `times`, "string" or "timestamp[us]".

    Those with a zone become texts in any case. A value that Python cannot hold is a `UserError`.
    """
    import pyarrow as pa

    try:
        if pa.types.is_timestamp(column.type):
            column = column.cast("string" if column.type.tz else times, safe=False)
        return list(column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise UserError(
            f"a column of times cannot be read ({error}); write the times as texts"
        ) from None


def _text_error(text: object) -> str | None:
    """Error of a row with this text: ``7`` → "the text is int, not a string"; None if valid."""
    if text is None or isinstance(text, str):
        return "no text" if text is None else None
    return f"the text is {type(text).__name__}, not a string"


def _cells_chunk(
    header: list[str], rows: Iterable[Sequence[object]], separator: str, column: str, share: float
) -> Chunk:
    """Chunk of the rows of a CSV file or a workbook, padded or cut to the width of the header.

    A row that is padded, cut or not UTF-8 stays, with the text None and a message in `errors`.
    `separator` is kept for writing, and `share` is as in `Chunk`.
    """
    width, place = len(header), header.index(column)
    errors = [_cells_error(list(map(display_text, row)), width) for row in rows]
    padded = ([*row, *[""] * width] for row in rows)
    cells = [row[:width] for row in padded]
    checked = zip(cells, errors, strict=True)
    texts = [None if error else display_text(row[place]) for row, error in checked]
    return Chunk(Cells(header, cells, separator), texts, errors, share)


def _cells_error(cells: Sequence[str], width: int) -> str | None:
    """Error of a row without `width` cells, or with surrogates (bytes not in UTF-8); else None."""
    if len(cells) != width:
        return f"{len(cells)} cells under {width} columns: {json.dumps(cells)}"
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "not UTF-8; save the table as CSV in UTF-8, or as .xlsx"
    return None


def _json_object(
    number: int, line: bytes, added: Collection[str] = ()
) -> tuple[str, dict[str, object], str | None]:
    """Read the object of a line: as JSON, as values, and the error of its row, None if valid.

    A line that is no object, or has a key in `added`, is wrapped: ``[1]`` on line 6 gives
    ``{"line": [1]}`` as JSON and as values, and "line 6: not a JSON object". If it is no JSON, its
    text is wrapped. Half of a surrogate pair, which is ? in the JSON, is an error, too.
    """
    try:
        written = line.decode(json.detect_encoding(line)).strip()
        values, error = json.loads(written), None
        if not isinstance(values, dict):
            error = "not a JSON object"
        elif taken := [name for name in added if name in values]:
            error = f"has a key {taken[0]}, which prediction would add; rename it"
        values = {"line": values} if error else values
        row = json.dumps(values, ensure_ascii=False)
    except (ValueError, RecursionError) as problem:  # bytes that are not UTF-8 raise a ValueError
        values, error = {"line": line.decode(errors="replace")}, f"not JSON ({problem})"
        row = json.dumps(values, ensure_ascii=False)
    try:
        row.encode()
    except UnicodeEncodeError:  # a text was cut off within an emoji
        error = "half of a surrogate pair, which is no character"
        row = row.encode(errors="replace").decode()
    if error:
        return row, values, f"line {number}: {error}"
    # The written line keeps all digits of numbers. Some programs read a single \r as a line end.
    return written if values and "\r" not in written else row, values, None
