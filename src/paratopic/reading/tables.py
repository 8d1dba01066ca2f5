"""Labelled tables (CSV, .xlsx, JSON lines, parquet) → paragraphs and raw answers.

A table is read as it is: its texts are neither cut into paragraphs nor searched for headings.
Columns that no key of `project.source_settings.Source` names become fields of the rows.
`labels.resolve` decides whether labels are topics of the codebook.
"""

from __future__ import annotations

import logging
import re
from ast import literal_eval
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.duplicates import components
from paratopic.corpus.table import PARAGRAPHS_SCHEMA
from paratopic.project.errors import UserError, refuse_repeated
from paratopic.project.source_settings import CONTEXT_COLUMNS, KEYS, Source
from paratopic.project.topics import NONE_CELL, join_cell
from paratopic.reading.article import number_repeats, paragraph_id
from paratopic.reading.cells import cleaned, iso_date, without_controls
from paratopic.tables.readers import LOADERS, Columns, Table, cell_text

log = logging.getLogger(__name__)

# Suffixes of tables.
TABLES = tuple(LOADERS)

REQUIRED = "text", "label"
# Column that tells how a labelled row was chosen → what was drawn.
DRAWN, DRAWS = "drawn", {"": "", "1": "paragraph", "1.0": "paragraph", "article": "article"}
# Columns that tell what stands around a text, beside the group that it is in: its place in the
# group, or its neighbours themselves.
OPTIONAL = ("group", "position", *CONTEXT_COLUMNS, DRAWN)
# Columns of raw answers: id of the paragraph, path of the table, the label as it is written, the
# names of topics that it means, how the paragraph was drawn, and file and line for people.
RAW = ("paragraph", "source", "cell", "topics", "draw", "where")


class LabelledTable(NamedTuple):
    """What a table holds.

    Parameters
    ----------
    paragraphs
        Rows of the paragraph table (`corpus.table.PARAGRAPHS_SCHEMA`).
    answers
        Raw answers, with the columns `RAW`: one for each row that has a label.
    fields
        The table's other columns that have a value, as text, null where a row has none.
    """

    paragraphs: pd.DataFrame
    answers: pd.DataFrame
    fields: pd.DataFrame


def read_labelled_table(
    path: Path, no_topic: Sequence[str], source: Source | None = None
) -> LabelledTable:
    """Read a labelled table.

    Rows of the same group become one article. Without that column each row is an article, unless
    its neighbours say which rows stand next to each other.

    Parameters
    ----------
    path
        A .csv, .xlsx, .jsonl or .parquet file, whose name paragraph ids begin with.
    no_topic
        Labels that mean none of the topics. An empty label leaves the row unlabelled.
    source
        Which columns and labels mean what. By default, columns have the names of its keys, and
        labels are topics.

    Raises
    ------
    UserError
        The file cannot be read, a column is missing, a text is empty, an id is missing or there
        twice, or a position is no number or is there twice in a group.
    """
    source, name = source or Source(str(path)), path.stem
    own = [source.columns[key] for key in REQUIRED if key in source.columns]
    table = read_table(path, own)
    columns, wheres = _by_key(table.columns, path, source), table.wheres
    texts = list(map(_text, columns["text"], wheres))
    none = [""] * len(texts)
    beside = {
        column: [_beside(column, *cell) for cell in zip(columns[column], wheres, strict=True)]
        for column in OPTIONAL
        if column in columns
    }
    before, after = (beside.get(f"text_{side}", none) for side in ("preceding", "following"))
    if "id" in columns:
        ids = [f"{name}:{id_}" for id_ in _own_ids(path, columns["id"], wheres)]
    else:
        ids = number_repeats(paragraph_id(name, text) for text in texts)
    groups = beside.get("group") or _runs(texts, before, after)
    articles = [f"{name}/{group}" if group else id_ for id_, group in zip(ids, groups, strict=True)]
    rows = {"title": none, "heading": none, **beside, "id": ids, "article": articles, "text": texts}
    rows |= {"before": before, "after": after}
    frame = pd.DataFrame(rows, columns=PARAGRAPHS_SCHEMA.names).assign(boilerplate=False)
    frame["ordered"], frame["position"] = "position" in beside, range(len(texts))
    if "position" in beside:
        if "group" not in beside:
            raise UserError(f"{path}: the column position needs a column group, in which it counts")
        frame["position"] = _positions(articles, beside["position"], wheres)
    chosen = ["1"] * len(texts) if source.random else beside.get(DRAWN, none)
    draws = list(map(_draw, chosen, wheres))
    labels = map(_cell, map(unlisted, columns.get("label", none)), wheres)
    answers = [
        (id_, str(path), cell, [] if cell in no_topic else meant, draw, where)
        for id_, cell, draw, where in zip(ids, labels, draws, wheres, strict=True)
        if (meant := source.meaning(cell)) is not None
    ]
    return LabelledTable(frame, pd.DataFrame(answers, columns=RAW), _fields(columns))


