"""The report of one model: metrics, curves, confusions and predictions, and sentences on them.

No file is written here, and nothing is plotted: `figures` does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from paratopic.corpus.folds import Split
from paratopic.corpus.labelled import Labelled
from paratopic.evaluation import metrics
from paratopic.evaluation.intervals import Difference, Estimate, difference, measure
from paratopic.evaluation.outcomes import (
    Outcomes,
    answer_outcomes,
    answered,
    cautions,
    confusion,
    mean_over_repeats,
    outcomes,
)
from paratopic.inference.modes import NEVER, Array, Calibration, Targets, topical
from paratopic.project.errors import signed
from paratopic.project.metric_names import Metric, metrics_in
from paratopic.project.params import Calibrate, Evaluate
from paratopic.project.reports import Final, Report

# Columns of the tables where nothing was held out.
EMPTY = {
    "confusion": ["label", "answer", "count"],
    "precision_recall": ["topic", "recall", "precision"],
    "reliability": ["confidence", "accuracy", "n"],
    "risk": ["answered", "risk"],
    "training": ["repeat", "fold", "step", "loss"],
    "predictions": ["id", "text", "answer", "label", "right", "most_probable"],
}

# Part of what stands around a paragraph (`inference.linear_head.ContextWeights`) → its name.
NAMES = {
    "neighbours": "its neighbours",
    "heading": "its heading",
    "title": "the title of its article",
}


@dataclass(frozen=True)
class OutOfFold:
    """What stages fit and calibrate made of one model.

    Parameters
    ----------
    scores
        Columns id, repeat, fold, and a calibrated score and a threshold for each topic; no rows if
        nothing was held out.
    history
        Histories of the fits: columns repeat and fold, then x and y.
    without_context
        As `scores`, of the same paragraphs without what stands around them; None, the default,
        where nothing was read around them.
    """

    scores: pd.DataFrame
    history: pd.DataFrame
    calibration: Calibration
    promise: Calibrate
    without_context: pd.DataFrame | None = None


@dataclass(frozen=True)
class Sure:
    """Sure predictions of mode single.

    Parameters
    ----------
    threshold
        Least probability of those of the model that ships; None where no promise can be kept. A
        promise takes topics in at least `groups_needed` groups, and there are `groups`.
    target
        Share of them that is promised to be right.
    share, precision
        Shares of paragraphs that get one, and of these that are right; None without any.
    """

    threshold: float | None
    target: float
    share: float
    precision: float | None
    groups_needed: int
    groups: int


@dataclass(frozen=True)
class Abstention:
    """What is predicted in mode single: whether a paragraph has a topic at all, and what is sure.

    Parameters
    ----------
    auroc_topical
        Chance that a paragraph with a topic is given more probability of having one than a
        paragraph with none; None if there is no such pair.
    """

    auroc_topical: float | None
    sure: Sure


@dataclass(frozen=True)
class Naming:
    """Effect of the thresholds of mode multi: topics per paragraph, true and predicted."""

    thresholds: dict[str, float]
    topics_a_paragraph: float
    named_a_paragraph: float


@dataclass(frozen=True)
class TopicFigures:
    """Figures of one topic, which `support` paragraphs have."""

    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Context:
    """What reading around paragraphs gains over reading the same ones alone."""

    gain: Difference


class Metrics(Report):
    """Content of metrics.json. Without anything held out n is 0, and most fields have defaults.

    Parameters
    ----------
    n, n_topical, mistakes
        Numbers of paragraphs that were measured, of those with a topic, and of wrong answers.
    figures
        Key of a metric → its estimate. In the file they stand beside the other fields.
    topics
        Name of a topic → its figures.
    abstention, naming
        What the thresholds do, in mode single and in mode multi.
    context
        None where nothing was read around paragraphs.
    """

    n: int
    n_topical: int = 0
    mistakes: int = 0
    labels: str = ""
    figures: dict[str, Estimate] = {}
    topics: dict[str, TopicFigures] = {}
    abstention: Abstention | None = None
    naming: Naming | None = None
    context: Context | None = None
    confidence: float = 0.0
    mode: str
    split_unit: str
    notes: tuple[str, ...]

    @property
    def measured(self) -> list[Metric]:
        """The metrics that were measured; models are compared by the first."""
        return [metric for key, metric in metrics_in(self.mode).items() if key in self.figures]

    @property
    def main(self) -> dict[str, float]:
        """The few figures that DVC's tables and MLflow's list show, by their names there.

        The first one has the ends of its interval beside it.
        """
        figures: dict[str, float | None] = {}
        for number, metric in enumerate(self.measured):
            if metric.is_main:
                estimate = self.figures[metric.key]
                figures[metric.key] = estimate.value
                if not number:
                    figures[f"{metric.key}_low"] = estimate.low
                    figures[f"{metric.key}_high"] = estimate.high
        return {name: value for name, value in figures.items() if value is not None}

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        figures = {key: values[key] for key in values if key not in cls.model_fields}
        return {"figures": figures} | values if figures else values

    @model_serializer(mode="wrap")
    def _spread(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        parts = (each if key == "figures" else {key: each} for key, each in dump(self).items())
        return {key: value for part in parts for key, value in part.items()}


@dataclass(frozen=True)
class ModelReport:
    """What is reported of one trained model.

    Parameters
    ----------
    shipped
        About the model that ships.
    tables
        Name of a CSV file → its rows: those of `build_report`, and final, the history of the model
        that ships.
    """

    name: str
    shipped: Final
    metrics: Metrics
    tables: Mapping[str, pd.DataFrame]

    @property
    def confusions(self) -> dict[str, dict[str, int]]:
        """Number of paragraphs: topic of the label → topic of the answer → count."""
        return {
            str(label): dict(zip(rows["answer"], rows["count"].tolist(), strict=True))
            for label, rows in self.tables["confusion"].groupby("label", sort=False)
        }


def abstention(
    answers: Outcomes, names: Sequence[str], out_of_fold: OutOfFold
) -> dict[str, Abstention]:
    """What is predicted in mode single, and what is sure by the threshold that ships."""
    from sklearn.metrics import roc_auc_score

    true, given = answers.true[:, :-1], answers.predicted[..., :-1]
    scores = answers.scores[..., :-1]
    threshold = out_of_fold.calibration.sure
    sure = given & (scores >= threshold)
    is_topical, auroc = topical(true), None
    if 0 < is_topical.sum() < len(true):
        of_repeats = np.tile(is_topical, len(scores))
        auroc = float(roc_auc_score(of_repeats, scores.sum(axis=-1).ravel()))
    of_sure = Sure(
        threshold=threshold if threshold < NEVER else None,
        target=out_of_fold.promise.precision,
        share=float(sure.any(axis=-1).mean()),
        precision=float((sure & true).sum() / sure.sum()) if sure.any() else None,
        groups_needed=out_of_fold.promise.least_groups,
        groups=len(np.unique(answers.groups[is_topical])),
    )
    return {"abstention": Abstention(auroc, of_sure)}


def naming(answers: Outcomes, names: Sequence[str], out_of_fold: OutOfFold) -> dict[str, Naming]:
    """What the thresholds of mode multi do."""
    effect = Naming(
        thresholds=dict(zip(names, out_of_fold.calibration.thresholds, strict=True)),
        topics_a_paragraph=float(answers.true.mean() * len(names)),
        named_a_paragraph=float(answers.predicted.mean() * len(names)),
    )
    return {"naming": effect}


def build_report(
    data: Labelled, out_of_fold: OutOfFold, split: Split, settings: Evaluate, seed: int
) -> tuple[Metrics, dict[str, pd.DataFrame]]:
    """Measure one model; where nothing was held out, report that.

    Returns
    -------
    The metrics, and name of a CSV file → its rows.
    """
    topics, scores = data.topics, out_of_fold.scores
    basis = {"mode": topics.mode, "split_unit": split.split_unit}
    if scores.empty:
        tables = {name: pd.DataFrame(columns=columns) for name, columns in EMPTY.items()}
        return Metrics.model_validate({"n": 0, **basis, "notes": split.messages}), tables
    forced, of_repeats = outcomes(data, scores), answer_outcomes(data, scores)
    answers = answered(data, scores)
    wish = settings.confidence, settings.n_draws, seed
    measured = measure(forced, of_repeats, *wish)
    supports = forced.true[forced.counts > 0].sum(axis=0).tolist()
    report = basis | {
        "n": len(answers.table),
        "n_topical": int(topical(forced.true).sum()),
        "mistakes": len(answers.mistakes),
        "labels": "hand",
        "figures": {key: value for key, value in measured.items() if isinstance(key, str)},
        "topics": {
            name: TopicFigures(n, *(measured[key, k] for key in ("precision", "recall", "f1")))
            for k, (name, n) in enumerate(zip(topics.names, supports, strict=True))
        },
        **(abstention if topics.most == 1 else naming)(of_repeats, topics.names, out_of_fold),
        "confidence": settings.confidence,
        "notes": (*split.messages, *cautions(forced, topics.names)),
    }
    if out_of_fold.without_context is not None:
        without_context = answer_outcomes(data, out_of_fold.without_context)
        report["context"] = Context(difference(of_repeats, without_context, *wish))
    once = outcomes(data, mean_over_repeats(scores, topics))
    certainty, right = (answers.table[name].to_numpy() for name in ("certainty", "right"))
    tables = {
        "confusion": confusion(answers, topics),
        "precision_recall": precision_recall_table(once, topics.names),
        "reliability": reliability_table(once),
        "risk": risk_curve(certainty, right),
        "training": out_of_fold.history,
        "predictions": answers.table,
    }
    return Metrics.model_validate(report), tables


def precision_recall_table(outcome: Outcomes, names: tuple[str, ...]) -> pd.DataFrame:
    """Precision-recall curve of each topic against the others, in one repeat."""
    from sklearn.metrics import precision_recall_curve

    parts = []
    for name, true, scores in zip(names, outcome.true.T, outcome.scores[0].T, strict=True):
        if true[outcome.counts > 0].any():
            precision, recall, _ = precision_recall_curve(true, scores)
            parts.append(pd.DataFrame({"topic": name, "recall": recall, "precision": precision}))
    return pd.concat(parts, ignore_index=True)


def reliability_table(outcome: Outcomes) -> pd.DataFrame:
    """Mean confidence, accuracy and number of the answers in each confidence bin, in one repeat.

    A topic is forced in mode single: the answer is a paragraph's most probable topic. In mode multi
    each topic is an answer.
    """
    scores = outcome.scores[0]
    is_answer = outcome.candidates[0]
    answers = pd.DataFrame(
        {"confidence": scores[is_answer], "accuracy": outcome.true[is_answer].astype(float)}
    )
    grouped = answers.groupby(metrics.bins(answers["confidence"].to_numpy()))
    return grouped.mean().assign(n=grouped.size()).reset_index(drop=True)


def risk_curve(confidence: Array, right: Targets) -> pd.DataFrame:
    """Risk at each share of answers, if the most confident are given first.

    The curve is that of El-Yaniv & Wiener (2010), from the confidence of each answer, (n,), and
    whether it is right, (n,).

    Returns
    -------
    A row for each distinct confidence. answered: the share of the answers that are given; risk: the
    share of wrong answers among those given.
    """
    order = np.argsort(-confidence, kind="stable")
    given = np.arange(1, len(order) + 1)
    curve = {"answered": given / len(order), "risk": np.cumsum(~right[order]) / given}
    return pd.DataFrame(curve)[np.append(np.diff(confidence[order]) != 0, True)]


# Share of answers that are right → of what, in words.
RIGHT = {
    "precision": "the predicted topics are right",
    "recall": "the paragraphs with a topic get it",
}


def why_none_is_sure(metrics: Metrics) -> str:
    """Say why no prediction is sure: labels are too few, or too many answers wrong; "" if one is.

    Mode multi has no sure predictions.
    """
    if metrics.abstention is None or metrics.abstention.sure.threshold is not None:
        return ""
    sure = metrics.abstention.sure
    if sure.groups < sure.groups_needed:
        return (
            f"to promise that {sure.target:.0%} of the sure ones are right takes at least "
            f"{sure.groups_needed} distinct labelled {metrics.split_unit}s with a topic, and there "
            f"are {sure.groups}"
        )
    return (
        f"{metrics.mistakes} of {metrics.n} answers are wrong, too many to promise that "
        f"{sure.target:.0%} of the sure ones are right"
    )


def thresholds_in_words(metrics: Metrics) -> str:
    """What a model's thresholds do, and what is promised of sure ones; "" if not measured."""
    if naming := metrics.naming:
        return (
            f"predicts {naming.named_a_paragraph:.2f} topics per paragraph; "
            f"people chose {naming.topics_a_paragraph:.2f}."
        )
    if metrics.abstention is None:
        return ""
    words = f"predicts a topic for {metrics.figures['coverage'].value:.0%} of paragraphs (coverage)"
    for key, what in RIGHT.items():
        if key in metrics.figures:
            words += f"; {metrics.figures[key].value:.0%} of {what} ({key})"
    if why := why_none_is_sure(metrics):
        return f"{words}. No prediction is marked sure: {why}."
    sure = metrics.abstention.sure
    return (
        f"{words}. Predictions with a probability of at least {sure.threshold:.2f} are marked "
        f"sure ({sure.share:.0%} of paragraphs); at least {sure.target:.0%} of these are "
        "promised to be right."
    )


# Why neighbours are read although they lower macro-F1.
HURTS = (
    " The weights were chosen on the training part of each fold, where reading less was not "
    "clearly better."
)


def reads(final: Final, metrics: Metrics) -> str:
    """What a model reads around a paragraph, and what that gained."""
    parts = [f"{NAMES[name]} ({factor:g})" for name, factor in final.context.items() if factor]
    if not parts:
        return "reads each paragraph alone."
    *others, last = parts
    read = f"{', '.join(others)} and {last}" if others else last
    read = f"reads each paragraph with {read.replace('(', '(weight ', 1)}."
    if metrics.context is None:
        why = (
            "because the labels are split by paragraph, the figures are for paragraphs that are "
            "read alone"
            if metrics.split_unit == "paragraph"
            else "the models of the folds, which learnt from fewer labels, read no more"
        )
        return f"{read} What this gains was not measured: {why}."
    gain = metrics.context.gain
    why = HURTS if gain.value < 0 else ""
    return (
        f"{read} This changes the macro-F1 of the answers by {signed(gain.value, 3)} "
        f"({signed(gain.low, 3)} to {signed(gain.high, 3)}), compared with the same model on "
        f"the paragraphs alone.{why}"
    )
