"""Stage calibrate@MODEL: calibrated probabilities and thresholds from out-of-fold scores."""

from __future__ import annotations

from dataclasses import asdict, replace

from paratopic.corpus.labelled import read_sampled
from paratopic.corpus.table import read_parquet
from paratopic.project import files
from paratopic.project.files import (
    BY_DEFINITIONS,
    IN_CONTEXT,
    UNFOLDED,
    UNLABELLED,
    WITHOUT_CONTEXT,
)
from paratopic.project.folder import Project, run_stage
from paratopic.training.calibration import calibrate_rows, calibrated, with_expected_thresholds


def main(project: Project, name: str) -> None:
    """Calibrate the scores in data/fits/NAME; write them and calibration.json to data/oof/NAME.

    Scores of labelled paragraphs that a fold holds out get thresholds; so do those by definitions
    only, which are not calibrated.
    """
    params, paths = project.params, project.paths
    topics, tables = params.topics, {}
    data, folder = read_sampled(paths, topics), paths.raw_scores / name
    if (folder / BY_DEFINITIONS).exists():
        raw = read_parquet(folder / BY_DEFINITIONS)
        tables[BY_DEFINITIONS] = with_expected_thresholds(raw, topics)
    scores, unlabelled = read_parquet(folder / IN_CONTEXT), read_parquet(folder / UNLABELLED)
    tables[IN_CONTEXT], calibration, tables[UNLABELLED] = calibrate_rows(
        data, scores, params.calibrate, unlabelled
    )
    if (folder / WITHOUT_CONTEXT).exists():
        scores = read_parquet(folder / WITHOUT_CONTEXT)
        tables[WITHOUT_CONTEXT], without_context, _ = calibrate_rows(data, scores, params.calibrate)
        calibration = replace(calibration, without_context=without_context)
    unfolded = read_parquet(folder / UNFOLDED)
    if len(unfolded):
        tables[UNFOLDED] = calibrated(unfolded, calibration, topics)
    with files.atomic_write(paths.scores / name) as draft:
        draft.mkdir()
        for file, table in tables.items():
            table.to_parquet(draft / file, index=False)
        files.write_json(draft / files.CALIBRATION, asdict(calibration), digits=10)
    print(f"{name}: scores in {paths.scores / name}")


if __name__ == "__main__":
    run_stage(main)
