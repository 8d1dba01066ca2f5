"""Linear heads: logistic regressions whose coefficients have a prior mean other than 0.

Features are for `baseline` and `transformer`. The prior mean comes from the topics' descriptions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax

from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Integers, Targets, classes, topical
from paratopic.training.examples import Evidence

# With fewer rows than this, and than features, heads are fitted in the space that the rows span.
WIDE = 2000
# Logit for each unit of a text's similarity to a topic's description, before any label is seen.
PRIOR_SCALE = 10.0

Features = Array | sparse.csr_matrix


def balanced(labels: Integers, weights: Array) -> Array:
    """Scale weights (n,) so that each topic in `labels` has the same total and their sum stays.

    >>> balanced(np.array([0, 0, 0, 1]), np.ones(4)).round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    total = np.bincount(labels, weights=weights)
    share = weights.sum() / max(1, np.count_nonzero(total))
    scaled: Array = weights * share / total[labels]
    return scaled


def fit_logistic(
    features: Features,
    labels: Integers,
    weights: Array,
    strength: float,
    prior: Array,
) -> tuple[Array, Array]:
    """Fit a multinomial logistic regression whose coefficients are shrunk to `prior`, not to 0.

    The fit minimises the weighted log loss plus (|coef - prior|² + |intercept|²) / (2 strength),
    which gives the most probable coefficients if they are normal around the prior. With few labels
    the prior decides, with many the labels do.

    Parameters
    ----------
    features
        (n, d) features of the examples; n may be 0.
    labels, weights
        (n,) class numbers and weights of the examples.
    strength
        Variance of the coefficients around the prior; scikit-learn's C.
    prior
        (k, d) coefficients before any label is seen. A topic whose row is 0 and that is not in
        `labels` is unknown: its probability is 0.

    Returns
    -------
    coef
        (k, d) coefficients.
    intercept
        (k,) intercepts; -inf for an unknown topic.
    """
    k, d = prior.shape
    known = np.isin(np.arange(k), labels) | prior.any(axis=1)
    coef, intercept = prior.copy(), np.where(known, 0.0, -np.inf)
    if not len(labels):
        return coef, intercept
    rows = np.flatnonzero(known)
    # The prior's logits are fixed; the distance from it is fitted.
    fixed = features @ prior[rows].T
    truth = (labels[:, None] == rows).astype(np.float64)

    def loss(flat: Array) -> tuple[float, Array]:
        change = flat.reshape(len(rows), d + 1)
        log_shares = log_softmax(fixed + features @ change[:, :d].T + change[:, d], axis=1)
        error = (np.exp(log_shares) - truth) * weights[:, None]
        gradient = np.hstack([(features.T @ error).T, error.sum(axis=0)[:, None]])
        value = -(weights[:, None] * log_shares * truth).sum() + (flat**2).sum() / (2 * strength)
        return float(value), gradient.ravel() + flat / strength

    change = _minimise(loss, len(rows) * (d + 1)).reshape(len(rows), d + 1)
    coef[rows] += change[:, :d]
    intercept[rows] = change[:, d]
    return coef, intercept


def fit_binary(
    features: Features,
    has: npt.NDArray[np.bool_],
    weights: Array,
    strength: float,
    prior: Array,
) -> tuple[Array, float]:
    """Fit the probability that a text has a property: `fit_logistic` with two classes.

    Parameters
    ----------
    features
        (n, d) features of the examples; n may be 0.
    has, weights
        (n,) whether the examples have the property, and their weights.
    strength
        Variance of the coefficients around the prior, as for `fit_logistic`.
    prior
        (d,) coefficients before any label is seen; all 0 for no prior.

    Returns
    -------
    coef
        (d,) coefficients.
    intercept
        Intercept. Without a prior, it is inf if all examples have the property, and -inf if none
        has it.
    """
    if not prior.any() and (has.all() or not has.any()):
        return prior.copy(), np.inf if len(has) and has.all() else -np.inf
    two = np.array([-prior / 2, prior / 2])
    coef, intercept = fit_logistic(features, has.astype(np.int64), weights, strength, two)
    return coef[1] - coef[0], float(intercept[1] - intercept[0])


class Nearest(NamedTuple):
    """Prior of having any topic: a line in the similarity to the nearest description.

    Attributes
    ----------
    slope
        Logit of having any topic, for each unit of the similarity.
    even
        Similarity at which a text is as likely to have a topic as not.
    """

    slope: float
    even: float


def prior_of(descriptions: Array, k: int) -> Array:
    """Coefficients of the topics before any label is seen, (k, d + 1).

    Parameters
    ----------
    descriptions
        (k, d) features of the topics' descriptions; (0, d) for none.
    k
        Number of topics.
    """
    prior = np.zeros((k, descriptions.shape[1] + 1))
    prior[: len(descriptions), :-1] = PRIOR_SCALE * descriptions
    return prior


def with_nearest(features: Features, descriptions: Array, nearest: Nearest) -> Features:
    """Add the prior logit of having any topic as a last column, in units of `PRIOR_SCALE`.

    Parameters
    ----------
    features
        (n, d) features of texts.
    descriptions
        (k, d) features of the topics' descriptions; (0, d) for none.
    nearest
        What the similarity to the nearest description tells.

    Returns
    -------
    (n, d + 1) features; the column is 0 without descriptions.
    """
    column = np.zeros((features.shape[0], 1))
    if len(descriptions):
        similarity = np.asarray(features @ descriptions.T).max(axis=1, keepdims=True)
        column = nearest.slope / PRIOR_SCALE * (similarity - nearest.even)
    if sparse.issparse(features):
        wider: Features = sparse.hstack([features, sparse.csr_matrix(column)], format="csr")
        return wider
    return np.hstack([features, column])


