"""The inputs of bulk prediction: tables, and articles, which are written as JSON lines.

`FORMATS` maps the suffix of an input to its `BulkFormat`. Articles know what stands around their
paragraphs, and of tables some columns tell (`with_context`).
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from paratopic.project.errors import UserError
from paratopic.project.files import SHEET
from paratopic.project.passages import BESIDE, table_passages
from paratopic.reading.article import (
    Paragraph,
    Skipped,
    article_passages,
    paragraphs_of,
    skipped_of,
)
from paratopic.reading.cells import iso_date
from paratopic.reading.files import SUFFIXES, find_files, list_left_out, read_file
from paratopic.reading.metadata import article_fields
from paratopic.tables.shards import (
    BulkFormat,
    Chunk,
    Columns,
    Csv,
    JsonLines,
    Parquet,
    Rows,
    Xlsx,
    batches,
)

log = logging.getLogger(__name__)

# Columns of a table with the place of its texts in a group, of which rows of the same shard are
# read. Training reads the same columns as these and `BESIDE`.
GROUP, POSITION = "group", "position"


class Articles(JsonLines):
    """Articles of any format, written as JSON lines, one per paragraph.

    Rows have the fields of their article, too, but for those whose names other columns have. An
    article that cannot be read is one row with an error.
    """

    def check(self, path: Path, column: str, added: Collection[str]) -> None:
        """Whatever is wrong with an article is an error of its row, but not with metadata.csv."""
        article_fields(path, {})

    def read(self, path: Path, column: str, added: Collection[str]) -> Iterator[Chunk[list[str]]]:
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
FORMATS: dict[str, BulkFormat[Any]] = {
    ".csv": Csv(),
    ".xlsx": Xlsx(),
    ".jsonl": JsonLines(),
    ".parquet": Parquet(),
    **dict.fromkeys(SUFFIXES, Articles()),
}


def format_of(path: Path) -> BulkFormat[Any]:
    """The format of an input; a file with an unknown suffix is taken for an article.

    >>> format_of(Path("in.csv")).suffix, format_of(Path("notes.asc")).suffix
    ('.csv', '.jsonl')
    """
    return FORMATS.get(path.suffix.lower()) or FORMATS[".txt"]


def find_inputs(patterns: Sequence[str]) -> list[Path]:
    """The files that paths, folders and globs stand for, each once.

    A folder stands for the tables and articles in it and its subfolders, sorted. What is left out
    of it is listed on stderr. A pattern that matches no file is a `UserError`.
    """
    inputs, left_out = find_files(patterns, FORMATS)
    list_left_out(left_out)
    return inputs


def list_skipped(source: str, skipped: Iterable[Skipped]) -> None:
    """Note the parts of an article that are no paragraphs, and why, on stderr."""
    for part in skipped:
        log.warning("%s: skipped (%s): %s", source, part.reason, part.text)


def files_read(inputs: Sequence[Path]) -> list[Path]:
    """The inputs, and the files of metadata beside articles."""
    articles = [path for path in inputs if isinstance(format_of(path), Articles)]
    sheets = sorted({path.with_name(SHEET) for path in articles})
    return [*inputs, *filter(Path.exists, sheets)]


def with_context(chunk: Chunk[Rows], columns: Columns) -> Chunk[Rows]:
    """Add what the rows' own columns tell to texts of a chunk that have nothing around them yet."""
    if not {*BESIDE, POSITION} & columns.keys():
        return chunk
    n = len(chunk.texts)
    texts = [text if isinstance(text, str) else None for text in chunk.texts]
    groups, positions = (columns.get(name, [None] * n) for name in (GROUP, POSITION))
    places = list(map(_place, groups, positions))
    beside = {
        name: [value if isinstance(value, str) else "" for value in columns[name]]
        for name in columns.keys() & BESIDE
    }
    rows = [row for row, text in enumerate(texts) if text is not None]
    passages = iter(table_passages(texts, list(map(str, groups)), places, beside, rows))
    read = [next(passages) if isinstance(text, str) else text for text in chunk.texts]
    return replace(chunk, texts=read)


def _place(group: Any, position: Any) -> float | None:
    """Place of a row in its group; None for a row that has none, and so stands alone."""
    if group is None or group != group or not str(group).strip():  # NaN is not itself
        return None
    try:
        place = float(position)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(place) else place


def with_iso_dates(columns: Columns) -> Columns:
    """The columns, with dates of other forms in ISO form, as stage prepare reads them."""
    dates = [iso_date(str(cell)) or cell for cell in columns.get("date", ())]
    return columns | {"date": dates} if "date" in columns else columns
