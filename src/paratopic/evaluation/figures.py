"""Charts of the reports, each drawn once: SVG for the page; PNG, SVG and PDF files.

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
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from paratopic.evaluation.comparison import Comparison
from paratopic.evaluation.findings import ALL, Findings
from paratopic.evaluation.intervals import Estimate
from paratopic.project.errors import UserError
from paratopic.project.files import aside
from paratopic.project.kinds import KINDS
from paratopic.project.metrics import HEADLINE, Metric, metrics_in
from paratopic.project.periods import UNKNOWN
from paratopic.project.topics import NO_TOPIC

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
    """
    models = comparison.models
    if not models:
        _write(path, _sentence(UNMEASURED), "Comparison of models")
        return
    metric = metrics_in(comparison.mode)[HEADLINE[comparison.mode]]
    estimates = {name: measured[metric.key] for name, measured in models.items()}
    _write(path, comparison_chart(estimates, confidence), _comparison_title(metric))


def _comparison_title(metric: Metric) -> str:
    return f"{metric.title}, out-of-fold, same folds"


def write_figures(
    folder: Path,
    comparison: Mapping[str, Any],
    models: Mapping[str, tuple[Mapping[str, Any], pd.DataFrame, pd.DataFrame]],
    confusions: Mapping[str, Mapping[str, Mapping[str, int]]],
) -> list[str]:
    """Write the charts of the report for a paper: each as SVG, PNG and PDF.

    Parameters
    ----------
    folder
        Folder for the files; it is made if it is missing.
    comparison
        Content of comparison.json.
    models
        Model → content of metrics.json, and the files reliability.csv and risk_coverage.csv.

    Returns
    -------
    Names of the charts, which the files have, too.
    """
    metric = metrics_in(comparison["mode"])[HEADLINE[comparison["mode"]]]
    reports = {name: report for name, (report, _, _) in models.items()}
    confidence = next(iter(reports.values()))["confidence"]
    estimates = {
        name: Estimate(**measured[metric.key]) for name, measured in comparison["models"].items()
    }
    curves = {name: (curve, report) for name, (report, _, curve) in models.items()}
    charts = {
        "comparison": (comparison_chart(estimates, confidence), _comparison_title(metric)),
        "topics": (topic_chart(reports), f"F1 by topic, {confidence:.0%} intervals"),
        "risk": (risk_coverage_chart(curves), "Risk by coverage, the most certain first"),
    }
    for name, (_, bins, _) in models.items():
        chart = reliability_chart(name, bins, confidence)
        charts[f"reliability-{name}"] = chart, f"{name}: accuracy by confidence"
        chart = confusion_chart(name, confusions[name])
        charts[f"confusion-{name}"] = chart, f"{name}: label and answer"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (chart, title) in charts.items():
        for form in WITHOUT:
            _write(folder / f"{name}.{form}", chart, title)
    return list(charts)


@STYLED
def as_svg(chart: Figure, title: str) -> str:
    """A chart as an SVG element of the page.

    It has the page's font and colours. A `gid` with a blank becomes a tooltip.

    Parameters
    ----------
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
    _write(path, chart, title)


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
    """Draw a topic's shares over time."""
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
    axes.set_yticks(np.arange(len(names)), [_short(name) for name in names], color=INK)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")


def _short(name: str) -> str:
    """A name that has room beside an axis."""
    return shorten(name, 30, placeholder=" …")


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
def reliability_chart(model: str, bins: pd.DataFrame, confidence: float) -> Figure:
    """Accuracy by confidence: a point with its interval, and its number of answers, for each bin.

    Parameters
    ----------
    bins
        Columns confidence, accuracy and n.
    """
    figure, axes = _shares("confidence", "accuracy")
    _guide(axes, (0, 1), "confidence is accuracy")
    above = axes.get_xaxis_transform()
    axes.text(-0.02, 1.03, "n", transform=above, color=DIM, ha="right")
    label = f"accuracy of n answers, {confidence:.0%} interval"
    table = _with_intervals(bins, confidence)[["confidence", "accuracy", "n", "low", "high"]]
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
    for (name, (curve, metrics)), (_, line) in zip(models.items(), MARKS, strict=False):
        if metrics["mode"] == "single":
            allowed = 1 - metrics["abstention"]["sure"]["target"]
            _guide(axes, (allowed, allowed), "allowed if sure")
        style = {"ls": line, "ds": "steps-post", "label": name}
        _curve(axes, curve, "coverage", "risk", COLOURS[name], **style)
    return _legend(figure, axes)


