"""Charts of the reports, each drawn once: a PNG file for MLflow and README, SVG for the page.

Nothing is measured here: the numbers come from `report` and `comparison`. The same numbers give
the same bytes.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from textwrap import shorten
from typing import Any

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from paratopic.corpus.table import NO_TOPIC
from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.findings import ALL, Findings
from paratopic.evaluation.intervals import Estimate
from paratopic.project.errors import UserError
from paratopic.project.files import aside
from paratopic.project.kinds import KINDS
from paratopic.project.metrics import HEADLINE, metrics_in
from paratopic.project.periods import UNKNOWN

# Why there is no chart.
UNMEASURED = "nothing was held out, so nothing was measured"
# Variable of page.html → its value in daylight. Charts have no other colours, so that the page can
# put the variables in their place, whose values differ at night.
COLOURS = {
    "ink": "#1c2430",
    "dim": "#5a6473",
    "line": "#dde2e9",
    "card": "#ffffff",
    **{kind.name: kind.colour for kind in KINDS.values()},
    "dummy": "#7b8594",
}
INK, DIM, CARD, PALE = (COLOURS[name] for name in ("ink", "dim", "card", "dummy"))
FONT = "DejaVu Sans"  # comes with matplotlib: the same bytes everywhere
# Decorates what draws, and what writes: some is drawn only then.
STYLED = matplotlib.style.context(
    [
        "default",
        {
            "axes.autolimit_mode": "round_numbers",
            "axes.grid": True,
            "axes.labelcolor": INK,
            **{f"axes.spines.{side}": False for side in ("bottom", "left", "right", "top")},
            "axes.titlesize": "medium",
            "axes.xmargin": 0,
            "axes.ymargin": 0,
            "figure.labelsize": "medium",
            "figure.titlesize": "medium",
            "figure.titleweight": "bold",
            "font.family": FONT,
            "font.size": 11,
            "grid.color": COLOURS["line"],
            "legend.fontsize": 10,
            "legend.frameon": False,
            "svg.fonttype": "none",
            "text.color": INK,
            "text.parse_math": False,  # topics may have a $
            "xtick.bottom": False,
            "xtick.color": DIM,
            "ytick.color": DIM,
            "ytick.left": False,
        },
    ]
)
# Size in inches of the charts that the page has too, and the most points of their curves: more
# cannot be told apart.
SIZE, N_POINTS = (5.4, 3.9), 250
# Size in inches of one of several small charts.
SMALL = (3.6, 2.6)


def draw_comparison(path: Path, comparison: Comparison, confidence: float) -> None:
    """Draw the metric that models are compared by.

    Parameters
    ----------
    path
        PNG file to write.
    comparison
        The comparison.
    confidence
        Confidence of the intervals.
    """
    models = comparison.models
    if not models:
        _write_png(path, _sentence(UNMEASURED), "Comparison of models")
        return
    metric = metrics_in(comparison.mode)[HEADLINE[comparison.mode]]
    estimates = {name: measured[metric.key] for name, measured in models.items()}
    chart = _interval(estimates, list(models), confidence)
    _write_png(path, chart, f"{metric.title}, out-of-fold, same folds")


@STYLED
def as_svg(chart: Figure, title: str) -> str:
    """A chart as an SVG element of the page.

    It has the page's font and colours. A `gid` with a blank becomes a tooltip.

    Parameters
    ----------
    chart
        The chart.
    title
        What it shows, for those who cannot see it; another one for each chart of the page.
    """
    file = io.StringIO()
    matplotlib.rcParams["svg.hashsalt"] = title  # no other chart of the page has the same ids
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    chart.savefig(file, format="svg", transparent=True, metadata=metadata)
    head, group, inside = file.getvalue().partition("<g ")
    box = re.findall('viewBox="[^"]*"', head)[0]
    inside = re.sub(r"<clipPath.*?</clipPath>", "", group + inside, flags=re.S)
    inside = re.sub(r' (clip-path="|transform="rotate\(-0 )[^"]*"', "", inside)
    inside = re.sub(r'<g id="[^" ]*">', "<g>", inside)
    inside = re.sub(r'<g id="([^"]*)">', r"<g><title>\1</title>", inside)
    inside = re.sub(r"\s+", " ", inside).replace("> <", "><").replace(f"'{FONT}'", "system-ui")
    inside = re.sub(r"\d+\.\d\d+(?=[^<>]*>)", lambda number: f"{float(number[0]):.1f}", inside)
    for name, colour in COLOURS.items():
        inside = inside.replace(colour, f"var(--{name})")
    return f'<svg {box} role="img" aria-label="{html.escape(title)}">{inside}'


def draw_shares(path: Path, findings: Findings, columns: Sequence[str], title: str) -> None:
    """Draw shares of topics by group: lines with bands over time, else points with whiskers.

    Parameters
    ----------
    path
        PNG or SVG file to write.
    findings
        The shares. Each topic has a chart of its own; of two columns, the second has a mark each.
    columns
        Columns that name the groups; none for all of the corpus.
    title
        What the shares are of.

    Raises
    ------
    UserError
        The second column has more values than there are marks.
    """
    if len(columns) > 1 and (n := findings.table[columns[1]].nunique() - 1) > len(MARKS):
        raise UserError(
            f"--out {path}: a picture tells {len(MARKS)} values of the second column apart, and "
            f"{columns[1]} has {n}; name it first, or leave it out"
        )
    chart = _share_charts(findings, columns)
    (_write_svg if path.suffix.lower() == ".svg" else _write_png)(path, chart, title)


@STYLED
def _share_charts(findings: Findings, columns: Sequence[str]) -> Figure:
    table = findings.table
    if not columns:
        topics = table["topic"].tolist()
        figure, axes = _axes(6, 0.8 + 0.35 * len(topics))
        _whiskers(axes, topics, table, MARKS[0][0])
        axes.set_xlim(0, _highest(table))
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        return figure
    table = _parts(findings, columns[0])
    topics, names = (list(dict.fromkeys(table[column])) for column in ("topic", columns[0]))
    series = list(dict.fromkeys(table[columns[1]])) if len(columns) > 1 else [""]
    across = min(3, len(topics))
    down = -(-len(topics) // across)
    high = SMALL[1] if findings.is_time else 0.8 + 0.25 * len(names) * len(series)
    figure = Figure(figsize=(SMALL[0] * across, high * down), layout="constrained")
    by_time = findings.is_time  # groups are on the axis that charts share
    grid = figure.subplots(down, across, squeeze=False, sharex=by_time, sharey=not by_time).ravel()
    for axes, topic in zip(grid, topics, strict=False):
        axes.set_title(topic, loc="left")
        for number, name in enumerate(series):
            part = table[table["topic"] == topic]
            if name:
                part = part[part[columns[1]] == name]
            rows, mark = part.set_index(columns[0]).reindex(names), MARKS[number]
            if findings.is_time:
                _band(axes, names, rows, mark, name)
            else:
                offset = 0.8 * ((number + 0.5) / len(series) - 0.5)
                _whiskers(axes, names, rows, mark[0], offset, name)
        shares, limit = (
            (axes.yaxis, axes.set_ylim) if findings.is_time else (axes.xaxis, axes.set_xlim)
        )
        limit(0, _end(table, topic))
        shares.set_major_formatter(PercentFormatter(1, decimals=0))
    for axes in grid[len(topics) - across : len(topics)]:
        axes.tick_params(labelbottom=True)
    for axes in grid[len(topics) :]:
        axes.set_axis_off()
    return _legend(figure, grid[0]) if len(series) > 1 else figure


@STYLED
def share_chart(findings: Findings, topic: str) -> Figure:
    """Draw a topic's shares over time.

    Parameters
    ----------
    findings
        The shares, by period.
    topic
        The topic, or `NO_TOPIC`.
    """
    column = str(findings.table.columns[0])
    table = _parts(findings, column)
    rows = table[table["topic"] == topic]
    figure, axes = _axes(*SMALL)
    _band(axes, list(rows[column]), rows, MARKS[0], "")
    axes.set_ylim(0, _end(table, topic))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return figure


def _parts(findings: Findings, column: str) -> pd.DataFrame:
    """The lines of the groups; over time, those whose time is known."""
    table = findings.table[findings.table[column] != ALL]
    return table[table[column] != UNKNOWN] if findings.is_time else table


# Marks and lines that a print in grey tells apart.
MARKS = (("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", (0, (5, 1))), ("P", (0, (1, 1))))


def _end(table: pd.DataFrame, topic: str) -> float:
    """Where the axis of a topic's shares ends: all topics have the same one."""
    return _highest(table if topic == NO_TOPIC else table[table["topic"] != NO_TOPIC])


