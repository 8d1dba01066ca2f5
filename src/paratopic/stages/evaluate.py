"""Stage evaluate@MODEL: out-of-fold scores to metrics with intervals, pictures and predictions."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from paratopic.corpus.table import labelled_rows, read_paragraphs, read_parquet
from paratopic.evaluation.figures import draw_report
from paratopic.evaluation.report import OutOfFold, build_report
from paratopic.inference.folder import read_calibration
from paratopic.inference.promise import Promise
from paratopic.project import errors, files
from paratopic.project.params import read_params
from paratopic.project.paths import FOLDS, MODEL_REPORTS, PARAGRAPHS, SCORES, SPLIT
from paratopic.project.titles import TITLES


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    promise = Promise(params.calibrate.precision, params.calibrate.confidence)
    report = build_report(
        labelled_rows(read_paragraphs(PARAGRAPHS), params.topics),
        read_parquet(FOLDS),
        read_out_of_fold(SCORES / name, promise),
        files.read_json(SPLIT, "stage split"),
        params.topics,
        params.evaluate,
        params.seed,
    )
    folder, metrics = MODEL_REPORTS / name, report.metrics
    files.write_json(folder / "metrics.json", metrics)
    files.write_json(MODEL_REPORTS / f"{name}.json", main_figures(metrics), digits=3)
    for table, rows in report.tables.items():
        files.write_csv(folder / f"{table}.csv", rows)
    draw_report(folder, name, report)
    if not metrics["n"]:
        print(f"{name}: not measured: {metrics['notes']}")
        return
    headline = _first(metrics, TITLES)
    f1 = metrics[headline]
    print(
        f"{name}: {TITLES[headline]} {f1['value']:.3f} "
        f"({metrics['confidence']:.0%} interval {f1['low']:.3f} to {f1['high']:.3f})"
    )


def main_figures(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The few figures that DVC's tables show; none where nothing was measured.

    Parameters
    ----------
    metrics
        Content of metrics.json.

    Returns
    -------
    Macro-F1 of the answers with the ends of its interval, accuracy of the answers, log loss and, in
    mode single, coverage, under their names in metrics.json.
    """
    if not metrics["n"]:
        return {}
    macro_f1 = _first(metrics, TITLES)
    accuracy = _first(metrics, ("answer_accuracy", "subset_accuracy"))
    figures = {macro_f1: metrics[macro_f1]["value"]}
    figures |= {end: metrics[macro_f1][end] for end in ("low", "high")}
    others = (accuracy, "log_loss", "coverage")
    return figures | {key: metrics[key]["value"] for key in others if key in metrics}


def _first(metrics: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The first of the keys that the metrics have."""
    return next(key for key in keys if key in metrics)


def read_out_of_fold(folder: Path, promise: Promise) -> OutOfFold:
    """Read what stage score wrote to a folder for a promise."""
    calibration = read_calibration(files.read_json(folder / "calibration.json", "stage score"))
    return OutOfFold(
        scores=read_parquet(folder / "scores.parquet"),
        history=pd.read_csv(folder / "history.csv"),
        thresholds=calibration.thresholds,
        promise=promise,
    )


if __name__ == "__main__":
    errors.run(main)
