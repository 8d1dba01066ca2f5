"""The table of what each paragraph is from: its date, its source, and any other field.

It is a table of its own, so that a corrected date changes no paragraph and refits no model. Where
fields are found is for `reading.metadata`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from pathlib import Path

import pandas as pd
import pyarrow as pa

from paratopic.corpus.table import JOINED, SCHEMA, read_parquet, write_columns
from paratopic.project.errors import UserError
from paratopic.project.periods import PERIODS, UNKNOWN, values_by
from paratopic.project.topics import nearest

# The most characters of fields in a list of paragraphs.
LONGEST_LINE = 100


def write_metadata(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as parquet.

    Parameters
    ----------
    frame
        A row for each row of the paragraph table, in its order: `id`, then a column of strings for
        each field, null where a paragraph has none.
    """
    write_columns(frame, pa.schema([(name, pa.string()) for name in frame]), path)


def read_metadata(path: Path) -> pd.DataFrame:
    """Read the table, see `write_metadata`; a UserError says that it is missing or damaged."""
    return read_parquet(path)


def with_metadata(frame: pd.DataFrame, about: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of `read_metadata` to the paragraph table, whose own columns stay.

    Those of labels go: what a paragraph is from may have a column of such a name.
    """
    frame = frame.drop(columns=[*JOINED], errors="ignore")
    own = [name for name in about if name in frame and name != "id"]
    return frame.merge(about.drop(columns=own), on="id", how="left")


def values_of(rows: pd.DataFrame, name: str) -> list[str]:
    """Value of a column for each paragraph, `UNKNOWN` where it has none.

    Parameters
    ----------
    name
        The article, a field, or one of `PERIODS`, which follow from the field date.

    Raises
    ------
    UserError
        There is no such column, or no paragraph has a date, or no such part of one.
    """
    own = [str(column) for column in rows if column not in SCHEMA.names]
    known = ["article", "title", "heading", *own]
    if name in PERIODS and (name not in rows or name == "date"):
        if "date" not in rows or rows["date"].isna().all():
            raise UserError(
                f"--by {name}: no paragraph has a date; give the articles' dates in a metadata.csv "
                "beside them, or the table a column date, and run `dvc repro`"
            )
    elif name not in known:
        known += [period for period in PERIODS if "date" in own and period not in own]
        hint = nearest(name, known)
        raise UserError(
            f"--by {name}: there is no such column{hint}; the columns are {', '.join(known)}"
        )
    columns = {str(column): rows[column].tolist() for column in rows if column in (name, "date")}
    values = values_by(columns, name, len(rows))
    if name in PERIODS and set(values) == {UNKNOWN}:
        raise UserError(f"--by {name}: no date is so exact; use --by year")
    return values


def in_words(about: pd.DataFrame, ids: Collection[str]) -> dict[str, str]:
    """Id of each paragraph → the id with the paragraph's fields, for lists that people read.

    >>> about = pd.DataFrame({"id": ["t:7"], "date": ["2025-09-15"], "speaker": [None]})
    >>> in_words(about, ["t:7"])
    {'t:7': 't:7 (date 2025-09-15)'}
    """
    words = {id_: id_ for id_ in ids}
    for row in about[about["id"].isin(list(ids))].to_dict("records"):
        fields = [f"{k} {v}" for k, v in row.items() if k != "id" and isinstance(v, str)]
        if fields:
            shown = textwrap.shorten(", ".join(fields), LONGEST_LINE, placeholder=" …")
            words[row["id"]] += f" ({shown})"
    return words
