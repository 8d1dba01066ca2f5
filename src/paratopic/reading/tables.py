"""Labelled tables (CSV, .xlsx, JSON lines, parquet) → paragraphs and raw votes.

Each row becomes one paragraph; its text is neither divided nor searched for headings. Columns that
no key of `project.source_settings.Source` names become fields of the rows.
"""

from __future__ import annotations

import logging
import re
from ast import literal_eval
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
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
from paratopic.reading.cells import clean_field, iso_date, without_controls
from paratopic.tables.readers import LOADERS, Columns, Table, cell_text

log = logging.getLogger(__name__)

# Suffixes of tables.
TABLES = tuple(LOADERS)

REQUIRED = "text", "label"
# Column that describes how a labelled row was drawn, and the meanings of its cells.
DRAWN, DRAWS = "drawn", {"": "", "1": "paragraph", "1.0": "paragraph", "article": "article"}
# Columns with the context of a text: its group and position, or its neighbours themselves.
OPTIONAL = ("group", "position", *CONTEXT_COLUMNS, DRAWN)
# Columns of raw votes: id of the paragraph, path of the table, the label as it is written, its
# topics, how the paragraph was drawn, and file and line for messages.
RAW_VOTE_COLUMNS = ("paragraph", "source", "cell", "topics", "draw", "where")
_Texts = Sequence[str]  # of the rows, in order


class LabelledTable(NamedTuple):
    """The content of a table.

    Parameters
    ----------
    paragraphs
        Rows of the paragraph table (`corpus.table.PARAGRAPHS_SCHEMA`).
    votes
        Raw votes, with the columns `RAW_VOTE_COLUMNS`: one for each row that has a label.
    fields
        The table's other columns that have a value, as text, null where a row has none.
    """

    paragraphs: pd.DataFrame
    votes: pd.DataFrame
    fields: pd.DataFrame


def read_labelled_table(
    path: Path, no_topic: Sequence[str], source: Source | None = None
) -> LabelledTable:
    """Read a labelled table: a paragraph for each row, and a raw vote for each row with a label.

    Rows of the same group become one article. Without groups, rows that are neighbours by their
    columns of neighbours become one article, and each other row is an article of its own.

    Parameters
    ----------
    path
        A .csv, .xlsx, .jsonl or .parquet file. Paragraph ids are its name without the suffix, a
        colon, and the row's own id or a digest of the text.
    no_topic
        Labels, as written, that mean none of the topics. "" and "?" leave the row without a label.
    source
        The meaning of columns and labels. By default, columns have the names of its keys, and
        labels are topics.

    Raises
    ------
    UserError
        The file cannot be read, a column is missing, a text is empty or no string, an id is missing
        or repeated, a position is no whole number, repeated or without groups, a cell of drawn is
        unknown, or a cell of another key is an object.
    """
    source = source or Source(str(path))
    typed = [source.columns[key] for key in REQUIRED if key in source.columns]
    table = read_table(path, typed)
    columns, locations = _by_key(table.columns, path, source), table.locations
    texts = list(map(_text, columns["text"], locations))
    context: dict[str, list[str]] = {}
    for name in OPTIONAL:
        if name in columns:
            cells = zip(columns[name], locations, strict=True)
            context[name] = [_context_cell(name, cell, where) for cell, where in cells]
    if "id" in columns:
        ids = [f"{path.stem}:{id_}" for id_ in _row_ids(path, columns["id"], locations)]
    else:
        ids = number_repeats(paragraph_id(path.stem, text) for text in texts)
    frame = _paragraph_rows(path, ids, texts, context, locations)
    empty = [""] * len(ids)
    drawn = ["1"] * len(ids) if source.random else context.get(DRAWN, empty)
    draws = list(map(_draw, drawn, locations))
    labels = map(_cell, map(join_list, columns.get("label", empty)), locations)
    votes = []
    for id_, cell, draw, where in zip(ids, labels, draws, locations, strict=True):
        topics = source.label_topics(cell)
        if topics is not None:
            votes.append((id_, str(path), cell, [] if cell in no_topic else topics, draw, where))
    return LabelledTable(frame, pd.DataFrame(votes, columns=RAW_VOTE_COLUMNS), _fields(columns))


