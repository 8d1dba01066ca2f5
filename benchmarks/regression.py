"""Whether regressions on the rows that `paratopic shares --rows` writes are right.

Texts are drawn at random from a labelled table and labelled, and models are fitted as in
shares.py. Each topic is then regressed on time and on whether a text is long, once with the
adjusted outcomes and once with the predicted topics, by ordinary least squares with robust standard
errors. Coefficients are compared with those of the table's own labels. Topics without any label
are left out, as `--rows` does.

    python benchmarks/regression.py --data SENTENCES --none other --time year --sizes 150
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from record import made_with
from shares import CONFIDENCE, MODE, RARE, corpus, labelled_texts, options, sample
from statsmodels.api import OLS
from tables import RESULTS

from paratopic.corpus.folds import TooFewLabels
from paratopic.findings.shares import Sample, adjusted
from paratopic.inference.scores import Array
from paratopic.project.files import write_json

TERMS = ("time", "long")


def terms(rows: pd.DataFrame, periods: Array) -> Array:
    """What topics are regressed on, (n, 3): a constant, time, and whether a text is long."""
    n_words = rows["text"].str.split().map(len).to_numpy()
    is_long = n_words > np.median(n_words)
    return np.column_stack([np.ones(len(rows)), periods, is_long.astype(np.float64)])


def outcomes(drawn: Sample) -> Iterator[tuple[str, Array]]:
    """Method → the outcomes (n, K) that are regressed."""
    yield "adjusted", adjusted(drawn, np.ones(len(drawn.probabilities)))
    predicted = MODE.predicted(drawn.probabilities[:, :-1], (1.0,))
    yield "predicted topics", MODE.outcomes(predicted).astype(np.float64)
    yield "probabilities", drawn.probabilities


def lines_of_draw(drawn: Sample, truth: Array, x: Array, n: int) -> Iterator[dict[str, Any]]:
    """A line for each method, outcome and term."""
    rare = truth.mean(axis=0) <= RARE
    for method, of_method in outcomes(drawn):
        for k in np.flatnonzero(drawn.truth.any(axis=0)):  # others are left out
            true = OLS(truth[:, k], x).fit().params
            fitted = OLS(of_method[:, k], x).fit(cov_type="HC1")
            ends = fitted.conf_int(1 - CONFIDENCE)
            for place, term in enumerate(TERMS, 1):
                about = {"n": n, "method": method, "term": term, "rare": bool(rare[k])}
                error, (low, high) = fitted.params[place] - true[place], ends[place]
                held = low <= true[place] <= high
                yield about | {"outcome": k, "error": error, "width": high - low, "held": held}


def summary(lines: pd.DataFrame) -> pd.DataFrame:
    """Bias and width in points, and how often intervals hold: means over outcomes."""
    key = ["n", "method", "term", "rare"]
    figures = {"bias": ("error", "mean"), "width": ("width", "mean"), "held": ("held", "mean")}
    of_outcome = lines.groupby([*key, "outcome"], sort=False).agg(**figures)
    of_outcome["bias"] = of_outcome["bias"].abs()
    means = of_outcome.groupby(key, sort=False).mean().reset_index()
    return means.assign(bias=100 * means["bias"], width=100 * means["width"])


def markdown(lines: pd.DataFrame) -> str:
    """The summary as a table."""
    out = ["| labels | outcome | term | topics | off by | width | holds |", "|---" * 7 + "|"]
    for line in lines.to_dict("records"):
        kind = "rare" if line["rare"] else "common"
        figures = f"{line['bias']:.1f} | {line['width']:.1f} | {line['held']:.0%}"
        out.append(f"| {line['n']} | {line['method']} | {line['term']} | {kind} | {figures} |")
    return "\n".join(out)


def main() -> None:
    """Print a markdown table and write it as JSON."""
    arguments = options(__doc__).parse_args()
    started, table = time.perf_counter(), corpus(arguments)
    x = terms(table.rows, table.periods)
    lines: list[dict[str, Any]] = []
    for n in arguments.sizes:
        for number in range(arguments.draws):
            labelled = labelled_texts(table, n, number)
            try:
                drawn = sample(table, labelled, number)
            except TooFewLabels:
                continue
            lines += lines_of_draw(drawn, table.truth, x, n)
        print(f"{n} labels: {time.perf_counter() - started:.0f} s", flush=True)
    figures = summary(pd.DataFrame(lines))
    print(markdown(figures))
    about = made_with(__file__, "scikit-learn", "numpy", "statsmodels")
    about |= {"draws": arguments.draws, "seconds": round(time.perf_counter() - started)}
    results = arguments.results or RESULTS / f"regression_{table.name}.json"
    write_json(results, about | {"results": figures.to_dict("records")})


if __name__ == "__main__":
    main()
