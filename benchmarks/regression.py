"""Whether regressions on the rows that `paratopic shares --rows` writes are right.

Texts are drawn at random from a labelled table and labelled, and models are fitted as in
shares_frozen.py. Each topic is then regressed on time and on whether a text is long, once with the
adjusted outcomes and once with the predicted topics, by ordinary least squares with robust standard
errors. Coefficients are compared with those of the table's own labels. Topics without any label
are left out, as `--rows` does.

    python benchmarks/regression.py --data SENTENCES --none other --time year --sizes 150
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from record import rows_of, save
from shares_frozen import CONFIDENCE, MODE, RARE, corpus, labelled_texts, options, sample
from statsmodels.api import OLS
from tables import markdown

from paratopic.corpus.folds import TooFewLabels
from paratopic.findings.shares import Sample, adjusted_outcomes
from paratopic.inference.modes import Array

TERMS = ("time", "long")
KEY = ["data", "n", "rare", "term", "method"]
# What is printed of each.
SHOWN = {
    "labels": "{n}",
    "outcome": "{method}",
    "term": "{term}",
    "rare topics": "{rare}",
    "off by": "{bias:.1f}",
    "width": "{width:.1f}",
    "holds": "{held:.0%}",
}


def terms(rows: pd.DataFrame, periods: Array) -> Array:
    """What topics are regressed on, (n, 3): a constant, time, and whether a text is long."""
    n_words = rows["text"].str.split().map(len).to_numpy()
    is_long = n_words > np.median(n_words)
    return np.column_stack([np.ones(len(rows)), periods, is_long.astype(np.float64)])


def outcomes(drawn: Sample) -> Iterator[tuple[str, Array]]:
    """Method → the outcomes (n, K) that are regressed."""
    yield "adjusted", adjusted_outcomes(drawn, np.ones(len(drawn.probabilities)))
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
    figures = {"bias": ("error", "mean"), "width": ("width", "mean"), "held": ("held", "mean")}
    of_outcome = lines.groupby([*KEY, "outcome"], sort=False).agg(**figures)
    of_outcome["bias"] = of_outcome["bias"].abs()
    means = of_outcome.groupby(KEY, sort=False).mean().reset_index()
    return means.assign(bias=100 * means["bias"], width=100 * means["width"])


def main() -> None:
    """Print a table and write it."""
    arguments = options(__file__, __doc__).parse_args()
    table = corpus(arguments)
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
        print(f"{n} labels: done", flush=True)
    figures = summary(pd.DataFrame(lines).assign(data=table.name))
    found = rows_of(figures.assign(draws=arguments.draws))
    save(arguments.results, found, KEY, __file__)
    print(markdown(found, SHOWN))


if __name__ == "__main__":
    main()