def _highest(table: pd.DataFrame) -> float:
    """Where an axis of shares ends."""
    return min(1.0, 1.08 * float(table[["share", "high"]].max().max()) or 1.0)


def _band(
    axes: Axes, names: Sequence[str], rows: pd.DataFrame, mark: tuple[str, Any], label: str
) -> None:
    """A line through shares over time, with a band for their intervals."""
    places = np.arange(len(names))
    axes.fill_between(places, rows["low"], rows["high"], color=PALE, alpha=0.25, linewidth=0)
    axes.vlines(places, rows["low"], rows["high"], color=PALE, linewidth=1)
    axes.plot(places, rows["share"], color=INK, ls=mark[1], linewidth=1.5)
    _marks(axes, places, rows["share"], rows["low"], mark[0], label)
    every = -(-len(names) // 8)
    axes.set_xticks(places[::every], list(names)[::every], rotation=45, ha="right", fontsize=9)


def _whiskers(
    axes: Axes,
    names: Sequence[str],
    rows: pd.DataFrame,
    mark: str,
    offset: float = 0.0,
    label: str = "",
) -> None:
    """Shares as points, a line for each name, with whiskers for their intervals."""
    places = np.arange(len(names)) + offset
    axes.hlines(places, rows["low"], rows["high"], color=DIM, linewidth=1.5)
    _marks(axes, rows["share"], places, rows["low"], mark, label)
    words = [shorten(name, 30, placeholder=" …") for name in names]
    axes.set_yticks(np.arange(len(names)), words, color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")


def _marks(axes: Axes, x: Any, y: Any, low: pd.Series, mark: str, label: str) -> None:
    """Marks of shares; hollow where they have no interval."""
    axes.plot(x, y, mark, color=INK, mfc=CARD, ms=5, clip_on=False)
    known = low.notna().to_numpy()
    x, y = np.asarray(x)[known], np.asarray(y)[known]
    # Without any mark, there would be no room for the axes if it were not clipped.
    axes.plot(x, y, mark, color=INK, ms=5, clip_on=not known.any(), label=label)


def risk_at(curve: pd.DataFrame, coverage: float) -> float | None:
    """Risk of the most confident answers up to a coverage; None if that is less than one answer."""
    # Rounding must not leave the last answer out.
    risks = curve["risk"][curve["coverage"] <= coverage + 1e-9]
    return float(risks.iloc[-1]) if len(risks) else None


@STYLED
def reliability_chart(model: str, bins: pd.DataFrame, metrics: Mapping[str, Any]) -> Figure:
    """Accuracy by confidence: a point with its interval, and its number of answers, for each bin.

    Parameters
    ----------
    model
        Name of the model.
    bins
        Columns confidence, accuracy and share.
    metrics
        Content of metrics.json.
    """
    figure, axes = _shares("confidence", "accuracy")
    _guide(axes, (0, 1), "confidence is accuracy")
    above = axes.get_xaxis_transform()
    axes.text(-0.02, 1.03, "n", transform=above, color=DIM, ha="right")
    label = f"accuracy of n answers, {metrics['confidence']:.0%} interval"
    table = _with_intervals(bins, metrics)[["confidence", "accuracy", "n", "low", "high"]]
    for number, (x, y, n, low, high) in enumerate(table.to_numpy(dtype=np.float64).tolist()):
        axes.vlines(x, low, high, color=COLOURS[model], linewidth=2, alpha=0.5)
        tip = f"confidence {x:.0%}, accuracy {y:.0%} ({low:.0%} to {high:.0%}), n = {n:.0f}"
        _point(axes, x, y, model, gid=tip, label=label)
        # Neighbours take turns in two rows, so that their numbers never touch.
        place = 1.09 if number % 2 else 1.03
        axes.text(x, place, f"{n:.0f}", transform=above, color=DIM, ha="center")
    return _legend(figure, axes)


@STYLED
def risk_coverage_chart(
    models: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]],
) -> Figure:
    """Risk by coverage, the most certain answers first.

    Parameters
    ----------
    models
        Model → columns coverage and risk, and the content of metrics.json.
    """
    figure, axes = _shares("coverage", "risk")
    for name, (curve, metrics) in models.items():
        if metrics["mode"] == "single":
            allowed = 1 - metrics["abstention"]["sure"]["target"]
            _guide(axes, (allowed, allowed), "allowed if sure")
        _curve(axes, curve, "coverage", "risk", COLOURS[name], ds="steps-post", label=name)
    return _legend(figure, axes)