def read_table(path: Path, whole: Collection[str] = ()) -> Table:
    """Read a file with a suffix of `LOADERS`.

    Parameters
    ----------
    whole
        Names of the columns whose values keep their types in parquet; none by default. The others
        become texts, and lists, objects and bytes are left empty.

    Raises
    ------
    UserError
        The file cannot be read, or has two columns of the same name.
    """
    return LOADERS[path.suffix.lower()](path, whole)


def _by_key(columns: Columns, path: Path, source: Source) -> Columns:
    """The columns by the keys that stand for them, and the others by their own names.

    A column that has the name of a key, but which the key does not stand for, is left out. Case and
    blanks at the ends of a key's name do not matter.
    """
    refuse_repeated(str(path), list(map(cleaned, columns)))
    plain = {name: cleaned(name).casefold() for name in columns.keys() - source.named.values()}
    alike = {name: key for name, key in plain.items() if key in KEYS and key not in columns}
    if len({*alike.values()}) == len(alike):
        columns = {alike.get(name, name): values for name, values in columns.items()}
    for key, name in source.columns.items():
        if name not in columns and (key in source.named or key in REQUIRED):
            or_none = ", or null for a table without labels" if key == "label" else ""
            raise UserError(
                f'{path}: there is no column "{name}" for {key}; this table has '
                f"{', '.join(columns)}. Name the right one in prepare.sources: "
                f"{{path: {path}, {key}: COLUMN}}{or_none}"
            )
    own = {key: columns[name] for key, name in source.columns.items() if name in columns}
    taken = {*source.columns.values(), *KEYS}
    return own | {name: values for name, values in columns.items() if name not in taken}


def _own_ids(path: Path, values: Sequence[object], wheres: Sequence[str]) -> list[str]:
    """The ids of the rows, each of which has one of its own."""
    hint = f"correct it, or write `{{path: {path}, id: null}}` in prepare.sources to go without ids"
    first: dict[str, str] = {}
    for value, where in zip(values, wheres, strict=True):
        own = cleaned(_cell(value, where))
        if not own:
            raise UserError(f"{where}: has no id; {hint}")
        if own in first:
            raise UserError(f'{where}: the id "{own}" is that of {first[own]} too; {hint}')
        first[own] = where
    return list(first)


def _fields(columns: Columns) -> pd.DataFrame:
    """The fields of the rows, as text on one line."""
    fields: dict[str, list[str | None]] = {}
    for column, values in columns.items():
        name = cleaned(column)
        if column in (*REQUIRED, *OPTIONAL) or name in ("", "id"):
            continue
        # As they are written; "" for a list or an object.
        texts = [cleaned(shown) for shown in map(cell_text, values)]
        if name == "date":
            texts = [iso_date(text) or text for text in texts]
        if any(texts):
            fields[name] = [text or None for text in texts]
    return pd.DataFrame(fields, index=range(len(columns["text"])), dtype="str")


