"""Findings about a corpus: how much of it is about what, by period, source or any column.

The estimates are for `shares`. Here a project's tables become its corpus, and estimates become
lines of a table and sentences. No file is read, and nothing is drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from paratopic.corpus.answers import JOINED
from paratopic.corpus.labelled import labelled_in
from paratopic.corpus.metadata import values_of, with_metadata
from paratopic.corpus.table import SCHEMA, targets_of
from paratopic.evaluation.intervals import write_p
from paratopic.evaluation.shares import (
    LEAST_ARTICLES,
    LEAST_LABELS,
    Part,
    Sample,
    Share,
    difference,
    errors_differ,
    shares,
    shares_of_parts,
    size_of,
    trend,
)
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array, Integers, Scores
from paratopic.project.errors import UserError
from paratopic.project.periods import PERIODS, UNKNOWN, values_by
from paratopic.project.plurals import plural
from paratopic.project.topics import NO_TOPIC, Topics

# Period → its unit.
UNITS = {"year": "year", "month": "month", "date": "day"}
# Months that a picture has room for; more are shown as years.
MOST_MONTHS = 24
# Half of an interval that is narrow enough for most purposes.
NARROW = 0.02
# What shares are of.
Counted = Literal["paragraphs", "words", "articles"]
# What shares are of → what counts equally much.
COUNTS: Mapping[Counted, str] = {
    "paragraphs": "All paragraphs count equally.",
    "words": "All words count equally.",
    "articles": "All articles count equally; an article has a topic if any of its paragraphs has "
    "it.",
}
# The method in two lines, to cite.
# Columns of the table of shares, beside those that the corpus is divided by.
COLUMNS = ("topic", "share", "low", "high", "paragraphs", "articles", "labels", "rests_on")
METHOD = (
    "Shares are the model's mean probabilities, corrected with the labels drawn at random "
    "(prediction-powered inference: Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453).\n"
    "Intervals are Wilson intervals (1927) for the effective number of labels."
)


@dataclass(frozen=True)
class Corpus:
    """The paragraphs or articles of a project, and what is known of their topics.

    Parameters
    ----------
    rows
        A row for each paragraph or article, with its text and columns of what it is from.
    sample
        The distinct paragraphs, or all articles, with predictions and labels.
    place
        (number of rows,) number of each row in the sample.
    outcomes
        Names of the outcomes that shares are of: the topics, and none of them in mode single.
    counted
        What shares are of: paragraphs, words of paragraphs, or articles.
    """

    rows: pd.DataFrame
    sample: Sample
    place: Integers
    outcomes: tuple[str, ...]
    counted: Counted

    def masses(self, rows: Array, copies: bool) -> Array:
        """How much each text of the sample counts in a part of the corpus, (N,).

        Parameters
        ----------
        rows
            (number of rows,) whether each row is in the part, 1 or 0.
        copies
            Whether a text counts as often as it is there.
        """
        often = np.ones(len(rows)) if copies else np.bincount(self._text, rows)[self._text]
        counts = self._weights * rows / np.maximum(often, 1)
        masses = np.bincount(self.place, counts, minlength=len(self.sample.probabilities))
        return np.asarray(masses, dtype=np.float64)

    @cached_property
    def _text(self) -> Integers:
        return distinct_texts(self.rows)[0]

    @cached_property
    def _weights(self) -> Array:
        if self.counted != "words":
            return np.ones(len(self.rows))
        return np.array([len(text.split()) for text in self.rows["text"]], dtype=np.float64)


def distinct_texts(frame: pd.DataFrame) -> tuple[Integers, Integers]:
    """Number the distinct texts of a paragraph table.

    Returns
    -------
    text
        (number of rows,) number of each row's text.
    first
        (N,) number of the first row with each text.
    """
    text = pd.factorize(frame["text"])[0].astype(np.int64)
    return text, np.unique(text, return_index=True)[1].astype(np.int64)


def sampled_rows(
    frame: pd.DataFrame,
    scores: pd.DataFrame,
    topics: Topics,
    counted: Counted = "paragraphs",
) -> pd.DataFrame:
    """The labelled paragraphs that stand for the corpus.

    Parameters
    ----------
    scores
        Calibrated out-of-fold scores: columns id and one for each topic, in one or more repeats.
    counted
        What shares are of; paragraphs by default.

    Returns
    -------
    Each labelled text once, with its weight. Of articles, all paragraphs of those that were drawn
    and of which each paragraph is labelled.

    Raises
    ------
    UserError
        Nothing tells how the labelled paragraphs were chosen, so that they are no sample; or they
        are too few for any interval.
    """
    rows = labelled_in(frame, topics).hand.rows
    if counted == "articles":
        return _whole_articles(frame, rows)
    rows = rows[rows["weight"].notna()]
    _check_sample(rows)
    rows = rows[rows["id"].isin(scores["id"])]  # some topics cannot be held out
    rows = rows.assign(weight=rows.groupby("text")["weight"].transform("sum"))
    rows = rows.drop_duplicates("text", ignore_index=True)
    _check_sample(rows)
    return rows


def _whole_articles(frame: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """The paragraphs of the drawn articles whose texts all have a label, with their topics."""
    topic_of = labels.drop_duplicates("text").set_index("text")["topic"]
    is_drawn = (frame["draw"] == "article").groupby(frame["article"]).transform("any")
    is_whole = frame["text"].isin(topic_of.index).groupby(frame["article"]).transform("all")
    rows = frame[is_drawn & is_whole]
    if (n := rows["article"].nunique()) < LEAST_LABELS:
        raise UserError(
            plural(n, "article drawn at random has", "articles drawn at random have")
            + f" all {'its' if n == 1 else 'their'} paragraphs labelled; shares of articles need "
            f"{LEAST_LABELS}: label {LEAST_LABELS - n} more (`paratopic label --random "
            "--articles`), and run `dvc repro`"
        )
    return rows.assign(topic=rows["text"].map(topic_of))


def _check_sample(rows: pd.DataFrame) -> None:
    """Refuse labels that are no sample, or too few to say anything."""
    if not (rows["draw"] != "").any():
        raise UserError(
            "shares need labels of paragraphs that were drawn at random, and nothing says how "
            "these paragraphs were chosen: label a random sample (`paratopic label --random`), or "
            "write 1 into a column `drawn` of a table whose rows are one; then run `dvc repro`"
        )
    n_labels, n_articles = size_of(rows["weight"].to_numpy()), rows["article"].nunique()
    if _by_article(rows) and n_articles < LEAST_ARTICLES:
        raise UserError(
            plural(n_articles, "article drawn at random has", "articles drawn at random have")
            + f" labels; shares need {LEAST_ARTICLES}: label {LEAST_ARTICLES - n_articles} more "
            "(`paratopic label --random --articles`), and run `dvc repro`"
        )
    if n_labels < LEAST_LABELS:
        raise UserError(
            plural(n_labels, "paragraph drawn at random has", "paragraphs drawn at random have")
            + f" labels; shares need {LEAST_LABELS}: label {LEAST_LABELS - n_labels} more "
            "(`paratopic label --random`), and run `dvc repro`"
        )


def _by_article(rows: pd.DataFrame) -> bool:
    """Whether whole articles were drawn."""
    return bool((rows["draw"] == "article").any())


def corpus_of(
    frame: pd.DataFrame,
    about: pd.DataFrame,
    predicted: Scores,
    rows: pd.DataFrame,
    scores: pd.DataFrame,
    topics: Topics,
    counted: Counted = "paragraphs",
) -> Corpus:
    """Put a project's tables together.

    Parameters
    ----------
    about
        What each paragraph is from: a row for each of them, with its id.
    predicted
        (N, k) calibrated probabilities of the topics of `distinct_texts`, by the model that ships.
    """
    mode, names = mode_of(topics.mode), list(topics.names)
    text, _ = distinct_texts(frame)
    number_of = pd.Series(text, frame["id"])
    number = number_of.loc[scores["id"]].to_numpy()
    out_of_fold = scores.groupby(number)[topics.scores].mean()
    probabilities = predicted.copy()
    probabilities[out_of_fold.index] = out_of_fold.to_numpy()
    probabilities = mode.complete(probabilities)
    outcomes = (*names, NO_TOPIC) if probabilities.shape[1] > len(names) else tuple(names)
    labelled = number_of.loc[rows["id"]].to_numpy()
    truth = mode.outcomes(targets_of(rows["topic"], names)).astype(np.float64)
    articles = pd.factorize(rows["article"])[0].astype(np.int64)
    everything = with_metadata(frame, about)
    if counted == "articles":
        number, order = pd.factorize(frame["article"])
        known = pd.Index(order).get_indexer(rows["article"].unique()).astype(np.int64)
        sample = Sample(
            in_articles(probabilities[text], number, len(names)),
            known,
            in_articles(truth, articles, len(names)),
            np.ones(len(known)),
        )
        place = np.arange(len(order))
        return Corpus(_article_rows(everything), sample, place, outcomes, counted)
    weights = rows["weight"].to_numpy(dtype=np.float64)
    clusters = articles if _by_article(rows) else None
    sample = Sample(probabilities, labelled, truth, weights, clusters)
    return Corpus(everything, sample, text, outcomes, counted)


def in_articles(outcomes: Array, articles: Integers, k: int) -> Array:
    """Outcomes of articles, or their probabilities, from those of their paragraphs.

    An article has a topic if any of its paragraphs has it, and none of the topics if all of them
    have none. Its probability of a topic is that of its likeliest paragraph. Products, as of
    independent paragraphs, are far too high, because a model errs alike in all of an article.

    >>> in_articles(np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]]), np.array([0, 0, 1]), 1)
    array([[0.75, 0.25],
           [0.  , 1.  ]])

    Parameters
    ----------
    outcomes
        (n, K) whether each paragraph has each outcome, or its probability of that.
    articles
        (n,) number of each paragraph's article, from 0 to A - 1.
    k
        Number of topics, which come first among the outcomes; then none of them, in mode single.

    Returns
    -------
    (A, K) the same for each article.
    """
    of_article = pd.DataFrame(outcomes).groupby(articles)
    highest, lowest = of_article.max().to_numpy(), of_article.min().to_numpy()
    return np.hstack([highest[:, :k], lowest[:, k:]])


def _article_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each article: its whole text, and the values that all its paragraphs have."""
    own = {*SCHEMA.names, *JOINED} - {"title", "heading"}
    columns = [name for name in rows if name not in own]
    of_article = rows.groupby("article", sort=False)
    alike = of_article[columns].nunique(dropna=False) == 1
    first = rows.drop_duplicates("article").set_index("article")[columns]
    return first.where(alike).assign(text=of_article["text"].agg("\n\n".join)).reset_index()


