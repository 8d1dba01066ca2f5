"""Linear heads: logistic regressions whose coefficients are drawn to a prior mean."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax

from paratopic.inference.scores import Array, Targets, classes, topical
from paratopic.project.topics import Mode

# Fewer rows than this are worth their products with each other.
WIDE = 2000

# Logits for each unit of likeness to a topic's description, before any label is seen.
PRIOR_SCALE = 10.0


def balanced(labels: npt.NDArray[np.int64], weights: Array) -> Array:
    """Scale weights (n,) so that every topic in `labels` has the same total; their sum stays."""
    total = np.bincount(labels, weights=weights)
    share = weights.sum() / max(1, np.count_nonzero(total))
    scaled: Array = weights * share / total[labels]
    return scaled


def logistic(
    features: Array | sparse.csr_matrix,
    labels: npt.NDArray[np.int64],
    weights: Array,
    strength: float,
    prior: Array,
) -> tuple[Array, Array]:
    """Fit a multinomial logistic regression whose coefficients are drawn to `prior`, not to 0.

    Minimises the weighted log loss plus (|coef - prior|² + |intercept|²) / (2 strength): the most
    probable coefficients when they are normal around the prior. With few labels the prior decides,
    with many the labels do.

    Parameters
    ----------
    features
        (n, d).
    labels, weights
        (n,) class numbers and weights of the examples; n may be 0.
    strength
        Variance of the coefficients around the prior; scikit-learn's C.
    prior
        (k, d) coefficients before any label is seen. A topic whose row is 0 and that is not in
        `labels` has nothing to be known by: its probability is 0.

    Returns
    -------
    coef
        (k, d).
    intercept
        (k,); -inf for a topic without anything to be known by.
    """
    k, d = prior.shape
    known = np.isin(np.arange(k), labels) | prior.any(axis=1)
    coef, intercept = prior.copy(), np.where(known, 0.0, -np.inf)
    if not len(labels):
        return coef, intercept
    rows = np.flatnonzero(known)
    # The prior's logits are fixed; what is fitted is the distance from it.
    fixed = features @ prior[rows].T
    truth = (labels[:, None] == rows).astype(np.float64)

    def loss(flat: Array) -> tuple[float, Array]:
        change = flat.reshape(len(rows), d + 1)
        shares = log_softmax(fixed + features @ change[:, :d].T + change[:, d], axis=1)
        error = (np.exp(shares) - truth) * weights[:, None]
        slope = np.hstack([(features.T @ error).T, error.sum(axis=0)[:, None]])
        value = -(weights[:, None] * shares * truth).sum() + (flat**2).sum() / (2 * strength)
        return float(value), slope.ravel() + flat / strength

    start = np.zeros(len(rows) * (d + 1))
    # To the end: with looser bounds a paragraph between two topics may change sides.
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "gtol": 1e-6, "ftol": 1e-12},
    )
    change = found.x.reshape(len(rows), d + 1)
    coef[rows] += change[:, :d]
    intercept[rows] = change[:, d]
    return coef, intercept


def binary(
    features: Array | sparse.csr_matrix,
    has: npt.NDArray[np.bool_],
    weights: Array,
    strength: float,
    prior: Array,
) -> tuple[Array, float]:
    """Fit the chance that a text has something: `logistic` with two classes.

    Parameters
    ----------
    features
        (n, d).
    has, weights
        (n,) whether the examples have it, and their weights.
    strength
        As for `logistic`.
    prior
        (d,) coefficients before any label is seen; zeros say nothing.

    Returns
    -------
    coef
        (d,).
    intercept
        Without a prior inf where all examples have it, else -inf where none has.
    """
    if not prior.any() and (has.all() or not has.any()):
        return prior.copy(), np.inf if len(has) and has.all() else -np.inf
    two = np.array([-prior / 2, prior / 2])
    coef, intercept = logistic(features, has.astype(np.int64), weights, strength, two)
    return coef[1] - coef[0], float(intercept[1] - intercept[0])


def head(
    features: Array | sparse.csr_matrix,
    targets: Targets,
    weights: Array,
    share: Array,
    mode: Mode,
    strength: float,
    prior: Array,
) -> tuple[Array, Array]:
    """Fit the layer that makes logits, as `classifier.probabilities` takes them, of features.

    In mode single a multinomial regression tells the topics apart, and a second one, of every
    example, whether a text has one of them at all. In mode multi each topic has its own.

    Parameters
    ----------
    features
        (n, d).
    targets, weights
        (n, k) topics of the examples, and (n,) how much each of them tells (`evidence`).
    share
        (n,) what the examples are of a text.
    mode, strength
        Of the topics, and as for `logistic`.
    prior
        (k, d) likeness to the topics' descriptions, as logits; zeros without.

    Returns
    -------
    coef, intercept
        (k + 1, d) and (k + 1,) in mode single, (k, d) and (k,) in mode multi.
    """
    nothing = np.zeros((1, features.shape[1]))
    if mode == "single":
        prior = np.vstack([prior, nothing])
    else:
        # As much as another topic's description is like it is likeness to nothing.
        prior = prior - prior.mean(axis=0, keepdims=True)
    fit = partial(_fit_head, targets=targets, weights=weights, share=share, mode=mode)
    n, d = features.shape
    if n == 0 or n >= min(d, WIDE):
        return fit(features, prior, strength)
    # What the best coefficients have beside the prior is a sum of the rows (the representer
    # theorem; Schölkopf, Herbrich & Smola 2001): fewer numbers have to be found.
    gram = np.asarray(
        (features @ features.T).toarray() if sparse.issparse(features) else features @ features.T
    )
    values, vectors = np.linalg.eigh(gram)
    some = values > values[-1] * 1e-10
    basis = vectors[:, some] / np.sqrt(values[some])
    near = (features @ prior.T).T @ basis
    coef, intercept = fit(gram @ basis, near, strength)
    return prior + (features.T @ (basis @ (coef - near).T)).T, intercept


def _fit_head(
    features: Array | sparse.csr_matrix,
    prior: Array,
    strength: float,
    targets: Targets,
    weights: Array,
    share: Array,
    mode: Mode,
) -> tuple[Array, Array]:
    """`head` with a prior for each row of coefficients, in the space of these features."""
    if mode == "multi":
        fits = [
            binary(features, has, balanced(has.astype(np.int64), weights), strength, of_topic)
            for has, of_topic in zip(list(targets.T), prior, strict=True)
        ]
        return np.array([coef for coef, _ in fits]), np.array([level for _, level in fits])
    some = topical(targets)
    labels = classes(targets[some])
    balance = balanced(labels, weights[some])
    coef, intercept = logistic(features[some], labels, balance, strength, prior[:-1])
    of_any, level = prior[-1], np.inf
    if not some.all():
        of_any, level = binary(features, some, share, strength, of_any)
    return np.vstack([coef, of_any]), np.append(intercept, level)
