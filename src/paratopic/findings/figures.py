"""Charts of the reports: SVG for the page, and PNG and SVG files.

This module measures nothing. The same numbers give the same bytes.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import NormalDist
from textwrap import fill
from typing import Any

import matplotlib.style
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.ticker import PercentFormatter

from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.intervals import wilson
from paratopic.evaluation.model_report import ModelReport
from paratopic.findings.groups import BORROWED, Findings, abridged, time_of, value_at
from paratopic.findings.share_tables import change_table
from paratopic.project.errors import MOST_NAMED, UserError
from paratopic.project.files import atomic_write
from paratopic.project.kinds import KINDS

log = logging.getLogger(__name__)

# Variable of page.html → its value in daylight. Charts have only these colours, which the page
# replaces by its variables, because their values differ at night.
COLOURS = {
    "ink": "#1c2430",
    "dim": "#5a6473",
    "line": "#dde2e9",
    "card": "#ffffff",
    **{kind.name: kind.colour for kind in KINDS.values()},
    "dummy": "#7b8594",
}
INK, DIM, CARD, PALE = COLOURS["ink"], COLOURS["dim"], COLOURS["card"], COLOURS["dummy"]
FONT = "DejaVu Sans"  # matplotlib contains it, so files have the same bytes everywhere.
# Style of all charts, in addition to the colours of the page.
STYLE = Path(__file__).with_name("charts.mplstyle")
INKS = {"axes.labelcolor": INK, "text.color": INK, "xtick.color": DIM, "ytick.color": DIM}
INKS |= {"grid.color": COLOURS["line"], "font.family": FONT}
# Charts of shares have the width of a column of a paper.
IN_COLUMN = {"font.size": 7, "legend.fontsize": 7, "lines.markersize": 3, "savefig.dpi": 300}
# Decorators of functions that plot or write.
STYLED = matplotlib.style.context(["default", STYLE, INKS])
STYLED_FOR_COLUMN = matplotlib.style.context(["default", STYLE, INKS, IN_COLUMN])
# Size in inches of most charts, and the number of visible points of their curves.
SIZE, N_POINTS = (5.4, 3.9), 250
# Size in inches of one of several small charts, and the number of names on its axis of time.
SMALL, MOST_TICKS = (3.6, 2.6), 8
# Steps between names on an axis of time, in other units than months, and in months.
STEPS = [step * 10**power for power in range(9) for step in (1, 2, 5)]
MONTHS = [1, 2, 3, 6, *(12 * years for years in STEPS)]
# Size in inches of one of two charts side by side in a column of a paper.
HALF_COLUMN = (1.7, 1.3)


@STYLED
def plot_comparison(path: Path, comparison: Comparison, confidence: float) -> None:
    """Write a PNG or SVG, by the suffix of `path`, with each model's first metric and its interval.

    If nothing was held out, the picture says so. `confidence` is named on the axis.
    """
    if not comparison.models:
        figure, axes = _figure_and_axes(6, 1)
        reason = "nothing was held out, so nothing was measured"
        axes.text(0.5, 0.5, reason, ha="center", va="center")
        axes.set_axis_off()
        _save(path, figure, "Comparison of models")
        return
    metric = comparison.metrics[0]
    figure, axes = _figure_and_axes(7, 0.8 + 0.4 * len(comparison.models))
    for line, (model, figures) in enumerate(comparison.models.items()):
        estimate = figures[metric.key]
        if estimate.low is not None and estimate.high is not None:
            axes.hlines(line, estimate.low, estimate.high, color=COLOURS[model], lw=2, alpha=0.5)
        _point(axes, estimate.value, line, model)
        axes.text(1.03, line, f"{estimate.value:.2f}", va="center")
    _name_lines(axes, list(comparison.models))
    axes.set(xlim=(0, 1), xlabel=f"{confidence:.0%} interval")
    _save(path, figure, f"{metric.title}, out-of-fold, same folds")


@STYLED_FOR_COLUMN
def plot_shares(path: Path, findings: Findings, columns: Sequence[str], title: str) -> None:
    """Write a PNG or SVG, by the suffix of `path`, with shares of topics by group.

    Each topic has a panel: over time a line with a band for the intervals, else points with
    whiskers. Its title has the difference of the compared groups. `columns` are those of the table
    that name the groups, at most two; each value of the second has its own mark, and more values
    than `MARKS` are a `UserError`. Without columns, one panel has all topics. Notes on hollow marks
    and on differences are added to `title`.
    """
    n_series = findings.table[columns[1]].nunique() - 1 if len(columns) > 1 else 1
    if n_series > len(MARKS):
        raise UserError(
            f"--out {path}: a picture tells {len(MARKS)} values of the second column apart, and "
            f"{columns[1]} has {n_series}; name it first, or leave it out"
        )
    if (findings.table["rests_on"] == BORROWED).any():
        doubted = "" if findings.errs_alike else "; do not report these"
        title += f" (hollow points have none{doubted})"
    differences = change_table(replace(findings, changes=findings.changes[~findings.is_trend]))
    titles = {}
    if differences:
        title += f"; with each topic: {differences.figures[0]}, in points"
        for topic, change in differences.rows:
            titles[topic] = f"{topic}: {change}".replace(" (", "\n(")
    title = fill(title, TITLE, break_on_hyphens=False)
    if path.suffix.lower() == ".png":  # Programs that show SVG use fonts of their own.
        names = findings.table[["topic", *columns]].to_numpy().ravel()
        matplotlib.rcParams["font.family"] = _fonts("".join(map(str, names)), path)
    _save(path, _share_charts(findings, columns, titles), title)


def _share_charts(findings: Findings, columns: Sequence[str], titles: Mapping[str, str]) -> Figure:
    """Plot shares by `columns` in a panel for each topic; without columns, in one for all topics.

    `titles` maps a topic to the title of its panel, by default its name. With columns, panels leave
    out the whole corpus and, over time, the part of unknown time.
    """
    width, height = HALF_COLUMN
    if not columns:
        table = findings.table
        topics = table["topic"].tolist()
        figure, axes = _figure_and_axes(2 * width, 0.5 + 0.2 * len(topics))
        _whiskers(axes, topics, table, MARKS[0][0], 0.0, "")
        _set_share_axis(axes, False, table)
        return figure
    # A single series has the name "".
    table, by_time = findings.parts.assign(**{"": ""}), findings.is_time
    second_column = columns[1] if len(columns) > 1 else ""
    topics = table["topic"].unique().tolist()
    names = table[columns[0]].unique().tolist()
    series = table[second_column].unique().tolist()
    across = min(2, len(topics))
    down = -(-len(topics) // across)
    row_height = height if by_time else 0.5 + 0.15 * len(names) * len(series)
    if titles:  # These have a second line.
        row_height += 0.15
    figure = Figure(figsize=(2 * width, row_height * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, topic in zip(grid, topics, strict=False):
        axes.set_title(titles.get(topic, topic), loc="left")
        for number, name in enumerate(series):
            part = table[(table["topic"] == topic) & (table[second_column] == name)]
            rows, mark = part.set_index(columns[0]).reindex(names), MARKS[number]
            if by_time:
                _band(axes, names, rows, mark, name)
            else:
                offset = 0.8 * ((number + 0.5) / len(series) - 0.5)
                _whiskers(axes, names, rows, mark[0], offset, name)
        _set_share_axis(axes, by_time, table)
        axes.tick_params(labelbottom=True)
    for axes in grid[len(topics) :]:
        axes.set_axis_off()
    return _legend(figure, grid[0]) if len(series) > 1 else figure


@STYLED
def share_chart(findings: Findings, topic: str) -> Figure:
    """Plot a topic's shares by one column: over time a line and band, else points and whiskers."""
    table, by_time = findings.parts, findings.is_time
    rows = table[table["topic"] == topic]
    names = list(rows.iloc[:, 0])
    width, height = SMALL
    figure, axes = _figure_and_axes(width, height if by_time else 0.5 + 0.25 * len(names))
    if by_time:
        _band(axes, names, rows, MARKS[0], "")
    else:
        _whiskers(axes, names, rows, MARKS[0][0], 0.0, "")
    _set_share_axis(axes, by_time, table)
    return figure


