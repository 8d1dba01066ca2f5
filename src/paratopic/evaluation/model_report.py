"""The report of one model: metrics, curves, confusions and predictions, and sentences on them.

This module writes no file and plots nothing; stages and `findings.figures` do that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from paratopic.corpus.folds import Split
from paratopic.corpus.labelled import Labelled
from paratopic.evaluation import metrics, outcomes
from paratopic.evaluation.intervals import Difference, Estimate, difference, measure
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.modes import NEVER, Array, Calibration, Targets, has_topic
from paratopic.project.errors import signed
from paratopic.project.metric_names import Metric, metrics_in
from paratopic.project.params import Calibrate, Evaluate
from paratopic.project.reports import Final, Report

# Columns of the tables if nothing was held out.
EMPTY_TABLES = {
    "confusion": ["label", "answer", "count"],
    "precision_recall": ["topic", "recall", "precision"],
    "reliability": ["confidence", "accuracy", "n"],
    "risk": ["answered", "risk"],
    "training": ["repeat", "fold", "step", "loss"],
    "predictions": ["id", "text", "answer", "label", "right", "most_probable"],
}

# Part of the context (`inference.linear_head.ContextWeights`) → its name in sentences.
CONTEXT_NAMES = {
    "neighbours": "its neighbours",
    "heading": "its heading",
    "title": "the title of its article",
}


@dataclass(frozen=True)
class OutOfFold:
    """Results of one model from the stages fit and calibrate.

    Parameters
    ----------
    scores
        Columns id, repeat, fold, and a calibrated score and a threshold for each topic; no rows if
        nothing was held out.
    history
        Histories of the fits: columns repeat and fold, then x and y.
    promise
        Precision that sure predictions keep, and its settings.
    without_context
        Scores of the same paragraphs without context; None, the default, if the model reads none.
    """

    scores: pd.DataFrame
    history: pd.DataFrame
    calibration: Calibration
    promise: Calibrate
    without_context: pd.DataFrame | None = None


@dataclass(frozen=True)
class Sure:
    """Sure predictions of mode single, with the promised precision `target`.

    `threshold` is the least probability of a sure prediction of the model that ships; None if no
    precision can be promised, which takes `groups_needed` groups with a topic, of which there are
    `groups`. `share` of the paragraphs get a sure prediction, and `precision`, None without any, is
    the share of these that are right.
    """

    threshold: float | None
    target: float
    share: float
    precision: float | None
    groups_needed: int
    groups: int


@dataclass(frozen=True)
class Abstention:
    """Abstention in mode single: from any topic, and from marking a prediction as sure.

    `auroc_topical` is the area under the ROC curve of the probability of any topic, for paragraphs
    with a topic against those with none; None if either are missing.
    """

    auroc_topical: float | None
    sure: Sure


@dataclass(frozen=True)
class Naming:
    """Effect of the thresholds of mode multi: true and predicted topics per paragraph."""

    thresholds: dict[str, float]
    topics_a_paragraph: float
    named_a_paragraph: float


@dataclass(frozen=True)
class TopicFigures:
    """Figures of one topic; `support` is the number of paragraphs with it."""

    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate


@dataclass(frozen=True)
class Context:
    """Gain in macro-F1 with context, compared with the same paragraphs without context."""

    gain: Difference


class Metrics(Report):
    """Content of metrics.json. If nothing was held out, n is 0 and most fields have defaults.

    Parameters
    ----------
    n, n_topical, mistakes
        Numbers of paragraphs that were measured, of those with a topic, and of wrong predictions.
    figures
        Key of a metric → its estimate. The file has them at the level of the other fields.
    topics
        Name of a topic → its figures.
    abstention, naming
        Effect of the thresholds, in mode single and in mode multi.
    context
        Gain from context; None if the model reads none.
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

        The ends of its interval follow the first one.
        """
        figures: dict[str, float | None] = {}
        for number, metric in enumerate(self.measured):
            if metric.is_main:
                estimate = self.figures[metric.key]
                figures[metric.key] = estimate.value
                if number == 0:
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
        values: dict[str, object] = {}
        for key, value in dump(self).items():
            values |= value if key == "figures" else {key: value}
        return values


@dataclass(frozen=True)
class ModelReport:
    """The report of one trained model.

    `shipped` is the report on the final fit, the model that ships. `tables` are those of
    `build_report`, and "final", the history of the model that ships.
    """

    name: str
    shipped: Final
    metrics: Metrics
    tables: Mapping[str, pd.DataFrame]

    @property
    def confusions(self) -> dict[str, dict[str, int]]:
        """Number of paragraphs: topic of the label → predicted topic → count."""
        return {
            str(label): dict(zip(rows["answer"], rows["count"].tolist(), strict=True))
            for label, rows in self.tables["confusion"].groupby("label", sort=False)
        }


def abstention(
    predictions: Outcomes, names: Sequence[str], out_of_fold: OutOfFold
) -> dict[str, Abstention]:
    """{"abstention": how well mode single tells any topic from none, and its sure predictions}.

    `predictions` are from `outcomes.prediction_outcomes`; the rows of all repeats are pooled, and
    weights ignored. A predicted topic is sure if its probability reaches the threshold that ships,
    `Calibration.sure`. `names` is unused; `naming` needs it.
    """
    from sklearn.metrics import roc_auc_score

    true, predicted = predictions.true[:, :-1], predictions.predicted[..., :-1]
    scores = predictions.scores[..., :-1]
    threshold = out_of_fold.calibration.sure
    sure = predicted & (scores >= threshold)
    is_topical, auroc = has_topic(true), None
    if 0 < is_topical.sum() < len(true):
        is_topical_by_repeat = np.tile(is_topical, len(scores))
        auroc = float(roc_auc_score(is_topical_by_repeat, scores.sum(axis=-1).ravel()))
    sure_figures = Sure(
        threshold=threshold if threshold < NEVER else None,
        target=out_of_fold.promise.precision,
        share=float(sure.any(axis=-1).mean()),
        precision=float((sure & true).sum() / sure.sum()) if sure.any() else None,
        groups_needed=out_of_fold.promise.least_groups,
        groups=len(np.unique(predictions.groups[is_topical])),
    )
    return {"abstention": Abstention(auroc, sure_figures)}


def naming(
    predictions: Outcomes, names: Sequence[str], out_of_fold: OutOfFold
) -> dict[str, Naming]:
    """{"naming": thresholds that ship, and true and predicted topics per row, in mode multi}.

    `thresholds` has each of `names`; the others are means over rows and repeats, without weights.
    """
    effect = Naming(
        thresholds=dict(zip(names, out_of_fold.calibration.thresholds, strict=True)),
        topics_a_paragraph=float(predictions.true.mean() * len(names)),
        named_a_paragraph=float(predictions.predicted.mean() * len(names)),
    )
    return {"naming": effect}


def build_report(
    data: Labelled, out_of_fold: OutOfFold, split: Split, settings: Evaluate, seed: int
) -> tuple[Metrics, dict[str, pd.DataFrame]]:
    """Measure one model, or report that nothing was held out: n is 0, and the tables have no rows.

    Returns
    -------
    The metrics, and name of a CSV file without suffix, one of `EMPTY_TABLES` → its rows. "training"
    is the history of the fits. "predictions" is the table of `outcomes.EvaluatedPredictions`; it
    and the others are of the mean scores over repeats, while figures are means over repeats.
    """
    topics, scores = data.topics, out_of_fold.scores
    basis = {"mode": topics.mode, "split_unit": split.split_unit}
    if scores.empty:
        tables = {name: pd.DataFrame(columns=columns) for name, columns in EMPTY_TABLES.items()}
        return Metrics.model_validate({"n": 0, **basis, "notes": split.messages}), tables
    forced, by_repeat = outcomes.outcomes(data, scores), outcomes.prediction_outcomes(data, scores)
    predictions = outcomes.evaluated_predictions(data, scores)
    resampling = settings.confidence, settings.n_draws, seed
    measured = measure(forced, by_repeat, *resampling)
    supports = forced.true[forced.counts > 0].sum(axis=0).tolist()
    topic_figures = {}
    for k, (name, support) in enumerate(zip(topics.names, supports, strict=True)):
        precision, recall = measured["precision", k], measured["recall", k]
        topic_figures[name] = TopicFigures(support, precision, recall, measured["f1", k])
    thresholds_effect = abstention if topics.max_topics == 1 else naming
    report = basis | {
        "n": len(predictions.table),
        "n_topical": int(has_topic(forced.true).sum()),
        "mistakes": len(predictions.mistakes),
        "labels": "hand",
        "figures": {key: value for key, value in measured.items() if isinstance(key, str)},
        "topics": topic_figures,
        **thresholds_effect(by_repeat, topics.names, out_of_fold),
        "confidence": settings.confidence,
        "notes": (*split.messages, *outcomes.cautions(forced, topics.names)),
    }
    if out_of_fold.without_context is not None:
        without_context = outcomes.prediction_outcomes(data, out_of_fold.without_context)
        report["context"] = Context(difference(by_repeat, without_context, *resampling))
    mean_outcomes = outcomes.outcomes(data, outcomes.mean_over_repeats(scores, topics))
    table = predictions.table
    tables = {
        "confusion": outcomes.confusion(predictions, topics),
        "precision_recall": precision_recall_table(mean_outcomes, topics.names),
        "reliability": reliability_table(mean_outcomes),
        "risk": risk_curve(table["certainty"].to_numpy(), table["right"].to_numpy()),
        "training": out_of_fold.history,
        "predictions": table,
    }
    return Metrics.model_validate(report), tables


def precision_recall_table(outcome: Outcomes, names: tuple[str, ...]) -> pd.DataFrame:
    """Columns topic, recall and precision: the curve of each topic of `names`, recall from 1 to 0.

    `outcome` is from `outcomes.outcomes`; its first repeat counts, without weights. Topics that no
    row with a weight has are left out.
    """
    from sklearn.metrics import precision_recall_curve

    parts = []
    for name, true, scores in zip(names, outcome.true.T, outcome.scores[0].T, strict=True):
        if true[outcome.counts > 0].any():
            precision, recall, _ = precision_recall_curve(true, scores)
            parts.append(pd.DataFrame({"topic": name, "recall": recall, "precision": precision}))
    return pd.concat(parts, ignore_index=True)


def reliability_table(outcome: Outcomes) -> pd.DataFrame:
    """Columns confidence (mean), accuracy and n of the predictions in each bin that has any.

    Mode single counts the most probable topic of each paragraph, and mode multi every topic. Only
    the first repeat of cross-validation counts, without weights.
    """
    scores = outcome.scores[0]
    is_candidate = outcome.candidates[0]
    candidates = pd.DataFrame(
        {"confidence": scores[is_candidate], "accuracy": outcome.true[is_candidate].astype(float)}
    )
    grouped = candidates.groupby(metrics.bins(candidates["confidence"].to_numpy()))
    return grouped.mean().assign(n=grouped.size()).reset_index(drop=True)


def risk_curve(confidence: Array, right: Targets) -> pd.DataFrame:
    """Risk-coverage curve of predictions (El-Yaniv & Wiener 2010).

    Each distinct confidence has a row, the highest first. answered: the share of the predictions
    with at least this confidence; risk: the share of these that are wrong.

    >>> risk_curve(np.array([0.9, 0.6]), np.array([True, False])).to_dict("list")
    {'answered': [0.5, 1.0], 'risk': [0.0, 0.5]}
    """
    order = np.argsort(-confidence, kind="stable")
    n_covered = np.arange(1, len(order) + 1)
    curve = {"answered": n_covered / len(order), "risk": np.cumsum(~right[order]) / n_covered}
    return pd.DataFrame(curve)[np.append(np.diff(confidence[order]) != 0, True)]


# Key of a metric → the words for its value in a sentence.
RIGHT_IN_WORDS = {
    "precision": "the predicted topics are right",
    "recall": "the paragraphs with a topic get it",
}


def why_none_is_sure(metrics: Metrics) -> str:
    """Reason why no prediction is sure: too few labels or too many mistakes, without a full stop.

    It is "" if predictions can be sure, in mode multi, where none can, and if nothing was measured.
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
    """Effect of the thresholds and sure predictions: "predicts …."; "" if nothing was measured.

    The words go on after "The model" and end with a full stop. They give coverage, precision,
    recall and sure predictions in mode single, and topics per paragraph in mode multi.
    """
    if metrics.naming:
        return (
            f"predicts {metrics.naming.named_a_paragraph:.2f} topics per paragraph; "
            f"people chose {metrics.naming.topics_a_paragraph:.2f}."
        )
    if metrics.abstention is None:
        return ""
    words = f"predicts a topic for {metrics.figures['coverage'].value:.0%} of paragraphs (coverage)"
    for key, right in RIGHT_IN_WORDS.items():
        if key in metrics.figures:
            words += f"; {metrics.figures[key].value:.0%} of {right} ({key})"
    reason = why_none_is_sure(metrics)
    if reason:
        return f"{words}. No prediction is marked sure: {reason}."
    sure = metrics.abstention.sure
    return (
        f"{words}. Predictions with a probability of at least {sure.threshold:.2f} are marked "
        f"sure ({sure.share:.0%} of paragraphs); at least {sure.target:.0%} of these are "
        "promised to be right."
    )


