"""Values that rows are divided by: those of a column, or periods that follow from dates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

# Periods that follow from the column date → number of its characters that tell which one it is.
PERIODS = {"decade": 4, "year": 4, "month": 7, "date": 10}
# In place of a value that is not known.
UNKNOWN = "(unknown)"
_ISO = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")


def values_by(columns: Mapping[str, Sequence[object]], name: str, n: int) -> list[str]:
    """Value of each of n rows, `UNKNOWN` where it has none.

    >>> values_by({"date": ["2025-09-15", None, "March 2025"]}, "month", 3)
    ['2025-09', '(unknown)', '(unknown)']

    Parameters
    ----------
    name
        A column, or one of `PERIODS`, which follow from the column date where no column has their
        name.
    """
    if name in PERIODS and (name not in columns or name == "date"):
        starts = [_written(cell)[: PERIODS[name]] for cell in columns.get("date", [""] * n)]
        return [_period(start, name) for start in starts]
    return [_written(cell) or UNKNOWN for cell in columns.get(name, [""] * n)]


@lru_cache(10_000)
def _period(start: str, name: str) -> str:
    """The period that the beginning of a date in ISO form is in.

    >>> _period("2025-09", "month"), _period("2025", "decade"), _period("2025-02-30", "date")
    ('2025-09', '2020s', '(unknown)')
    """
    try:
        date.fromisoformat(f"{start}-01-01"[: PERIODS["date"]])
    except ValueError:
        return UNKNOWN
    if len(start) != PERIODS[name] or not _ISO.fullmatch(start):
        return UNKNOWN
    return f"{start[:3]}0s" if name == "decade" else start


def _written(cell: object) -> str:
    """A cell as a string, "" where it has no value: NaN is not itself, and other marks no value."""
    return str(cell) if isinstance(cell, (str, int, float, date)) and cell == cell else ""