def without_nearest(coef: Array, intercept: Array, nearest: Nearest) -> tuple[Array, Array, Array]:
    """Coefficients for features without the column that `with_nearest` adds.

    Returns
    -------
    coef, slope, intercept
        (r, d), (r,) and (r,): logits are features @ coef.T + similarity to the nearest description
        * slope + intercept.
    """
    slope = coef[:, -1] * nearest.slope / PRIOR_SCALE
    return coef[:, :-1], slope, intercept - slope * nearest.even


def fit_head(
    features: Features,
    targets: Targets,
    evidence: Evidence,
    mode: Mode,
    strength: float,
    prior: Array,
) -> tuple[Array, Array]:
    """Fit the layer that turns features into logits, as `Mode.probabilities` takes them.

    In mode single one regression tells the topics apart, and a second one, fitted to all examples,
    tells whether a text has any of them. In mode multi each topic has its own regression.

    Parameters
    ----------
    features
        (n, d) features of the examples, from `with_nearest`; n may be 0.
    targets
        (n, k) topics of the examples.
    evidence
        How much each example tells (`examples.evidence`); a window has a share of its text's.
    mode
        Mode of the topics.
    strength
        Variance of the coefficients around the prior, as for `fit_logistic`.
    prior
        (k, d) coefficients of the topics before any label is seen, from `prior_of`.

    Returns
    -------
    coef
        (`Mode.n_logits`, d) coefficients: k + 1 rows in mode single, k in mode multi.
    intercept
        (`Mode.n_logits`,) intercepts.
    """
    head = _HEADS[mode.name](targets, evidence, strength)
    prior = head.extend(prior)
    n, d = features.shape
    if n == 0 or n >= min(d, WIDE):
        return head.fit(features, prior)
    return _fit_in_row_space(head, features, prior)


@dataclass(frozen=True)
class _Head(ABC):
    """Regressions of a head in one mode; the fields are the parameters of `fit_head`."""

    targets: Targets
    evidence: Evidence
    strength: float

    @abstractmethod
    def extend(self, prior: Array) -> Array:
        """Prior of all rows of coefficients, (`Mode.n_logits`, d), from that of the topics."""

    @abstractmethod
    def fit(self, features: Features, prior: Array) -> tuple[Array, Array]:
        """Coefficients and intercepts for these features, with an extended prior."""


class _SingleHead(_Head):
    """Topics against each other, and having any topic against having none."""

    def extend(self, prior: Array) -> Array:
        any_topic = np.zeros((1, prior.shape[1]))
        if prior.any():
            any_topic[0, -1] = PRIOR_SCALE
        return np.vstack([prior, any_topic])

    def fit(self, features: Features, prior: Array) -> tuple[Array, Array]:
        has_topic = topical(self.targets)
        labels = classes(self.targets[has_topic])
        balance = balanced(labels, self.evidence.which[has_topic])
        coef, intercept = fit_logistic(
            features[has_topic], labels, balance, self.strength, prior[:-1]
        )
        # Where nobody labelled a text without a topic, the descriptions alone tell.
        any_coef, any_intercept = prior[-1], 0.0 if prior[-1].any() else np.inf
        if not has_topic.all():
            any_coef, any_intercept = fit_binary(
                features, has_topic, self.evidence.any, self.strength, prior[-1]
            )
        return np.vstack([coef, any_coef]), np.append(intercept, any_intercept)


class _MultiHead(_Head):
    """Each topic against not having it."""

    def extend(self, prior: Array) -> Array:
        # Similarity to every topic's description alike tells for none of them.
        return np.asarray(prior - prior.mean(axis=0, keepdims=True))

    def fit(self, features: Features, prior: Array) -> tuple[Array, Array]:
        fits = []
        for has, of_topic in zip(list(self.targets.T), prior, strict=True):
            weights = balanced(has.astype(np.int64), self.evidence.which)
            fits.append(fit_binary(features, has, weights, self.strength, of_topic))
        return np.array([coef for coef, _ in fits]), np.array([level for _, level in fits])


_HEADS: dict[str, type[_Head]] = {"single": _SingleHead, "multi": _MultiHead}


def _fit_in_row_space(head: _Head, features: Features, prior: Array) -> tuple[Array, Array]:
    """Fit a head in the space that the rows of features span, which has fewer dimensions.

    The best coefficients differ from the prior by a linear combination of the rows (representer
    theorem; Schölkopf, Herbrich & Smola 2001).
    """
    gram = np.asarray(
        (features @ features.T).toarray() if sparse.issparse(features) else features @ features.T
    )
    values, vectors = np.linalg.eigh(gram)
    positive = values > values[-1] * 1e-10
    basis = vectors[:, positive] / np.sqrt(values[positive])
    near = (features @ prior.T).T @ basis
    coef, intercept = head.fit(gram @ basis, near)
    return prior + (features.T @ (basis @ (coef - near).T)).T, intercept


def _minimise(loss: Callable[[Array], tuple[float, Array]], size: int) -> Array:
    """Numbers (size,) with the smallest loss, which comes with its gradient."""
    # Loose tolerances could change the topic of a paragraph between two topics.
    best = minimize(
        loss,
        np.zeros(size),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 5000, "gtol": 1e-6, "ftol": 1e-12},
    )
    return np.asarray(best.x)
