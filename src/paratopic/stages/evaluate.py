"""Stage evaluate@MODEL: out-of-fold scores to metrics with intervals, pictures and predictions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from paratopic.corpus.labelled import read_sampled
from paratopic.corpus.table import read_parquet, with_metadata
from paratopic.evaluation.report import OutOfFold, build_report
from paratopic.inference.calibration import read_calibration
from paratopic.project import files
from paratopic.project.files import (
    ALONE,
    CALIBRATION,
    HISTORY,
    IN_CONTEXT,
    MODEL_REPORTS,
    RAW_SCORES,
    SCORES,
    SPLIT,
)
from paratopic.project.metrics import headline, metrics_in
from paratopic.project.params import Params, read_params, run_stage


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    metrics, tables = build_report(
        read_sampled(params.topics),
        read_out_of_fold(name, params),
        files.read_json(SPLIT, "stage split"),
        params.evaluate,
        params.seed,
    )
    folder = MODEL_REPORTS / name
    files.write_json(folder / "metrics.json", metrics)
    files.write_json(MODEL_REPORTS / f"{name}.json", main_figures(metrics), digits=3)
    tables["predictions"] = with_metadata(tables["predictions"])
    for table, rows in tables.items():
        files.write_csv(folder / f"{table}.csv", rows)
    if not metrics["n"]:
        print(f"{name}: not measured: {'; '.join(metrics['notes'])}")
        return
    metric = headline(metrics)
    value, low, high = (metrics[metric.key][name] for name in ("value", "low", "high"))
    ends = "no interval"
    if low is not None:
        ends = f"{metrics['confidence']:.0%} interval {low:.3f} to {high:.3f}"
    print(f"{name}: {metric.title} {value:.3f} ({ends})")


def main_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The few figures that DVC's tables show, from metrics.json; none where nothing was measured.

    These are the metric that models are compared by with the ends of its interval, and the other
    main ones, under their names there.
    """
    if not metrics["n"]:
        return {}
    first = headline(metrics).key
    known = {end: metrics[first][end] for end in ("low", "high")}
    ends = {f"{first}_{end}": value for end, value in known.items() if value is not None}
    main = [key for key, metric in metrics_in(metrics).items() if metric.is_main]
    figures = {key: metrics[key]["value"] for key in main if key in metrics}
    return {first: figures.pop(first)} | ends | figures


def read_out_of_fold(name: str, params: Params) -> OutOfFold:
    """Read what stages fit and calibrate wrote of a model.

    Raises
    ------
    UserError
        A file is missing, damaged, or was made with other topics.
    """
    folder = SCORES / name
    path, alone = folder / CALIBRATION, folder / ALONE
    calibration = read_calibration(files.read_json(path, f"stage calibrate@{name}"))
    scores = read_parquet(folder / IN_CONTEXT)
    has_scores = {*params.topics.scores} <= {*scores}
    of_topics = has_scores and len(calibration.shift) == len(params.topics.outcomes)
    if not of_topics and len(scores):
        raise files.outdated(path)
    history = files.read_csv(RAW_SCORES / name / HISTORY, f"stage fit@{name}")
    read_alone = read_parquet(alone) if alone.exists() else None
    return OutOfFold(scores, history, calibration, params.calibrate, read_alone)


if __name__ == "__main__":
    run_stage(main)
