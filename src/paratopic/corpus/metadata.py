"""The table of what each paragraph is from: its date, its source, and any other field.

It is a table of its own, so that a corrected date changes no paragraph and refits no model. Where
fields are found is for `reading.metadata`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.corpus.table import read_parquet
from paratopic.project.files import aside


def write_metadata(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as parquet.

    Parameters
    ----------
    frame
        A row for each row of the paragraph table, in its order: `id`, then a column of strings for
        each field, null where a paragraph has none.
    path
        File to write.
    """
    schema = pa.schema([(name, pa.string()) for name in frame])
    with aside(path) as draft:
        pq.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False), draft)


def read_metadata(path: Path) -> pd.DataFrame:
    """Read the table, see `write_metadata`; a UserError says that it is missing or damaged."""
    return read_parquet(path)
