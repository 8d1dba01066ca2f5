"""Findings about a corpus: how much of it is about what, by period, source or any column.

The estimates are for `shares`, and the corpus is for `population`. Here estimates become lines of a
table, about which `wording` has sentences. No file is read, and nothing is plotted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import pandas as pd

from paratopic.corpus.table import PERIODS, UNKNOWN, row_numbers, values_by, values_of
from paratopic.evaluation.intervals import Estimate
from paratopic.findings.population import Corpus
from paratopic.findings.shares import (
    Part,
    adjusted,
    difference,
    errors_differ,
    shares,
    shares_of_parts,
    trend,
)
from paratopic.inference.modes import Array, ratio
from paratopic.project.errors import UserError
from paratopic.project.topics import NO_TOPIC

# Period → its unit.
UNITS = {"decade": "decade", "year": "year", "month": "month", "date": "day"}
# Months that a picture has room for; more are shown as years.
MOST_MONTHS = 24
# Whole numbers, or decades.
_NUMBERS = re.compile(r"-?\d{1,9}|\d{3}0s")
# Columns of tables of shares, beside those that the corpus is divided by.
COLUMNS = ("what", "topic", "share", "low", "high", "paragraphs", "articles", "labels", "rests_on")
# Columns of paragraphs that no regression is on.
NOT_ABOUT = ("text", "before", "after", "ordered", "boilerplate")


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
    """Divide paragraphs by the values of one or two columns, or by `PERIODS` of the column date.

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
    # In the order of time, or of names such as "1990s"; else the most frequent value comes first,
    # unless values follow each other in time, such as presidents.
    by_name = len(columns) > 1 or all(key[0][:1].isdigit() for key in known)
    others = {key: 0.0 if by_name else -counts[key] for key in known}
    rank = times or (_order_of_dates(rows, columns[0]) if not by_name else {}) or others
    ordered = sorted(known, key=lambda key: (rank[key], key)) + sorted(set(keys) - set(known))
    members = tuple(np.array([key == name for key in keys], dtype=np.float64) for name in ordered)
    return Grouping(tuple(columns), tuple(ordered), members, times)


def _order_of_dates(rows: pd.DataFrame, column: str) -> dict[tuple[str, ...], float]:
    """Rank of each value of a column by its dates; empty if values do not follow each other."""
    if "date" not in rows or column == "date":
        return {}
    dates = rows["date"].groupby(rows[column]).agg(["min", "max"]).sort_values(["min", "max"])
    if dates.isna().any(axis=None) or (dates["min"][1:] < dates["max"].to_numpy()[:-1]).any():
        return {}
    return {(str(value),): float(rank) for rank, value in enumerate(dates.index)}


def periods_of(rows: pd.DataFrame) -> list[str]:
    """The periods that paragraphs can be divided by, the shortest first.

    Months are none of them where they are many, or not known of all dates.
    """
    dates = {"date": rows["date"].tolist()} if "date" in rows else {}
    of_rows = {name: values_by(dates, name, len(rows)) for name in ("month", "year", "decade")}
    months = {
        month
        for month, year in zip(of_rows["month"], of_rows["year"], strict=True)
        if year != UNKNOWN
    }
    if len(months) > MOST_MONTHS or UNKNOWN in months:
        del of_rows["month"]
    return [name for name, values in of_rows.items() if len({*values} - {UNKNOWN}) > 1]


