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

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from record import made_with
from simulation import Learner, calibrated, embeddings, frozen, population, trained, without
from sklearn.metrics import roc_auc_score
from tables import RESULTS, Table, read

from paratopic.baseline import fit as baseline
from paratopic.corpus.folds import make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import targets_of
from paratopic.evaluation import metrics
from paratopic.evaluation.report import risk_curve
from paratopic.inference.calibration import Calibration
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Scores, classes, conditional, log_losses
from paratopic.project.files import write_json
from paratopic.project.params import Params, read_params
from paratopic.project.topics import Topics
from paratopic.training.calibration import apply_calibration
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.transformer import fit as transformer

Integers = npt.NDArray[np.int64]


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
        right = predicted & (classes(answers) == self.true)
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
    raw = model.predict_proba(list(held_out["text"]))
    told = apply_calibration(raw, found, mode_of("single"))
    return Result(classes(targets_of(held_out["topic"], names)), raw, told, found, seconds)


def picture(table: Table, results: dict[str, list[Result]], target: float) -> None:
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
    figure.savefig(RESULTS / f"calibration_{table.name}.png", dpi=120)


def main() -> None:
    """Print a markdown table; write JSON and a picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--data", required=True, help="parquet with text, label, optional group")
    parser.add_argument("--none", nargs="+", required=True, help="labels that mean: no topic")
    parser.add_argument("--shots", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tests", type=int, default=100, help="held-out rows of each topic")
    parser.add_argument("--repeats", type=int, help="of the folds; default: params.yaml's")
    parser.add_argument("--models", nargs="+", default=["tfidf", "frozen", "paratopic"])
    arguments = parser.parse_args()

    params = read_params()
    if arguments.repeats:
        params = replace(params, split=replace(params.split, n_repeats=arguments.repeats))
    table = read(arguments.data)
    rows = population(table)
    rows = without(rows, arguments.none)
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
    lines = {name: pd.DataFrame([r.line() for r in found]) for name, found in results.items()}
    columns = [str(column) for column in next(iter(lines.values()))]
    print("| model | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name, runs in lines.items():
        means, errors = runs.mean().to_numpy(), runs.sem().to_numpy()
        cells = [f"{mean:.3f} ± {error:.3f}" for mean, error in zip(means, errors, strict=True)]
        print(f"| {name} | " + " | ".join(cells) + " |")
    versions = made_with(__file__, "scikit-learn", "sentence-transformers", "torch", "transformers")
    told: dict[str, object] = {"data": table.name, "none": arguments.none, "shots": arguments.shots}
    told |= {"repeats": params.split.n_repeats, "target": params.calibrate.precision}
    # The precision of no prediction is not defined.
    told["runs"] = {
        name: runs.astype(object).where(runs.notna(), None).to_dict("records")
        for name, runs in lines.items()
    }
    write_json(RESULTS / f"calibration_{table.name}.json", told | versions)
    picture(table, results, params.calibrate.precision)


if __name__ == "__main__":
    main()
