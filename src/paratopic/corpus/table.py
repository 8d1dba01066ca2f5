"""The paragraph table: its columns, reading and writing it, and its texts in context.

The table holds every paragraph, labelled or not; `answers` joins labels to it. This module does not
make paragraphs from text (`reading` does).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.project.errors import UserError, plural
from paratopic.project.files import aside
from paratopic.project.passages import BESIDE, Passage, table_passages

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("article", pa.string()),
        ("title", pa.string()),
        ("heading", pa.string()),
        ("position", pa.int64()),
        # Whether the rows before and after it in its article stand next to it.
        ("ordered", pa.bool_()),
        ("text", pa.string()),
        # Neighbours that a table gives, which are no rows of it; "" for none.
        ("before", pa.string()),
        ("after", pa.string()),
        # Whether it says nothing to judge: such rows are not drawn, and not counted in shares.
        ("boilerplate", pa.bool_()),
    ]
)

# Columns that labels bring to it (`answers.with_labels`).
JOINED = ("topics", "label_source", "draw", "weight")


def describe_size(frame: pd.DataFrame) -> str:
    """Say how many paragraphs there are, and in how many articles if these are fewer.

    Each row of a table without groups is an article of its own, which nobody would call so.

    >>> describe_size(pd.DataFrame({"article": ["a", "a", "b"]}))
    '3 paragraphs in 2 articles'
    """
    n_articles, paragraphs = frame["article"].nunique(), plural(len(frame), "paragraph")
    if n_articles == len(frame) != 1:
        return paragraphs
    return f"{paragraphs} in {plural(n_articles, 'article')}"


def with_passages(rows: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Add a column `passage` to rows: the text with what stands around it.

    Parameters
    ----------
    rows
        Rows of the paragraph table, in any order.
    frame
        Paragraph table, whose other rows may be neighbours.
    """
    numbers = pd.Index(frame["id"]).get_indexer(rows["id"])
    column = pd.Series(passages(frame, numbers), rows.index, dtype=object)
    return rows.assign(passage=column)


def passages(frame: pd.DataFrame, rows: npt.NDArray[np.int64]) -> list[Passage]:
    """Texts of the paragraph table with what stands around them.

    Parameters
    ----------
    rows
        Numbers of n rows of it, from 0.
    """
    beside = [frame[name].tolist() for name in ("before", "after", "heading", "title")]
    places = frame["position"].astype(object).where(frame["ordered"], None)
    return table_passages(
        frame["text"].tolist(),
        frame["article"].tolist(),
        places.tolist(),
        dict(zip(BESIDE, beside, strict=True)),
        rows.tolist(),
    )


def targets_of(labels: Iterable[Collection[str]], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Say which of k topics each of n labels has, (n, k).

    >>> targets_of([("trade", "security"), ()], ["trade", "security"]).tolist()
    [[True, True], [False, False]]
    """
    has = [[name in label for name in names] for label in labels]
    return np.array(has, dtype=bool).reshape(len(has), len(names))


def has_hand_label(rows: pd.DataFrame) -> pd.Series:
    """Say which rows have a label by hand, (n,). Only these are evaluated.

    The answers of weak sources train models and measure nothing. Without a column `label_source`,
    all labels are by hand.
    """
    return rows.get("label_source", pd.Series("hand", rows.index)) == "hand"


def write_paragraphs(frame: pd.DataFrame, path: Path) -> None:
    """Write the paragraph table as parquet."""
    write_columns(frame, SCHEMA, path)


def read_paragraphs(path: Path) -> pd.DataFrame:
    """Read the paragraph table; a UserError says that it is missing or damaged."""
    return read_columns(path, SCHEMA)


def write_columns(frame: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    """Write the columns of a schema as parquet."""
    with aside(path) as draft:
        pq.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False), draft)


def read_columns(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """Read the columns of a schema from parquet, lists as lists; errors as for `read_parquet`."""
    try:
        table = pq.read_table(path, schema=schema)
    except (FileNotFoundError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    for field in schema:
        if pa.types.is_list(field.type):
            frame[field.name] = pd.Series(table[field.name].to_pylist(), dtype=object)
    return frame


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a table that a stage wrote; a UserError says that it is missing or damaged."""
    try:
        return pd.read_parquet(path)
    except (FileNotFoundError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} not found: run `dvc repro` first, in the project's root")
    reason = str(error).splitlines()[0]
    return UserError(
        f"{path} is damaged ({reason}): remove it and run `dvc repro`, which makes it anew"
    )
