"""Tables of findings: of cells to read, for a terminal, a page and papers; and of numbers, as CSV.

The figures are those of `groups`. No file is read or written.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from paratopic.findings.groups import BORROWED, COUNT, Findings, abridged, short
from paratopic.project.errors import signed

# Shares by group have a column for each topic if there are at most so many.
MOST_ACROSS = 6
# Characters of a line of a group's name where there is little room.
NARROW = 16
# Characters that mean something to LaTeX, or that its oldest fonts lack; a bracket after the end of
# a line would be an option of it.
_TEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "[": "{[}",
        "−": "$-$",
    }
)


class Cells(NamedTuple):
    """A table to read: names of columns of words on the left and of figures, and rows of both."""

    words: Sequence[str]
    figures: Sequence[str]
    rows: Sequence[Sequence[str]]


def percent(share: float) -> str:
    """Write a share as a percentage, without its sign; what is there, but rare, is not 0.

    >>> percent(0.254), percent(0.001), percent(0.0)
    ('25', '<1', '0')
    """
    return "<1" if 1e-4 < share < 0.005 else f"{100 * share:.0f}"


def share_table(
    findings: Findings, columns: Sequence[str], *, across: bool = True, narrow: bool = False
) -> Cells:
    """Shares in per cent: "25 (18–34)".

    Parameters
    ----------
    columns
        Those that name the groups; none for all of the corpus.
    across
        Whether each group has one line, with a column for each topic. There is a line for each
        topic anyway if there is one group, or if topics are more than `MOST_ACROSS`.
    narrow
        Whether cells have two lines: intervals below shares, and long names of groups divided.
    """
    table, n_topics = findings.table, findings.table["topic"].nunique()
    line_end = "\n" if narrow else " "
    cells = [_share(row, line_end) for row in table.to_dict("records")]
    of = zip(table["labels"], table[findings.unit], strict=True)
    labels = [f"{n:,}{line_end}of {size:,}" for n, size in of]
    of_labels = f"effective{line_end}labels" if findings.is_effective else "labels"
    keys = [table[name] for name in columns]
    if narrow:
        keys = [key.map(lambda name: fill(abridged(name), NARROW)) for key in keys]
    if across and columns and n_topics <= MOST_ACROSS:
        of_topics = [cells[number::n_topics] for number in range(n_topics)]
        lines = [*(key[::n_topics] for key in keys), *of_topics, labels[::n_topics]]
        figures = [*map(short, table["topic"][:n_topics]), of_labels]
        return Cells(columns, figures, [*zip(*lines, strict=True)])
    rows = zip(*keys, table["topic"], cells, labels, strict=True)
    return Cells([*columns, "topic"], ["share", of_labels], [*rows])


def change_table(findings: Findings) -> Cells | None:
    """Differences and trends in points, a line for each topic; None if none has an interval."""
    changes = findings.changes[findings.changes["low"].notna()]
    cells = {(row["topic"], row["what"]): _change(row) for row in changes.to_dict("records")}
    topics, whats = (list(dict.fromkeys(changes[name])) for name in ("topic", "what"))
    rows = [[topic, *(cells.get((topic, what), "–") for what in whats)] for topic in topics]
    return Cells(["topic"], whats, rows) if rows else None


def number_table(findings: Findings) -> pd.DataFrame:
    """Shares, differences and trends as numbers, in one table.

    Returns
    -------
    Column what, "share", "difference" or "trend", and those of `Findings.table`. Of differences and
    trends, the first column that names groups has what is compared; share, low and high have the
    change.
    """
    shares, changes = findings.table, findings.changes
    if changes.empty:
        return shares.assign(what="share")[["what", *shares]]
    kind = np.where(findings.is_trend, "trend", "difference")
    changes = changes.assign(kind=kind).rename(columns={"change": "share"})
    changes = changes.rename(columns={"what": shares.columns[0], "kind": "what"})
    table = pd.concat([shares.assign(what="share"), changes], ignore_index=True)
    counts = [name for name in ("paragraphs", "articles", "labels") if name in table]
    return table[["what", *shares]].astype(dict.fromkeys(counts, "Int64"))


def as_text(shown: Mapping[str, Cells | None], notes: Sequence[str], suffix: str) -> str:
    """Write tables in Markdown, or as LaTeX that needs no package.

    Parameters
    ----------
    shown
        Title → table, None for no table. In LaTeX, titles are captions, and notes comments.
    suffix
        ".md" or ".tex".
    """
    write, line = (_markdown, _paragraph) if suffix == ".md" else (_latex, "% {}\n".format)
    parts = [write(title, table) for title, table in shown.items() if table]
    return "\n".join([*parts, "".join(map(line, notes))]).rstrip("\n") + "\n"


def _markdown(title: str, table: Cells) -> str:
    align = [":--"] * len(table.words) + ["--:"] * len(table.figures)
    rows = [
        [cell.replace("|", r"\|") for cell in row]
        for row in ([*table.words, *table.figures], align, *table.rows)
    ]
    return _paragraph(title) + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _paragraph(text: str) -> str:
    return text.replace("*", r"\*") + "\n\n"


def _latex(title: str, table: Cells) -> str:
    align = "l" * len(table.words) + "r" * len(table.figures)
    head, *rows = (
        " & ".join(cell.translate(_TEX) for cell in row) + r" \\"
        for row in ([*table.words, *table.figures], *table.rows)
    )
    begin = [r"\begin{table}", r"\centering", rf"\caption{{{title.translate(_TEX)}}}"]
    lines = [rf"\begin{{tabular}}{{{align}}}", r"\hline", head, r"\hline", *rows, r"\hline"]
    return "\n".join([*begin, *lines, r"\end{tabular}", r"\end{table}", ""])


def _share(row: Mapping[Hashable, Any], between: str) -> str:
    if row["share"] != row["share"]:  # NaN: nothing tells of it
        return "–"
    value, low, high = (percent(row[name]) for name in ("share", "low", "high"))
    if row["rests_on"] == COUNT:
        return f"{value}="
    if row["low"] == row["low"]:  # not NaN
        return f"{value}{between}({low}–{high})"
    return f"{value}{'*' if row['rests_on'] == BORROWED else ''}"


def _change(row: Mapping[Hashable, Any]) -> str:
    numbers = [100 * row[name] for name in ("change", "low", "high")]
    # Changes with each year are small: their intervals say something with two digits.
    digits = 1 if numbers[2] - numbers[1] >= 1 else 2
    change, low, high = (signed(number, digits) for number in numbers)
    return f"{change} ({low} to {high})" if row["low"] < row["high"] else change
