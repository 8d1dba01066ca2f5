"""Whether probabilities mean what they say, and "none" and "sure" are said where they should be.

Draws some rows of each topic and as many rows without a topic as all of these together, calibrates
on out-of-fold scores as the pipeline does, and measures on held-out rows, mixed in the same way,
which nothing was fitted or chosen on.

    python benchmarks/calibration.py --data TABLE.parquet --none other --shots 64 --seeds 5
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from record import parser_of, save
from simulation import Learner, calibrated, embeddings, frozen, population, trained, without
from sklearn.metrics import roc_auc_score
from tables import Table, markdown, read, with_error

from paratopic.baseline import fit as baseline
from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import targets_of
from paratopic.evaluation import metrics
from paratopic.evaluation.model_report import risk_curve
from paratopic.inference.modes import (
    Calibration,
    Scores,
    class_numbers,
    conditional,
    log_losses,
    mode_of,
)
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.calibration import apply_calibration
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.transformer import fit as transformer

Integers = npt.NDArray[np.int64]
KEY = ["data", "shots", "repeats", "seed", "model"]


@dataclass(frozen=True)
class Result:
    """Raw and calibrated scores of held-out rows, and their calibration."""

    true: Integers
    raw: Scores
    calibrated: Scores
    calibration: Calibration
    seconds: float

    def line(self) -> dict[str, float]:
        """Figures on the held-out rows."""
        topical = self.true >= 0
        raw, told = (conditional(s[topical]) for s in (self.raw, self.calibrated))
        answers = mode_of("single").predicted(self.calibrated, self.calibration.thresholds)
        predicted = answers.any(axis=1)
        confidence = (answers * self.calibrated).sum(axis=1)
        sure = predicted & (confidence >= self.calibration.sure)
        right = predicted & (class_numbers(answers) == self.true)
        return {
            "ece": ece(self.true[topical], raw),
            "ece_calibrated": ece(self.true[topical], told),
            "log_loss": log_loss(self.true[topical], raw),
            "log_loss_calibrated": log_loss(self.true[topical], told),
            "ece_confidence": ece(self.true, self.calibrated),
            "precision_of_all": float(right.mean()),
            "coverage": float(predicted.mean()),
            "precision": float(right[predicted].mean()) if predicted.any() else float("nan"),
            "coverage_sure": float(sure.mean()),
            "precision_sure": float(right[sure].mean()) if sure.any() else float("nan"),
            "auroc_topical": float(roc_auc_score(topical, self.calibrated.sum(axis=1))),
            "seconds": self.seconds,
        }


def ece(true: Integers, scores: Scores) -> float:
    """Expected calibration error of the top topic, ten bins of equal width."""
    top, right = scores.max(axis=1), scores.argmax(axis=1) == true
    member = np.eye(metrics.N_BINS)[metrics.bins(top)]
    sums = member.sum(axis=0), member.T @ top, member.T @ right.astype(np.float64)
    return float(metrics.calibration_error(*sums))


def log_loss(true: Integers, scores: Scores) -> float:
    """Mean log loss."""
    return float(log_losses(true, scores).mean())


def draw(
    rows: pd.DataFrame, names: tuple[str, ...], shots: int, tests: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labelled and held-out rows: so many of each topic, and as many again with none of them."""
    rng = np.random.default_rng([seed, shots])
    shuffled = rows.iloc[rng.permutation(len(rows))]
    none = shuffled["label"] == ""
    place = shuffled.groupby("label").cumcount()
    labelled = shuffled[place < np.where(none, shots * len(names), shots)]
    rest = shuffled[~shuffled["article"].isin(labelled["article"])]
    place, none = rest.groupby("label").cumcount(), rest["label"] == ""
    smallest = min(tests, int(rest["label"][~none].value_counts().min()))
    held_out = rest[place < np.where(none, smallest * len(names), smallest)]
    return labelled.sort_values("id", ignore_index=True), held_out


def run(
    rows: pd.DataFrame,
    names: tuple[str, ...],
    learner: Learner,
    params: Params,
    shots: int,
    tests: int,
    seed: int,
) -> Result:
    """Cross-validate, calibrate and answer held-out rows with one model."""
    labelled, held_out = draw(rows, names, shots, tests, seed)
    started = time.perf_counter()
    split = params.split
    folds = make_folds(labelled, split.n_folds, split.repeats(len(labelled)), None, seed).table
    topics = Topics("single", names)
    fit, data = learner(topics), Labelled(labelled, topics, folds)
    scores = cross_validate(data, fit, seed).scores
    model = fit_all(data, fit, seed)
    _, found = calibrated(data, scores, params)
    seconds = time.perf_counter() - started
    raw = model.predict_proba(numbered(held_out["text"]))
    told = apply_calibration(raw, found, mode_of("single"))
    return Result(class_numbers(targets_of(held_out["topic"], names)), raw, told, found, seconds)


