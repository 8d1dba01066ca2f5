"""How often the forecast of what more labels bring holds what they bring.

Projects of n labels are drawn from big labelled tables. Each forecasts its macro-F1 with more
labels, as `paratopic forecast` does. Then it gets these labels; the truth is the macro-F1, on the
rest of the table, of the model that is fitted to all of them. The rest is finite, and its own error
counts against the intervals.

    python benchmarks/forecast.py --data BILLS AGNEWS_10K TREC --leave-out other
    python benchmarks/forecast.py --data BILLS AGNEWS_10K TREC --models transformer --draws 8
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import parser_of, rows_of, save
from simulation import (
    MOST_ROWS,
    Draw,
    Learner,
    calibrated,
    draw,
    embeddings,
    frozen,
    population,
    trained,
)
from sklearn.metrics import f1_score
from tables import markdown, read

from paratopic.baseline import fit as baseline
from paratopic.cli.forecast import CONFIDENCE, SHARES
from paratopic.corpus.folds import TooFewLabels, make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import targets_of
from paratopic.evaluation.estimates import Estimate
from paratopic.evaluation.forecast import CurvePoint, forecast
from paratopic.evaluation.outcomes import outcomes
from paratopic.project.params import Params, read_params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.crossval import cross_validate
from paratopic.training.examples import Examples, silent
from paratopic.transformer import fit as transformer

SIZES = (30, 60, 120, 250)
# Labels that are added, as a share of those that are there, but this many at least.
ADDED, LEAST = 0.5, 50
MOST_TESTED = 1500
BOOTSTRAP = 400
ENCODER = "frozen encoder"
KEY = ["data", "model"]
FIGURES = ["inside", "below", "above", "error", "width"]
# What is printed of each.
SHOWN = {name: f"{{{name}}}" for name in (*KEY, "projects")}
SHOWN |= {name: f"{{{name}:.3f}}" for name in FIGURES}


def project(rows: pd.DataFrame, n: int, seed: int) -> tuple[pd.DataFrame, Draw]:
    """n labelled paragraphs, and a draw of these and more."""
    later = draw(rows, n + max(LEAST, round(ADDED * n)), seed)
    now = draw(later.labelled, n, seed).labelled.assign(heading="")
    return now, replace(later, rest=later.rest.iloc[:MOST_TESTED])


def forecast_of(
    now: pd.DataFrame, size: int, topics: Topics, learner: Learner, params: Params, seed: int
) -> Estimate:
    """The forecast for `size` labels."""
    folds = make_folds(now, params.split.n_folds, 1, None, seed).table
    data, curve = Labelled(now, topics, folds), []
    for share in (*SHARES, 1.0):
        raw = cross_validate(data, learner(topics), seed, share=share).scores
        scores, _ = calibrated(data, raw, params)
        measured = outcomes(data, scores)
        curve.append(CurvePoint(share * measured.train_share * len(now), measured))
    measured = curve[-1].outcomes
    if measured.too_few:
        raise TooFewLabels(measured.too_few)
    (estimate,) = forecast(curve, measured, [size], CONFIDENCE, BOOTSTRAP, seed)
    return estimate


def truth_of(later: Draw, topics: Topics, learner: Learner, seed: int) -> float:
    """Macro-F1 on the rest of the table, with all labels, of topics that have two at least."""
    labelled, rest = later.labelled, later.rest
    articles = pd.factorize(labelled["article"])[0].astype(np.int64)
    targets = targets_of(labelled["topic"], topics.names)
    examples = Examples(numbered(labelled["text"]), targets, articles, articles)
    names = np.array(topics.names)[targets.sum(axis=0) >= 2]
    tested = rest[rest["label"].isin(names)]
    scores = learner(topics)(examples, seed, silent).predict_proba(numbered(tested["text"]))
    answers = np.array(topics.names)[scores.argmax(axis=1)]
    return float(f1_score(tested["label"], answers, labels=names, average="macro"))


def trials(
    table: str, rows: pd.DataFrame, learners: dict[str, Learner], n: int, seed: int, params: Params
) -> list[dict[str, Any]]:
    """A line for each model; none if the labels are too few for folds."""
    now, later = project(rows, n, seed)
    lines = []
    for name, learner in learners.items():
        topics = later.topics
        size = len(later.labelled)
        try:
            estimate = forecast_of(now, size, topics, learner, params, seed)
        except TooFewLabels:
            continue
        truth = truth_of(later, topics, learner, seed)
        figures = {"low": estimate.low, "value": estimate.value, "high": estimate.high}
        lines.append({"data": table, "model": name} | figures | {"truth": truth})
    return lines


def summary(trials: pd.DataFrame) -> list[dict[str, Any]]:
    """Shares of truths inside, below and above, mean error and width: by table and model."""
    trials = trials.assign(
        inside=(trials["low"] <= trials["truth"]) & (trials["truth"] <= trials["high"]),
        below=trials["truth"] < trials["low"],
        above=trials["truth"] > trials["high"],
        error=(trials["value"] - trials["truth"]).abs(),
        width=trials["high"] - trials["low"],
    )
    groups = trials.groupby(KEY, sort=False)
    means = groups[FIGURES].mean()
    means.insert(0, "projects", groups.size())
    return rows_of(means.reset_index())


def main() -> None:
    """Print a table and write it."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, default=25, help="of each table and size")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--models", nargs="+", default=["baseline", ENCODER])
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    arguments = parser.parse_args()
    params, lines = read_params(), list[dict[str, Any]]()
    for pattern in arguments.data:
        table = read(pattern)
        rows = population(table)
        rows = rows[~rows["label"].isin(arguments.leave_out)].reset_index(drop=True)
        n = min(len(rows), MOST_ROWS)
        rows = rows.sample(n, random_state=params.seed).reset_index(drop=True)
        learners: dict[str, Learner] = {}
        for name in arguments.models:
            if name == ENCODER:
                kept = arguments.embeddings and arguments.embeddings / f"{table.name}.npz"
                learners[name] = frozen(embeddings(list(rows["text"]), params, kept))
            else:
                room = {"baseline": baseline, "transformer": transformer}[name]
                learners[name] = trained(room, params.section(name))
        for n in arguments.sizes:
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.draws):
                lines += trials(table.name, rows, learners, n, seed, params)
            print(f"{table.name}, {n} labels: done", flush=True)
    found = summary(pd.DataFrame(lines))
    save(arguments.results, found, KEY, __file__)
    print(markdown(found, SHOWN))


if __name__ == "__main__":
    main()
