"""Whether shares of topics are right, and whether their intervals hold, with a frozen encoder.

Texts are drawn at random from a labelled table and labelled; or whole documents are. With `--by`,
further texts are drawn from each group, until an interval is possible in each. On a frozen
encoder's embeddings the project's head is fitted, cross-validated and calibrated. Shares of all
texts of the table, of its periods, their differences and the trend are then compared with the
table's own labels. Where at least 20 documents were drawn, shares of the documents with a topic are
too.

    python benchmarks/shares_frozen.py --data BILLS --none other --time introduced --draws 200
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import parser_of, rows_of, save
from simulation import embeddings, frozen, population, without
from tables import markdown, read

from paratopic.annotation.suggestion import draw_from_groups, draw_random
from paratopic.corpus.folds import MOST_TEXTS, TooFewLabels, deal_unlabelled, make_folds
from paratopic.corpus.labelled import Labelled, Unlabelled
from paratopic.corpus.table import groups_by
from paratopic.evaluation.intervals import LEAST_LABELS, Estimate, modified_wilson
from paratopic.findings import shares
from paratopic.findings.population import CrossPredictor, article_outcomes
from paratopic.findings.shares import Part, Sample
from paratopic.inference.modes import Array, Integers, Scores, mode_of
from paratopic.labels.log import Label
from paratopic.labels.sample import weigh_sample
from paratopic.project.folder import Project
from paratopic.project.params import Params
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.calibration import calibrate_rows, calibrated
from paratopic.training.crossval import cross_validate, score_unfolded
from paratopic.training.examples import Fit

MOST_ROWS = 2500  # of a table
N_PERIODS = 4
CONFIDENCE = 0.95
# A topic of no larger share is rare.
RARE = 0.024
MODE = mode_of("single")
KEY = ["data", "cut", "drawn", "n", "rare", "what", "method"]
# What is printed of each.
SHOWN = {
    "table": "{data}",
    "n": "{n} {drawn}",
    "share of": "{what}",
    "method": "{method}",
    "rare topics": "{rare}",
    "off by": "{bias:.1f}",
    "error": "{rmse:.1f}",
    "width": "{width:.1f}",
    "covered": "{covered:.0%}",
}


def outcomes(rows: pd.DataFrame, names: list[str]) -> Array:
    """Which topic each row has, in the last column none of them, (n, k + 1)."""
    label = rows["label"].to_numpy()
    return np.column_stack([label == name for name in [*names, ""]]).astype(np.float64)


def by_document(rows: pd.DataFrame, n_documents: int, seed: int) -> pd.DataFrame:
    """The rows of documents that are drawn at random."""
    rng = np.random.default_rng([seed, n_documents])
    drawn = rng.permutation(rows["article"].unique())[:n_documents]
    return rows[rows["article"].isin(drawn)]


@dataclass(frozen=True)
class Corpus:
    """Rows of a table, all of them labelled, of which models see some labels.

    Parameters
    ----------
    truth
        (n, K) whether each row has each outcome.
    periods
        (n,) number of the quarter of the table that each row's time is in.
    documents
        (n,) number of each row's document.
    groups
        Name of each group of `--by` → its texts; none without it.
    """

    name: str
    rows: pd.DataFrame
    truth: Array
    periods: Array
    documents: Integers
    groups: dict[str, set[str]]
    topics: Topics
    fit: Fit
    params: Params


def corpus(arguments: argparse.Namespace) -> Corpus:
    """At most `MOST_ROWS` of the table that the arguments name.

    If documents are drawn, they are whole, and have at most `MOST_TEXTS` rows.
    """
    params, table = Project().params, read(str(arguments.data))
    times = pd.read_parquet(arguments.data).get(arguments.time)
    rows = without(population(table), arguments.none)
    rows["article"] = table.rows["group"]  # as it is: speeches have few documents
    if cut := getattr(arguments, "cut", None):
        rows["article"] += "/" + (rows.groupby("article").cumcount() // cut).astype(str)
    rows["time"] = None if times is None else times
    if getattr(arguments, "documents", []):
        sizes = rows["article"].value_counts(sort=False).sample(frac=1, random_state=params.seed)
        rows = rows[rows["article"].isin(sizes.index[sizes.cumsum() <= MOST_TEXTS])]
    elif len(rows) > MOST_ROWS:
        rows = rows.sample(MOST_ROWS, random_state=params.seed)
    rows = rows.drop_duplicates("text").sort_values("id", ignore_index=True)
    kept = arguments.embeddings and arguments.embeddings / f"{table.name}.npz"
    names = sorted(set(rows["label"]) - {""})
    topics = Topics("single", tuple(names))
    fit = frozen(embeddings(list(rows["text"]), params, kept))(topics)
    periods = periods_of(rows["time"], params.seed)
    documents = pd.factorize(rows["article"])[0].astype(np.int64)
    by = getattr(arguments, "by", None)
    dated = rows.assign(date=rows["time"].astype(str), **{"heading": "", "title": ""})
    groups = groups_by(dated.drop(columns="time"), by) if by else {}
    truth = outcomes(rows, names)
    return Corpus(table.name, rows, truth, periods, documents, groups, topics, fit, params)


def labelled_texts(corpus: Corpus, n: int, number: int) -> pd.DataFrame:
    """The rows that are drawn at random in a draw."""
    rng = np.random.default_rng([corpus.params.seed, n, number])
    return corpus.rows.sample(n, random_state=rng)


def labelled_in_groups(corpus: Corpus, n: int, number: int) -> pd.DataFrame:
    """Rows of which n are drawn from all, and others until each group has enough for an interval.

    They have the columns of the sample.
    """
    rows, groups = corpus.rows.assign(label_source="none", effective_count=np.nan), corpus.groups
    drawn = draw_random(rows, (), n, number)
    texts = rows["text"][rows["id"].isin(drawn)]
    lacking = sum(
        max(0, min(LEAST_LABELS, len(g)) - texts.isin(list(g)).sum()) for g in groups.values()
    )
    drawn |= draw_from_groups(rows, drawn, groups, lacking, number)
    frame = rows.assign(label_source=np.where(rows["id"].isin(drawn), "hand", "none"), draw="")
    times = (f"2025-01-01T{s // 3600:02}:{s // 60 % 60:02}:{s % 60:02}" for s in range(len(drawn)))
    lines = [
        Label("", id_, "", "", when=when, drawn=how)
        for when, (id_, how) in zip(times, drawn.items(), strict=False)
    ]
    frame = frame.assign(**weigh_sample(frame, lines, groups))
    return frame[frame["label_source"] == "hand"]


def sample(corpus: Corpus, labelled: pd.DataFrame, seed: int) -> Sample:
    """The table with predictions, of which some rows are labelled.

    Raises
    ------
    TooFewLabels
        The labels are too few for folds.
    """
    rows, fit, topics, params = corpus.rows, corpus.fit, corpus.topics, corpus.params
    ids = set(labelled["id"])
    labelled = labelled.sort_values("id", ignore_index=True)
    folds = make_folds(labelled, params.split.n_folds, 1, None, seed)
    dealt = deal_unlabelled(rows, labelled, folds, seed)
    text_of = rows.set_index("id")["text"]
    others = Unlabelled(dealt, numbered(text_of.loc[dealt["id"]]))
    data = Labelled(labelled, topics, folds.table, unlabelled=others)
    raw = cross_validate(data, fit, seed)
    scores, calibration, unlabelled = calibrate_rows(
        data, raw.scores, params.calibrate, raw.unlabelled
    )
    apart = calibrated(score_unfolded(data, fit, seed), calibration, topics)
    is_labelled = rows["id"].isin(ids)
    table = rows.assign(
        label_source=np.where(is_labelled, "hand", "none"),
        label=rows["topic"].map(list).where(is_labelled, None),
    )
    predicted = CrossPredictor(scores, unlabelled, apart, no_model).predict(table, topics, False)
    numbers = np.flatnonzero(is_labelled)
    weights = counts = np.ones(len(numbers))
    if "effective_count" in labelled:
        of_ids = labelled.set_index("id").loc[rows["id"].iloc[numbers]]
        weights, counts = of_ids["weight"].to_numpy(), of_ids["effective_count"].to_numpy()
    return Sample(
        **predicted._asdict(),
        labelled=numbers,
        truth=outcomes(rows.iloc[numbers], list(topics.names)),
        weights=weights,
        effective_counts=counts,
        exclusive=True,
    )


def no_model(ids: pd.Series) -> Scores:
    """Is not asked: models of the folds predict all of so few rows."""
    raise NotImplementedError


def of_documents(drawn: Sample, truth: Array, documents: Integers) -> Sample:
    """The documents of a table, of which those with labelled rows are labelled.

    Parameters
    ----------
    drawn
        The table, n rows.
    truth
        (number of documents, K) whether each document has each outcome.
    documents
        (n,) number of each row's document.
    """
    labelled = np.unique(documents[drawn.labelled])
    probabilities = article_outcomes(drawn.probabilities, documents, truth.shape[1] - 1)
    weights = np.ones(len(labelled))
    return Sample(probabilities, labelled, truth[labelled], weights, weights)


def counted(drawn: Sample) -> list[Estimate]:
    """Shares of the most probable outcomes, with the interval of as many independent texts."""
    answers = MODE.predicted(drawn.probabilities[:, :-1], (1.0,))
    values = MODE.outcomes(answers).mean(axis=0)
    return _as_sample(values, len(answers))


def mean_probability(drawn: Sample) -> list[Estimate]:
    """Mean probabilities, with the interval of as many independent texts."""
    return _as_sample(drawn.probabilities.mean(axis=0), len(drawn.probabilities))


def of_labels(drawn: Sample, masses: Array) -> Part:
    """Shares of the labels alone, with the interval that corrected predictions get."""
    return shares.shares(drawn.without_predictions(), masses, CONFIDENCE)


def _as_sample(values: Array, n: int) -> list[Estimate]:
    ends = modified_wilson(values, np.full(len(values), float(n)), CONFIDENCE, 1.96)
    return [Estimate(*map(float, each)) for each in zip(values, *ends, strict=True)]


def figures(drawn: Sample, table: Corpus) -> Iterator[tuple[str, str, list[Estimate], Array]]:
    """Kind of share, method, the shares and their true values."""
    truth, periods, documents = table.truth, table.periods, table.documents
    everything = np.ones(len(truth))
    if drawn.articles is not None and len(np.unique(drawn.articles)) >= LEAST_LABELS:
        of_each = article_outcomes(truth, documents, truth.shape[1] - 1)
        whole = of_documents(drawn, of_each, documents)
        every, true = np.ones(len(of_each)), of_each.mean(axis=0)
        yield "documents", "mean probability", mean_probability(whole), true
        yield "documents", "labels alone", list(of_labels(whole, every).shares), true
        yield "documents", "corrected", list(shares.shares(whole, every, CONFIDENCE).shares), true
    true = truth.mean(axis=0)
    yield "all", "counted answers", counted(drawn), true
    yield "all", "mean probability", mean_probability(drawn), true
    yield "all", "labels alone", list(of_labels(drawn, everything).shares), true
    yield "all", "corrected", list(shares.shares(drawn, everything, CONFIDENCE).shares), true
    text = table.rows["text"]
    masses: list[Array] = [
        np.asarray(text.isin(list(inside)), np.float64) for inside in table.groups.values()
    ]
    parts = shares.shares_of_parts(drawn, masses, CONFIDENCE) if masses else []
    for part, mass in zip(parts, masses, strict=True):
        true = truth[mass > 0].mean(axis=0)
        yield "groups", "corrected", list(part.shares), true
        yield "groups", "labels alone", list(of_labels(drawn, mass).shares), true
    masses = [(periods == period).astype(np.float64) for period in range(N_PERIODS)]
    if any(not mass.any() for mass in masses):
        return
    parts = shares.shares_of_parts(drawn, masses, CONFIDENCE)
    of_periods = [truth[mass > 0].mean(axis=0) for mass in masses]
    for part, its_own in zip(parts, of_periods, strict=True):
        yield "periods", "corrected", list(part.shares), its_own
    halves = [masses[0] + masses[1], masses[2] + masses[3]]
    early, late = (shares.shares(drawn, half, CONFIDENCE) for half in halves)
    gaps = [shares.difference(a, b) for a, b in zip(late.shares, early.shares, strict=True)]
    its_own = truth[halves[1] > 0].mean(axis=0) - truth[halves[0] > 0].mean(axis=0)
    yield "differences", "corrected", gaps, its_own
    slope = np.cov(periods, truth.T)[0, 1:] / periods.var(ddof=1)
    trend = shares.trend(drawn, everything, periods, CONFIDENCE)
    yield "trends", "corrected", list(trend), slope


def periods_of(values: pd.Series, seed: int) -> Array:
    """Number of the quarter of the table that each row's time is in; chance decides without one."""
    if values.isna().all():
        return np.random.default_rng(seed).integers(0, N_PERIODS, len(values)).astype(np.float64)
    rank = values.astype(str).rank(method="dense").to_numpy()
    edges = np.quantile(rank, np.linspace(0, 1, N_PERIODS + 1)[1:-1])
    return np.searchsorted(edges, rank, side="left").astype(np.float64)


