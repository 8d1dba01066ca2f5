"""What is reported of one model: metrics, curves, confusions and predictions.

No file is written here and nothing is drawn.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_auc_score

from paratopic.corpus.table import evaluated, targets_of
from paratopic.evaluation import metrics
from paratopic.evaluation.intervals import estimates
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.scores import one_hot, topical
from paratopic.project.params import Evaluate
from paratopic.project.topics import Topics

# In the confusion matrix of mode multi: a topic that was missed, or named for nothing.
NONE = "(none)"


def measure(
    rows: pd.DataFrame, found: Outcomes, names: tuple[str, ...], params: Evaluate, seed: int
) -> dict[str, Any]:
    """Every metric with its interval, overall and by topic."""
    measured = {
        name: asdict(estimate)
        for name, estimate in estimates(found, params.confidence, params.n_draws, seed).items()
    }
    support = found.true.sum(axis=0)
    topics = {
        name: {"support": int(support[number])}
        | {metric: measured[f"{metric}/{number}"] for metric in ("precision", "recall", "f1")}
        for number, name in enumerate(names)
    }
    overall = {name: value for name, value in measured.items() if "/" not in name}
    labels = sorted(set(rows["label_source"]))
    return {"n": len(rows), "labels": ", ".join(labels), **overall, "topics": topics}


def precision_recall_table(found: Outcomes, names: tuple[str, ...]) -> pd.DataFrame:
    """Precision-recall curves, one topic against the others, of the mean scores."""
    scores = found.scores.mean(axis=0)
    parts = []
    for number, name in enumerate(names):
        if found.present[number]:
            precision, recall, _ = precision_recall_curve(found.true[:, number], scores[:, number])
            parts.append(pd.DataFrame({"topic": name, "recall": recall, "precision": precision}))
    return pd.concat(parts, ignore_index=True)


def reliability_table(found: Outcomes) -> pd.DataFrame:
    """Mean confidence, accuracy and share of the answers in each confidence bin, all repeats.

    In mode single a paragraph's answer is its most probable topic, in mode multi each topic is one.
    """
    confidence, right = found.scores, np.broadcast_to(found.true, found.scores.shape)
    if found.mode == "single":
        confidence, right = confidence[found.named], right[found.named]
    answers = pd.DataFrame(
        {"confidence": confidence.ravel(), "accuracy": right.ravel().astype(float)}
    )
    grouped = answers.groupby(metrics.bins(answers["confidence"].to_numpy()))
    return grouped.mean().assign(share=grouped.size() / len(answers)).reset_index(drop=True)


def confusion_pairs(found: Outcomes, names: tuple[str, ...]) -> pd.DataFrame:
    """Columns actual and predicted, all repeats: what each topic was taken for.

    In mode multi each topic that was missed is paired with each that was named in its place, or
    with NONE (Heydarian, Doyle & Samavi 2022, https://doi.org/10.1109/ACCESS.2022.3151048).
    """
    pairs: list[tuple[str, str]] = []
    for said in found.named:
        for true, named in zip(found.true, said, strict=True):
            hit, missed, wrong = (
                [name for name, there in zip(names, some, strict=True) if there]
                for some in (true & named, true & ~named, named & ~true)
            )
            pairs += [(name, name) for name in hit]
            if missed or wrong:
                pairs += product(missed or [NONE], wrong or [NONE])
    return pd.DataFrame(pairs, columns=["actual", "predicted"])


def answer_table(rows: pd.DataFrame, scores: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """One line a held-out paragraph and repeat, those with none of the topics among them.

    In mode single it is that of the most probable topic; in mode multi each topic has one.

    Returns
    -------
    Columns confidence, topical (the paragraph has a topic), right (it has this one) and named
    (confidence reaches the threshold that the other folds' scores set).
    """
    rows = rows[evaluated(rows)]
    scores = scores[scores["id"].isin(rows["id"])]
    place = pd.Index(rows["id"]).get_indexer(scores["id"])
    right = targets_of(rows, topics.names)[place]
    confidence = scores[list(topics.names)].to_numpy()
    limits = scores[topics.thresholds].to_numpy()
    has_topic = topical(right)
    if topics.mode == "single":
        best = confidence.argmax(axis=1)[:, None]
        confidence, limits, right = (
            np.take_along_axis(each, best, axis=1) for each in (confidence, limits, right)
        )
    return pd.DataFrame(
        {
            "confidence": confidence.ravel(),
            "topical": np.repeat(has_topic, confidence.shape[1]),
            "right": right.ravel(),
            "named": (confidence >= limits).ravel(),
        }
    )


def abstention(given: pd.DataFrame, threshold: float, target: float) -> dict[str, float | None]:
    """What the threshold does: share of paragraphs named, precision of the names, and AUROC.

    `auroc_topical` is the chance that a paragraph with a topic is answered more surely than one
    with none; None where there is no such pair, and so is the precision of no answer.
    """
    named = given[given["named"]]
    both = given["topical"].nunique() == 2
    return {
        "threshold": threshold,
        "target": target,
        "coverage": float(given["named"].mean()),
        "precision": float(named["right"].mean()) if len(named) else None,
        "precision_without_threshold": float(given["right"].mean()),
        "auroc_topical": float(roc_auc_score(given["topical"], given["confidence"]))
        if both
        else None,
    }


def naming(given: pd.DataFrame, thresholds: dict[str, float]) -> dict[str, Any]:
    """What the thresholds of mode multi do: topics that a paragraph has, and is given."""
    k = len(thresholds)
    return {
        "thresholds": thresholds,
        "topics_a_paragraph": float(given["right"].mean() * k),
        "named_a_paragraph": float(given["named"].mean() * k),
    }


def predictions(rows: pd.DataFrame, scores: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """One line a held-out paragraph: text, true and predicted topics, mean scores over repeats."""
    names = list(topics.names)
    mean = scores.groupby("id")[[*names, *topics.thresholds]].mean()
    table = rows.loc[rows["id"].isin(mean.index), ["id", "article", "heading", "text", "topic"]]
    mean = mean.reindex(table["id"])
    found = mean[names].to_numpy()
    if topics.mode == "single":
        named = one_hot(found.argmax(axis=1), len(names))
    else:
        named = found >= mean[topics.thresholds].to_numpy()
    right = (named == targets_of(table, names)).all(axis=1)
    table = table.rename(columns={"topic": "true"}).assign(
        predicted=topics.write(named), confidence=found.max(axis=1), right=right
    )
    for name in names:
        table[f"score {name}"] = mean[name].to_numpy()
    return table.reset_index(drop=True)