def _positions(articles: Sequence[str], cells: Sequence[str], wheres: Sequence[str]) -> list[int]:
    """Position of each row in its article."""
    positions: dict[tuple[str, int], str] = {}
    for article, cell, where in zip(articles, cells, wheres, strict=True):
        if not re.fullmatch(r"-?\d{1,18}", cell):
            raise UserError(f"{where}: the position is {cell!r}, not a whole number")
        first = positions.setdefault((article, int(cell)), where)
        if first != where:
            raise UserError(f"{where}: {first} is of its group and has the position {cell} too")
    return [position for _, position in positions]


def _draw(cell: str, where: str) -> str:
    """What was drawn of a row: "paragraph", "article" or "" for not known."""
    if cell not in DRAWS:
        raise UserError(
            f'{where}: drawn is "{cell}"; write 1 if the row was drawn at random, article if its '
            "whole group was, or leave it empty"
        )
    return DRAWS[cell]


def _runs(texts: Sequence[str], before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Number of the run of each row: rows that stand next to each other, or next to a common text.

    What a row reads is then never held out from another one of its run. A row without such
    neighbours has "". A text that recurs, in rows or on one side of them, connects none, unless of
    two rows each has the other beside it.
    """
    own, previous, following = map(_once, (texts, before, after))
    edges = [
        (row, other[text])
        for one, other in ((previous, own), (following, own), (previous, following))
        for text, row in one.items()
        if text in other
    ]
    row_of = {pair: row for row, pair in enumerate(zip(texts, before, strict=True))}
    for row, pair in enumerate(zip(after, texts, strict=True)):
        if pair[0] and pair in row_of:  # each is next to the other
            edges.append((row, row_of[pair]))
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    runs = components(ends[:, 0], ends[:, 1], len(texts))
    sizes = np.bincount(runs)
    return [f"run-{run}" if sizes[run] > 1 else "" for run in runs.tolist()]


def _once(texts: Sequence[str]) -> dict[str, int]:
    """The texts that are there once, with their places."""
    counts = Counter(texts)
    return {text: place for place, text in enumerate(texts) if counts[text] == 1 and text}


def _text(value: object, where: str) -> str:
    if value is not None and not isinstance(value, str):
        raise UserError(f"{where}: the text is {type(value).__name__}, not a string; correct it")
    # Of scraped pages, some texts have control characters, which no file of labels may hold.
    text = without_controls(value or "")
    if not text.strip():
        raise UserError(f"{where}: the text is empty; remove the row")
    return _whole(text, where)


def _beside(name: str, value: object, where: str) -> str:
    """A cell that tells what stands around a text; a neighbour is kept as texts are."""
    cell = _cell(value, where)
    if cell and isinstance(value, str) and name.startswith("text_"):
        cell = value
    return without_controls(cell)


def _cell(value: object, where: str) -> str:
    """A label or group as it is written; "" for none.

    pandas stores whole numbers beside an empty cell as floats: 1.0 → "1".
    """
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (float, Decimal)) and isfinite(value) and value == int(value):
        value = int(value)
    if not isinstance(value, (str, int, float, Decimal)):
        raise UserError(f"{where}: {value!r} is neither a string nor a number")
    return _whole(str(value).strip(), where)


def unlisted(value: object) -> object:
    """A list of texts, which may be written as a text, as a cell of labels; else the value.

    >>> unlisted(["trade", "law"]), unlisted("['law']"), unlisted([]), unlisted("[sic]")
    ('trade;law', 'law', 'none', '[sic]')
    """
    items = value
    if isinstance(value, str) and value.startswith("["):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            items = literal_eval(value)
    if isinstance(items, list) and all(isinstance(each, str) for each in items):
        return join_cell(items) or NONE_CELL
    return value


def label_text(value: object) -> str:
    """A value as the text that a label would be; "" for numbers and objects."""
    return cell_text(unlisted(value)).strip()


def _whole(text: str, where: str) -> str:
    """A text that a file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: has half of a letter (a lone surrogate); correct it") from None
    return text
