"""The report as one page for people who were not there: everything in it, and no network needed.

Nothing is measured here: the figures come from `report` and `comparison`. The text is in page.html,
and charts are SVG inside it. Paragraphs that models contradict are shown; `paratopic review` ranks
all doubtful labels.
"""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import NormalDist
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from paratopic.corpus.table import targets_of
from paratopic.evaluation.report import MODES as REPORTS
from paratopic.evaluation.report import NONE
from paratopic.inference.modes import HALF, mode_of
from paratopic.inference.scores import Array, Targets
from paratopic.project.titles import TITLES
from paratopic.project.topics import ModeName, Topics, split_cell

TEMPLATE = Path(__file__).with_name("page.html")
# Number of paragraphs that are shown of those that are answered wrong, and of doubtful labels.
N_SHOWN = 12
# Number of characters that are shown of a paragraph, and of topics that are probable in it.
EXCERPT, N_PROBABLE = 900, 6
# Most points of a curve: more cannot be told apart.
N_POINTS = 250

# What a trained model is, in a few words.
MODELS = {
    "baseline": "TF-IDF and logistic regression",
    "transformer": "pretrained encoder and head",
}
MEANINGS = {
    "answer_macro_f1": "F1 averaged over the topics and none of them",
    "answer_accuracy": "share of answers that are right, none of the topics included",
    "coverage": "share of paragraphs that get a topic",
    "precision": "share of these topics that are right",
    "micro_f1": "F1 of all topics counted together",
    "map": "how far up a topic's paragraphs rank by its probability",
    "accuracy": "the most probable topic, of paragraphs that have one",
    "subset_accuracy": "share of paragraphs with all topics right",
    "log_loss": "of the probabilities; lower is better",
    "brier": "squared error of the probabilities; lower is better",
    "ece": "gap between confidence and accuracy; lower is better",
}


@dataclass(frozen=True)
class ModePage:
    """What the page in one mode has and that in another lacks.

    Parameters
    ----------
    answered_from
        Probability from which on a prediction of predictions.csv is an answer.
    macro_f1
        Meaning of macro-F1.
    number
        How many topics a paragraph has.
    dummy
        What the dummy answers.
    confidence
        What reliability is the accuracy of.
    """

    answered_from: float
    macro_f1: str
    number: str
    dummy: str
    confidence: str


MODES: Mapping[ModeName, ModePage] = {
    "single": ModePage(
        HALF,
        "F1 averaged over the topics: the most probable one, of paragraphs that have one",
        "one topic or none",
        "the most common answer",
        "the most probable topic of a paragraph that has one",
    ),
    "multi": ModePage(
        0.0,
        "F1 averaged over the topics",
        "any number of topics",
        "every topic",
        "a topic of a paragraph",
    ),
}


@dataclass(frozen=True)
class ModelReport:
    """What is reported of one trained model.

    Parameters
    ----------
    name
        Kind of the model.
    size
        Size of its folder in bytes.
    metrics
        Content of metrics.json.
    predictions
        predictions.csv, of the paragraphs that are evaluated.
    reliability, risk_coverage, training
        The CSV files of these names.
    final
        final.csv: the history of the model that ships.
    """

    name: str
    size: int
    metrics: Mapping[str, Any]
    predictions: pd.DataFrame
    reliability: pd.DataFrame
    risk_coverage: pd.DataFrame
    training: pd.DataFrame
    final: pd.DataFrame


@dataclass(frozen=True)
class Axis:
    """An axis from its first tick to its last.

    Parameters
    ----------
    title
        What the values are.
    ticks
        Value → its label, in ascending order.
    log
        Whether distances are those of logarithms. Default: no.
    """

    title: str
    ticks: Mapping[float, str]
    log: bool = False

    def at(self, value: float) -> float:
        """Position of a value: 0 at the first tick, 1 at the last; one half if they are the same.

        >>> Axis("C", {1: "1", 100: "100"}, log=True).at(10)
        0.5
        """
        low, high, value = (
            math.log10(v) if self.log else v for v in (min(self.ticks), max(self.ticks), value)
        )
        return (value - low) / (high - low) if high > low else 0.5


