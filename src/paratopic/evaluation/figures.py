"""Pictures of numbers, as PNG files with the same bytes every time.

Nothing is computed here that a report states: figures are handed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from paratopic.project.files import aside

matplotlib.use("Agg")

BLUE, GREY = "#2563a8", "#777777"


def _save(figure: Figure, path: Path) -> None:
    with aside(path) as draft:
        figure.savefig(draft, format="png", dpi=120, metadata={"Software": None})


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def confusion(
    matrix: npt.NDArray[np.float64], names: Sequence[str], title: str, path: Path
) -> None:
    """Draw a confusion matrix (k, k): counts in cells, shaded by share of the true topic."""
    k = len(names)
    figure = _figure(3 + 0.8 * k, 2.4 + 0.7 * k)
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(k):
        for column in range(k):
            colour = "white" if share[row, column] > 0.5 else "black"
            count = float(matrix[row, column])
            text = f"{count:.0f}" if count.is_integer() else f"{count:.1f}"
            axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xticks(range(k), names, rotation=30, ha="right")
    axes.set_yticks(range(k), names)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    _save(figure, path)


def precision_recall(curves: pd.DataFrame, title: str, path: Path) -> None:
    """Draw one curve a topic from columns topic, recall and precision."""
    figure = _figure(6, 4.5)
    axes = figure.subplots()
    for topic, curve in curves.groupby("topic", sort=False):
        axes.step(curve["recall"], curve["precision"], where="post", label=str(topic))
    axes.set(xlabel="recall", ylabel="precision", title=title, xlim=(0, 1.02), ylim=(0, 1.05))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    _save(figure, path)


def reliability(bins: pd.DataFrame, title: str, path: Path) -> None:
    """Draw accuracy against confidence from columns confidence, accuracy and share."""
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


def risk_coverage(
    curve: pd.DataFrame, target: float | None, coverage: float, title: str, path: Path
) -> None:
    """Draw risk against coverage from columns of these names, the allowed risk and what is used."""
    figure = _figure(6, 4.5)
    axes = figure.subplots()
    axes.step(curve["coverage"], curve["risk"], where="post", color=BLUE, label="surest first")
    if target is not None:
        axes.axhline(target, color=GREY, linestyle="--", label="allowed")
    axes.axvline(coverage, color=GREY, linestyle=":", label="answered by the threshold")
    each = "paragraphs that get a topic" if target is not None else "topics that are named"
    axes.set(
        xlabel=f"coverage (share of {each})",
        ylabel="risk (share of wrong topics)",
        title=title,
        xlim=(0, 1.02),
        ylim=(-0.02, 1.02),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    _save(figure, path)


def intervals(
    estimates: Mapping[str, Mapping[str, Any]], xlabel: str, title: str, path: Path
) -> None:
    """Draw values with their intervals, one line a name: name → value, low, high."""
    figure = _figure(7, 1.2 + 0.45 * len(estimates))
    axes = figure.subplots()
    for line, e in enumerate(reversed(list(estimates.values()))):
        axes.plot([e["low"], e["high"]], [line, line], color=BLUE, linewidth=2)
        axes.plot(e["value"], line, color=BLUE, marker="o")
        axes.annotate(
            f"{e['value']:.2f}",
            (e["value"], line),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    axes.set_yticks(range(len(estimates)), list(estimates)[::-1])
    axes.set(xlabel=xlabel, title=title, xlim=(-0.02, 1.02), ylim=(-0.6, len(estimates) - 0.3))
    axes.grid(axis="x", alpha=0.3)
    _save(figure, path)


def nothing(title: str, path: Path) -> None:
    """Draw that there is nothing to draw."""
    figure = _figure(5, 2)
    axes = figure.subplots()
    axes.text(0.5, 0.5, "nothing was held out: nothing measured", ha="center", va="center")
    axes.set(title=title, xticks=[], yticks=[])
    _save(figure, path)


def training(history: pd.DataFrame, title: str, path: Path) -> None:
    """Draw what each fit noted, from columns repeat, fold, x and y, and the mean of the fits."""
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
