"""Figures with intervals; intervals of shares, and how much wider few groups make them.

Both intervals of a share are for one that rests on so many independent observations
(`corpus.effective`). Jeffreys' takes this number alone. Wilson's takes a quantile too, which
differs between shares whose noise has different degrees of freedom. Pandas is not needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtri, stdtrit

from paratopic.corpus.effective import Array, Integers, design_effect

# With fewer labels of its own, a group has no interval; with fewer labelled articles, if articles
# were drawn, nothing has one.
LEAST_LABELS, LEAST_ARTICLES = 20, 6
# The tests of cross-validation share training paragraphs, and the final model is one of many that
# other labels would have given, so figures vary more than those of as many independent tests. This
# and the next two were chosen by simulation, on other tables than those that are reported
# (benchmarks/interval_coverage.py).
DESIGN_EFFECT = 1.5
# How much errors in an article are usually alike (their intraclass correlation), and number of
# articles that this weighs.
ALIKE, ALIKE_ARTICLES = 0.1, 2
# Events are rare, for Wilson's interval, if there are fewer labels with them.
RARE = 3.5


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; `low` and `high` are None where it has none.

    It may be a metric, a share of a corpus, a difference of two, or a change for each unit of time.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """The figure with its interval, if it has one.

        >>> print(Estimate(0.751, 0.526, 0.927))
        0.751 (0.526–0.927)
        """
        ends = "" if self.low is None else f" ({self.low:.3f}–{self.high:.3f})"
        return f"{self.value:.3f}{ends}"


def margin(share: float, n_labels: int, n_texts: int, confidence: float) -> float:
    """Half of the interval to expect of a share, by labels of a random sample alone.

    It is the normal approximation for a finite corpus (Cochran 1977, Sampling Techniques, chapter
    3).

    >>> round(margin(0.5, 20, 280, 0.95), 3), margin(0.5, 280, 280, 0.95)
    (0.211, 0.0)

    Parameters
    ----------
    share
        The share to plan for; 0.5 gives the widest interval.
    n_labels, n_texts
        Size of the sample, and of the corpus that it is drawn from.
    """
    variance = share * (1 - share) / n_labels * (1 - n_labels / n_texts)
    return NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance)


def write_p(p: float) -> str:
    """Write a p-value in a sentence.

    >>> write_p(0.0412), write_p(0.00001)
    ('p = 0.041', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def shrunk_design_effect(measured: float, sizes: Integers) -> float:
    """A design effect that is measured in few groups, shrunk to the usual one; at least 1.

    Parameters
    ----------
    measured
        Variance of draws of groups over that of draws of rows. Draws of n have (n - 1) / (n + 1) of
        the variance that samples of n have.
    sizes
        (g,) numbers of rows in the groups.
    """
    n, n_groups = int(sizes.sum()), len(sizes)
    measured *= (n_groups + 1) * (n - 1) / max(1, (n_groups - 1) * (n + 1))
    usual = design_effect(float((sizes**2).sum()) / n, ALIKE)
    shrunk = (ALIKE_ARTICLES * usual + (n_groups - 1) * measured) / (ALIKE_ARTICLES + n_groups - 1)
    return max(1.0, shrunk)


def few_groups(n_groups: int, confidence: float) -> float:
    """How much wider intervals are because few groups say little of their noise, at least 1.

    That is the quantile of Student's t distribution over that of the normal one.
    """
    freedom, quantile = ALIKE_ARTICLES + n_groups - 1, (1 + confidence) / 2
    return float(stdtrit(freedom, quantile) / ndtri(quantile))


def jeffreys(value: float, size: float, confidence: float) -> tuple[float, float]:
    """Ends of Jeffreys' interval of a share, by the prior Beta(1/2, 1/2); it holds the share.

    >>> low, high = jeffreys(0.0, 60.0, 0.95)
    >>> low, round(high, 3)
    (0.0, 0.041)
    """
    hits, misses = value * size + 0.5, (1 - value) * size + 0.5
    low, high = (
        float(betaincinv(hits, misses, quantile))
        for quantile in ((1 - confidence) / 2, (1 + confidence) / 2)
    )
    return min(value, low), max(value, high)


def wilson(values: Array, sizes: Array, quantile: Array | float) -> tuple[Array, Array]:
    """Ends of Wilson's interval of shares, (K,) each (1927, J. Am. Statistical Association 22).

    >>> low, high = wilson(np.array([0.0]), np.array([60.0]), 1.96)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0], [0.06])

    Parameters
    ----------
    values
        (K,) shares, 0 to 1.
    sizes
        (K,) numbers of independent observations that they rest on, above 0.
    quantile
        Number of standard errors on each side, one for each share or for all.
    """
    squared = quantile**2
    middle = (values + squared / (2 * sizes)) / (1 + squared / sizes)
    reach = np.sqrt(values * (1 - values) / sizes + squared / (4 * sizes**2))
    reach = quantile * reach / (1 + squared / sizes)
    low = np.minimum(np.maximum(middle - reach, 0.0), values)
    return low, np.maximum(np.minimum(middle + reach, 1.0), values)


def modified_wilson(
    values: Array, sizes: Array, confidence: float, quantile: Array | float
) -> tuple[Array, Array]:
    """Ends of Wilson's interval, which holds too seldom next to 0 and 1 and is wider there.

    There it reaches as far as a one-sided interval of rare events (Brown, Cai & DasGupta 2001,
    Statistical Science 16, 101-133). Parameters as for `wilson`.
    """
    hits, misses = sizes * values, sizes * (1 - values)
    few_hits, few_misses = (
        np.where(n < RARE, gammaincinv(np.maximum(n, 1e-9), 1 - confidence) / sizes, 1.0)
        for n in (hits, misses)
    )
    low, high = wilson(values, sizes, quantile)
    return np.minimum(low, few_hits), np.maximum(high, 1 - few_misses)
