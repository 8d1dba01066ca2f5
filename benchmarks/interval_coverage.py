"""How often intervals hold the truth.

Small labelled sets are drawn from a big labelled table; the project's own folds, out-of-fold
scores and intervals are computed on each, and compared with the quality, on the rest of the table,
of the model that ships: the one fitted on all labels of the set. The rest is finite, and its own
error counts against the intervals: with 500 of 2,400 rows drawn it adds a quarter to the variance.

    python benchmarks/interval_coverage.py TABLE.parquet --leave-out other
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from simulation import Learner, cross_validated, draw, embeddings, frozen, population, trained
from sklearn.metrics import accuracy_score, f1_score
from tables import RESULTS, machine, read

from paratopic.baseline import fit as baseline
from paratopic.evaluation.intervals import estimates
from paratopic.evaluation.outcomes import Outcomes
from paratopic.project.files import write_json
from paratopic.project.params import Params, read_params

METRICS = ("macro_f1", "accuracy")
SIZES = (24, 100, 500)
DRAWS = (400, 400, 100)
WANTED = (0.92, 0.98)

# Out-of-fold outcomes of a labelled set, and the true value of each metric.
Trial = tuple[Outcomes, dict[str, float]]


def trials(
    rows: pd.DataFrame, learner: Learner, params: Params, n: int, n_draws: int
) -> Iterator[Trial]:
    """Labelled sets of n rows: what cross-validation saw, and the truth."""
    for seed in range(n_draws):
        drawn = draw(rows, n, seed)
        model, found = cross_validated(drawn, learner, params, seed)
        answers = model.predict_proba(list(drawn.rest["text"])).argmax(axis=1)
        truth = drawn.truth()
        yield (
            found,
            {
                "macro_f1": float(f1_score(truth, answers, average="macro")),
                "accuracy": float(accuracy_score(truth, answers)),
            },
        )


def coverage(trials: Iterable[Trial], params: Params, n: int) -> list[dict[str, Any]]:
    """How often the interval of each metric holds the truth."""
    found = defaultdict(list)
    for seed, (outcomes, truth) in enumerate(trials):
        settings = params.evaluate
        estimated = estimates(outcomes, settings.confidence, settings.n_draws, seed)
        for name in METRICS:
            estimate = estimated[name]
            found[name].append([estimate.value, estimate.low, estimate.high, truth[name]])
    lines: list[dict[str, Any]] = []
    for name, values in found.items():
        value, low, high, true = np.array(values).T
        lines.append(
            {
                "n": n,
                "metric": name,
                "draws": len(values),
                "coverage": ((low <= true) & (true <= high)).mean(),
                "below": (true < low).mean(),
                "above": (true > high).mean(),
                "width": (high - low).mean(),
                "estimate": value.mean(),
                "truth": true.mean(),
            }
        )
    return lines


def main() -> None:
    """Print a markdown table and write it as JSON and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("table", help="parquet with text, label and, optionally, group")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--model", choices=("frozen", "baseline"), default="frozen")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, nargs="+", default=DRAWS, help="of each size")
    parser.add_argument("--embeddings", type=Path, help="npz to keep the embeddings in")
    arguments = parser.parse_args()

    params = read_params()
    table = read(arguments.table, arguments.leave_out)
    rows = population(table)
    if arguments.model == "frozen":
        learner = frozen(embeddings(list(rows["text"]), params, arguments.embeddings))
    else:
        learner = trained(baseline, params.baseline)
    started = time.perf_counter()
    lines = []
    for n, n_draws in zip(arguments.sizes, arguments.draws, strict=True):
        lines += coverage(trials(rows, learner, params, n, n_draws), params, n)
    print(markdown(lines))
    stem = table.name.replace(" ", "_")
    path = RESULTS / f"interval_coverage_{arguments.model}_{stem}.json"
    write_json(
        path,
        {
            "table": table.name,
            "rows": len(rows),
            "model": arguments.model,
            "seconds": round(time.perf_counter() - started),
            **machine("scikit-learn", "numpy"),
            "results": lines,
        },
    )
    picture(lines, f"{arguments.model} model on {table.name}", path.with_suffix(".png"))


def markdown(lines: list[dict[str, Any]]) -> str:
    """The table that is printed; truth outside the interval is below or above it."""
    out = [
        "| n | metric | draws | coverage | below | above | width | mean estimate | mean truth |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        figures = ("coverage", "below", "above", "width", "estimate", "truth")
        cells = " | ".join(f"{line[name]:.3f}" for name in figures)
        out.append(f"| {line['n']} | {line['metric']} | {line['draws']} | {cells} |")
    return "\n".join(out)


def picture(lines: list[dict[str, Any]], title: str, path: Path) -> None:
    """Coverage by n, with 95 % binomial error bars."""
    figure, axes = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
    axes.axhspan(*WANTED, color="0.9", label="92-98 %")
    axes.axhline(0.95, color="0.5", linewidth=0.8)
    sizes = sorted({line["n"] for line in lines})
    for number, name in enumerate(METRICS):
        part = [line for line in lines if line["metric"] == name]
        share = np.array([line["coverage"] for line in part])
        draws = np.array([line["draws"] for line in part])
        axes.errorbar(
            [sizes.index(line["n"]) + 0.1 * number - 0.05 for line in part],
            share,
            1.96 * np.sqrt(share * (1 - share) / draws),
            fmt="o",
            capsize=3,
            label=name.replace("_f1", "-F1"),
        )
    axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_xlabel("labelled paragraphs")
    axes.set_ylabel("truth within the interval")
    axes.set_title(title, fontsize=9)
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
