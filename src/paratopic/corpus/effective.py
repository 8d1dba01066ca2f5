"""Effective sample sizes and design effects, by weights, clusters and correlations.

The effective size of weighted observations is the number of observations of equal weight whose mean
has the same variance. The mean of observations in clusters, such as the paragraphs of articles, has
a larger variance than that of independent ones. The design effect is the ratio of both (Kish 1965,
Survey Sampling; Gabler, Häder & Lahiri 1999, Survey Methodology 25, 105-106).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# A sum of squares of 0 is replaced by this number, so that the effective size is 0 and not NaN.
TINY = np.finfo(np.float64).tiny


def effective_size(weights: Array) -> Array:
    """Effective size of samples of n weighted observations, (..., n), as (...,): (Σw)² / Σw².

    For squared errors it is the degrees of freedom of their sum (Satterthwaite 1946, Biometrics
    Bulletin 2, 110-114).

    >>> effective_size(np.array([[2.0, 2.0, 2.0, 2.0], [1.0, 0.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
    array([4. , 1.6, 0. ])
    """
    return np.asarray(weights.sum(axis=-1) ** 2 / np.maximum((weights**2).sum(axis=-1), TINY))


def effective_counts(counts: Array, weights: Array) -> Array:
    """Effective counts, (..., K), in K categories with counts and weights, (..., K).

    They are proportional to the weighted counts, and their sum is the effective size.

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


def small_sample_design_effects(sizes: Integers, n_clusters: float) -> Array:
    """Design effects, (...,), of clusters of m observations (`sizes`) with an unknown correlation.

    The correlation is taken to be 1 / g for g clusters, and 1 if g is below 1: with more clusters,
    observations in one have less in common by chance.

    >>> small_sample_design_effects(np.array([5, 1]), 2)
    array([3., 1.])
    """
    return np.asarray(1 + (sizes - 1) / max(n_clusters, 1))


def pairwise_design_effects(present: Array, correlations: Array) -> Array:
    """Design effects, (n, s), of s observations in each of n clusters, by pairwise correlations.

    It is 1 plus the correlations, (s, s), with the others that are `present`, (n, s) 0 or 1.

    >>> pairwise_design_effects(np.array([[1.0, 1.0]]), np.array([[1.0, 0.25], [0.25, 1.0]]))
    array([[1.25, 1.25]])
    """
    return np.maximum(present @ correlations, 1)


def measured_design_effect(errors: Array, groups: Integers) -> Array:
    """Variance of a sum of errors, (n, ...), over that of independent errors, (...,).

    It is Σ(sum of a group)² / Σ(error)²; 0 if all errors are 0.

    >>> float(measured_design_effect(np.array([1.0, 1.0, -1.0, -1.0]), np.array([0, 0, 1, 1])))
    2.0
    """
    grouped = (group_sums(errors, groups) ** 2).sum(axis=0)
    return np.asarray(grouped / np.maximum((errors**2).sum(axis=0), TINY))


def group_sums(values: Array, groups: Integers) -> Array:
    """Sums of values, (n, ...), in each group, (groups, ...), by the rows' groups, (n,)."""
    numbers = np.unique(groups, return_inverse=True)[1]
    sums = np.zeros((numbers.max() + 1, *values.shape[1:]))
    np.add.at(sums, numbers, values)
    return sums
