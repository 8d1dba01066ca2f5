"""Numbers from labels and scores: small pure functions.

Every function takes (..., n) or (..., k, k) arrays and works on the last axes, so that one call
serves a single evaluation and thousands of resamples. Intervals are `statistics`' matter. Topics
without a single true example are left out of means over topics.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

N_BINS = 10


def conditional(scores: Array) -> Array:
    """Probabilities (..., k) given that there is a topic: rows that sum to 1."""
    shares: Array = scores / scores.sum(axis=-1, keepdims=True)
    return shares


def confusion(true: Integers, predicted: Integers, k: int) -> Array:
    """Counts, (k, k): rows are true topics, columns predicted ones."""
    counts = np.bincount(true * k + predicted, minlength=k * k)
    return counts.reshape(k, k).astype(np.float64)


def accuracy(matrix: Array) -> Array:
    """Share of the diagonal of (..., k, k) confusion matrices."""
    share: Array = np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1))
    return share


def precision(matrix: Array) -> Array:
    """Per predicted topic, (..., k); 0 where a topic is never predicted."""
    return _ratio(_diagonal(matrix), matrix.sum(axis=-2))


def recall(matrix: Array) -> Array:
    """Per true topic, (..., k); 0 where a topic has no example."""
    return _ratio(_diagonal(matrix), matrix.sum(axis=-1))


def f1(matrix: Array) -> Array:
    """Per topic, (..., k): the harmonic mean of precision and recall."""
    return _ratio(2 * _diagonal(matrix), matrix.sum(axis=-1) + matrix.sum(axis=-2))


def macro_f1(matrix: Array, present: npt.NDArray[np.bool_]) -> Array:
    """Mean F1 over the topics that are `present` (k,)."""
    mean: Array = f1(matrix)[..., present].mean(axis=-1)
    return mean


def log_losses(true: Integers, scores: Array) -> Array:
    """Minus the log of the true topic's probability, one a row of (n, k); at most 34.5."""
    right = np.take_along_axis(scores, true[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(right, 1e-15))


def brier_scores(true: Integers, scores: Array) -> Array:
    """Squared distance of each row of (n, k) from the truth, 0 to 2 (Brier 1950)."""
    truth = np.eye(scores.shape[1])[true]
    distances: Array = ((scores - truth) ** 2).sum(axis=1)
    return distances


def bins(confidence: Array) -> Integers:
    """Number of the equal-width confidence bin of each score: .05 → 0, 1. → 9."""
    return np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def calibration_error(weight: Array, confidence: Array, hit: Array) -> Array:
    """Expected calibration error of the top topic (Guo et al. 2017, arXiv:1706.04599).

    Parameters
    ----------
    weight, confidence, hit
        Sums over each bin, (..., N_BINS): of weights, of weight times confidence, and of weight
        times whether the prediction is right.
    """
    gap: Array = np.abs(confidence - hit).sum(axis=-1) / weight.sum(axis=-1)
    return gap


def risk_coverage(confidence: Array, right: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Risk and coverage of answering the surest rows first (El-Yaniv & Wiener 2010).

    Parameters
    ----------
    confidence, right
        (n,) for each row: the confidence of its answer, and whether it is right.

    Returns
    -------
    coverage, risk
        (m,) one point a distinct confidence: the share of rows answered, and the share of wrong
        ones among those answers.
    """
    order = np.argsort(-confidence, kind="stable")
    last = np.append(np.diff(confidence[order]) != 0, True)
    answered = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~right[order])
    return (answered / len(order))[last], (wrong / answered)[last]


def _diagonal(matrix: Array) -> Array:
    diagonal: Array = np.diagonal(matrix, axis1=-2, axis2=-1)
    return diagonal


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