def _paragraph_rows(
    path: Path, ids: _Texts, texts: _Texts, context: Mapping[str, _Texts], locations: _Texts
) -> pd.DataFrame:
    """The rows of the paragraph table; `context` contains the columns `OPTIONAL` that exist.

    An article is "FILE/" with the group or run of its rows, or else the id of its only row. Without
    a column position, position is the row's index, from 0, and ordered is False. Positions that are
    repeated, without groups or no whole numbers raise a UserError.
    """
    empty = [""] * len(texts)
    before, after = context.get("text_preceding", empty), context.get("text_following", empty)
    groups = context.get("group") or _run_names(texts, before, after)
    named = zip(ids, groups, strict=True)
    articles = [f"{path.stem}/{group}" if group else id_ for id_, group in named]
    rows = {"title": empty, "heading": empty, **context, "before": before, "after": after}
    rows |= {"id": ids, "article": articles, "text": texts}
    frame = pd.DataFrame(rows, columns=PARAGRAPHS_SCHEMA.names).assign(boilerplate=False)
    frame["ordered"], frame["position"] = "position" in context, range(len(texts))
    if "position" in context:
        if "group" not in context:
            raise UserError(f"{path}: the column position needs a column group, in which it counts")
        frame["position"] = _positions(articles, context["position"], locations)
    return frame


def read_table(path: Path, typed: Collection[str] = ()) -> Table:
    """Read a file with a suffix of `LOADERS`.

    The columns `typed` keep their types in parquet. Others become texts, but lists of texts or
    whole numbers stay, and bytes and objects are empty. A `UserError` reports a file that cannot be
    read or that has two columns of the same name.
    """
    return LOADERS[path.suffix.lower()](path, typed)


def _by_key(columns: Columns, path: Path, source: Source) -> Columns:
    """Name the columns by their keys in `source`. Columns without a key keep their names.

    A column with the name of a key that stands for another column or none is dropped. Case and
    outer blanks of such names do not matter. A UserError reports repeated columns, and missing ones
    that `source` names or that have the texts or labels.
    """
    refuse_repeated(str(path), list(map(clean_field, columns)))
    columns = _with_key_spelling(columns, source)
    for key, name in source.columns.items():
        if name not in columns and (key in source.named or key in REQUIRED):
            or_none = ", or null for a table without labels" if key == "label" else ""
            raise UserError(
                f'{path}: there is no column "{name}" for {key}; this table has '
                f"{', '.join(columns)}. Name the right one in prepare.sources: "
                f"{{path: {path}, {key}: COLUMN}}{or_none}"
            )
    by_key = {key: columns[name] for key, name in source.columns.items() if name in columns}
    used = {*source.columns.values(), *KEYS}
    return by_key | {name: values for name, values in columns.items() if name not in used}


def _with_key_spelling(columns: Columns, source: Source) -> Columns:
    """Rename columns that differ from a key only in case or blanks; none if two match one key."""
    plain = {name: clean_field(name).casefold() for name in columns.keys() - source.named.values()}
    key_of = {name: key for name, key in plain.items() if key in KEYS and key not in columns}
    if len({*key_of.values()}) < len(key_of):
        return columns
    return {key_of.get(name, name): values for name, values in columns.items()}


def _row_ids(path: Path, values: Sequence[object], locations: _Texts) -> list[str]:
    """The rows' own ids, as text on one line; a `UserError` if one is missing or repeated."""
    hint = f"correct it, or write `{{path: {path}, id: null}}` in prepare.sources to go without ids"
    location_of: dict[str, str] = {}
    for value, where in zip(values, locations, strict=True):
        id_ = clean_field(_cell(value, where))
        if not id_:
            raise UserError(f"{where}: has no id; {hint}")
        if id_ in location_of:
            raise UserError(f'{where}: the id "{id_}" is that of {location_of[id_]} too; {hint}')
        location_of[id_] = where
    return list(location_of)


def _fields(columns: Columns) -> pd.DataFrame:
    """The columns that no key but date names, as text on one line; empty ones are left out.

    A cell that is empty, a list or an object is null. Dates get ISO form if they can be read.
    """
    fields: dict[str, list[str | None]] = {}
    for column, values in columns.items():
        name = clean_field(column)
        if column in (*REQUIRED, *OPTIONAL) or name in ("", "id"):
            continue
        # The text of a list or an object is "".
        texts = list(map(clean_field, map(cell_text, values)))
        if name == "date":
            texts = [iso_date(text) or text for text in texts]
        if any(texts):
            fields[name] = [text or None for text in texts]
    return pd.DataFrame(fields, index=range(len(columns["text"])), dtype="str")


