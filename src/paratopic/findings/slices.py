"""Slices of the evaluated paragraphs where accuracy is lower than elsewhere, beyond chance.

Many slices are tested, so some have low accuracy by chance. Right and wrong predictions are
permuted over the paragraphs, and each permutation records the largest gap of all slices. The
p-value of a slice is the share of permutations whose largest gap is at least its own (Westfall &
Young 1993, maxT). So at most one report in twenty lists a slice if no slice is worse, for any
number of slices.

Errors are correlated within an article. Articles are of different sizes, so they cannot be permuted
as a whole. Instead, each gap is divided by the root of its design effect (Kish 1965): the ratio of
its variance with the groups of the folds to that of as many independent paragraphs. This module
reads no files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paratopic.corpus.effective import effective_size, group_sums, measured_design_effect
from paratopic.corpus.table import PARAGRAPHS_SCHEMA, PERIODS, UNKNOWN, column_values, values_by
from paratopic.evaluation.intervals import DESIGN_EFFECT, few_groups_factor, jeffreys, write_p
from paratopic.evaluation.outcomes import EvaluatedPredictions
from paratopic.inference.modes import Array, Integers, Targets
from paratopic.project.errors import UserError, plural
from paratopic.project.scripts import n_words

# Least number of paragraphs in a slice, and outside of it.
LEAST = 10
# A column of metadata with more values has no slices; periods may have more.
MOST_VALUES = 30
# Level of the test, over all slices of a report.
ALPHA = 0.05
N_PERMUTATIONS = 2000
# Number of permutations in memory at a time.
STEP = 250
# Gaps that differ by less are equal, because of rounding.
ROUNDING = 1e-9
# Names of thirds by length, and by position in the article.
LENGTHS = ("shortest third", "middle third", "longest third")
PLACES = ("first third", "middle third", "last third")


@dataclass(frozen=True)
class Slice:
    """Evaluated paragraphs with the same value of a column.

    Parameters
    ----------
    accuracy
        Share of their predictions that are right, with an interval from `low` to `high`.
    elsewhere
        Share of the other paragraphs' predictions that are right.
    p
        Probability that any slice has such a gap by chance.
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
        """Whether the accuracy is significantly lower than elsewhere."""
        return self.p < ALPHA

    def __str__(self) -> str:
        interval = f"({100 * self.low:.0f}–{100 * self.high:.0f})"
        return (
            f"{self.column} = {self.value}: {100 * self.accuracy:.0f}% of {self.n} answers right "
            f"{interval}, against {100 * self.elsewhere:.0f}% elsewhere ({write_p(self.p)})"
        )


def describe_slices(slices: Sequence[Slice]) -> list[str]:
    """A line on the number of tested slices, even if 0, and then one for each that `is_worse`."""
    worse = [str(row) for row in slices if row.is_worse]
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


