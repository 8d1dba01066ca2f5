"""How often the paired test finds a difference: where there is none, and where there is one.

Small labelled sets are drawn from a big labelled table. Two models read each text's frozen
embedding through noise of their own, always the same for the same text: of equal strength, so that
neither is better, or of less strength for the second model. Both are regularised least squares in
which every topic weighs the same, fitted on the project's own folds; the test and the champion
rule are the project's too: the second model is crowned when it leads in macro-F1, whether or not
the difference is significant. Noise makes the models' answers differ more than those of two real
models that learn from the same features.

    python benchmarks/significance.py TABLE.parquet --leave-out other
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from record import parser_of, save
from simulation import draw, embeddings, noisy, out_of_fold, population, products
from tables import markdown, read

from paratopic.corpus.folds import make_folds
from paratopic.evaluation.intervals import difference
from paratopic.project.folder import Project

# Length of the noise of the two models; that of an embedding is 1.
NOISE = ((1.0, 1.0), (2.0, 2.0), (2.0, 1.5), (2.0, 1.0), (2.0, 0.0))
SIZES = (24, 100, 500)
PERMUTATIONS = 499
KEY = ["data", "n", "first", "second"]
# What is printed of each.
SHOWN = {"n": "{n}", "noise": "{first}, {second}", "draws": "{draws}", "gained": "{gain:+.3f}"}
SHOWN |= {"significant": "{significant:.3f}", "crowned": "{crowned:.3f}"}
MOST_OFTEN = 0.06  # that a difference of nothing may be significant


def options() -> argparse.Namespace:
    """The options of the command."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("table", help="parquet with text, label and, optionally, group")
    parser.add_argument("--leave-out", nargs="*", default=[], help="labels to leave out")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--draws", type=int, nargs="+", default=[500], help="of all or each size")
    parser.add_argument("--embeddings", type=Path, help="npz to keep the embeddings in")
    return parser.parse_args()


def main() -> None:
    """Print a table; write it and a picture."""
    arguments = options()
    params = Project().params
    table = read(arguments.table, arguments.leave_out)
    rows = population(table)
    known = embeddings(list(rows["text"]), params, arguments.embeddings)
    lines: list[dict[str, Any]] = []
    draws = np.broadcast_to(arguments.draws, len(arguments.sizes)).tolist()
    for n, n_draws in zip(arguments.sizes, draws, strict=True):
        found = np.zeros((len(NOISE), n_draws, 2))
        for seed in range(n_draws):
            labelled = draw(rows, n, seed).labelled
            vectors = np.array([known[text] for text in labelled["text"]])
            split = params.split
            folds = make_folds(
                labelled, split.n_folds, split.repeats(len(labelled)), None, seed
            ).table
            rng = np.random.default_rng([seed, n])
            labels = pd.factorize(labelled["label"], sort=True)[0].astype(np.int64)
            for pair, strengths in enumerate(NOISE):
                first, second = (
                    out_of_fold(
                        products(noisy(vectors, s, rng)), labels, folds, list(labelled["id"])
                    )
                    for s in strengths
                )
                result = difference(second, first, params.evaluate.confidence, PERMUTATIONS, seed)
                found[pair, seed] = result.value, result.p
        for strengths, (gain, p) in zip(NOISE, found.transpose(0, 2, 1), strict=True):
            significant = p <= 1 - params.evaluate.confidence
            line = dict(zip(KEY, (table.name, n, *strengths), strict=True))
            line |= {"draws": n_draws, "gain": gain.mean(), "significant": significant.mean()}
            lines.append(line | {"crowned": (gain > 0).mean()})
        print(f"{n} labels: done", flush=True)
    save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))
    name = f"{arguments.results.stem}_{table.name.replace(' ', '_')}.png"
    picture(lines, arguments.results.with_name(name))


def picture(lines: list[dict[str, Any]], path: Path) -> None:
    """How often a difference is significant, by its mean size; one curve for each n."""
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    axes.axhline(MOST_OFTEN, color="0.5", linestyle="--", label="6 %")
    for color, n in enumerate(sorted({line["n"] for line in lines})):
        part = sorted((line for line in lines if line["n"] == n), key=lambda line: line["gain"])
        share = np.array([line["significant"] for line in part])
        axes.errorbar(
            [100 * line["gain"] for line in part],
            share,
            1.96 * np.sqrt(share * (1 - share) / part[0]["draws"]),
            marker="o",
            capsize=3,
            color=f"C{color}",
            label=f"n = {n}",
        )
    axes.set_xlabel("mean difference in macro-F1, points")
    axes.set_ylabel("significant at 5 %")
    axes.set_ylim(0, 1.02)
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
