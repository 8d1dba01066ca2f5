"""The formats of bulk prediction: those of tables, and articles as JSON lines.

`FORMATS` maps the suffix of an input to its `BulkFormat`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from paratopic.project.errors import UserError
from paratopic.reading.article import Paragraph, article_passages, paragraphs_of, skipped_of
from paratopic.reading.files import SUFFIXES, read_file
from paratopic.reading.metadata import article_fields
from paratopic.tables.shards import BulkFormat, Chunk, Csv, JsonLines, Parquet, Xlsx, batches


class Articles(JsonLines):
    """Articles of any format, written as JSON lines, one per paragraph.

    Rows have the fields of their article, too, but for those whose names other columns have. An
    article that cannot be read is one row with an error.
    """

    def check(self, path: Path, column: str, added: Sequence[str]) -> None:
        """Whatever is wrong with an article is an error of its row, but not with metadata.csv."""
        article_fields(path, {})

    def read(self, path: Path, column: str, added: Sequence[str]) -> Iterator[Chunk[list[str]]]:
        try:
            article = read_file(path)
            paragraphs = paragraphs_of(article)
        except UserError as error:
            row = json.dumps({"article": path.stem, "text": None}, ensure_ascii=False)
            yield Chunk([row], [None], [str(error)], 1.0)
            return
        taken = {*added, *(field.name for field in fields(Paragraph))}
        about = article_fields(path, article.fields)
        own = {name: field.value for name, field in about.items() if name not in taken}
        skipped = skipped_of(article)
        for batch in batches(list(zip(paragraphs, article_passages(paragraphs), strict=True))):
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

    Examples
    --------
    >>> format_of(Path("in.csv")).suffix, format_of(Path("notes.asc")).suffix
    ('.csv', '.jsonl')
    """
    return FORMATS.get(path.suffix.lower()) or FORMATS[".txt"]
