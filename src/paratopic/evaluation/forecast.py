"""What more labels would bring: the learning curve of the labels that are there, extended.

Errors fall with the number of labels roughly as a power law (Hestness et al. 2017,
arXiv:1712.00409). Here it is a law of the odds of macro-F1, because errors themselves cannot follow
one while nearly everything is wrong. Its exponent is read off models that learnt from nested shares
of the labels, and leans on a usual one where these tell little. The next labels are taken to be
like those so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from paratopic.evaluation.estimates import Estimate
from paratopic.evaluation.intervals import (
    DESIGN_EFFECT,
    LEAST_LEARNT,
    design_effects,
    few_groups,
    independent,
    interval,
)
from paratopic.evaluation.metrics import Tally, learnt_of_topics, of_topics, parts_of, value_of
from paratopic.evaluation.outcomes import Outcomes

# Odds of macro-F1 usually grow with the number of labels to this power, and models stray from it by
# so much. It weighs so much beside a curve of one squared natural logarithm. All three were chosen
# on stand-ins for the models, and checked on other tables (benchmarks/interval_coverage.py) and
# with the models themselves (benchmarks/forecast.py).
EXPONENT, STRAY, WEIGHT = 0.5, 0.3, 3.0
# An F1 of 0 or 1 has no odds.
LEAST_F1 = 5e-3


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

    Returns
    -------
    The expected macro-F1 of the final model with each number of labels, and its interval.
    """
    now = curve[-1].size / curve[-1].outcomes.train_share
    odds, exponent = _log_odds(measured), _exponent(curve)
    learnt = max(learnt_of_topics(measured), LEAST_LEARNT)
    variance, spread = independent(parts_of(measured, Tally.f1), of_topics(measured))
    effect = design_effects(measured, {"macro_f1": Tally.macro_f1}, n_draws, seed)["macro_f1"]
    noise = DESIGN_EFFECT * effect * variance
    few = few_groups(measured, confidence) ** 2
    estimates = []
    for size in sizes:
        grown = np.log(size / now / learnt)
        f1 = float(expit(odds + exponent * grown))
        total = noise + (f1 * (1 - f1) * grown * STRAY) ** 2
        estimates.append(Estimate(f1, *interval(f1, spread / total / few, confidence)))
    return estimates


def _exponent(curve: Sequence[CurvePoint]) -> float:
    """Slope of the log odds of macro-F1 over the logarithm of the number of labels, 0 at least."""
    logs = np.log([point.size for point in curve])
    logs -= logs.mean()
    seen = float(logs @ [_log_odds(point.outcomes) for point in curve])
    return max(0.0, (seen + WEIGHT * EXPONENT) / (float(logs @ logs) + WEIGHT))


def _log_odds(outcomes: Outcomes) -> float:
    """Logarithm of the odds of macro-F1."""
    return float(logit(np.clip(value_of(outcomes, Tally.macro_f1), LEAST_F1, 1 - LEAST_F1)))
