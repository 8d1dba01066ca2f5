"""Stage evaluate@MODEL: out-of-fold scores → metrics with intervals, pictures, predictions."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_auc_score

from paratopic import corpus, errors, figures, files, metrics
from paratopic.params import Evaluate, read_params
from paratopic.statistics import Outcomes, estimates, outcomes

PARAGRAPHS = Path("data/paragraphs.parquet")
FOLDS = Path("data/folds.parquet")
SCORES = Path("data/oof")
SPLIT = Path("reports/split.json")
REPORTS = Path("reports")


def measure(
    rows: pd.DataFrame, found: Outcomes, names: tuple[str, ...], params: Evaluate, seed: int
) -> dict[str, Any]:
    """Every metric with its interval, overall and by topic."""
    measured = {
        name: asdict(estimate)
        for name, estimate in estimates(found, params.confidence, params.n_draws, seed).items()
    }
    support = np.bincount(found.true, minlength=len(names))
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
            precision, recall, _ = precision_recall_curve(found.true == number, scores[:, number])
            parts.append(pd.DataFrame({"topic": name, "recall": recall, "precision": precision}))
    return pd.concat(parts, ignore_index=True)


def calibration(found: Outcomes) -> pd.DataFrame:
    """Mean confidence, accuracy and share of the answers in each confidence bin, all repeats."""
    answers = pd.DataFrame(
        {
            "confidence": found.scores.max(axis=2).ravel(),
            "accuracy": (found.scores.argmax(axis=2) == found.true).ravel().astype(float),
        }
    )
    grouped = answers.groupby(metrics.bins(answers["confidence"].to_numpy()))
    return grouped.mean().assign(share=grouped.size() / len(answers)).reset_index(drop=True)


def answers(rows: pd.DataFrame, scores: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """One line a held-out paragraph and repeat, those with none of the topics among them.

    Returns
    -------
    Columns confidence, topical (it has a topic), right (the top topic is it) and named (confidence
    reaches the threshold that the other folds' scores set).
    """
    topic = rows[corpus.counted(rows)].set_index("id")["topic"]
    scores = scores[scores["id"].isin(topic.index)]
    true = topic.reindex(scores["id"]).to_numpy()
    confidence = scores[list(names)].max(axis=1).to_numpy()
    return pd.DataFrame(
        {
            "confidence": confidence,
            "topical": true != "",
            "right": scores[list(names)].idxmax(axis=1).to_numpy() == true,
            "named": confidence >= scores["threshold"].to_numpy(),
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


def predictions(rows: pd.DataFrame, scores: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """One line a held-out paragraph: text, true and predicted topic, mean scores over repeats."""
    mean = scores.groupby("id")[list(names)].mean()
    table = rows.loc[rows["id"].isin(mean.index), ["id", "article", "heading", "text", "topic"]]
    mean = mean.reindex(table["id"])
    table = table.rename(columns={"topic": "true"}).assign(
        predicted=mean.idxmax(axis=1).to_numpy(), confidence=mean.max(axis=1).to_numpy()
    )
    table["right"] = table["true"] == table["predicted"]
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
    names = params.topics.names
    labelled = corpus.labelled(corpus.read_paragraphs(PARAGRAPHS))
    scores = pd.read_parquet(SCORES / name / "scores.parquet")
    split = files.read_json(SPLIT, "stage split")
    if scores.empty:
        unmeasured(name, split)
        return
    rows, found = outcomes(labelled, pd.read_parquet(FOLDS), scores, names)
    report = measure(rows, found, names, params.evaluate, params.seed)
    given = answers(labelled, scores, names)
    saved = files.read_json(SCORES / name / "calibration.json", "stage score")
    target = params.calibrate.precision
    report["abstention"] = abstention(given, saved["threshold"], target)
    report["confidence"] = params.evaluate.confidence
    report |= {"split_unit": split["split_unit"], "notes": " · ".join(split["messages"])}

    folder = REPORTS / name
    files.write_json(folder / "metrics.json", report)
    predicted = found.scores.argmax(axis=2)
    true = np.tile(found.true, len(predicted))
    cells = np.array(names)
    pairs = pd.DataFrame({"actual": cells[true], "predicted": cells[predicted.ravel()]})
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
    files.write_csv(folder / "predictions.csv", predictions(labelled, scores, names))

    title = f"{name}, out-of-fold"
    matrix = metrics.confusion(true, predicted.ravel(), len(names)) / len(predicted)
    by_topic = {"macro-F1": report["macro_f1"]} | {
        f"{topic} (n={values['support']})": values["f1"]
        for topic, values in report["topics"].items()
    }
    interval = f"F1, {params.evaluate.confidence:.0%} interval"
    figures.confusion(matrix, names, f"{title} (mean of repeats)", folder / "confusion.png")
    figures.precision_recall(pr, title, folder / "precision_recall.png")
    figures.reliability(bins, title, folder / "reliability.png")
    named = report["abstention"]["coverage"]
    figures.risk_coverage(curve, 1 - target, named, title, folder / "risk_coverage.png")
    figures.intervals(by_topic, interval, title, folder / "f1.png")
    figures.training(history, f"{name}, fits of the folds", folder / "training.png")

    shown = report["macro_f1"]
    print(
        f"{name}: macro-F1 {shown['value']:.3f} "
        f"({params.evaluate.confidence:.0%} interval {shown['low']:.3f} to {shown['high']:.3f})"
    )


if __name__ == "__main__":
    errors.run(main)
