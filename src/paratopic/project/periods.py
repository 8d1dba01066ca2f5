"""Values that rows are divided by: those of a column, or periods that follow from dates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date

# Periods that follow from the column date → number of its characters that name one.
PERIODS = {"year": 4, "month": 7, "date": 10}
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
        period_of = {start: start if _is_period(start, name) else UNKNOWN for start in set(starts)}
        return [period_of[start] for start in starts]
    return [_written(cell) or UNKNOWN for cell in columns.get(name, [""] * n)]


def _is_period(text: str, name: str) -> bool:
    """Whether a text is a period in ISO form.

    >>> _is_period("2025-09", "month"), _is_period("2025-02-30", "date")
    (True, False)
    """
    if len(text) != PERIODS[name] or not _ISO.fullmatch(text):
        return False
    try:
        date.fromisoformat(f"{text}-01-01"[: PERIODS["date"]])
    except ValueError:
        return False
    return True


def _written(cell: object) -> str:
    """A cell as a string, "" where it has no value: NaN is not itself, and other marks no value."""
    return str(cell) if isinstance(cell, (str, int, float, date)) and cell == cell else ""
