"""Workbooks that are written, and workbooks of other programs that are read."""

from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape
from openpyxl.worksheet.worksheet import Worksheet

from paratopic.project.errors import UserError
from paratopic.tables import workbook
from paratopic.tables.workbook import Tab, read_workbook, write_workbook

CELLS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["=1+1", "_x000A_", " a\n\tb ", "<c/>&amp;", "1.50", "\x00\x1f\r"])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=4))
def test_a_spreadsheet_finds_the_cells_that_were_written(
    tmp_path: Path, rows: list[list[object]]
) -> None:
    write_workbook(tmp_path / "out.xlsx", Tab(rows))
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
        write_workbook(tmp_path / name, Tab([["text", "sure"], ["a", True]]))
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()


def test_values_that_spreadsheets_do_not_support_become_text(tmp_path: Path) -> None:
    zoned = datetime(2025, 9, 15, 10, tzinfo=UTC)
    write_workbook(tmp_path / "out.xlsx", Tab([["a", "b", "c"], [zoned, date(1899, 1, 2), 10**15]]))
    assert read_workbook(tmp_path / "out.xlsx")[1] == (
        2,
        ["2025-09-15 10:00:00+00:00", "1899-01-02", "1000000000000000"],
    )


def test_a_text_that_no_cell_holds_is_refused(tmp_path: Path) -> None:
    write_workbook(tmp_path / "out.xlsx", Tab([["a" * 32_767]]))
    with pytest.raises(UserError, match=r"32,767 characters.*: aaa"):
        write_workbook(tmp_path / "out.xlsx", Tab([["a" * 32_768]]))


def saved(path: Path, *rows: list[object]) -> Worksheet:
    """Save a workbook as another program would."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    book.create_sheet("other").append(["of another sheet"])
    book.save(path)
    return sheet


def test_cells_are_read_as_they_are_shown(tmp_path: Path) -> None:
    saved(
        tmp_path / "in.xlsx",
        ["a", "b", "c", "d", None],
        [1, 1.0, 0.1 + 0.2, True],
        [],
        ["007", "two\nlines", date(2025, 9, 15), datetime(2025, 9, 15, 10, 30)],
        [None, " "],
        [1, 2, 3, 4, 5],
    )
    assert read_workbook(tmp_path / "in.xlsx") == [
        (1, ["a", "b", "c", "d"]),
        (2, ["1", "1", "0.3", "TRUE"]),
        (4, ["007", "two\nlines", "2025-09-15", "2025-09-15 10:30:00"]),
        (5, ["", " ", "", ""]),
        (6, ["1", "2", "3", "4", "5"]),
    ]


def test_errors_empty_results_and_ids_with_zeros(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = saved(tmp_path / "in.xlsx", ["text", "label", "id"], ["=T(1)", "#N/A", 123])
    assert sheet.parent is not None
    sheet["C2"].number_format = "00000"
    sheet.parent.save(tmp_path / "in.xlsx")
    with zipfile.ZipFile(tmp_path / "in.xlsx") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    # As a spreadsheet stores the result "".
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b'<c r="A2">', b'<c r="A2" t="str">')
    with zipfile.ZipFile(tmp_path / "in.xlsx", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert read_workbook(tmp_path / "in.xlsx")[1:] == [(2, ["", "", "00123"])]
    assert caplog.messages == [
        f"{tmp_path / 'in.xlsx'}, row 2: #N/A (1 error in all, read as empty cells)"
    ]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=4))
def test_texts_are_read_as_they_were_written(tmp_path: Path, rows: list[list[str]]) -> None:
    write_workbook(tmp_path / "out.xlsx", Tab([["a", "b"], *rows]))
    read = [cells for _, cells in read_workbook(tmp_path / "out.xlsx")]
    assert read == [["a", "b"], *(row for row in rows if any(row))]


def test_files_that_are_no_workbook_or_too_large_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "in.xlsx"
    saved(path)
    whole = path.read_bytes()
    for content, message in (
        (whole, "the first sheet has no cells"),
        (whole[:-30], "is not a whole workbook"),
        (b"text\na\n", "is not a whole workbook"),
        (b"\xd0\xcf\x11\xe0\xa1", "is encrypted, or an old .xls"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"in\.xlsx: {message}"):
            read_workbook(path)
    with pytest.raises(UserError, match=r"gone\.xlsx cannot be read: No such file"):
        read_workbook(tmp_path / "gone.xlsx")
    sheet = saved(path, ["text"])
    sheet["XFD2"] = "far away"
    assert sheet.parent is not None
    sheet.parent.save(path)
    monkeypatch.setattr(workbook, "MOST_CELLS", 16_000)
    with pytest.raises(UserError, match="16,000 cells"):
        read_workbook(path)
    monkeypatch.setattr(workbook, "MOST_BYTES", 1_000)
    with pytest.raises(UserError, match="1,000 bytes"):
        read_workbook(path)
