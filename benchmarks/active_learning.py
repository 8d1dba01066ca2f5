"""How many labels suggestions save: learning curves of suggested against random order.

From a few labels of each class, a batch at a time is labelled with the truth, and the transformer
is tuned anew, saved and opened. It answers rows that are never labelled. A curve that the file of
results already has is not repeated.

    python benchmarks/active_learning.py --data BILLS.parquet 'AGNEWS_*.parquet' --seeds 3
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from record import done, only, parser_of, save, saved
from sklearn.metrics import f1_score
from tables import Table, markdown, read

from paratopic import load
from paratopic.annotation.suggestion import choose
from paratopic.inference.model import Model
from paratopic.inference.modes import (
    Array,
    Calibration,
    Features,
    Scores,
    Targets,
    mode_of,
    one_hot,
)
from paratopic.project.folder import Project
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples, silent
from paratopic.transformer import fit as transformer

SHOTS = 4  # labels of each class at the start
KEY = ["data", "seed", "labels", "order"]
Integers = npt.NDArray[np.int64]
# Features of rows by their numbers, (n, d).
Embed = Callable[[Integers], Features]
# Rows to label next, of those whose scores and features are given; how many; a seed.
Order = Callable[[Scores, Embed, int, int], Integers]


def at_random(scores: Scores, embed: Embed, n: int, seed: int) -> Integers:
    """Whatever comes."""
    return np.random.default_rng(seed).permutation(len(scores))[:n]


def suggested(scores: Scores, embed: Embed, n: int, seed: int) -> Integers:
    """What `paratopic suggest` picks."""
    return choose(mode_of("single").uncertainty(scores), embed, n, seed)


def uncertain(scores: Scores, embed: Embed, n: int, seed: int) -> Integers:
    """The smallest margins, however alike."""
    highest = np.sort(scores, axis=1)
    return np.argsort(highest[:, -1] - highest[:, -2], kind="stable")[:n]


ORDERS: dict[str, Order] = {"random": at_random, "suggested": suggested, "uncertain": uncertain}


@dataclass(frozen=True)
class Drawn:
    """Rows that can be labelled, and rows to test on."""

    pool: pd.DataFrame
    test: pd.DataFrame


def draw(table: Table, seed: int, pool_rows: int, test_rows: int) -> Drawn:
    """Draw a pool and tests of the table's own distribution; no group is in both."""
    rng = np.random.default_rng([seed, 77])
    rows = table.rows.drop_duplicates("text")
    rows = rows.iloc[rng.permutation(len(rows))]
    pool = rows[rows["split"] != "test"][:pool_rows]
    if (rows["split"] == "test").any():
        rest = rows[rows["split"] == "test"]
    else:
        rest = rows[~rows.index.isin(pool.index) & ~rows["group"].isin(pool["group"])]
    return Drawn(pool.reset_index(drop=True), rest[:test_rows])


def model_of(texts: Array, truth: Targets, topics: Topics, seed: int, folder: Path) -> Model:
    """The transformer that learnt from these texts alone, as stage train saves it in a folder."""
    alone = np.arange(len(texts))
    examples = Examples(numbered(texts), truth, alone, alone)
    settings = Project().params.section("transformer")
    transformer.fit(examples, topics, settings, seed, silent).save(folder, Calibration())
    return load(folder)


def curve(
    drawn: Drawn, order: Order, budget: int, batch: int, seed: int, folder: Path
) -> list[tuple[int, float]]:
    """Labels and macro-F1, from the first labels to the whole budget; models go into the folder."""
    names = tuple(sorted(set(drawn.pool["label"])))
    texts = drawn.pool["text"].to_numpy(dtype=object)
    truth = one_hot(np.array([names.index(n) for n in drawn.pool["label"]]), len(names))
    tests = list(drawn.test["text"])
    place = drawn.pool.groupby("label").cumcount().to_numpy()
    labelled = list(np.flatnonzero(place < SHOTS))
    points = []
    while True:
        learnt, n = (texts[labelled], truth[labelled]), len(labelled)
        model = model_of(*learnt, Topics("single", names), seed, folder / str(n))
        answers = [names[row] for row in model.predict_proba(tests).argmax(axis=1)]
        points.append((n, float(f1_score(drawn.test["label"], answers, average="macro"))))
        if n >= budget:
            return points
        rest = np.setdiff1d(np.arange(len(texts)), labelled)
        unlabelled = list(texts[rest])

        def embed(rows: Integers, model: Model = model, texts: list[str] = unlabelled) -> Features:
            return model.embed([texts[row] for row in rows])

        wanted, draw_seed = min(batch, budget - n), seed * 1000 + n
        labelled += list(rest[order(model.predict_proba(unlabelled), embed, wanted, draw_seed)])


