"""Fit and apply calibrations: honest probabilities, and thresholds for predicting a topic.

Calibrations are fitted to out-of-fold scores, never to texts. `evaluation` computes metrics. The
manifest of a saved model contains its calibration, and `inference.model` applies it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import logsumexp

from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import with_columns
from paratopic.inference.modes import (
    NEVER,
    Array,
    Calibration,
    Integers,
    Mode,
    Scores,
    Targets,
    has_topic,
    mode_of,
    sigmoid,
    softmax,
)
from paratopic.project.params import SURE_SHARES, Calibrate
from paratopic.project.topics import Topics

# Standard deviations of the normal priors around 0: of the log scale of logits, and of the shifts
# in mode single.
SCALE_SPREAD, SHIFT_SPREAD = 0.5, 3.0
# Logits are clipped to this on both sides before a calibration is fitted to them.
LARGEST_LOGIT = 15.0
# Threshold in mode multi of a topic without examples.
UNFITTED_THRESHOLD = 0.5


class KnownScores(NamedTuple):
    """Scores of labelled rows, to which a calibration is fitted.

    Attributes
    ----------
    targets
        (n, k) topics of the rows.
    scores
        (n, k) probabilities of the topics, by models that did not see the rows.
    weights
        (n,) weights of the rows.
    """

    targets: Targets
    scores: Scores
    weights: Array

    def select(self, rows: Targets) -> KnownScores:
        """Select rows."""
        return KnownScores(self.targets[rows], self.scores[rows], self.weights[rows])


def calibrate_rows(
    data: Labelled, table: pd.DataFrame, promise: Calibrate, unlabelled: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, Calibration, pd.DataFrame]:
    """Calibrate each fold's scores by the other folds, and fit the final model's calibration.

    Calibrations are fitted to rows with hand labels only, with the weights in `data`, and applied
    to all rows. Repeats add no evidence: r of them count as one.

    Parameters
    ----------
    table
        Out-of-fold scores from `crossval.cross_validate`: columns id, repeat, fold and one of
        scores for each topic. With no rows, the calibration changes no score.
    promise
        Precision of sure predictions with its confidence, and `caution` of thresholds.
    unlabelled
        A table like `table` of paragraphs without a label, which are calibrated like the labelled
        ones of their fold; none by default.

    Returns
    -------
    scores
        `table` with calibrated scores, and a column of thresholds for each topic. Each fold is
        calibrated by the other folds of its repeat, and a single fold in halves, each by the other.
    calibration
        Calibration fitted to all rows with hand labels, for the final model, with `sure` (`NEVER`
        in mode multi or if nothing keeps the promise) and `shares`, without `without_context`.
    unlabelled
        `unlabelled` with calibrated scores; no rows if it is None.
    """
    topics, mode = data.topics, mode_of(data.topics.mode)
    positions = pd.Index(data.rows["id"]).get_indexer(table["id"])
    by_hand, groups = data.by_hand[positions], data.groups[positions]
    raw = table[topics.score_columns].to_numpy(dtype=np.float64)
    weights = np.ones(len(data.rows))
    if (hand_weights := data.hand_labelled.weights) is not None:
        weights[data.by_hand] = hand_weights
    known = KnownScores(data.targets[positions], raw, weights[positions])
    scores, thresholds = raw.copy(), np.zeros(raw.shape)
    others = table[:0] if unlabelled is None else unlabelled.copy()
    for held_out, rest in _fold_masks(table, groups):
        # A repeat has each row once, so that the weights need no division here.
        calibration = fit_calibration(known.select(rest & by_hand), mode, promise.caution)
        scores[held_out] = apply_calibration(raw[held_out], calibration, mode)
        thresholds[held_out] = calibration.thresholds
        repeat, fold = table.loc[held_out, ["repeat", "fold"]].iloc[0]
        in_fold = (others["repeat"] == repeat) & (others["fold"] == fold)
        raw_scores = others.loc[in_fold, topics.score_columns].to_numpy(dtype=np.float64)
        others.loc[in_fold, topics.score_columns] = apply_calibration(raw_scores, calibration, mode)
    calibrated_table = with_columns(table, topics.score_columns, scores)
    calibrated_table = with_columns(calibrated_table, topics.threshold_columns, thresholds)
    divided = known._replace(weights=known.weights / max(1, table["repeat"].nunique()))
    calibration = fit_calibration(divided.select(by_hand), mode, promise.caution)
    final = known._replace(scores=apply_calibration(raw, calibration, mode)).select(by_hand)
    if final.weights.any():
        shares = np.average(mode.outcomes(final.targets), axis=0, weights=final.weights)
        calibration = replace(calibration, shares=tuple(shares.tolist()))
    paragraph = pd.factorize(table["id"][by_hand])[0]
    sure = _lowest_sure_score(mode, final, calibration, paragraph, groups[by_hand], promise)
    return calibrated_table, replace(calibration, sure=sure), others


def fit_calibration(known: KnownScores, mode: Mode, caution: float = 1.0) -> Calibration:
    """Fit a calibration to scores of models that did not see the rows.

    In mode single all logits have one scale and each outcome has a shift; the topics' thresholds
    undo the shifts, so that the same topics are predicted as without them. In mode multi each topic
    has a scale, a shift and the threshold with the highest expected F1. In both, `caution`, 1 by
    default, then multiplies the odds at which a topic is predicted: above 1, fewer are. `sure`,
    `shares` and `without_context` keep their defaults. Without rows, logits stay as they are.
    """
    calibration = (_fit_single if mode.name == "single" else _fit_multi)(known, mode)
    thresholds = mode.stricter_thresholds(np.array(calibration.thresholds), caution)
    return replace(calibration, thresholds=tuple(thresholds.tolist()))


def measure(targets: Targets, scores: Scores, topics: Topics) -> tuple[Array, Targets, Targets]:
    """Log loss of each row, (n,), after a calibration that is fitted to the same rows.

    The other two results are boolean, (n, K): the true outcomes, and those predicted at calibrated
    thresholds. In mode single K is k + 1, with none of the topics last; in mode multi it is k.
    """
    mode = mode_of(topics.mode)
    calibration = fit_calibration(KnownScores(targets, scores, np.ones(len(targets))), mode)
    scores, truth = apply_calibration(scores, calibration, mode), mode.outcomes(targets)
    predicted = mode.predicted(scores, calibration.thresholds)
    return mode.losses(truth, mode.complete(scores)), truth, mode.outcomes(predicted)


def with_expected_thresholds(table: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """Add a column of thresholds for each topic to scores for which there is no calibration."""
    thresholds = mode_of(topics.mode).expected_thresholds(table[topics.score_columns].to_numpy())
    return with_columns(table, topics.threshold_columns, np.tile(thresholds, (len(table), 1)))


def calibrated(table: pd.DataFrame, calibration: Calibration, topics: Topics) -> pd.DataFrame:
    """Copy a table, with its columns of scores calibrated; thresholds are not added."""
    raw = table[topics.score_columns].to_numpy(dtype=np.float64)
    scores = apply_calibration(raw, calibration, mode_of(topics.mode))
    return with_columns(table, topics.score_columns, scores)


def apply_calibration(scores: Scores, calibration: Calibration, mode: Mode) -> Scores:
    """Calibrated probabilities of the topics, (n, k), from uncalibrated ones, (n, k)."""
    logits = mode.logits(mode.complete(scores))
    return mode.scores(calibration.apply(logits))


def fit_scale_and_shifts(logits: Array, outcomes: Targets, weights: Array) -> tuple[float, Array]:
    """Find the scale of all logits and the shift of each outcome's with the lowest log loss.

    A head gives all outcomes equal weight, so its logits do not depend on how frequent they are.
    The shifts correct this: the mean probability of each outcome becomes nearly its share of the
    rows. Priors add to the loss: the log scale and the shifts are normal around 0, with the
    standard deviations `SCALE_SPREAD` and `SHIFT_SPREAD`.

    Parameters
    ----------
    logits, outcomes, weights
        (n, r) finite logits by models that did not see the rows, (n, r) the one outcome that is
        true of each row, and (n,) weights of the rows.

    Returns
    -------
    The factor of the logits, and the (r,) numbers that are added then; 1 and zeros without rows.
    """

    def loss(at: Array) -> tuple[float, Array]:
        """Penalised log loss, and its gradient by the log of the scale and the shifts."""
        log_scale, shifts = at[0], at[1:]
        shifted = np.exp(log_scale) * logits + shifts
        losses = logsumexp(shifted, axis=1) - shifted[outcomes]
        error = weights[:, None] * (softmax(shifted) - outcomes)
        value = float(weights @ losses) + log_scale**2 / (2 * SCALE_SPREAD**2)
        value += float(shifts @ shifts) / (2 * SHIFT_SPREAD**2)
        slope = np.exp(log_scale) * (error * logits).sum() + log_scale / SCALE_SPREAD**2
        return value, np.append(slope, error.sum(axis=0) + shifts / SHIFT_SPREAD**2)

    best = minimize(loss, np.zeros(logits.shape[1] + 1), jac=True, method="BFGS").x
    return float(np.exp(best[0])), np.asarray(best[1:])


def fit_scale_and_shift(logits: Array, truth: Targets, weights: Array) -> tuple[float, float]:
    """Find the scale and shift of a topic's logits with the lowest log loss (Platt 1999).

    A head gives having the topic and not having it equal weight, so its logits do not depend on how
    frequent the topic is. Hence the shift has no prior: the probabilities' mean is the share of the
    rows that have the topic, however few rows there are. The prior of the log scale is normal
    around 0, with the standard deviation `SCALE_SPREAD`.

    Parameters
    ----------
    logits, truth, weights
        (n,) finite logits by models that did not see the rows, whether each row has the topic
        (both cases must occur), and weights of the rows.

    Returns
    -------
    The factor of the logits, and the number that is added to the product.
    """

    def loss(at: Array) -> tuple[float, Array]:
        log_scale, shift = at
        scaled = np.exp(log_scale) * logits
        losses = np.logaddexp(0, np.where(truth, -1, 1) * (scaled + shift))
        error = weights * (sigmoid(scaled + shift) - truth)
        value = float(weights @ losses) + log_scale**2 / (2 * SCALE_SPREAD**2)
        return value, np.array([error @ scaled + log_scale / SCALE_SPREAD**2, error.sum()])

    log_scale, shift = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    return float(np.exp(log_scale)), float(shift)


def f1_threshold(scores: Array) -> float:
    """Find the threshold with the highest expected F1 of a topic's calibrated scores, (n,).

    It is half of that F1 (Lipton, Elkan & Narayanaswamy 2014, arXiv:1402.1892), and 0 without
    scores. The expected F1 follows from the probabilities, which for few paragraphs is more exact
    than a count of true positives.
    """
    ordered = np.sort(scores)[::-1]
    predicted = np.arange(1, len(ordered) + 1)
    expected = 2 * np.cumsum(ordered) / (predicted + ordered.sum())
    return float(expected.max(initial=0.0) / 2)


def sure_threshold(confidence: Array, right: Targets, group: Integers, promise: Calibrate) -> float:
    """Find the lowest confidence from which on predictions have the promised precision.

    The candidates are thresholds for the most confident `SURE_SHARES` of the predictions. The
    result belongs to the largest share that has `promise.least_groups` groups and a precision that
    is below `promise.precision` with a probability of at most `promise.risk`: the candidates divide
    the risk (Bonferroni, as in Learn then Test: Angelopoulos et al. 2021, arXiv:2110.01052). A
    group counts as one observation, whose value is the share of its predictions that are right.

    Parameters
    ----------
    confidence, right, group
        (n,) probability of each prediction, whether it is right, and the number of its group.

    Returns
    -------
    The least confidence of a sure prediction; `NEVER` if no share keeps the promise.
    """
    ordered = np.sort(confidence)[::-1]
    for share in SURE_SHARES if len(ordered) else ():
        threshold = float(ordered[math.ceil(share * len(ordered)) - 1])
        sure = confidence >= threshold
        number = np.unique(group[sure], return_inverse=True)[1]
        shares_right = np.bincount(number, weights=right[sure]) / np.bincount(number)
        if len(shares_right) >= promise.least_groups and (
            probability_below(shares_right, promise.precision) <= promise.risk
        ):
            return threshold
    return NEVER


def probability_below(values: Array, mean: float) -> float:
    """Probability that independent values, (n,) from 0 to 1, have a true mean below `mean`.

    `mean` is above 0 and below 1. The Bayesian bootstrap (Rubin 1981) of the values and of an
    additional 0 gives it. This is the bound of Gaffke (2005), see Learned-Miller & Thomas 2019
    (arXiv:1905.06208), which holds in simulations and is not proven in general. For values of 0 and
    1, it is the proven bound of Clopper & Pearson (1934); if they vary less, it is tighter.

    >>> round(probability_below(np.ones(44), 0.9), 6) == round(0.9**44, 6)
    True
    """
    # The weights are exponential, so that the sum of weighted distances from the number has a
    # simple characteristic function, which is inverted at 0 (Gil-Pelaez 1951).
    distances = np.append(values, 0.0) - mean
    distances /= np.linalg.norm(distances)

    def integrand(at: float) -> float:
        steps = distances * at
        size = np.exp(-np.log1p(steps**2).sum() / 2)
        return float(np.sin(np.arctan(steps).sum()) * size / at)

    integral = quad(integrand, 0, np.inf, limit=200)[0]
    return float(0.5 - integral / np.pi)


def _lowest_sure_score(
    mode: Mode,
    final: KnownScores,
    calibration: Calibration,
    paragraph: Integers,
    groups: Integers,
    promise: Calibrate,
) -> float:
    """Lowest probability from which predicted topics keep the promised precision, or `NEVER`.

    The thresholds of `calibration` decide which topics are predicted, from each paragraph's mean
    scores over repeats. `final` has calibrated scores, and `paragraph` and `groups` have the number
    of the paragraph, from 0, and of the group of each row. In mode multi, the result is `NEVER`.
    """
    first = np.unique(paragraph, return_index=True)[1]
    mean = np.zeros((len(first), final.scores.shape[1]))
    np.add.at(mean, paragraph, final.scores / np.bincount(paragraph)[paragraph][:, None])
    # In mode multi no prediction is sure.
    predicted = mode.exclusive & mode.predicted(mean, calibration.thresholds)
    rows = has_topic(predicted)
    right = has_topic(predicted & final.targets[first])
    return sure_threshold(mean[predicted], right[rows], groups[first][rows], promise)


def _fold_masks(table: pd.DataFrame, groups: Integers) -> Iterator[tuple[Targets, Targets]]:
    """Yield masks (n,) of a fold's rows and its repeat's others; one fold is halved by groups."""
    repeat, fold = table["repeat"].to_numpy(), table["fold"].to_numpy()
    if len(np.unique(fold)) < 2:  # a single fold is halved, without dividing groups
        fold = pd.factorize(groups)[0] % 2
    for r, f in sorted(set(zip(repeat.tolist(), fold.tolist(), strict=True))):
        yield (repeat == r) & (fold == f), (repeat == r) & (fold != f)


def _fit_single(known: KnownScores, mode: Mode) -> Calibration:
    """Fit a scale for all logits and a shift for each outcome; thresholds undo the shifts.

    A topic without rows gets the least shift of the others, at most 0; none without rows gets 0.
    """
    targets, scores, weights = known
    probabilities, outcomes = mode.complete(scores), mode.outcomes(targets)
    # Rows with an outcome that the model gives no probability contain no information on the scale.
    rows = (probabilities * outcomes).any(axis=1)
    seen = has_topic(outcomes[rows].T)
    logits = np.maximum(mode.logits(probabilities), -LARGEST_LOGIT)[rows][:, seen]
    scale, shift = 1.0, np.zeros(len(seen))
    if rows.any():
        scale, shift[seen] = fit_scale_and_shifts(logits, outcomes[rows][:, seen], weights[rows])
        # A topic without rows gets the shift of the rarest topic that has rows, and none gets 0.
        shift[:-1][~seen[:-1]] = shift[:-1][seen[:-1]].min(initial=0.0)
    thresholds = np.exp(shift[:-1] - shift[-1])
    return Calibration((scale,), tuple(shift.tolist()), tuple(thresholds.tolist()))


def _fit_multi(known: KnownScores, mode: Mode) -> Calibration:
    """Fit a scale, a shift and the threshold with the best expected F1 for each topic.

    A topic that all rows have, or no row, keeps its logits. If no row has it, its threshold is 1/2.
    Weights have no effect on thresholds.
    """
    targets, raw, weights = known
    logits = np.clip(mode.logits(raw), -LARGEST_LOGIT, LARGEST_LOGIT)
    scale, shift = np.ones(targets.shape[1]), np.zeros(targets.shape[1])
    for topic, truth in enumerate(targets.T):
        if truth.any() and not truth.all():
            scale[topic], shift[topic] = fit_scale_and_shift(logits[:, topic], truth, weights)
    calibration = Calibration(tuple(scale.tolist()), tuple(shift.tolist()))
    scores = apply_calibration(raw, calibration, mode)
    thresholds = [
        f1_threshold(topic_scores) if truth.any() else UNFITTED_THRESHOLD
        for topic_scores, truth in zip(scores.T, targets.T, strict=True)
    ]
    return replace(calibration, thresholds=tuple(thresholds))
