"""Metrics from counts and scores: small pure functions.

Every function works on the last axes of its arrays, so that one call serves a single evaluation and
thousands of resamples. F1 and its kin come from three counts of each topic: `true`, of the
paragraphs that have it; `predicted`, of those that are said to; `hit`, of those where both is so.
Topics without a single true example are left out of means over topics. Intervals are for
`intervals`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from paratopic.inference.scores import Array, Integers, Targets

N_BINS = 10


def counts(true: Targets, named: Targets) -> tuple[Array, Array, Array]:
    """Of rows (n, k), each topic's counts (k,): hit, named and true."""
    hit: Array = (true & named).sum(axis=0).astype(np.float64)
    return hit, named.sum(axis=0).astype(np.float64), true.sum(axis=0).astype(np.float64)


def precision(hit: Array, named: Array) -> Array:
    """Per topic, (..., k); 0 where a topic is never named."""
    return _ratio(hit, named)


def recall(hit: Array, true: Array) -> Array:
    """Per topic, (..., k); 0 where a topic has no example."""
    return _ratio(hit, true)


def f1(hit: Array, named: Array, true: Array) -> Array:
    """Per topic, (..., k): the harmonic mean of precision and recall."""
    return _ratio(2 * hit, named + true)


def macro_f1(hit: Array, named: Array, true: Array, present: npt.NDArray[np.bool_]) -> Array:
    """Mean F1 over the topics that are `present` (k,)."""
    mean: Array = f1(hit, named, true)[..., present].mean(axis=-1)
    return mean


def micro_f1(hit: Array, named: Array, true: Array) -> Array:
    """F1 of all topics' counts together, (...,): topics weigh as often as they occur."""
    return f1(hit.sum(axis=-1), named.sum(axis=-1), true.sum(axis=-1))


def average_precision(true: npt.NDArray[np.bool_], scores: Array, weights: Array) -> Array:
    """Mean precision at each true row of one topic, the most probable first.

    Rows of one score come together, as scikit-learn has it.

    Parameters
    ----------
    true, scores
        (n,) for each row.
    weights
        (..., n) of the rows.

    Returns
    -------
    (...,) 0 where no true row has weight.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(weights[..., order] * true[order], axis=-1)[..., last]
    answered = np.cumsum(weights[..., order], axis=-1)[..., last]
    gained = np.diff(hits, axis=-1, prepend=0)
    return _ratio((gained * _ratio(hits, answered)).sum(axis=-1), hits[..., -1])


def bins(confidence: Array) -> Integers:
    """Number of the equal-width confidence bin of each score: .05 → 0, 1. → 9."""
    return np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def calibration_error(weight: Array, confidence: Array, hit: Array) -> Array:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599).

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


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
