"""Findings about a corpus: how much of it is about what, by period, source or any column.

The estimates are for `shares`, and the corpus is for `population`. Here estimates become lines of a
table and sentences. No file is read, and nothing is plotted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd

from paratopic.corpus.table import values_of
from paratopic.evaluation.estimates import LEAST_LABELS, Estimate
from paratopic.evaluation.intervals import write_p
from paratopic.findings.population import Corpus, Counted
from paratopic.findings.shares import (
    Part,
    adjusted,
    difference,
    errors_differ,
    shares,
    shares_of_parts,
    trend,
)
from paratopic.inference.scores import Array, ratio
from paratopic.project.errors import UserError, plural
from paratopic.project.periods import PERIODS, UNKNOWN, values_by
from paratopic.project.topics import NO_TOPIC

# Period → its unit.
UNITS = {"year": "year", "month": "month", "date": "day"}
# Months that a picture has room for; more are shown as years.
MOST_MONTHS = 24
# Groups whose lack of labels is listed.
MOST_LISTED = 8
# Halves of intervals that labels may be wanted for.
NARROW = (0.1, 0.05, 0.02)
# What shares are of → what counts equally much.
COUNTS: Mapping[Counted, str] = {
    "paragraphs": "All paragraphs count equally.",
    "words": "All words count equally.",
    "articles": "All articles count equally; an article has a topic if any of its paragraphs has "
    "it.",
}
# Columns of the table of shares, beside those that the corpus is divided by.
COLUMNS = ("topic", "share", "low", "high", "paragraphs", "articles", "labels", "rests_on")
# Columns of paragraphs that no regression is on.
NOT_ABOUT = ("text", "before", "after", "ordered", "boilerplate")
# The method in two lines, to cite.
METHOD = (
    "Shares are the model's mean probabilities, corrected with the labels drawn at random "
    "(prediction-powered inference: Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453).\n"
    "Intervals are Wilson intervals (1927) for the effective number of labels. Each topic is "
    "corrected separately,\nso the shares of a group may not add up to 100 %."
)


@dataclass(frozen=True)
class Grouping:
    """Parts of a corpus, by the values of columns.

    Parameters
    ----------
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


def group(rows: pd.DataFrame, columns: Sequence[str]) -> Grouping:
    """Divide paragraphs by the values of columns.

    Parameters
    ----------
    columns
        Any columns, or `PERIODS` of the column date. Of two, parts are pairs of values.

    Raises
    ------
    UserError
        There is no such column, or no date in it; or two parts have the same name.
    """
    keys = list(zip(*(values_of(rows, name) for name in columns), strict=True))
    counts = Counter(keys)
    named = Counter([ALL, *map(", ".join, counts)])
    if twice := [name for name, n in named.items() if n > 1]:
        raise UserError(
            f"--by {' --by '.join(columns)}: two rows of the table would be called {twice[0]}; "
            "rename such values"
        )
    known = [key for key in set(keys) if UNKNOWN not in key]
    times = _times(columns[0], known) if len(columns) == 1 else {}
    # In the order of time; else of one column the most frequent value comes first.
    rank = {key: times.get(key, -counts[key] if len(columns) == 1 else 0) for key in known}
    ordered = sorted(known, key=lambda key: (rank[key], key)) + sorted(set(keys) - set(known))
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
        return {key: time_of(key[0]) for key in keys}
    except ValueError:  # a column of one's own that is named month, say
        return {}


