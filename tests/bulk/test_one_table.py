"""Prediction into one table: its columns, its cells, and the limits of spreadsheets."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from paratopic.bulk import one_table
from paratopic.bulk.jobs import Job
from paratopic.bulk.one_table import predict_table
from paratopic.inference.model import Model
from paratopic.project.errors import SOME_ERRORS, UserError
from paratopic.tables.workbook import Tab, write_workbook
from tests.bulk.bulk_runs import predict, read_shards
from tests.documents import PAGE, save, write_table
from tests.programs import Cli

ADDED = ["predicted_topic", "confidence", "sure", "windows"]
ADDED += ["score_trade", "score_technology", "score_security", "text_language", "error"]


pytestmark = pytest.mark.usefixtures("small_shards")


def write(model: Model, inputs: Iterable[Path], out: Path) -> list[list[Any]]:
    """Predict into a table, and read its header and its rows, unless it is a parquet file."""
    predict_table(Job(model, list(inputs), "text"), out, lambda rows, share: None)
    if out.suffix == ".parquet":
        return []
    if out.suffix == ".xlsx":
        sheet = openpyxl.load_workbook(out).worksheets[0]
        return [list(row) for row in sheet.iter_rows(values_only=True)]
    with out.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    """An article, and a table of each format."""
    folder = tmp_path / "in"
    folder.mkdir()
    lines = [{"text": "a chip", "tags": ["x"], "n": 10**16}, {"text": 7, "n": 1.5}]
    when = pa.array([1, None], pa.timestamp("ns"))
    table = pa.table({"when": when, "text": ["the navy", "duty"], "n": [1, 2]})
    pq.write_table(table, folder / "c.parquet")
    return [
        save(folder, "news.html", PAGE),
        save(folder, "a.csv", "n,text\n007,a tariff\n=1+1,the army\nx,a chip,more\n9,é\n"),
        save(folder, "b.jsonl", "".join(json.dumps(line) + "\n" for line in lines)),
        folder / "c.parquet",
    ]


def test_one_csv_file_gives_the_bytes_of_its_shards(model: Model, tmp_path: Path) -> None:
    rows = 'n,text\n007,a tariff\n\'=1+1,the army\n-1,"a\r\nchip"\n4,=9\n,x,y\n'
    path = save(tmp_path, "in.csv", rows)
    predict(model, [path], tmp_path / "out")
    first, *others = read_shards(tmp_path / "out").values()
    shards = first + b"".join(shard.split(b"\n", 1)[1] for shard in others)
    write(model, [path], tmp_path / "answers.csv")
    assert (tmp_path / "answers.csv").read_bytes() == shards
    empty = save(tmp_path, "empty.csv", "n,text\n")
    assert write(model, [empty], tmp_path / "empty.out.csv") == [["n", "text", *ADDED]]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_all_rows_of_all_inputs_are_in_one_table(
    model: Model, inputs: list[Path], tmp_path: Path, suffix: str
) -> None:
    header, *rows = write(model, inputs, tmp_path / f"answers{suffix}")
    own = ["source", "id", "article", "heading", "position", "text", "title", "n", "tags", "when"]
    assert header == own + ADDED
    assert [row[0] for row in rows] == [str(inputs[i]) for i in (0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3)]
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    check_cells(cells, suffix)
    check_predictions(model, cells)


def check_cells(rows: list[dict[str, Any]], suffix: str) -> None:
    """Columns of the fixture `inputs` in a table with this suffix."""
    assert [row["tags"] or "" for row in rows[7:9]] == ['["x"]', ""]
    n, when = [row["n"] for row in rows[3:]], rows[9]["when"]
    texts = ["007", "'=1+1", "x", "9", "10000000000000000"]
    if suffix == ".xlsx":
        assert n == [*texts, 1.5, 1, 2] and when == datetime(1970, 1, 1)
        types = [type(rows[0][name]) for name in ("position", "sure", "score_trade")]
        assert types == [int, bool, float]
    else:
        assert n == [*texts, "1.5", "1", "2"] and when == "1970-01-01 00:00:00.000000001"


def check_predictions(model: Model, rows: list[dict[str, Any]]) -> None:
    """Predictions for the fixture `inputs`, in which two rows have an error."""
    assert [i for i, row in enumerate(rows) if row["error"]] == [5, 8]
    predictions = model.predict([str(row["text"]) for row in rows])
    for row, prediction in zip(rows, predictions, strict=True):
        if not row["error"]:
            assert (row["predicted_topic"] or None) == prediction.topic
            assert float(row["confidence"]) == prediction.confidence


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
def test_a_spreadsheet_gets_numbers_and_dates(model: Model, tmp_path: Path, suffix: str) -> None:
    """Numbers and dates of CSV are parsed, too, unless the column also has texts."""
    day, noon = date(2021, 1, 5), datetime(2021, 1, 5, 12)
    rows: list[tuple[object, ...]] = [
        ("id", "year", "mixed", "share", "day", "noon", "text"),
        ("007", 2021, 1, 0.5, day, noon, "a tariff"),
        ("012", None, "n/a", 1.25, None, noon, "the army"),
        ("x", 1999, 3, 2, day, noon, "a chip"),
    ]
    path = tmp_path / f"in{suffix}"
    if suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    elif suffix == ".xlsx":
        write_workbook(path, Tab(rows))
    else:
        table = pd.DataFrame(rows[1:], columns=list(rows[0]), dtype=object)
        write_table(table.astype({"mixed": str}), path)
    _, *written = write(model, [path], tmp_path / "out.xlsx")
    midnight = datetime(2021, 1, 5)
    mixed = [1, "n/a", 3] if suffix == ".xlsx" else ["1", "n/a", "3"]
    assert [row[:6] for row in written] == [
        ["007", 2021, mixed[0], 0.5, midnight, noon],
        ["012", None, mixed[1], 1.25, None, noon],
        ["x", 1999, mixed[2], 2, midnight, noon],
    ]
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").worksheets[0]
    assert sheet.freeze_panes == "A2"
    assert sheet["E2"].number_format == "yyyy-mm-dd"
    assert sheet.column_dimensions["E"].width > len(
        "2021-01-05"
    )  # a narrower cell would display ####


def test_one_parquet_table_of_all_inputs(model: Model, inputs: list[Path], tmp_path: Path) -> None:
    """A column that is text in one input and a number in another one is text in all."""
    more = save(tmp_path, "d.csv", b"n,text,year\n1,caf\xe9,2020\n=2,duty,2021\n")
    write(model, [*inputs, more], tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.names[0] == "source" and table.schema.names[-len(ADDED) :] == ADDED
    n = ["007", "=1+1", "x", "9", "10000000000000000", "1.5", "1", "2", "1", "=2"]
    assert table["n"].to_pylist() == [None, None, None, *n]
    assert table["year"].to_pylist() == [None] * 11 + [2020, 2021]
    assert table["text"].to_pylist()[-2:] == [r"caf\udce9", "duty"]
    assert str(table.schema.field("when").type) == "timestamp[ns]"


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_times_with_an_unknown_zone_are_refused(model: Model, tmp_path: Path, suffix: str) -> None:
    when = pa.array([datetime(2025, 9, 15)], pa.timestamp("us", "Foo/Bar"))
    pq.write_table(pa.table({"text": ["a tariff"], "when": when}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="times"):
        write(model, [tmp_path / "a.parquet"], tmp_path / f"out.{suffix}")


def test_too_many_rows_for_a_spreadsheet_are_refused_before_prediction(
    monkeypatch: pytest.MonkeyPatch, model: Model, inputs: list[Path], tmp_path: Path
) -> None:
    monkeypatch.setattr(one_table, "predict_chunk", None)
    monkeypatch.setattr(one_table, "MOST_ROWS", 10)
    message = r"10 rows .* name .*answers\.parquet, or a folder, such as .*answers$"
    with pytest.raises(UserError, match=message):
        write(model, inputs, tmp_path / "answers.xlsx")
    assert not list(tmp_path.glob("*answers*"))


def test_a_column_named_source_is_refused_with_several_inputs(
    model: Model, inputs: list[Path], tmp_path: Path
) -> None:
    path = save(tmp_path, "in.csv", "source,text\nReuters,a tariff\n")
    header, _ = write(model, [path], tmp_path / "answers.csv")
    assert header == ["source", "text", *ADDED]
    with pytest.raises(UserError, match="a column source"):
        write(model, [path, *inputs], tmp_path / "answers.csv")


def test_one_table_on_the_command_line(
    cli: Cli, model: Model, inputs: list[Path], tmp_path: Path
) -> None:
    out, folder = tmp_path / "answers.csv", tmp_path / "folder.csv"
    words = ["predict", "--model", model.folder, *inputs, "--out"]
    printed = cli(*words, out, status=SOME_ERRORS)
    assert printed.out.startswith(f"{out}: 11 rows from 4 files, 2 with an error\n")
    assert f"{inputs[0]}: skipped (byline): By Jane Doe, Reuters" in printed.err
    before = out.read_bytes()
    for more, message in (
        ([out, "--resume"], "--resume"),
        ([inputs[1]], "is one of the inputs"),
        ([inputs[1].parent / "nowhere" / ".." / inputs[1].name], "is one of the inputs"),
        ([tmp_path / "answers.jsonl"], "one table can be .csv, .xlsx, .parquet"),
    ):
        assert message in cli(*words, *more, status=1).out
    folder.mkdir()
    cli(*words, folder, status=SOME_ERRORS)
    assert len(read_shards(folder)) == 5
    assert out.read_bytes() == before
