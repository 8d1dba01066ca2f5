"""Arrays of scores, logits and targets, and how they turn into each other.

Scores are probabilities, (n, k), one column a topic in codebook order; targets say which
topics a row has, (n, k). Small pure functions; metrics are for `evaluation.metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from paratopic.project.topics import Mode

Scores = npt.NDArray[np.float64]


def softmax(logits: npt.NDArray[np.floating[Any]]) -> Scores:
    """Probabilities (n, k) of logits (n, k)."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores: Scores = exponents / exponents.sum(axis=1, keepdims=True)
    return scores


def probabilities(logits: npt.NDArray[np.floating[Any]], mode: Mode) -> Scores:
    """Probabilities of logits.

    Parameters
    ----------
    logits
        In mode single (n, k + 1): of the topics, as for `softmax`, and of having one of them at
        all. In mode multi (n, k): of having each topic.
    mode
        Of the topics.

    Returns
    -------
    In mode single (n, k + 1): of the topics and, last, of none of them. In mode multi (n, k).
    """
    negative = -logits.astype(np.float64)
    with np.errstate(over="ignore"):  # of a topic that is out of the question
        if mode == "multi":
            each: Scores = 1 / (1 + np.exp(negative))
            return each
        none = 1 / (1 + np.exp(-negative[:, -1:]))
    return np.hstack([softmax(logits[:, :-1]) * (1 - none), none])


def topic_probabilities(logits: npt.NDArray[np.floating[Any]], mode: Mode) -> Scores:
    """Probabilities (n, k) of the topics alone; see `probabilities`."""
    scores = probabilities(logits, mode)
    return scores[:, :-1] if mode == "single" else scores


def logits(scores: Scores, mode: Mode) -> Scores:
    """Logits that give these probabilities; log probabilities do for those of `softmax`.

    >>> logits(np.array([[0.5, 0.25, 0.25]]), "single").round(2).tolist()
    [[-0.69, -1.39, 1.1]]
    """
    with np.errstate(divide="ignore"):  # a topic without an example has probability 0
        found: Scores = np.log(scores)
        if mode == "multi":
            return found - np.log1p(-scores)
        found[:, -1] = np.log(scores[:, :-1].sum(axis=1)) - found[:, -1]
    return found


def combine(
    logits: npt.NDArray[np.floating[Any]],
    lengths: Sequence[int],
    owner: npt.NDArray[np.int64],
    n_texts: int,
    mode: Mode,
) -> Scores:
    """Probabilities (n, k) of texts' topics from the logits of their windows.

    In mode single from their mean, in which a window weighs by its length; in mode multi from the
    highest of each topic: a text has the topics that any part of it has. A calibration may be
    applied before or after.
    """
    if mode == "multi":
        highest = np.full((n_texts, logits.shape[1]), -np.inf)
        np.maximum.at(highest, owner, logits)
        return topic_probabilities(highest, mode)
    weight = np.asarray(lengths, dtype=np.float64)
    weight /= np.bincount(owner, weights=weight, minlength=n_texts)[owner]
    mean = np.zeros((n_texts, logits.shape[1]))
    np.add.at(mean, owner, logits * weight[:, None])
    return topic_probabilities(mean, mode)


Array = npt.NDArray[np.float64]

Integers = npt.NDArray[np.int64]

# Whether each row has each topic, (n, k).
Targets = npt.NDArray[np.bool_]


def conditional(scores: Array) -> Array:
    """Probabilities (..., k) given that there is a topic: rows that sum to 1."""
    shares: Array = scores / scores.sum(axis=-1, keepdims=True)
    return shares


def topical(targets: Targets) -> Targets:
    """Whether rows have any topic, (n,)."""
    return np.asarray(targets.any(axis=-1))


def classes(targets: Targets) -> Integers:
    """Class numbers (n,) of rows that have one topic at most; -1 for none."""
    return np.where(topical(targets), targets.argmax(axis=1), -1)


def one_hot(numbers: Integers, k: int) -> Targets:
    """Targets (..., k) of class numbers; -1 gives none: [1, -1], 2 → [[0, 1], [0, 0]]."""
    hot: Targets = numbers[..., None] == np.arange(k)
    return hot


def log_losses(true: Integers, scores: Array) -> Array:
    """Minus the log of the true topic's probability, one a row of (n, k); at most 34.5."""
    right = np.take_along_axis(scores, true[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(right, 1e-15))


def binary_log_losses(targets: Targets, scores: Array) -> Array:
    """Log loss of having each topic or not, its mean over topics; one a row of (n, k)."""
    said = np.where(targets, scores, 1 - scores)
    losses: Array = -np.log(np.maximum(said, 1e-15)).mean(axis=1)
    return losses


def squared_distances(targets: Targets, scores: Array) -> Array:
    """Squared distance of each row of (n, k) from the truth: of one topic, 0 to 2 (Brier 1950)."""
    distances: Array = ((scores - targets) ** 2).sum(axis=1)
    return distances
