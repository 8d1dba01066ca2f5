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
from paratopic.evaluation.report import OperatingPoint, Report
from paratopic.project.files import aside
from paratopic.project.titles import TITLES

BLUE, GREY = "#2563a8", "#777777"
# Metrics in the figure of F1 beside those of the topics, if the report has them.
F1_METRICS = ("answer_macro_f1", "macro_f1", "micro_f1")
NAMES = ("confusion", "f1", "precision_recall", "reliability", "risk_coverage", "training")


def draw_report(folder: Path, name: str, report: Report) -> None:
    """Draw all figures of one model's report.

    Parameters
    ----------
    folder
        Folder of the PNG files, whose names are `NAMES`.
    name
        Name of the model, for titles.
    report
        The report.
    """
    paths = {figure: folder / f"{figure}.png" for figure in NAMES}
    if report.confusion is None or report.point is None:
        for path in paths.values():
            draw_nothing(name, path)
        return
    title, tables = f"{name}, out-of-fold", report.tables
    draw_confusion(report.confusion, f"{title} (mean of repeats)", paths["confusion"])
    draw_precision_recall(tables["precision_recall"], title, paths["precision_recall"])
    draw_reliability(tables["reliability"], title, paths["reliability"])
    draw_risk_coverage(tables["risk_coverage"], report.point, title, paths["risk_coverage"])
    interval = f"F1, {report.metrics['confidence']:.0%} interval"
    draw_intervals(_f1_estimates(report), interval, title, paths["f1"])
    draw_training(tables["training"], f"{name}, one fit per fold", paths["training"])


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
        draw_nothing("comparison", path)
        return
    metric = next(iter(next(iter(comparison.models.values()))))
    estimates = {name: measured[metric] for name, measured in comparison.models.items()}
    label = f"{TITLES[metric]}, {confidence:.0%} interval"
    draw_intervals(estimates, label, "Out-of-fold, same folds", path)


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


def draw_reliability(bins: pd.DataFrame, title: str, path: Path) -> None:
    """Draw accuracy against confidence, from columns confidence, accuracy and share."""
    figure = _figure(5, 5)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", label="perfect calibration")
    axes.plot(bins["confidence"], bins["accuracy"], color=BLUE, marker="o", label="model")
    axes.bar(
        bins["confidence"],
        bins["share"],
        width=0.03,
        color=BLUE,
        alpha=0.25,
        label="share of paragraphs",
    )
    axes.set(xlabel="confidence", ylabel="accuracy", title=title, xlim=(0, 1.02), ylim=(0, 1.05))
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
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
    """Draw the history of each fit, from columns repeat, fold, x and y, and their mean."""
    x, y = history.columns[2:4]
    figure = _figure(6, 4)
    axes = figure.subplots()
    for _, part in history.groupby(["repeat", "fold"]):
        axes.plot(part[x], part[y], color=GREY, linewidth=0.8, alpha=0.5)
    axes.plot([], [], color=GREY, linewidth=0.8, label="a fold")
    axes.plot(history.groupby(x)[y].mean(), color=BLUE, linewidth=2, label="mean")
    axes.set(xlabel=x, ylabel=y.replace("_", " "), title=title)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def draw_nothing(title: str, path: Path) -> None:
    """Draw the message that nothing was measured."""
    figure = _figure(5, 2)
    axes = figure.subplots()
    axes.text(0.5, 0.5, "nothing was held out: nothing measured", ha="center", va="center")
    axes.set(title=title, xticks=[], yticks=[])
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
