"""Labelled tables from elsewhere become rows of the paragraph table."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paratopic.project.errors import UserError
from paratopic.project.topics import Topics
from paratopic.project.workbook import write_workbook
from paratopic.reading.tables import read_labelled_table

TABLE = pd.DataFrame(
    {
        "text": ["Tariffs, up.", "Chips", "Tariffs, up.", "Rain"],
        "label": ["trade", "technology", "trade", "other"],
        "group": [1, 1, 2, 2],
        "more": [0, 0, 0, 0],
    }
)


@pytest.mark.parametrize("suffix", ["csv", "csv;", "csv\t", "xlsx", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, topics: Topics, suffix: str) -> None:
    path = tmp_path / f"set.{suffix.rstrip(';	')}"
    match suffix:
        case "csv":
            TABLE.to_csv(path, index=False)
        case "csv;" | "csv\t":
            TABLE.to_csv(path, index=False, sep=suffix[-1])
        case "xlsx":
            TABLE.to_excel(path, index=False)
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
        ("", r"set.csv: holds no text"),
        ("text,label\na,trade,b\n", r"set.csv: cannot be read as csv: .*Expected 2 fields"),
        ('text,label\n"a,trade\n', r"set.csv: cannot be read as csv: .*EOF inside string"),
        ("text,label,label\na,trade,\n", r"set.csv: has two columns of the same name"),
        ("text;topic\na,b;trade\n", r'there is no column "label".*this one has text, topic'),
        ("text,label\na,NA\n", r'set.csv, row 1: unknown topic "NA"'),
    ],
)
def test_a_bad_table_is_refused_with_its_row_or_column(
    tmp_path: Path, topics: Topics, content: str, message: str
) -> None:
    path = tmp_path / "set.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_labelled_table(path, topics, [])


def test_cells_stay_as_they_are_written(tmp_path: Path) -> None:
    codebook = Topics("single", ("1", "2", "NA", "007"))
    path = tmp_path / "set.csv"
    path.write_text("text,label,group\nNA,1,01\n007,,1.0\nnan,null,\nnull,007,NA\n")
    frame = read_labelled_table(path, codebook, ["null"])
    assert frame["text"].tolist() == ["NA", "007", "nan", "null"]
    assert frame["topics"].tolist() == [["1"], None, [], ["007"]]
    assert frame["article"].tolist() == ["set/01", "set/1.0", frame["id"][2], "set/NA"]


def test_a_cell_outside_the_columns_of_a_workbook_is_refused(
    tmp_path: Path, topics: Topics
) -> None:
    path = tmp_path / "set.xlsx"
    write_workbook(path, [["text", "label"], ["a", "trade"], ["b", "trade", None, "c"]])
    with pytest.raises(UserError, match=r"set\.xlsx, row 3 of the sheet: has a cell outside"):
        read_labelled_table(path, topics, [])


def test_numbers_of_jsonl_and_parquet(tmp_path: Path) -> None:
    codebook = Topics("single", ("1", "2"))
    jsonl, parquet = tmp_path / "a.jsonl", tmp_path / "b.parquet"
    jsonl.write_text('{"text": "a", "label": 1}\n\n{"text": "b\u2028", "label": null}\n')
    pd.DataFrame({"text": ["a", "b"], "label": [1, None]}).to_parquet(parquet)  # stored as 1.0
    for path in (jsonl, parquet):
        assert read_labelled_table(path, codebook, [])["topics"].tolist() == [["1"], None]


def test_numbers_of_names_in_parquet(tmp_path: Path, topics: Topics) -> None:
    path = tmp_path / "a.parquet"
    names = {"info": {"features": {"label": {"names": ["trade", "security"]}}}}
    table = pa.table({"text": ["a", "b", "c"], "label": [1, -1, 0]})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), path)
    frame = read_labelled_table(path, topics, [])
    assert frame["topics"].tolist() == [["security"], None, ["trade"]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, "line 2: is not JSON"),
        ("[1]", "line 2: is not a JSON object"),
        ('{"text": "a\\ud800", "label": null}', "row 2: has half of a letter"),
        ('{"text": ["a"], "label": null}', "row 2: the text is list, not a string"),
        ('{"text": "a", "label": [1]}', r"row 2: \['1'\] is neither a string nor a number"),
        ('{"text": "a", "label": true}', "row 2: True is neither"),
        ('{"label": "trade"}', "row 2: the text is empty"),
    ],
)
def test_bad_lines_are_refused_with_their_number(
    tmp_path: Path, topics: Topics, line: str, message: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "label": "trade"}\n' + line)
    with pytest.raises(UserError, match=rf"a\.jsonl, {message}"):
        read_labelled_table(path, topics, [])


def test_a_table_of_a_header_alone_has_no_rows(tmp_path: Path, topics: Topics) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n")
    assert read_labelled_table(path, topics, []).empty


def test_a_damaged_parquet_file_is_refused(tmp_path: Path, topics: Topics) -> None:
    path = tmp_path / "a.parquet"
    TABLE.to_parquet(path, compression=None)
    data = path.read_bytes()
    for damaged in (data[:100], data.replace(b"Tariffs", b"\xff\xff\xff\xff\xff\xff\xff"), b"PAR1"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.parquet: cannot be read as parquet: "):
            read_labelled_table(path, topics, [])