# Reason why a model reads context although it lowers macro-F1.
LOSS_REASON = (
    " The weights were chosen on the training part of each fold, where reading less was not "
    "clearly better."
)


def context_in_words(final: Final, metrics: Metrics) -> str:
    """Sentences on the context, its weights and its gain in macro-F1: "reads each paragraph …."

    They go on after "The model" and end with a full stop. If all weights of `final` are 0, there is
    only "reads each paragraph alone."; if the gain was not measured, the reason replaces it.
    """
    factors = final.context.items()
    parts = [f"{CONTEXT_NAMES[name]} ({factor:g})" for name, factor in factors if factor]
    if not parts:
        return "reads each paragraph alone."
    *others, last = parts
    read = f"{', '.join(others)} and {last}" if others else last
    read = f"reads each paragraph with {read.replace('(', '(weight ', 1)}."
    if metrics.context is None:
        reason = (
            "because the labels are split by paragraph, the figures are for paragraphs that are "
            "read alone"
            if metrics.split_unit == "paragraph"
            else "the models of the folds, which learnt from fewer labels, read no more"
        )
        return f"{read} What this gains was not measured: {reason}."
    gain = metrics.context.gain
    reason = LOSS_REASON if gain.value < 0 else ""
    return (
        f"{read} This changes the macro-F1 of the answers by {signed(gain.value, 3)} "
        f"({signed(gain.low, 3)} to {signed(gain.high, 3)}), compared with the same model on "
        f"the paragraphs alone.{reason}"
    )
