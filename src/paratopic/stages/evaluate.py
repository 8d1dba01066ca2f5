"""Stage evaluate@MODEL: metrics with intervals, curves and predictions from out-of-fold scores."""

from __future__ import annotations

from paratopic.corpus.folds import Split
from paratopic.corpus.labelled import read_sampled
from paratopic.corpus.table import read_parquet, with_metadata
from paratopic.evaluation.model_report import OutOfFold, build_report
from paratopic.inference.modes import read_calibration
from paratopic.project import files
from paratopic.project.files import CALIBRATION, HISTORY, IN_CONTEXT, WITHOUT_CONTEXT
from paratopic.project.folder import Project, run_stage


def main(project: Project, name: str) -> None:
    """Measure a model by out-of-fold scores; write metrics.json (n is 0 without any) and tables."""
    params, paths = project.params, project.paths
    metrics, tables = build_report(
        read_sampled(paths, params.topics),
        read_out_of_fold(project, name),
        Split.load(paths.split, "stage split"),
        params.evaluate,
        params.seed,
    )
    folder = paths.model_reports / name
    metrics.save(folder / "metrics.json")
    files.write_json(paths.model_reports / f"{name}.json", metrics.main, digits=3)
    tables["predictions"] = with_metadata(tables["predictions"], read_parquet(paths.metadata))
    for table, rows in tables.items():
        files.write_csv(folder / f"{table}.csv", rows)
    if not metrics.n:
        print(f"{name}: not measured: {'; '.join(metrics.notes)}")
        return
    metric = metrics.measured[0]
    figure, interval = metrics.figures[metric.key], "no interval"
    if figure.low is not None:
        interval = f"{metrics.confidence:.0%} interval {figure.low:.3f} to {figure.high:.3f}"
    print(f"{name}: {metric.title} {figure.value:.3f} ({interval})")


def read_out_of_fold(project: Project, name: str) -> OutOfFold:
    """Read a model's files from stages fit and calibrate; UserError if missing or outdated."""
    params, paths = project.params, project.paths
    folder = paths.scores / name
    path, other_path = folder / CALIBRATION, folder / WITHOUT_CONTEXT
    calibration = read_calibration(files.read_json(path, f"stage calibrate@{name}"))
    scores = read_parquet(folder / IN_CONTEXT)
    has_scores = {*params.topics.score_columns} <= {*scores}
    has_topics = has_scores and len(calibration.shift) == len(params.topics.outcomes)
    if not has_topics and len(scores):
        raise files.outdated_error(path)
    history = files.read_csv(paths.raw_scores / name / HISTORY, f"stage fit@{name}")
    without_context = read_parquet(other_path) if other_path.exists() else None
    return OutOfFold(scores, history, calibration, params.calibrate, without_context)


if __name__ == "__main__":
    run_stage(main)
