"""The report of one model: metrics, curves, confusions and predictions, and sentences on them.

No file is written here, and nothing is plotted: `figures` does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import Labelled
from paratopic.evaluation import metrics
from paratopic.evaluation.estimates import Estimate
from paratopic.evaluation.intervals import difference, measure
from paratopic.evaluation.outcomes import (
    Outcomes,
    answer_outcomes,
    answered,
    cautions,
    confusion,
    mean_over_repeats,
    outcomes,
)
from paratopic.inference.calibration import NEVER, Calibration
from paratopic.inference.scores import Array, Targets, topical
from paratopic.project.errors import signed
from paratopic.project.params import Calibrate, Evaluate

# Columns of the tables where nothing was held out.
EMPTY = {
    "confusion": ["label", "answer", "count"],
    "precision_recall": ["topic", "recall", "precision"],
    "reliability": ["confidence", "accuracy", "n"],
    "risk": ["answered", "risk"],
    "training": ["repeat", "fold", "step", "loss"],
    "predictions": ["id", "text", "answer", "label", "right", "most_probable"],
}

# Part of what stands around a paragraph (`inference.context.ContextWeights`) → its name.
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
    alone
        As `scores`, of the same paragraphs without what stands around them; None, the default,
        where nothing was read around them.
    """

    scores: pd.DataFrame
    history: pd.DataFrame
    calibration: Calibration
    promise: Calibrate
    alone: pd.DataFrame | None = None


@dataclass(frozen=True)
class ModelReport:
    """What is reported of one trained model.

    Parameters
    ----------
    shipped
        Content of final.json: about the model that ships.
    metrics
        Content of metrics.json.
    tables
        Name of a CSV file → its rows: those of `build_report`, and final, the history of the model
        that ships.
    """

    name: str
    shipped: Mapping[str, Any]
    metrics: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]

    @property
    def confusions(self) -> dict[str, dict[str, int]]:
        """Number of paragraphs: topic of the label → topic of the answer → count."""
        return {
            str(label): dict(zip(rows["answer"], rows["count"].tolist(), strict=True))
            for label, rows in self.tables["confusion"].groupby("label", sort=False)
        }


def abstention(answers: Outcomes, names: Sequence[str], out_of_fold: OutOfFold) -> dict[str, Any]:
    """What is predicted in mode single: whether a paragraph has a topic at all, and what is sure.

    `auroc_topical` is the chance that a paragraph with a topic is given more probability of having
    one than a paragraph with none; None if there is no such pair. Sure predictions are those of the
    threshold that ships, which is None where no promise can be kept: it takes topics in at least
    `groups_needed` groups, and there are `groups`.
    """
    from sklearn.metrics import roc_auc_score

    true, given = answers.true[:, :-1], answers.predicted[..., :-1]
    scores = answers.scores[..., :-1]
    threshold = out_of_fold.calibration.sure
    sure = given & (scores >= threshold)
    is_topical, auroc = topical(true), None
    if 0 < is_topical.sum() < len(true):
        of_repeats = np.tile(is_topical, len(scores))
        auroc = float(roc_auc_score(of_repeats, scores.sum(axis=-1).ravel()))
    of_sure = {
        "threshold": threshold if threshold < NEVER else None,
        "target": out_of_fold.promise.precision,
        "share": float(sure.any(axis=-1).mean()),
        "precision": float((sure & true).sum() / sure.sum()) if sure.any() else None,
        "groups_needed": out_of_fold.promise.least_groups,
        "groups": len(np.unique(answers.groups[is_topical])),
    }
    return {"abstention": {"auroc_topical": auroc, "sure": of_sure}}


def naming(answers: Outcomes, names: Sequence[str], out_of_fold: OutOfFold) -> dict[str, Any]:
    """Effect of the thresholds of mode multi: topics per paragraph, true and predicted."""
    effect = {
        "thresholds": dict(zip(names, out_of_fold.calibration.thresholds, strict=True)),
        "topics_a_paragraph": float(answers.true.mean() * len(names)),
        "named_a_paragraph": float(answers.predicted.mean() * len(names)),
    }
    return {"naming": effect}


