"""Fit and apply calibrations: honest probabilities, and thresholds for predicting a topic.

Calibrations are fitted to out-of-fold scores, never to texts. Metrics are for `evaluation`. A saved
model has its calibration in the manifest, and `inference.model` applies it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
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
    mode_of,
    sigmoid,
    softmax,
    topical,
)
from paratopic.project.params import SHARES, Calibrate
from paratopic.project.topics import Topics

# Spreads around 0 of the log scale of logits, and of their shifts in mode single.
SPREAD, SPREAD_OF_SHIFTS = 0.5, 3.0
# Logits are cut to this on both sides before a calibration is fitted to them.
LARGEST_LOGIT = 15.0
# Threshold in mode multi of a topic without examples.
UNFITTED_THRESHOLD = 0.5


class KnownScores(NamedTuple):
    """Scores whose truth is known, which a calibration is fitted to.

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

    def of(self, rows: npt.NDArray[np.bool_]) -> KnownScores:
        """Select rows."""
        return KnownScores(self.targets[rows], self.scores[rows], self.weights[rows])


def calibrate_rows(
    data: Labelled, table: pd.DataFrame, promise: Calibrate, unlabelled: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, Calibration, pd.DataFrame]:
    """Calibrate each fold's scores by the other folds, and fit the final model's calibration.

    Calibrations are fitted to evaluated rows only, and applied to all. Repeats are no further
    evidence: r of them count as one.

    Parameters
    ----------
    table
        Out-of-fold scores from `crossval.cross_validate`: columns id, repeat, fold and one of
        scores for each topic.
    unlabelled
        The same of paragraphs without a label, which are calibrated like those of their fold; none
        by default.

    Returns
    -------
    scores
        The table with calibrated scores, and a column of thresholds for each topic. Each fold is
        calibrated by the other folds of its repeat; a lone fold's halves by each other.
    calibration
        Calibration fitted to all evaluated rows, for the final model.
    unlabelled
        The table with calibrated scores.
    """
    topics, mode = data.topics, mode_of(data.topics.mode)
    place = pd.Index(data.rows["id"]).get_indexer(table["id"])
    counted, groups = data.by_hand[place], data.groups[place]
    raw = table[topics.scores].to_numpy(dtype=np.float64)
    stands_for = np.ones(len(data.rows))
    if (weights := data.hand.weights) is not None:
        stands_for[data.by_hand] = weights
    every = KnownScores(data.targets[place], raw, stands_for[place])
    scores, thresholds = raw.copy(), np.zeros(raw.shape)
    others = table[:0] if unlabelled is None else unlabelled.copy()
    for part, rest in _parts(table, groups):
        # Each row is there once.
        calibration = fit_calibration(every.of(rest & counted), mode, promise.caution)
        scores[part] = apply_calibration(raw[part], calibration, mode)
        thresholds[part] = calibration.thresholds
        repeat, fold = table.loc[part, ["repeat", "fold"]].iloc[0]
        beside = (others["repeat"] == repeat) & (others["fold"] == fold)
        known = others.loc[beside, topics.scores].to_numpy(dtype=np.float64)
        others.loc[beside, topics.scores] = apply_calibration(known, calibration, mode)
    of_rows = with_columns(table, topics.scores, scores)
    of_rows = with_columns(of_rows, topics.thresholds, thresholds)
    once = every._replace(weights=every.weights / max(1, table["repeat"].nunique()))
    calibration = fit_calibration(once.of(counted), mode, promise.caution)
    final = every._replace(scores=apply_calibration(raw, calibration, mode)).of(counted)
    if final.weights.any():
        shares = np.average(mode.outcomes(final.targets), axis=0, weights=final.weights)
        calibration = replace(calibration, shares=tuple(shares.tolist()))
    paragraph = pd.factorize(table["id"][counted])[0]
    sure = _sure(mode, final, calibration, paragraph, groups[counted], promise)
    return of_rows, replace(calibration, sure=sure), others


def fit_calibration(known: KnownScores, mode: Mode, caution: float = 1.0) -> Calibration:
    """Fit a calibration to scores of models that did not see the rows.

    In mode single all logits are scaled alike, and those of each outcome shifted; the thresholds
    are such that the shifts change no answer. In mode multi each topic's logits are scaled and
    shifted, and each topic has the threshold with the highest expected F1. Naming a topic takes
    `caution` times the odds of these thresholds.
    """
    calibration = (_fit_single if mode.name == "single" else _fit_multi)(known, mode)
    thresholds = mode.cautious(np.array(calibration.thresholds), caution)
    return replace(calibration, thresholds=tuple(thresholds.tolist()))


