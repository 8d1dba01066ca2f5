"""Whether the promise about sure predictions is kept, and how much is predicted at all.

Small labelled sets are drawn from big labelled tables, document by document, with some rows that
have none of the topics. With `--cut` rows are dealt to made-up documents of so many rows, each with
a mix of topics of its own, and so many of its rows are drawn at once.
On a frozen encoder's embeddings the project's head is fitted, cross-validated and calibrated. The
model then answers the rest of the table, mixed in the same way. The promise is kept where at least
`calibrate.precision` of the sure predictions are right there.

    python benchmarks/promise.py --data BILLS AGNEWS --none other Sports --draws 25
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import parser_of, save
from simulation import calibrated, embeddings, frozen, population, without
from tables import markdown, read

from paratopic.corpus.folds import TooFewLabels, make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import targets_of
from paratopic.inference.modes import has_topic, mode_of
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.calibration import apply_calibration
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.training.examples import Fit

SIZES = (25, 60, 150, 500)
NONE_SHARE = 0.16  # of the rows that are drawn, and of those that are answered
MOST_ROWS = 3000  # with a topic, of a table
MODE = mode_of("single")
KEY = ["data", "documents_of", "n"]
# What is printed of each.
SHOWN = {
    "table": "{data}",
    "n": "{n}",
    "sets": "{sets}",
    "with any sure": "{some_sure}",
    "of these kept": "{kept}",
    "lowest": "{lowest:.1%}",
    "sure": "{sure:.0%}",
    "predicted": "{coverage:.0%}",
    "right, None included": "{right:.0%}",
}


def mixed(rows: pd.DataFrame, n: int) -> pd.DataFrame:
    """The first rows of both kinds, n at most, `NONE_SHARE` of them with none of the topics."""
    none = rows["label"] == ""
    n = min(n, int(none.sum() / NONE_SHARE), int((~none).sum() / (1 - NONE_SHARE)))
    n_none = round(n * NONE_SHARE)
    return pd.concat([rows[none][:n_none], rows[~none][: n - n_none]])


def in_documents(rows: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """The rows in made-up documents of so many rows, each with a mix of labels of its own.

    Rows are left out once a label of the mix is used up.
    """
    rng = np.random.default_rng(seed)
    left = {
        label: list(rng.permutation(part)) for label, part in rows.groupby("label").indices.items()
    }
    shares = np.array([len(part) for part in left.values()]) / len(rows)
    documents: list[list[int]] = []
    while True:
        wanted = rng.multinomial(size, rng.dirichlet(len(left) * shares))
        if any(len(part) < n for part, n in zip(left.values(), wanted, strict=True)):
            break
        drawn = zip(left.values(), wanted, strict=True)
        documents.append([part.pop() for part, n in drawn for _ in range(n)])
    kept = rows.iloc[np.concatenate(documents)]
    return kept.assign(article=np.repeat([f"document {n}" for n in range(len(documents))], size))


def trial(
    rows: pd.DataFrame, fit: Fit, topics: Topics, n: int, seed: int, params: Params
) -> dict[str, float] | None:
    """Figures of one labelled set; None if its labels are too few for folds."""
    rng = np.random.default_rng([seed, n])
    articles = rng.permutation(rows["article"].unique())
    rank = pd.Series(np.arange(len(articles)), index=articles)
    shuffled = rows.iloc[rng.permutation(len(rows))]
    shuffled = shuffled.iloc[np.argsort(rank[shuffled["article"]].to_numpy(), kind="stable")]
    labelled = mixed(shuffled, n).sort_values("id", ignore_index=True)
    rest = mixed(shuffled[~shuffled["article"].isin(labelled["article"])], len(rows))
    split = params.split
    try:
        folds = make_folds(labelled, split.n_folds, split.repeats(len(labelled)), None, seed).table
    except TooFewLabels:
        return None
    data = Labelled(labelled, topics, folds)
    scores = cross_validate(data, fit, seed).scores
    model = fit_all(data, fit, seed)
    _, calibration = calibrated(data, scores, params)
    answers = apply_calibration(model.predict_proba(numbered(rest["text"])), calibration, MODE)
    true = targets_of(rest["topic"], topics.names)
    predicted = MODE.predicted(answers, calibration.thresholds)
    right = has_topic(predicted & true)
    sure = has_topic(predicted) & ((answers * predicted).sum(axis=1) >= calibration.sure)
    return {
        "sure": float(sure.mean()),
        "sure_right": float(right[sure].mean()) if sure.any() else np.nan,
        "coverage": float(has_topic(predicted).mean()),
        "right": float((predicted == true).all(axis=1).mean()),
    }


def main() -> None:
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", nargs="+", required=True, help="labels that mean: no topic")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, default=25, help="of each table and size")
    parser.add_argument("--cut", type=int, help="rows of made-up documents; default: the table's")
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    arguments = parser.parse_args()
    params, lines = Project().params, list[dict[str, Any]]()
    for pattern in arguments.data:
        table = read(pattern)
        rows = population(table)
        rows = without(rows, arguments.none)
        rows = mixed(rows.sample(frac=1, random_state=params.seed), MOST_ROWS)
        if arguments.cut:
            rows = in_documents(rows, arguments.cut, params.seed)
        kept = arguments.embeddings and arguments.embeddings / f"{table.name} with none.npz"
        learner = frozen(embeddings(list(rows["text"]), params, kept))
        topics = Topics("single", tuple(sorted(set(rows["label"]) - {""})))
        for n in arguments.sizes:
            draws = range(arguments.draws)
            found = [trial(rows, learner(topics), topics, n, seed, params) for seed in draws]
            line = {"data": table.name, "documents_of": arguments.cut, "n": n}
            lines.append(line | summary(found, params.calibrate.precision))
            print(f"{table.name}, {n} labels: done", flush=True)
    save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))


def summary(found: Sequence[dict[str, float] | None], promised: float) -> dict[str, Any]:
    """Figures of all labelled sets of a cell."""
    figures = pd.DataFrame([each for each in found if each])
    right = figures["sure_right"].dropna()
    return {
        "sets": len(figures),
        "some_sure": len(right),
        "kept": int((right >= promised).sum()),
        "lowest": right.min(),
    } | {key: figures[key].mean() for key in ("sure", "coverage", "right")}


if __name__ == "__main__":
    main()
