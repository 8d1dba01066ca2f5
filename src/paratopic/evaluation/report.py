"""The report of one model: metrics, curves, confusions and predictions.

No file is written here, and nothing is drawn: `figures` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.folds import groups_of
from paratopic.corpus.labelled import Labelled
from paratopic.evaluation import metrics
from paratopic.evaluation.intervals import (
    Estimate,
    Metric,
    answer_estimates,
    difference,
    estimates,
)
from paratopic.evaluation.mistakes import Answered, answered, confusion
from paratopic.evaluation.outcomes import (
    Outcomes,
    answer_outcomes,
    cautions,
    mean_over_repeats,
    outcomes,
)
from paratopic.inference.calibration import Calibration
from paratopic.inference.modes import mode_of
from paratopic.inference.promise import NEVER, Promise
from paratopic.inference.scores import topical
from paratopic.project.params import Evaluate
from paratopic.project.topics import ModeName

# Columns of the tables where nothing was held out.
EMPTY = {
    "confusion": ["label", "answer", "count"],
    "precision_recall": ["topic", "recall", "precision"],
    "reliability": ["confidence", "accuracy", "n"],
    "risk_coverage": ["coverage", "risk"],
    "training": ["repeat", "fold", "step", "loss"],
    "predictions": ["id", "text", "answer", "label", "right", "most_probable"],
}


@dataclass(frozen=True)
class OutOfFold:
    """What stage score made of one model.

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
    promise: Promise
    alone: pd.DataFrame | None = None


@dataclass(frozen=True)
class Report:
    """What is reported about one model.

    Parameters
    ----------
    metrics
        Content of metrics.json.
    tables
        Name of a CSV file → its rows.
    """

    metrics: dict[str, Any]
    tables: dict[str, pd.DataFrame]


def abstention(
    candidates: pd.DataFrame, names: tuple[str, ...], out_of_fold: OutOfFold
) -> dict[str, dict[str, Any]]:
    """What is predicted in mode single: whether a paragraph has a topic at all, and what is sure.

    `auroc_topical` is the chance that a paragraph with a topic is given more probability of having
    one than a paragraph with none; None if there is no such pair. Sure predictions are those of the
    threshold that ships, which is None where no promise can be kept: it takes topics in at least
    `groups_needed` groups, and there are `groups`.
    """
    from sklearn.metrics import roc_auc_score

    predicted = candidates[candidates["predicted"]]
    threshold = out_of_fold.calibration.sure
    sure = predicted[predicted["confidence"] >= threshold]
    auroc = None
    if candidates["topical"].nunique() == 2:
        auroc = float(roc_auc_score(candidates["topical"], candidates["p_topical"]))
    effect = {
        "auroc_topical": auroc,
        "sure": {
            "threshold": threshold if threshold < NEVER else None,
            "target": out_of_fold.promise.precision,
            "coverage": len(sure) / len(candidates),
            "precision": float(sure["true"].mean()) if len(sure) else None,
            "groups_needed": out_of_fold.promise.least_groups,
            "groups": int(candidates["group"][candidates["topical"]].nunique()),
        },
    }
    return {"abstention": effect}


def naming(
    candidates: pd.DataFrame, names: tuple[str, ...], out_of_fold: OutOfFold
) -> dict[str, dict[str, Any]]:
    """Effect of the thresholds of mode multi: topics per paragraph, true and predicted."""
    effect = {
        "thresholds": dict(zip(names, out_of_fold.calibration.thresholds, strict=True)),
        "topics_a_paragraph": float(candidates["true"].mean() * len(names)),
        "named_a_paragraph": float(candidates["predicted"].mean() * len(names)),
    }
    return {"naming": effect}


# What the thresholds do: from `candidate_table`, topic names and what stage score made to a part of
# metrics.json.
EFFECTS: Mapping[
    ModeName, Callable[[pd.DataFrame, tuple[str, ...], OutOfFold], dict[str, dict[str, Any]]]
] = {"single": abstention, "multi": naming}


def build_report(
    data: Labelled,
    out_of_fold: OutOfFold,
    split: Mapping[str, Any],
    settings: Evaluate,
    seed: int,
) -> Report:
    """Measure one model; where nothing was held out, report that.

    Parameters
    ----------
    out_of_fold
        What stage score made of the model.
    split
        Content of reports/split.json.
    settings
        Confidence of the intervals and number of draws.
    """
    topics = data.topics
    about = {
        "mode": topics.mode,
        "split_unit": split["split_unit"],
        "notes": " · ".join(split["messages"]),
    }
    if out_of_fold.scores.empty:
        tables = {name: pd.DataFrame(columns=columns) for name, columns in EMPTY.items()}
        return Report({"n": 0} | about, tables)
    scores = out_of_fold.scores
    forced, of_repeats, answers = (
        outcomes(data, scores),
        answer_outcomes(data, scores),
        answered(data, scores),
    )
    measured = {
        "n": len(answers.table),
        "n_topical": int(topical(forced.true).sum()),
        "mistakes": len(answers.mistakes),
        "labels": sources(data),
        **_figures(forced, measure(forced, of_repeats, settings, seed), topics.names),
    }
    measured |= EFFECTS[topics.mode](candidate_table(data, scores), topics.names, out_of_fold)
    if out_of_fold.alone is not None:
        alone = answer_outcomes(data, out_of_fold.alone)
        gain = difference(of_repeats, alone, settings.confidence, settings.n_draws, seed)
        measured["context"] = {"gain": asdict(gain)}
    measured["confidence"] = settings.confidence
    about["notes"] = " · ".join([*split["messages"], *cautions(forced, topics.names)])
    once = outcomes(data, mean_over_repeats(scores, topics))
    tables = {
        "confusion": confusion(answers, topics),
        "precision_recall": precision_recall_table(once, topics.names),
        "reliability": reliability_table(once),
        "risk_coverage": risk_coverage_table(answers),
        "training": out_of_fold.history,
        "predictions": answers.table,
    }
    return Report(measured | about, tables)


