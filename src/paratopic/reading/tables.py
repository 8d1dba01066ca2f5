"""Labelled tables from elsewhere (CSV, .xlsx, JSON lines, parquet) → rows of the paragraph table.

A table is read as it is: its texts are neither cut into paragraphs nor searched for headings. Its
other columns become fields of the rows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from paratopic.corpus.duplicates import components
from paratopic.corpus.table import SCHEMA
from paratopic.project.cells import find_separator
from paratopic.project.errors import UserError
from paratopic.project.files import decode, without_controls
from paratopic.project.passages import BESIDE
from paratopic.project.topics import Topics, split_cell
from paratopic.project.workbook import read_workbook
from paratopic.reading.article import number_repeats, paragraph_id
from paratopic.reading.metadata import DATE, ID, cleaned, iso_date

# Name of a column → its values.
Columns = dict[str, list[object]]

REQUIRED = "text", "label"
# Column that tells how a labelled row was chosen → what was drawn.
DRAWN, DRAWS = "drawn", {"": "", "1": "paragraph", "article": "article"}
# Columns that tell what stands around a text, beside the group that it is in: its place in the
# group, or its neighbours themselves.
OPTIONAL = ("group", "position", *BESIDE, DRAWN)


def read_labelled_table(
    path: Path, topics: Topics, no_topic: Sequence[str], former: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read a labelled table: columns text, label and those of `OPTIONAL` that it has.

    Rows of the same group become one article. Without that column each row is an article, unless
    its neighbours say which rows stand next to each other.

    Parameters
    ----------
    path
        A .csv, .xlsx, .jsonl or .parquet file. In CSV, cells are separated by commas, semicolons or
        tabs.
    topics
        The codebook. A label is a topic, or several as in labels.csv, the dominant one first. An
        empty label leaves the row unlabelled.
    no_topic
        Labels that mean none of the topics.
    former
        Names that topics had before the codebook changed, which labels may still have; none by
        default.

    Returns
    -------
    The rows of the paragraph table, and their fields: the table's other columns that have a value,
    as text, null where a row has none. `id` is left out, and so are lists and objects.

    Raises
    ------
    UserError
        The file cannot be read, a column is missing, a text is empty, a label is unknown, or a
        position is no number or is there twice in a group.
    """
    columns = _read_columns(path)
    texts: list[str] = []
    answers: list[list[str] | None] = []
    for number, (text, label) in enumerate(
        zip(columns["text"], columns["label"], strict=True), start=1
    ):
        where = f"{path}, row {number}"
        texts.append(_text(text, where))
        answers.append(_answer(_cell(label, where), topics, no_topic, former, where))
    beside = {
        name: [
            _beside(name, value, f"{path}, row {number}")
            for number, value in enumerate(columns[name], start=1)
        ]
        for name in OPTIONAL
        if name in columns
    }
    none = [""] * len(texts)
    before, after = (beside.get(f"text_{side}", none) for side in ("preceding", "following"))
    ids = number_repeats(paragraph_id(path.stem, text) for text in texts)
    groups = beside.get("group") or _runs(texts, before, after)
    articles = [
        f"{path.stem}/{group}" if group else id_ for id_, group in zip(ids, groups, strict=True)
    ]
    table = {
        "id": ids,
        "article": articles,
        "title": beside.get("title", none),
        "heading": beside.get("heading", none),
        "position": _positions(path, articles, beside),
        "ordered": "position" in beside,
        "text": texts,
        "before": before,
        "after": after,
        "topics": answers,
        "label_source": ["none" if answer is None else "hand" for answer in answers],
        "trust": 1.0,
        "draw": _draws(path, beside, none),
        "weight": np.nan,
    }
    return pd.DataFrame(table, columns=SCHEMA.names), _fields(columns)


def _fields(columns: Columns) -> pd.DataFrame:
    """The fields of the rows, as text on one line."""
    fields: dict[str, list[str | None]] = {}
    for column, values in columns.items():
        name = cleaned(column)
        if column in (*REQUIRED, *OPTIONAL) or name in ("", ID):
            continue
        texts = list(map(_field, values))
        if name == DATE:
            texts = [iso_date(text) or text for text in texts]
        if any(texts):
            fields[name] = [text or None for text in texts]
    return pd.DataFrame(fields, index=range(len(columns["text"])), dtype="str")


def _field(value: object) -> str:
    """A cell as it is written; "" for none, and for a list or an object."""
    if isinstance(value, bool):
        return str(value).lower()
    return cleaned(value) if isinstance(value, str) else ""


def _positions(
    path: Path, articles: Sequence[str], beside: Mapping[str, Sequence[str]]
) -> Sequence[int]:
    """Position of each row in its group, or its number in the table if there is no such column."""
    if "position" not in beside:
        return range(len(articles))
    if "group" not in beside:
        raise UserError(f"{path}: the column position needs a column group, in which it counts")
    positions: dict[tuple[str, int], int] = {}
    for number, (article, cell) in enumerate(
        zip(articles, beside["position"], strict=True), start=1
    ):
        where = f"{path}, row {number}"
        if not re.fullmatch(r"-?\d{1,18}", cell):
            raise UserError(f"{where}: the position is {cell!r}, not a whole number")
        first = positions.setdefault((article, int(cell)), number)
        if first != number:
            raise UserError(f"{where}: row {first} of its group has the position {cell} too")
    return [position for _, position in positions]


