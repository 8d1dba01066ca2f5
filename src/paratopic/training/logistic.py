"""Logistic regressions whose coefficients have a prior mean other than 0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logsumexp

from paratopic.inference.modes import Array, Features

# Prior variance of intercepts around 0. With 10, as for the coefficients, 25 labels of one article,
# which say little about other articles, multiplied the odds of none by 1.3.
INTERCEPT = 1.0
# Largest norm of the gradient at the end of a fit, for each unit of the examples' weight. On 8,000
# paragraphs it leaves probabilities within 0.00005 of the best ones; looser, it could change the
# topic of a paragraph between two topics.
TOLERANCE = 1e-7


class Linear(NamedTuple):
    """A linear layer: coefficients (r, d) and intercepts (r,)."""

    coef: Array
    intercept: Array


class TrainingData(NamedTuple):
    """Training data of a regression, or of a head of several: n texts with their weights.

    Attributes
    ----------
    features
        (n, d) features; n may be 0.
    truth
        (n, k) probabilities of the classes, or of the outcomes (`Mode.outcomes`); 0 or 1 if the
        text has a label.
    weights
        (n, r) weights in each regression: a head has one in mode single, and one for each topic in
        mode multi.
    """

    features: Features
    truth: Array
    weights: Array


def fit_logistic(
    data: TrainingData, strength: float, prior: Array, init: Linear | None = None
) -> Linear:
    """Fit a multinomial logistic regression whose coefficients are shrunk to `prior`, not to 0.

    The fit minimises the weighted log loss plus half of |coef - prior|² / strength and of
    |intercept|² / `INTERCEPT`, which gives the most probable coefficients if they are normal around
    the prior. With few labels the prior decides, with many the labels do. A topic without examples
    keeps its prior and the intercept 0: a lack of labels so far does not make it rare.

    Parameters
    ----------
    data
        Training data with one column of weights; each row of truth sums to 1.
    strength
        Variance of the coefficients around the prior; scikit-learn's C.
    prior
        (k, d) prior coefficients. A topic whose row is 0 and that no example may have is unknown:
        its probability is 0.
    init
        Fit of the same examples with another strength, where the search begins; the prior by
        default.

    Returns
    -------
    (k, d) coefficients, and (k,) intercepts; -inf for an unknown topic.
    """
    features, truth, weights = data
    labelled, described = truth.any(axis=0), prior.any(axis=1)
    coef, intercept = prior.copy(), np.where(labelled | described, 0.0, -np.inf)
    if not len(truth):
        return Linear(coef, intercept)
    rows = np.flatnonzero(labelled)
    first = Linear(coef, intercept) if init is None else init
    change = np.column_stack([first.coef[rows] - prior[rows], first.intercept[rows]]).T
    # The prior's logits are fixed; the distance from it is fitted.
    fixed = features @ prior[rows].T
    unlabelled = prior[described & ~labelled]
    others = logsumexp(features @ unlabelled.T, axis=1) if len(unlabelled) else -np.inf
    loss = _LogLoss(TrainingData(features, truth[:, rows], weights), fixed, others, strength)
    change = loss.minimise(change)
    coef[rows] += change[:-1].T
    intercept[rows] = change[-1]
    return Linear(coef, intercept)


def fit_binary(
    data: TrainingData, strength: float, prior: Array, init: tuple[Array, float] | None = None
) -> tuple[Array, float]:
    """Fit the probability that a text has a property: `fit_logistic` with two classes.

    Parameters
    ----------
    data
        Training data of one class, the property, with one column of weights.
    prior
        (d,) prior coefficients; all 0 for no prior.

    Returns
    -------
    (d,) coefficients, and the intercept. Without a prior, it is -inf if no example has the property
    or there are no examples, inf if all have it, and the coefficients are then 0.
    """
    features, truth, _ = data
    if not prior.any() and ((truth == 1).all() or not truth.any()):
        return prior.copy(), np.inf if truth.any() else -np.inf
    if not len(truth):
        return prior.copy(), 0.0
    coef, intercept = (prior, 0.0) if init is None else init
    # Two classes with half of the coefficients each, of opposite signs, are penalised half as much.
    # The logit of not having the property is 0.
    loss = _LogLoss(data, (features @ prior)[:, None], 0.0, 2 * strength)
    change = loss.minimise(np.append(coef - prior, intercept)[:, None])[:, 0]
    return prior + change[:-1], float(change[-1])


class _Point(NamedTuple):
    """Coefficients and intercepts in one vector; the loss there, its gradient and probabilities."""

    flat: Array
    loss: float
    gradient: Array
    probabilities: Array


class _LogLoss:
    """Penalised log loss of coefficients and intercepts, (d + 1, k) in one vector.

    Each topic has a column, so that products with features need no copy. Sparse features are stored
    by column: then both products read the many coefficients in order, and only access to the few
    rows is random, which fit into the processor's cache.

    `fixed` are (n, k) logits that are added to those of the coefficients. `others` is the log of
    the sum of exponentials of other logits, which are constant, (n,) or one for all.
    """

    def __init__(
        self, data: TrainingData, fixed: Array, others: Array | float, strength: float
    ) -> None:
        features, self._truth, self._weights = data
        self._by_column = features.T.tocsr() if sparse.issparse(features) else features.T
        self._fixed, self._others = fixed, others
        variance = np.append(np.full(features.shape[1], strength), INTERCEPT)
        self._variance = np.repeat(variance, fixed.shape[1])

    def at(self, flat: Array) -> _Point:
        """Compute the loss, its gradient and the probabilities at a vector."""
        logits = self._fixed + self._logits(flat)
        total = np.logaddexp(logsumexp(logits, axis=1), self._others)[:, None]
        probabilities = np.exp(logits - total)
        losses = total - (logits * self._truth).sum(axis=1, keepdims=True)
        value = (self._weights * losses).sum() + flat @ (flat / self._variance) / 2
        gradient = self._gradient(probabilities - self._truth, flat)
        return _Point(flat.copy(), float(value), gradient, probabilities)

    def minimise(self, start: Array) -> Array:
        """Coefficients and intercepts, shaped like `start`, with the smallest loss."""
        tolerance = TOLERANCE * float(self._weights.sum())
        point = self.at(start.ravel())
        if np.linalg.norm(point.gradient) <= tolerance:
            return start

        def cached_point(flat: Array) -> _Point:
            """Compute each point once; the search asks for it several times in a row."""
            nonlocal point
            if not np.array_equal(flat, point.flat):
                point = self.at(flat)
            return point

        def loss_and_gradient(flat: Array) -> tuple[float, Array]:
            return cached_point(flat)[1:3]

        def product(flat: Array, direction: Array) -> Array:
            return self._hessian_product(cached_point(flat), direction)

        # Newton's method with conjugate gradients needs half of the products that L-BFGS needs.
        best = minimize(
            loss_and_gradient,
            start.ravel(),
            jac=True,
            hessp=product,
            method="trust-ncg",
            options={"gtol": tolerance, "initial_trust_radius": 100, "max_trust_radius": 1e6},
        )
        return np.asarray(best.x).reshape(start.shape)

    def _hessian_product(self, point: _Point, direction: Array) -> Array:
        """Product of the Hessian at a point and a direction."""
        step = self._logits(direction)
        mean = (point.probabilities * step).sum(axis=1, keepdims=True)
        return self._gradient(point.probabilities * (step - mean), direction)

    def _logits(self, flat: Array) -> Array:
        columns = flat.reshape(-1, self._fixed.shape[1])
        return np.asarray(self._by_column.T @ columns[:-1] + columns[-1])

    def _gradient(self, error: Array, flat: Array) -> Array:
        error = error * self._weights
        rows = np.vstack([self._by_column @ error, error.sum(axis=0)])
        return np.asarray(rows.ravel() + flat / self._variance)