@STYLED
def training_chart(
    model: str, history: pd.DataFrame, final: pd.DataFrame | None = None
) -> Figure | None:
    """Histories of the folds, their mean and that of the model that ships; None for no history.

    C, of which each candidate is some times the one before, has a logarithmic axis.

    Parameters
    ----------
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
def topic_chart(models: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw F1 by topic with its interval, a mark for each model."""
    topics = next(iter(models.values()))["topics"]
    names = list(topics)
    figure, axes = _axes(6, 1.1 + 0.25 * len(names) * len(models))
    for number, (model, metrics) in enumerate(models.items()):
        offset = 0.6 * ((number + 0.5) / len(models) - 0.5)
        colour, mark = COLOURS[model], MARKS[number][0]
        for line, name in enumerate(names):
            if not metrics["topics"][name]["support"]:
                continue
            f1 = metrics["topics"][name]["f1"]
            if f1["low"] is not None:
                axes.hlines(line + offset, f1["low"], f1["high"], color=colour, alpha=0.5)
            _point(axes, f1["value"], line + offset, model, marker=mark, label=model)
    words = [f"{_short(name)} (n = {topic['support']})" for name, topic in topics.items()]
    axes.set_yticks(range(len(names)), words, color=INK)
    axes.set(xlim=(0, 1), ylim=(len(names) - 0.5, -0.5), xlabel="F1")
    axes.grid(False, axis="y")
    return _legend(figure, axes)


@STYLED
def confusion_chart(model: str, counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """Draw a confusion matrix: labels in rows, answers in columns, shaded by share of the row.

    Parameters
    ----------
    model
        Name of the model, in whose colour it is shaded.
    counts
        Topic of the label → topic of the answer → number of paragraphs.
    """
    names = list(counts)
    figure, axes = _axes(2 + 0.5 * len(names), 1.6 + 0.4 * len(names))
    for line, row in enumerate(counts.values()):
        total = max(1, sum(row.values()))
        for place, count in enumerate(row.values()):
            corner = (place - 0.5, line - 0.5)
            axes.add_patch(
                Rectangle(corner, 1, 1, fc=COLOURS[model], alpha=0.5 * count / total, lw=0)
            )
            if count:
                weight = "bold" if place == line else "normal"
                axes.text(place, line, str(count), ha="center", va="center", weight=weight)
    ends = (-0.5, len(names) - 0.5)
    words = [_short(name) for name in names]
    axes.set(xlim=ends, ylim=ends[::-1], xlabel="answer", ylabel="label")
    axes.set_xticks(range(len(names)), words, rotation=45, ha="right", color=INK)
    axes.set_yticks(range(len(names)), words, color=INK)
    axes.grid(False)
    for border in np.arange(-0.5, len(names)):
        axes.axhline(border, color=COLOURS["line"], linewidth=0.8, clip_on=False)
        axes.axvline(border, color=COLOURS["line"], linewidth=0.8, clip_on=False)
    return figure


@STYLED
def comparison_chart(estimates: Mapping[str, Estimate], confidence: float) -> Figure:
    """Draw estimates with their intervals, a line for each model."""
    figure, axes = _axes(7, 0.8 + 0.4 * len(estimates))
    for line, (model, estimate) in enumerate(estimates.items()):
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


def _with_intervals(bins: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Add columns low and high to bins of reliability.

    The interval is Wilson's (1927, Journal of the American Statistical Association 22, 209-212),
    which never leaves 0 to 1.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    n, right = bins["n"], bins["accuracy"]
    centre = (right + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(right * (1 - right) / n + (z / (2 * n)) ** 2)
    return bins.assign(low=(centre - half).clip(lower=0), high=(centre + half).clip(upper=1))


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
    axes.plot([0, 1], ends, ":", color=DIM, linewidth=1.2, clip_on=False, label=label)


def _point(axes: Axes, x: float, y: float, model: str, **settings: Any) -> None:
    """Draw a point with a rim, which tells it from the lines behind it."""
    style: dict[str, Any] = {"marker": "o", "ls": "", "ms": 7, "mec": CARD} | settings
    axes.plot([x], [y], color=COLOURS[model], clip_on=False, **style)


def _legend(figure: Figure, axes: Axes) -> Figure:
    """Write below the axes what the lines are, each kind once."""
    handles, labels = axes.get_legend_handles_labels()
    kinds = dict(zip(labels, handles, strict=True))
    figure.legend(
        kinds.values(), kinds.keys(), loc="outside lower center", ncols=min(len(kinds), 4)
    )
    return figure


# Format → metadata that it has no use for: the version of matplotlib would change the bytes.
WITHOUT = {
    "png": ("Software",),
    "svg": ("Creator", "Date"),
    "pdf": ("Creator", "Producer", "CreationDate"),
}


@STYLED
def _write(path: Path, chart: Figure, title: str) -> None:
    """Write a chart and its title in the format that the file's suffix names."""
    form = path.suffix[1:].lower()
    matplotlib.rcParams["svg.hashsalt"] = title
    chart.suptitle(title, x=0, ha="left")
    metadata = dict.fromkeys(WITHOUT[form])
    with aside(path) as draft:
        chart.savefig(draft, format=form, dpi=144, bbox_inches="tight", metadata=metadata)
