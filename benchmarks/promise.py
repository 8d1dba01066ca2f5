"""Whether the promise about sure predictions is kept, and how much is predicted at all.

Small labelled sets are drawn from big labelled tables, with some rows that have none of the topics.
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
from simulation import calibrated, embeddings, frozen, population, without
from tables import RESULTS, machine, read

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


def trial(
    rows: pd.DataFrame, fit: Fit, topics: Topics, n: int, seed: int, params: Params
) -> dict[str, float] | None:
    """Figures of one labelled set; None if its labels are too few for folds."""
    rng = np.random.default_rng([seed, n])
    shuffled = rows.iloc[rng.permutation(len(rows))]
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
    true = targets_of(rest, topics.names)
    predicted = MODE.predicted(answers, ())
    right = topical(predicted & true)
    sure = topical(predicted) & (answers.max(axis=1) >= calibration.thresholds[0])
    return {
        "sure": float(sure.mean()),
        "sure_right": float(right[sure].mean()) if sure.any() else 1.0,
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
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    arguments = parser.parse_args()
    params, started = read_params(), time.perf_counter()
    lines: list[dict[str, Any]] = []
    print(
        "| table | n | sets | some sure | promise kept | sure | predicted | right, None included |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for pattern in arguments.data:
        table = read(pattern)
        rows = population(table)
        rows = without(rows, arguments.none)
        rows = mixed(rows.sample(frac=1, random_state=params.seed), MOST_ROWS)
        kept = arguments.embeddings and arguments.embeddings / f"{table.name} with none.npz"
        learner = frozen(embeddings(list(rows["text"]), params, kept))
        topics = Topics("single", tuple(sorted(set(rows["label"]) - {""})))
        for n in arguments.sizes:
            results = [
                trial(rows, learner(topics), topics, n, seed, params)
                for seed in range(arguments.draws)
            ]
            figures = pd.DataFrame([figures for figures in results if figures])
            line: dict[str, Any] = {
                "table": table.name,
                "n": n,
                "sets": len(figures),
                "some_sure": float((figures["sure"] > 0).mean()),
                "kept": float((figures["sure_right"] >= params.calibrate.precision).mean()),
            }
            line |= {str(key): float(figures[key].mean()) for key in ("sure", "coverage", "right")}
            lines.append(line)
            cells = [f"{line[k]:.0%}" for k in ("some_sure", "kept", "sure", "coverage", "right")]
            print(f"| {table.name} | {n} | {len(figures)} | {' | '.join(cells)} |", flush=True)
    about = machine("scikit-learn", "numpy") | {"precision": params.calibrate.precision}
    about |= {"confidence": params.evaluate.confidence}
    seconds = round(time.perf_counter() - started)
    write_json(RESULTS / "promise.json", about | {"seconds": seconds, "results": lines})


if __name__ == "__main__":
    main()
