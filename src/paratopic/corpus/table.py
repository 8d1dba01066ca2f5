"""The paragraph table and the table of metadata: their columns, and reading and writing them.

The paragraph table holds every paragraph, labelled or not; `labelled` joins labels to it. What each
paragraph is from, such as its date, is in a table of its own, so that a corrected date changes no
paragraph and refits no model. Paragraphs and metadata are found in `reading`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.project.errors import UserError, did_you_mean, plural, shortened
from paratopic.project.files import aside
from paratopic.project.passages import Passage, table_passages

# Periods that follow from the column date → number of its characters that tell which one it is.
PERIODS = {"decade": 4, "year": 4, "month": 7, "date": 10}
# In place of a value that is not known.
UNKNOWN = "(unknown)"
_ISO = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")


def values_by(columns: Mapping[str, Sequence[object]], name: str, n: int) -> list[str]:
    """Value of each of n rows, `UNKNOWN` where it has none.

    >>> values_by({"date": ["2025-09-15", None, "March 2025"]}, "month", 3)
    ['2025-09', '(unknown)', '(unknown)']

    Parameters
    ----------
    name
        A column, or one of `PERIODS`, which follow from the column date where no column has their
        name.
    """
    if name in PERIODS and (name not in columns or name == "date"):
        starts = [_written(cell)[: PERIODS[name]] for cell in columns.get("date", [""] * n)]
        return [_period(start, name) for start in starts]
    return [_written(cell) or UNKNOWN for cell in columns.get(name, [""] * n)]


@lru_cache(10_000)
def _period(start: str, name: str) -> str:
    """The period that the beginning of a date in ISO form is in.

    >>> _period("2025-09", "month"), _period("2025", "decade"), _period("2025-02-30", "date")
    ('2025-09', '2020s', '(unknown)')
    """
    try:
        date.fromisoformat(f"{start}-01-01"[: PERIODS["date"]])
    except ValueError:
        return UNKNOWN
    if len(start) != PERIODS[name] or not _ISO.fullmatch(start):
        return UNKNOWN
    return f"{start[:3]}0s" if name == "decade" else start


def _written(cell: object) -> str:
    """A cell as a string, "" where it has no value: NaN is not itself, and other marks no value."""
    return str(cell) if isinstance(cell, (str, int, float, date)) and cell == cell else ""


PARAGRAPHS_SCHEMA = pa.schema(
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

# What the name of a part of the corpus begins with if it is a table.
TABLE = "table "

# Columns that labels bring to it (`labelled.with_labels`, `labelled.with_sample`).
JOINED = ("label", "label_source", "draw", "frame", "weight", "effective_count")


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


def texts_of(frame: pd.DataFrame, ids: Iterable[str]) -> list[Passage]:
    """Texts of paragraphs with what stands around them, in the order of their ids."""
    beside = [frame[name].tolist() for name in ("before", "after", "heading", "title")]
    places = frame["position"].astype(object).where(frame["ordered"], None)
    return table_passages(
        frame["text"].tolist(),
        frame["article"].tolist(),
        places.tolist(),
        beside,
        pd.Index(frame["id"]).get_indexer(list(ids)).tolist(),
    )


def with_passages(rows: pd.DataFrame, paragraphs: pd.DataFrame) -> pd.DataFrame:
    """Add a column `passage`: rows with what stands around them in a paragraph table."""
    passages = pd.Series(texts_of(paragraphs, rows["id"]), rows.index, dtype=object)
    return rows.assign(passage=passages)


def row_numbers(frame: pd.DataFrame) -> pd.Series:
    """Id of each paragraph → its number in its table, from the first row below the head; or else in
    its article.

    >>> row_numbers(pd.DataFrame({"id": ["t:a", "t:b", "u:a"]})).to_dict()
    {'t:a': 1, 't:b': 2, 'u:a': 1}
    """
    source = frame["id"].str.partition(":")[0]
    return frame.groupby(source.to_numpy()).cumcount().add(1).set_axis(frame["id"])


def targets_of(labels: Iterable[Collection[str]], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Say which of k topics each of n labels has, (n, k).

    >>> targets_of([("trade", "security"), ()], ["trade", "security"]).tolist()
    [[True, True], [False, False]]
    """
    has = [[name in label for name in names] for label in labels]
    return np.array(has, dtype=bool).reshape(len(has), len(names))