@dataclass(frozen=True)
class Grouping:
    """Parts of a corpus.

    Parameters
    ----------
    columns
        Columns whose values name the parts.
    keys
        The values of each part, in the order in which parts are shown.
    members
        For each part, whether each paragraph is in it, 1 or 0.
    times
        Time of each part but `UNKNOWN`, if the parts follow each other; else empty.
    """

    columns: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    members: tuple[Array, ...]
    times: Mapping[tuple[str, ...], float]

    @property
    def names(self) -> list[str]:
        """Name of each part: "2025-09", or "2025-09, The Times" of two columns."""
        return [", ".join(key) for key in self.keys]

    @property
    def known(self) -> list[int]:
        """Numbers of the parts without an empty cell."""
        return [number for number, key in enumerate(self.keys) if UNKNOWN not in key]

    @property
    def unit(self) -> str:
        """The unit of the times: "each month", or "volume + 1" of a column with numbers."""
        column = self.columns[0]
        return f"each {UNITS[column]}" if column in PERIODS else f"{column} + 1"


def group(rows: pd.DataFrame, columns: Sequence[str]) -> Grouping:
    """Divide paragraphs by the values of columns.

    Parameters
    ----------
    columns
        Any columns, or `PERIODS` of the column date. Of two, parts are pairs of values.

    Raises
    ------
    UserError
        There is no such column, or no date in it.
    """
    keys = list(zip(*(values_of(rows, name) for name in columns), strict=True))
    counts = pd.Series(keys).value_counts()
    known = [key for key in set(keys) if UNKNOWN not in key]
    times = _times(columns[0], known) if len(columns) == 1 else {}
    if times:
        ordered = sorted(known, key=times.__getitem__)
    elif len(columns) == 1:
        ordered = sorted(known, key=lambda key: (-counts[key], key))
    else:
        ordered = sorted(known)
    ordered += sorted(set(keys) - set(known))
    members = tuple(np.array([key == name for key in keys], dtype=np.float64) for name in ordered)
    return Grouping(tuple(columns), tuple(ordered), members, times)


