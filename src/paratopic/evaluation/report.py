"""The report of one model: metrics, curves, confusions and predictions.

No file is written here, and nothing is drawn: `figures` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, product
from typing import Any

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import evaluated, targets_of
from paratopic.evaluation import metrics
from paratopic.evaluation.intervals import (
    Estimate,
    Metric,
    answer_estimates,
    difference,
    estimates,
)
from paratopic.evaluation.outcomes import Outcomes, answer_outcomes, outcomes
from paratopic.inference.modes import mode_of
from paratopic.inference.promise import NEVER, Promise
from paratopic.inference.scores import Targets, topical
from paratopic.project.params import Evaluate
from paratopic.project.topics import ModeName, Topics, join_cell

# In the confusion matrix of mode multi: no topic was predicted instead, or no other was true.
NONE = "(none)"
# Columns of the tables where nothing was held out.
EMPTY = {
    "confusion": ["actual", "predicted"],
    "precision_recall": ["topic", "recall", "precision"],
    "reliability": ["confidence", "accuracy", "share"],
    "risk_coverage": ["coverage", "risk"],
    "training": ["repeat", "fold", "step", "loss"],
    "predictions": ["id", "text", "true", "answer", "predicted"],
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
    thresholds
        The final model's thresholds.
    promise
        What is promised of sure predictions.
    alone
        As `scores`, of the same paragraphs without what stands around them; None, the default,
        where nothing was read around them.
    """

    scores: pd.DataFrame
    history: pd.DataFrame
    thresholds: Sequence[float]
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
    answers: pd.DataFrame, names: tuple[str, ...], out_of_fold: OutOfFold
) -> dict[str, dict[str, Any]]:
    """What is predicted in mode single: whether a paragraph has a topic at all, and what is sure.

    `auroc_topical` is the chance that a paragraph with a topic is given more probability of having
    one than a paragraph with none; None if there is no such pair. Sure predictions are those of the
    threshold that ships, which is None where the labels are too few for a promise.
    """
    from sklearn.metrics import roc_auc_score

    predicted = answers[answers["predicted"]]
    threshold = out_of_fold.thresholds[0]
    sure = predicted[predicted["confidence"] >= threshold]
    auroc = None
    if answers["topical"].nunique() == 2:
        auroc = float(roc_auc_score(answers["topical"], answers["p_topical"]))
    effect = {
        "auroc_topical": auroc,
        "sure": {
            "threshold": threshold if threshold < NEVER else None,
            "target": out_of_fold.promise.precision,
            "coverage": len(sure) / len(answers),
            "precision": float(sure["right"].mean()) if len(sure) else None,
            "groups_needed": out_of_fold.promise.least_groups,
        },
    }
    return {"abstention": effect}


def naming(
    answers: pd.DataFrame, names: tuple[str, ...], out_of_fold: OutOfFold
) -> dict[str, dict[str, Any]]:
    """Effect of the thresholds of mode multi: topics per paragraph, true and predicted."""
    effect = {
        "thresholds": dict(zip(names, out_of_fold.thresholds, strict=True)),
        "topics_a_paragraph": float(answers["right"].mean() * len(names)),
        "named_a_paragraph": float(answers["predicted"].mean() * len(names)),
    }
    return {"naming": effect}