def slice_columns(
    rows: pd.DataFrame, ids: Sequence[str], annotators: Mapping[str, str], kept: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Columns whose values divide paragraphs into slices.

    Parameters
    ----------
    rows, ids
        All paragraphs, with columns of metadata, and the ids of the n evaluated ones.
    annotators
        Id of a paragraph → the value of the column annotator.
    kept
        Names of the columns to keep; all by default. A `UserError` reports one that does not exist,
        or that has more than `MOST_VALUES` values.

    Returns
    -------
    Name → value of each of the n paragraphs, in the order of `ids`: length (`LENGTHS`), position
    (`PLACES`; "" for none), heading ("under a heading" or "under none"), annotator ("" for none),
    and, with `UNKNOWN` for none, the periods of the dates and the columns of metadata with at most
    `MOST_VALUES` values.
    """
    fields = [str(name) for name in rows if name not in PARAGRAPHS_SCHEMA.names]
    rows = rows.assign(place=_places(rows)).set_index("id", drop=False).loc[list(ids)]
    columns = {
        "length": _length_thirds(rows["text"]),
        "position": rows["place"].tolist(),
        "heading": ["under a heading" if cell else "under none" for cell in rows["heading"]],
        "annotator": [annotators.get(id_, "") for id_ in ids],
    }
    columns |= _period_columns(rows, fields)
    metadata = {name: column_values(rows, name) for name in fields if name != "date"}
    sizes = {name: len({*values}) for name, values in metadata.items()}
    columns |= {name: values for name, values in metadata.items() if sizes[name] <= MOST_VALUES}
    for name in kept:
        _check_column(name, columns, sizes)
    return {name: columns[name] for name in columns if not kept or name in kept}


def _length_thirds(texts: pd.Series) -> list[str]:
    lengths = [n_words(text) for text in texts]
    thirds = np.searchsorted(np.quantile(lengths, [1 / 3, 2 / 3]), lengths)
    return [LENGTHS[third] for third in thirds]


def _period_columns(rows: pd.DataFrame, fields: Sequence[str]) -> dict[str, list[str]]:
    """Periods of the dates of paragraphs, except those without any value."""
    dates = {name: rows[name].tolist() for name in PERIODS if name in fields}
    periods = {name: values_by(dates, name, len(rows)) for name in PERIODS if name != "date"}
    return {name: values for name, values in periods.items() if set(values) != {UNKNOWN}}


def _check_column(name: str, columns: Collection[str], sizes: Mapping[str, int]) -> None:
    """Raise a `UserError` if `columns` lacks the name, or `sizes` has over `MOST_VALUES` for it."""
    if sizes.get(name, 0) > MOST_VALUES:
        raise UserError(
            f"--by {name}: the column has {sizes[name]} values; slices need a column with "
            f"{MOST_VALUES} or fewer"
        )
    if name not in columns:
        known = ", ".join(columns)
        raise UserError(f"--by {name}: there is no such column; the columns are {known}")


def _places(frame: pd.DataFrame) -> list[str]:
    """Third of the article that contains each paragraph; "" for rows without an order."""
    grouped = frame.groupby("article")["position"]
    thirds = 3 * (grouped.rank(method="first") - 0.5) / grouped.transform("size")
    places = np.where(frame["ordered"], np.array(PLACES)[thirds.astype(int)], "")
    return [str(place) for place in places]


def find_slices(
    columns: Mapping[str, Sequence[str]],
    predictions: EvaluatedPredictions,
    confidence: float,
    seed: int,
) -> list[Slice]:
    """Test by permutations (see the module) whether accuracy is lower in slices than elsewhere.

    All tested slices are returned, worse or not, the lowest p-value first. `columns` are from
    `slice_columns`, for the paragraphs of `predictions`; the value "" makes no slice. A slice is
    left out if it or the rest has fewer than `LEAST` paragraphs with a weight, or if an earlier one
    has the same paragraphs. `confidence` is that of the intervals.
    """
    outcomes = predictions.outcomes
    members = _members(columns, outcomes.counts > 0)
    if not members:
        return []
    inside = np.array([is_member for _, _, is_member in members]).T * outcomes.counts[:, None]
    outside = outcomes.counts[:, None] - inside
    right, inside_share = predictions.right, inside / inside.sum(axis=0)
    contrasts = outside / outside.sum(axis=0) - inside_share
    effect = np.sqrt(_design_effects(contrasts, right, outcomes.groups))
    effect *= few_groups_factor(len(outcomes.group_sizes), confidence)
    gaps = right @ contrasts
    rng, steps = np.random.default_rng(seed), range(0, N_PERMUTATIONS, STEP)
    batches = [rng.permuted(np.tile(right, (STEP, 1)), axis=1) @ contrasts for _ in steps]
    permuted_gaps = np.concatenate(batches)
    noises = permuted_gaps.std(axis=0)
    noises[noises < ROUNDING] = np.inf  # All predictions are right, or all are wrong.
    largest = (permuted_gaps / noises).max(axis=1)
    is_reached = largest[:, None] >= gaps / noises / effect - ROUNDING
    ps = (is_reached.sum(axis=0) + 1) / (N_PERMUTATIONS + 1)
    slices = []
    for (column, value, _), shares, gap, p in zip(members, inside_share.T, gaps, ps, strict=True):
        accuracy, n = float(right @ shares), int(np.count_nonzero(shares))
        low, high = _interval(accuracy, shares, right, outcomes.groups, confidence)
        elsewhere = accuracy + float(gap)
        slices.append(Slice(column, value, n, accuracy, low, high, elsewhere, float(p)))
    return sorted(slices, key=lambda row: (row.p, row.accuracy - row.elsewhere))


def _members(columns: Mapping[str, Sequence[str]], used: Targets) -> list[tuple[str, str, Targets]]:
    """Column, value and `used` members, (n,), of distinct slices with `LEAST` in and outside."""
    members: dict[bytes, tuple[str, str, Targets]] = {}
    for column, values in columns.items():
        cells = np.array(values, dtype=object)
        for value in sorted(set(values) - {""}):
            is_member = (cells == value) & used
            if LEAST <= is_member.sum() <= used.sum() - LEAST:
                members.setdefault(is_member.tobytes(), (column, value, is_member))
    return list(members.values())


def _design_effects(contrasts: Array, right: Array, groups: Integers) -> Array:
    """Design effects, (s,), at least 1, of s contrasts between n predictions, (n, s)."""
    sizes = np.bincount(groups)[:, None]
    errors = (right - right.mean())[:, None]
    between = (group_sums(contrasts, groups) / sizes)[groups]
    # The mean gap within groups is no noise.
    parts = contrasts * errors - ((contrasts - between) * errors).mean(axis=0)
    return np.maximum(measured_design_effect(parts, groups), 1.0)


def _interval(
    accuracy: float, shares: Array, right: Array, groups: Integers, confidence: float
) -> tuple[float, float]:
    """Jeffreys' interval of a slice's accuracy; `shares`, (n,), are weights with the sum 1."""
    rows = float(effective_size(shares))
    shrunken = (accuracy * rows + 0.5) / (rows + 1)
    spread = shrunken * (1 - shrunken)
    variance = float((group_sums(shares * (right - accuracy), groups) ** 2).sum())
    size = spread / (DESIGN_EFFECT * max(variance, spread / rows))
    return jeffreys(accuracy, size, confidence)