def _positions(articles: _Texts, cells: _Texts, locations: _Texts) -> list[int]:
    """The positions as int; a UserError if one is no whole number, or repeated in its article."""
    positions: dict[tuple[str, int], str] = {}
    for article, cell, where in zip(articles, cells, locations, strict=True):
        if not re.fullmatch(r"-?\d{1,18}", cell):
            raise UserError(f"{where}: the position is {cell!r}, not a whole number")
        first = positions.setdefault((article, int(cell)), where)
        if first != where:
            raise UserError(f"{where}: {first} is of its group and has the position {cell} too")
    return [position for _, position in positions]


def _draw(cell: str, where: str) -> str:
    """How a row was drawn: as "paragraph", with its "article", or "" if it is not known."""
    if cell not in DRAWS:
        raise UserError(
            f'{where}: drawn is "{cell}"; write 1 if the row was drawn at random, article if its '
            "whole group was, or leave it empty"
        )
    return DRAWS[cell]


def _run_names(texts: _Texts, before: _Texts, after: _Texts) -> list[str]:
    """Name of the run of each row, such as "run-3"; "" for a row in no run.

    A run consists of rows that are neighbours, or that have a neighbour in common. A text that
    recurs, in rows or on one side of them, connects no rows, unless two rows name each other.
    """
    rows, preceding, following = _unique_rows(texts), _unique_rows(before), _unique_rows(after)
    edges = []
    for first, second in ((preceding, rows), (following, rows), (preceding, following)):
        edges += [(row, second[text]) for text, row in first.items() if text in second]
    row_of = {pair: row for row, pair in enumerate(zip(texts, before, strict=True))}
    for row, pair in enumerate(zip(after, texts, strict=True)):
        if pair[0] and pair in row_of:  # the rows name each other
            edges.append((row, row_of[pair]))
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    runs = components(ends[:, 0], ends[:, 1], len(texts))
    sizes = np.bincount(runs)
    return [f"run-{run}" if sizes[run] > 1 else "" for run in runs.tolist()]


def _unique_rows(texts: _Texts) -> dict[str, int]:
    """Text → its row, for texts that occur once."""
    counts = Counter(texts)
    return {text: row for row, text in enumerate(texts) if counts[text] == 1 and text}


def _text(value: object, where: str) -> str:
    """A text without control characters; a `UserError` if it is blank, no string or no UTF-8."""
    if value is not None and not isinstance(value, str):
        raise UserError(f"{where}: the text is {type(value).__name__}, not a string; correct it")
    # Scraped texts may have control characters, which a file of labels must not contain.
    text = without_controls(value or "")
    if not text.strip():
        raise UserError(f"{where}: the text is empty; remove the row")
    return _encodable(text, where)


def _context_cell(name: str, value: object, where: str) -> str:
    """A cell of the columns `OPTIONAL`. Neighbours keep their white space, as texts do."""
    cell = _cell(value, where)
    if cell and isinstance(value, str) and name.startswith("text_"):
        cell = value
    return without_controls(cell)


def _cell(value: object, where: str) -> str:
    """A label or group as stripped text, "" for None or NaN; a UserError for a list or an object.

    pandas stores whole numbers as floats in a column with empty cells: 1.0 → "1". True → "true".
    """
    if value is None or value != value:  # NaN
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (float, Decimal)) and isfinite(value) and value == int(value):
        value = int(value)
    if not isinstance(value, (str, int, float, Decimal)):
        raise UserError(f"{where}: {value!r} is neither a string nor a number")
    return _encodable(str(value).strip(), where)


def join_list(value: object) -> object:
    """Join a list of texts to a cell of labels, also if it is written as text; else the value.

    >>> join_list(["trade", "law"]), join_list("['law']"), join_list([]), join_list("[sic]")
    ('trade;law', 'law', 'none', '[sic]')
    """
    items = value
    if isinstance(value, str) and value.startswith("["):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            items = literal_eval(value)
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        return join_cell(items) or NONE_CELL
    return value


def label_text(value: object) -> str:
    """The text of a value if it were a label; "" for numbers and objects."""
    return cell_text(join_list(value)).strip()


def _encodable(text: str, where: str) -> str:
    """Return a text; a `UserError` if no file can contain it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: has half of a letter (a lone surrogate); correct it") from None
    return text