# What the thresholds do: from `answer_table`, topic names and what stage score made to a part of
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
    data
        Labelled paragraphs and their folds.
    out_of_fold
        What stage score made of the model.
    split
        Content of reports/split.json.
    settings
        Confidence of the intervals and number of draws.
    seed
        Seed of the random draws.
    """
    rows, topics = data.rows, data.topics
    about = {
        "mode": topics.mode,
        "split_unit": split["split_unit"],
        "notes": " · ".join(split["messages"]),
    }
    if out_of_fold.scores.empty:
        tables = {name: pd.DataFrame(columns=columns) for name, columns in EMPTY.items()}
        return Report({"n": 0} | about, tables)
    outcome, answered = (
        outcomes(data, out_of_fold.scores),
        answer_outcomes(data, out_of_fold.scores),
    )
    table = answer_table(rows, out_of_fold.scores, topics)
    measured = {
        "n": len(answered.true),
        "n_topical": int(topical(outcome.true).sum()),
        "labels": sources(rows),
        **_figures(outcome, measure(outcome, answered, settings, seed), topics.names),
    }
    measured |= EFFECTS[topics.mode](table, topics.names, out_of_fold)
    if out_of_fold.alone is not None:
        alone = answer_outcomes(data, out_of_fold.alone)
        gain = difference(answered, alone, settings.confidence, settings.n_draws, seed)
        measured["context"] = {"gain": asdict(gain)}
    measured["confidence"] = settings.confidence
    tables = _tables(rows, outcome, table, out_of_fold, topics)
    return Report(measured | about, tables)


def measure(
    outcome: Outcomes, answered: Outcomes, settings: Evaluate, seed: int
) -> dict[Metric, Estimate]:
    """Every metric of a model's topics and of its answers, with its interval."""
    confidence, n_draws = settings.confidence, settings.n_draws
    return answer_estimates(answered, confidence, n_draws, seed) | estimates(
        outcome, confidence, n_draws, seed
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


def sources(rows: pd.DataFrame) -> str:
    """Where the labels of the rows that are evaluated come from: "hand", or "heading"."""
    return ", ".join(sorted(set(rows["label_source"][evaluated(rows)])))


def precision_recall_table(outcome: Outcomes, names: tuple[str, ...]) -> pd.DataFrame:
    """Precision-recall curve of each topic against the others, from mean scores over repeats."""
    from sklearn.metrics import precision_recall_curve

    scores = outcome.scores.mean(axis=0)
    parts = []
    for number, name in enumerate(names):
        if outcome.present[number]:
            true = outcome.true[:, number]
            precision, recall, _ = precision_recall_curve(true, scores[:, number])
            parts.append(pd.DataFrame({"topic": name, "recall": recall, "precision": precision}))
    return pd.concat(parts, ignore_index=True)


def reliability_table(outcome: Outcomes) -> pd.DataFrame:
    """Mean confidence, accuracy and share of the answers in each confidence bin, all repeats.

    An answer is a paragraph's most probable topic in mode single, and each of its topics in mode
    multi.
    """
    is_answer = outcome.mode.answers(outcome.scores)
    right = np.broadcast_to(outcome.true, outcome.scores.shape)
    answers = pd.DataFrame(
        {"confidence": outcome.scores[is_answer], "accuracy": right[is_answer].astype(float)}
    )
    grouped = answers.groupby(metrics.bins(answers["confidence"].to_numpy()))
    return grouped.mean().assign(share=grouped.size() / len(answers)).reset_index(drop=True)


def risk_coverage_table(answers: pd.DataFrame) -> pd.DataFrame:
    """Columns coverage and risk: the curve of `answer_table`, the most confident answers first."""
    coverage, risk = metrics.risk_coverage(
        answers["confidence"].to_numpy(), answers["right"].to_numpy()
    )
    return pd.DataFrame({"coverage": coverage, "risk": risk})


def confusion_pairs(
    true: Targets, predicted: Targets, names: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Pairs of a true and a predicted topic, from n texts' topics (n, k).

    A topic that is predicted right is paired with itself. Each topic that was missed is paired with
    each wrong one, or with NONE (Heydarian, Doyle & Samavi 2022,
    https://doi.org/10.1109/ACCESS.2022.3151048), so that trade and security, predicted as trade and
    technology, give (trade, trade) and (security, technology).
    """
    for has, given in zip(true, predicted, strict=True):
        hit, missed, wrong = (
            [name for name, chosen in zip(names, row, strict=True) if chosen]
            for row in (has & given, has & ~given, given & ~has)
        )
        yield from zip(hit, hit, strict=True)
        if missed or wrong:
            yield from product(missed or [NONE], wrong or [NONE])


def answer_table(rows: pd.DataFrame, scores: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """Answers for held-out paragraphs in each repeat, also for those with none of the topics.

    A paragraph has one answer in mode single, its most probable topic; in mode multi each topic is
    one.

    Returns
    -------
    A row for each answer. Columns are confidence, topical (the paragraph has a topic), right (it
    has this one), p_topical (sum of the topics' probabilities) and predicted.
    """
    rows = rows[evaluated(rows)]
    scores = scores[scores["id"].isin(rows["id"])]
    true = targets_of(rows, topics.names)[pd.Index(rows["id"]).get_indexer(scores["id"])]
    confidence = scores[list(topics.names)].to_numpy()
    thresholds = scores[topics.thresholds].to_numpy()
    is_answer = mode_of(topics.mode).answers(confidence)
    return pd.DataFrame(
        {
            "confidence": confidence[is_answer],
            "topical": np.broadcast_to(topical(true)[:, None], true.shape)[is_answer],
            "right": true[is_answer],
            "p_topical": np.broadcast_to(confidence.sum(axis=1)[:, None], true.shape)[is_answer],
            "predicted": mode_of(topics.mode).predicted(confidence, thresholds)[is_answer],
        }
    )


def predictions(rows: pd.DataFrame, scores: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """A row for each held-out paragraph: text, true and predicted topics, mean scores over repeats.

    Predictions are those of the mean scores. Column `answer` is what `predict` would give, which
    may be none of the topics; column `predicted` in mode single is the most probable topic.
    """
    names = list(topics.names)
    mean = scores.groupby("id")[[*names, *topics.thresholds]].mean()
    table = rows.loc[rows["id"].isin(mean.index), ["id", "article", "heading", "text", "topic"]]
    mean = mean.reindex(table["id"])
    probabilities = mean[names].to_numpy()
    thresholds = mean[topics.thresholds].to_numpy()
    predicted = mode_of(topics.mode).best_guess(probabilities, thresholds)
    right = (predicted == targets_of(table, names)).all(axis=1)
    table = table.rename(columns={"topic": "true"}).assign(
        true=table["topic"].map(join_cell),
        answer=topics.write(mode_of(topics.mode).predicted(probabilities, thresholds)),
        predicted=topics.write(predicted),
        confidence=probabilities.max(axis=1),
        right=right,
    )
    for name in names:
        table[f"score {name}"] = mean[name].to_numpy()
    return table.reset_index(drop=True)


def _tables(
    rows: pd.DataFrame,
    outcome: Outcomes,
    answers: pd.DataFrame,
    out_of_fold: OutOfFold,
    topics: Topics,
) -> dict[str, pd.DataFrame]:
    """Name of each CSV file → its rows; the names are those of `EMPTY`."""
    pairs = chain.from_iterable(
        confusion_pairs(outcome.true, repeat, topics.names) for repeat in outcome.predicted
    )
    return {
        "confusion": pd.DataFrame(pairs, columns=["actual", "predicted"]),
        "precision_recall": precision_recall_table(outcome, topics.names),
        "reliability": reliability_table(outcome),
        "risk_coverage": risk_coverage_table(answers),
        "training": out_of_fold.history,
        "predictions": predictions(rows, out_of_fold.scores, topics),
    }
