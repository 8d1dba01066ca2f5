"""The paragraph table and the table of metadata: their columns, and reading and writing them.

The paragraph table has a row for every paragraph, labelled or not; `labelled` joins labels to it.
Metadata, such as dates, are in a table of their own, so that a corrected date changes no paragraph
and refits no model. `reading` makes both tables.
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

from paratopic.project.errors import UserError, closest_word_hint, plural, shortened
from paratopic.project.files import atomic_write
from paratopic.project.passages import Passage, table_passages

# Period of a date → number of characters of the date in ISO form that determine it.
PERIODS = {"decade": 4, "year": 4, "month": 7, "date": 10}
# Name of the group of rows whose value is not known.
UNKNOWN = "(unknown)"
_ISO = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")


def values_by(columns: Mapping[str, Sequence[object]], name: str, n: int) -> list[str]:
    """Value of each of n rows; `UNKNOWN` for a row without one, or if there is no such column.

    `name` is a column, or else one of `PERIODS`, which follow from the column date.

    >>> values_by({"date": ["2025-09-15", None, "March 2025"]}, "month", 3)
    ['2025-09', '(unknown)', '(unknown)']
    """
    if name in PERIODS and (name not in columns or name == "date"):
        starts = [_cell_text(cell)[: PERIODS[name]] for cell in columns.get("date", [""] * n)]
        return [_period(start, name) for start in starts]
    return [_cell_text(cell) or UNKNOWN for cell in columns.get(name, [""] * n)]


@lru_cache(10_000)
def _period(start: str, name: str) -> str:
    """The period of a date, from the first `PERIODS[name]` characters of its ISO form.

    It is `UNKNOWN` if there are fewer, or if they begin no real date.

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


def _cell_text(cell: object) -> str:
    """A cell as a string; "" for NaN, which differs from itself, and other missing values."""
    return str(cell) if isinstance(cell, (str, int, float, date)) and cell == cell else ""


PARAGRAPHS_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("article", pa.string()),
        ("title", pa.string()),
        ("heading", pa.string()),
        ("position", pa.int64()),
        # Whether the rows before and after it in its article are its neighbours.
        ("ordered", pa.bool_()),
        ("text", pa.string()),
        # Neighbours from columns of a table; "" for none.
        ("before", pa.string()),
        ("after", pa.string()),
        # Such rows are not drawn, and shares leave them out.
        ("boilerplate", pa.bool_()),
    ]
)

# Prefix of the name of a frame that is a table.
TABLE = "table "

# Columns that `labelled.with_labels` and `labelled.with_sample` add to the paragraph table.
LABEL_COLUMNS = ("label", "label_source", "draw", "frame", "weight", "effective_count")


def describe_size(frame: pd.DataFrame) -> str:
    """The numbers of paragraphs and of articles, in words.

    The number of articles is left out if each row is an article of its own, as in a table without
    groups, unless there is only one row.

    >>> describe_size(pd.DataFrame({"article": ["a", "a", "b"]}))
    '3 paragraphs in 2 articles'
    """
    n_articles, paragraphs = frame["article"].nunique(), plural(len(frame), "paragraph")
    if n_articles == len(frame) != 1:
        return paragraphs
    return f"{paragraphs} in {plural(n_articles, 'article')}"


def passages_for(frame: pd.DataFrame, ids: Iterable[str]) -> list[Passage]:
    """A passage for each of the ids, in their order, with up to `N_NEIGHBOURS` on each side.

    `frame` is a paragraph table with the ids and all paragraphs of their articles; an id that it
    lacks gives a wrong passage and no error. A neighbour is the text in the column before or after,
    or else that of the next row by position, if the column ordered is true.
    """
    context = [frame[name].tolist() for name in ("before", "after", "heading", "title")]
    places = frame["position"].astype(object).where(frame["ordered"], None)
    return table_passages(
        frame["text"].tolist(),
        frame["article"].tolist(),
        places.tolist(),
        context,
        pd.Index(frame["id"]).get_indexer(list(ids)).tolist(),
    )


