"""The paragraph table and that of metadata: their files, the labelled rows, and periods."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paratopic.corpus.labelled import labelled_in, labelled_rows, read_labelled_paragraphs
from paratopic.corpus.table import (
    PARAGRAPHS_SCHEMA,
    UNKNOWN,
    column_values,
    passages_for,
    read_paragraphs,
    read_parquet,
    values_by,
    write_metadata,
)
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.passages import Passage
from paratopic.project.topics import ModeName, Topics
from tests.samples import paragraph_table, row_passages, write_labelled

NAMES = ("trade", "security")


@pytest.fixture
def frame() -> pd.DataFrame:
    """Four paragraphs, last id first: two topics, none of the topics, a weak and no label."""
    return paragraph_table(
        id=["a:4", "a:3", "a:2", "a:1"],
        text=[f"Text {n}." for n in range(4)],
        label=[["trade", "security"], [], ["trade"], None],
        label_source=["hand", "hand", "weak", "none"],
    )


def test_none_of_the_topics_and_no_label_differ(tmp_path: Path, frame: pd.DataFrame) -> None:
    written, paths = [], Paths(tmp_path)
    for _ in range(2):
        write_labelled(frame, tmp_path)
        written.append(
            [
                path.read_bytes()
                for path in (paths.paragraphs, paths.votes, paths.labels, paths.sample)
            ]
        )
        frame = read_labelled_paragraphs(paths)
    assert frame["label"].tolist() == [["trade", "security"], [], ["trade"], None]
    assert frame["label_source"].tolist() == ["hand", "hand", "weak", "none"]
    assert written[0] == written[1]


@pytest.mark.parametrize(("mode", "counted"), [("single", ("trade",)), ("multi", NAMES)])
def test_labelled_rows_are_sorted_and_have_the_topics_that_count(
    frame: pd.DataFrame, mode: ModeName, counted: tuple[str, ...]
) -> None:
    rows = labelled_rows(frame, Topics(mode, NAMES))
    assert rows["id"].tolist() == ["a:2", "a:3", "a:4"]
    assert rows["topic"].tolist() == [("trade",), (), counted]
    assert passages_for(frame, rows["id"]) == [Passage(text) for text in rows["text"]]


def test_only_hand_labels_are_evaluated(frame: pd.DataFrame) -> None:
    data = labelled_in(frame, Topics("single", NAMES))
    assert data.by_hand.tolist() == [False, True, True]
    assert data.hand_labelled.rows["id"].tolist() == ["a:3", "a:4"]
    assert data.measured(frame[:1]).targets.tolist() == [[True, False]]
    # There may be no labelled row.
    assert labelled_in(frame[:0], Topics("multi", NAMES)).targets.shape == (0, 2)
    # A topic may have been renamed between two stages.
    with pytest.raises(UserError, match="a:4 .*security.*codebook"):
        labelled_in(frame, Topics("single", ("trade", "army")))


def test_neighbours_are_those_of_the_next_positions_in_the_article() -> None:
    numbers = [3, 0, 4, 1, 2]
    frame = paragraph_table(
        text=[*(f"Text {n}." for n in numbers), "Another."],
        article=[*"aaaaa", "b"],
        position=[*(10 * n for n in numbers), 35],
        ordered=[True] * 6,
    )
    texts = [f"Text {n}." for n in range(5)]
    expected = {
        "Text 0.": Passage("Text 0.", (), texts[1:4]),
        "Text 1.": Passage("Text 1.", texts[:1], texts[2:5]),
        "Text 2.": Passage("Text 2.", texts[:2], texts[3:5]),
        "Text 3.": Passage("Text 3.", texts[:3], texts[4:]),
        "Text 4.": Passage("Text 4.", texts[1:4], ()),
        "Another.": Passage("Another."),
    }
    assert row_passages(frame) == [expected[text] for text in frame["text"]]
    # The passages are in the order of the given ids.
    assert passages_for(frame, frame["id"].iloc[[4, 1]]) == [
        expected["Text 2."],
        expected["Text 0."],
    ]


def test_rows_that_are_not_ordered_have_no_neighbours_and_are_none() -> None:
    frame = paragraph_table(text=["A.", "B.", "C.", "D."], ordered=[True, False, True, True])
    assert row_passages(frame) == [
        Passage("A.", (), ["C.", "D."]),
        Passage("B."),
        Passage("C.", "A.", "D."),
        Passage("D.", ["A.", "C."]),
    ]


def test_given_neighbours_are_read_and_lead_to_those_farther_away() -> None:
    """Rows that give each other's text are neighbours, even if they are not adjacent."""
    frame = paragraph_table(
        text=["C.", "A.", "B.", "E.", "Alone."],
        before=["B.", "Not in the table.", "A.", "D.", ""],
        after=["D.", "B.", "C.", "", ""],
    )
    assert row_passages(frame) == [
        # D is not in the table, so its neighbours are not known.
        Passage("C.", ("Not in the table.", "A.", "B."), ("D.",)),
        Passage("A.", ("Not in the table.",), ("B.", "C.", "D.")),
        Passage("B.", ("Not in the table.", "A."), ("C.", "D.")),
        Passage("E.", ("D.",)),
        Passage("Alone."),
    ]
    # A circle of neighbours ends at the most neighbours that are read.
    frame = paragraph_table(text=["A.", "B."], before=["B.", "A."], after=["B.", "A."])
    assert row_passages(frame) == [
        Passage("A.", ("B.", "A.", "B."), ("B.", "A.", "B.")),
        Passage("B.", ("A.", "B.", "A."), ("A.", "B.", "A.")),
    ]


