"""Whether the share of right answers that is expected on other texts is right, and when not.

Texts of a labelled table are drawn and labelled. On a frozen encoder's embeddings the project's
head is fitted, cross-validated and calibrated. It then answers other texts: of the same kind, of a
later time, of one later document, of another mixture, or of another table. The share that is
expected to be right, without their labels, is compared with the share that is.

    python benchmarks/expected.py --data BILLS --none other --time introduced --mixture code
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from record import parser_of, rows_of, save
from simulation import Embeddings, cross_validated, embeddings, frozen, population, without
from tables import markdown, read

from paratopic.corpus.folds import TooFewLabels
from paratopic.corpus.table import targets_of
from paratopic.evaluation.estimates import expect
from paratopic.inference.calibration import Answers, Calibration
from paratopic.inference.head import centre_of
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array
from paratopic.project.params import Params, read_params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics, split_cell
from paratopic.training.calibration import apply_calibration
from paratopic.training.crossval import fit_all
from paratopic.training.examples import Fit, Fitted

MOST_ROWS = 2500  # of a table
N_TEXTS = 600  # that are answered, at most
CONFIDENCE = 0.95
MODE = mode_of("single")
KEY = ["data", "labels", "texts"]
# What is printed of each.
SHOWN = {
    "table": "{data}",
    "texts": "{texts}",
    "labels": "{labels}",
    "right": "{true:.0f} %",
    "plain mean off by": "{plain:.1f}",
    "estimated": "{estimated:.0%}",
    "off by": "{error:.1f}",
    "width": "{width:.0f}",
    "held": "{held:.0%}",
}


def take(
    rows: pd.DataFrame, n: int, rng: np.random.Generator, weights: Array | None = None
) -> pd.DataFrame:
    """At most n rows at random, those with larger weights more often."""
    chances = None if weights is None else weights / weights.sum()
    return rows.iloc[rng.choice(len(rows), min(n, len(rows)), replace=False, p=chances)]


def parts(rows: pd.DataFrame, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The earlier half of the rows and the later one; without times, halves of the articles."""
    if rows["time"].notna().any():
        is_first = rows["time"].rank(pct=True) <= 0.5
    else:
        articles = rng.permutation(rows["article"].unique())
        is_first = rows["article"].isin(articles[: len(articles) // 2])
    return rows[is_first], rows[~is_first]


def to_answer(
    same: pd.DataFrame,
    rest: pd.DataFrame,
    mixtures: Sequence[str],
    documents: bool,
    others: dict[str, pd.DataFrame],
    rng: np.random.Generator,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Texts to answer, and what they differ in from those that are labelled.

    Parameters
    ----------
    same
        Rows of the part that labels are from.
    rest
        Rows of the other part.
    mixtures
        Columns whose values are mixed in other shares, drawn at random.
    documents
        Whether the rows' articles are documents with many texts.
    others
        Other tables.
    rng
        Draws the texts.
    """
    yield "same kind", take(same, N_TEXTS, rng)
    if rest["time"].notna().any():
        yield "later", take(rest, N_TEXTS, rng)
    if documents:
        yield "one later document", rest[rest["article"] == rng.choice(rest["article"].unique())]
    for mixture in mixtures:
        counts = rest[mixture].value_counts()
        shares = pd.Series(rng.dirichlet(np.ones(len(counts))), counts.index)
        chances = rest[mixture].map(shares / counts)
        weights = np.asarray(chances, dtype=np.float64) + np.float64(1e-9)
        yield f"mixture of {mixture}", take(rest, N_TEXTS // 2, rng, weights)
    for name, table in others.items():
        yield f"foreign: {name}", take(table, N_TEXTS, rng)


class Trained(NamedTuple):
    """A model, what it knows of its own certainty, and the centre of the labelled texts."""

    model: Fitted
    calibration: Calibration
    centre: Array
    usual: Array


def train(
    labelled: pd.DataFrame, fit: Fit, vectors: Embeddings, topics: Topics, params: Params, seed: int
) -> Trained:
    """Cross-validate, calibrate and fit a model, as the pipeline does.

    Raises
    ------
    TooFewLabels
        The labels are too few for folds.
    """
    labelled = labelled.sort_values("id", ignore_index=True)
    data, _, calibration = cross_validated(labelled, fit, topics, params, seed)
    features = np.array([vectors[text] for text in labelled["text"]])
    return Trained(fit_all(data, fit, seed), calibration, *centre_of(features))


def figures(
    trained: Trained, rows: pd.DataFrame, vectors: Embeddings, documents: bool
) -> dict[str, Any]:
    """The expected share, by the project and as the plain mean certainty, and the true one."""
    texts, names = list(rows["text"]), list(trained.model.classes_)
    scores = apply_calibration(
        trained.model.predict_proba(numbered(texts)), trained.calibration, MODE
    )
    predicted = MODE.predicted(scores, trained.calibration.thresholds)
    certainty = MODE.certainty(scores, predicted)
    likeness = np.array([vectors[text] for text in texts]) @ trained.centre - trained.usual
    n_articles = rows["article"].nunique() if documents else len(texts)
    answers = Answers(len(texts), float(certainty.sum()), float(likeness.sum()), n_articles)
    share = expect(trained.calibration, answers, CONFIDENCE)
    value, low, high = (None, None, None) if isinstance(share, str) else astuple(share)
    right = (predicted == targets_of(rows["topic"], names)).all(axis=1)
    return {
        "true": float(right.mean()),
        "plain": float(certainty.mean()),
        "likeness": float(likeness.mean()),
        "estimated": not isinstance(share, str),
        "value": value,
        "low": low,
        "high": high,
    }


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """A line for each scenario and number of labels; errors and widths in points."""
    runs = runs.astype({"value": float, "low": float, "high": float, "estimated": float})
    held = (runs["low"] <= runs["true"]) & (runs["true"] <= runs["high"])
    runs = runs.assign(
        plain=100 * (runs["plain"] - runs["true"]) ** 2 * 100,
        error=100 * (runs["value"] - runs["true"]) ** 2 * 100,
        held=held.where(runs["estimated"] > 0).astype(float),
        width=100 * (runs["high"] - runs["low"]),
        true=100 * runs["true"],
    )
    lines = runs.groupby(KEY, sort=False).agg(
        draws=("draw", "size"),
        true=("true", "mean"),
        plain=("plain", "mean"),
        estimated=("estimated", "mean"),
        error=("error", "mean"),
        held=("held", "mean"),
        width=("width", "mean"),
        least_likeness=("likeness", "min"),
        most_likeness=("likeness", "max"),
    )
    lines[["plain", "error"]] **= 0.5
    return lines.reset_index()


def prepared(
    path: Path, none: list[str], time_column: str | None, mixtures: Sequence[str], params: Params
) -> pd.DataFrame:
    """At most `MOST_ROWS` rows of a table, with their time and what a mixture is of."""
    table = read(str(path))
    rows = without(population(table), none)
    columns = pd.read_parquet(path)
    rows["time"] = columns[time_column] if time_column else None
    for mixture in mixtures:
        rows[mixture] = columns[mixture].astype(str)
    if time_column and table.rows["group"].nunique() < len(rows) / 10:
        rows["article"] = table.rows["group"]  # as it is: speeches have few documents
    if len(rows) > MOST_ROWS:
        rows = rows.sample(MOST_ROWS, random_state=params.seed)
    return rows.sort_values("id", ignore_index=True)


def options() -> argparse.Namespace:
    """The options of the command."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--data", type=Path, required=True, help="a parquet file")
    parser.add_argument("--none", nargs="*", default=[], help="labels that mean: no topic")
    parser.add_argument("--time", help="column by which half of the texts are later")
    parser.add_argument("--documents", action="store_true", help="groups are documents")
    parser.add_argument(
        "--mixture", nargs="*", default=[], help="columns whose values are mixed in other shares"
    )
    parser.add_argument("--foreign", type=Path, nargs="*", default=[], help="other tables")
    parser.add_argument("--labels", type=int, nargs="*", default=[100, 300])
    parser.add_argument("--draws", type=int, default=100, help="of each kind")
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    return parser.parse_args()


def main() -> None:
    """Print a table and write it, after every ten draws."""
    arguments = options()
    params = read_params()

    def embedded(path: Path, rows: pd.DataFrame) -> Embeddings:
        kept = arguments.embeddings and arguments.embeddings / f"{path.stem}.npz"
        return embeddings(list(rows["text"]), params, kept)

    path = arguments.data
    rows = prepared(path, arguments.none, arguments.time, arguments.mixture, params)
    names, vectors = sorted(set(rows["label"]) - {""}), embedded(path, rows)
    others = {}
    for other in arguments.foreign:
        table = prepared(other, arguments.none, None, [], params)
        # A text with a label that no topic is of has none of the topics.
        label = table["label"].where(table["label"].isin(names), "")
        others[other.stem] = table.assign(label=label, topic=label.map(split_cell))
        vectors = vectors | embedded(other, table)
    topics = Topics("single", tuple(names))
    fit = frozen(vectors)(topics)
    runs: list[dict[str, Any]] = []
    for number in range(arguments.draws):
        for n in arguments.labels:
            rng = np.random.default_rng([params.seed, n, number])
            first, rest = parts(rows, rng)
            labelled = take(first, n, rng)
            try:
                trained = train(labelled, fit, vectors, topics, params, number)
            except TooFewLabels:
                continue
            same = first.drop(labelled.index)
            drawn = to_answer(same, rest, arguments.mixture, arguments.documents, others, rng)
            for what, texts in drawn:
                about = {"data": path.stem, "labels": n, "texts": what, "draw": number}
                runs.append(about | figures(trained, texts, vectors, arguments.documents))
        if number % 10 != 9 and number != arguments.draws - 1:
            continue
        print(f"{number + 1} draws", flush=True)
        lines = rows_of(summary(pd.DataFrame(runs)))
        save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))


if __name__ == "__main__":
    main()