def period_of(rows: pd.DataFrame) -> str | None:
    """The period to divide paragraphs by: month, or year where months are many or not known.

    Returns
    -------
    None where no paragraph has a date, or all dates are in one month or year.
    """
    if "date" not in rows:
        return None
    dates = {"date": rows["date"].tolist()}
    years, months = (values_by(dates, name, len(rows)) for name in ("year", "month"))
    of_dated = {month for month, year in zip(months, years, strict=True) if year != UNKNOWN}
    if len(of_dated) <= MOST_MONTHS and UNKNOWN not in of_dated:
        return "month" if len(of_dated) > 1 else None
    return "year" if len({*years} - {UNKNOWN}) > 1 else None


def _times(column: str, keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """Times of the values of a column that are periods, or whole numbers such as years."""
    if column not in PERIODS and not all(re.fullmatch(r"-?\d{1,9}", key[0]) for key in keys):
        return {}
    try:
        return {key: _time(key[0]) for key in keys}
    except ValueError:  # a column of one's own that is named month, say
        return {}


def _time(value: str) -> float:
    """A whole number, or a period in years, months or days: "2025-09" is month 24308."""
    if value.count("-", 1) == 0:
        return float(value)
    if value.count("-") == 1:
        year, month = map(int, value.split("-"))
        return 12.0 * year + month - 1
    return float(np.datetime64(value, "D").astype(np.int64))


@dataclass(frozen=True)
class Findings:
    """Shares of all of a corpus and of its parts.

    Parameters
    ----------
    table
        A line for each part and outcome: the part's names, topic, share, low, high, paragraphs
        (not of shares of articles), articles, labels, and rests_on. The first lines are of all of
        the corpus.
    changes
        A line for each difference and trend and outcome: what, topic, change, low, high.
    differ
        Probability of errors of the model as different between parts as they are, if it errs
        alike everywhere; None where that is not known.
    is_time
        Whether the values of the first column follow each other in time.
    """

    table: pd.DataFrame
    changes: pd.DataFrame
    differ: float | None = None
    is_time: bool = False


# What a share rests on.
OWN, BORROWED, FEW = "its own labels", "all labels, assuming like errors", "few labels"
ALL = "all"


def find(
    corpus: Corpus,
    columns: Sequence[str],
    confidence: float,
    *,
    copies: bool = True,
    compare: tuple[str, str] | None = None,
) -> Findings:
    """Estimate shares of all of a corpus and of its parts.

    Parameters
    ----------
    columns
        As for `group`; none for all of the corpus alone.
    compare
        Names of two parts, the first of which is compared with the second. By default the last
        period is compared with the first; or the two parts, if there are two.

    Raises
    ------
    UserError
        A column or part does not exist.
    """
    sample = corpus.sample

    def masses(members: Array) -> Array:
        return corpus.masses(members, copies)

    everything = np.ones(len(corpus.rows))
    whole = shares(sample, masses(everything), confidence)
    names = list(columns) or [ALL]
    table = [_lines(corpus, [ALL] * len(names), names, everything, whole)]
    if not columns:
        return Findings(pd.concat(table, ignore_index=True), pd.DataFrame(columns=CHANGES))
    grouping = group(corpus.rows, columns)
    of_parts = [masses(members) for members in grouping.members]
    parts = shares_of_parts(sample, of_parts, confidence)
    for key, members, part in zip(grouping.keys, grouping.members, parts, strict=True):
        table.append(_lines(corpus, key, names, members, part))
    changes = _changes(corpus, grouping, parts, of_parts, confidence, compare)
    differ = errors_differ(sample, of_parts)
    is_time = bool(grouping.times or group(corpus.rows, columns[:1]).times)
    return Findings(pd.concat(table, ignore_index=True), changes, differ, is_time)


def _lines(
    corpus: Corpus, key: Sequence[str], columns: Sequence[str], members: Array, part: Part
) -> pd.DataFrame:
    """Lines of a part in the table of findings."""
    rows = corpus.rows[members > 0]
    own = BORROWED if part.borrowed else OWN if part.shares[0].low is not None else FEW
    about = dict(zip(columns, key, strict=True)) if columns != [ALL] else {}
    size = {} if corpus.counted == "articles" else {"paragraphs": len(rows)}
    size |= {"articles": rows["article"].nunique()}
    return pd.DataFrame(
        [
            about
            | {"topic": topic, "share": share.value, "low": share.low, "high": share.high}
            | size
            | {"labels": part.n_labels, "rests_on": own}
            for topic, share in zip(corpus.outcomes, part.shares, strict=True)
        ]
    ).astype({"low": float, "high": float})


# Columns of the changes.
CHANGES = ["what", "topic", "change", "low", "high"]


def _changes(
    corpus: Corpus,
    grouping: Grouping,
    parts: Sequence[Part],
    masses: Sequence[Array],
    confidence: float,
    compare: tuple[str, str] | None,
) -> pd.DataFrame:
    names, known = grouping.names, grouping.known
    pairs: list[tuple[int, int]] = []
    if compare is not None:
        for name in compare:
            if name not in names:
                raise UserError(
                    f"--compare {name}: there is no such value; the values are {', '.join(names)}"
                )
        pairs = [(names.index(compare[0]), names.index(compare[1]))]
    elif len(known) > 1 and (grouping.times or len(known) == 2):
        pairs = [(known[-1], known[0])]
    lines: list[dict[str, object]] = []

    def add(what: str, changes: Sequence[Share]) -> None:
        for topic, change in zip(corpus.outcomes, changes, strict=True):
            ends = {"low": change.low, "high": change.high}
            lines.append({"what": what, "topic": topic, "change": change.value} | ends)

    for one, other in pairs:
        both = zip(parts[one].shares, parts[other].shares, strict=True)
        add(f"{names[one]} minus {names[other]}", [difference(a, b) for a, b in both])
    if len(known) > 2 and grouping.times:
        total, times = (np.zeros(len(masses[0])) for _ in range(2))
        for part in known:
            total += masses[part]
            times += masses[part] * grouping.times[grouping.keys[part]]
        times = np.divide(times, total, out=np.zeros_like(times), where=total > 0)
        slopes = trend(corpus.sample, total, times, confidence)
        add(f"trend, {grouping.unit}", slopes.shares)
    return pd.DataFrame(lines, columns=CHANGES).astype({"low": float, "high": float})


def sentence(findings: Findings, corpus: Corpus, confidence: float) -> str:
    """A sentence to cite: the clearest change, or else the largest share of a topic."""
    n_labels = int(findings.table["labels"].iloc[0])
    units, labels, has, of = "paragraphs", "labels", "are about", "about"
    if corpus.counted == "articles":
        units, labels = "articles", "labelled articles"
        has, of = "have a paragraph about", "with a paragraph about"
    basis = (
        f"estimated from predictions for all {len(corpus.rows):,} {units} and {n_labels:,} "
        f"{labels} drawn at random"
    )
    changes = findings.changes[~findings.changes["what"].str.startswith("trend")]
    changes = changes[changes["low"].notna() & (changes["topic"] != NO_TOPIC)]
    interval = f"{confidence:.0%} interval"
    if len(changes):
        row = max(changes.to_dict("records"), key=_clarity)
        one, other = row["what"].split(" minus ")
        change, low, high = (100 * row[name] for name in ("change", "low", "high"))
        interval = f"({interval} {low:+.0f} to {high:+.0f})"
        if low <= 0 <= high:
            return (
                f"To cite: no topic's share of the {corpus.counted} differs significantly between "
                f"{other} and {one}; the share of {row['topic']} differs most, by {change:+.0f} "
                f"points {interval}, {basis}."
            )
        return (
            f"To cite: the share of the {corpus.counted} {of} {row['topic']} is {abs(change):.0f} "
            f"points {'higher' if change > 0 else 'lower'} in {one} than in {other} {interval}, "
            f"{basis}."
        )
    whole = findings.table.iloc[: len(corpus.outcomes)].to_dict("records")
    row = max((row for row in whole if row["topic"] != NO_TOPIC), key=lambda row: row["share"])
    share, low, high = (100 * row[name] for name in ("share", "low", "high"))
    return (
        f"To cite: {share:.0f} % of the {corpus.counted} {has} {row['topic']} ({interval} "
        f"{low:.0f} to {high:.0f} %), {basis}."
    )


def _clarity(row: Mapping[Hashable, Any]) -> float:
    """How large a change is beside its interval."""
    return float(abs(row["change"]) / (row["high"] - row["low"]))


def notes(findings: Findings) -> list[str]:
    """What shares without an interval rest on, and each change that has one; a line each."""
    lines = []
    if (findings.table["rests_on"] == BORROWED).any():
        lines.append(
            f"* fewer than {LEAST_LABELS} labels of its own, so no interval: the share assumes "
            f"that the model\n  errs here as it does elsewhere.{_verdict(findings.differ)}"
        )
    for row in findings.changes[findings.changes["low"].notna()].to_dict("records"):
        change, low, high = (100 * row[name] for name in ("change", "low", "high"))
        # Changes with each year are small: their intervals say something with two digits.
        digits = 1 if high - low >= 1 else 2
        lines.append(
            f"{row['what']}, {row['topic']}: {change:+.{digits}f} points "
            f"({low:+.{digits}f} to {high:+.{digits}f})"
        )
    return lines


def _verdict(p: float | None) -> str:
    """What labels say of the assumption that the model errs alike in all groups."""
    if p is None:
        return ""
    verdict = "contradict" if p < 0.05 else "do not contradict"
    return f" The labels {verdict} this assumption ({write_p(p)})."


def counting(counted: Counted, copies: bool) -> str:
    """Say what counts equally much; the parameters are those of `Corpus` and `Corpus.masses`."""
    often = "every time" if copies else "once for each value of --by"
    return f"{COUNTS[counted]} Copies of a text count {often}."


def outlook(findings: Findings, corpus: Corpus) -> list[str]:
    """A line on how many labels more make all intervals narrow; none where they are already."""
    if not (more := labels_for(NARROW, findings, corpus)):
        return []
    labels = "labelled articles" if corpus.counted == "articles" else "labels"
    return [
        f"About {more:,} more {labels}, drawn at random, would narrow all intervals for the whole "
        f"corpus to ± {100 * NARROW:.0f} points or less."
    ]


def labels_for(half_width: float, findings: Findings, corpus: Corpus) -> int:
    """How many labels more, drawn at random, make the intervals of all of a corpus so narrow.

    Widths fall with the root of the number of labels, and of what is left to label. Better
    predictions, which more labels give too, are not counted on.

    Parameters
    ----------
    half_width
        Half of the widest interval of the outcomes, such as 0.02.
    findings
        Findings with the labels that there are.
    """
    whole = findings.table[: findings.table["topic"].nunique()]
    widest, n_labels = float((whole["high"] - whole["low"]).max()) / 2, int(whole["labels"].iloc[0])
    # Where texts are from articles that were drawn, intervals do not count on what is left.
    share = 0 if corpus.sample.articles is not None else 1 / len(corpus.sample.probabilities)
    noise = (1 / n_labels - share) * (half_width / widest) ** 2
    return max(0, math.ceil(1 / (share + noise) - n_labels))


@dataclass(frozen=True)
class Overview:
    """What the report has of a corpus.

    Parameters
    ----------
    by_period
        Shares by `period`; None where there is one period or none.
    sentences
        Sentences to cite: of all paragraphs, and of the periods if there are any.
    outlook
        How many labels more would make the intervals narrow; empty where they are.
    """

    whole: Findings
    by_period: Findings | None
    period: str | None
    sentences: tuple[str, ...]
    outlook: tuple[str, ...]


def overview(corpus: Corpus, confidence: float) -> Overview:
    """Estimate what the report has of a corpus."""
    whole, period = find(corpus, [], confidence), period_of(corpus.rows)
    by_period = find(corpus, [period], confidence) if period else None
    sentences = [sentence(each, corpus, confidence) for each in (whole, by_period) if each]
    ahead = tuple(outlook(whole, corpus))
    return Overview(whole, by_period, period, tuple(dict.fromkeys(sentences)), ahead)