def _set_share_axis(axes: Axes, vertical: bool, table: pd.DataFrame) -> None:
    """Let the axis of shares (y if `vertical`) show per cent, from 0 to above all in `table`."""
    limit = min(1.0, 1.08 * float(table[["share", "high"]].max().max()) or 1.0)
    set_limits = axes.set_ylim if vertical else axes.set_xlim
    set_limits(0, limit)
    axis = axes.yaxis if vertical else axes.xaxis
    axis.set_major_formatter(PercentFormatter(1, decimals=0))


# Marks and lines that can be distinguished in a grey print.
MARKS = (("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", (0, (5, 1))), ("P", (0, (1, 1))))


def _band(
    axes: Axes, names: Sequence[str], rows: pd.DataFrame, mark: tuple[str, Any], label: str
) -> None:
    """Plot shares, one for each period in `names`, as a line with a band for their intervals.

    `rows`, in the order of the names, have share, low and high. The line leaves out shares without
    an interval, and their marks are hollow. `mark` is one of `MARKS`, named `label` in the legend.
    """
    places = np.array([time_of(name) for name in names])
    axes.fill_between(places, rows["low"], rows["high"], color=PALE, alpha=0.25, linewidth=0)
    axes.vlines(places, rows["low"], rows["high"], color=PALE, linewidth=1, clip_on=False)
    known = rows["share"].where(rows["low"].notna())
    axes.plot(places, known, color=INK, ls=mark[1], linewidth=1.5)
    _marks(axes, places, rows["share"], rows["low"], mark[0], label)
    axes.set_xticks(*_ticks(names), rotation=45, ha="right", fontsize="small")


