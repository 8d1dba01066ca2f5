"""What the cells of a column are."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.tables.sheets import reader_of


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
    assert list(map(reader_of(cells), cells)) == values


@given(
    st.lists(
        st.text("0123456789.-: T", max_size=12) | st.from_regex(r"\d{4}-\d\d-\d\d"), max_size=4
    )
)
def test_different_cells_stay_different(cells: list[str]) -> None:
    read = reader_of(cells)
    assert len({read(cell) for cell in cells}) == len(set(cells))
