"""How many wrong labels `paratopic review` finds, and how many cleanlab's own recipe does.

Labels of which some are wrong are taken as a person's: models are scored out-of-fold on them, the
labels are ranked, and the table's true labels tell which of the first ones are wrong. Nothing is
trained or chosen by the true labels.

    python benchmarks/label_errors.py --data TABLE.parquet --noisy COLUMN --against cleanlab
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from record import parser_of, save
from simulation import Embeddings, Learner, calibrated, embeddings, frozen, trained
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.model_selection import cross_val_predict
from tables import markdown

from paratopic.baseline import fit as baseline
from paratopic.corpus.folds import iterate_folds, make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import targets_of
from paratopic.findings.review import rank_doubtful
from paratopic.inference.modes import Array, class_numbers
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.topics import Topics
from paratopic.training.crossval import cross_validate
from paratopic.transformer import fit as transformer

MODELS = ("baseline", "frozen", "transformer")
# What `paratopic review` ranks by: all models of the params together.
TOGETHER = (("baseline", "frozen"), ("baseline", "transformer"))
# Points of a curve that are kept.
POINTS = 100
KEY = ["data", "noisy", "rows", "ranked_by"]
FIGURES = ("precision_first", "average_precision")
# What is printed of each.
SHOWN = {"ranked by": "{ranked_by}"} | {name: f"{{{name}:.3f}}" for name in FIGURES}


def read(path: Path, noisy: str, n: int | None, seed: int) -> pd.DataFrame:
    """The table as paragraphs with the labels of its column `noisy`; `true` has its own."""
    table = pd.read_parquet(path)
    rows = pd.DataFrame(
        {
            "id": [f"row {number:06}" for number in range(len(table))],
            "text": table["text"],
            "noisy": table[noisy].astype(str),
            "true": table["label"].astype(str),
        }
    )
    if n is not None:
        rows = rows.sample(n, random_state=seed).sort_values("id", ignore_index=True)
    topic = rows["noisy"].map(lambda label: (label,))
    return rows.assign(article=rows["id"], topic=topic, label=topic, label_source="hand")


def scored(
    rows: pd.DataFrame, folds: pd.DataFrame, learner: Learner, topics: Topics, params: Params
) -> pd.DataFrame:
    """Calibrated out-of-fold scores, as the pipeline has them."""
    fit, data = learner(topics), Labelled(rows, topics, folds)
    scores = cross_validate(data, fit, params.seed).scores
    return calibrated(data, scores, params)[0]


def reviewed(rows: pd.DataFrame, scores: Sequence[pd.DataFrame], topics: Topics) -> Array:
    """How doubtful each row's label is: 1 for the first that the review ranks, 0 for the last."""
    order = rank_doubtful(rows, scores, topics)["paragraph"]
    rank = pd.Series(np.arange(len(order)), index=order).reindex(rows["id"]).to_numpy()
    doubt: Array = 1 - rank / max(1, len(order) - 1)
    return doubt


