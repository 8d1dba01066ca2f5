"""Honest probabilities and a threshold below which no topic is named, from out-of-fold scores.

Nothing is trained on texts here, and no figure is reported: `metrics` and `statistics` do that.
A saved model has the temperature in its weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from paratopic import metrics
from paratopic.classifier import Calibration, Scores
from paratopic.metrics import Array, Integers, conditional
from paratopic.training import logistic

# A temperature is looked for between a twentieth and twenty.
TEMPERATURES = 0.05, 20.0
# How loosely the chance of being right is tied to confidence, as C of a logistic regression.
STRENGTH = 10.0
# Answers that the fitted chance of being right counts as, beside those that were counted.
BELIEF = 20.0
# In place of a class number: a row that calibrates nothing.
NOT_COUNTED = -2


def temper(scores: Scores, temperature: float) -> Scores:
    """Probabilities (n, k) to the power of 1 / temperature, rows summing to 1 again."""
    scaled = (scores / scores.max(axis=1, keepdims=True)) ** (1 / temperature)
    tempered: Scores = scaled / scaled.sum(axis=1, keepdims=True)
    return tempered


def calibrated(scores: Scores, calibration: Calibration) -> Scores:
    """Temper probabilities (n, k) of which a row sums to that of having a topic at all.

    That sum, and the topics' shares of it, have a temperature each.
    """
    some = temper(_having_none_or_one(scores), calibration.topical_temperature)[:, 1:]
    return temper(scores, calibration.temperature) * some


def _having_none_or_one(scores: Scores) -> Scores:
    some = np.minimum(scores.sum(axis=1), 1)  # but for rounding it is
    return np.column_stack([1 - some, some])


def fit_temperature(true: Integers, scores: Scores) -> float:
    """The temperature with the lowest log loss (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    To the paragraphs comes one of which every topic is equally true, so that a model which made no
    mistake on ten paragraphs is not called certain.

    Parameters
    ----------
    true
        (n,) class numbers; n may be 0, which gives 1.
    scores
        (n, k) probabilities of models that did not see the paragraphs.
    """
    if not len(true):
        return 1.0

    def loss(log_temperature: float) -> float:
        tempered = temper(scores, float(np.exp(log_temperature)))
        possible = np.log(np.maximum(tempered[:, scores.max(axis=0) > 0], 1e-15))
        return float(metrics.log_losses(true, tempered).sum() - possible.mean())

    low, high = TEMPERATURES
    found = minimize_scalar(loss, bounds=(np.log(low), np.log(high)), method="bounded")
    return float(np.exp(found.x))


def fit_threshold(confidence: Array, right: npt.NDArray[np.bool_], precision: float) -> float:
    """The lowest confidence from which on `precision` of the answers are right.

    The share of right answers above a threshold is counted, and as `BELIEF` further answers comes
    what is expected there: the chance of being right is a logistic function of the logit of
    confidence (Platt 1999), which few paragraphs determine better than a count does; of many, whose
    confidences pile up near 1, the count is nearer to the truth. To the paragraphs come half a
    right and half a wrong one of middling confidence. Where the precision is out of reach, the
    highest confidence.

    Parameters
    ----------
    confidence
        (n,) probability of the top topic.
    right
        (n,) whether it is the true topic; it is not for a paragraph with none of the topics.
    precision
        Share of right answers to reach, 0 to 1.
    """
    if not len(confidence):
        return 0.0
    sure = logit(np.clip(confidence, 1e-6, 1 - 1e-6))
    middle = np.median(sure)
    coef, intercept = logistic(
        np.append(sure, [middle, middle])[:, None],
        np.append(right, [True, False]).astype(np.int64),
        np.append(np.ones(len(sure)), [0.5, 0.5]),
        STRENGTH,
        np.zeros((2, 1)),
    )
    chance = expit((coef[1, 0] - coef[0, 0]) * sure + intercept[1] - intercept[0])
    order = np.argsort(-confidence, kind="stable")
    # Precision of answering the first, the first two, ...
    answered = np.arange(1, len(order) + 1)
    expected = np.cumsum(chance[order]) / answered
    reached = (np.cumsum(right[order]) + BELIEF * expected) / (answered + BELIEF)
    enough = np.flatnonzero(reached >= precision)
    return float(confidence[order][enough[-1] if len(enough) else 0])


def fit(true: Integers, scores: Scores, precision: float) -> Calibration:
    """Temperatures and threshold from scores (n, k); `true` is -1 for none of the topics."""
    topical = true >= 0
    temperature = fit_temperature(true[topical], conditional(scores[topical]))
    other = fit_temperature(topical.astype(np.int64), _having_none_or_one(scores))
    found = Calibration(temperature, 1.0 if topical.all() else other)
    told = calibrated(scores, found)
    right = told.argmax(axis=1) == true
    return replace(found, threshold=fit_threshold(told.max(axis=1), right, precision))


def calibrate(
    true: Integers, table: pd.DataFrame, names: tuple[str, ...], precision: float
) -> tuple[pd.DataFrame, Calibration]:
    """Calibrate out-of-fold scores, each by the others, and find what the final model gets.

    Parameters
    ----------
    true
        (n,) class numbers of the rows of `table`, -1 for none of the topics, NOT_COUNTED for those
        that are not evaluated: they are calibrated but calibrate nothing.
    table
        Columns id, repeat, fold and one score a topic, as `training.train` gives them.
    names
        Topic names in class order.
    precision
        Share of right answers to reach.

    Returns
    -------
    scores
        The table with calibrated scores and a column threshold. Those of a fold are calibrated by
        the repeat's other folds; a lone fold's by its other half.
    calibration
        From all rows.
    """
    raw = table[list(names)].to_numpy(dtype=np.float64)
    part = table["fold"].to_numpy()
    if len(np.unique(part)) < 2:
        part = table.groupby("repeat").cumcount().to_numpy() % 2
    repeat = table["repeat"].to_numpy()
    counts = true != NOT_COUNTED
    scores, threshold = raw.copy(), np.zeros(len(raw))
    for r, p in sorted(set(zip(repeat.tolist(), part.tolist(), strict=True))):
        mine = (repeat == r) & (part == p)
        others = (repeat == r) & (part != p) & counts
        found = fit(true[others], raw[others], precision)
        scores[mine] = calibrated(raw[mine], found)
        threshold[mine] = found.threshold
    told = table.copy()
    told[list(names)] = scores
    told["threshold"] = threshold
    return told, fit(true[counts], raw[counts], precision)