def _ticks(names: Sequence[str]) -> tuple[list[float], list[str]]:
    """Places (`time_of`) and names of ticks: all `names`, or about `MOST_TICKS` at equal steps."""
    places = [time_of(name) for name in names]
    span = places[-1] - places[0]
    if min(np.diff(places), default=1) * MOST_TICKS >= span:
        return places, list(names)
    steps = MONTHS if re.fullmatch(r"\d{4}-\d{2}", names[0]) else STEPS
    step = next(step for step in steps if step * MOST_TICKS >= span)
    ticks = np.arange(-(-places[0] // step) * step, places[-1] + 1, step).tolist()
    return ticks, [value_at(tick, names[0]) for tick in ticks]


def _whiskers(
    axes: Axes, names: Sequence[str], rows: pd.DataFrame, mark: str, offset: float, label: str
) -> None:
    """Plot shares as points, a line for each name, with whiskers for their intervals."""
    places = np.arange(len(names)) + offset
    axes.hlines(places, rows["low"], rows["high"], color=DIM, linewidth=1.5)
    _marks(axes, rows["share"], places, rows["low"], mark, label)
    _name_lines(axes, [abridged(name) for name in names])


def _name_lines(axes: Axes, names: Sequence[str]) -> None:
    """Write a name next to each line, from the top down."""
    axes.set_yticks(range(len(names)), names, color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")


def _marks(
    axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, low: pd.Series, mark: str, label: str
) -> None:
    """Plot marks of shares, hollow for shares without an interval."""
    axes.plot(x, y, mark, color=INK, mfc=CARD, clip_on=False)
    known = low.notna().to_numpy()
    x, y = np.asarray(x)[known], np.asarray(y)[known]
    # A line without marks has to be clipped, or the layout leaves no room for the axes.
    axes.plot(x, y, mark, color=INK, clip_on=not known.any(), label=label)


@STYLED
def reliability_chart(model: ModelReport) -> Figure:
    """Plot accuracy by confidence: for each bin a point, Wilson's interval and the number n."""
    figure, axes = _unit_axes("confidence", "accuracy")
    _guide(axes, (0, 1), "confidence equals accuracy")
    above = axes.get_xaxis_transform()
    axes.text(-0.02, 1.03, "n", transform=above, color=DIM, ha="right")
    confidence, bins = model.metrics.confidence, model.tables["reliability"]
    label = f"accuracy of n, {confidence:.0%} interval"
    columns = [bins[name].to_numpy() for name in ("confidence", "accuracy", "n")]
    columns += wilson(columns[1], columns[2], NormalDist().inv_cdf((1 + confidence) / 2))
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for number, (x, y, n, low, high) in enumerate(rows):
        axes.vlines(x, low, high, color=COLOURS[model.name], linewidth=2, alpha=0.5)
        tip = f"confidence {x:.0%}, accuracy {y:.0%} ({low:.0%} to {high:.0%}), n = {n}"
        _point(axes, x, y, model.name, gid=tip, label=label)
        # Numbers are in two rows by turns, so that neighbours never touch.
        place = 1.09 if number % 2 else 1.03
        axes.text(x, place, str(n), transform=above, color=DIM, ha="center")
    return _legend(figure, axes)


@STYLED
def risk_chart(models: Sequence[ModelReport]) -> Figure:
    """Plot each model's risk (share wrong) by the share of predictions kept, most certain first."""
    figure, axes = _unit_axes("share of answers", "risk")
    for model, (_, line) in zip(models, MARKS, strict=False):
        if model.metrics.abstention is not None:
            allowed = 1 - model.metrics.abstention.sure.target
            _guide(axes, (allowed, allowed), "allowed if sure")
        style = {"ls": line, "ds": "steps-post", "label": model.name}
        curve = model.tables["risk"]
        _curve(axes, curve, "answered", "risk", COLOURS[model.name], **style)
    return _legend(figure, axes)


@STYLED
def training_chart(model: ModelReport) -> Figure | None:
    """Plot losses of folds, their mean and the final fit by step or C; None without losses."""
    # The table training has the columns repeat, fold, x and y, and the table final x and y.
    history, final = model.tables["training"].dropna(), model.tables["final"].dropna()
    if history.empty and final.empty:
        return None
    x, y = (history if final.empty else final).columns[-2:]
    figure, axes = _figure_and_axes(*SIZE)
    axes.axhline(0, color=COLOURS["line"], linewidth=0.8)  # It lets the axis of losses begin at 0.
    for _, fold in history.groupby(["repeat", "fold"]):
        _curve(axes, fold.sort_values(x), x, y, PALE, linewidth=1, alpha=0.5, label="a fold")
    if len(history):
        mean = history.groupby(x)[[y]].mean().reset_index()
        _curve(axes, mean, x, y, INK, label="mean of the folds")
    if len(final):
        _curve(axes, final.sort_values(x), x, y, COLOURS[model.name], label="the final model")
    axes.set(xlabel=x, ylabel=y.replace("_", " "))
    if x == "C":
        candidates = sorted({*history.get(x, ()), *final.get(x, ())})
        axes.set(xlabel="C, the inverse strength of regularisation", xscale="log")
        axes.set_xticks(candidates, [f"{c:g}" for c in candidates])
        axes.minorticks_off()
    return _legend(figure, axes)


def _figure_and_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure of this size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _unit_axes(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    """Make a figure with both axes from 0 to 1."""
    figure, axes = _figure_and_axes(*SIZE)
    ticks = np.linspace(0, 1, 5)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=ticks, yticks=ticks, xlabel=xlabel, ylabel=ylabel)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    return figure, axes


def _curve(axes: Axes, rows: pd.DataFrame, x: str, y: str, color: str, **settings: Any) -> None:
    """Plot a line through the rows, or `N_POINTS` of them, with the first and the last row."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), N_POINTS)).round()
    rows = rows.iloc[np.unique(places).astype(np.int64)]
    axes.plot(rows[x], rows[y], color=color, clip_on=False, **({"linewidth": 2} | settings))


def _guide(axes: Axes, ends: tuple[float, float], label: str) -> None:
    """Plot a dotted reference line from one side to the other."""
    axes.plot([0, 1], ends, ":", color=DIM, linewidth=1.2, clip_on=False, label=label)


def _point(axes: Axes, x: float, y: float, model: str, **settings: Any) -> None:
    """Plot a point with a rim, which separates it from the lines behind it."""
    axes.plot([x], [y], "o", color=COLOURS[model], ms=7, mec=CARD, clip_on=False, **settings)


def _legend(figure: Figure, axes: Axes) -> Figure:
    """Add a legend below the axes, with each label once."""
    handles, labels = axes.get_legend_handles_labels()
    handle_of = dict(zip(labels, handles, strict=True))
    columns = min(len(handle_of), 4)
    figure.legend(handle_of.values(), handle_of.keys(), loc="outside lower center", ncols=columns)
    return figure


# Width of a title in characters, for a column of a paper.
TITLE = 58
# Format → metadata to leave out, because the version of matplotlib would change the bytes.
WITHOUT = {"png": ("Software",), "svg": ("Creator", "Date")}
# matplotlib warns of each letter that its fonts lack; `_fonts` logs them once instead.
without_warnings = partial(warnings.catch_warnings, action="ignore", category=UserWarning)


def _save(path: Path, chart: Figure, title: str) -> None:
    """Write a chart and its title in the format that the file's suffix names."""
    form = path.suffix[1:].lower()
    matplotlib.rcParams["svg.hashsalt"] = title
    chart.suptitle(title, x=0, ha="left")
    metadata = dict.fromkeys(WITHOUT[form])
    with atomic_write(path) as draft, without_warnings():
        chart.savefig(draft, format=form, bbox_inches="tight", metadata=metadata)


def _fonts(text: str, path: Path) -> list[str]:
    """Names of fonts for all letters of `text`, `FONT` first; log the letters that no font has."""
    fonts, missing = [FONT], {ord(letter) for letter in text}
    missing -= get_font(fontManager.findfont(FONT)).get_charmap().keys()
    upright = [font for font in fontManager.ttflist if font.style == "normal"]
    upright.sort(key=lambda font: ("Sans" not in font.name, font.name, font.weight != 400))
    for font in upright:
        # The font Last Resort has boxes for all letters.
        if not missing or font.name.startswith("Last Resort"):
            continue
        known = missing & get_font(font.fname).get_charmap().keys()
        if known:
            fonts.append(font.name)
            missing -= known
    if missing:
        letters = " ".join(map(chr, sorted(missing)[:MOST_NAMED]))
        log.warning(
            f"{path}: no installed font has these letters: {letters}. Install one, such as Noto "
            "Sans; or write .svg, which browsers show with fonts of their own."
        )
    return fonts
