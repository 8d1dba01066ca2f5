"""Stage fit@MODEL: out-of-fold scores of all labelled paragraphs, before calibration."""

from __future__ import annotations

from paratopic.corpus.folds import Split
from paratopic.project import files
from paratopic.project.errors import plural
from paratopic.project.files import HISTORY, WITHOUT_CONTEXT
from paratopic.project.folder import Project, run_stage
from paratopic.project.reports import Timer, last_fit_time
from paratopic.project.terminal import progress_bar
from paratopic.training import crossval


def main(project: Project, name: str) -> None:
    """Fit a kind of model without each fold, and score the held-out paragraphs with it.

    Scores before calibration, also of paragraphs without a label or fold, and histories go to
    data/fits/NAME, with scores by definitions if folds are by paragraph and topics are defined.
    """
    params, paths, timer = project.fit_params, project.paths, Timer()
    data = crossval.with_unlabelled(crossval.labelled_for(name, paths, params), paths)
    n, fit, seed = crossval.n_fits(data.folds), crossval.fitter(name, params), params.seed
    labelled, number = plural(len(data.rows), "labelled text"), plural(n, "fit")
    last_time = last_fit_time(paths.times, name)
    last = f"; last time, it took {last_time}" if last_time else ""
    print(f"{name}: {number} to measure it on {labelled}{last}", flush=True)
    with progress_bar(f"{name}: fit", n) as advance:
        processes = crossval.processes_for(name, len(data.rows))
        tables = crossval.cross_validate(data, fit, seed, advance, processes)._asdict()
    # A split by paragraph measures these few articles and not new ones. So `compare` chooses the
    # champion by models that were fitted only to definitions.
    by_paragraph = Split.load(paths.split, "stage split").split_unit == "paragraph"
    if by_paragraph and params.topics.descriptions:
        tables["definitions"] = crossval.score_by_definitions(data, fit, seed)
    tables["unfolded"] = crossval.score_unfolded(data, fit, seed)
    with files.atomic_write(paths.raw_scores / name) as draft:
        draft.mkdir()
        files.write_csv(draft / HISTORY, tables.pop("history"))
        for table, rows in tables.items():
            rows.to_parquet(draft / f"{table}.parquet", index=False)
        if tables["without_context"].equals(tables["scores"]):
            (draft / WITHOUT_CONTEXT).unlink()
    timer.save(paths.times, f"fit@{name}", labelled=labelled)
    print(f"{name}: scores before calibration in {paths.raw_scores / name}")


if __name__ == "__main__":
    run_stage(main)
