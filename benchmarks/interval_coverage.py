"""How often intervals hold the truth: of single figures, and of the difference of models.

Small labelled sets are drawn from big labelled tables. Two models are measured on the project's own
folds, with the project's intervals: regularised least squares on TF-IDF, and on a frozen encoder's
embeddings. The truth is the quality, on the rest of the table, of the models fitted on the whole
set. With `--groups`, whole articles are drawn, and some rows of each. The rest is finite, and its
own error counts against the intervals: where most articles of a table are drawn, it is larger than
theirs. With `--cut`, parts of articles are drawn instead, which are many.

A cell that the file of results has is not repeated.

    python benchmarks/interval_coverage.py --data TABLE.parquet OTHER.parquet --leave-out other
    python benchmarks/interval_coverage.py --data SENTENCES.parquet --groups 4 6 12 20
    python benchmarks/interval_coverage.py --data SENTENCES.parquet --groups 4 6 12 20 --cut 25
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from record import done, parser_of, rows_of, save, saved
from simulation import is_held_out, least_squares, out_of_fold, products, stand_ins
from tables import markdown, read

from paratopic.corpus.folds import TooFewLabels, make_folds
from paratopic.evaluation.intervals import difference, proportion_estimates
from paratopic.evaluation.metrics import MetricKey, Proportion, f1, topic_proportions
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.modes import Array, Integers, Targets
from paratopic.project.folder import Project
from paratopic.project.params import Params

SIZES = (24, 100, 500)
GROUP_ROWS = 25
PERMUTATIONS = 499
BOOTSTRAP = 400
TFIDF, ENCODER = "TF-IDF", "encoder"
DIFFERENCE = "difference"
WANTED = (0.93, 0.98)
KEY = ["data", "of", "n", "figure"]

# Low and high end of a figure's interval.
Interval = tuple[float, float]


class Population(NamedTuple):
    """Rows of a table, their articles and classes by number, and products of features by model."""

    rows: pd.DataFrame
    article: Integers
    label: Integers
    each: dict[str, Array]

    @classmethod
    def of(cls, rows: pd.DataFrame, each: dict[str, Array]) -> Population:
        """Number articles in order of appearance, and classes in order of their names."""
        article = pd.factorize(rows["article"])[0].astype(np.int64)
        return cls(rows, article, pd.factorize(rows["label"], sort=True)[0].astype(np.int64), each)


class Labelled(NamedTuple):
    """A labelled set whose models were measured.

    Attributes
    ----------
    outcomes
        Out-of-fold outcomes of each model.
    measured
        (k,) whether each class of the table can be measured.
    answered
        (k, k) of each model: number of rows of the rest by true class and answer.
    """

    outcomes: dict[str, Outcomes]
    measured: Targets
    answered: dict[str, Array]


def drawn(known: Population, n: int, group_rows: int | None, seed: int) -> Integers:
    """Positions of a labelled set: n rows, or so many rows of each of n articles."""
    rng = np.random.default_rng([seed, n])
    rank = rng.permutation(known.article.max() + 1)[known.article]
    order = rng.permutation(len(rank))
    order = order[np.argsort(rank[order], kind="stable")]
    if group_rows is None:
        return np.sort(order[:n])
    order = order[pd.Series(rank[order]).groupby(rank[order]).cumcount().to_numpy() < group_rows]
    return np.sort(order[rank[order] < n])


def measure(known: Population, inside: Integers, params: Params, seed: int) -> Labelled:
    """Measure both models on a labelled set, and count their answers to the rest.

    Raises
    ------
    TooFewLabels
        The labels are too few for folds.
    """
    rows, split = known.rows.iloc[inside], params.split
    folds = make_folds(rows, split.n_folds, split.repeats(len(rows)), None, seed).table
    names, labels = np.unique(known.label[inside], return_inverse=True)
    ids, k = list(rows["id"]), int(known.label.max()) + 1
    measured = np.isin(np.arange(k), names[labels[is_held_out(folds, ids)]])
    outcomes = {
        name: out_of_fold(each[np.ix_(inside, inside)], labels, folds, ids)
        for name, each in known.each.items()
    }
    answered = {name: answers_of(known, name, inside, measured) for name in known.each}
    return Labelled(outcomes, measured, answered)


def answers_of(known: Population, name: str, inside: Integers, measured: Targets) -> Array:
    """Number of rows of the rest, of classes that are measured, by true class and answer, (k, k).

    The answers are those of a model that is fitted on the rows inside.
    """
    outside = ~np.isin(known.article, known.article[inside]) & measured[known.label]
    names, labels = np.unique(known.label[inside], return_inverse=True)
    each, tested = known.each[name], np.flatnonzero(outside)
    scores = least_squares(each[np.ix_(inside, inside)], each[np.ix_(tested, inside)], labels)
    counts = np.zeros((len(measured), len(measured)))
    np.add.at(counts, (known.label[tested], names[scores.argmax(axis=1)]), 1)
    return counts


def quality(counts: Array, measured: Targets) -> dict[str, float]:
    """Macro-F1 and accuracy, of numbers of rows by true class and answer, (k, k)."""
    hit, predicted, true = np.diagonal(counts), counts.sum(axis=0), counts.sum(axis=1)
    each = f1(hit, predicted, true)[measured]
    return {"macro_f1": float(each.mean()), "accuracy": float(hit.sum() / counts.sum())}


def trial(
    known: Population, inside: Integers, params: Params, seed: int
) -> tuple[dict[str, Interval], dict[str, float]]:
    """Intervals of each figure from one labelled set, and the true figures.

    The classes of the table are the codebook. Macro-F1 has an interval where the project
    gives one.

    Raises
    ------
    TooFewLabels
        The labels are too few for folds.
    """
    level, measured = params.evaluate.confidence, measure(known, inside, params, seed)
    intervals, truth = {}, {}
    for name, outcomes in measured.outcomes.items():
        is_given = measured.measured.all() and not outcomes.too_few
        true = quality(measured.answered[name], measured.measured)
        shares: dict[MetricKey, Proportion] = {
            key: share for key, share in topic_proportions(outcomes).items() if key in true
        }
        estimates = proportion_estimates(outcomes, shares, level, BOOTSTRAP, seed)
        for key, estimate in estimates.items():
            assert estimate.low is not None and estimate.high is not None
            truth[f"{key} {name}"] = true[str(key)]
            if key != "macro_f1" or is_given:
                intervals[f"{key} {name}"] = estimate.low, estimate.high
    encoder, tfidf = (measured.outcomes[name] for name in (ENCODER, TFIDF))
    lead = difference(encoder, tfidf, level, PERMUTATIONS, seed)
    intervals[DIFFERENCE] = lead.low, lead.high
    truth[DIFFERENCE] = truth[f"macro_f1 {ENCODER}"] - truth[f"macro_f1 {TFIDF}"]
    return intervals, truth


def lines_of(
    about: dict[str, Any], trials: Sequence[tuple[dict[str, Interval], dict[str, float]]]
) -> list[dict[str, Any]]:
    """How often the intervals of each figure hold the truth, and how wide they are."""
    lines = []
    for name in dict.fromkeys(name for intervals, _ in trials for name in intervals):
        given = [(*each[name], truth[name]) for each, truth in trials if name in each]
        low, high, true = np.array(given).T
        inside = (low <= true) & (true <= high)
        # Of n draws that all hold, the error is that of one more, which does not.
        share = (inside.sum() + 0.5) / (len(given) + 1)
        lines.append(
            about
            | {
                "figure": name,
                "draws": len(given),
                "of_draws": len(trials),
                "coverage": inside.mean(),
                "error": np.sqrt(share * (1 - share) / len(given)),
                "below": (true < low).mean(),
                "above": (true > high).mean(),
                "width": (high - low).mean(),
            }
        )
    return lines


def options() -> argparse.Namespace:
    """The options of the command."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", nargs="+", required=True, help="parquet files with text, label")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--label", default="label", help="column with the classes")
    parser.add_argument("--classes", type=int, help="of a column of lists: the most frequent ones")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    parser.add_argument("--groups", type=int, nargs="+", help="numbers of groups, not of labels")
    parser.add_argument("--group-rows", type=int, default=GROUP_ROWS, help="labels of each group")
    parser.add_argument("--cut", type=int, help="rows of a part that is taken for an article")
    parser.add_argument("--draws", type=int, default=100, help="of each table and size")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    return parser.parse_args()


