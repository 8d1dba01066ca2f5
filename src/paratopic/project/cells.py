"""Cells of tables that people open in a spreadsheet, which runs some of them as formulas."""

from __future__ import annotations

import re

# Beginning of a cell that a spreadsheet may run, or that `inert` has already changed. In East Asian
# spreadsheets full-width signs count too.
_FORMULA = re.compile(r"[\s']*[-=+@\t\r＝＋－＠]")


def inert(cell: str) -> str:
    """Keep a spreadsheet from running a cell as a formula; `live` gives the cell back.

    One apostrophe is put before it, also where there is one already. See
    https://owasp.org/www-community/attacks/CSV_Injection.

    Examples
    --------
    >>> [inert(cell) for cell in ("=1+1", "1 + 1", "'=1+1")]
    ["'=1+1", '1 + 1', "''=1+1"]
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def live(cell: str) -> str:
    """Give back the cell that `inert` was called with.

    >>> live("'=1+1"), live("1 + 1")
    ('=1+1', '1 + 1')
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
