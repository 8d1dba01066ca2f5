"""The paragraph table: its file, and its labelled rows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paratopic.corpus.table import (
    SCHEMA,
    evaluated,
    labelled_rows,
    read_paragraphs,
    targets_of,
    write_paragraphs,
)
from paratopic.project.topics import ModeName, Topics

NAMES = ("trade", "security")


@pytest.fixture
def frame() -> pd.DataFrame:
    """Four paragraphs, last id first: two topics, none of the topics, a weak and no label."""
    rows = [
        (f"a:{4 - n}", "a", "", n, f"Text {n}.", topics, source, 1.0)
        for n, (topics, source) in enumerate(
            [(["trade", "security"], "hand"), ([], "hand"), (["trade"], "heading"), (None, "none")]
        )
    ]
    return pd.DataFrame(rows, columns=SCHEMA.names)


def test_parquet_keeps_none_of_the_topics_and_no_label_apart(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    path = tmp_path / "paragraphs.parquet"
    write_paragraphs(frame, path)
    first = path.read_bytes()
    read = read_paragraphs(path)
    assert read["topics"].tolist() == [["trade", "security"], [], ["trade"], None]
    write_paragraphs(read, path)
    assert path.read_bytes() == first


@pytest.mark.parametrize(("mode", "counted"), [("single", ("trade",)), ("multi", NAMES)])
def test_labelled_rows_are_sorted_and_have_the_topics_that_count(
    frame: pd.DataFrame, mode: ModeName, counted: tuple[str, ...]
) -> None:
    rows = labelled_rows(frame, Topics(mode, NAMES))
    assert rows["id"].tolist() == ["a:2", "a:3", "a:4"]
    assert rows["topic"].tolist() == [("trade",), (), counted]


def test_hand_labels_are_evaluated_and_weak_ones_where_there_are_none(
    frame: pd.DataFrame,
) -> None:
    rows = labelled_rows(frame, Topics("single", NAMES))
    assert evaluated(rows).tolist() == [False, True, True]
    assert evaluated(rows[:1]).tolist() == [True]


def test_no_labelled_row_has_no_topic(frame: pd.DataFrame) -> None:
    rows = labelled_rows(frame[:0], Topics("multi", NAMES))
    assert targets_of(rows, NAMES).shape == (0, 2)