@STYLED
def training_chart(
    model: str, history: pd.DataFrame, final: pd.DataFrame | None = None
) -> Figure | None:
    """Histories of the folds, their mean and that of the model that ships; None for no history.

    C, of which each candidate is some times the one before, has a logarithmic axis.

    Parameters
    ----------
    model
        Name of the model.
    history
        Columns repeat, fold, x and y.
    final
        Columns x and y, of the model that ships. Default: nothing.
    """
    history = history.dropna()
    final = pd.DataFrame() if final is None else final.dropna()
    if history.empty and final.empty:
        return None
    x, y = (history if final.empty else final).columns[-2:]
    figure, axes = _axes(*SIZE)
    axes.axhline(0, color=COLOURS["line"], linewidth=0.8)  # the losses' axis starts here
    for _, fold in history.groupby(["repeat", "fold"]):
        _curve(axes, fold.sort_values(x), x, y, PALE, linewidth=1, alpha=0.5, label="a fold")
    if len(history):
        mean = history.groupby(x)[[y]].mean().reset_index()
        _curve(axes, mean, x, y, INK, label="mean of the folds")
    if len(final):
        _curve(axes, final.sort_values(x), x, y, COLOURS[model], label="the final model")
    axes.set(xlabel=x, ylabel=y.replace("_", " "))
    if x == "C":
        candidates = sorted({*history.get(x, ()), *final.get(x, ())})
        axes.set(xlabel="C, the inverse strength of regularisation", xscale="log")
        axes.set_xticks(candidates, [f"{c:g}" for c in candidates])
        axes.minorticks_off()
    return _legend(figure, axes)