def time_of(value: str) -> float:
    """A whole number, or the years, months or days from 1970 to a period: "1971-09" is month 20."""
    return float(np.datetime64(value).astype(np.int64) if "-" in value[1:] else value)


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
    compared
        Names of the two groups of the difference, the first minus the second; None where there is
        none.
    """

    table: pd.DataFrame
    changes: pd.DataFrame
    differ: float | None = None
    is_time: bool = False
    compared: tuple[str, str] | None = None

    @property
    def parts(self) -> pd.DataFrame:
        """The lines of the parts, without those of a time that is not known."""
        first = self.table.iloc[:, 0]
        return self.table[~first.isin([ALL, UNKNOWN] if self.is_time else [ALL])]


# What a share rests on.
OWN, BORROWED, FEW = "its own labels", "all labels, assuming like errors", "few labels"
COUNT = "a count: all of it is labelled"
# As in `UNKNOWN`, brackets: a column may have the value "all".
ALL = "(all)"


def find(
    corpus: Corpus,
    columns: Sequence[str],
    confidence: float,
    *,
    copies: bool = True,
    compare: tuple[str, str] | None = None,
) -> Findings:
    """Estimate shares of all of a corpus and of its parts, if any `columns` divide it (`group`).

    Parameters
    ----------
    compare
        Names of two parts, the first of which is compared with the second. By default the last
        period is compared with the first; or the two parts, if there are two.

    Raises
    ------
    UserError
        A column or part does not exist.
    """

    everything = np.ones(len(corpus.rows))
    whole = shares(corpus, corpus.masses(everything, copies), confidence)
    table = [_lines(corpus, dict.fromkeys(columns, ALL), everything, whole)]
    if not columns:
        return Findings(table[0], pd.DataFrame(columns=CHANGES))
    grouping = group(corpus.rows, columns)
    of_parts = [corpus.masses(members, copies) for members in grouping.members]
    parts = shares_of_parts(corpus, of_parts, confidence)
    for key, members, part in zip(grouping.keys, grouping.members, parts, strict=True):
        table.append(_lines(corpus, dict(zip(columns, key, strict=True)), members, part))
    compared = _compared(grouping, compare)
    changes = _changes(corpus, grouping, parts, of_parts, confidence, compared)
    differ = errors_differ(corpus, of_parts)
    is_time = bool(grouping.times or group(corpus.rows, columns[:1]).times)
    return Findings(pd.concat(table, ignore_index=True), changes, differ, is_time, compared)


def rows_to_regress(corpus: Corpus) -> pd.DataFrame:
    """A row for each paragraph or article, for a regression in R or statsmodels.

    Returns
    -------
    What the row is from, whether it is labelled, and for each outcome a column `topic_NAME` of
    `shares.adjusted`, whose name formulas can have. Outcomes that no label has are left out:
    nothing corrects them.
    """
    masses = corpus.masses(np.ones(len(corpus.rows)), copies=True)
    names = ["topic_" + re.sub(r"\W", "_", short(name)) for name in corpus.outcomes]
    outcomes = pd.DataFrame(adjusted(corpus, masses)[corpus.place], columns=names)
    outcomes = outcomes[list(compress(names, corpus.truth.max(axis=0).tolist()))]
    own = corpus.rows[[name for name in corpus.rows if name not in NOT_ABOUT]]
    columns = Counter([*own, *outcomes, "labelled"])
    if twice := [name for name, n in columns.items() if n > 1]:
        raise UserError(
            f"--rows: two columns would be called {twice[0]}; rename the topic, or the column of "
            "metadata"
        )
    is_labelled = np.isin(corpus.place, corpus.labelled)
    return pd.concat([own.reset_index(drop=True).assign(labelled=is_labelled), outcomes], axis=1)


def short(outcome: str) -> str:
    """Name of an outcome where there is little room."""
    return "none" if outcome == NO_TOPIC else outcome


def _lines(corpus: Corpus, key: Mapping[str, object], members: Array, part: Part) -> pd.DataFrame:
    """Lines of a part in the table of findings; `key` has its values of the columns."""
    rows = corpus.rows[members > 0]
    own = BORROWED if part.borrowed else OWN if part.shares[0].low is not None else FEW
    size = {} if corpus.counted == "articles" else {"paragraphs": len(rows)}
    size |= {"articles": rows["article"].nunique(), "labels": part.n_labels}
    lines = _of_outcomes(corpus, key, "share", part.shares)
    return lines.assign(**size, rests_on=COUNT if part.counted else own)


def _of_outcomes(
    corpus: Corpus, key: Mapping[str, object], name: str, estimates: Sequence[Estimate]
) -> pd.DataFrame:
    """A line for each outcome: the key, topic, its estimate in a column `name`, low and high."""
    lines = [
        {**key, "topic": topic, name: each.value, "low": each.low, "high": each.high}
        for topic, each in zip(corpus.outcomes, estimates, strict=True)
    ]
    return pd.DataFrame(lines).astype({"low": float, "high": float})


# Columns of the changes.
CHANGES = ["what", "topic", "change", "low", "high"]


def _compared(grouping: Grouping, compare: tuple[str, str] | None) -> tuple[str, str] | None:
    """The two groups that are compared: by default the last period and the first, or all two."""
    names = [", ".join(key) for key in grouping.keys]
    known = [name for name, key in zip(names, grouping.keys, strict=True) if UNKNOWN not in key]
    if compare is None and len(known) > 1 and (grouping.times or len(known) == 2):
        return known[-1], known[0]
    for name in compare or ():
        if name not in names:
            raise UserError(
                f"--compare {name}: there is no such value; the values are {', '.join(names)}"
            )
    return compare


def _changes(
    corpus: Corpus,
    grouping: Grouping,
    parts: Sequence[Part],
    masses: Sequence[Array],
    confidence: float,
    compared: tuple[str, str] | None,
) -> pd.DataFrame:
    names = [", ".join(key) for key in grouping.keys]
    known = [number for number, key in enumerate(grouping.keys) if UNKNOWN not in key]
    changes: dict[str, Sequence[Estimate]] = {}
    if compared is not None:
        both = zip(*(parts[names.index(name)].shares for name in compared), strict=True)
        changes[" minus ".join(compared)] = [difference(one, other) for one, other in both]
    if len(known) > 2 and grouping.times:
        total = np.sum([masses[part] for part in known], axis=0)
        weighted = [masses[part] * grouping.times[grouping.keys[part]] for part in known]
        times = ratio(np.sum(weighted, axis=0), total)
        column = grouping.columns[0]
        # A column with numbers has no unit of its own.
        unit = UNITS[column] if column in PERIODS else f"unit of {column}"
        changes[f"trend per {unit}"] = trend(corpus, total, times, confidence)
    tables = [
        _of_outcomes(corpus, {"what": what}, "change", each) for what, each in changes.items()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=CHANGES)


def sentence(findings: Findings, corpus: Corpus, confidence: float) -> str:
    """A sentence to cite: the clearest change, or else the largest share of a topic."""
    units, labels, has, of = "paragraphs", "labels", "are about", "about"
    if corpus.counted == "articles":
        units, labels = "articles", "labelled articles"
        has, of = "have a paragraph about", "with a paragraph about"
    n_labels, n = findings.table["labels"].iloc[0], f"{len(corpus.rows):,} {units}"
    worth = "" if (corpus.weights >= 1).all() else "labels worth "
    basis = (
        f"estimated from the model's predictions for all {n}, corrected with {worth}"
        f"{n_labels:,} {labels} drawn at random."
    )
    what = f"share of the {corpus.counted}"
    changes = findings.changes[~findings.changes["what"].str.startswith("trend")]
    changes = changes[changes["low"].notna() & (changes["topic"] != NO_TOPIC)]
    if len(changes) and findings.compared:
        row = max(changes.to_dict("records"), key=_clarity)
        one, other = findings.compared
        change, low, high = (100 * row[name] for name in ("change", "low", "high"))
        interval = f"({confidence:.0%} interval {low:+.0f} to {high:+.0f})"
        lead = (
            f"To cite: the {what} {of} {row['topic']} is {abs(change):.0f} points "
            f"{'higher' if change > 0 else 'lower'} in {one} than in {other}"
        )
        if low == high:
            return f"{lead}, by the labels of all paragraphs of both."
        if low <= 0 <= high:
            return (
                f"To cite: no topic's {what} differs significantly between {other} and {one}; "
                f"the share of {row['topic']} differs most, by {change:+.0f} points {interval}, "
                f"{basis}"
            )
        return f"{lead} {interval}, {basis}"
    whole = findings.table.iloc[: len(corpus.outcomes)].to_dict("records")
    row = max((row for row in whole if row["topic"] != NO_TOPIC), key=lambda row: row["share"])
    share, low, high = (100 * row[name] for name in ("share", "low", "high"))
    begin = f"To cite: {share:.0f} % of the {corpus.counted} {has} {row['topic']}"
    if row["rests_on"] == COUNT:
        return f"{begin}, by the labels of all {n}."
    return f"{begin} ({confidence:.0%} interval {low:.0f} to {high:.0f} %), {basis}"


def _clarity(row: Mapping[Hashable, Any]) -> float:
    """How large a change is beside its interval, which has no width between two counts."""
    return float(abs(row["change"]) / max(row["high"] - row["low"], 1e-9))


def notes(findings: Findings) -> list[str]:
    """What shares without an interval rest on, and each change that has one; a line each."""
    lines = []
    if (findings.table["rests_on"] == COUNT).any():
        lines.append(
            "= all of it is labelled: the share is a count of these rows, not an estimate. For the"
            "\n  shares of a larger corpus, add its other texts, without labels."
        )
    if (findings.table["rests_on"] == BORROWED).any():
        lines.append(
            f"* fewer than {LEAST_LABELS} labels in this group, so no interval. The share assumes "
            f"that the model errs\n  here as it does elsewhere.{_verdict(findings.differ)}"
        )
        lines.append(_lacking(findings))
    if findings.is_time and (findings.table.iloc[:, 0] == UNKNOWN).any():
        name = findings.table.columns[0]
        lines.append(f"{UNKNOWN}: no {name} is known; `dvc repro` lists dates that it cannot read.")
    for row in findings.changes[findings.changes["low"].notna()].to_dict("records"):
        change, low, high = (100 * row[name] for name in ("change", "low", "high"))
        # Changes with each year are small: their intervals say something with two digits.
        digits = 1 if high - low >= 1 else 2
        interval = f" ({low:+.{digits}f} to {high:+.{digits}f})" if low < high else ""
        lines.append(f"{row['what']}, {row['topic']}: {change:+.{digits}f} points{interval}")
    return lines + _without_interval(findings)


def _without_interval(findings: Findings) -> list[str]:
    """Why a difference that was asked for is not shown."""
    if findings.compared is None:
        return []
    unknown = findings.table[findings.table["low"].isna()]
    n_labels = _labels_of_groups(unknown)
    few = [
        f"{name} has {n_labels[name]} of the {LEAST_LABELS} labels that it needs"
        if n_labels[name] < LEAST_LABELS
        else f"{name} has labels in too few articles"
        for name in findings.compared
        if name in n_labels
    ]
    what = " minus ".join(findings.compared)
    return [f"{what}: not shown, because {' and '.join(few)}"] if few else []


def _labels_of_groups(table: pd.DataFrame) -> dict[str, int]:
    """Name of each group in a part of the table of findings → its number of labels."""
    keys = [name for name in table if name not in COLUMNS]
    first = table.drop_duplicates(keys)
    names = map(", ".join, first[keys].itertuples(index=False, name=None))
    return dict(zip(names, first["labels"].tolist(), strict=True))


def _lacking(findings: Findings) -> str:
    """How many labels more the groups without an interval need for one."""
    table = findings.table[findings.table["rests_on"] == BORROWED]
    there = table["paragraphs" if "paragraphs" in table else "articles"]
    left = _labels_of_groups(table.assign(labels=there - table["labels"]))
    n_labels = _labels_of_groups(table)
    missing = [f"{min(LEAST_LABELS - n, left[name])} in {name}" for name, n in n_labels.items()]
    listed = ", ".join(missing[:MOST_LISTED])
    more = f" and {len(missing) - MOST_LISTED} more" if len(missing) > MOST_LISTED else ""
    return (
        f"  More labels needed for an interval: {listed}{more}.\n"
        "  `paratopic label --random` draws from all groups. If a whole group is labelled, its "
        "share is a count."
    )


def _verdict(p: float | None) -> str:
    """What labels say of the assumption that the model errs alike in all groups."""
    if p is None:
        return ""
    if p < 0.05:
        return f" The labels contradict that ({write_p(p)}): do not report these shares."
    return f" The labels give no evidence against that ({write_p(p)})."


def counting(counted: Counted, copies: bool) -> str:
    """Say what counts equally much; the parameters are those of `Corpus` and `Corpus.masses`."""
    often = "each copy counts" if copies else "it counts once for each value of --by"
    return f"{COUNTS[counted]} If a text occurs several times, {often}."


def outlook(findings: Findings, corpus: Corpus) -> list[str]:
    """Lines on what is not counted, and on how many labels more make all intervals narrow."""
    lines = []
    if n := corpus.n_boilerplate:
        left_out = plural(n, "paragraph")
        lines.append(f"Not counted: {left_out} of boilerplate (prepare.skip_boilerplate).")
    lacking = {half: more for half in NARROW if (more := labels_for(half, findings, corpus))}
    if lacking:
        halves = (f"± {100 * half:.0f} points, about {n:,} more" for half, n in lacking.items())
        units = "articles" if corpus.counted == "articles" else "paragraphs"
        lines.append(
            f"To narrow the intervals for the whole corpus, label {units} drawn at random: for "
            f"{'; for '.join(halves)}."
        )
    return lines


def labels_for(half_width: float, findings: Findings, corpus: Corpus) -> int:
    """How many labels more, drawn at random, make the intervals of all of a corpus so narrow.

    Widths fall with the root of the number of labels, and of what is left to label. Better
    predictions, which more labels give too, are not counted on.

    Parameters
    ----------
    half_width
        Half of the widest interval of the outcomes, such as 0.02.
    """
    whole = findings.table[: findings.table["topic"].nunique()]
    widest, n_labels = float((whole["high"] - whole["low"]).max()) / 2, int(whole["labels"].iloc[0])
    if widest <= half_width:
        return 0
    # Where texts are from articles that were drawn, intervals do not count on what is left.
    share = 0 if corpus.articles is not None else 1 / len(corpus.probabilities)
    noise = (1 / n_labels - share) * (half_width / widest) ** 2
    return math.ceil(1 / (share + noise) - n_labels)


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