def measure(targets: Targets, scores: Scores, topics: Topics) -> tuple[Array, Targets, Targets]:
    """Log losses of rows, (n,), after calibration by themselves.

    Beside them, which outcome holds and which is predicted, both (n, K).
    """
    mode = mode_of(topics.mode)
    calibration = fit_calibration(KnownScores(targets, scores, np.ones(len(targets))), mode)
    scores, truth = apply_calibration(scores, calibration, mode), mode.outcomes(targets)
    predicted = mode.predicted(scores, calibration.thresholds)
    return mode.losses(truth, mode.complete(scores)), truth, mode.outcomes(predicted)


def with_expected_thresholds(table: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """Add a column of thresholds for each topic to scores that no label calibrates."""
    thresholds = mode_of(topics.mode).expected_thresholds(table[topics.scores].to_numpy())
    return with_columns(table, topics.thresholds, np.tile(thresholds, (len(table), 1)))


def calibrated(table: pd.DataFrame, calibration: Calibration, topics: Topics) -> pd.DataFrame:
    """The table with its columns of scores calibrated."""
    raw = table[topics.scores].to_numpy(dtype=np.float64)
    scores = apply_calibration(raw, calibration, mode_of(topics.mode))
    return with_columns(table, topics.scores, scores)


def apply_calibration(scores: Scores, calibration: Calibration, mode: Mode) -> Scores:
    """Scale and shift the logits of the topics' probabilities (n, k)."""
    logits = mode.logits(mode.complete(scores))
    return mode.scores(calibration.apply(logits))


def fit_scale_and_shifts(logits: Array, outcomes: Targets, weights: Array) -> tuple[float, Array]:
    """Find the scale of all logits and the shift of each outcome's with the lowest log loss.

    A head gives all outcomes equal weight, so its logits do not tell how frequent they are. The
    shifts do: the mean probability of each outcome is its share of the rows, nearly. The log scale
    is normal around 0 before any row is seen, with the standard deviation `SPREAD`, and so are the
    shifts, with `SPREAD_OF_SHIFTS`.

    Parameters
    ----------
    logits, outcomes, weights
        (n, r) finite logits by models that did not see the rows, (n, r) which outcome each row has,
        and (n,) weights of the rows; n may be 0.

    Returns
    -------
    The factor of the logits, and the (r,) numbers that are added to the products.
    """

    def loss(at: Array) -> tuple[float, Array]:
        log_scale, shifts = at[0], at[1:]
        shifted = np.exp(log_scale) * logits + shifts
        losses = logsumexp(shifted, axis=1) - shifted[outcomes]
        error = weights[:, None] * (softmax(shifted) - outcomes)
        value = float(weights @ losses) + log_scale**2 / (2 * SPREAD**2)
        value += float(shifts @ shifts) / (2 * SPREAD_OF_SHIFTS**2)
        slope = np.exp(log_scale) * (error * logits).sum() + log_scale / SPREAD**2
        return value, np.append(slope, error.sum(axis=0) + shifts / SPREAD_OF_SHIFTS**2)

    best = minimize(loss, np.zeros(logits.shape[1] + 1), jac=True, method="BFGS").x
    return float(np.exp(best[0])), np.asarray(best[1:])


def fit_scale_and_shift(
    logits: Array, has: npt.NDArray[np.bool_], weights: Array
) -> tuple[float, float]:
    """Find the scale and shift of a topic's logits with the lowest log loss (Platt 1999).

    A head gives having the topic and not having it equal weight, so its logits do not tell how
    frequent the topic is. Hence the shift has no prior: the probabilities' mean is the share of the
    rows that have the topic, however few rows there are. The log scale has the same prior as for
    `fit_scale_and_shifts`.

    Parameters
    ----------
    logits, has, weights
        (n,) finite logits by models that did not see the rows, whether the rows have the topic,
        which some do and some do not, and their weights.

    Returns
    -------
    The factor of the logits, and the number that is added to the product.
    """

    def loss(at: Array) -> tuple[float, Array]:
        log_scale, shift = at
        scaled = np.exp(log_scale) * logits
        losses = np.logaddexp(0, np.where(has, -1, 1) * (scaled + shift))
        error = weights * (sigmoid(scaled + shift) - has)
        value = float(weights @ losses) + log_scale**2 / (2 * SPREAD**2)
        return value, np.array([error @ scaled + log_scale / SPREAD**2, error.sum()])

    log_scale, shift = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    return float(np.exp(log_scale)), float(shift)


def f1_threshold(scores: Array) -> float:
    """Lowest of a topic's calibrated probabilities, (n,), at which predicting it gives the best F1.

    It is half of that F1 (Lipton, Elkan & Narayanaswamy 2014, arXiv:1402.1892). The F1 is the one
    that the probabilities themselves let expect, which with few paragraphs is more exact than a
    count of hits.
    """
    ordered = np.sort(scores)[::-1]
    predicted = np.arange(1, len(ordered) + 1)
    expected = 2 * np.cumsum(ordered) / (predicted + ordered.sum())
    return float(expected.max(initial=0.0) / 2)


def sure_threshold(
    confidence: Array, right: Targets, groups: Integers, promise: Calibrate
) -> float:
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


def _sure(
    mode: Mode,
    final: KnownScores,
    calibration: Calibration,
    paragraph: Integers,
    groups: Integers,
    promise: Calibrate,
) -> float:
    """Lowest probability of sure predictions, from each paragraph's mean scores over repeats."""
    first = np.unique(paragraph, return_index=True)[1]
    mean = np.zeros((len(first), final.scores.shape[1]))
    np.add.at(mean, paragraph, final.scores / np.bincount(paragraph)[paragraph][:, None])
    # Of several topics, nothing is promised.
    predicted = mode.exclusive & mode.predicted(mean, calibration.thresholds)
    rows = topical(predicted)
    right = topical(predicted & final.targets[first])
    return sure_threshold(mean[predicted], right[rows], groups[first][rows], promise)


def _parts(
    table: pd.DataFrame, groups: Integers
) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Rows of each repeat and fold, and the other rows of the repeat, both as masks (n,)."""
    repeat, fold = table["repeat"].to_numpy(), table["fold"].to_numpy()
    if len(np.unique(fold)) < 2:  # a lone fold is halved, groups whole
        fold = pd.factorize(groups)[0] % 2
    for r, f in sorted(set(zip(repeat.tolist(), fold.tolist(), strict=True))):
        yield (repeat == r) & (fold == f), (repeat == r) & (fold != f)


def _fit_single(known: KnownScores, mode: Mode) -> Calibration:
    targets, scores, weights = known
    probabilities, outcomes = mode.complete(scores), mode.outcomes(targets)
    # Nothing is learnt from rows with an outcome that the model in question does not know.
    rows = (probabilities * outcomes).any(axis=1)
    seen = topical(outcomes[rows].T)
    logits = np.maximum(mode.logits(probabilities), -LARGEST_LOGIT)
    scale, shift = 1.0, np.zeros(len(seen))
    if rows.any():
        scale, shift[seen] = fit_scale_and_shifts(
            logits[rows][:, seen], outcomes[rows][:, seen], weights[rows]
        )
        # Topics that no row has count as the rarest that some have, and none as what is usual.
        shift[:-1][~seen[:-1]] = shift[:-1][seen[:-1]].min(initial=0.0)
    thresholds = np.exp(shift[:-1] - shift[-1])
    return Calibration((scale,), tuple(shift.tolist()), tuple(thresholds.tolist()))


def _fit_multi(known: KnownScores, mode: Mode) -> Calibration:
    targets, raw, weights = known
    logits = np.clip(mode.logits(raw), -LARGEST_LOGIT, LARGEST_LOGIT)
    scale, shift = np.ones(targets.shape[1]), np.zeros(targets.shape[1])
    for topic, has in enumerate(targets.T):
        if has.any() and not has.all():
            scale[topic], shift[topic] = fit_scale_and_shift(logits[:, topic], has, weights)
    calibration = Calibration(tuple(scale.tolist()), tuple(shift.tolist()))
    scores = apply_calibration(raw, calibration, mode)
    thresholds = [
        f1_threshold(of_topic) if has.any() else UNFITTED_THRESHOLD
        for of_topic, has in zip(scores.T, targets.T, strict=True)
    ]
    return replace(calibration, thresholds=tuple(thresholds))
