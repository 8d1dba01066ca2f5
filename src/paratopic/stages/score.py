"""Stage score@MODEL: out-of-fold scores of every labelled paragraph, and their calibration."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from paratopic.inference.calibration import Promise
from paratopic.inference.modes import mode_of
from paratopic.project import files
from paratopic.project.files import ALONE, APART, BY_DEFINITIONS, CHECKPOINTS, SCORES, SPLIT
from paratopic.project.kinds import KINDS
from paratopic.project.params import read_params, run_stage
from paratopic.project.terminal import bar
from paratopic.training import crossval
from paratopic.training.calibration import (
    apply_calibration,
    calibrate_rows,
    with_expected_thresholds,
)


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params, kind = read_params(), KINDS[name]
    topics = params.topics
    checkpoints = CHECKPOINTS / name
    fit, data = crossval.fitter(kind, params, checkpoints), crossval.labelled_for(kind, params)
    started, total = time.monotonic(), crossval.n_fits(data.folds)
    processes = crossval.processes_for(kind, len(data.rows))
    with bar(f"{name}: fit", total) as advance:
        measured = crossval.cross_validate(data, fit, params.seed, advance, processes)
    # Figures of few articles speak of these alone: then what definitions teach is to decide.
    by_paragraph = files.read_json(SPLIT, "stage split")["split_unit"] == "paragraph"
    tables: dict[str, pd.DataFrame] = {}
    if topics.descriptions and by_paragraph:
        scores = crossval.score_by_definitions(data, fit, params.seed)
        # In mode single the most probable outcome, as `predict` answers without labels.
        alike = scores.assign(**dict.fromkeys(topics.thresholds, 1.0))
        multi = topics.mode == "multi"
        tables[BY_DEFINITIONS] = with_expected_thresholds(scores, topics) if multi else alike
    apart = crossval.score_apart(data, fit, params.seed)
    if not crossval.is_first_process():
        return
    promise = Promise(params.calibrate.precision, params.calibrate.confidence)
    tables["scores.parquet"], calibration = calibrate_rows(data, measured.scores, promise)
    if not measured.alone.equals(measured.scores):
        tables[ALONE], of_alone = calibrate_rows(data, measured.alone, promise)
        calibration = replace(calibration, alone=of_alone)
    if len(apart):
        raw = apart[topics.scores].to_numpy(dtype=np.float64)
        apart[topics.scores] = apply_calibration(raw, calibration, mode_of(topics.mode))
        tables[APART] = apart
    with files.aside(SCORES / name) as draft:
        draft.mkdir()
        for file, table in tables.items():
            table.to_parquet(draft / file, index=False)
        files.write_csv(draft / "history.csv", measured.history)
        files.write_json(draft / "calibration.json", asdict(calibration), digits=10)
    shutil.rmtree(checkpoints, ignore_errors=True)
    seconds = time.monotonic() - started
    print(f"{name}: {total} fits in {seconds:.0f} s, scores in {SCORES / name}")


if __name__ == "__main__":
    run_stage(main)
