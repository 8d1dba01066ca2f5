"""Figures of the reports, as PNG files with the same bytes every time.

Nothing is measured here: the numbers come from `report` and `comparison`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.page import reliability
from paratopic.evaluation.report import OperatingPoint, Report
from paratopic.project.files import aside
from paratopic.project.titles import TITLES

BLUE, GREY = "#2563a8", "#777777"
# Metrics in the figure of F1 beside those of the topics, if the report has them.
F1_METRICS = ("answer_macro_f1", "macro_f1", "micro_f1")
# Name of each figure of a model → its title, after the model's name.
FIGURES = {
    "confusion": "confusion, out-of-fold, mean of repeats",
    "f1": "F1 overall and of each topic, out-of-fold",
    "precision_recall": "precision by recall of each topic, out-of-fold",
    "reliability": "accuracy by confidence, out-of-fold",
    "risk_coverage": "risk by coverage, out-of-fold",
    "training": "loss in training, a line for each fold",
}


def draw_report(folder: Path, name: str, report: Report) -> None:
    """Draw all figures of one model's report.

    Parameters
    ----------
    folder
        Folder of the PNG files, whose names are the keys of `FIGURES`.
    name
        Name of the model, for titles.
    report
        The report.
    """
    paths = {figure: folder / f"{figure}.png" for figure in FIGURES}
    titles = {figure: f"{name}: {title}" for figure, title in FIGURES.items()}
    if report.confusion is None or report.point is None:
        for figure, path in paths.items():
            draw_nothing("nothing was held out: nothing measured", titles[figure], path)
        return
    tables, confidence = report.tables, f"{report.metrics['confidence']:.0%}"
    draw_confusion(report.confusion, titles["confusion"], paths["confusion"])
    draw_precision_recall(
        tables["precision_recall"], titles["precision_recall"], paths["precision_recall"]
    )
    draw_reliability(
        reliability(tables["reliability"], report.metrics),
        f"{confidence} interval, and number of answers",
        titles["reliability"],
        paths["reliability"],
    )
    draw_risk_coverage(
        tables["risk_coverage"], report.point, titles["risk_coverage"], paths["risk_coverage"]
    )
    draw_intervals(_f1_estimates(report), f"F1, {confidence} interval", titles["f1"], paths["f1"])
    draw_training(tables["training"], titles["training"], paths["training"])


def draw_comparison(path: Path, comparison: Comparison, confidence: float) -> None:
    """Draw the first of the metrics that are compared, for all models.

    Parameters
    ----------
    path
        PNG file to write.
    comparison
        The comparison.
    confidence
        Confidence of the intervals.
    """
    if not comparison.models:
        draw_nothing("nothing was held out: nothing measured", "Comparison of models", path)
        return
    metric = next(iter(next(iter(comparison.models.values()))))
    estimates = {name: measured[metric] for name, measured in comparison.models.items()}
    label = f"{TITLES[metric]}, {confidence:.0%} interval"
    title = f"{TITLES[metric]} of each model, out-of-fold, same folds"
    draw_intervals(estimates, label, title, path)


def draw_confusion(matrix: pd.DataFrame, title: str, path: Path) -> None:
    """Draw a confusion matrix: counts in the cells, shaded by the share of the true class."""
    classes, counts = list(matrix.index), matrix.to_numpy(dtype=np.float64)
    k = len(classes)
    figure = _figure(3 + 0.8 * k, 2.4 + 0.7 * k)
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if share[row, column] > 0.5 else "black"
        text = f"{count:.0f}" if count.is_integer() else f"{count:.1f}"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xticks(range(k), classes, rotation=30, ha="right")
    axes.set_yticks(range(k), classes)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    _save(figure, path)


def draw_precision_recall(curves: pd.DataFrame, title: str, path: Path) -> None:
    """Draw a curve for each topic, from columns topic, recall and precision."""
    figure = _figure(6, 4.5)
    axes = figure.subplots()
    for topic, curve in curves.groupby("topic", sort=False):
        axes.step(curve["recall"], curve["precision"], where="post", label=str(topic))
    axes.set(xlabel="recall", ylabel="precision", title=title, xlim=(0, 1.02), ylim=(0, 1.05))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    _save(figure, path)


def draw_reliability(bins: pd.DataFrame, label: str, title: str, path: Path) -> None:
    """Draw accuracy against confidence, from the table of `page.reliability`.

    Parameters
    ----------
    bins
        Columns confidence, accuracy, n, low and high.
    label
        What the bars and numbers are.
    title
        Title of the figure.
    path
        PNG file to write.
    """
    figure = _figure(5, 5.5)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="perfect calibration")
    axes.vlines(bins["confidence"], bins["low"], bins["high"], color=BLUE, alpha=0.5)
    axes.plot(bins["confidence"], bins["accuracy"], color=BLUE, marker="o", ls="", label=label)
    for confidence, accuracy, n in bins[["confidence", "accuracy", "n"]].to_numpy().tolist():
        axes.annotate(
            f"{n:.3g}",
            (confidence, accuracy),
            xytext=(6, -3),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set(xlabel="confidence", ylabel="accuracy", title=title, xlim=(0, 1.02), ylim=(0, 1.05))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center")  # inside it would hide intervals
    _save(figure, path)


def draw_risk_coverage(curve: pd.DataFrame, point: OperatingPoint, title: str, path: Path) -> None:
    """Draw risk against coverage, from columns of these names, and where the thresholds are."""
    figure = _figure(6, 4.5)
    axes = figure.subplots()
    axes.step(
        curve["coverage"], curve["risk"], where="post", color=BLUE, label="most confident first"
    )
    if point.allowed_risk is not None:
        axes.axhline(point.allowed_risk, color=GREY, linestyle="--", label="allowed if sure")
    axes.axvline(point.coverage, color=GREY, linestyle=":", label="coverage of the predictions")
    axes.set(
        xlabel=f"coverage (share of {point.counted})",
        ylabel="risk (share of wrong topics)",
        title=title,
        xlim=(0, 1.02),
        ylim=(-0.02, 1.02),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    _save(figure, path)


def draw_intervals(estimates: Mapping[str, Estimate], xlabel: str, title: str, path: Path) -> None:
    """Draw estimates with their intervals, a line for each name."""
    figure = _figure(7, 1.2 + 0.45 * len(estimates))
    axes = figure.subplots()
    for line, estimate in enumerate(reversed(list(estimates.values()))):
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [line, line], color=BLUE, linewidth=2)
        axes.plot(estimate.value, line, color=BLUE, marker="o")
        axes.annotate(
            f"{estimate.value:.2f}",
            (estimate.value, line),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    axes.set_yticks(range(len(estimates)), list(estimates)[::-1])
    axes.set(xlabel=xlabel, title=title, xlim=(-0.02, 1.02), ylim=(-0.6, len(estimates) - 0.3))
    axes.grid(axis="x", alpha=0.3)
    _save(figure, path)


def draw_training(history: pd.DataFrame, title: str, path: Path) -> None:
    """Draw the history of each fit, from columns repeat, fold, x and y, and their mean.

    C, of which each candidate is some times the one before, has a logarithmic axis.
    """
    history = history.dropna()
    if history.empty:
        draw_nothing("nothing was tuned: no training loss", title, path)
        return
    x, y = history.columns[2:4]
    figure = _figure(6, 4)
    axes = figure.subplots()
    for _, part in history.groupby(["repeat", "fold"]):
        axes.plot(part[x], part[y], color=GREY, linewidth=0.8, alpha=0.5)
    axes.plot([], [], color=GREY, linewidth=0.8, label="a fold")
    axes.plot(history.groupby(x)[y].mean(), color=BLUE, linewidth=2, label="mean")
    axes.set(xlabel=x, ylabel=y.replace("_", " "), title=title)
    axes.set_ylim(bottom=0)
    if x == "C":
        candidates = sorted(set(history[x]))
        axes.set_xscale("log")
        axes.set_xticks(candidates, [f"{c:g}" for c in candidates])
        axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def draw_nothing(message: str, title: str, path: Path) -> None:
    """Draw a sentence that says why there is no figure, without the frame of an empty one."""
    figure = _figure(6, 1.5)
    axes = figure.subplots()
    axes.text(0.5, 0.5, message, ha="center", va="center")
    axes.set_title(title)
    axes.set_axis_off()
    _save(figure, path)


def _f1_estimates(report: Report) -> dict[str, Estimate]:
    """F1 over all topics, then that of each topic: title → estimate."""
    metrics = report.metrics
    shown = {TITLES[key]: metrics[key] for key in F1_METRICS if key in metrics}
    shown |= {
        f"{topic} (n={measured['support']})": measured["f1"]
        for topic, measured in metrics["topics"].items()
    }
    return {title: Estimate(**values) for title, values in shown.items()}


def _figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    """Write a figure without the version of matplotlib, which would change its bytes."""
    with aside(path) as draft:
        figure.savefig(draft, format="png", dpi=120, metadata={"Software": None})
