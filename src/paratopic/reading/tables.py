"""Labelled tables from elsewhere (CSV, JSON lines, parquet) → rows of the paragraph table.

A table is read as it is: its texts are neither cut into paragraphs nor searched for headings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from paratopic.corpus.table import SCHEMA
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from paratopic.reading.article import number_repeats, paragraph_id

if TYPE_CHECKING:
    import datasets

# Suffix of a table → name of its loader in `datasets`.
LOADERS = {".csv": "csv", ".jsonl": "json", ".parquet": "parquet"}

REQUIRED, OPTIONAL = ("text", "label"), ("group",)


def read_labelled_table(path: Path, topics: Topics, no_topic: Sequence[str]) -> pd.DataFrame:
    """Read a labelled table: columns text, label and, optionally, group.

    Rows of the same group become one article. Without that column each row is an article.

    Parameters
    ----------
    path
        A .csv, .jsonl or .parquet file.
    topics
        The codebook. A label is a topic, or several as in labels.csv, the dominant one first. An
        empty label leaves the row unlabelled.
    no_topic
        Labels that mean none of the topics.

    Raises
    ------
    UserError
        The file cannot be read, a column is missing, a text is empty or a label is unknown.
    """
    columns = _read_columns(path)
    texts: list[str] = []
    answers: list[list[str] | None] = []
    for number, (text, label) in enumerate(zip(columns["text"], columns["label"], strict=True)):
        where = f"{path}, row {number + 1}"
        texts.append(_text(text, where))
        answers.append(_answer(label, topics, no_topic, where))
    ids = number_repeats(paragraph_id(path.stem, text) for text in texts)
    groups = columns.get("group", [None] * len(ids))
    articles = [
        id_ if group is None else f"{path.stem}/{group}"
        for id_, group in zip(ids, groups, strict=True)
    ]
    rows = {
        "id": ids,
        "article": articles,
        "heading": "",
        "position": range(len(ids)),
        "text": texts,
        "topics": answers,
        "label_source": ["none" if answer is None else "hand" for answer in answers],
    }
    return pd.DataFrame(rows, columns=SCHEMA.names)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: the text is empty; remove the row")
    return value


def _answer(label: object, topics: Topics, no_topic: Sequence[str], where: str) -> list[str] | None:
    """The topics that a label stands for, the dominant one first; None for an unlabelled row."""
    cell = "" if label is None else str(label).strip()
    if cell in no_topic:
        return []
    return list(topics.parse(cell, where)) if cell else None


def _read_columns(path: Path) -> dict[str, list[object]]:
    """The columns of a labelled table; labels that are stored as numbers become their names."""
    # Imported here because it takes seconds, and only labelled tables need it.
    import datasets

    table = _load(path)
    for column in REQUIRED:
        if column not in table.column_names:
            raise UserError(
                f'{path}: there is no column "{column}"; a labelled table has text, label and, '
                f"optionally, group (this one has {', '.join(table.column_names)})"
            )
    names = [name for name in (*REQUIRED, *OPTIONAL) if name in table.column_names]
    columns: dict[str, list[object]] = table.select_columns(names).to_dict()
    feature = table.features["label"]
    if isinstance(feature, datasets.ClassLabel):
        columns["label"] = [
            None if number is None else feature.names[number] for number in columns["label"]
        ]
    return columns


def _load(path: Path) -> datasets.Dataset:
    import datasets

    datasets.disable_progress_bars()
    try:
        # In a cache folder of its own, so that no copy of the table stays behind on the machine.
        with tempfile.TemporaryDirectory() as cache:
            return datasets.load_dataset(
                LOADERS[path.suffix.lower()],
                data_files=str(path),
                split="train",
                cache_dir=cache,
                keep_in_memory=True,
            )
    except Exception as error:  # datasets passes on whatever its readers raise
        cause = error.__cause__ or error
        raise UserError(f"{path} cannot be read as {path.suffix[1:]}: {cause}") from None
