"""The paragraph table: its columns, reading and writing it, and its labelled rows.

It holds every paragraph, labelled or not. How text becomes paragraphs is for `reading`, which label
a paragraph gets for `labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.project.files import aside
from paratopic.project.topics import SEPARATOR, Mode

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("article", pa.string()),  # paragraphs of one article never straddle folds
        ("heading", pa.string()),
        ("position", pa.int64()),
        ("text", pa.string()),
        ("topics", pa.list_(pa.string())),  # null: not labelled; empty: none of the topics
        ("label_source", pa.string()),  # hand, heading or none
    ]
)


def labelled_rows(frame: pd.DataFrame, mode: Mode) -> pd.DataFrame:
    """Rows with a label, sorted by id, with a column `topic`: what of it counts, '' for none.

    In mode single that is the dominant topic, in mode multi all of them, as labels.csv has them.
    """
    rows = frame[frame["label_source"] != "none"].sort_values("id", ignore_index=True)
    most = 1 if mode == "single" else None
    cells = [SEPARATOR.join(topics[:most]) for topics in rows["topics"]]
    return rows.assign(topic=pd.Series(cells, rows.index, dtype=object))


def targets_of(rows: pd.DataFrame, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which topics labelled rows have, (n, k), from their column `topic`."""
    has = rows["topic"].str.get_dummies(SEPARATOR).reindex(columns=list(names), fill_value=0)
    return has.to_numpy(dtype=bool)


def evaluated(rows: pd.DataFrame) -> pd.Series:
    """Which of the labelled rows figures are about: hand labels, headings' where there are none."""
    source = "hand" if (rows["label_source"] == "hand").any() else "heading"
    return rows["label_source"] == source


def write_paragraphs(frame: pd.DataFrame, path: Path) -> None:
    """Write the paragraph table as parquet."""
    with aside(path) as draft:
        pq.write_table(pa.Table.from_pandas(frame, SCHEMA, preserve_index=False), draft)


def read_paragraphs(path: Path) -> pd.DataFrame:
    """Read the paragraph table."""
    return pd.DataFrame(pq.read_table(path, schema=SCHEMA).to_pylist(), columns=SCHEMA.names)
