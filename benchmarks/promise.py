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

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import made_with
from simulation import calibrated, embeddings, frozen, population, without
from tables import RESULTS, read

from paratopic.corpus.folds import TooFewLabels, make_folds
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import targets_of
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import topical
from paratopic.project.files import write_json
from paratopic.project.params import Params, read_params
from paratopic.project.topics import Topics
from paratopic.training.calibration import apply_calibration
from paratopic.training.crossval import cross_validate, fit_all
from paratopic.training.examples import Fit

SIZES = (25, 60, 150, 500)
NONE_SHARE = 0.16  # of the rows that are drawn, and of those that are answered
MOST_ROWS = 3000  # with a topic, of a table
MODE = mode_of("single")


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
    answers = apply_calibration(model.predict_proba(list(rest["text"])), calibration, MODE)
    true = targets_of(rest["topic"], topics.names)
    predicted = MODE.predicted(answers, calibration.thresholds)
    right = topical(predicted & true)
    sure = topical(predicted) & ((answers * predicted).sum(axis=1) >= calibration.sure)
    return {
        "sure": float(sure.mean()),
        "sure_right": float(right[sure].mean()) if sure.any() else np.nan,
        "coverage": float(topical(predicted).mean()),
        "right": float((predicted == true).all(axis=1).mean()),
    }


def main() -> None:
    """Print a markdown table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--none", nargs="+", required=True, help="labels that mean: no topic")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, default=25, help="of each table and size")
    parser.add_argument("--cut", type=int, help="rows of made-up documents; default: the table's")
    parser.add_argument("--results", type=Path, default=RESULTS / "promise.json")
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    arguments = parser.parse_args()
    params, started = read_params(), time.perf_counter()
    lines: list[dict[str, Any]] = []
    print(
        "| table | n | sets | with any sure | of these kept | lowest | sure | predicted "
        "| right, None included |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
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
            results = [
                trial(rows, learner(topics), topics, n, seed, params)
                for seed in range(arguments.draws)
            ]
            figures = pd.DataFrame([figures for figures in results if figures])
            right = figures["sure_right"].dropna()
            line: dict[str, Any] = {
                "table": table.name,
                "n": n,
                "documents of": arguments.cut,
                "sets": len(figures),
                "some_sure": len(right),
                "kept": int((right >= params.calibrate.precision).sum()),
                "lowest": float(right.min()) if len(right) else None,
            }
            line |= {str(key): float(figures[key].mean()) for key in ("sure", "coverage", "right")}
            lines.append(line)
            cells = [str(line[key]) for key in ("sets", "some_sure", "kept")]
            cells.append(f"{line['lowest']:.1%}" if len(right) else "–")
            cells += [f"{line[key]:.0%}" for key in ("sure", "coverage", "right")]
            print(f"| {table.name} | {n} | {' | '.join(cells)} |", flush=True)
    about = made_with(__file__, "scikit-learn", "numpy") | {"precision": params.calibrate.precision}
    about |= {"confidence": params.evaluate.confidence}
    seconds = round(time.perf_counter() - started)
    write_json(arguments.results, about | {"seconds": seconds, "results": lines})


if __name__ == "__main__":
    main()
