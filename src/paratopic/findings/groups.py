"""Tables of shares: how much of a corpus is about each topic, by period, source or any column.

`shares` has the estimates. This module reads no files and plots nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import pandas as pd

from paratopic.corpus.table import PERIODS, UNKNOWN, column_values, row_numbers, values_by
from paratopic.evaluation.intervals import Estimate
from paratopic.findings.population import Corpus
from paratopic.findings.shares import (
    Part,
    adjusted_outcomes,
    difference,
    equal_errors_p,
    shares,
    shares_of_parts,
    trend,
)
from paratopic.inference.modes import Array, ratio
from paratopic.project.errors import UserError
from paratopic.project.topics import NO_TOPIC

# Period → its unit.
UNITS = {"decade": "decade", "year": "year", "month": "month", "date": "day"}
# Number of months that a chart has room for; more are shown as years.
MOST_MONTHS = 24
# Names of parts that are numbers or decades.
_NUMBERS = re.compile(r"-?\d{1,9}|\d{3}0s")
# Columns of tables of shares, except those that divide the corpus.
COLUMNS = ("what", "topic", "share", "low", "high", "paragraphs", "articles", "labels", "rests_on")
# Columns of paragraphs that are no regressors.
NON_REGRESSORS = ("text", "before", "after", "ordered", "boilerplate")


@dataclass(frozen=True)
class Grouping:
    """Parts of a corpus, by the values of columns.

    Parameters
    ----------
    keys
        Values of the columns in each part, in the order of the table.
    members
        For each part, whether each row is in it, 1 or 0.
    times
        Time of each part except `UNKNOWN`; empty if the parts are no periods.
    """

    columns: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    members: tuple[Array, ...]
    times: Mapping[tuple[str, ...], float]


def group_rows(rows: pd.DataFrame, columns: Sequence[str]) -> Grouping:
    """Divide rows by the values of one or two columns, or by `PERIODS` of the column date.

    A missing value is `UNKNOWN`. Parts are in the order of time, or else of `_ranks`; those with an
    unknown value are last. A `UserError` reports a missing column, no date exact enough for a
    period, or two parts of one name, or one with that of the whole corpus (`ALL`).
    """
    keys = list(zip(*(column_values(rows, name) for name in columns), strict=True))
    counts = Counter(keys)
    name_counts = Counter([ALL, *map(", ".join, counts)])
    repeated = [name for name, n in name_counts.items() if n > 1]
    if repeated:
        raise UserError(
            f"--by {' --by '.join(columns)}: two rows of the table would be called {repeated[0]}; "
            "rename such values"
        )
    known = [key for key in set(keys) if UNKNOWN not in key]
    times = _times(columns[0], known) if len(columns) == 1 else {}
    ranks = times or _ranks(rows, columns, {key: counts[key] for key in known})
    ordered = sorted(known, key=lambda key: (ranks[key], key)) + sorted(set(keys) - set(known))
    members = []
    for part in ordered:
        members.append(np.array([key == part for key in keys], dtype=np.float64))
    return Grouping(tuple(columns), tuple(ordered), tuple(members), times)


def _ranks(
    rows: pd.DataFrame, columns: Sequence[str], counts: Mapping[tuple[str, ...], int]
) -> dict[tuple[str, ...], float]:
    """Ranks of parts that are no periods, by their `counts` of rows; equal ranks sort by name.

    Values of two columns, or that all begin with a digit, have equal ranks. Others have the order
    of their dates if they follow each other, such as presidents, or else the most frequent first.
    """
    if len(columns) > 1 or all(key[0][:1].isdigit() for key in counts):
        return dict.fromkeys(counts, 0.0)
    return _date_ranks(rows, columns[0]) or {key: -float(n) for key, n in counts.items()}


def _date_ranks(rows: pd.DataFrame, column: str) -> dict[tuple[str, ...], float]:
    """(value,) → rank by date, from 0; empty if a value has no date, or dates of two overlap."""
    if "date" not in rows or column == "date":
        return {}
    dates = rows["date"].groupby(rows[column]).agg(["min", "max"]).sort_values(["min", "max"])
    if dates.isna().any(axis=None) or (dates["min"][1:] < dates["max"].to_numpy()[:-1]).any():
        return {}
    return {(str(value),): float(rank) for rank, value in enumerate(dates.index)}


def periods_of(rows: pd.DataFrame) -> list[str]:
    """Names among month, year and decade with two or more known values, the shortest period first.

    Months are left out if there are more than `MOST_MONTHS`, or if a date has a year but no month.
    """
    dates = {"date": rows["date"].tolist()} if "date" in rows else {}
    periods = {name: values_by(dates, name, len(rows)) for name in ("month", "year", "decade")}
    pairs = zip(periods["month"], periods["year"], strict=True)
    months = {month for month, year in pairs if year != UNKNOWN}
    if len(months) > MOST_MONTHS or UNKNOWN in months:
        del periods["month"]
    return [name for name, values in periods.items() if len({*values} - {UNKNOWN}) > 1]


def _times(column: str, keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """Times of values that are periods, or whole numbers such as years; empty for others."""
    if column not in PERIODS and not all(_NUMBERS.fullmatch(name) for name, *_ in keys):
        return {}
    try:
        return {key: time_of(key[0]) for key in keys}
    except ValueError:  # The table has a column of its own that is named month, for instance.
        return {}


def time_of(value: str) -> float:
    """Number of a period: "1971-09" is month 20 from 1970, "1960s" decade 196, and "7" is 7."""
    if value.endswith("0s"):
        return float(value[:-2])
    return float(np.datetime64(value).astype(np.int64) if "-" in value[1:] else value)


def value_at(time: float, like: str) -> str:
    """Value at a time, in the format of `like`; the inverse of `time_of`.

    >>> value_at(20, like="2025-04"), value_at(196, like="2020s"), value_at(1971, like="2025")
    ('1971-09', '1960s', '1971')
    """
    if like.endswith("0s"):
        return f"{time:.0f}0s"
    if "-" in like[1:]:
        return str(np.datetime64(int(time), "M" if len(like) == len("2025-04") else "D"))
    return f"{time:.0f}"


@dataclass(frozen=True)
class Findings:
    """Shares of a corpus and of its parts.

    Parameters
    ----------
    table
        A line for each part and outcome: the part's values of the columns, topic, share, low, high
        (NaN for no interval), paragraphs (except for shares of articles), articles, labels, and
        rests_on (`OWN`, `FEW`, `BORROWED` or `COUNT`). The whole corpus, `ALL`, is first.
    changes
        A line for each difference or trend and outcome: what, topic, change, low, high.
    differ
        p-value of the test whether the model errs alike in all parts; None, the default, if it was
        not tested.
    is_time
        Whether the values of the first column are periods or other times.
    compared
        Names of the two groups of the difference, the first minus the second; None, the default,
        if there is no difference.
    is_effective
        Whether the numbers of labels are effective ones, because some counts are below 1.
    """

    table: pd.DataFrame
    changes: pd.DataFrame
    differ: float | None = None
    is_time: bool = False
    compared: tuple[str, str] | None = None
    is_effective: bool = False

    @property
    def errs_alike(self) -> bool:
        """Whether the test does not reject that the model errs alike in all parts."""
        return self.differ is None or self.differ >= ALIKE

    @property
    def unit(self) -> str:
        """Unit of the parts: "paragraphs", or "articles" for shares of articles."""
        return "paragraphs" if "paragraphs" in self.table else "articles"

    @property
    def is_trend(self) -> pd.Series:
        """Whether each line of `changes` is a trend, and not a difference."""
        return self.changes["what"] != " minus ".join(self.compared or ())

    @property
    def groups(self) -> pd.DataFrame:
        """A row for each part, whose name is the index; the whole corpus is first.

        Columns are those of the table for the first outcome; widest, half of the widest interval of
        an outcome, NaN if one has none; and n, the number of paragraphs or articles.
        """
        table, n_topics = self.table, self.table["topic"].nunique()
        halves = (table["high"] - table["low"]).to_numpy() / 2
        first = table[::n_topics].assign(widest=halves.reshape(-1, n_topics).max(axis=1))
        keys = [name for name in table if name not in COLUMNS]
        first.index = pd.Index(map(", ".join, first[keys].itertuples(index=False, name=None)))
        return first.assign(n=first[self.unit])

    @property
    def parts(self) -> pd.DataFrame:
        """Lines of the parts, without the part of unknown time."""
        first = self.table.iloc[:, 0]
        return self.table[~first.isin([ALL, UNKNOWN] if self.is_time else [ALL])]


# Level of the test whether the model errs alike in all parts.
ALIKE = 0.05
# Values of the column rests_on.
OWN, FEW = "its own labels", "few labels"
BORROWED = "all labels (assumes equal errors in all groups)"
COUNT = "a count: all of it is labelled"
# Name of the whole corpus. It has brackets, because a column may have the value "all".
ALL = "(all)"
# Longest name of a group, in characters, that is shown uncut.
LONGEST_NAME = 30


def find_shares(
    corpus: Corpus,
    columns: Sequence[str],
    confidence: float,
    *,
    copies: bool = True,
    compare: tuple[str, str] | None = None,
    seed: int | None = None,
) -> Findings:
    """Estimate shares of a corpus and, if there are `columns`, of its parts (`group_rows`).

    Parameters
    ----------
    copies
        Whether each copy of a text in a part counts, by default. If not, they count as one.
    compare
        Names of two parts, for the first minus the second; with two columns, a name is "A, B". By
        default, of the parts without `UNKNOWN`, the last minus the first if they are periods or
        only two, and else none. An unknown name is a `UserError`, as is a column that `group_rows`
        refuses. Without columns, `compare` and `seed` have no effect.
    seed
        Seed of the test whether the model errs alike in all parts. None, the default, for no test.
    """
    all_rows = np.ones(len(corpus.rows))
    is_effective = not (corpus.effective_counts > 0.999).all()
    overall = shares(corpus, corpus.masses(all_rows, copies), confidence)
    table = [_part_rows(corpus, dict.fromkeys(columns, ALL), all_rows, overall)]
    if not columns:
        return Findings(table[0], pd.DataFrame(columns=CHANGES), is_effective=is_effective)
    grouping = group_rows(corpus.rows, columns)
    masses = [corpus.masses(members, copies) for members in grouping.members]
    parts = shares_of_parts(corpus, masses, confidence)
    for key, members, part in zip(grouping.keys, grouping.members, parts, strict=True):
        table.append(_part_rows(corpus, dict(zip(columns, key, strict=True)), members, part))
    compared = _compared(grouping, compare)
    changes = _changes(corpus, grouping, parts, masses, confidence, compared)
    differ = None if seed is None else equal_errors_p(corpus, masses, seed)
    is_time = bool(grouping.times or group_rows(corpus.rows, columns[:1]).times)
    lines = pd.concat(table, ignore_index=True)
    return Findings(lines, changes, differ, is_time, compared, is_effective)


def rows_to_regress(
    corpus: Corpus, frame: pd.DataFrame, with_texts: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """Make a row for each paragraph or article, for a regression in R or statsmodels.

    A `UserError` reports two columns that would have the same name.

    Parameters
    ----------
    frame
        Table of all paragraphs, for their numbers (`row_numbers`); articles have no column `row`.
    with_texts
        Whether to add a column with the texts; no by default.

    Returns
    -------
    The table, in the order of `corpus.rows`: their columns except `NON_REGRESSORS`; `row`, after
    `id`; `labelled`, whether the text is in the sample; and for each outcome `topic_NAME` with the
    values of `shares.adjusted_outcomes`, where "_" replaces signs that formulas do not allow, and
    the name of no topic is "none". It lacks outcomes that no label has, because their predictions
    cannot be corrected; the second value lists their names in `Corpus.outcomes`.
    """
    masses = corpus.masses(np.ones(len(corpus.rows)), copies=True)
    names = ["topic_" + re.sub(r"\W", "_", short_name(name)) for name in corpus.outcomes]
    outcomes = pd.DataFrame(adjusted_outcomes(corpus, masses)[corpus.text_numbers], columns=names)
    is_known = corpus.truth.max(axis=0).tolist()
    outcomes = outcomes[list(compress(names, is_known))]
    unknown = [name for name, known in zip(corpus.outcomes, is_known, strict=True) if not known]
    left_out = {*NON_REGRESSORS} - ({"text"} if with_texts else set())
    metadata = corpus.rows[[name for name in corpus.rows if name not in left_out]]
    if "id" in metadata:
        metadata.insert(1, "row", metadata["id"].map(row_numbers(frame)), allow_duplicates=True)
    counts = Counter([*metadata, *outcomes, "labelled"])
    repeated = [name for name, n in counts.items() if n > 1]
    if repeated:
        raise UserError(
            f"--rows: two columns would be called {repeated[0]}; rename the topic, or the column "
            "of metadata"
        )
    is_labelled = np.isin(corpus.text_numbers, corpus.labelled)
    metadata = metadata.reset_index(drop=True).assign(labelled=is_labelled)
    return pd.concat([metadata, outcomes], axis=1), unknown


def abridged(name: str) -> str:
    """Cut the middle out of a long name, because names of groups differ at the beginning or end.

    >>> abridged("Committee on Foreign Affairs, Senate")
    'Committee on Fo…ffairs, Senate'
    """
    return name if len(name) <= LONGEST_NAME else f"{name[:15]}…{name[-14:]}"


def short_name(outcome: str) -> str:
    """Name of an outcome, with "none" for none of the topics."""
    return "none" if outcome == NO_TOPIC else outcome


def _part_rows(corpus: Corpus, key: Mapping[str, str], members: Array, part: Part) -> pd.DataFrame:
    """Lines of `Findings.table`, one by outcome, for a part with `members` (1 or 0) and `key`."""
    rows = corpus.rows[members > 0]
    sizes = {} if corpus.counted == "articles" else {"paragraphs": len(rows)}
    sizes |= {"articles": rows["article"].nunique(), "labels": part.n_labels}
    lines = _estimate_lines(corpus, key, "share", part.shares)
    basis = FEW if part.shares[0].low is None else OWN
    if part.is_count or part.is_borrowed:
        basis = COUNT if part.is_count else BORROWED
    return lines.assign(**sizes, rests_on=basis)


def _estimate_lines(
    corpus: Corpus, key: Mapping[str, str], name: str, estimates: Sequence[Estimate]
) -> pd.DataFrame:
    """Make a line for each outcome: key, topic, the value in column `name`, low and high."""
    lines = [
        {**key, "topic": topic, name: estimate.value, "low": estimate.low, "high": estimate.high}
        for topic, estimate in zip(corpus.outcomes, estimates, strict=True)
    ]
    return pd.DataFrame(lines).astype({"low": float, "high": float})


# Columns of the table of changes.
CHANGES = ["what", "topic", "change", "low", "high"]


def _compared(grouping: Grouping, compare: tuple[str, str] | None) -> tuple[str, str] | None:
    """Names of two parts, minuend first: `compare`, or by default the last part and the first.

    The default leaves out `UNKNOWN`, and is None unless the parts are periods or only two. A
    `UserError` reports a name in `compare` that no part has.
    """
    names = [", ".join(key) for key in grouping.keys]
    known = [name for name, key in zip(names, grouping.keys, strict=True) if UNKNOWN not in key]
    if compare is None and len(known) > 1 and (grouping.times or len(known) == 2):
        return known[-1], known[0]
    for name in compare or ():
        if name not in names:
            listed = ", ".join(names)
            raise UserError(f"--compare {name}: there is no such value; the values are {listed}")
    return compare


def _changes(
    corpus: Corpus,
    grouping: Grouping,
    parts: Sequence[Part],
    masses: Sequence[Array],
    confidence: float,
    compared: tuple[str, str] | None,
) -> pd.DataFrame:
    """`Findings.changes`: "A minus B" if compared, "trend per UNIT" with 3 or more known times."""
    names = [", ".join(key) for key in grouping.keys]
    known = [number for number, key in enumerate(grouping.keys) if UNKNOWN not in key]
    tables = []
    if compared is not None:
        minuend = parts[names.index(compared[0])].shares
        subtrahend = parts[names.index(compared[1])].shares
        gaps = list(map(difference, minuend, subtrahend))
        tables.append(_estimate_lines(corpus, {"what": " minus ".join(compared)}, "change", gaps))
    if len(known) > 2 and grouping.times:
        total = np.sum([masses[part] for part in known], axis=0)
        weighted = [masses[part] * grouping.times[grouping.keys[part]] for part in known]
        times = ratio(np.sum(weighted, axis=0), total)
        column = grouping.columns[0]
        # The unit of a column with numbers is not known.
        unit = UNITS[column] if column in PERIODS else f"unit of {column}"
        slopes = trend(corpus, total, times, confidence)
        tables.append(_estimate_lines(corpus, {"what": f"trend per {unit}"}, "change", slopes))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=CHANGES)
