"""Stage score@MODEL: out-of-fold scores of every labelled paragraph, and what calibrates them."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

import pandas as pd

from paratopic.corpus.table import evaluated, labelled_rows, read_paragraphs, targets_of
from paratopic.project import errors, files
from paratopic.project.params import read_params
from paratopic.project.paths import FOLDS, PARAGRAPHS, SCORES
from paratopic.project.progress import bar
from paratopic.training.calibration import calibrate
from paratopic.training.crossval import cross_validate, fitter, is_first_process, n_fits


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    topics = params.topics
    fit = fitter(name, topics, getattr(params, name))
    rows = labelled_rows(read_paragraphs(PARAGRAPHS), topics.mode)
    folds = pd.read_parquet(FOLDS)
    started, total = time.monotonic(), n_fits(folds)
    with bar(f"{name}: fit", total) as advance:
        scores, history = cross_validate(rows, topics.names, folds, fit, params.seed, advance)
    if not is_first_process():
        return
    place = pd.Index(rows["id"]).get_indexer(scores["id"])
    true, counts = targets_of(rows, topics.names), evaluated(rows).to_numpy()
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
