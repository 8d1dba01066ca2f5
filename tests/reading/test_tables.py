"""Labelled tables from elsewhere become rows of the paragraph table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from paratopic.reading.tables import read_labelled_table

TABLE = pd.DataFrame(
    {
        "text": ["Tariffs, up.", "Chips", "Tariffs, up.", "Rain"],
        "label": ["trade", "technology", "trade", "other"],
        "group": [1, 1, 2, 2],
        "more": [0, 0, 0, 0],
    }
)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_csv_jsonl_and_parquet_give_the_same_rows(
    tmp_path: Path, topics: Topics, suffix: str
) -> None:
    path = tmp_path / f"set.{suffix}"
    match suffix:
        case "csv":
            TABLE.to_csv(path, index=False)
        case "jsonl":
            TABLE.to_json(path, orient="records", lines=True)
        case "parquet":
            TABLE.to_parquet(path)
    frame = read_labelled_table(path, topics, ["other"])
    assert frame["text"].tolist() == TABLE["text"].tolist()
    assert frame["topics"].tolist() == [["trade"], ["technology"], ["trade"], []]
    assert frame["article"].tolist() == ["set/1", "set/1", "set/2", "set/2"]
    assert frame["id"].is_unique and frame["id"][2] == frame["id"][0] + "-2"


def test_rows_without_a_group_are_articles_of_their_own(tmp_path: Path, topics: Topics) -> None:
    path = tmp_path / "set.csv"
    path.write_text("text,label\nTariffs,trade\nChips,\n", encoding="utf-8")
    frame = read_labelled_table(path, topics, [])
    assert frame["article"].tolist() == frame["id"].tolist()
    assert frame["label_source"].tolist() == ["hand", "none"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,topic\na,trade\n", r'there is no column "label".*this one has text, topic'),
        ("text,label\na,trade\n,trade\n", r"set.csv, row 2: the text is empty"),
        ("text,label\na,trad\n", r'set.csv, row 1: unknown topic "trad"'),
        ("", r"set.csv cannot be read as csv"),
    ],
)
def test_a_bad_table_is_refused_with_its_row_or_column(
    tmp_path: Path, topics: Topics, content: str, message: str
) -> None:
    path = tmp_path / "set.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_labelled_table(path, topics, [])
