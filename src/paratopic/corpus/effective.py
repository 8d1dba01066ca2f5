"""How many independent observations a sample is worth, by weights, clusters and correlations.

Weighted observations are worth as many of equal weight as give a mean the same variance: their
effective size. Observations in clusters, such as the paragraphs of articles, give a mean with more
variance than independent ones: times their design effect (Kish 1965, Survey Sampling; Gabler, Häder
& Lahiri 1999, Survey Methodology 25, 105-106).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# In place of a sum of squares of nothing but zeros, so that nothing is worth 0.
TINY = np.finfo(np.float64).tiny


def effective_size(weights: Array) -> Array:
    """Number of observations of equal weight that n weighted ones, (..., n), are worth, (...,).

    It is (Σw)² / Σw². Of squared errors it is the degrees of freedom of their sum (Satterthwaite
    1946, Biometrics Bulletin 2, 110-114).

    >>> effective_size(np.array([[2.0, 2.0, 2.0, 2.0], [1.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    array([4. , 1.6, 0. ])
    """
    return np.asarray(weights.sum(axis=-1) ** 2 / np.maximum((weights**2).sum(axis=-1), TINY))


def effective_counts(counts: Array, weights: Array) -> Array:
    """Counts in K categories, (..., K), whose observations have weights, (..., K).

    They are in the proportion of the weighted counts, and sum to the effective size.

    >>> effective_counts(np.array([30.0, 10.0]), np.array([1.0, 3.0]))
    array([15., 15.])
    """
    weighted, squares = counts * weights, counts * weights**2
    total = weighted.sum(axis=-1, keepdims=True)
    return np.asarray(weighted * total / np.maximum(squares.sum(axis=-1, keepdims=True), TINY))


def design_effect(size: float, correlation: float) -> float:
    """Design effect of clusters of m observations with an intraclass correlation r: 1 + (m - 1) r.

    For clusters of different sizes, m is Σm² / Σm.

    >>> design_effect(11, 0.1)
    2.0
    """
    return 1 + correlation * (size - 1)


def design_effects_of_few(sizes: Integers, n_clusters: float) -> Array:
    """The same of clusters of m observations, (...,), where r is not known: it is taken for 1 / g.

    The more clusters there are, the less their observations have in common by chance.

    >>> design_effects_of_few(np.array([5, 1]), 2)
    array([3., 1.])
    """
    return np.asarray(1 + (sizes - 1) / max(n_clusters, 1))


def design_effects_of_pairs(present: Array, correlations: Array) -> Array:
    """The same of each of s observations of n clusters, (n, s), whose pairs differ in correlation.

    It is 1 plus the correlations with the others that are `present`, (n, s) 0 or 1: with m of them
    that all have the correlation r, 1 + (m - 1) r.

    >>> design_effects_of_pairs(np.array([[1.0, 1.0]]), np.array([[1.0, 0.25], [0.25, 1.0]]))
    array([[1.25, 1.25]])
    """
    return np.maximum(present @ correlations, 1)


def measured_design_effect(errors: Array, groups: Integers) -> Array:
    """Variance of a sum of errors, (n, ...), over what it would be without groups, (...,).

    It is Σ(sum of a group)² / Σ(error)²; 0 where there is no error.

    >>> float(measured_design_effect(np.array([1.0, 1.0, -1.0, -1.0]), np.array([0, 0, 1, 1])))
    2.0
    """
    together, independent = (summed(errors, groups) ** 2).sum(axis=0), (errors**2).sum(axis=0)
    return np.asarray(together / np.maximum(independent, TINY))


def summed(values: Array, groups: Integers) -> Array:
    """Sums of values (n, ...) over groups, such as articles, (groups, ...)."""
    numbers = np.unique(groups, return_inverse=True)[1]
    sums = np.zeros((numbers.max() + 1, *values.shape[1:]))
    np.add.at(sums, numbers, values)
    return sums
