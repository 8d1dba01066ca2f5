"""Types of the arrays that models and metrics share, and small functions on them.

Scores are the probabilities of n texts' topics, (n, k), in codebook order. Targets say which topics
each text has, (n, k). How a mode of labelling reads them is for `modes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy import sparse

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Targets = npt.NDArray[np.bool_]
# Features of n texts, (n, d).
Features: TypeAlias = "Array | sparse.csr_matrix"

# Smaller probabilities count as this one in log losses, which are thus at most 34.5.
SMALLEST = 1e-15


def softmax(logits: Floats) -> Scores:
    """Probabilities (n, k) that sum to 1 in each row, from logits (n, k)."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def sigmoid(logits: Floats) -> Scores:
    """Probabilities from logits of any shape, each by itself."""
    with np.errstate(over="ignore"):  # very negative logits give 1 / inf, which is 0
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))))


def conditional(scores: Array) -> Array:
    """Probabilities (..., k) given that a text has a topic: scores scaled to rows that sum to 1.

    Where all scores are 0, the topics are equally probable.
    """
    total = scores.sum(axis=-1, keepdims=True)
    alike = np.full(scores.shape, 1 / scores.shape[-1])
    return np.asarray(np.divide(scores, total, out=alike, where=total > 0))


def ratio(part: Array, whole: Array) -> Array:
    """`part / whole`, and 0 where `whole` is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def topical(targets: Targets) -> Targets:
    """Whether each row has any topic, (n,)."""
    return np.asarray(targets.any(axis=-1))


def classes(targets: Targets) -> Integers:
    """Class number of each row, (n,): its first topic, or -1 for none."""
    return np.where(topical(targets), targets.argmax(axis=1), -1)


def one_hot(numbers: Integers, k: int) -> Targets:
    """Targets (..., k) from class numbers (...); -1 gives a row without topics.

    >>> one_hot(np.array([1, -1]), 2).astype(int).tolist()
    [[0, 1], [0, 0]]
    """
    return np.asarray(numbers[..., None] == np.arange(k))


def log_losses(true: Integers, scores: Array) -> Array:
    """Minus the log of the probability, in (n, k), of the true class, in (n,); (n,)."""
    right = np.take_along_axis(scores, true[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(right, SMALLEST))


def binary_log_losses(targets: Targets, scores: Array) -> Array:
    """Log loss of having each topic or not, averaged over the topics of each row, (n,)."""
    right = np.where(targets, scores, 1 - scores)
    return np.asarray(-np.log(np.maximum(right, SMALLEST)).mean(axis=1))


def squared_distances(targets: Targets, scores: Array) -> Array:
    """Squared distance of each row of scores from its targets, (n,).

    It is 0 to 2 for a text with one topic (Brier 1950).
    """
    return np.asarray(((scores - targets) ** 2).sum(axis=1))
