"""The inputs of bulk prediction: each format is read, and written with further columns, in shards.

A format knows rows, texts and what is wrong with a row. Articles know what stands around their
paragraphs, and of tables some columns tell (`with_context`).
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

from paratopic.project.errors import UserError
from paratopic.project.passages import table_passages
from paratopic.project.source_settings import CONTEXT_COLUMNS
from paratopic.reading.article import (
    Paragraph,
    Skipped,
    article_passages,
    paragraphs_of,
    skipped_of,
)
from paratopic.reading.article_files import SUFFIXES, read_file
from paratopic.reading.metadata import article_fields, metadata_sheets
from paratopic.tables.sheets import LineFeeds, csv_encoding, csv_table, inert_value, without_title
from paratopic.tables.workbook import read_values, shown

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

# Columns of a table with the place of its texts in a group, of which rows of the same shard are
# read. Training reads the same columns as these and `CONTEXT_COLUMNS`.
GROUP, POSITION = "group", "position"
# Rows of a shard, at most.
SHARD = 5_000

# Rows in the form that a format has them in, which it alone reads.
Rows: TypeAlias = Any
# Name of a column → its values, one per row.
Columns = dict[str, list[Any]]
# Name of a column → the type of its values: str, int, float or bool.
Types = Mapping[str, type]

Item = TypeVar("Item")


@dataclass(frozen=True)
class Chunk:
    """The rows of one shard.

    Parameters
    ----------
    texts, errors
        The text of each row, and what is wrong with it; None for a row that can be answered.
    share
        Share of the input that has been read up to the end of these rows, 0 to 1.
    skipped
        Parts of the input that are no rows, such as the byline of an article; none by default.
    """

    rows: Rows
    texts: Sequence[Any]
    errors: Sequence[str | None]
    share: float
    skipped: Sequence[Skipped] = ()


class BulkFormat(Protocol):
    """A file format of bulk prediction; `suffix` is that of its shards."""

    suffix: str

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        """Read a file shard by shard. A file without rows gives one chunk without rows.

        A `UserError` says that the file cannot be read, lacks the column of the texts, or already
        has one that prediction would add.
        """

    def check(self, path: Path, column: str, added: Collection[str]) -> None:
        """Refuse an input that cannot be read to its end, before anything is predicted."""
        for _ in self.read(path, column, added):
            pass

    def write(self, path: Path, rows: Rows, columns: Columns, types: Types) -> None:
        """Write the rows of a chunk with further columns, in formats with types of these types."""

    def columns(self, rows: Rows, typed: bool = False) -> Columns:
        """The rows' own columns, as texts, or with numbers and dates where the file has them."""


class Parquet(BulkFormat):
    """Parquet files; the input's columns keep their types. A damaged file is refused."""

    suffix = ".parquet"

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        require_pyarrow(path)
        import pyarrow as pa
        import pyarrow.parquet as pq

        read = 0
        try:
            # Buffers that are filled in advance would be kept until the file is closed.
            file = pq.ParquetFile(path, pre_buffer=False, page_checksum_verification=True)
            schema, total = file.schema_arrow, max(1, file.metadata.num_rows)
            _check_columns(path, schema.names, added, column)
            if not file.metadata.num_rows:
                yield Chunk(schema.empty_table(), [], [], 1.0)
            for batch in file.iter_batches(SHARD):
                batch.validate(full=True)  # some damage would end the process that writes the rows
                read += batch.num_rows
                texts = batch[column].to_pylist()
                errors = [_text_error(text) for text in texts]
                yield Chunk(pa.Table.from_batches([batch], schema), texts, errors, read / total)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{path} is not a whole parquet file: after {read:,} rows it cannot be read "
                f"({error}). Write it again, or leave it out."
            ) from None

    def write(self, path: Path, rows: pa.Table, columns: Columns, types: Types) -> None:
        import pyarrow.parquet as pq

        pq.write_table(with_columns(rows, columns, types), path)

    def columns(self, rows: pa.Table, typed: bool = False) -> Columns:
        times = "timestamp[us]" if typed else "string"
        return {name: _values(rows[name], times) for name in rows.schema.names}


class Cells(NamedTuple):
    """Rows of a CSV file, or of a workbook with texts, numbers, booleans, dates and times.

    Each row has as many cells as the header.
    """

    header: list[str]
    rows: list[list[object]]
    separator: str = ","


