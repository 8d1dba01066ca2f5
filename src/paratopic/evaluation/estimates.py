"""Figures with intervals, and Wilson's interval of a share. Pandas is not needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import gammaincinv

from paratopic.inference.scores import Array

# With fewer labels of its own, a group has no interval; with fewer labelled articles, if articles
# were drawn, nothing has one.
LEAST_LABELS, LEAST_ARTICLES = 20, 6
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


def wilson(
    values: Array, sizes: Array, confidence: float, quantile: Array | float
) -> tuple[Array, Array]:
    """Ends of Wilson's interval of shares, (K,) each.

    Next to 0 and 1, where it holds too seldom, it reaches as far as a one-sided interval of rare
    events (Brown, Cai & DasGupta 2001, Statistical Science 16, 101-133).

    >>> low, high = wilson(np.array([0.0]), np.array([60.0]), 0.95, 1.96)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0], [0.06])

    Parameters
    ----------
    values
        (K,) shares, 0 to 1.
    sizes
        (K,) numbers of independent labels that they rest on, above 0.
    quantile
        Number of standard errors on each side, one for each share or for all.
    """
    squared = quantile**2
    middle = (values + squared / (2 * sizes)) / (1 + squared / sizes)
    reach = np.sqrt(values * (1 - values) / sizes + squared / (4 * sizes**2))
    reach = quantile * reach / (1 + squared / sizes)
    hits, misses = sizes * values, sizes * (1 - values)
    few_hits, few_misses = (
        np.where(n < RARE, gammaincinv(np.maximum(n, 1e-9), 1 - confidence) / sizes, 1.0)
        for n in (hits, misses)
    )
    low = np.minimum.reduce([np.maximum(middle - reach, 0.0), values, few_hits])
    return low, np.maximum.reduce([np.minimum(middle + reach, 1.0), values, 1 - few_misses])
