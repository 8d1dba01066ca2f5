"""Metrics from counts and scores: small pure functions.

Functions work on the last axes of their arrays, so that one call serves a single evaluation as well
as thousands of resamples. Precision, recall and F1 come from three counts for each topic: `true`,
the number of texts that have it; `predicted`, the number of texts it is predicted for; `hit`, the
number of texts where both hold. Topics without a true example are left out of means over topics.
Intervals are for `intervals`.
"""

from __future__ import annotations

import numpy as np

from paratopic.inference.scores import Array, Integers, Targets

N_BINS = 10


def precision(hit: Array, predicted: Array) -> Array:
    """Precision of each topic, (..., k); 0 for a topic that is never predicted."""
    return ratio(hit, predicted)


def recall(hit: Array, true: Array) -> Array:
    """Recall of each topic, (..., k); 0 for a topic without a true example."""
    return ratio(hit, true)


def f1(hit: Array, predicted: Array, true: Array) -> Array:
    """F1 of each topic, (..., k): the harmonic mean of precision and recall."""
    return ratio(2 * hit, predicted + true)


def macro_f1(hit: Array, predicted: Array, true: Array, present: Targets) -> Array:
    """Mean F1, (...,), over the topics that are `present`, (k,)."""
    mean: Array = f1(hit, predicted, true)[..., present].mean(axis=-1)
    return mean


def micro_f1(hit: Array, predicted: Array, true: Array) -> Array:
    """F1 of the counts summed over topics, (...,): each topic weighs as often as it occurs."""
    return f1(hit.sum(axis=-1), predicted.sum(axis=-1), true.sum(axis=-1))


def average_precision(true: Targets, scores: Array, weights: Array) -> Array:
    """Average precision of one topic: mean precision at each true text, highest scores first.

    Texts with the same score are taken together, as in scikit-learn.

    Parameters
    ----------
    true
        (n,) whether each text has the topic.
    scores
        (n,) probabilities of the topic.
    weights
        (..., n) weights of the texts.

    Returns
    -------
    (...,) average precision; 0 where no true text has weight.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(weights[..., order] * true[order], axis=-1)[..., last]
    predicted = np.cumsum(weights[..., order], axis=-1)[..., last]
    gained = np.diff(hits, axis=-1, prepend=0)
    return ratio((gained * ratio(hits, predicted)).sum(axis=-1), hits[..., -1])


def bins(confidence: Array) -> Integers:
    """Number of the equal-width confidence bin of each score.

    >>> bins(np.array([0.05, 0.3, 1.0])).tolist()
    [0, 3, 9]
    """
    return np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def calibration_error(weight: Array, confidence: Array, hit: Array) -> Array:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599), (...,).

    Parameters
    ----------
    weight
        (..., N_BINS) sum of the weights of the answers in each bin.
    confidence
        (..., N_BINS) sum of weight times confidence.
    hit
        (..., N_BINS) sum of the weights of the right answers.
    """
    gap: Array = np.abs(confidence - hit).sum(axis=-1) / weight.sum(axis=-1)
    return gap


def risk_coverage(confidence: Array, right: Targets) -> tuple[Array, Array]:
    """Risk at each coverage, if the most confident answers are given first.

    The curve is that of El-Yaniv & Wiener (2010).

    Parameters
    ----------
    confidence
        (n,) confidence of each answer.
    right
        (n,) whether each answer is right.

    Returns
    -------
    coverage
        (m,) share of the answers that are given, one for each of m distinct confidences.
    risk
        (m,) share of wrong answers among those given.
    """
    order = np.argsort(-confidence, kind="stable")
    last = np.append(np.diff(confidence[order]) != 0, True)
    given = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~right[order])
    return (given / len(order))[last], (wrong / given)[last]


def ratio(part: Array, whole: Array) -> Array:
    """`part / whole`, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
