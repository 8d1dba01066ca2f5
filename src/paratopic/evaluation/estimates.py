"""Figures with intervals, and the share of answers that are right on texts without labels.

The mean probability that such answers are right is corrected by how far it was from the share of
right ones on the labelled paragraphs. The interval adds up the noise of that comparison, the
differences between articles, the chance of the texts at hand, and a drift: answers that are less
certain than those on the labelled paragraphs, or more, may be wrong by as much again. Nothing is
known of texts that are unlike the labelled ones as a whole, so there is no interval for them.
benchmarks/expected.py, in which the constants were chosen, says what it does not allow for.

Nothing is read here, and pandas is not needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, stdtrit

from paratopic.inference.calibration import Answers, Calibration
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


# The models of the folds share training paragraphs, and the final model is another one; as for
# other figures, see `intervals.DESIGN_EFFECT`.
DESIGN_EFFECT = 1.25
# Texts are unlike the labelled ones if their mean likeness is lower.
LEAST_LIKENESS = -0.75
# A wider interval tells nothing.
WIDEST = 0.8
# Lowest variance of an answer that is right or wrong, as of 999 right answers in 1,000.
LEAST_SPREAD = 0.001


def expect(calibration: Calibration, answers: Answers, confidence: float) -> Estimate | str:
    """Estimate the share of right answers of the model that a calibration is of.

    Parameters
    ----------
    answers
        The answers, at least one.

    Returns
    -------
    The share, 0 to 1, with its interval; or the reason why it cannot be told.
    """
    known = calibration.certainty
    if known is None or known.n_labels < LEAST_LABELS or known.n_groups < LEAST_ARTICLES:
        return "the model has too few labelled paragraphs"
    if answers.likeness / answers.texts < LEAST_LIKENESS:
        return "the texts differ too much from the labelled paragraphs"
    certainty = answers.certainty / answers.texts
    value = float(np.clip(certainty + known.right - known.mean, 0.0, 1.0))
    spread = max(value * (1 - value), LEAST_SPREAD)
    variance = (
        DESIGN_EFFECT * known.noise
        + known.between / answers.articles
        + (certainty - known.mean) ** 2  # what another certainty may hide
        + spread / answers.texts
    )
    quantile = float(stdtrit(known.n_groups - 1, (1 + confidence) / 2))
    size = np.array([spread / variance])
    (low,), (high,) = wilson(np.array([value]), size, confidence, quantile)
    if high - low > WIDEST:
        return f"the interval would be from {low:.0%} to {high:.0%}"
    return Estimate(value, float(low), float(high))


def describe_expected(calibration: Calibration, answers: Answers, confidence: float) -> str:
    """Say how many answers should be right, or why that cannot be told; parameters as `expect`."""
    known, share = calibration.certainty, expect(calibration, answers, confidence)
    if known is None or isinstance(share, str):
        return (
            f"The share of right answers cannot be estimated, because {share}. Label some of "
            "these texts (`paratopic suggest`), and train again."
        )
    return (
        f"{share.value:.0%} of the answers are expected to be right ({confidence:.0%} interval "
        f"{share.low:.0%} to {share.high:.0%}). On the labelled paragraphs, {known.right:.0%} are."
    )