def main() -> None:
    """Print a table of all that the file of results has; write it and a picture."""
    arguments = options()
    params, have = Project().params, done(arguments, KEY[:-1])
    group_rows = arguments.group_rows if arguments.groups else None
    of = "articles" if arguments.groups else "texts"
    of = f"parts of {arguments.cut}" if arguments.cut else of
    for pattern in arguments.data:
        table = read(pattern, arguments.leave_out, arguments.label, arguments.classes)
        sizes = [n for n in arguments.groups or arguments.sizes if (table.name, of, n) not in have]
        if not sizes:
            continue
        rows, tfidf, vectors = stand_ins(
            table, params, arguments.embeddings, bool(arguments.groups)
        )
        if arguments.cut:
            part = rows.groupby("article").cumcount() // arguments.cut
            rows["article"] += "/" + part.astype(str)
        known = Population.of(rows, {ENCODER: products(vectors), TFIDF: products(tfidf)})
        for n in sizes:
            started, trials = time.perf_counter(), []
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.draws):
                inside = drawn(known, n, group_rows, seed)
                with suppress(TooFewLabels):
                    trials.append(trial(known, inside, params, seed))
            about = {"data": table.name, "of": of, "n": n}
            save(arguments.results, lines_of(about, trials), KEY, __file__)
            seconds = time.perf_counter() - started
            print(f"{table.name}, {n} {of}: {len(trials)} draws in {seconds:.0f} s", flush=True)
    lines = pd.DataFrame(saved(arguments.results))
    print(markdown(told(lines)))
    picture(lines, arguments.results.with_suffix(".png"))


