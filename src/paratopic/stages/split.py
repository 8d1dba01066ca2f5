"""Stage split: the paragraph table → folds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from paratopic import corpus, errors, files
from paratopic.params import Split, read_params
from paratopic.splits import Folds, make_folds

PARAGRAPHS = Path("data/paragraphs.parquet")
FOLDS = Path("data/folds.parquet")
REPORT = Path("reports/split.json")


def split(frame: pd.DataFrame, params: Split, seed: int) -> Folds:
    """Deal the labelled paragraphs out."""
    return make_folds(
        corpus.labelled(frame), params.n_folds, params.n_repeats, params.holdout, seed
    )


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    folds = split(corpus.read_paragraphs(PARAGRAPHS), params.split, params.seed)
    with files.aside(FOLDS) as draft:
        folds.table.to_parquet(draft, index=False)
    report = {
        "split_unit": folds.split_unit,
        "n_folds": folds.n_folds,
        "n_repeats": folds.n_repeats,
        "groups": int(folds.table["group"].nunique()),
        "messages": list(folds.messages),
    }
    files.write_json(REPORT, report)
    print(
        f"{folds.n_repeats} × {folds.n_folds} folds of {report['groups']} units, "
        f"split by {folds.split_unit}"
    )
    for message in folds.messages:
        print(f"note: {message}")


if __name__ == "__main__":
    errors.run(main)
