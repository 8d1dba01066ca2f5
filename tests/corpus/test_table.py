"""The paragraph table, and labels joining it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from paratopic.corpus.table import labelled_rows, read_paragraphs, targets_of, write_paragraphs
from paratopic.labels.answers import read_labels
from paratopic.labels.join import join_labels
from paratopic.labels.log import first_words
from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from paratopic.reading.article import frame_of, paragraphs_of
from paratopic.reading.tables import read_labelled_table
from tests.samples import plain_article

ONE = plain_article("one", "Trade\n\nTariffs rose on all goods.\n\nThe navy sailed.\n\nIt rained.")
TWO = plain_article("two", "Security news\n\nTroops crossed the border at night.")


@pytest.fixture
def frame() -> pd.DataFrame:
    return frame_of([*paragraphs_of(ONE), *paragraphs_of(TWO)])


def labels_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(["paragraph,topics,text", *lines]), encoding="utf-8")
    return path


def test_hand_labels_win_and_headings_serve_unlabelled_articles(
    tmp_path: Path, frame: pd.DataFrame, topics: Topics
) -> None:
    ids = list(frame["id"])
    path = labels_file(tmp_path, f"{ids[0]},security;trade,Tariffs", f"{ids[1]},,The navy")
    joined, messages = join_labels(frame, read_labels(path), topics)
    assert joined["topics"].tolist() == [["security", "trade"], [], None, ["security"]]
    assert joined["label_source"].tolist() == ["hand", "hand", "none", "heading"]
    assert messages == []
    assert labelled_rows(joined, "single").set_index("id")["topic"].to_dict() == {
        ids[0]: "security",
        ids[1]: "",
        ids[3]: "security",
    }


def test_undecided_lines_are_no_labels(tmp_path: Path, frame: pd.DataFrame, topics: Topics) -> None:
    path = labels_file(tmp_path, f"{frame['id'][0]},?,Tariffs")
    joined, _ = join_labels(frame, read_labels(path), topics)
    # No hand label at all: the article's heading speaks for its three paragraphs.
    assert joined["label_source"].tolist() == ["heading"] * 4


def test_the_same_label_twice_is_one(tmp_path: Path, topics: Topics) -> None:
    path = labels_file(tmp_path, "a:1,trade,x", "a:1,trade,x")
    assert len(read_labels(path)) == 1


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            ["a:1,trade,x", "b:1,,y", "a:1,security,x"],
            r'line 4: a:1 is labelled "security", but .*line 2 labels it "trade"',
        ),
        (["a:1"], r"line 2: a line needs"),
        ([",trade,x"], r"line 2: a line needs"),
        (["a:1,trade,The talks, and more"], r"line 2: more cells than columns"),
    ],
)
def test_labels_that_are_refused(
    tmp_path: Path, topics: Topics, lines: list[str], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        read_labels(labels_file(tmp_path, *lines))


def test_a_labels_file_without_its_columns_or_missing(tmp_path: Path, topics: Topics) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("paragraph;topics\na:1;trade", encoding="utf-8")
    with pytest.raises(UserError, match=r'line 1: there is no column "paragraph"'):
        read_labels(path)
    with pytest.raises(UserError, match=r"nothing.csv not found"):
        read_labels(tmp_path / "nothing.csv")


def test_an_unknown_topic_is_named_by_line(
    tmp_path: Path, frame: pd.DataFrame, topics: Topics
) -> None:
    path = labels_file(tmp_path, f"{frame['id'][0]},tradee,Tariffs")
    with pytest.raises(UserError, match=r'labels.csv, line 2: unknown topic "tradee" .*"trade"'):
        join_labels(frame, read_labels(path), topics)


def test_a_label_whose_paragraph_changed_is_named_with_the_nearest(
    tmp_path: Path, frame: pd.DataFrame, topics: Topics
) -> None:
    path = labels_file(tmp_path, "one:0123456789,trade,Tariffs rose on most goods")
    with pytest.raises(UserError) as caught:
        join_labels(frame, read_labels(path), topics)
    assert "labels.csv, line 2: one:0123456789" in str(caught.value)
    assert f'nearest now: {frame["id"][0]} "Tariffs rose on all goods."' in str(caught.value)


def test_labels_of_a_renamed_article_are_an_error_of_an_absent_one_a_message(
    tmp_path: Path, frame: pd.DataFrame, topics: Topics
) -> None:
    path = labels_file(tmp_path, "old name:0123456789,trade,Tariffs rose on")
    with pytest.raises(UserError, match=f"nearest now: {frame['id'][0]}"):
        join_labels(frame, read_labels(path), topics)
    path = labels_file(tmp_path, "gone:0123456789,another list's topic,Nothing like it")
    _, messages = join_labels(frame, read_labels(path), topics)
    assert messages == ["1 labels left aside: their article gone is not among the sources"]


def test_parquet_keeps_none_and_no_topic_apart(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame["topics"] = pd.Series([["trade", "security"], [], None, None], dtype=object)
    path = tmp_path / "paragraphs.parquet"
    write_paragraphs(frame, path)
    first = path.read_bytes()
    read = read_paragraphs(path)
    assert read["topics"].tolist() == [["trade", "security"], [], None, None]
    write_paragraphs(read, path)
    assert path.read_bytes() == first


TABLE = pd.DataFrame(
    {
        "text": ["Tariffs, up.", "Chips", "Tariffs, up.", "Rain"],
        "label": ["trade", "technology", "trade", "other"],
        "group": [1, 1, 2, 2],
        "more": [0, 0, 0, 0],
    }
)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_labelled_tables_of_each_kind(tmp_path: Path, topics: Topics, suffix: str) -> None:
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


def test_rows_of_a_table_without_groups_are_articles_of_their_own(
    tmp_path: Path, topics: Topics
) -> None:
    path = tmp_path / "set.csv"
    path.write_text("text,label\nTariffs,trade\nChips,\n", encoding="utf-8")
    frame = read_labelled_table(path, topics, [])
    assert frame["article"].tolist() == frame["id"].tolist()
    assert frame["label_source"].tolist() == ["hand", "none"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("text,topic\na,trade\n", r'there is no column "label".*this one has text, topic'),
        ("text,label\na,trade\n,trade\n", r"set.csv, row 2: the text is empty"),
        ("text,label\na,trad\n", r'set.csv, row 1: unknown topic "trad"'),
        ("", r"set.csv cannot be read as csv"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, topics: Topics, content: str, told: str) -> None:
    path = tmp_path / "set.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=told):
        read_labelled_table(path, topics, [])


def test_first_words() -> None:
    assert first_words("short") == "short"
    assert first_words("aaaa bbbb cccc", 10) == "aaaa bbbb"
    assert first_words("a" * 20, 10) == "a" * 10


def test_no_labelled_row_has_no_topic(frame: pd.DataFrame) -> None:
    rows = labelled_rows(frame[:0], "multi")
    assert targets_of(rows, ["trade", "security"]).shape == (0, 2)