def with_columns(
    table: pd.DataFrame, names: Sequence[str], values: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """The table with columns of values (n, k), at the places of those that have their names.

    One by one, pandas is slow to add hundreds of columns, and warns of it.
    """
    columns = pd.DataFrame(values, index=table.index, columns=list(names))
    others = table.drop(columns=list(names), errors="ignore")
    return pd.concat([others, columns], axis=1)[list(dict.fromkeys([*table, *names]))]


def has_hand_label(rows: pd.DataFrame) -> pd.Series:
    """Say which rows have a label by hand, (n,). Only these are evaluated.

    The answers of weak sources train models and measure nothing. Without a column `label_source`,
    all labels are by hand.
    """
    return rows.get("label_source", pd.Series("hand", rows.index)) == "hand"


def read_paragraphs(path: Path) -> pd.DataFrame:
    """Read a paragraph table; a UserError says if it is damaged."""
    return read_columns(path, PARAGRAPHS_SCHEMA)


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


# The most characters of fields in a list of paragraphs.
LONGEST_LINE = 100


def write_metadata(frame: pd.DataFrame, path: Path) -> None:
    """Write a table with a column id, and one of strings or nulls for each field."""
    write_columns(frame, pa.schema([(name, pa.string()) for name in frame]), path)


def with_metadata(frame: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of a table of metadata to paragraphs.

    Their own columns stay, but those of labels go: metadata may have a column of such a name.
    """
    if "label_source" in frame:
        frame = frame.drop(columns=[*JOINED], errors="ignore")
    own = [name for name in metadata if name in frame and name != "id"]
    return frame.merge(metadata.drop(columns=own), on="id", how="left")


def values_of(rows: pd.DataFrame, name: str, option: str = "--by") -> list[str]:
    """Value of a column for each paragraph, `UNKNOWN` where it has none.

    Parameters
    ----------
    name
        The article, a field, or one of `PERIODS`, which follow from the field date.
    option
        Option that named it, for messages.

    Raises
    ------
    UserError
        There is no such column, or no paragraph has a date, or no such part of one.
    """
    own = [str(column) for column in rows if column not in PARAGRAPHS_SCHEMA.names]
    known = ["article", "title", "heading", *own]
    if name in PERIODS and (name not in rows or name == "date"):
        if "date" not in rows or rows["date"].isna().all():
            raise UserError(
                f"{option} {name}: no paragraph has a date; give the articles' dates in a "
                "metadata.csv beside them, or the table a column date, and run `dvc repro`"
            )
    elif name not in known:
        known += [period for period in PERIODS if "date" in own and period not in own]
        hint = did_you_mean(name, known)
        raise UserError(
            f"{option} {name}: there is no such column{hint}; the columns are {', '.join(known)}. "
            "`dvc repro prepare` reads others from a metadata.csv beside the articles"
        )
    columns = {str(column): rows[column].tolist() for column in rows if column in (name, "date")}
    values = values_by(columns, name, len(rows))
    if name in PERIODS and set(values) == {UNKNOWN}:
        raise UserError(f"{option} {name}: the dates are less exact than that; use --by year")
    return values


def groups_by(rows: pd.DataFrame, name: str) -> dict[str, set[str]]:
    """Each value of a column, as ``"source=Post"`` → its distinct texts, without boilerplate.

    The parameters and errors are those of `values_of`.
    """
    groups: dict[str, set[str]] = {}
    each = zip(values_of(rows, name), rows["text"], rows["boilerplate"], strict=True)
    for value, text, is_boilerplate in each:
        texts = groups.setdefault(f"{name}={value}", set())
        if not is_boilerplate:
            texts.add(text)
    return groups


def texts_in(rows: pd.DataFrame, frames: Iterable[str]) -> dict[str, set[str]]:
    """Each part of the corpus that was drawn from → its distinct texts, without boilerplate.

    Parameters
    ----------
    rows
        Paragraphs with the columns of `with_metadata`.
    frames
        Groups as ``"source=Post"``, and tables as ``"table NAME"``. Those that there are no more
        are left out.
    """
    wanted, known = [*frames], dict[str, set[str]]()
    for column in {frame.partition("=")[0] for frame in wanted if "=" in frame}:
        with suppress(UserError):  # there is no such column any more
            known |= groups_by(rows, column)
    read = rows[~rows["boilerplate"]]
    for frame in wanted:
        if frame.startswith(TABLE):
            of_table = read["id"].str.startswith(f"{frame.removeprefix(TABLE)}:")
            known.setdefault(frame, {*read["text"][of_table]})
    return known


def in_words(metadata: pd.DataFrame, ids: Collection[str]) -> dict[str, str]:
    """Id of each paragraph → the id with the paragraph's fields, for lists that people read.

    >>> metadata = pd.DataFrame({"id": ["t:7"], "date": ["2025-09-15"], "speaker": [None]})
    >>> in_words(metadata, ["t:7"])
    {'t:7': 't:7 (date 2025-09-15)'}
    """
    words = {id_: id_ for id_ in ids}
    for row in metadata[metadata["id"].isin(list(ids))].to_dict("records"):
        fields = [f"{k} {v}" for k, v in row.items() if k != "id" and isinstance(v, str)]
        if fields:
            shown = shortened(", ".join(fields), LONGEST_LINE)
            words[row["id"]] += f" ({shown})"
    return words