def _draws(path: Path, beside: Mapping[str, Sequence[str]], none: Sequence[str]) -> Sequence[str]:
    """What was drawn of each row: "paragraph", "article" or "" for not known."""
    draws = []
    for number, cell in enumerate(beside.get(DRAWN, none), start=1):
        if cell not in DRAWS:
            raise UserError(
                f'{path}, row {number}: drawn is "{cell}"; write 1 if the row was drawn at random, '
                "article if its whole group was, or leave it empty"
            )
        draws.append(DRAWS[cell])
    return draws


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
    for row, (text, next_text) in enumerate(zip(texts, after, strict=True)):
        if next_text and (next_text, text) in row_of:  # each is next to the other
            edges.append((row, row_of[next_text, text]))
    if not edges:
        return [""] * len(texts)
    row, column = np.array(edges, dtype=np.int64).T
    runs = components(row, column, len(texts))
    sizes = np.bincount(runs)
    return [f"run-{run}" if sizes[run] > 1 else "" for run in runs.tolist()]


def _once(texts: Sequence[str]) -> dict[str, int]:
    """The texts that are there once, with their places."""
    counts = Counter(texts)
    return {text: place for place, text in enumerate(texts) if counts[text] == 1 and text}


def _answer(
    cell: str, topics: Topics, no_topic: Sequence[str], former: Collection[str], where: str
) -> list[str] | None:
    """The topics that a label stands for, the dominant one first; None for an unlabelled row."""
    if cell in no_topic:
        return []
    names = split_cell(cell)
    topics.check((name for name in names if name not in former), where)
    return list(names) if cell else None


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
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UserError(f"{where}: {value!r} is neither a string nor a number")
    return _whole(str(value).strip(), where)


def _whole(text: str, where: str) -> str:
    """A text that a file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: has half of a letter (a lone surrogate); correct it") from None
    return text


def _read_columns(path: Path) -> Columns:
    columns = LOADERS[path.suffix.lower()](path)
    for column in REQUIRED:
        if column not in columns:
            raise UserError(
                f'{path}: there is no column "{column}"; a labelled table has text, label and, '
                f"optionally, {', '.join(OPTIONAL)} (this one has {', '.join(columns)})"
            )
    return columns


def _read_csv(path: Path) -> Columns:
    text = decode(_read_bytes(path), str(path))
    try:
        # The header is read as a row: pandas would rename a second column of the same name, and
        # take the first column for row names where the other rows have one more cell.
        table = pd.read_csv(
            StringIO(text),
            sep=find_separator(text, "text"),
            header=None,
            dtype=str,
            na_filter=False,
        )
    except ValueError as error:  # a ParserError, say
        raise _unreadable(path, error) from None
    return _by_name(path, table.to_numpy().tolist())


def _read_xlsx(path: Path) -> Columns:
    numbers, rows = zip(*read_workbook(path), strict=True)
    for number, row in zip(numbers, rows, strict=True):
        if len(row) > len(rows[0]):
            raise UserError(f"{path}, row {number} of the sheet: has a cell outside all columns")
    return _by_name(path, rows)


def _by_name(path: Path, rows: Sequence[Sequence[object]]) -> Columns:
    """The columns of rows, the first of which is the header."""
    header, *others = rows
    if len(set(header)) < len(header):
        names = ", ".join(map(str, header))
        raise UserError(f"{path}: has two columns of the same name ({names})")
    return {str(name): [row[place] for row in others] for place, name in enumerate(header)}


def _read_jsonl(path: Path) -> Columns:
    rows: list[dict[str, object]] = []
    # Not `splitlines`, which ends lines at characters that JSON has within strings.
    for number, line in enumerate(decode(_read_bytes(path), str(path)).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_int=str, parse_float=str)  # as they are written
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: is not JSON ({error})") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: is not a JSON object")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _read_parquet(path: Path) -> Columns:
    try:
        file = pq.ParquetFile(BytesIO(_read_bytes(path)))
        schema = file.schema_arrow
        read = file.read([field.name for field in schema if _is_read(field)])
        columns: Columns = dict.fromkeys(schema.names, [])  # of the others, the names alone
        for name, column in zip(read.schema.names, read.columns, strict=True):
            is_own = name in (*REQUIRED, *OPTIONAL)
            columns[name] = column.to_pylist() if is_own else _as_texts(column)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _unreadable(path, error) from None
    names = _label_names(schema)
    if names and "label" in columns:
        # Numbers of names, as data sets of Hugging Face have them; -1 is no label.
        by_number: dict[object, object] = {-1: None, **dict(enumerate(names))}
        columns["label"] = [by_number.get(label, label) for label in columns["label"]]
    return columns


def _is_read(field: pa.Field) -> bool:
    """Whether a column has a meaning of its own, or a simple type that is no bytes."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    is_simple = pa.types.is_primitive(kind) or pa.types.is_string(kind)
    is_simple |= pa.types.is_large_string(kind) or pa.types.is_decimal(kind)
    return field.name in (*REQUIRED, *OPTIONAL) or (is_simple and not is_bytes)


def _as_texts(column: pa.ChunkedArray) -> list[object]:
    """A column of a simple type as texts, with dates in ISO form; [] for one that has none."""
    try:
        texts: list[str | None] = column.cast(pa.string()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError):  # times of an unknown zone, say
        return []
    if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
        return [text and (iso_date(text) or text) for text in texts]
    return [None if text == "nan" else text for text in texts]


def _label_names(schema: pa.Schema) -> list[object]:
    """The names that numbers of labels stand for, if a file of Hugging Face's says so."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        return list(about["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return []


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: cannot be read as {path.suffix[1:]}: {str(error).strip()}")


# Suffix of a table → its reader.
LOADERS: dict[str, Callable[[Path], Columns]] = {
    ".csv": _read_csv,
    ".xlsx": _read_xlsx,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