class Csv(BulkFormat):
    """CSV files with a header; cells stay as they are written, and so does what separates them.

    A row with too few or too many cells has an error that shows the cells; the row is filled up or
    cut to the width of the header.
    """

    suffix = ".csv"

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
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
                writer.writerow(map(inert_value, [*map(shown, row), *values]))

    def columns(self, rows: Cells, typed: bool = False) -> Columns:
        cells = {name: [row[n] for row in rows.rows] for n, name in enumerate(rows.header)}
        return cells if typed else {name: [*map(shown, cells[name])] for name in cells}


class Xlsx(Csv):
    """The first sheets of workbooks, written as CSV; cells are read as a spreadsheet shows them.

    A workbook that cannot be read is one row with an error.
    """

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        try:
            (_, names), *rows = without_title(read_values(path), column)
        except UserError as error:
            yield Chunk(Cells([column], [[None]]), [None], [str(error)], 1.0)
            return
        header = list(map(shown, names))
        _check_columns(path, header, added, column)
        done = 0
        for batch in batches(cells for _, cells in rows):
            done += len(batch)
            yield _cells_chunk(header, batch, ",", column, done / max(1, len(rows)))


class JsonLines(BulkFormat):
    """Files with one JSON object per line; empty lines are not rows. Rows are objects as JSON.

    Any other line is a row with an error; the line is kept under the key ``line``.
    """

    suffix = ".jsonl"

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        size = max(1, path.stat().st_size)
        with path.open("rb") as file:
            numbered = ((n, line) for n, line in enumerate(file, start=1) if line.strip())
            for lines in batches(numbered):
                objects = [_json_object(n, line.rstrip(b"\r\n"), added) for n, line in lines]
                texts = [values.get(column) for _, values, _ in objects]
                errors = [
                    error or _text_error(text)
                    for (_, _, error), text in zip(objects, texts, strict=True)
                ]
                yield Chunk([row for row, _, _ in objects], texts, errors, file.tell() / size)

    def check(self, path: Path, column: str, added: Collection[str]) -> None:
        """Each line may have keys of its own: of the first, a mistake is that of the file."""
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
        values = [json.loads(row) for row in rows]
        keys = dict.fromkeys(key for row in values for key in row)
        return {key: [row.get(key) for row in values] for key in keys}


class Articles(JsonLines):
    """Articles of any format, written as JSON lines, one per paragraph.

    Rows have the fields of their article, too, but for those whose names other columns have. An
    article that cannot be read is one row with an error.
    """

    def check(self, path: Path, column: str, added: Collection[str]) -> None:
        """Whatever is wrong with an article is an error of its row, but not with metadata.csv."""
        article_fields(path, {})

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk]:
        try:
            article = read_file(path)
            paragraphs = paragraphs_of(article)
        except UserError as error:
            row = json.dumps({"article": path.stem, "text": None}, ensure_ascii=False)
            yield Chunk([row], [None], [str(error)], 1.0)
            return
        taken = {*added, *(field.name for field in fields(Paragraph))}
        fields_of = article_fields(path, article.fields).items()
        own = {name: field.value for name, field in fields_of if name not in taken}
        skipped = skipped_of(article)
        for batch in batches(zip(paragraphs, article_passages(paragraphs), strict=True)):
            rows = [
                json.dumps(asdict(paragraph) | own, ensure_ascii=False) for paragraph, _ in batch
            ]
            texts = [passage for _, passage in batch]
            yield Chunk(rows, texts, [None] * len(rows), 1.0, skipped)
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
    """The format of an input; a file with an unknown suffix is taken for an article.

    >>> format_of(Path("in.csv")).suffix, format_of(Path("notes.asc")).suffix
    ('.csv', '.jsonl')
    """
    return FORMATS.get(path.suffix.lower()) or FORMATS[".txt"]


def list_skipped(source: str, skipped: Iterable[Skipped]) -> None:
    """Note the parts of an article that are no paragraphs, and why, on stderr."""
    for part in skipped:
        log.warning("%s: skipped (%s): %s", source, part.reason, part.text)


def files_read(inputs: Sequence[Path]) -> list[Path]:
    """The inputs, and the files of metadata beside articles."""
    articles = [path for path in inputs if isinstance(format_of(path), Articles)]
    return [*inputs, *filter(Path.exists, sorted(metadata_sheets(articles)))]


