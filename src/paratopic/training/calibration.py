"""Fit and apply calibrations: honest probabilities, and thresholds for predicting a topic.

Calibrations are fitted to out-of-fold scores, never to texts. Metrics are for `evaluation`. A saved
model has the scale and shift in its weights already, so prediction does not apply them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from paratopic.inference.folder import Calibration
from paratopic.inference.modes import Mode, mode_of
from paratopic.inference.scores import (
    SMALLEST,
    Array,
    Integers,
    Scores,
    Targets,
    classes,
    conditional,
    log_losses,
    topical,
)
from paratopic.project.topics import Topics
from paratopic.training.head import fit_binary, fit_logistic

# Bounds of the search for a temperature.
TEMPERATURES = 0.05, 20.0
# Strength (C) of the logistic regression of being right on confidence.
RIGHT_STRENGTH = 10.0
# Strength (C) of the logistic regressions that scale and shift each topic's logits in mode multi.
PLATT_STRENGTH = 1.0
# Number of answers that the fitted chance of being right counts as, beside the counted ones.
PRIOR_ANSWERS = 20.0
# Larger logits are cut to this before they are scaled and shifted.
LARGEST_LOGIT = 15.0
# Threshold in mode multi of a topic without examples.
UNFITTED_THRESHOLD = 0.5


def calibrate_out_of_fold(
    targets: Targets,
    evaluated: npt.NDArray[np.bool_],
    table: pd.DataFrame,
    topics: Topics,
    precision: float,
) -> tuple[pd.DataFrame, Calibration]:
    """Calibrate each fold's scores by the other folds, and fit the final model's calibration.

    Parameters
    ----------
    targets
        (n, k) topics of the table's rows.
    evaluated
        (n,) whether each row is evaluated. Calibrations are fitted to evaluated rows only, and
        applied to all.
    table
        Out-of-fold scores from `crossval.cross_validate`: columns id, repeat, fold and one of
        scores for each topic.
    topics
        The codebook.
    precision
        Share of right answers to reach in mode single, 0 to 1.

    Returns
    -------
    scores
        The table with calibrated scores, and a column of thresholds for each topic. Each fold is
        calibrated by the other folds of its repeat; a lone fold's halves by each other.
    calibration
        Calibration fitted to all evaluated rows, for the final model.
    """
    names, mode = list(topics.names), mode_of(topics.mode)
    raw = table[names].to_numpy(dtype=np.float64)
    scores, thresholds = raw.copy(), np.zeros(raw.shape)
    for part, rest in _parts(table):
        used = rest & evaluated
        calibration = fit_calibration(targets[used], raw[used], mode, precision)
        scores[part] = apply_calibration(raw[part], calibration, mode)
        thresholds[part] = calibration.thresholds
    calibrated = table.copy()
    calibrated[names], calibrated[topics.thresholds] = scores, thresholds
    return calibrated, fit_calibration(targets[evaluated], raw[evaluated], mode, precision)


def fit_calibration(targets: Targets, scores: Scores, mode: Mode, precision: float) -> Calibration:
    """Fit a calibration to scores of models that did not see the rows.

    In mode single the topics share one temperature, having any topic has another, and one threshold
    reaches `precision`. In mode multi each topic's logits are scaled and shifted (Platt 1999),
    regularised towards staying as they are, and each topic has the threshold with the highest F1.

    Parameters
    ----------
    targets
        (n, k) topics of the rows.
    scores
        (n, k) probabilities of the topics.
    mode
        Mode of the topics.
    precision
        Share of right answers to reach in mode single, 0 to 1.
    """
    return _FITS[mode.name](targets, scores, mode, precision)


def apply_calibration(scores: Scores, calibration: Calibration, mode: Mode) -> Scores:
    """Scale and shift the logits of the topics' probabilities (n, k)."""
    logits = mode.logits(mode.complete(scores))
    return mode.scores(logits * calibration.scale + calibration.shift)


def temper(scores: Scores, temperature: float) -> Scores:
    """Raise probabilities (n, k) to the power of 1 / temperature, and scale rows to sum to 1.

    >>> temper(np.array([[0.8, 0.2]]), 2).round(3).tolist()
    [[0.667, 0.333]]
    """
    scaled = (scores / scores.max(axis=1, keepdims=True)) ** (1 / temperature)
    tempered: Scores = scaled / scaled.sum(axis=1, keepdims=True)
    return tempered


