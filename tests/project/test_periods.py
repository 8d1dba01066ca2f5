"""Values that rows are divided by."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest

from paratopic.project.periods import UNKNOWN, values_by

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
    # A column counts before a period of its name.
    columns: dict[str, list[Any]] = {"date": ["2025-09-15", "2025-09-15"], "year": [1999, None]}
    assert values_by(columns, "year", 2) == ["1999", UNKNOWN]
