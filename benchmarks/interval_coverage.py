"""How often intervals hold the truth.

Small labelled sets are drawn from a big labelled table; the project's own folds, out-of-fold
scores and intervals are computed on each with the baseline, and compared with the quality, on the
rest of the table, of the model that ships: the one fitted on all labels of the set.

    python benchmarks/interval_coverage.py TABLE --sizes 24 100 --draws 100
"""

from __future__ import annotations

import argparse
import json
import platform
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn

from paratopic import baseline, metrics
from paratopic.params import Params, read_params
from paratopic.splits import make_folds
from paratopic.statistics import estimates, outcomes
from paratopic.topics import Topics
from paratopic.training import train

METRICS = ("macro_f1", "accuracy")
RESULTS = Path("benchmarks/results")


def one_draw(table: pd.DataFrame, params: Params, n: int, seed: int) -> dict[str, list[float]]:
    """Estimate, interval and truth of each metric for one random labelled set of n rows."""
    rng = np.random.default_rng([seed, n])
    groups = rng.permutation(table["article"].unique())
    rank = pd.Series(np.arange(len(groups)), index=groups)
    shuffled = table.assign(rank=table["article"].map(rank)).sort_values("rank", kind="stable")
    drawn = shuffled.iloc[:n].sort_values("id", ignore_index=True)
    rest = shuffled.iloc[n:]
    rest = rest[~rest["article"].isin(drawn["article"]) & rest["topic"].isin(set(drawn["topic"]))]
    topics = Topics("single", tuple(sorted(set(drawn["topic"]))))
    split = params.split
    folds = make_folds(drawn, split.n_folds, split.n_repeats, None, seed)
    model, scores, _ = train(
        drawn,
        topics.names,
        folds.table,
        lambda examples, own, advance: baseline.fit(
            examples, topics, params.baseline, own, advance
        ),
        seed,
        lambda done: None,
    )
    _, found = outcomes(drawn, folds.table, scores, topics.names)
    estimated = estimates(found, params.evaluate.confidence, params.evaluate.n_draws, seed)
    true = np.array([topics.index(topic) for topic in rest["topic"]])
    matrix = metrics.confusion(
        true, model.predict_proba(list(rest["text"])).argmax(axis=1), len(topics.names)
    )
    present = np.ones(len(topics.names), dtype=bool)
    truth = {
        "macro_f1": float(metrics.macro_f1(matrix, present)),
        "accuracy": float(metrics.accuracy(matrix)),
    }
    return {
        name: [estimated[name].value, estimated[name].low, estimated[name].high, truth[name]]
        for name in METRICS
    }


def main() -> None:
    """Print a markdown table and write it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path, help="parquet with text, label and optional group")
    parser.add_argument("--sizes", type=int, nargs="+", default=[24, 100, 500])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--leave-out", nargs="*", default=["other"], help="labels to leave out")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()

    table = pd.read_parquet(arguments.table)
    table = table[~table["label"].isin(arguments.leave_out)].reset_index(drop=True)
    ids = [f"row {number}" for number in range(len(table))]
    articles = table["group"].astype(str) if "group" in table else pd.Series(ids)
    table = pd.DataFrame(
        {
            "id": ids,
            "article": articles,
            "text": table["text"],
            "topic": table["label"].astype(str),
            "label_source": "hand",
        }
    )
    params = read_params()
    report: dict[str, object] = {
        "table": arguments.table.name,
        "rows": len(table),
        "draws": arguments.draws,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
    }
    print("| n | metric | coverage | mean width | mean estimate | mean truth |")
    print("|---|---|---|---|---|---|")
    with ProcessPoolExecutor(arguments.processes) as pool:
        for n in arguments.sizes:
            found: dict[str, list[list[float]]] = defaultdict(list)
            for result in pool.map(partial(one_draw, table, params, n), range(arguments.draws)):
                for name, values in result.items():
                    found[name].append(values)
            for name, rows in found.items():
                value, low, high, truth = np.array(rows).T
                line = {
                    "coverage": float(((low <= truth) & (truth <= high)).mean()),
                    "below": float((truth < low).mean()),
                    "above": float((truth > high).mean()),
                    "width": float((high - low).mean()),
                    "estimate": float(value.mean()),
                    "truth": float(truth.mean()),
                }
                report[f"{n} {name}"] = line
                print(
                    f"| {n} | {name} | {line['coverage']:.3f} | {line['width']:.3f} | "
                    f"{line['estimate']:.3f} | {line['truth']:.3f} |",
                    flush=True,
                )
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"interval_coverage_{arguments.table.stem}.json"
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