def with_passages(rows: pd.DataFrame, paragraphs: pd.DataFrame) -> pd.DataFrame:
    """Add a column `passage`: the text of each row with its context in a paragraph table."""
    passages = pd.Series(passages_for(paragraphs, rows["id"]), rows.index, dtype=object)
    return rows.assign(passage=passages)


def row_numbers(frame: pd.DataFrame) -> pd.Series:
    """Id of each paragraph → its number in its table or article, from 1.

    >>> row_numbers(pd.DataFrame({"id": ["t:a", "t:b", "u:a"]})).to_dict()
    {'t:a': 1, 't:b': 2, 'u:a': 1}
    """
    source = frame["id"].str.partition(":")[0]
    return frame.groupby(source.to_numpy()).cumcount().add(1).set_axis(frame["id"])


def targets_of(labels: Iterable[Collection[str]], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether each of n labels has each of k topics, (n, k).

    >>> targets_of([("trade", "security"), ()], ["trade", "security"]).tolist()
    [[True, True], [False, False]]
    """
    rows = list(labels)
    targets = np.zeros((len(rows), len(names)), dtype=bool)
    for number, label in enumerate(rows):
        targets[number] = [name in label for name in names]
    return targets


def with_columns(
    table: pd.DataFrame, names: Sequence[str], values: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """The table with k columns of values, (n, k), in place of columns with their names.

    All columns are added at once, because pandas is slow to add hundreds one by one.
    """
    columns = pd.DataFrame(values, index=table.index, columns=list(names))
    others = table.drop(columns=list(names), errors="ignore")
    return pd.concat([others, columns], axis=1)[list(dict.fromkeys([*table, *names]))]


def has_hand_label(rows: pd.DataFrame) -> pd.Series:
    """Whether each row has a label by hand, (n,). Only these are evaluated.

    Weak labels are for training only. Without a column `label_source`, all labels are by hand.
    """
    return rows.get("label_source", pd.Series("hand", rows.index)) == "hand"


def read_paragraphs(path: Path) -> pd.DataFrame:
    """Read a paragraph table; errors as for `read_parquet`."""
    return read_columns(path, PARAGRAPHS_SCHEMA)


def write_columns(frame: pd.DataFrame, schema: pa.Schema, path: Path) -> None:
    """Write the columns of a schema as parquet."""
    with atomic_write(path) as draft:
        pq.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False), draft)


def read_columns(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """Read the columns of a schema, and no others, from a parquet file.

    Cells of list columns become lists or None. Columns that the file lacks have nulls. A missing or
    damaged file is a UserError.
    """
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
    """Read a table that a stage wrote; a UserError reports that it is missing or damaged."""
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


# Most characters of the fields of a paragraph in a list.
LONGEST_LINE = 100


def write_metadata(frame: pd.DataFrame, path: Path) -> None:
    """Write a table with a column id, and one of strings or nulls for each field."""
    write_columns(frame, pa.schema([(name, pa.string()) for name in frame]), path)


def with_metadata(frame: pd.DataFrame, metadata: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of a table of metadata to paragraphs.

    Columns of labels are dropped first, because metadata may have columns of the same names. Other
    columns of the paragraphs take precedence over metadata.
    """
    if "label_source" in frame:
        frame = frame.drop(columns=[*LABEL_COLUMNS], errors="ignore")
    shared = [name for name in metadata if name in frame and name != "id"]
    return frame.merge(metadata.drop(columns=shared), on="id", how="left")


def column_values(rows: pd.DataFrame, name: str, option: str = "--by") -> list[str]:
    """Value of a column for each paragraph, as a str; `UNKNOWN` for a paragraph without one.

    `rows` are from `with_metadata`. `name` is article, title, heading, a field or a period: one of
    `PERIODS` that is no field follows from the field date. A date that is less exact is `UNKNOWN`,
    also if `name` is date. `option` is the command option with the name, for messages.

    Raises
    ------
    UserError
        There is no such column, no paragraph has a date, or all dates are less exact than a period.
    """
    _refuse_unknown_column(rows, name, option)
    columns = {str(column): rows[column].tolist() for column in rows if column in (name, "date")}
    values = values_by(columns, name, len(rows))
    if name in PERIODS and set(values) == {UNKNOWN}:
        raise UserError(f"{option} {name}: the dates are less exact than that; use --by year")
    return values


def _refuse_unknown_column(rows: pd.DataFrame, name: str, option: str) -> None:
    """Raise a UserError unless `name` is article, title, heading, a field, or a period of a date.

    A period, date included, is refused if no paragraph has a date. A field with the name of another
    period is a field. `option` begins the message.
    """
    metadata = [str(column) for column in rows if column not in PARAGRAPHS_SCHEMA.names]
    names = ["article", "title", "heading", *metadata]
    if name in PERIODS and (name not in rows or name == "date"):
        if "date" not in rows or rows["date"].isna().all():
            raise UserError(
                f"{option} {name}: no paragraph has a date; give the articles' dates in a "
                "metadata.csv beside them, or the table a column date, and run `dvc repro`"
            )
    elif name not in names:
        if "date" in metadata:
            names += [period for period in PERIODS if period not in metadata]
        hint = closest_word_hint(name, names)
        raise UserError(
            f"{option} {name}: there is no such column{hint}; the columns are {', '.join(names)}. "
            "`dvc repro prepare` reads others from a metadata.csv beside the articles"
        )


def groups_by(rows: pd.DataFrame, name: str) -> dict[str, set[str]]:
    """Group of each value of a column, such as ``"source=Post"`` → its distinct texts.

    The parameters and errors are those of `column_values`. Paragraphs without a value have the
    group ``"source=(unknown)"``. A group with boilerplate only has no texts.
    """
    groups: dict[str, set[str]] = {}
    values = column_values(rows, name)
    for value, text, is_boilerplate in zip(values, rows["text"], rows["boilerplate"], strict=True):
        texts = groups.setdefault(f"{name}={value}", set())
        if not is_boilerplate:
            texts.add(text)
    return groups


def texts_by_frame(rows: pd.DataFrame, frames: Iterable[str]) -> dict[str, set[str]]:
    """Frame → its distinct texts without boilerplate, also for other groups of the same columns.

    `rows` are paragraphs from `with_metadata`. `frames` are groups such as ``"source=Post"``, which
    are left out if they no longer exist, and tables such as ``"table NAME"``, which then have no
    texts.
    """
    wanted, texts = [*frames], dict[str, set[str]]()
    for column in {frame.partition("=")[0] for frame in wanted if "=" in frame}:
        with suppress(UserError):  # the column no longer exists
            texts |= groups_by(rows, column)
    content = rows[~rows["boilerplate"]]
    for frame in wanted:
        if frame.startswith(TABLE):
            in_table = content["id"].str.startswith(f"{frame.removeprefix(TABLE)}:")
            texts.setdefault(frame, {*content["text"][in_table]})
    return texts


def ids_in_words(metadata: pd.DataFrame, ids: Collection[str]) -> dict[str, str]:
    """Id → the id and, in brackets, its fields, cut to `LONGEST_LINE` characters.

    An id without fields, or without a row in the table of metadata, stands alone.

    >>> metadata = pd.DataFrame({"id": ["t:7"], "date": ["2025-09-15"], "speaker": [None]})
    >>> ids_in_words(metadata, ["t:7"])
    {'t:7': 't:7 (date 2025-09-15)'}
    """
    words = {id_: id_ for id_ in ids}
    for row in metadata[metadata["id"].isin(list(ids))].to_dict("records"):
        fields = [f"{k} {v}" for k, v in row.items() if k != "id" and isinstance(v, str)]
        if fields:
            shown = shortened(", ".join(fields), LONGEST_LINE)
            words[row["id"]] += f" ({shown})"
    return words
