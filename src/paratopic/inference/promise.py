"""What can be promised of sure predictions, from predictions whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from paratopic.inference.scores import Array, Integers, Targets

# Shares of the most confident predictions that may be called sure.
SHARES = 1.0, 0.8, 0.6, 0.4, 0.2
# Threshold that no probability reaches: no prediction is called sure.
NEVER = 2.0


class Promise(NamedTuple):
    """A promise about sure predictions.

    Attributes
    ----------
    precision
        Share of them that is right at least, 0 to 1.
    confidence
        Probability that the promise holds, 0 to 1.
    """

    precision: float
    confidence: float

    @property
    def risk(self) -> float:
        """Probability with which each of the `SHARES` may break the promise."""
        return (1 - self.confidence) / len(SHARES)

    @property
    def least_groups(self) -> int:
        """Number of groups with sure predictions, all of them right, that it takes at least.

        >>> Promise(0.9, 0.95).least_groups
        44
        """
        return math.ceil(math.log(self.risk) / math.log(self.precision))


def sure_threshold(confidence: Array, right: Targets, groups: Integers, promise: Promise) -> float:
    """Find the lowest confidence at and above which predictions keep a promise.

    Of the `SHARES` of the most confident predictions, the largest is taken whose lower bound
    reaches the precision; they divide the risk among them (Bonferroni, as in Learn then Test:
    Angelopoulos et al. 2021, https://arxiv.org/abs/2110.01052). A group counts as one observation,
    right in the share of its predictions that is right.

    Parameters
    ----------
    confidence, right, groups
        (n,) probability of each prediction, whether it is right, and the number of its group.

    Returns
    -------
    The threshold; `NEVER` if no share keeps the promise.
    """
    ordered = np.sort(confidence)[::-1]
    for share in SHARES if len(ordered) else ():
        threshold = float(ordered[math.ceil(share * len(ordered)) - 1])
        sure = confidence >= threshold
        number = np.unique(groups[sure], return_inverse=True)[1]
        shares_right = np.bincount(number, weights=right[sure]) / np.bincount(number)
        if len(shares_right) >= promise.least_groups and (
            probability_below(shares_right, promise.precision) <= promise.risk
        ):
            return threshold
    return NEVER


def probability_below(values: Array, mean: float) -> float:
    """Probability that a mean of independent values from 0 to 1 is below a number.

    It is that of the Bayesian bootstrap (Rubin 1981) of the values and of one more, which is 0.
    That is the bound of Gaffke (2005), see Learned-Miller & Thomas 2019 (arXiv:1905.06208), which
    holds in simulations and is not proven in general. Where all values are 0 or 1 it is that of
    Clopper & Pearson (1934), which is; where they vary less, it says more.

    Parameters
    ----------
    mean
        The number, above 0 and below 1.

    >>> round(probability_below(np.ones(44), 0.9), 6) == round(0.9**44, 6)
    True
    """
    from scipy.integrate import quad  # slow, and the command line imports this module

    # The weights are exponential, so that the sum of weighted distances from the number has a
    # simple characteristic function, which is inverted at 0 (Gil-Pelaez 1951).
    away = np.append(values, 0.0) - mean
    away /= np.linalg.norm(away)

    def integrand(at: float) -> float:
        steps = away * at
        size = np.exp(-np.log1p(steps**2).sum() / 2)
        return float(np.sin(np.arctan(steps).sum()) * size / at)

    integral = quad(integrand, 0, np.inf, limit=200)[0]
    return float(0.5 - integral / np.pi)


def why_none_is_sure(measured: Mapping[str, Any], groups: int | None = None) -> str:
    """Say why no prediction is called sure: labels are too few, or too many answers wrong.

    Parameters
    ----------
    measured
        Content of metrics.json, without a threshold of sure predictions.
    groups
        Number of groups that have a topic by now; as many as were measured by default.
    """
    sure = measured["abstention"]["sure"]
    needed, known = sure["groups_needed"], sure["groups"] if groups is None else groups
    units = f"{measured['split_unit']}s with a topic"
    if known < needed:
        return (
            f"the promise that {sure['target']:.0%} are right needs {needed} distinct {units}, "
            f"all answered without a mistake, and there are {known}"
        )
    if sure["groups"] < needed:
        return (
            f"the last `dvc repro` had only {sure['groups']} distinct {units}, and there are "
            f"{known} now: run it again"
        )
    return (
        f"{measured['mistakes']} of {measured['n']} answers are wrong, too many to promise that "
        f"{sure['target']:.0%} are right"
    )
