"""Labelled tables for the benchmarks: reading them, and drawing few labels from them."""

from __future__ import annotations

import ast
import glob
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

# Number of rows, at most, to test on in their natural shares.
NATURAL = 1500


@dataclass(frozen=True)
class Table:
    """A labelled table.

    Parameters
    ----------
    name
        Its files' stem, and what was left out.
    rows
        Columns text, label, group and split (``"train"``, ``"test"`` or ``""``).
    """

    name: str
    rows: pd.DataFrame

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, sorted."""
        return tuple(sorted(set(self.rows["label"])))


@dataclass(frozen=True)
class Draw:
    """A few labels, what they are tested on, and rows without their labels.

    Parameters
    ----------
    train
        Rows with few labels of each class.
    natural
        Rows to test on, at most `NATURAL`, in which classes are as frequent as in the table.
    capped
        Rows to test on, of which each class has a number at most.
    pool
        Rows whose labels nobody is to read, in which classes are as frequent as in the table.
    """

    train: pd.DataFrame
    natural: pd.DataFrame
    capped: pd.DataFrame
    pool: pd.DataFrame


def read(
    pattern: str, leave_out: Sequence[str] = (), column: str = "label", most: int | None = None
) -> Table:
    """Read a parquet file, or all files that a glob matches as one table.

    Columns text and label; group (rows that belong together) and split (train, test) if present.

    Parameters
    ----------
    pattern
        File or glob.
    leave_out
        Labels to leave out.
    column
        Column with the labels; "label" by default. It may have lists of labels.
    most
        Number of the most frequent labels to keep, of lists: a row gets the rarest of its own, so
        that classes are skewed. None, the default, for a column with one label a row.
    """
    paths = [Path(path) for path in sorted(glob.glob(pattern))]
    if not paths:
        raise SystemExit(f"{pattern}: no such file")
    rows = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    rows["label"] = rows[column].astype(str) if most is None else rarest(rows[column], most)
    rows = rows[rows["label"].notna()].reset_index(drop=True)
    unknown = set(leave_out) - set(rows["label"])
    if unknown:
        raise SystemExit(f"{pattern}: no label {', '.join(sorted(unknown))} to leave out")
    rows = rows[~rows["label"].isin(leave_out)].reset_index(drop=True)
    own = pd.Series([f"row {n}" for n in range(len(rows))])
    # Where a table says which rows are to test on, its rows are taken for texts of their own.
    grouped = "group" in rows and "split" not in rows
    group = rows["group"].astype(str) if grouped else own
    split = rows["split"] if "split" in rows else pd.Series("", index=rows.index)
    stem = Path(pattern).stem.replace("*", "").strip("_-")
    stem += "" if column == "label" else f" {column}"
    name = stem + "".join(f" without {label}" for label in leave_out)
    columns = {"text": rows["text"], "label": rows["label"], "group": group, "split": split}
    return Table(name, pd.DataFrame(columns))


def rarest(cells: pd.Series, most: int) -> pd.Series:
    """The rarest label of each list, of so many most frequent ones; None where there is none."""
    lists = [ast.literal_eval(cell) if isinstance(cell, str) else list(cell) for cell in cells]
    count = Counter(label for labels in lists for label in set(labels))
    rank = {label: -place for place, (label, _) in enumerate(count.most_common(most))}
    known = [[label for label in labels if label in rank] for labels in lists]
    return pd.Series(
        [min(labels, key=rank.__getitem__, default=None) for labels in known], index=cells.index
    )


def draw(table: Table, shots: int, seed: int, test_rows: int, unlabelled: int = 0) -> Draw:
    """Draw `shots` rows of each class, rows to test on, and others to learn from without labels.

    Where the table has no split, a third of its groups is to test on. A class gives at most half of
    the other rows.

    Parameters
    ----------
    table
        The labelled table.
    shots
        Number of labels of each class, at most.
    seed
        Seed of the order in which rows are taken.
    test_rows
        Number of rows of each class in `Draw.capped`, at most.
    unlabelled
        Number of rows in `Draw.pool`, at most.
    """
    rng = np.random.default_rng([seed, shots])
    rows = table.rows.iloc[rng.permutation(len(table.rows))]
    tests = rows["split"] == "test"
    if not tests.any():
        groups = rows["group"].unique()
        tests = rows["group"].isin(rng.choice(groups, len(groups) // 3, replace=False))
    known, rest = rows[~tests], rows[tests]
    most = (known["label"].value_counts() // 2).clip(upper=shots)
    few = known.groupby("label").cumcount() < known["label"].map(most)
    capped = rest[rest.groupby("label").cumcount() < test_rows]
    parts = known[few], rest[:NATURAL], capped, known[~few][:unlabelled]
    return Draw(*(part.sort_index() for part in parts))


def markdown(lines: Sequence[Mapping[str, Any]], columns: Mapping[str, str] | None = None) -> str:
    """Lines as a table in Markdown.

    Parameters
    ----------
    lines
        Name → value; nothing is shown for None and NaN.
    columns
        Head of a column → format of its cells, such as ``"{n} {drawn}"``; by default the values are
        shown as they are, below the names of the first line.
    """
    if columns is None:
        rows = [[str(line[name]) for name in lines[0]] for line in lines]
    else:
        rows = [[_cell(line, form) for form in columns.values()] for line in lines]
    head = [*(columns or lines[0])]
    out = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join([out[0], "|" + "---|" * len(head), *out[1:]])


def _cell(line: Mapping[str, Any], form: str) -> str:
    names = [name for _, name, _, _ in Formatter().parse(form) if name]
    values = [line.get(name) for name in names]
    return form.format_map(line) if all(x is not None and x == x for x in values) else ""


def with_error(values: pd.Series, digits: int = 1, sign: str = "+") -> str:
    """Mean and, of several values, its standard error: "+2.0 ± 0.6"; nothing of none."""
    known = values.dropna().to_numpy(dtype=np.float64)
    if not len(known):
        return ""
    error = known.std(ddof=1) / len(known) ** 0.5 if len(known) > 1 else None
    more = "" if error is None else f" ± {error:.{digits}f}"
    return f"{known.mean():{sign}.{digits}f}{more}"
