"""Labelled tables for the benchmarks: reading them, and drawing few labels from them."""

from __future__ import annotations

import glob
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

RESULTS = Path("benchmarks/results")


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
    """A few labels and what they are tested on."""

    train: pd.DataFrame
    test: pd.DataFrame


def read(pattern: str, leave_out: Sequence[str] = ()) -> Table:
    """Read a parquet file, or all files that a glob matches as one table.

    Columns text and label; group (rows that belong together) and split (train, test) if present.
    """
    paths = [Path(path) for path in sorted(glob.glob(pattern))]
    if not paths:
        raise SystemExit(f"{pattern}: no such file")
    rows = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    rows["label"] = rows["label"].astype(str)
    unknown = set(leave_out) - set(rows["label"])
    if unknown:
        raise SystemExit(f"{pattern}: no label {', '.join(sorted(unknown))} to leave out")
    rows = rows[~rows["label"].isin(leave_out)].reset_index(drop=True)
    own = pd.Series([f"row {n}" for n in range(len(rows))])
    group = rows["group"].astype(str) if "group" in rows else own
    split = rows["split"] if "split" in rows else pd.Series("", index=rows.index)
    stem = Path(pattern).stem.replace("*", "").strip("_-")
    name = stem + "".join(f" without {label}" for label in leave_out)
    columns = {"text": rows["text"], "label": rows["label"], "group": group, "split": split}
    return Table(name, pd.DataFrame(columns))


def draw(table: Table, shots: int, seed: int, test_rows: int) -> Draw:
    """Draw `shots` rows of each class, and at most `test_rows` of each class to test on.

    A class gives at most half of its rows. Where the table has no split, no group is on both
    sides.
    """
    rng = np.random.default_rng([seed, shots])
    rows = table.rows.iloc[rng.permutation(len(table.rows))]
    pool = rows[rows["split"] != "test"]
    most = (pool["label"].value_counts() // 2).clip(upper=shots)
    place = pool.groupby("label").cumcount()
    train = pool[place < pool["label"].map(most)]
    if (rows["split"] == "test").any():
        rest = rows[rows["split"] == "test"]
    else:
        rest = rows[~rows.index.isin(train.index) & ~rows["group"].isin(train["group"])]
    test = rest[rest.groupby("label").cumcount() < test_rows]
    return Draw(train.sort_index(), test.sort_index())


def machine(*packages: str) -> dict[str, object]:
    """What the figures were measured on: processor, threads and versions."""
    threads = os.environ.get("OMP_NUM_THREADS")
    return {
        "machine": platform.machine(),
        "cores": int(threads) if threads else len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    } | {package: version(package) for package in packages}