def measure(
    forced: Outcomes, answers: Outcomes, settings: Evaluate, seed: int
) -> dict[Metric, Estimate]:
    """Every metric of a model's answers, and of its forced topics, with its interval."""
    confidence, n_draws = settings.confidence, settings.n_draws
    return answer_estimates(answers, confidence, n_draws, seed) | estimates(
        forced, confidence, n_draws, seed
    )


def _figures(
    outcome: Outcomes, measured: Mapping[Metric, Estimate], names: Sequence[str]
) -> dict[str, Any]:
    """The metrics as in metrics.json, overall and for each topic."""
    overall = {key: asdict(value) for key, value in measured.items() if isinstance(key, str)}
    topics = {
        name: {"support": int(support)}
        | {metric: asdict(measured[metric, number]) for metric in ("precision", "recall", "f1")}
        for number, (name, support) in enumerate(zip(names, outcome.true.sum(axis=0), strict=True))
    }
    return {**overall, "topics": topics}


def sources(data: Labelled) -> str:
    """Where the labels of the rows that are evaluated come from: "hand", or nowhere."""
    return "hand" if data.by_hand.any() else ""


def precision_recall_table(outcome: Outcomes, names: tuple[str, ...]) -> pd.DataFrame:
    """Precision-recall curve of each topic against the others, in one repeat."""
    from sklearn.metrics import precision_recall_curve

    scores = outcome.scores[0]
    parts = []
    for number, name in enumerate(names):
        if outcome.present[number]:
            true = outcome.true[:, number]
            precision, recall, _ = precision_recall_curve(true, scores[:, number])
            parts.append(pd.DataFrame({"topic": name, "recall": recall, "precision": precision}))
    return pd.concat(parts, ignore_index=True)


def reliability_table(outcome: Outcomes) -> pd.DataFrame:
    """Mean confidence, accuracy and number of the answers in each confidence bin, in one repeat.

    A topic is forced in mode single: the answer is a paragraph's most probable topic. In mode multi
    each topic is an answer.
    """
    scores = outcome.scores[0]
    is_answer = outcome.mode.candidates(scores)
    answers = pd.DataFrame(
        {"confidence": scores[is_answer], "accuracy": outcome.true[is_answer].astype(float)}
    )
    grouped = answers.groupby(metrics.bins(answers["confidence"].to_numpy()))
    return grouped.mean().assign(n=grouped.size()).reset_index(drop=True)


def risk_coverage_table(answers: Answered) -> pd.DataFrame:
    """Columns coverage and risk: the share of mistakes among the most certain answers."""
    coverage, risk = metrics.risk_coverage(
        answers.table["certainty"].to_numpy(), answers.table["right"].to_numpy()
    )
    return pd.DataFrame({"coverage": coverage, "risk": risk})


def candidate_table(data: Labelled, scores: pd.DataFrame) -> pd.DataFrame:
    """Topics that might be predicted for held-out paragraphs, in each repeat.

    A paragraph has one in mode single (`Single.candidates`); in mode multi it has all topics.

    Returns
    -------
    A row for each of them. Columns are confidence, group (that of the folds), topical (the
    paragraph has a topic), true (it has this one), p_topical (sum of the topics' probabilities) and
    predicted.
    """
    topics, hand = data.topics, data.hand
    scores = scores[scores["id"].isin(hand.rows["id"])]
    true = hand.targets[pd.Index(hand.rows["id"]).get_indexer(scores["id"])]
    confidence = scores[topics.scores].to_numpy()
    thresholds = scores[topics.thresholds].to_numpy()
    is_candidate = mode_of(topics.mode).candidates(confidence, thresholds)

    def of_rows(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.broadcast_to(values[:, None], true.shape)[is_candidate]

    return pd.DataFrame(
        {
            "confidence": confidence[is_candidate],
            "group": of_rows(groups_of(data.folds, list(scores["id"]))),
            "topical": of_rows(topical(true)),
            "true": true[is_candidate],
            "p_topical": of_rows(confidence.sum(axis=1)),
            "predicted": mode_of(topics.mode).predicted(confidence, thresholds)[is_candidate],
        }
    )