def lines_of_draw(drawn: Sample, table: Corpus, about: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each figure of each outcome."""
    overall = table.truth.mean(axis=0)
    return [
        about
        | {"what": what, "method": method}
        | {"rare": bool((true if what == "documents" else overall)[outcome] <= RARE)}
        | {"outcome": outcome, "error": share.value - value}
        | {"low": share.low, "high": share.high, "true": float(value)}
        for what, method, estimates, true in figures(drawn, table)
        for outcome, (share, value) in enumerate(zip(estimates, true, strict=True))
    ]


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Bias and error in points, width and coverage of the intervals: means over outcomes."""
    known = runs["low"].notna()
    held = (runs["low"] <= runs["true"]) & (runs["true"] <= runs["high"])
    runs = runs.assign(
        squared=runs["error"] ** 2,
        width=100 * (runs["high"] - runs["low"]),
        covered=held.where(known).astype(float),
    )
    of_outcome = runs.groupby([*KEY, "outcome"], sort=False, dropna=False).agg(
        bias=("error", "mean"),
        squared=("squared", "mean"),
        width=("width", "mean"),
        covered=("covered", "mean"),
        intervals=("covered", "count"),
        draws=("draw", "nunique"),
    )
    of_outcome["bias"] = 100 * of_outcome["bias"].abs()
    of_outcome["rmse"] = 100 * of_outcome["squared"] ** 0.5
    lines = of_outcome.groupby(KEY, sort=False, dropna=False)
    means = lines[["bias", "rmse", "width", "covered", "draws"]].mean()
    return means.assign(intervals=lines["intervals"].sum()).reset_index()


def options(script: str, about: str | None) -> argparse.ArgumentParser:
    """The options of scripts that draw labels from a table, as for `parser_of`."""
    parser = parser_of(script, about)
    parser.add_argument("--data", type=Path, required=True, help="a parquet file")
    parser.add_argument("--none", nargs="*", default=[], help="labels that mean: no topic")
    parser.add_argument("--time", help="column whose order makes four periods; else chance")
    parser.add_argument("--sizes", type=int, nargs="*", default=[60, 150, 500])
    parser.add_argument("--draws", type=int, default=200, help="of each size")
    parser.add_argument("--embeddings", type=Path, help="folder to keep the embeddings in")
    return parser


def main() -> None:
    """Print a table and write it."""
    parser = options(__file__, __doc__)
    parser.add_argument("--documents", type=int, nargs="*", default=[], help="drawn as a whole")
    parser.add_argument("--cut", type=int, help="rows of a document; by default as the table says")
    parser.add_argument("--by", help="column, or period of --time: also draw from its groups")
    arguments = parser.parse_args()
    table = corpus(arguments)
    designs = [("texts", n) for n in arguments.sizes]
    designs += [(f"texts, by {arguments.by}", n) for n in arguments.sizes if table.groups]
    designs += [("documents", n) for n in arguments.documents]
    parts: list[pd.DataFrame] = []
    for drawn_as, n in designs:
        for number in range(arguments.draws):
            if drawn_as == "texts":
                labelled = labelled_texts(table, n, number)
            elif drawn_as.startswith("texts"):
                labelled = labelled_in_groups(table, n, number)
            else:
                labelled = by_document(table.rows, n, number)
            try:
                drawn = sample(table, labelled, number)
            except TooFewLabels:
                continue
            if drawn_as == "documents":
                drawn = replace(drawn, articles=table.documents[drawn.labelled])
            about = {"data": table.name, "cut": arguments.cut, "drawn": drawn_as, "n": n}
            about |= {"draw": number}
            parts.append(pd.DataFrame(lines_of_draw(drawn, table, about)))
        print(f"{n} {drawn_as}: done", flush=True)
    lines = rows_of(summary(pd.concat(parts)))
    save(arguments.results, lines, KEY, __file__)
    print(markdown(lines, SHOWN))


if __name__ == "__main__":
    main()