def cleanlab(
    rows: pd.DataFrame, folds: pd.DataFrame, known: Embeddings, topics: Topics
) -> dict[str, Array]:
    """The recipe of cleanlab's tutorial for texts, with the project's encoder in place of its own.

    Embeddings of the frozen encoder, scikit-learn's `LogisticRegression(max_iter=400)`,
    `cross_val_predict` with its default five folds, and the label quality scores by which its
    Datalab and CleanLearning rank (self-confidence). To it come the order of its
    `find_label_issues` (those that confident learning finds, then the others), and the same
    scores on the project's folds.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels = class_numbers(targets_of(rows["topic"], topics.names))
    features = np.array([known[text] for text in rows["text"]])
    same = [(train, test) for _, _, train, test in iterate_folds(folds, list(rows["id"]))]
    doubt = {}
    for name, folding in (("cleanlab", None), ("cleanlab, same folds", same)):
        model = LogisticRegression(max_iter=400)
        found = cross_val_predict(model, features, labels, method="predict_proba", cv=folding)
        doubt[name] = 1 - get_label_quality_scores(labels, found)
        if folding is None:
            issues = find_label_issues(labels, found, n_jobs=1)
            doubt["cleanlab, issues first"] = doubt[name] + issues
    return doubt


def measure(doubt: Array, wrong: npt.NDArray[np.bool_], first: int) -> dict[str, Any]:
    """Precision among the `first` labels of a ranking, average precision, and its curve."""
    order = np.argsort(-doubt, kind="stable")
    precision, recall, _ = precision_recall_curve(wrong, doubt)
    kept = np.unique(np.linspace(0, len(recall) - 1, POINTS).astype(int))
    return {
        "precision_first": float(wrong[order][:first].mean()),
        "average_precision": float(average_precision_score(wrong, doubt)),
        "recall": recall[kept],
        "precision": precision[kept],
    }


def picture(found: dict[str, dict[str, Any]], title: str, path: Path) -> None:
    """Precision against recall of finding wrong labels."""
    figure, axis = plt.subplots(figsize=(5.6, 4.2))
    for name, line in found.items():
        style = "--" if name.startswith("cleanlab") else "-"
        label = f"{name} ({line['average_precision']:.3f})"
        axis.plot(line["recall"], line["precision"], style, label=label)
    axis.set_xlabel("recall of wrong labels")
    axis.set_ylabel("precision")
    axis.set_title(title, fontsize=9)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1.02)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, title="average precision", loc="lower left")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def options() -> argparse.Namespace:
    """The options of the command."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", type=Path, required=True, help="parquet: text, label, and COLUMN")
    parser.add_argument("--noisy", required=True, metavar="COLUMN", help="labels to train on")
    parser.add_argument("--rows", type=int, help="draw as many; default: all")
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=1, help="of the folds")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--against", nargs="*", default=[], choices=["cleanlab"])
    return parser.parse_args()


def main() -> None:
    """Print a table; write it and the precision-recall curves as a picture."""
    arguments, params = options(), Project().params
    rows = read(arguments.data, arguments.noisy, arguments.rows, params.seed)
    topics = Topics("single", tuple(sorted(set(rows["noisy"]))))
    wrong = (rows["noisy"] != rows["true"]).to_numpy()
    folds = make_folds(rows, params.split.n_folds, arguments.repeats, None, params.seed).table
    print(f"{len(rows)} rows, {wrong.mean():.1%} of their labels wrong", flush=True)
    known = embeddings(list(rows["text"]), params, None)

    learners = {
        "baseline": trained(baseline, params.section("baseline")),
        "frozen": frozen(known),
        "transformer": trained(transformer, params.section("transformer")),
    }
    scores: dict[str, pd.DataFrame] = {}
    found: dict[str, dict[str, Any]] = {}

    def add(name: str, doubt: Array) -> None:
        found[name] = line = measure(doubt, wrong, arguments.first)
        print(f"{name}: {line['precision_first']:.3f}, {line['average_precision']:.3f}", flush=True)

    if "cleanlab" in arguments.against:
        for name, doubt in cleanlab(rows, folds, known, topics).items():
            add(name, doubt)
    for name in arguments.models:
        scores[name] = scored(rows, folds, learners[name], topics, params)
        add(name, reviewed(rows, [scores[name]], topics))
    for names in TOGETHER:
        if scores.keys() >= set(names):
            add(" + ".join(names), reviewed(rows, [scores[name] for name in names], topics))

    about = dict(zip(KEY, (arguments.data.stem, arguments.noisy, len(rows)), strict=False))
    told = {"wrong": float(wrong.mean()), "first": arguments.first}
    lines = [about | {"ranked_by": name} | told | line for name, line in found.items()]
    for line in lines:
        del line["recall"], line["precision"]  # the curve is in the picture alone
    save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))
    title = f"{arguments.data.stem}: {len(rows):,} labels, {wrong.mean():.0%} wrong"
    stem = f"{arguments.results.stem}_{arguments.data.stem}"
    picture(found, title, arguments.results.with_name(f"{stem}.png"))


if __name__ == "__main__":
    main()
