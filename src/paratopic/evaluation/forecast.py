"""What more labels would bring: the learning curve of the labels that are there, extended.

Errors fall with the number of labels roughly as a power law (Hestness et al. 2017,
arXiv:1712.00409). Its exponent is read off models that learnt from nested shares of the labels, and
leans on a usual one where these tell little. The next labels are taken to be like those so far,
and topics that they would be the first of are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paratopic.evaluation.intervals import (
    Estimate,
    Tally,
    draws_of,
    few_groups,
    interval,
    learnt_of_topics,
    noise,
    size_of_mean,
    value_of,
)
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.scores import Array

# The usual exponent, what it weighs beside a curve of one squared natural logarithm, and how far
# exponents beyond the curve stray from that of the curve. Chosen on stand-ins for the models
# (benchmarks/forecast.py), and checked with other draws and with the models themselves.
EXPONENT, WEIGHT, STRAY = 0.3, 4.0, 0.2
# An error of 0 has no logarithm.
LEAST_ERROR = 1e-3


@dataclass(frozen=True)
class CurvePoint:
    """A point of a learning curve.

    Parameters
    ----------
    size
        Number of labels that the models learnt from, mean over folds.
    outcomes
        Their outcomes; all points of a curve have the same rows and groups.
    """

    size: float
    outcomes: Outcomes


def forecast(
    curve: Sequence[CurvePoint],
    measured: Outcomes,
    sizes: Sequence[int],
    confidence: float,
    n_draws: int,
    seed: int,
) -> list[Estimate]:
    """Forecast macro-F1 for other numbers of labels.

    Parameters
    ----------
    curve
        Two points or more of one repeat of cross-validation, the last of which has all labels.
    measured
        Outcomes with all labels, of all repeats.
    sizes
        Numbers of labels to forecast for.
    confidence
        Confidence of the intervals, such as 0.8.
    n_draws
        Number of resamples.
    seed
        Seed of the random draws.

    Returns
    -------
    The expected macro-F1 of the final model with each number of labels, and its interval.
    """
    known = np.array([point.size for point in curve])
    every = [*(point.outcomes for point in curve), measured]
    sample = np.array([[value_of(outcomes, Tally.macro_f1)] for outcomes in every])
    draws = np.stack([draws_of(outcomes, Tally.macro_f1, n_draws, seed) for outcomes in every])
    few = few_groups(measured, confidence)
    estimates = []
    for size in sizes:
        value = max(LEAST_ERROR, float(_extend(known, sample, size)[0]))
        spread = value * (1 - value)
        variance = noise(float(_extend(known, draws, size).var()), spread / size_of_mean(measured))
        variance += ((1 - value) * np.log(size / known[-1]) * STRAY) ** 2
        low, high = interval(value, spread / variance / few**2, confidence)
        # Rare topics lost more of their labels than others, and may gain as much more.
        high = 1 - (1 - high) * min(1.0, learnt_of_topics(measured) / measured.train_share)
        estimates.append(Estimate(value, low, high))
    return estimates


def _extend(sizes: Array, values: Array, size: float) -> Array:
    """Values of d curves at another size, (d,).

    Given are those at m sizes and, last, where the curves go on from, (m + 1, d).
    """
    *errors, start = np.log(np.clip(1 - values, LEAST_ERROR, 1.0))
    logs = np.log(sizes) - np.log(sizes).mean()
    slope = (logs @ np.stack(errors) - WEIGHT * EXPONENT) / (logs @ logs + WEIGHT)
    extended: Array = 1 - np.exp(start + np.minimum(slope, 0.0) * np.log(size / sizes[-1]))
    return extended