def picture(table: Table, results: dict[str, list[Result]], target: float, path: Path) -> None:
    """Reliability of topical rows before and after, risk against coverage; rows of all draws."""
    figure, axes = plt.subplots(1, len(results) + 1, figsize=(4 * (len(results) + 1), 3.8))
    for axis, (name, found) in zip(axes, results.items(), strict=False):
        axis.plot([0, 1], [0, 1], color="grey", linestyle="--")
        for label in ("raw", "calibrated"):
            topical = [getattr(r, label)[r.true >= 0] for r in found]
            scores = conditional(np.concatenate(topical))
            true = np.concatenate([r.true[r.true >= 0] for r in found])
            top, right = scores.max(axis=1), scores.argmax(axis=1) == true
            bins = pd.DataFrame({"confidence": top, "accuracy": right}).groupby(metrics.bins(top))
            means = bins.mean()
            axis.plot(means["confidence"], means["accuracy"], marker="o", label=label)
        axis.set(title=name, xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.03))
        axis.legend(loc="upper left")
        axis.grid(alpha=0.3)
    axis = axes[-1]
    for number, (name, found) in enumerate(results.items()):
        true = np.concatenate([r.true for r in found])
        scores = np.concatenate([r.calibrated for r in found])
        curve = risk_curve(scores.max(axis=1), scores.argmax(axis=1) == true)
        axis.plot(curve["answered"], curve["risk"], color=f"C{number}", label=name)
        lines = pd.DataFrame([r.line() for r in found]).mean()
        axis.plot(lines["coverage"], 1 - lines["precision"], "o", color=f"C{number}")
        axis.plot(lines["coverage_sure"], 1 - lines["precision_sure"], "*", color=f"C{number}")
    axis.axhline(1 - target, color="grey", linestyle="--", label="allowed where sure (*)")
    axis.set(title="risk", xlabel="share of answers", ylabel="risk", xlim=(0, 1), ylim=(0, 1))
    axis.legend(loc="upper left")
    axis.grid(alpha=0.3)
    figure.suptitle(f"{table.name}, held-out rows")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def options() -> argparse.Namespace:
    """The options of the command."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", required=True, help="parquet with text, label, optional group")
    parser.add_argument("--none", nargs="+", required=True, help="labels that mean: no topic")
    parser.add_argument("--shots", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tests", type=int, default=100, help="held-out rows of each topic")
    parser.add_argument("--repeats", type=int, help="of the folds; default: params.yaml's")
    parser.add_argument("--models", nargs="+", default=["tfidf", "frozen", "paratopic"])
    return parser.parse_args()


def main() -> None:
    """Print a table; write every run and a picture."""
    arguments = options()
    params = Project().params
    if arguments.repeats:
        params = replace(params, split=replace(params.split, n_repeats=arguments.repeats))
    table = read(arguments.data)
    rows = without(population(table), arguments.none)
    names = tuple(name for name in table.labels if name not in arguments.none)
    learners = {
        "tfidf": trained(baseline, params.section("baseline")),
        "paratopic": trained(transformer, params.section("transformer")),
    }
    if "frozen" in arguments.models:
        drawn = [
            draw(rows, names, arguments.shots, arguments.tests, seed)
            for seed in range(arguments.seeds)
        ]
        texts = [text for pair in drawn for part in pair for text in part["text"]]
        learners["frozen"] = frozen(embeddings(texts, params, None))
    results: dict[str, list[Result]] = {name: [] for name in arguments.models}
    for seed in range(arguments.seeds):
        for name, found in results.items():
            found.append(
                run(rows, names, learners[name], params, arguments.shots, arguments.tests, seed)
            )
            print(
                f"seed {seed}, {name}:",
                *(f"{key}={value:.3f}" for key, value in found[-1].line().items()),
                flush=True,
            )
    about = (table.name, arguments.shots, params.split.n_repeats)
    runs = [
        dict(zip(KEY, (*about, seed, name), strict=True)) | result.line()
        for name, found in results.items()
        for seed, result in enumerate(found)
    ]
    save(arguments.results, runs, KEY, __file__)
    means = pd.DataFrame(runs).drop(columns=KEY[:-1]).groupby("model", sort=False)
    print(markdown([told(str(name), part) for name, part in means]))
    path = arguments.results.with_name(f"{arguments.results.stem}_{table.name}.png")
    picture(table, results, params.calibrate.precision, path)


def told(model: str, runs: pd.DataFrame) -> dict[str, Any]:
    """Means over draws, in words."""
    figures = {str(name): with_error(runs[name], 3, "") for name in runs.columns.drop("model")}
    return {"model": model} | figures


if __name__ == "__main__":
    main()