def build_report(
    data: Labelled, out_of_fold: OutOfFold, split: Mapping[str, Any], settings: Evaluate, seed: int
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Measure one model; where nothing was held out, report that.

    Parameters
    ----------
    split
        Content of reports/split.json.

    Returns
    -------
    Content of metrics.json, and name of a CSV file → its rows.
    """
    topics, scores = data.topics, out_of_fold.scores
    basis = {"mode": topics.mode, "split_unit": split["split_unit"], "notes": split["messages"]}
    if scores.empty:
        tables = {name: pd.DataFrame(columns=columns) for name, columns in EMPTY.items()}
        return {"n": 0} | basis, tables
    forced, of_repeats = outcomes(data, scores), answer_outcomes(data, scores)
    answers = answered(data, scores)
    wish = settings.confidence, settings.n_draws, seed
    measured = {
        "n": len(answers.table),
        "n_topical": int(topical(forced.true).sum()),
        "mistakes": len(answers.mistakes),
        "labels": "hand",
        **_figures(forced, measure(forced, of_repeats, *wish), topics.names),
        **(abstention if topics.most == 1 else naming)(of_repeats, topics.names, out_of_fold),
    }
    if out_of_fold.alone is not None:
        alone = answer_outcomes(data, out_of_fold.alone)
        measured["context"] = {"gain": asdict(difference(of_repeats, alone, *wish))}
    measured["confidence"] = settings.confidence
    basis["notes"] = [*split["messages"], *cautions(forced, topics.names)]
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
    return measured | basis, tables


def _figures(
    outcome: Outcomes, measured: Mapping[metrics.MetricKey, Estimate], names: Sequence[str]
) -> dict[str, Any]:
    """The metrics as in metrics.json, overall and for each topic."""
    overall = {key: asdict(value) for key, value in measured.items() if isinstance(key, str)}
    supports = outcome.true[outcome.counts > 0].sum(axis=0)
    topics = {
        name: {"support": int(support)}
        | {metric: asdict(measured[metric, number]) for metric in ("precision", "recall", "f1")}
        for number, (name, support) in enumerate(zip(names, supports, strict=True))
    }
    return {**overall, "topics": topics}


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

    The curve is that of El-Yaniv & Wiener (2010).

    Parameters
    ----------
    confidence
        (n,) confidence of each answer.
    right
        (n,) whether each answer is right.

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


def why_none_is_sure(measured: Mapping[str, Any]) -> str:
    """Say why no prediction is called sure: labels are too few, or too many answers wrong.

    Parameters
    ----------
    measured
        Content of metrics.json, without a threshold of sure predictions.
    """
    sure = measured["abstention"]["sure"]
    if sure["groups"] < sure["groups_needed"]:
        unit = measured["split_unit"]
        return (
            f"to promise that {sure['target']:.0%} of the sure ones are right takes at least "
            f"{sure['groups_needed']} distinct labelled {unit}s with a topic, and there are "
            f"{sure['groups']}"
        )
    return (
        f"{measured['mistakes']} of {measured['n']} answers are wrong, too many to promise that "
        f"{sure['target']:.0%} of the sure ones are right"
    )


def thresholds_in_words(metrics: Mapping[str, Any]) -> str:
    """What a model's thresholds do, and what is promised of sure predictions, by metrics.json."""
    if "naming" in metrics:
        numbers = metrics["naming"]
        return (
            f"predicts {numbers['named_a_paragraph']:.2f} topics per paragraph; "
            f"people chose {numbers['topics_a_paragraph']:.2f}."
        )
    words = f"predicts a topic for {metrics['coverage']['value']:.0%} of paragraphs (coverage)"
    for key, what in RIGHT.items():
        if key in metrics:
            words += f"; {metrics[key]['value']:.0%} of {what} ({key})"
    sure = metrics["abstention"]["sure"]
    if sure["threshold"] is None:
        return f"{words}. No prediction is marked sure: {why_none_is_sure(metrics)}."
    return (
        f"{words}. Predictions with a probability of at least {sure['threshold']:.2f} are marked "
        f"sure ({sure['share']:.0%} of paragraphs); at least {sure['target']:.0%} of these are "
        "promised to be right."
    )


# Why neighbours are read although they lower macro-F1.
HURTS = (
    " The weights were chosen on the training part of each fold, where reading less was not "
    "clearly better."
)


def reads(final: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """What a model reads around a paragraph, and what that gained.

    Parameters
    ----------
    final, metrics
        Content of final.json and of metrics.json.
    """
    parts = [f"{NAMES[name]} ({factor:g})" for name, factor in final["context"].items() if factor]
    if not parts:
        return "reads each paragraph alone."
    *others, last = parts
    read = f"{', '.join(others)} and {last}" if others else last
    read = f"reads each paragraph with {read.replace('(', '(weight ', 1)}."
    if "context" not in metrics:
        why = (
            "because the labels are split by paragraph, the figures are for paragraphs that are "
            "read alone"
            if metrics.get("split_unit") == "paragraph"
            else "the models of the folds, which learnt from fewer labels, read no more"
        )
        return f"{read} What this gains was not measured: {why}."
    gain = metrics["context"]["gain"]
    why = HURTS if gain["value"] < 0 else ""
    return (
        f"{read} This changes the macro-F1 of the answers by {signed(gain['value'], 3)} "
        f"({signed(gain['low'], 3)} to {signed(gain['high'], 3)}), compared with the same model on "
        f"the paragraphs alone.{why}"
    )
