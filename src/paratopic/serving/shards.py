"""Tables and articles read and written a shard at a time, each in its own format."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from paratopic.project.errors import UserError
from paratopic.reading.article import Skipped, paragraphs_of, skipped_of
from paratopic.reading.files import SUFFIXES, read_file

SHARD = 5_000

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Chunk:
    """The rows of one shard.

    Parameters
    ----------
    texts
        One a row; None where there is none.
    errors
        What is wrong with each row; None for nothing.
    write
        Writes the rows and the columns that are added to them.
    share
        How much of the input was read when these rows were, 0 to 1.
    skipped
        What of the input is no row, told beside its first shard.
    """

    texts: Sequence[str | None]
    errors: Sequence[str | None]
    write: Callable[[Path, Columns], None]
    share: float
    skipped: Sequence[Skipped] = ()


def _wrong(text: object) -> str | None:
    """What is wrong with a text, if anything."""
    if text is None:
        return "no text"
    if not isinstance(text, str):
        return f"the text is {type(text).__name__}, not a string"
    return None


def _check(path: Path, names: Sequence[str], column: str, added: Sequence[str]) -> None:
    if column not in names:
        told = ", ".join(names) or "none"
        raise UserError(f"{path} has no column {column} (it has: {told}); name one with --text")
    _refuse_taken(path, names, added)


def _refuse_taken(path: Path, names: Sequence[str], added: Sequence[str]) -> None:
    for name in names:
        if name in added:
            raise UserError(f"{path} has a column {name}, which would be added; rename it")
    twice = {name for name in names if list(names).count(name) > 1}
    if twice:
        raise UserError(f"{path} has two columns {min(twice)}; rename one")


def _parquet(path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk]:
    """Rows of a parquet file; columns keep their types."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UserError(f"{path}: parquet needs pyarrow: pip install pyarrow") from None
    try:
        # Without buffers that are filled ahead: they are kept until the file is closed.
        file = pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as parquet: {error}") from None
    schema = file.schema_arrow
    _check(path, schema.names, column, added)
    kinds = {added[0]: pa.string(), "windows": pa.int64(), "error": pa.string()}

    def writer(rows: pa.Table) -> Callable[[Path, Columns], None]:
        def write(draft: Path, answered: Columns) -> None:
            table = rows
            for name, values in answered.items():
                table = table.append_column(name, pa.array(values, kinds.get(name, pa.float64())))
            pq.write_table(table, draft)

        return write

    read, total = 0, file.metadata.num_rows
    batches = file.iter_batches(SHARD) if total else iter([schema.empty_table()])
    for batch in batches:
        rows = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch], schema)
        texts = rows[column].to_pylist()
        read += len(texts)
        errors = [_wrong(text) for text in texts]
        yield Chunk(texts, errors, writer(rows), read / max(1, total))


def _csv(path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk]:
    """Rows of a CSV file with a header; cells stay as they are written."""
    size = max(1, path.stat().st_size)
    csv.field_size_limit(sys.maxsize)
    # What is no UTF-8 is let through as surrogates, so that one bad row does not end the work.
    decoding: Any = {"encoding": "utf-8-sig", "errors": "surrogateescape", "newline": ""}
    with path.open("rb") as raw, io.TextIOWrapper(raw, **decoding) as file:
        reader = csv.reader(file)
        header = next(reader, [])
        _check(path, header, column, added)
        place = header.index(column)

        def chunk(rows: list[list[str]]) -> Chunk:
            texts, errors = [], []
            for number, row in enumerate(rows):
                error = _undecodable(row)
                if len(row) != len(header):
                    error = f"{len(row)} cells under {len(header)} columns: {json.dumps(row)}"
                    rows[number] = (row + [""] * len(header))[: len(header)]
                texts.append(None if error else row[place])
                errors.append(error)

            def write(draft: Path, answered: Columns) -> None:
                with draft.open("w", encoding="utf-8", errors="replace", newline="") as out:
                    table = csv.writer(out, lineterminator="\n")
                    table.writerow([*header, *answered])
                    more = zip(*answered.values(), strict=True)
                    table.writerows([*row, *new] for row, new in zip(rows, more, strict=True))

            return Chunk(texts, errors, write, raw.tell() / size)

        filled = (row for row in reader if row)  # an empty line is no row
        rows = list(islice(filled, SHARD))
        while True:
            yield chunk(rows)
            rows = list(islice(filled, SHARD))
            if not rows:
                return


def _undecodable(cells: Sequence[str]) -> str | None:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    return None


def _jsonl(path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk]:
    """Objects of a file of JSON lines; a line that is none is kept under ``line``."""
    size = max(1, path.stat().st_size)
    with path.open("rb") as file:

        def read(number: int, line: bytes) -> tuple[dict[str, Any], str | None]:
            try:
                row = json.loads(line)
            except ValueError as error:  # bytes that are no UTF-8 too
                return {"line": line.decode(errors="replace")}, f"line {number}: no JSON ({error})"
            if not isinstance(row, dict):
                return {"line": row}, f"line {number}: no JSON object"
            _refuse_taken(path, list(row), added)
            return row, _wrong(row.get(column))

        filled = ((n, line) for n, line in enumerate(file, start=1) if line.strip())
        lines = list(islice(filled, SHARD))
        while True:
            both = [read(number, line.rstrip(b"\r\n")) for number, line in lines]
            rows = [row for row, _ in both]
            texts = [None if error else row[column] for row, error in both]
            yield Chunk(texts, [error for _, error in both], _json_lines(rows), file.tell() / size)
            lines = list(islice(filled, SHARD))
            if not lines:
                return


def _article(path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk]:
    """Paragraphs of an article; one that cannot be read is a row with an error."""
    try:
        article = read_file(path)
        rows = [asdict(part) for part in paragraphs_of(article)]
    except UserError as error:
        row = {"article": path.stem, "text": None}
        yield Chunk([None], [str(error)], _json_lines([row]), 1.0)
        return
    skipped = skipped_of(article)
    for start in range(0, max(1, len(rows)), SHARD):
        part = rows[start : start + SHARD]
        texts = [row["text"] for row in part]
        yield Chunk(texts, [None] * len(part), _json_lines(part), 1.0, skipped)
        skipped = []


def _json_lines(rows: Sequence[dict[str, Any]]) -> Callable[[Path, Columns], None]:
    def write(draft: Path, answered: Columns) -> None:
        with draft.open("w", encoding="utf-8", newline="\n") as out:
            for row, new in zip(rows, zip(*answered.values(), strict=True), strict=True):
                line = row | dict(zip(answered, new, strict=True))
                out.write(json.dumps(line, ensure_ascii=False) + "\n")

    return write


Reader = Callable[[Path, str, Sequence[str]], Iterator[Chunk]]

ARTICLE: tuple[str, Reader] = (".jsonl", _article)

# Suffix of an input → that of its shards, and what reads it.
KINDS: dict[str, tuple[str, Reader]] = {
    ".csv": (".csv", _csv),
    ".jsonl": (".jsonl", _jsonl),
    ".parquet": (".parquet", _parquet),
    **dict.fromkeys(SUFFIXES, ARTICLE),
}


def kind_of(path: Path) -> tuple[str, Reader]:
    return KINDS.get(path.suffix.lower(), ARTICLE)
