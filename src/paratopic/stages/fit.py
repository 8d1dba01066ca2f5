"""Stage fit@MODEL: out-of-fold scores of every labelled paragraph, before calibration."""

from __future__ import annotations

import sys

from paratopic.corpus.folds import Split
from paratopic.project import files
from paratopic.project.errors import plural
from paratopic.project.files import ALONE, HISTORY
from paratopic.project.folder import Project, run_stage
from paratopic.project.kinds import KINDS
from paratopic.project.reports import Timer, last_time
from paratopic.training.crossval import labelled_for, n_fits, out_of_fold, with_unlabelled


def main(project: Project) -> None:
    """Run the stage for the model that the command line names."""
    name, timer = sys.argv[1], Timer()
    params, paths, kind = project.params, project.paths, KINDS[name]
    data = with_unlabelled(labelled_for(kind, paths, params), paths)
    labelled, number = (plural(len(data.rows), "labelled text"), plural(n_fits(data.folds), "fit"))
    last = f"; last time, it took {time}" if (time := last_time(paths.times, name)) else ""
    print(f"{name}: {number} to measure it on {labelled}{last}", flush=True)
    # Figures of few articles speak of these alone: then what definitions teach is to decide.
    by_paragraph = Split.load(paths.split, "stage split").split_unit == "paragraph"
    by_definitions = by_paragraph and bool(params.topics.descriptions)
    tables = out_of_fold(data, kind, params, by_definitions)
    with files.aside(paths.raw_scores / name) as draft:
        draft.mkdir()
        files.write_csv(draft / HISTORY, tables.pop("history"))
        for table, rows in tables.items():
            rows.to_parquet(draft / f"{table}.parquet", index=False)
        if tables["alone"].equals(tables["scores"]):
            (draft / ALONE).unlink()
    timer.keep(paths.times, f"fit@{name}", labelled=labelled)
    print(f"{name}: scores before calibration in {paths.raw_scores / name}")


if __name__ == "__main__":
    run_stage(main)