def summary(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """A line for each table and order: what it takes to reach what all labels at random reach."""
    lines: list[dict[str, Any]] = []
    for name, part in runs.groupby("data", sort=False):
        of_order = part.groupby(["order", "labels"], sort=False)["macro_f1"]
        means, spread = of_order.mean().unstack("order"), of_order.sem().unstack("order")
        budget, target = int(means.index[-1]), means["random"].iloc[-1]
        for order in means.columns:
            reached = means.index[means[order] >= target - 1e-12]
            labels = int(reached[0]) if len(reached) else None
            line: dict[str, Any] = {"data": name, "order": order}
            line["labels to reach random's"] = labels or "–"
            line["saved"] = "–" if labels is None else f"{1 - labels / budget:.0%}"
            f1, error = means[order].iloc[-1], spread[order].iloc[-1]
            lines.append(line | {"macro-F1 at the end": f"{f1:.3f} ± {error:.3f}"})
    return lines


def picture(runs: pd.DataFrame, path: Path) -> None:
    """Learning curves with standard errors, one panel a table."""
    names = list(dict.fromkeys(runs["data"]))
    figure, axes = plt.subplots(1, len(names), figsize=(4.6 * len(names), 3.8), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        part = runs[runs["data"] == name]
        for number, order in enumerate(dict.fromkeys(part["order"])):
            values = part[part["order"] == order].groupby("labels")["macro_f1"]
            mean, error = values.mean(), values.sem().fillna(0)
            axis.plot(mean.index, mean, label=order, color=f"C{number}")
            axis.fill_between(mean.index, mean - error, mean + error, alpha=0.2, color=f"C{number}")
        random = part[part["order"] == "random"].groupby("labels")["macro_f1"].mean()
        axis.axhline(random.iloc[-1], color="grey", linestyle=":")
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("labels")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("macro-F1, mean ± standard error")
    axes[0][0].legend(fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Print a table; write every point and the learning curves as a picture."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files; a glob is one")
    parser.add_argument("--orders", nargs="+", default=list(ORDERS), choices=list(ORDERS))
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=200, help="labels, the first ones included")
    parser.add_argument("--batch", type=int, default=46, help="labels between two trainings")
    parser.add_argument("--pool-rows", type=int, default=1500)
    parser.add_argument("--test-rows", type=int, default=1500)
    arguments = parser.parse_args()

    have = {(data, seed, order) for data, seed, _, order in done(arguments, KEY)}
    tables = [read(pattern) for pattern in arguments.data]
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for seed in seeds:
        for table in tables:
            drawn = draw(table, seed, arguments.pool_rows, arguments.test_rows)
            for order in arguments.orders:
                if (table.name, seed, order) in have:
                    continue
                with tempfile.TemporaryDirectory() as name:
                    sizes = arguments.budget, arguments.batch
                    points = curve(drawn, ORDERS[order], *sizes, seed, Path(name))
                runs = [
                    {"data": table.name, "seed": seed, "labels": n, "order": order, "macro_f1": f1}
                    for n, f1 in points
                ]
                save(arguments.results, runs, KEY, __file__)
                print(f"{table.name} {seed} {order}: {points[-1][1]:.3f}", flush=True)
    names = [table.name for table in tables]
    every = only(pd.DataFrame(saved(arguments.results)), data=names, seed=seeds)
    picture(every, arguments.results.with_suffix(".png"))
    print(markdown(summary(every)))


if __name__ == "__main__":
    main()