def fit_temperature(true: Integers, scores: Scores) -> float:
    """Find the temperature with the lowest log loss (Guo et al. 2017, arXiv:1706.04599).

    One paragraph is added of which every topic is equally true, so that a model without a mistake
    on ten paragraphs does not count as certain.

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
        possible = np.log(np.maximum(tempered[:, scores.max(axis=0) > 0], SMALLEST))
        return float(log_losses(true, tempered).sum() - possible.mean())

    low, high = TEMPERATURES
    best = minimize_scalar(loss, bounds=(np.log(low), np.log(high)), method="bounded")
    return float(np.exp(best.x))


def precision_threshold(confidence: Array, right: npt.NDArray[np.bool_], precision: float) -> float:
    """Find the lowest confidence at and above which a share of `precision` of answers is right.

    That share is counted, together with `PRIOR_ANSWERS` further answers of which as many are right
    as a logistic regression expects (Platt 1999). With few paragraphs the regression is more exact
    than a count; with many, whose confidences pile up near 1, the count is.

    Parameters
    ----------
    confidence
        (n,) probability of the most probable topic.
    right
        (n,) whether that topic is the true one; False for a paragraph with none of the topics.
    precision
        Share of right answers to reach, 0 to 1.

    Returns
    -------
    The threshold; the highest confidence if the precision is out of reach, 0 if n is 0.
    """
    if not len(confidence):
        return 0.0
    chance = _chance_of_being_right(confidence, right)
    order = np.argsort(-confidence, kind="stable")
    # Precision of answering only the most confident one, two, ... paragraphs.
    answered = np.arange(1, len(order) + 1)
    expected = np.cumsum(chance[order]) / answered
    reached = (np.cumsum(right[order]) + PRIOR_ANSWERS * expected) / (answered + PRIOR_ANSWERS)
    enough = np.flatnonzero(reached >= precision)
    return float(confidence[order][enough[-1] if len(enough) else 0])


def f1_threshold(scores: Array) -> float:
    """Find the lowest probability at which to predict a topic for the highest expected F1.

    It is half of that F1 (Lipton, Elkan & Narayanaswamy 2014, arXiv:1402.1892). The F1 is the one
    that the probabilities themselves let expect, which with few paragraphs is more exact than a
    count of hits.

    Parameters
    ----------
    scores
        (n,) calibrated probabilities of one topic.
    """
    ordered = np.sort(scores)[::-1]
    predicted = np.arange(1, len(ordered) + 1)
    expected = 2 * np.cumsum(ordered) / (predicted + ordered.sum())
    return float(expected.max(initial=0.0) / 2)


def _parts(
    table: pd.DataFrame,
) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Rows of each repeat and fold, and the other rows of the repeat, both as masks (n,)."""
    repeat, fold = table["repeat"].to_numpy(), table["fold"].to_numpy()
    if len(np.unique(fold)) < 2:  # a lone fold is halved
        fold = table.groupby("repeat").cumcount().to_numpy() % 2
    for r, f in sorted(set(zip(repeat.tolist(), fold.tolist(), strict=True))):
        yield (repeat == r) & (fold == f), (repeat == r) & (fold != f)


def _chance_of_being_right(confidence: Array, right: npt.NDArray[np.bool_]) -> Array:
    """Fitted chance of being right, (n,): a logistic function of the logit of confidence."""
    logits = logit(np.clip(confidence, 1e-6, 1 - 1e-6))
    # Half a right and half a wrong answer of median confidence keep the chance away from 0 and 1.
    middle = np.median(logits)
    coef, intercept = fit_logistic(
        np.append(logits, [middle, middle])[:, None],
        np.append(right, [True, False]).astype(np.int64),
        np.append(np.ones(len(logits)), [0.5, 0.5]),
        RIGHT_STRENGTH,
        np.zeros((2, 1)),
    )
    return np.asarray(expit((coef[1, 0] - coef[0, 0]) * logits + intercept[1] - intercept[0]))


def _none_or_any(scores: Scores) -> Scores:
    """Probabilities of having none of the topics and of having any, (n, 2)."""
    any_topic = np.minimum(scores.sum(axis=1), 1)  # rounding can take the sum above 1
    return np.column_stack([1 - any_topic, any_topic])


def _fit_single(targets: Targets, scores: Scores, mode: Mode, precision: float) -> Calibration:
    true, has_topic = classes(targets), topical(targets)
    of_topics = fit_temperature(true[has_topic], conditional(scores[has_topic]))
    temperatures = np.full(mode.n_logits(scores.shape[1]), of_topics)
    temperatures[-1] = 1.0
    if not has_topic.all():
        temperatures[-1] = fit_temperature(has_topic.astype(np.int64), _none_or_any(scores))
    calibration = Calibration(scale=tuple((1 / temperatures).tolist()))
    scores = apply_calibration(scores, calibration, mode)
    right = scores.argmax(axis=1) == true
    threshold = precision_threshold(scores.max(axis=1), right, precision)
    return replace(calibration, thresholds=(threshold,))


def _fit_multi(targets: Targets, scores: Scores, mode: Mode, precision: float) -> Calibration:
    logits = np.clip(mode.logits(scores), -LARGEST_LOGIT, LARGEST_LOGIT)
    low, high = (1 / temperature for temperature in reversed(TEMPERATURES))
    scale, shift = np.ones(targets.shape[1]), np.zeros(targets.shape[1])
    weights, unchanged = np.ones(len(targets)), np.ones(1)
    for topic, has in enumerate(targets.T):
        if has.any() and not has.all():
            coef, shift[topic] = fit_binary(
                logits[:, [topic]], has, weights, PLATT_STRENGTH, unchanged
            )
            scale[topic] = np.clip(coef[0], low, high)
    calibration = Calibration(tuple(scale.tolist()), tuple(shift.tolist()))
    scores = apply_calibration(scores, calibration, mode)
    thresholds = [
        f1_threshold(of_topic) if has.any() else UNFITTED_THRESHOLD
        for of_topic, has in zip(scores.T, targets.T, strict=True)
    ]
    return replace(calibration, thresholds=tuple(thresholds))


_FITS: dict[str, Callable[[Targets, Scores, Mode, float], Calibration]] = {
    "single": _fit_single,
    "multi": _fit_multi,
}