def told(lines: pd.DataFrame) -> list[dict[str, str]]:
    """Coverage ± its error, and width, of each figure: a line for each table and number."""
    names, out = list(lines["figure"].unique()), []
    for (table, of, n), part in lines.groupby(KEY[:-1], sort=False):
        out.append({"table": str(table), "n": f"{n} {of}"} | dict.fromkeys(names, "none given"))
        for row in rows_of(part):
            cell = f"{100 * row['coverage']:.0f} ± {100 * row['error']:.0f}, {row['width']:.2f}"
            some = row["draws"] < row.get("of_draws", row["draws"])
            out[-1][row["figure"]] = cell + f" (given in {row['draws']})" * some
    return out


def picture(frame: pd.DataFrame, path: Path) -> None:
    """Coverage of each figure by n, with error bars of two standard errors; a panel a table."""
    frame["panel"] = frame["data"] + ", " + frame["of"]
    tables, names = frame["panel"].unique(), list(frame["figure"].unique())
    lowest = float((frame["coverage"] - 2 * frame["error"]).min())
    figure, panels = plt.subplots(
        1, len(tables), figsize=(3 * len(tables) + 1.5, 3.4), layout="constrained", sharey=True
    )
    for axes, table in zip(np.atleast_1d(panels), tables, strict=True):
        part = frame[frame["panel"] == table]
        sizes = sorted(part["n"].unique())
        axes.axhspan(*WANTED, color="0.9", label="93-98 %")
        for number, name in enumerate(names):
            of_figure = part[part["figure"] == name]
            axes.errorbar(
                [sizes.index(n) + 0.09 * (number - 3) for n in of_figure["n"]],
                of_figure["coverage"],
                2 * of_figure["error"],
                fmt="o",
                capsize=2,
                label=name.replace("_f1", "-F1"),
            )
        axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
        axes.set_ylim(min(0.6, lowest - 0.02), 1.01)
        axes.set(xlabel="labelled", title=table)
    np.atleast_1d(panels)[0].set_ylabel("truth within the interval")
    handles, labels = np.atleast_1d(panels)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
