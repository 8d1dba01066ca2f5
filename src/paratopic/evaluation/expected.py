"""The share of answers that are right on texts without labels, as far as that can be told.

The mean probability that the answers are right is corrected by how far it was from the share of
right ones on the labelled paragraphs. The interval adds up the noise of that comparison, the
differences between articles, the chance of the texts at hand, and a drift: answers that are less
certain than those on the labelled paragraphs, or more, may be wrong by as much again. Nothing is
known of texts that are unlike the labelled ones as a whole, so there is no interval for them.

The constants were chosen in a benchmark, benchmarks/expected.py, which also says what the interval
does not allow for. Nothing is read here, and pandas is not needed.
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtrit

from paratopic.evaluation.estimates import LEAST_ARTICLES, LEAST_LABELS, Estimate, wilson
from paratopic.inference.calibration import Answers, Certainty

# The models of the folds share training paragraphs, and the final model is another one; as for
# other figures, see `intervals.DESIGN_EFFECT`.
DESIGN_EFFECT = 1.25
# Difference in mean certainty from the labelled paragraphs → standard error of what it hides.
DRIFT = 1.0
# Texts are unlike the labelled ones if their mean likeness is lower.
LEAST_LIKENESS = -0.75
# A wider interval tells nothing.
WIDEST = 0.8
# Lowest variance of an answer that is right or wrong, as of 999 right answers in 1,000.
LEAST_SPREAD = 0.001


def expect(known: Certainty | None, answers: Answers, confidence: float) -> Estimate | str:
    """Estimate the share of right answers.

    Parameters
    ----------
    known
        How certain and how right the model was on the labelled paragraphs; None if it has none.
    answers
        The answers, at least one.

    Returns
    -------
    The share, 0 to 1, with its interval; or the reason why it cannot be told.
    """
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
        + (DRIFT * (certainty - known.mean)) ** 2
        + spread / answers.texts
    )
    quantile = float(stdtrit(known.n_groups - 1, (1 + confidence) / 2))
    size = np.array([spread / variance])
    (low,), (high,) = wilson(np.array([value]), size, confidence, quantile)
    if high - low > WIDEST:
        return f"the interval would be from {low:.0%} to {high:.0%}"
    return Estimate(value, float(low), float(high))
