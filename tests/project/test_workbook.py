"""Workbooks that are written: what a spreadsheet finds in them, and the same bytes each time."""

from __future__ import annotations

from pathlib import Path

import openpyxl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape

from paratopic.project.workbook import length, write_workbook

CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["=1+1", "_x000A_", " a\n\tb ", "<c/>&amp;", "1.50", "\x00\x1f\r"])
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=4))
def test_a_spreadsheet_finds_the_cells_that_were_written(
    tmp_path: Path, rows: list[list[object]]
) -> None:
    write_workbook(tmp_path / "out.xlsx", rows)
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").worksheets[0]
    read = [list(row) for row in sheet.iter_rows()] if rows else []
    for row, cells in zip(rows, read, strict=True):
        for value, cell in zip(row, cells, strict=False):
            assert cell.data_type != "f"
            match value:
                case bool() | None:
                    assert cell.value is value
                case str():
                    assert unescape(cell.value or "") == value
                case int() if abs(value) < 10**15:
                    assert cell.value == value
                case float() if value == value and abs(value) != float("inf"):
                    assert cell.value == value
                case _:
                    assert cell.value == str(value)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.xlsx", "two.xlsx"):
        write_workbook(tmp_path / name, [["text", "sure"], ["a", True]])
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()


def test_an_emoji_counts_as_two_characters() -> None:
    assert length("né 🙂") == 5