@STYLED
def _interval(
    estimates: Mapping[str, Estimate], models: Sequence[str], confidence: float
) -> Figure:
    """Estimates with their intervals, a line for each in the colour of its model."""
    figure, axes = _axes(7, 0.8 + 0.4 * len(estimates))
    for line, (estimate, model) in enumerate(zip(estimates.values(), models, strict=True)):
        if estimate.low is not None and estimate.high is not None:
            ends = (estimate.low, estimate.high)
            axes.hlines(line, *ends, color=COLOURS[model], linewidth=2, alpha=0.5)
        _point(axes, estimate.value, line, model)
        axes.text(1.03, line, f"{estimate.value:.2f}", va="center")
    axes.set_yticks(range(len(estimates)), list(estimates), color=INK)
    axes.set(xlim=(0, 1), ylim=(len(estimates) - 0.5, -0.5))
    axes.set_xlabel(f"{confidence:.0%} interval")
    axes.grid(False, axis="y")
    return figure


@STYLED
def _sentence(message: str) -> Figure:
    """A sentence that says why there is no chart, without the frame of an empty one."""
    figure, axes = _axes(6, 1)
    axes.text(0.5, 0.5, message, ha="center", va="center")
    axes.set_axis_off()
    return figure


def _with_intervals(bins: pd.DataFrame, metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Add columns n (number of answers), low and high to bins of reliability.

    The interval is Wilson's (1927, Journal of the American Statistical Association 22, 209-212),
    which never leaves 0 to 1.
    """
    is_multi = metrics["mode"] == "multi"
    answers = metrics["n"] * len(metrics["topics"]) if is_multi else metrics["n_topical"]
    z = NormalDist().inv_cdf((1 + metrics["confidence"]) / 2)
    n, right = bins["share"] * answers, bins["accuracy"]
    centre = (right + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(right * (1 - right) / n + (z / (2 * n)) ** 2)
    return bins.assign(n=n, low=(centre - half).clip(lower=0), high=(centre + half).clip(upper=1))


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Axes in a figure of this size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _shares(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    """Axes of two shares, from 0 to 1."""
    figure, axes = _axes(*SIZE)
    ticks = np.linspace(0, 1, 5)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=ticks, yticks=ticks, xlabel=xlabel, ylabel=ylabel)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    return figure, axes


def _curve(axes: Axes, rows: pd.DataFrame, x: str, y: str, color: str, **settings: Any) -> None:
    """Join at most `N_POINTS` of the rows, evenly spaced, the first and the last among them."""
    places = np.linspace(0, len(rows) - 1, min(len(rows), N_POINTS)).round()
    rows = rows.iloc[np.unique(places).astype(np.int64)]
    axes.plot(rows[x], rows[y], color=color, clip_on=False, **({"linewidth": 2} | settings))


def _guide(axes: Axes, ends: tuple[float, float], label: str) -> None:
    """Draw the line that the eye compares with, from one side to the other."""
    axes.plot([0, 1], ends, "--", color=DIM, linewidth=1.2, clip_on=False, label=label)


def _point(axes: Axes, x: float, y: float, model: str, **settings: Any) -> None:
    """Draw a point with a rim, which tells it from the lines behind it."""
    axes.plot([x], [y], "o", color=COLOURS[model], ms=7, mec=CARD, clip_on=False, **settings)


def _legend(figure: Figure, axes: Axes) -> Figure:
    """Write below the axes what the lines are, each kind once."""
    handles, labels = axes.get_legend_handles_labels()
    kinds = dict(zip(labels, handles, strict=True))
    figure.legend(
        kinds.values(), kinds.keys(), loc="outside lower center", ncols=min(len(kinds), 4)
    )
    return figure


@STYLED
def _write_png(path: Path, chart: Figure, title: str) -> None:
    """Write a chart and its title as a PNG file."""
    chart.suptitle(title, x=0, ha="left")
    with aside(path) as draft:
        # The version of matplotlib would change the bytes.
        metadata = {"Software": None}
        chart.savefig(draft, format="png", dpi=144, bbox_inches="tight", metadata=metadata)


@STYLED
def _write_svg(path: Path, chart: Figure, title: str) -> None:
    """Write a chart and its title as an SVG file."""
    matplotlib.rcParams["svg.hashsalt"] = title
    chart.suptitle(title, x=0, ha="left")
    with aside(path) as draft:
        metadata = dict.fromkeys(("Creator", "Date"))
        chart.savefig(draft, format="svg", bbox_inches="tight", metadata=metadata)