def _times(column: str, keys: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """Times of the values of a column that are periods, or whole numbers such as years."""
    if column not in PERIODS and not all(_NUMBERS.fullmatch(name) for name, *_ in keys):
        return {}
    try:
        return {key: time_of(key[0]) for key in keys}
    except ValueError:  # a column of one's own that is named month, say
        return {}


def time_of(value: str) -> float:
    """A whole number, or that of a period: "1971-09" is month 20 from 1970, "1960s" decade 196."""
    if value.endswith("0s"):
        return float(value[:-2])
    return float(np.datetime64(value).astype(np.int64) if "-" in value[1:] else value)


def value_at(time: float, like: str) -> str:
    """The value at a time, written as another one.

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
    is_effective
        Whether some labels count in part, so that the numbers of labels are effective ones.
    """

    table: pd.DataFrame
    changes: pd.DataFrame
    differ: float | None = None
    is_time: bool = False
    compared: tuple[str, str] | None = None
    is_effective: bool = False

    @property
    def errs_alike(self) -> bool:
        """Whether labels do not contradict that the model errs alike in all parts."""
        return self.differ is None or self.differ >= ALIKE

    @property
    def unit(self) -> str:
        """What parts consist of: paragraphs, or articles if the shares are of these."""
        return "paragraphs" if "paragraphs" in self.table else "articles"

    @property
    def is_trend(self) -> pd.Series:
        """Which lines of the changes are trends, and no differences."""
        return self.changes["what"] != " minus ".join(self.compared or ())

    @property
    def groups(self) -> pd.DataFrame:
        """A row for each part, by its name, that of all of the corpus first.

        Columns as in the table, of the first topic; n, how many paragraphs or articles it has; and
        widest, half of its widest interval, NaN if it has none.
        """
        table, n_topics = self.table, self.table["topic"].nunique()
        halves = (table["high"] - table["low"]).to_numpy() / 2
        first = table[::n_topics].assign(widest=halves.reshape(-1, n_topics).max(axis=1))
        keys = [name for name in table if name not in COLUMNS]
        first.index = pd.Index(map(", ".join, first[keys].itertuples(index=False, name=None)))
        return first.assign(n=first[self.unit])

    @property
    def parts(self) -> pd.DataFrame:
        """The lines of the parts, without those of a time that is not known."""
        first = self.table.iloc[:, 0]
        return self.table[~first.isin([ALL, UNKNOWN] if self.is_time else [ALL])]


# Probability below which labels contradict that the model errs alike.
ALIKE = 0.05
# What a share rests on.
OWN, BORROWED, FEW = (
    "its own labels",
    "all labels (assumes equal errors in all groups)",
    "few labels",
)
COUNT = "a count: all of it is labelled"
# As in `UNKNOWN`, brackets: a column may have the value "all".
ALL = "(all)"
LONGEST_NAME = 30


def find(
    corpus: Corpus,
    columns: Sequence[str],
    confidence: float,
    *,
    copies: bool = True,
    compare: tuple[str, str] | None = None,
    seed: int | None = None,
) -> Findings:
    """Estimate shares of all of a corpus and of its parts, if any `columns` divide it (`group`).

    Parameters
    ----------
    compare
        Names of two parts, the first of which is compared with the second. By default the last
        period is compared with the first; or the two parts, if there are two.
    seed
        Seed of the test whether the model errs alike in all parts. None, the default, for no test.

    Raises
    ------
    UserError
        A column or part does not exist.
    """
    everything, in_part = np.ones(len(corpus.rows)), not (corpus.effective_counts > 0.999).all()
    whole = shares(corpus, corpus.masses(everything, copies), confidence)
    table = [_lines(corpus, dict.fromkeys(columns, ALL), everything, whole)]
    if not columns:
        return Findings(table[0], pd.DataFrame(columns=CHANGES), is_effective=in_part)
    grouping = group(corpus.rows, columns)
    of_parts = [corpus.masses(members, copies) for members in grouping.members]
    parts = shares_of_parts(corpus, of_parts, confidence)
    for key, members, part in zip(grouping.keys, grouping.members, parts, strict=True):
        table.append(_lines(corpus, dict(zip(columns, key, strict=True)), members, part))
    compared = _compared(grouping, compare)
    changes = _changes(corpus, grouping, parts, of_parts, confidence, compared)
    differ = None if seed is None else errors_differ(corpus, of_parts, seed)
    is_time = bool(grouping.times or group(corpus.rows, columns[:1]).times)
    lines = pd.concat(table, ignore_index=True)
    return Findings(lines, changes, differ, is_time, compared, in_part)


def rows_to_regress(
    corpus: Corpus, frame: pd.DataFrame, with_texts: bool = False
) -> tuple[pd.DataFrame, list[str]]:
    """A row for each paragraph or article, for a regression in R or statsmodels.

    Parameters
    ----------
    frame
        All paragraphs, of which `corpus.table.row_numbers` tells the place of each.

    Returns
    -------
    What the row is from, whether it is labelled, and for each outcome a column `topic_NAME` of
    `shares.adjusted`, whose name formulas can have. Outcomes that no label has are left out:
    nothing corrects them. Then the names of these outcomes.
    """
    masses = corpus.masses(np.ones(len(corpus.rows)), copies=True)
    names = ["topic_" + re.sub(r"\W", "_", short(name)) for name in corpus.outcomes]
    outcomes = pd.DataFrame(adjusted(corpus, masses)[corpus.place], columns=names)
    is_known = corpus.truth.max(axis=0).tolist()
    outcomes = outcomes[list(compress(names, is_known))]
    unknown = [name for name, known in zip(corpus.outcomes, is_known, strict=True) if not known]
    left_out = {*NOT_ABOUT} - ({"text"} if with_texts else set())
    own = corpus.rows[[name for name in corpus.rows if name not in left_out]]
    if "id" in own:
        own.insert(1, "row", own["id"].map(row_numbers(frame)), allow_duplicates=True)
    columns = Counter([*own, *outcomes, "labelled"])
    if twice := [name for name, n in columns.items() if n > 1]:
        raise UserError(
            f"--rows: two columns would be called {twice[0]}; rename the topic, or the column of "
            "metadata"
        )
    is_labelled = np.isin(corpus.place, corpus.labelled)
    own = own.reset_index(drop=True).assign(labelled=is_labelled)
    return pd.concat([own, outcomes], axis=1), unknown


def abridged(name: str) -> str:
    """A group's name without the middle of a long one: how it begins and ends tells it from others.

    >>> abridged("Committee on Foreign Affairs, Senate")
    'Committee on Fo…ffairs, Senate'
    """
    return name if len(name) <= LONGEST_NAME else f"{name[:15]}…{name[-14:]}"


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