def with_context(chunk: Chunk, columns: Columns) -> Chunk:
    """Add what the rows' own columns tell to texts of a chunk that have nothing around them yet."""
    if not {*CONTEXT_COLUMNS, POSITION} & columns.keys():
        return chunk
    texts = [text if isinstance(text, str) else None for text in chunk.texts]
    cells = {
        name: columns.get(name, [None] * len(texts)) for name in (GROUP, POSITION, *CONTEXT_COLUMNS)
    }
    groups, places = cells[GROUP], list(map(_place, cells[GROUP], cells[POSITION]))
    beside = [
        [cell if isinstance(cell, str) else "" for cell in cells[name]] for name in CONTEXT_COLUMNS
    ]
    rows = [row for row, text in enumerate(texts) if text is not None]
    passages = table_passages(texts, list(map(str, groups)), places, beside, rows)
    read = dict(zip(rows, passages, strict=True))
    return replace(chunk, texts=[read.get(row, text) for row, text in enumerate(chunk.texts)])


def _place(group: object, position: Any) -> float | None:
    """Place of a row in its group; None for a row that has none, and so stands alone."""
    if group is None or group != group or not str(group).strip():  # NaN is not itself
        return None
    try:
        place = float(position)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(place) else place


def require_pyarrow(path: Path) -> None:
    """Refuse a parquet file by a `UserError` where pyarrow is not installed."""
    try:
        import pyarrow  # noqa: F401  # whether it is installed is all that is asked
    except ImportError:
        raise UserError(f"{path}: parquet needs pyarrow: pip install pyarrow") from None


def with_columns(rows: pa.Table, columns: Columns, types: Types) -> pa.Table:
    """Add columns of these types to rows of parquet, even where they have no value."""
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    for name, values in columns.items():
        rows = rows.append_column(name, pa.array(values, kinds[types[name]]))
    return rows


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut items into lists of `SHARD`; no items give one empty list, so that a shard is written."""
    items = iter(items)
    yield list(islice(items, SHARD))
    while batch := list(islice(items, SHARD)):
        yield batch


def _check_columns(
    path: Path, names: Sequence[str], added: Collection[str], column: str | None = None
) -> None:
    """Refuse a table without the column, with one that prediction would add, or two of one name."""
    if column is not None and column not in names:
        present = ", ".join(names) or "none"
        raise UserError(f"{path} has no column {column} (it has: {present}); name one with --text")
    for name in names:
        if name in added:
            raise UserError(f"{path} has a column {name}, which prediction would add; rename it")
        if names.count(name) > 1:
            what = (
                f"two columns {name}; rename" if name else "columns without a name; name or delete"
            )
            raise UserError(f"{path} has {what} one")


def _values(column: pa.ChunkedArray, times: str) -> list[object]:
    """The values of a column: timestamps, of whose nanoseconds Python has no type, as another type.

    Those with a zone become texts in any case.
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
    """What is wrong with a text: ``7`` → "the text is int, not a string"; None for nothing."""
    if text is None or isinstance(text, str):
        return "no text" if text is None else None
    return f"the text is {type(text).__name__}, not a string"


def _cells_chunk(
    header: list[str], rows: Iterable[Sequence[object]], separator: str, column: str, share: float
) -> Chunk:
    """The rows of one shard of a CSV file or a workbook."""
    width, place = len(header), header.index(column)
    errors = [_cells_error(list(map(shown, row)), width) for row in rows]
    cells = [[*row, *[""] * width][:width] for row in rows]  # too few or too many have an error
    texts = [None if error else shown(row[place]) for row, error in zip(cells, errors, strict=True)]
    return Chunk(Cells(header, cells, separator), texts, errors, share)


def _cells_error(cells: Sequence[str], width: int) -> str | None:
    """What is wrong with a row under a header that has `width` columns; None for nothing."""
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
    """The object of a line, as it is written and as values, and what is wrong; None for nothing.

    ``[1]`` on line 6 → ``{"line": [1]}``, as JSON and as values, "line 6: not a JSON object".
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
    except (ValueError, RecursionError) as problem:  # bytes that are not UTF-8, too
        values, error = {"line": line.decode(errors="replace")}, f"not JSON ({problem})"
        row = json.dumps(values, ensure_ascii=False)
    try:
        row.encode()
    except UnicodeEncodeError:  # half of an emoji, left where a text was cut off
        error = "half of a surrogate pair, which is no character"
        row = row.encode(errors="replace").decode()
    if error:
        return row, values, f"line {number}: {error}"
    # As they are written, numbers keep all their digits. A lone \r would end a line for some.
    return written if values and "\r" not in written else row, values, None
