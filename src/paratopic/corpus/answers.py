"""The table of answers: a row for each current answer about a paragraph, and what became of it.

Which answers count is decided in `labels.resolve`. Here they are kept, and joined to paragraphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from paratopic.corpus.table import read_columns, read_paragraphs, write_columns
from paratopic.project.paths import ANSWERS, PARAGRAPHS

SCHEMA = pa.schema(
    [
        ("paragraph", pa.string()),
        ("source", pa.string()),  # name of an annotator, a table or a weak source
        ("kind", pa.string()),  # person, table, rule, heading or model
        # What was answered, in today's names; empty: none of the topics.
        ("topics", pa.list_(pa.string())),
        ("certainty", pa.float64()),  # of the source in its answer, 0 to 1; null: it does not say
        # counts, outvoted (by other people), tie, overruled (by people; or, of a weak source, worth
        # nothing) or retired (it has a topic that is no more, and is to be given again)
        ("status", pa.string()),
        # The paragraph's label, in each of the rows that it is from; null where none counts.
        ("label", pa.list_(pa.string())),
        # How a paragraph that people answered on was drawn: "paragraph", "article"; "": not known.
        ("draw", pa.string()),
        # How many paragraphs it stands for, relative to one drawn at random; null: not known.
        ("weight", pa.float64()),
    ]
)
# Kinds of sources whose labels are by hand.
BY_HAND = ("person", "table")
# Where a label is from, in the column label_source → words for it.
LABEL_SOURCES = {"hand": "by hand", "weak": "by weak sources"}

# What a row has that says nothing else: it makes no label.
_USUAL = {"status": "overruled", "label": None, "draw": "", "certainty": np.nan, "weight": np.nan}


def answer_rows(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a table of answers; what a row leaves out is that of an answer without a label."""
    return pd.DataFrame([{**_USUAL, **row} for row in rows], columns=SCHEMA.names)


def with_labels(paragraphs: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Join the labels to the paragraph table.

    Returns
    -------
    The table with further columns: topics (the label: a list, empty for none of the topics; None
    for no label), label_source ("hand", "weak" or "none"), draw and weight (see `SCHEMA`).
    """
    labels = answers[answers["label"].notna()].drop_duplicates("paragraph").set_index("paragraph")
    labels = labels.reindex(paragraphs["id"]).set_axis(paragraphs.index)
    by_hand, is_labelled = labels["kind"].isin(BY_HAND), labels["kind"].notna()
    return paragraphs.assign(
        topics=labels["label"].astype(object).where(is_labelled, None),
        label_source=np.select([by_hand, is_labelled], ["hand", "weak"], "none"),
        draw=labels["draw"].fillna(""),
        weight=labels["weight"],
    )


def weak_answers_on(rows: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Select the answers of weak sources on n rows of the paragraph table.

    Returns
    -------
    Columns row (number of the row, from 0), source, topics and certainty, in the order of the rows.
    """
    weak = answers[~answers["kind"].isin(BY_HAND)]
    weak = weak.assign(row=pd.Index(rows["id"]).get_indexer(weak["paragraph"]))
    weak = weak[weak["row"] >= 0].sort_values("row", kind="stable", ignore_index=True)
    return weak[["row", "source", "topics", "certainty"]]


def write_answer_rows(answers: pd.DataFrame, path: Path) -> None:
    """Write a table of answers as parquet."""
    write_columns(answers, SCHEMA, path)


def read_answer_rows(path: Path) -> pd.DataFrame:
    """Read a table of answers; a UserError says that it is missing or damaged."""
    return read_columns(path, SCHEMA)


def read_labelled_paragraphs(root: Path = Path()) -> pd.DataFrame:
    """Read the paragraphs of a project with their labels; the current directory's by default."""
    return with_labels(read_paragraphs(root / PARAGRAPHS), read_answer_rows(root / ANSWERS))
