"""Separators, titles and headers of tables, and the values of cells."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.chart import BarChart, Reference

from paratopic.bulk.formats import format_of
from paratopic.tables.sheets import cell_parser, read_sheet


@pytest.mark.parametrize(
    "text",
    [
        "text;label\nTariffs, rose;trade\nTalks;security\n",
        "text|label\nTariffs, rose|trade\nTalks|security\n",
        "sep=;\ntext;label\nTariffs, rose;trade\nTalks;security\n",
        "Survey of 2025;\n;\ntext;label\nTariffs, rose;trade\nTalks;security\n",
        "Survey, of 2025\n\ntext;label\nTariffs, rose;trade\nTalks;security\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_titles_are_found_by_the_rows(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding=encoding)
    (chunk,) = format_of(path).read(path, "text", [])
    assert chunk.texts == ["Tariffs, rose", "Talks"] and chunk.errors == [None, None]
    columns, rows = read_sheet(path, [])
    assert columns == ["text", "label"]
    assert rows[0] == (
        f"{path}, row {text[: text.index('Tariffs')].count(chr(10)) + 1}",
        {"text": "Tariffs, rose", "label": "trade"},
    )


def test_a_comma_in_a_header_and_a_long_cell_are_text(tmp_path: Path) -> None:
    path, long = tmp_path / "t.csv", "x" * 200_000
    path.write_text(f"text, in full;label\n{long}, and more;trade\nTalks;b\n", encoding="utf-8")
    columns, rows = read_sheet(path, [])
    assert columns == ["text, in full", "label"] and rows[0][1]["label"] == "trade"
    path.write_text("text\nTalks\nTariffs rose; again\nTalks; and, more; talks\n")
    assert read_sheet(path, []).columns != ["Tariffs rose", " again"]


def test_hidden_sheets_and_titles_of_workbooks(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["an", "old", "table"])
    book.active.sheet_state = "hidden"
    sheet = book.create_sheet("new")
    for row in (["Survey"], ["text", "year", "label"], ["Tariffs rose", 1, "b"], ["Talks", 2]):
        sheet.append(row)
    book.active = 1
    book.save(tmp_path / "t.xlsx")
    columns, rows = read_sheet(tmp_path / "t.xlsx", [])
    assert columns == ["text", "year", "label"] and rows[0][0].endswith("t.xlsx, row 3")
    talks = {"text": "Talks", "year": "2", "label": ""}
    assert read_sheet(tmp_path / "t.xlsx", ["label"]).rows[1][1] == talks
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=1, min_row=1, max_row=3))
    book.create_chartsheet("chart", 0).add_chart(chart)
    book.save(tmp_path / "t.xlsx")
    assert read_sheet(tmp_path / "t.xlsx", []).columns == columns


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "", "-20"], [1, None, -20]),
        (["1.50", "2.25"], [1.5, 2.25]),
        (["1.1", "1.10"], ["1.1", "1.10"]),  # sections, say
        (["007", "9"], ["007", "9"]),
        (["1", "n/a"], ["1", "n/a"]),
        (["1234567890123456"], ["1234567890123456"]),
        (["2024-02-29"], [date(2024, 2, 29)]),
        (["2023-02-29"], ["2023-02-29"]),
        (["2024-02-29 10:30"], [datetime(2024, 2, 29, 10, 30)]),
        (["2024", "2024-02-29"], ["2024", "2024-02-29"]),
        (["1e5", "+1", "٣"], ["1e5", "+1", "٣"]),
        (["", ""], ["", ""]),
    ],
)
def test_numbers_and_dates_are_read_where_all_cells_are(
    cells: list[str], values: list[object]
) -> None:
    assert list(map(cell_parser(cells), cells)) == values


@given(
    st.lists(
        st.text("0123456789.-: T", max_size=12) | st.from_regex(r"\d{4}-\d\d-\d\d"), max_size=4
    )
)
def test_different_cells_stay_different(cells: list[str]) -> None:
    read = cell_parser(cells)
    assert len({read(cell) for cell in cells}) == len(set(cells))
