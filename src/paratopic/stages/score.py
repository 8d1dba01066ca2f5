"""Stage score@MODEL: out-of-fold scores of every labelled paragraph, and their calibration."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace

from paratopic.project import files
from paratopic.project.files import ALONE, APART, BY_DEFINITIONS, SCORES, UNLABELLED
from paratopic.project.kinds import KINDS
from paratopic.project.params import read_params, run_stage
from paratopic.training.calibration import calibrate_rows, calibrated, with_expected_thresholds
from paratopic.training.crossval import out_of_fold


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params, kind = read_params(), KINDS[name]
    topics, tables = params.topics, {}
    data, raw = out_of_fold(kind, params)
    if "definitions" in raw:
        tables[BY_DEFINITIONS] = with_expected_thresholds(raw["definitions"], topics)
    tables["scores.parquet"], calibration, tables[UNLABELLED] = calibrate_rows(
        data, raw["scores"], params.calibrate, raw["unlabelled"]
    )
    if not raw["alone"].equals(raw["scores"]):
        tables[ALONE], of_alone, _ = calibrate_rows(data, raw["alone"], params.calibrate)
        calibration = replace(calibration, alone=of_alone)
    if len(raw["apart"]):
        tables[APART] = calibrated(raw["apart"], calibration, topics)
    with files.aside(SCORES / name) as draft:
        draft.mkdir()
        for file, table in tables.items():
            table.to_parquet(draft / file, index=False)
        files.write_csv(draft / "history.csv", raw["history"])
        files.write_json(draft / "calibration.json", asdict(calibration), digits=10)
    print(f"{name}: scores in {SCORES / name}")


if __name__ == "__main__":
    run_stage(main)
