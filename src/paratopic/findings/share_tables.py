"""Tables of findings: cells for a terminal, a page and papers, and numbers for CSV files.

`groups` has the figures. This module reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from paratopic.findings.groups import BORROWED, COUNT, Findings, abridged, short_name
from paratopic.project.errors import signed

# With at most this number of topics, shares by group have a column for each topic.
MOST_ACROSS = 6
# Width of group names in narrow tables, in characters.
NARROW = 16
# Characters with a meaning in LaTeX, or without a glyph in its oldest fonts. LaTeX would read a
# bracket after the end of a line as an option.
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
    """A table of text: names of the columns of words and, to their right, of figures, and rows."""

    words: Sequence[str]
    figures: Sequence[str]
    rows: Sequence[Sequence[str]]


def percent(share: float) -> str:
    """Write a share as a percentage without a sign; only shares of practically 0 become "0".

    >>> percent(0.254), percent(0.001), percent(0.0)
    ('25', '<1', '0')
    """
    return "<1" if 1e-4 < share < 0.005 else f"{100 * share:.0f}"


def share_table(
    findings: Findings, columns: Sequence[str], *, across: bool = True, narrow: bool = False
) -> Cells:
    """Write shares in per cent, such as "25 (18–34)", and numbers of labels, such as "40 of 300".

    Parameters
    ----------
    columns
        Columns of the table that name the groups; none for the whole corpus.
    across
        Whether each group has one line, with a column for each topic, by default. False, no
        `columns`, or more than `MOST_ACROSS` topics give a line for each topic of a group.
    narrow
        Whether cells have two lines: intervals below shares, and long names of groups divided.
    """
    table, n_topics = findings.table, findings.table["topic"].nunique()
    separator = "\n" if narrow else " "
    cells = [_share_cell(row, separator) for row in table.to_dict("records")]
    sizes = zip(table["labels"], table[findings.unit], strict=True)
    labels = [f"{n:,}{separator}of {size:,}" for n, size in sizes]
    labels_title = f"effective{separator}labels" if findings.is_effective else "labels"
    keys = [table[name] for name in columns]
    if narrow:
        keys = [key.map(lambda name: fill(abridged(name), NARROW)) for key in keys]
    if across and columns and n_topics <= MOST_ACROSS:
        lines = [key[::n_topics].tolist() for key in keys]
        lines += [cells[number::n_topics] for number in range(n_topics)]
        lines.append(labels[::n_topics])
        figures = [*map(short_name, table["topic"][:n_topics]), labels_title]
        return Cells(columns, figures, [*zip(*lines, strict=True)])
    rows = zip(*keys, table["topic"], cells, labels, strict=True)
    return Cells([*columns, "topic"], ["share", labels_title], [*rows])


def change_table(findings: Findings) -> Cells | None:
    """Make a table of changes in percentage points: a row for each topic, a column for each change.

    Changes are the differences and trends of `findings`. One without an interval is "–". Topics and
    changes without any interval are left out; the result is None if nothing is left.
    """
    changes = findings.changes[findings.changes["low"].notna()]
    cells = {(row["topic"], row["what"]): _change_cell(row) for row in changes.to_dict("records")}
    names = list(dict.fromkeys(changes["what"]))
    rows = []
    for topic in dict.fromkeys(changes["topic"]):
        rows.append([topic, *(cells.get((topic, name), "–") for name in names)])
    return Cells(["topic"], names, rows) if rows else None


def number_table(findings: Findings) -> pd.DataFrame:
    """Join shares, differences and trends in one table of numbers.

    Its columns are what ("share", "difference" or "trend"), and those of `Findings.table`. In lines
    of a change, the first of these names the change, share, low and high have its size and
    interval, and all others but topic are missing values.
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
    """Write tables, and the notes below them, in Markdown (".md") or as LaTeX (".tex").

    `shown` maps titles to tables; an entry with None is left out with its title. LaTeX needs no
    package, has titles as captions, and notes below the first table.
    """
    tables = [(title, table) for title, table in shown.items() if table]
    if suffix == ".md":
        parts = [_markdown(title, table) for title, table in tables]
        parts.append("".join(map(_paragraph, notes)))
    else:
        below = [notes, *[()] * len(tables)]
        parts = [_latex(*table, lines) for table, lines in zip(tables, below, strict=False)]
    return "\n".join(parts).rstrip("\n") + "\n"


def _markdown(title: str, table: Cells) -> str:
    align = [":--"] * len(table.words) + ["--:"] * len(table.figures)
    text = _paragraph(title)
    for row in ([*table.words, *table.figures], align, *table.rows):
        cells = " | ".join(cell.replace("|", r"\|") for cell in row)
        text += f"| {cells} |\n"
    return text


def _paragraph(text: str) -> str:
    return text.replace("*", r"\*") + "\n\n"


def _latex(title: str, table: Cells, notes: Sequence[str]) -> str:
    align = "l" * len(table.words) + "r" * len(table.figures)
    head = _latex_row([*table.words, *table.figures])
    rows = map(_latex_row, table.rows)
    label = title.split()[0].lower()
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(title)}}}"]
    lines += [rf"\label{{tab:{label}}}", rf"\begin{{tabular}}{{{align}}}", r"\hline", head]
    lines += [r"\hline", *rows, r"\hline", r"\end{tabular}"]
    if notes:
        lines += ["", r"\medskip", r"\begin{minipage}{\linewidth}", r"\footnotesize"]
        lines += [rf"{_tex(note)}\par" for note in notes]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}", ""])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    """Escape a text; two hyphens, as before options, stay two."""
    return text.translate(_TEX).replace("--", "-{}-")


def _share_cell(row: Mapping[Hashable, Any], separator: str) -> str:
    """Write "25=" for a `COUNT`, "25 (18–34)" with an interval, "25*" if `BORROWED`, or else "25".

    The separator is before the interval. An unknown share is "–".
    """
    if np.isnan(row["share"]):
        return "–"
    share = percent(row["share"])
    if row["rests_on"] == COUNT:
        return f"{share}="
    if not np.isnan(row["low"]):
        return f"{share}{separator}({percent(row['low'])}–{percent(row['high'])})"
    return f"{share}*" if row["rests_on"] == BORROWED else share


def _change_cell(row: Mapping[Hashable, Any]) -> str:
    """Write a change in points, "+1.2 (−0.3 to +2.7)"; only "+1.2" if the interval has no width."""
    change, low, high = 100 * row["change"], 100 * row["low"], 100 * row["high"]
    # Changes per year are small, and narrow intervals need a second digit.
    digits = 1 if high - low >= 1 else 2
    text = signed(change, digits)
    if row["low"] < row["high"]:
        text += f" ({signed(low, digits)} to {signed(high, digits)})"
    return text
