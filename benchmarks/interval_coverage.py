"""How often intervals hold the truth: those of single figures, and of the difference of two models.

Small labelled sets are drawn from big labelled tables. Two models are measured on the project's own
folds, with the project's intervals: regularised least squares on TF-IDF, and on a frozen encoder's
embeddings. The truth is the quality, on the rest of the table, of the models fitted on the whole
set. The rest is finite, and its own error counts against the intervals.

    python benchmarks/interval_coverage.py --data TABLE.parquet OTHER.parquet --leave-out other
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from record import made_with
from simulation import draw, is_held_out, least_squares, out_of_fold, stand_ins
from sklearn.metrics import accuracy_score, f1_score
from tables import RESULTS

from paratopic.corpus.folds import TooFewLabels, make_folds
from paratopic.evaluation.intervals import (
    Metric,
    difference,
    share_estimates,
    shares_of,
)
from paratopic.inference.scores import Features
from paratopic.project.files import write_json
from paratopic.project.params import Params, read_params

SIZES = (24, 100, 500)
PERMUTATIONS = 499
BOOTSTRAP = 400
TFIDF, ENCODER = "TF-IDF", "encoder"
WANTED = (0.92, 0.98)

# Low, high and true value of a figure.
Interval = tuple[float, float, float]


def trial(
    rows: pd.DataFrame, features: dict[str, Features], n: int, seed: int, params: Params
) -> Iterator[tuple[str, Interval]]:
    """Name of each figure of one labelled set, and its interval; nothing if labels are too few."""
    drawn = draw(rows, n, seed)
    labelled, split, level = drawn.labelled, params.split, params.evaluate.confidence
    ids = list(labelled["id"])
    try:
        folds = make_folds(labelled, split.n_folds, split.repeats(len(labelled)), None, seed).table
    except TooFewLabels:
        return
    labels = pd.factorize(labelled["label"], sort=True)[0].astype(np.int64)
    place = pd.Series(np.arange(len(rows)), index=rows["id"])
    inside, outside = place[ids].to_numpy(), place[drawn.rest["id"]].to_numpy()
    # The truth is that of the topics that are measured.
    measured = np.unique(labels[is_held_out(folds, ids)])
    known = np.isin(drawn.truth(), measured)
    true = drawn.truth()[known]
    outcomes, macro_f1 = {}, {}
    for name, vectors in features.items():
        outcomes[name] = out_of_fold(vectors[inside], labels, folds, ids)
        answers = least_squares(vectors[inside], vectors[outside], labels).argmax(axis=1)[known]
        macro_f1[name] = float(f1_score(true, answers, labels=measured, average="macro"))
        truth: dict[Metric, float] = {
            "macro_f1": macro_f1[name],
            "accuracy": float(accuracy_score(true, answers)),
        }
        every = shares_of(outcomes[name])
        shares = {key: share for key, share in every.items() if key in truth}
        for key, estimate in share_estimates(
            outcomes[name], shares, level, BOOTSTRAP, seed
        ).items():
            assert estimate.low is not None and estimate.high is not None
            yield f"{key} {name}", (estimate.low, estimate.high, truth[key])
    lead = difference(outcomes[ENCODER], outcomes[TFIDF], level, PERMUTATIONS, seed)
    yield "difference", (lead.low, lead.high, macro_f1[ENCODER] - macro_f1[TFIDF])


def lines_of(table: str, n: int, intervals: dict[str, list[Interval]]) -> list[dict[str, Any]]:
    """How often the intervals of each figure hold the truth."""
    lines: list[dict[str, Any]] = []
    for name, values in intervals.items():
        low, high, true = np.array(values).T
        lines.append(
            {
                "table": table,
                "n": n,
                "figure": name,
                "draws": len(values),
                "coverage": ((low <= true) & (true <= high)).mean(),
                "below": (true < low).mean(),
                "above": (true > high).mean(),
                "width": (high - low).mean(),
            }
        )
    return lines


def main() -> None:
    """Print a markdown table and write it as JSON and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, default=100, help="of each table and size")
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    arguments = parser.parse_args()
    params, started = read_params(), time.perf_counter()
    lines: list[dict[str, Any]] = []
    for pattern in arguments.data:
        table, rows, tfidf, vectors = stand_ins(
            pattern, arguments.leave_out, params, arguments.embeddings
        )
        features: dict[str, Features] = {TFIDF: tfidf, ENCODER: vectors}
        for n in arguments.sizes:
            intervals: dict[str, list[Interval]] = defaultdict(list)
            for seed in range(arguments.draws):
                for name, interval in trial(rows, features, n, seed, params):
                    intervals[name].append(interval)
            lines += lines_of(table, n, intervals)
            print(f"{table}, {n} labels: done", flush=True)
    print(markdown(lines))
    about = made_with(__file__, "scikit-learn", "numpy") | {
        "seconds": round(time.perf_counter() - started)
    }
    write_json(RESULTS / "interval_coverage.json", about | {"results": lines})
    picture(lines, RESULTS / "interval_coverage.png")


def markdown(lines: list[dict[str, Any]]) -> str:
    """The table that is printed: a line for each table and n, a column for each figure."""
    frame = pd.DataFrame(lines)
    names = list(frame["figure"].unique())
    out = [f"| table | n | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for (table, n), part in frame.groupby(["table", "n"], sort=False):
        coverage = part.set_index("figure")["coverage"]
        out.append(f"| {table} | {n} | {' | '.join(f'{coverage[name]:.2f}' for name in names)} |")
    return "\n".join(out)


def picture(lines: list[dict[str, Any]], path: Path) -> None:
    """Coverage of each figure by n, with 95 % binomial error bars; a panel a table."""
    frame = pd.DataFrame(lines)
    tables, names = frame["table"].unique(), list(frame["figure"].unique())
    figure, panels = plt.subplots(
        1, len(tables), figsize=(3 * len(tables) + 1.5, 3.4), layout="constrained", sharey=True
    )
    for axes, table in zip(np.atleast_1d(panels), tables, strict=True):
        part = frame[frame["table"] == table]
        sizes = sorted(part["n"].unique())
        axes.axhspan(*WANTED, color="0.9", label="92-98 %")
        for number, name in enumerate(names):
            of_figure = part[part["figure"] == name]
            share, draws = of_figure["coverage"], of_figure["draws"]
            axes.errorbar(
                [sizes.index(n) + 0.12 * (number - 2) for n in of_figure["n"]],
                share,
                1.96 * np.sqrt(share * (1 - share) / draws),
                fmt="o",
                capsize=2,
                label=name.replace("_f1", "-F1"),
            )
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        axes.set_ylim(0.75, 1.01)
        axes.set(xlabel="labelled paragraphs", title=table)
    np.atleast_1d(panels)[0].set_ylabel("truth within the interval")
    handles, labels = np.atleast_1d(panels)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
