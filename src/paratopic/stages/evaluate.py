"""Stage evaluate@MODEL: out-of-fold scores → metrics with intervals, pictures, predictions."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd

from paratopic.corpus.table import labelled_rows, read_paragraphs
from paratopic.evaluation import figures, metrics
from paratopic.evaluation.outcomes import outcomes
from paratopic.evaluation.report import (
    NONE,
    abstention,
    answer_table,
    confusion_pairs,
    measure,
    naming,
    precision_recall_table,
    predictions,
    reliability_table,
)
from paratopic.project import errors, files
from paratopic.project.params import read_params
from paratopic.project.paths import FOLDS, PARAGRAPHS, REPORTS, SCORES, SPLIT


def unmeasured(name: str, split: dict[str, Any]) -> None:
    """Write the same files where nothing was held out; they say so."""
    folder, why = REPORTS / name, " · ".join(split["messages"])
    report = {"n": 0, "split_unit": split["split_unit"], "notes": why}
    files.write_json(folder / "metrics.json", report)
    columns = {
        "confusion": ["actual", "predicted"],
        "precision_recall": ["topic", "recall", "precision"],
        "reliability": ["confidence", "accuracy", "share"],
        "risk_coverage": ["coverage", "risk"],
        "training": ["repeat", "fold", "step", "loss"],
        "predictions": ["id", "text", "true", "predicted"],
    }
    for table, names in columns.items():
        files.write_csv(folder / f"{table}.csv", pd.DataFrame(columns=names))
    for picture in (
        "confusion",
        "f1",
        "precision_recall",
        "reliability",
        "risk_coverage",
        "training",
    ):
        figures.nothing(name, folder / f"{picture}.png")
    print(f"{name}: not measured: {why}")


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    topics, names = params.topics, params.topics.names
    labelled = labelled_rows(read_paragraphs(PARAGRAPHS), topics.mode)
    scores = pd.read_parquet(SCORES / name / "scores.parquet")
    split = files.read_json(SPLIT, "stage split")
    if scores.empty:
        unmeasured(name, split)
        return
    rows, found = outcomes(labelled, pd.read_parquet(FOLDS), scores, topics)
    report = measure(rows, found, names, params.evaluate, params.seed)
    given = answer_table(labelled, scores, topics)
    saved = files.read_json(SCORES / name / "calibration.json", "stage score")
    target = params.calibrate.precision
    if topics.mode == "single":
        report["abstention"] = abstention(given, saved["thresholds"][0], target)
    else:
        report["naming"] = naming(given, dict(zip(names, saved["thresholds"], strict=True)))
    report["confidence"] = params.evaluate.confidence
    report |= {"split_unit": split["split_unit"], "notes": " · ".join(split["messages"])}

    folder = REPORTS / name
    files.write_json(folder / "metrics.json", report)
    pairs = confusion_pairs(found, names)
    pr, bins = precision_recall_table(found, names), reliability_table(found)
    coverage, risk = metrics.risk_coverage(
        given["confidence"].to_numpy(), given["right"].to_numpy()
    )
    curve = pd.DataFrame({"coverage": coverage, "risk": risk})
    history = pd.read_csv(SCORES / name / "history.csv")
    files.write_csv(folder / "confusion.csv", pairs)
    files.write_csv(folder / "precision_recall.csv", pr)
    files.write_csv(folder / "reliability.csv", bins)
    files.write_csv(folder / "risk_coverage.csv", curve)
    files.write_csv(folder / "training.csv", history)
    files.write_csv(folder / "predictions.csv", predictions(labelled, scores, topics))

    title = f"{name}, out-of-fold"
    shown = [*names, NONE] if topics.mode == "multi" else list(names)
    table = pd.crosstab(pairs["actual"], pairs["predicted"])
    matrix = table.reindex(index=shown, columns=shown, fill_value=0).to_numpy(dtype=np.float64)
    overall = {
        title: report[key]
        for key, title in (("macro_f1", "macro-F1"), ("micro_f1", "micro-F1"))
        if key in report
    }
    by_topic = overall | {
        f"{topic} (n={values['support']})": values["f1"]
        for topic, values in report["topics"].items()
    }
    interval = f"F1, {params.evaluate.confidence:.0%} interval"
    matrix = matrix / len(found.named)
    figures.confusion(matrix, shown, f"{title} (mean of repeats)", folder / "confusion.png")
    figures.precision_recall(pr, title, folder / "precision_recall.png")
    figures.reliability(bins, title, folder / "reliability.png")
    allowed = 1 - target if topics.mode == "single" else None
    named = float(given["named"].mean())
    figures.risk_coverage(curve, allowed, named, title, folder / "risk_coverage.png")
    figures.intervals(by_topic, interval, title, folder / "f1.png")
    figures.training(history, f"{name}, fits of the folds", folder / "training.png")

    f1 = report["macro_f1"]
    print(
        f"{name}: macro-F1 {f1['value']:.3f} "
        f"({params.evaluate.confidence:.0%} interval {f1['low']:.3f} to {f1['high']:.3f})"
    )


if __name__ == "__main__":
    errors.run(main)