@dataclass(frozen=True)
class Line:
    """Points (x, y) that a line joins; `kind` is its CSS class."""

    kind: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Point:
    """A point with its interval, a number above the chart and a tooltip; `kind` is its class."""

    kind: str
    x: float
    y: float
    title: str
    interval: tuple[float, float] | None = None
    count: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart, drawn by the template in a box of these sizes in pixels.

    Parameters
    ----------
    title
        What is shown.
    x, y
        The axes.
    lines, points
        What is drawn, from back to front.
    legend
        CSS class of lines → what they are.
    """

    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line] = ()
    points: Sequence[Point] = ()
    legend: Mapping[str, str] = field(default_factory=dict)
    width: int = 440
    height: int = 300
    left: int = 50
    right: int = 16
    top: int = 26
    bottom: int = 42

    def px(self, value: float) -> float:
        """Horizontal position of a value in pixels."""
        return round(self.left + self.x.at(value) * (self.width - self.left - self.right), 1)

    def py(self, value: float) -> float:
        """Vertical position of a value in pixels, from the top."""
        return round(
            self.height - self.bottom - self.y.at(value) * (self.height - self.top - self.bottom), 1
        )

    def path(self, line: Line) -> str:
        """A line as the data of an SVG path."""
        return "M" + "L".join(f"{self.px(x)} {self.py(y)}" for x, y in line.points)


@dataclass(frozen=True)
class Bar:
    """A probability that is shown as a bar, and whether it is that of a part of the label."""

    name: str
    probability: float
    labelled: bool


@dataclass(frozen=True)
class Mistake:
    """A paragraph whose label the models contradict.

    Parameters
    ----------
    id, article, heading, text
        The paragraph.
    label
        Topics of the label, or NONE.
    answers
        Model → topics that it answers, or NONE; the champion comes first.
    bars
        What the champion sees in the paragraph: its highest probabilities and those of the label.
    """

    id: str
    article: str
    heading: str
    text: str
    label: str
    answers: Mapping[str, str]
    bars: Sequence[Bar]


def render(
    topics: Topics,
    prepared: Mapping[str, Any],
    split: Mapping[str, Any],
    comparison: Mapping[str, Any],
    models: Sequence[ModelReport],
) -> str:
    """Write the page.

    Parameters
    ----------
    topics
        The codebook.
    prepared, split, comparison
        Contents of prepare.json, split.json and comparison.json.
    models
        Reports of the trained models, in any order.

    Returns
    -------
    HTML that asks no network for anything. Texts of users are escaped.
    """
    mode = MODES[topics.mode]
    models = sorted(models, key=lambda model: model.name != comparison["champion"])
    champion = models[0]
    measured = bool(comparison["n"])
    templates = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    templates.filters["percent"] = lambda share: f"{share:.0%}"
    wrong = worst(models, topics) if measured else []
    return templates.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        topics=topics,
        mode=mode,
        prepared=prepared,
        split=split,
        comparison=comparison,
        notes=[*split["messages"], *prepared["messages"]],
        models=models,
        champion=champion,
        about=MODELS | {"dummy": f"always {mode.dummy}"},
        titles=TITLES,
        meanings=MEANINGS | {"macro_f1": mode.macro_f1},
        metrics=_metrics(comparison),
        confusions={m.name: confusion(m, topics) for m in models} if measured else {},
        reliabilities=[_reliability_chart(m, mode) for m in models] if measured else [],
        risk=_risk_chart(models, REPORTS[topics.mode].counted) if measured else None,
        risks=_risks(models) if measured else {},
        better_than_dummy=_better_than_dummy(comparison),
        trainings={m.name: _training_chart(m) for m in models},
        wrong=wrong,
        n_shown=N_SHOWN,
        doubtful=second_look(models, topics) if measured else [],
    )


def reliability(bins: pd.DataFrame, metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Numbers and intervals of the bins of reliability.csv.

    The interval is Wilson's (1927, Journal of the American Statistical Association 22, 209-212),
    which never leaves 0 to 1. A paragraph counts once, however many repeats there are.

    Parameters
    ----------
    bins
        Columns confidence, accuracy and share.
    metrics
        Content of metrics.json, for the number of answers and the confidence of the intervals.

    Returns
    -------
    The bins with columns n (number of answers, a mean over repeats), low and high.
    """
    answers = metrics["n"] * len(metrics["topics"]) if "naming" in metrics else metrics["n_topical"]
    z = NormalDist().inv_cdf((1 + metrics["confidence"]) / 2)
    n, right = bins["share"] * answers, bins["accuracy"]
    centre = (right + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(right * (1 - right) / n + (z / (2 * n)) ** 2)
    return bins.assign(n=n, low=(centre - half).clip(lower=0), high=(centre + half).clip(upper=1))


def labels(model: ModelReport, topics: Topics) -> Targets:
    """Topics of the predictions' labels, (n, k)."""
    return _targets(model.predictions["true"], topics)


def answers(model: ModelReport, topics: Topics) -> Targets:
    """What the model answers, (n, k); a row of false for none of the topics."""
    table, least = model.predictions, MODES[topics.mode].answered_from
    cells = table["predicted"].where(table["confidence"] >= least, "")
    return _targets(cells, topics)


def _targets(cells: pd.Series, topics: Topics) -> Targets:
    """Topics that cells of labels name, (n, k)."""
    return targets_of(cells.map(split_cell).to_frame("topic"), topics.names)


def confusion(model: ModelReport, topics: Topics) -> dict[str, dict[str, int]]:
    """Number of paragraphs: topic of the label → topic of the answer → count; NONE is a topic too.

    Where there are several topics, each one that was missed is paired with each wrong one, or with
    NONE, as in `report.confusion_pairs`.
    """
    counts: Counter[tuple[str, str]] = Counter()
    cells = (topics.write(targets(model, topics)) for targets in (labels, answers))
    for label, answer in zip(*cells, strict=True):
        true, given = (set(split_cell(_named(cell))) for cell in (label, answer))
        counts.update((name, name) for name in true & given)
        if true != given:
            counts.update(product(true - given or {NONE}, given - true or {NONE}))
    classes = (*topics.names, NONE)
    return {label: {answer: counts[label, answer] for answer in classes} for label in classes}


def worst(models: Sequence[ModelReport], topics: Topics) -> list[Mistake]:
    """Paragraphs that the first model answers wrong, the least probable label first."""
    wrong = labels(models[0], topics) != answers(models[0], topics)
    return _mistakes(models, topics, wrong.any(axis=1))


def second_look(models: Sequence[ModelReport], topics: Topics) -> list[Mistake]:
    """Paragraphs where each model finds a topic more probable than not that the label lacks."""
    contradicted = [(_scores(m, topics) >= HALF) & ~labels(m, topics) for m in models]
    return _mistakes(models, topics, np.any(contradicted, axis=2).all(axis=0))


def _mistakes(models: Sequence[ModelReport], topics: Topics, chosen: Targets) -> list[Mistake]:
    """The chosen paragraphs (n,), the least probable label of the first model first."""
    table, mode = models[0].predictions, mode_of(topics.mode)
    probabilities = mode.complete(_scores(models[0], topics))
    true = labels(models[0], topics)
    outcomes = mode.outcomes(true)
    classes = (*topics.names, NONE)[: outcomes.shape[1]]
    of_label = np.where(outcomes, probabilities, 1 - probabilities).min(axis=1)
    label, given = topics.write(true), {m.name: topics.write(answers(m, topics)) for m in models}
    return [
        Mistake(
            **{name: table[name][row] for name in ("id", "article", "heading")},
            text=textwrap.shorten(table["text"][row], EXCERPT, placeholder=" …"),
            label=_named(label[row]),
            answers={name: _named(cells[row]) for name, cells in given.items()},
            bars=_bars(classes, probabilities[row], outcomes[row]),
        )
        for row in sorted(np.flatnonzero(chosen).tolist(), key=lambda row: of_label[row])
    ]


def _bars(names: Sequence[str], probabilities: Array, labelled: Targets) -> list[Bar]:
    """The highest probabilities and those of the label, in descending order."""
    rows = zip(names, probabilities.tolist(), labelled.tolist(), strict=True)
    bars = sorted((Bar(*values) for values in rows), key=lambda bar: -bar.probability)
    return [bar for rank, bar in enumerate(bars) if rank < N_PROBABLE or bar.labelled]


def _scores(model: ModelReport, topics: Topics) -> Array:
    return model.predictions[[f"score {name}" for name in topics.names]].to_numpy(dtype=np.float64)


def _named(cell: str) -> str:
    """A cell of labels, or NONE for an empty one."""
    return cell or NONE


def _metrics(comparison: Mapping[str, Any]) -> list[str]:
    """Metrics that any model has, in the order of comparison.json."""
    return list(dict.fromkeys(metric for of in comparison["models"].values() for metric in of))


def _better_than_dummy(comparison: Mapping[str, Any]) -> bool:
    """Whether the champion is significantly better than the dummy; false where that is unknown."""
    lead = comparison["differences"].get(f"{comparison['champion']} - dummy")
    return lead is not None and lead["significant"] and lead["value"] > 0


def _shares(title: str) -> Axis:
    return Axis(title, {share / 4: f"{share / 4:.0%}" for share in range(5)})


def _up_to(title: str, top: float) -> Axis:
    """An axis from 0 to a round number that is at least `top`, with three to six ticks.

    >>> list(_up_to("loss", 1.3).ticks.values())
    ['0', '0.5', '1', '1.5']
    """
    size = 10.0 ** math.floor(math.log10(top)) if top > 0 else 1.0
    step = next(step * size for step in (0.2, 0.5, 1, 2) if top <= 5 * step * size)
    return Axis(
        title, {n * step: f"{n * step:g}" for n in range(max(math.ceil(top / step), 1) + 1)}
    )


def _reliability_chart(model: ModelReport, mode: ModePage) -> Chart:
    table = reliability(model.reliability, model.metrics)
    columns = table[["confidence", "accuracy", "n", "low", "high"]].to_numpy(dtype=np.float64)
    points = []
    for confidence, accuracy, n, low, high in columns.tolist():
        title = (
            f"confidence {confidence:.0%}, accuracy {accuracy:.0%} ({low:.0%} to {high:.0%}), "
            f"n = {n:.3g}"
        )
        count = f"{n:.0f}" if n >= 10 else f"{n:.2g}"
        points.append(Point(model.name, confidence, accuracy, title, (low, high), count))
    x, y = _shares(f"confidence in {mode.confidence}"), _shares("accuracy")
    guide = Line("guide", [(0, 0), (1, 1)])
    return Chart(f"{model.name}: accuracy by confidence", x, y, [guide], points, top=40)


def _risk_chart(models: Sequence[ModelReport], counted: str) -> Chart:
    """Curves of all models, and where their predictions end; coverage is a share of `counted`."""
    lines: list[Line] = []
    points: list[Point] = []
    legend = {model.name: model.name for model in models}
    for model in models[::-1]:
        curve = model.risk_coverage[["coverage", "risk"]].to_numpy(dtype=np.float64)
        # Steps: the risk stays until the next answer is counted.
        steps = np.column_stack([np.repeat(curve[:, 0], 2)[1:], np.repeat(curve[:, 1], 2)[:-1]])
        lines.append(Line(model.name, _thinned(steps)))
        coverage = _coverage(model.metrics)
        risk = _risk(model, coverage)
        if risk is not None:
            title = f"{model.name}: {coverage:.0%} are predictions, {risk:.0%} of them wrong"
            points.append(Point(model.name, coverage, risk, title))
    if "abstention" in models[0].metrics:
        allowed = 1 - models[0].metrics["abstention"]["sure"]["target"]
        lines.insert(0, Line("guide", [(0, allowed), (1, allowed)]))
        legend["guide"] = "risk that sure predictions are allowed"
    x, y = (
        _shares(f"coverage: share of {counted}"),
        _shares("risk: share of them that is wrong"),
    )
    return Chart("Risk by coverage, the most confident first", x, y, lines, points, legend)


def _risks(models: Sequence[ModelReport]) -> dict[float, dict[str, float | None]]:
    """Coverage → model → risk of so many of its most confident answers."""
    return {share: {m.name: _risk(m, share) for m in models} for share in (0.25, 0.5, 0.75, 1.0)}


def _risk(model: ModelReport, coverage: float) -> float | None:
    """Risk of the most confident answers up to a coverage; None if that is less than one answer."""
    curve = model.risk_coverage
    # Rounding must not leave the last answer out.
    risks = curve["risk"][curve["coverage"] <= coverage + 1e-9]
    return float(risks.iloc[-1]) if len(risks) else None


def _coverage(metrics: Mapping[str, Any]) -> float:
    """Share of the answers that are predictions."""
    if "naming" in metrics:
        return float(metrics["naming"]["named_a_paragraph"] / len(metrics["topics"]))
    return float(metrics["coverage"]["value"])


def _training_chart(model: ModelReport) -> Chart | None:
    """Histories of the folds, their mean and that of the model that ships; None for no history."""
    history, final = model.training.dropna(), model.final.dropna()
    if history.empty and final.empty:
        return None
    x, y = final.columns
    lines = [Line("fold", _curve(part, x, y)) for _, part in history.groupby(["repeat", "fold"])]
    legend: dict[str, str] = {}
    if lines:
        lines.append(Line("mean", _curve(history.groupby(x)[[y]].mean().reset_index(), x, y)))
        legend |= {"fold": "a fold", "mean": "mean of the folds"}
    if len(final):
        lines.append(Line(model.name, _curve(final, x, y)))
        legend[model.name] = "the model that ships"
    values = [value for line in lines for _, value in line.points]
    places = sorted({place for line in lines for place, _ in line.points})
    loss = _up_to(y.replace("_", " "), max(values))
    if x == "C":
        ticks = {place: f"{place:g}" for place in places}
        return Chart(
            f"{model.name}: loss on inner folds by C; macro-F1 decides among like ones",
            Axis("C, the inverse strength of regularisation", ticks, log=True),
            loss,
            lines,
            legend=legend,
        )
    return Chart(f"{model.name}: loss by {x}", _up_to(x, places[-1]), loss, lines, legend=legend)


def _curve(part: pd.DataFrame, x: str, y: str) -> list[tuple[float, float]]:
    return _thinned(part.sort_values(x)[[x, y]].to_numpy(dtype=np.float64))


def _thinned(points: Array) -> list[tuple[float, float]]:
    """At most `N_POINTS` of the points (n, 2), evenly spaced, the first and the last among them."""
    places = np.unique(np.linspace(0, len(points) - 1, min(len(points), N_POINTS)).round())
    return [(x, y) for x, y in points[places.astype(np.int64)].tolist()]
