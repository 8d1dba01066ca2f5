"""Stage score@MODEL: out-of-fold scores of every labelled paragraph, and what calibrates them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from paratopic import corpus, errors, files
from paratopic.calibration import calibrate
from paratopic.params import read_params
from paratopic.progress import bar
from paratopic.training import cross_validate, fitter, leads, n_fits

PARAGRAPHS = Path("data/paragraphs.parquet")
FOLDS = Path("data/folds.parquet")
SCORES = Path("data/oof")


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    topics = params.topics
    fit = fitter(name, topics, getattr(params, name))
    rows = corpus.labelled(corpus.read_paragraphs(PARAGRAPHS), topics.mode)
    folds = pd.read_parquet(FOLDS)
    started, total = time.monotonic(), n_fits(folds)
    with bar(f"{name}: fit", total) as advance:
        scores, history = cross_validate(rows, topics.names, folds, fit, params.seed, advance)
    if not leads():
        return
    place = pd.Index(rows["id"]).get_indexer(scores["id"])
    true, counts = corpus.targets(rows, topics.names), corpus.counted(rows).to_numpy()
    precision = params.calibrate.precision
    scores, found = calibrate(true[place], counts[place], scores, topics, precision)
    with files.aside(SCORES / name) as draft:
        draft.mkdir()
        scores.to_parquet(draft / "scores.parquet", index=False)
        files.write_csv(draft / "history.csv", history)
        files.write_json(draft / "calibration.json", asdict(found))
    print(f"{name}: {total} fits in {time.monotonic() - started:.0f} s, scores in {SCORES / name}")


if __name__ == "__main__":
    errors.run(main)
