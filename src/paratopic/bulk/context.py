"""What stands around the texts of a table, as some of its columns tell.

Articles have it already; see `shards.Articles`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, TypeVar

from paratopic.project.passages import BESIDE, table_passages
from paratopic.tables.shards import Chunk, Columns

# Columns of a table with the place of its texts in a group, of which rows of the same shard are
# read. Training reads the same columns as these and `BESIDE`.
GROUP, POSITION = "group", "position"

Rows = TypeVar("Rows")


def with_context(chunk: Chunk[Rows], columns: Columns) -> Chunk[Rows]:
    """Add what the rows' own columns tell of it to the texts of a chunk.

    Parameters
    ----------
    chunk
        Rows of a table or of an article; texts that have something around them are left as they
        are.
    columns
        The rows' own columns.
    """
    if not {*BESIDE, POSITION} & columns.keys():
        return chunk
    n = len(chunk.texts)
    texts = [text if isinstance(text, str) else None for text in chunk.texts]
    groups, positions = (columns.get(name, [None] * n) for name in (GROUP, POSITION))
    places = [
        None if _is_empty(group) else _number(position)
        for group, position in zip(groups, positions, strict=True)
    ]
    beside = {name: list(map(_text, columns[name])) for name in BESIDE if name in columns}
    rows = [row for row, text in enumerate(texts) if text is not None]
    read = list(chunk.texts)
    for row, passage in zip(
        rows, table_passages(texts, list(map(str, groups)), places, beside, rows), strict=True
    ):
        read[row] = passage
    return replace(chunk, texts=read)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _is_empty(value: Any) -> bool:
    """Whether a cell names no group, so that its row stands alone."""
    return value is None or value != value or not str(value).strip()  # NaN is not itself


def _number(value: Any) -> float | None:
    """A position as a number; None for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number
