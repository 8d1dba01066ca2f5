"""Honest probabilities, and thresholds from which on topics are named, from out-of-fold scores.

Nothing is trained on texts here, and no figure is reported: `metrics` and `statistics` do that.
A saved model has the calibration in its weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from paratopic.inference.folder import Calibration
from paratopic.inference.scores import (
    Array,
    Integers,
    Scores,
    Targets,
    classes,
    conditional,
    log_losses,
    logits,
    topic_probabilities,
    topical,
)
from paratopic.project.topics import Mode, Topics
from paratopic.training.head import binary, logistic

# A temperature is looked for between a twentieth and twenty.
TEMPERATURES = 0.05, 20.0

# How loosely the chance of being right is tied to confidence, as C of a logistic regression, and
# how loosely a topic's logits to staying as they are.
STRENGTH, PLATT = 10.0, 1.0

# Answers that the fitted chance of being right counts as, beside those that were counted.
BELIEF = 20.0

# Logits are taken to be no further from 0.
SUREST = 15.0


def temper(scores: Scores, temperature: float) -> Scores:
    """Probabilities (n, k) to the power of 1 / temperature, rows summing to 1 again."""
    scaled = (scores / scores.max(axis=1, keepdims=True)) ** (1 / temperature)
    tempered: Scores = scaled / scaled.sum(axis=1, keepdims=True)
    return tempered


def calibrated(scores: Scores, calibration: Calibration, mode: Mode) -> Scores:
    """Scale and shift the logits of the topics' probabilities (n, k)."""
    if mode == "single":
        scores = np.column_stack([scores, np.maximum(1 - scores.sum(axis=1), 0)])
    scaled = logits(scores, mode) * calibration.scale + calibration.shift
    return topic_probabilities(scaled, mode)


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
        return float(log_losses(true, tempered).sum() - possible.mean())

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


def f1_threshold(scores: Array) -> float:
    """The probability from which on naming a topic gives the highest F1.

    It is half of the F1 that is reached (Lipton, Elkan & Narayanaswamy 2014,
    https://arxiv.org/abs/1402.1892), which is expected from the probabilities themselves: of few
    paragraphs they tell more than a count of hits.

    Parameters
    ----------
    scores
        (n,) calibrated probabilities of one topic.
    """
    ordered = np.sort(scores)[::-1]
    named = np.arange(1, len(ordered) + 1)
    expected = 2 * np.cumsum(ordered) / (named + ordered.sum())
    return float(expected.max(initial=0.0) / 2)


def fit(targets: Targets, scores: Scores, mode: Mode, precision: float) -> Calibration:
    """What to calibrate scores (n, k) by, and thresholds.

    In mode single a temperature for the topics and one for having one of them, and one threshold,
    by `precision`. In mode multi each topic's logits are scaled and shifted (Platt 1999), drawn to
    staying as they are, and each has the threshold of the highest F1.
    """
    if mode == "multi":
        return _fit_each(targets, scores)
    true, some = classes(targets), topical(targets)
    by = np.full(scores.shape[1] + 1, fit_temperature(true[some], conditional(scores[some])))
    by[-1] = 1.0
    if not some.all():
        by[-1] = fit_temperature(some.astype(np.int64), _having_none_or_one(scores))
    found = Calibration(scale=tuple((1 / by).tolist()))
    told = calibrated(scores, found, mode)
    right = told.argmax(axis=1) == true
    return replace(found, thresholds=(fit_threshold(told.max(axis=1), right, precision),))


def _fit_each(targets: Targets, scores: Scores) -> Calibration:
    sure = np.clip(logits(scores, "multi"), -SUREST, SUREST)
    low, high = (1 / temperature for temperature in reversed(TEMPERATURES))
    scale, shift = np.ones(targets.shape[1]), np.zeros(targets.shape[1])
    for topic, has in enumerate(targets.T):
        if has.any() and not has.all():
            coef, shift[topic] = binary(sure[:, [topic]], has, np.ones(len(has)), PLATT, np.ones(1))
            scale[topic] = np.clip(coef[0], low, high)
    found = Calibration(tuple(scale.tolist()), tuple(shift.tolist()))
    told = calibrated(scores, found, "multi")
    limits = [
        f1_threshold(row) if has.any() else 0.5 for row, has in zip(told.T, targets.T, strict=True)
    ]
    return replace(found, thresholds=tuple(limits))


def calibrate(
    targets: Targets,
    counts: npt.NDArray[np.bool_],
    table: pd.DataFrame,
    topics: Topics,
    precision: float,
) -> tuple[pd.DataFrame, Calibration]:
    """Calibrate out-of-fold scores, each by the others, and find what the final model gets.

    Parameters
    ----------
    targets
        (n, k) which topics the rows of `table` have.
    counts
        (n,) whether a row is evaluated; the others are calibrated but calibrate nothing.
    table
        Columns id, repeat, fold and one score a topic, as `training.cross_validate` gives them.
    topics
        The codebook.
    precision
        Share of right answers to reach in mode single.

    Returns
    -------
    scores
        The table with calibrated scores and a column threshold a topic. Those of a fold are
        calibrated by the repeat's other folds; a lone fold's by its other half.
    calibration
        From all rows.
    """
    names, mode = topics.names, topics.mode
    raw = table[list(names)].to_numpy(dtype=np.float64)
    part = table["fold"].to_numpy()
    if len(np.unique(part)) < 2:
        part = table.groupby("repeat").cumcount().to_numpy() % 2
    repeat = table["repeat"].to_numpy()
    scores, limits = raw.copy(), np.zeros(raw.shape)
    for r, p in sorted(set(zip(repeat.tolist(), part.tolist(), strict=True))):
        mine = (repeat == r) & (part == p)
        others = (repeat == r) & (part != p) & counts
        found = fit(targets[others], raw[others], mode, precision)
        scores[mine] = calibrated(raw[mine], found, mode)
        limits[mine] = found.thresholds
    told = table.copy()
    told[list(names)] = scores
    told[topics.thresholds] = limits
    return told, fit(targets[counts], raw[counts], mode, precision)
