"""Slices of the evaluated paragraphs where answers are worse than elsewhere, beyond chance.

Many slices are tried, so that some look bad by chance. Right and wrong answers are shuffled over
the paragraphs, and each time the largest gap of all slices is noted. The p-value of a slice is the
share of shuffles whose largest gap is at least its own (Westfall & Young 1993, maxT). So at most
one report in twenty names a slice where nothing is wrong, however many slices there are.

Paragraphs of an article err together. Shuffles of whole articles would show how much if all were of
one size, but they are not. So each gap is divided by the root of its design effect (Kish 1965): how
many times larger its variance is with the groups of the folds than with as many independent
paragraphs. Nothing is read here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paratopic.corpus.effective import effective_size, measured_design_effect, summed
from paratopic.corpus.table import PARAGRAPHS_SCHEMA, PERIODS, UNKNOWN, values_by, values_of
from paratopic.evaluation.intervals import DESIGN_EFFECT, few_groups, jeffreys, write_p
from paratopic.evaluation.outcomes import Answered
from paratopic.inference.modes import Array, Integers, Targets
from paratopic.project.errors import UserError, plural
from paratopic.project.scripts import n_words

# Paragraphs that a slice has at least, and all others together.
LEAST = 10
# A column of metadata with more values makes no slices; periods may have more.
MOST_VALUES = 30
# A slice is named if chance gives such a gap in fewer reports.
ALPHA = 0.05
N_PERMUTATIONS = 2000
# Permutations at a time.
STEP = 250
# Gaps that differ less are equal but for rounding.
ROUNDING = 1e-9
# Thirds by length, and by position in the article.
LENGTHS = ("shortest third", "middle third", "longest third")
PLACES = ("first third", "middle third", "last third")


@dataclass(frozen=True)
class Slice:
    """Evaluated paragraphs with the same value of a column.

    Parameters
    ----------
    accuracy
        Share of their answers that are right.
    elsewhere
        Share of the other paragraphs' answers that are right.
    p
        Probability that any slice looks as bad as this one where no slice is worse than another.
    """

    column: str
    value: str
    n: int
    accuracy: float
    low: float
    high: float
    elsewhere: float
    p: float

    @property
    def is_worse(self) -> bool:
        """Whether it is worse by more than chance explains."""
        return self.p < ALPHA

    def __str__(self) -> str:
        here, low, high, there = (
            f"{100 * share:.0f}" for share in (self.accuracy, self.low, self.high, self.elsewhere)
        )
        return (
            f"{self.column} = {self.value}: {here}% of {self.n} answers right ({low}–{high}), "
            f"against {there}% elsewhere ({write_p(self.p)})"
        )


def describe_slices(slices: Sequence[Slice]) -> list[str]:
    """A line that says whether any slice from `find_slices` is worse, and one for each that is."""
    worse = [str(each) for each in slices if each.is_worse]
    tested = plural(len(slices), "slice was", "slices were")
    if worse:
        verdict = (
            "Slices (parts of the paragraphs) where the answers are worse, of "
            f"{len(slices)} tested (by chance alone, at most one report in twenty lists any):"
        )
        return [verdict, *worse]
    if not slices:
        return ["No slice is large enough to test."]
    return [f"{tested} tested, and none is worse by more than chance explains."]


def columns_of(
    rows: pd.DataFrame,
    ids: Sequence[str],
    annotators: Mapping[str, str],
    wanted: Sequence[str] = (),
) -> dict[str, list[str]]:
    """Columns whose values make slices.

    Parameters
    ----------
    rows
        All paragraphs, with columns of what each is from.
    ids
        Ids of the n paragraphs that are evaluated.
    wanted
        Names of the columns to keep; all by default.

    Returns
    -------
    Name → value of each of the n paragraphs, "" for none: length, position (in the article),
    heading, annotator, the columns of what paragraphs are from that have at most `MOST_VALUES`
    values, and the periods of their dates.

    Raises
    ------
    UserError
        There is no such column, or it has too many values.
    """
    fields = [str(name) for name in rows if name not in PARAGRAPHS_SCHEMA.names]
    rows = rows.assign(place=_places(rows)).set_index("id", drop=False).loc[list(ids)]
    lengths = [n_words(text) for text in rows["text"]]
    thirds = np.searchsorted(np.quantile(lengths, [1 / 3, 2 / 3]), lengths)
    columns = {
        "length": [LENGTHS[third] for third in thirds],
        "position": rows["place"].tolist(),
        "heading": ["under a heading" if cell else "under none" for cell in rows["heading"]],
        "annotator": [annotators.get(id_, "") for id_ in ids],
    }
    dates = {name: rows[name].tolist() for name in PERIODS if name in fields}
    periods = {name: values_by(dates, name, len(rows)) for name in PERIODS if name != "date"}
    columns |= {name: values for name, values in periods.items() if set(values) != {UNKNOWN}}
    given = {name: values_of(rows, name) for name in fields if name != "date"}
    many = {name: n for name, values in given.items() if (n := len({*values})) > MOST_VALUES}
    columns |= {name: values for name, values in given.items() if name not in many}
    for name in wanted:
        if name in many:
            raise UserError(
                f"--by {name}: the column has {many[name]} values; slices need a column "
                f"with {MOST_VALUES} or fewer"
            )
        if name not in columns:
            known = ", ".join(columns)
            raise UserError(f"--by {name}: there is no such column; the columns are {known}")
    return {name: columns[name] for name in columns if not wanted or name in wanted}


def _places(frame: pd.DataFrame) -> list[str]:
    """The third of its article that each paragraph is in; "" where rows are in no order."""
    grouped = frame.groupby("article")["position"]
    thirds = 3 * (grouped.rank(method="first") - 0.5) / grouped.transform("size")
    places = np.where(frame["ordered"], np.array(PLACES)[thirds.astype(int)], "")
    return [str(place) for place in places]


def find_slices(
    columns: Mapping[str, Sequence[str]], answers: Answered, confidence: float, seed: int
) -> list[Slice]:
    """Compare the answers in each slice with those elsewhere, by the columns of `columns_of`.

    Returns
    -------
    The worst first. A slice is left out if it or the rest has fewer than `LEAST` paragraphs, or if
    an earlier slice has the same ones.
    """
    outcomes = answers.outcomes
    members = _members(columns, outcomes.counts > 0)
    if not members:
        return []
    inside = np.array([chosen for _, _, chosen in members]).T * outcomes.counts[:, None]
    outside = outcomes.counts[:, None] - inside
    right, inside_share = answers.right, inside / inside.sum(axis=0)
    gaps_of = outside / outside.sum(axis=0) - inside_share
    effect = np.sqrt(_design_effects(gaps_of, right, outcomes.groups))
    effect *= few_groups(len(outcomes.group_sizes), confidence)
    gaps = right @ gaps_of
    rng, steps = np.random.default_rng(seed), range(0, N_PERMUTATIONS, STEP)
    chances = np.concatenate(
        [rng.permuted(np.tile(right, (STEP, 1)), axis=1) @ gaps_of for _ in steps]
    )
    noises = chances.std(axis=0)
    noises[noises < ROUNDING] = np.inf  # all answers are right, or all are wrong
    largest = (chances / noises).max(axis=1)
    reached = largest[:, None] >= gaps / noises / effect - ROUNDING
    ps = (reached.sum(axis=0) + 1) / (N_PERMUTATIONS + 1)
    slices = []
    for (column, value, _), shares, gap, p in zip(members, inside_share.T, gaps, ps, strict=True):
        accuracy, n = float(right @ shares), int(np.count_nonzero(shares))
        low, high = _interval(accuracy, shares, right, outcomes.groups, confidence)
        elsewhere = accuracy + float(gap)
        slices.append(Slice(column, value, n, accuracy, low, high, elsewhere, float(p)))
    return sorted(slices, key=lambda each: (each.p, each.accuracy - each.elsewhere))


def _members(
    columns: Mapping[str, Sequence[str]], counted: Targets
) -> list[tuple[str, str, Targets]]:
    """Column and value of each slice, and whether each paragraph is in it, (n,)."""
    members: dict[bytes, tuple[str, str, Targets]] = {}
    for column, values in columns.items():
        cells = np.array(values, dtype=object)
        for value in sorted(set(values) - {""}):
            chosen = (cells == value) & counted
            if LEAST <= chosen.sum() <= counted.sum() - LEAST:
                members.setdefault(chosen.tobytes(), (column, value, chosen))
    return list(members.values())


def _design_effects(gaps_of: Array, right: Array, groups: Integers) -> Array:
    """Design effects, (s,), at least 1, of gaps in which n answers have these weights, (n, s)."""
    sizes = np.bincount(groups)[:, None]
    errors = (right - right.mean())[:, None]
    between = (summed(gaps_of, groups) / sizes)[groups]
    # A gap that all groups have within them is no noise.
    parts = gaps_of * errors - ((gaps_of - between) * errors).mean(axis=0)
    return np.maximum(measured_design_effect(parts, groups), 1.0)


def _interval(
    accuracy: float, shares: Array, right: Array, groups: Integers, confidence: float
) -> tuple[float, float]:
    """Interval of the accuracy of a slice, in which each answer has a share; they sum to 1."""
    rows = float(effective_size(shares))
    near = (accuracy * rows + 0.5) / (rows + 1)
    spread = near * (1 - near)
    seen = float((summed(shares * (right - accuracy), groups) ** 2).sum())
    size = spread / (DESIGN_EFFECT * max(seen, spread / rows))
    return jeffreys(accuracy, size, confidence)