def test_a_given_neighbour_of_another_article_or_of_one_side_only_leads_nowhere() -> None:
    frame = paragraph_table(
        text=["A.", "B.", "C.", "D."],
        article=["a", "b", "c", "c"],
        before=["", "A.", "Z.", "Y."],
        after=["B.", "C.", "D.", ""],
    )
    # B is in another article than A. D does not name C as its neighbour.
    assert row_passages(frame) == [
        Passage("A.", (), "B."),
        Passage("B.", "A.", "C."),
        Passage("C.", "Z.", "D."),
        Passage("D.", "Y."),
    ]


def test_fields_are_strings_or_null_whatever_their_names(tmp_path: Path) -> None:
    path = tmp_path / "metadata.parquet"
    names = [name for name in PARAGRAPHS_SCHEMA.names if name != "id"]
    frame = pd.DataFrame({"id": ["a", "b"]} | {name: ["007", None] for name in ("date", *names)})
    write_metadata(frame, path)
    assert set(pq.read_schema(path).types) == {pa.string()}
    first = path.read_bytes()
    read = read_parquet(path)
    assert list(read) == ["id", "date", *names]
    assert read["date"][0] == "007" and read.loc[1, ["date", *names]].isna().all()
    write_metadata(read, path)
    assert path.read_bytes() == first
    # There may be no field.
    write_metadata(pd.DataFrame({"id": ["a", "b"]}), path)
    assert read_parquet(path).to_dict("list") == {"id": ["a", "b"]}


def test_dates_that_are_years_are_in_no_month() -> None:
    rows = pd.DataFrame({"id": ["a", "b"], "article": ["a", "b"], "date": ["1971", "1972"]})
    assert column_values(rows, "year") == ["1971", "1972"]
    with pytest.raises(UserError, match="less exact than that; use --by year"):
        column_values(rows, "month")


DATES = ["2025-09-15", "2025", None, float("nan"), "", pd.NA, date(2024, 1, 2)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", ["2025", "2025", *[UNKNOWN] * 4, "2024"]),
        ("month", ["2025-09", *[UNKNOWN] * 5, "2024-01"]),
        ("date", ["2025-09-15", *[UNKNOWN] * 5, "2024-01-02"]),
        ("outlet", [UNKNOWN] * 7),
    ],
)
def test_periods_follow_from_dates(name: str, values: list[str]) -> None:
    assert values_by({"date": DATES}, name, 7) == values
    # A column takes precedence over a period of the same name.
    columns: dict[str, list[Any]] = {"date": ["2025-09-15", "2025-09-15"], "year": [1999, None]}
    assert values_by(columns, "year", 2) == ["1999", UNKNOWN]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 40])
def test_a_missing_or_damaged_table_of_a_stage_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "of_a_stage.parquet"
    for read in (read_paragraphs, read_parquet):
        with pytest.raises(UserError, match=r"of_a_stage\.parquet not found: run `dvc repro"):
            read(path)
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"of_a_stage\.parquet is damaged .*run `dvc repro`"):
            read(path)
        path.unlink()
