"""Values that rows are divided by: those of a column, or periods that follow from dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

# Periods that follow from the column date → number of its characters that name one.
PERIODS = {"year": 4, "month": 7, "date": 10}
# In place of a value that is not known.
UNKNOWN = "(unknown)"


def values_by(columns: Mapping[str, Sequence[object]], name: str, n: int) -> list[str]:
    """Value of each of n rows, `UNKNOWN` where it has none.

    >>> values_by({"date": ["2025-09-15", None]}, "month", 2)
    ['2025-09', '(unknown)']

    Parameters
    ----------
    columns
        The rows' columns.
    name
        A column, or one of `PERIODS`, which follow from the column date where no column has their
        name.
    n
        Number of rows.
    """
    if name in PERIODS and (name not in columns or name == "date"):
        size = PERIODS[name]
        days = [_written(cell)[:size] for cell in columns.get("date", [""] * n)]
        return [day if len(day) == size else UNKNOWN for day in days]
    return [_written(cell) or UNKNOWN for cell in columns.get(name, [""] * n)]


def _written(cell: object) -> str:
    """A cell as a string, "" where it has no value: NaN is not itself, and other marks no value."""
    return str(cell) if isinstance(cell, (str, int, float, date)) and cell == cell else ""
