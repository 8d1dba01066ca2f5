"""Stage evaluate@MODEL: out-of-fold scores → metrics with intervals, pictures, predictions."""

from __future__ import annotations

import sys
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_auc_score

from paratopic import corpus, errors, figures, files, metrics
from paratopic.params import Evaluate, read_params
from paratopic.statistics import Outcomes, estimates, outcomes
from paratopic.topics import Topics

PARAGRAPHS = Path("data/paragraphs.parquet")
FOLDS = Path("data/folds.parquet")
SCORES = Path("data/oof")
SPLIT = Path("reports/split.json")
REPORTS = Path("reports")


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


def curves(found: Outcomes, names: tuple[str, ...]) -> pd.DataFrame:
    """Precision-recall curves, one topic against the others, of the mean scores."""
    scores = found.scores.mean(axis=0)
    parts = []
    for number, name in enumerate(names):
        if found.present[number]:
            precision, recall, _ = precision_recall_curve(found.true[:, number], scores[:, number])
            parts.append(pd.DataFrame({"topic": name, "recall": recall, "precision": precision}))
    return pd.concat(parts, ignore_index=True)


def calibration(found: Outcomes) -> pd.DataFrame:
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


def confusions(found: Outcomes, names: tuple[str, ...]) -> pd.DataFrame:
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


def answers(rows: pd.DataFrame, scores: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """One line a held-out paragraph and repeat, those with none of the topics among them.

    In mode single it is that of the most probable topic; in mode multi each topic has one.

    Returns
    -------
    Columns confidence, topical (the paragraph has a topic), right (it has this one) and named
    (confidence reaches the threshold that the other folds' scores set).
    """
    rows = rows[corpus.counted(rows)]
    scores = scores[scores["id"].isin(rows["id"])]
    place = pd.Index(rows["id"]).get_indexer(scores["id"])
    right = corpus.targets(rows, topics.names)[place]
    confidence = scores[list(topics.names)].to_numpy()
    limits = scores[topics.thresholds].to_numpy()
    topical = metrics.topical(right)
    if topics.mode == "single":
        best = confidence.argmax(axis=1)[:, None]
        confidence, limits, right = (
            np.take_along_axis(each, best, axis=1) for each in (confidence, limits, right)
        )
    return pd.DataFrame(
        {
            "confidence": confidence.ravel(),
            "topical": np.repeat(topical, confidence.shape[1]),
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
        named = metrics.one_hot(found.argmax(axis=1), len(names))
    else:
        named = found >= mean[topics.thresholds].to_numpy()
    right = (named == corpus.targets(table, names)).all(axis=1)
    table = table.rename(columns={"topic": "true"}).assign(
        predicted=topics.write(named), confidence=found.max(axis=1), right=right
    )
    for name in names:
        table[f"score {name}"] = mean[name].to_numpy()
    return table.reset_index(drop=True)


def unmeasured(name: str, split: dict[str, Any]) -> None:
    """Write the same files where nothing was held out; they say so."""
    folder, why = REPORTS / name, " · ".join(split["messages"])
    report = {"n": 0, "split_unit": split["split_unit"], "notes": why}
    files.write_json(folder / "metrics.json", report)
    columns = {
        "confusion": ["actual", "predicted"],
        "precision_recall": ["topic", "recall", "precision"],
        "reliability": ["confidence", "accuracy", "share"],
        "risk_coverage": ["coverage", "risk"],
        "training": ["repeat", "fold", "step", "loss"],
        "predictions": ["id", "text", "true", "predicted"],
    }
    for table, names in columns.items():
        files.write_csv(folder / f"{table}.csv", pd.DataFrame(columns=names))
    for picture in (
        "confusion",
        "f1",
        "precision_recall",
        "reliability",
        "risk_coverage",
        "training",
    ):
        figures.nothing(name, folder / f"{picture}.png")
    print(f"{name}: not measured: {why}")


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name = sys.argv[1]
    params = read_params()
    topics, names = params.topics, params.topics.names
    labelled = corpus.labelled(corpus.read_paragraphs(PARAGRAPHS), topics.mode)
    scores = pd.read_parquet(SCORES / name / "scores.parquet")
    split = files.read_json(SPLIT, "stage split")
    if scores.empty:
        unmeasured(name, split)
        return
    rows, found = outcomes(labelled, pd.read_parquet(FOLDS), scores, topics)
    report = measure(rows, found, names, params.evaluate, params.seed)
    given = answers(labelled, scores, topics)
    saved = files.read_json(SCORES / name / "calibration.json", "stage score")
    target = params.calibrate.precision
    if topics.mode == "single":
        report["abstention"] = abstention(given, saved["thresholds"][0], target)
    else:
        report["naming"] = naming(given, dict(zip(names, saved["thresholds"], strict=True)))
    report["confidence"] = params.evaluate.confidence
    report |= {"split_unit": split["split_unit"], "notes": " · ".join(split["messages"])}

    folder = REPORTS / name
    files.write_json(folder / "metrics.json", report)
    pairs = confusions(found, names)
    pr, bins = curves(found, names), calibration(found)
    coverage, risk = metrics.risk_coverage(
        given["confidence"].to_numpy(), given["right"].to_numpy()
    )
    curve = pd.DataFrame({"coverage": coverage, "risk": risk})
    history = pd.read_csv(SCORES / name / "history.csv")
    files.write_csv(folder / "confusion.csv", pairs)
    files.write_csv(folder / "precision_recall.csv", pr)
    files.write_csv(folder / "reliability.csv", bins)
    files.write_csv(folder / "risk_coverage.csv", curve)
    files.write_csv(folder / "training.csv", history)
    files.write_csv(folder / "predictions.csv", predictions(labelled, scores, topics))

    title = f"{name}, out-of-fold"
    shown = [*names, NONE] if topics.mode == "multi" else list(names)
    table = pd.crosstab(pairs["actual"], pairs["predicted"])
    matrix = table.reindex(index=shown, columns=shown, fill_value=0).to_numpy(dtype=np.float64)
    overall = {
        title: report[key]
        for key, title in (("macro_f1", "macro-F1"), ("micro_f1", "micro-F1"))
        if key in report
    }
    by_topic = overall | {
        f"{topic} (n={values['support']})": values["f1"]
        for topic, values in report["topics"].items()
    }
    interval = f"F1, {params.evaluate.confidence:.0%} interval"
    matrix = matrix / len(found.named)
    figures.confusion(matrix, shown, f"{title} (mean of repeats)", folder / "confusion.png")
    figures.precision_recall(pr, title, folder / "precision_recall.png")
    figures.reliability(bins, title, folder / "reliability.png")
    allowed = 1 - target if topics.mode == "single" else None
    named = float(given["named"].mean())
    figures.risk_coverage(curve, allowed, named, title, folder / "risk_coverage.png")
    figures.intervals(by_topic, interval, title, folder / "f1.png")
    figures.training(history, f"{name}, fits of the folds", folder / "training.png")

    f1 = report["macro_f1"]
    print(
        f"{name}: macro-F1 {f1['value']:.3f} "
        f"({params.evaluate.confidence:.0%} interval {f1['low']:.3f} to {f1['high']:.3f})"
    )


if __name__ == "__main__":
    errors.run(main)
