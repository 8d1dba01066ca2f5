"""Linear heads: logistic regressions whose coefficients have a prior mean other than 0.

Features are for `baseline` and `transformer`. The prior mean comes from the topics' descriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logsumexp

from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Features, Integers, Targets, conditional
from paratopic.training.examples import Examples

# With fewer rows than this, and than features, heads are fitted in the space that the rows span.
WIDE = 2000
# Logit for each unit of a text's similarity to a topic's description, before any label is seen.
PRIOR_SCALE = 10.0

# Share of the probability that a head fitted to labels by hand leaves to all outcomes alike.
UNSEEN = 0.05
# The lessons of weak labels have this share of their weight at least; otherwise it is the share of
# labels by hand among them. Chosen on draws of bills, speeches and AG News that are not reported.
LEAST_BY_HAND = 0.1

# Largest norm of the gradient at the end of a fit, for each unit of the examples' weight. On 8,000
# paragraphs it leaves probabilities within 0.00005 of the best ones; looser, it could change the
# topic of a paragraph between two topics.
TOLERANCE = 1e-7


class Linear(NamedTuple):
    """A linear layer: coefficients (r, d) and intercepts (r,)."""

    coef: Array
    intercept: Array


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
    truth: Array,
    weights: Array,
    strength: float,
    prior: Array,
    start: Linear | None = None,
) -> Linear:
    """Fit a multinomial logistic regression whose coefficients are shrunk to `prior`, not to 0.

    The fit minimises the weighted log loss plus (|coef - prior|² + |intercept|²) / (2 strength),
    which gives the most probable coefficients if they are normal around the prior. With few labels
    the prior decides, with many the labels do. A topic that no example has keeps its prior and the
    intercept 0: that nobody labelled it so far does not make it rare.

    Parameters
    ----------
    features
        (n, d) features of the examples; n may be 0.
    truth
        (n, k) probabilities of the classes; a label is the certainty of one.
    weights
        (n,) weights of the examples.
    strength
        Variance of the coefficients around the prior; scikit-learn's C.
    prior
        (k, d) coefficients before any label is seen. A topic whose row is 0 and that no example
        may have is unknown: its probability is 0.
    start
        Fit of the same examples with another strength, where the search begins; the prior by
        default.

    Returns
    -------
    coef
        (k, d) coefficients.
    intercept
        (k,) intercepts; -inf for an unknown topic.
    """
    labelled, described = truth.any(axis=0), prior.any(axis=1)
    coef, intercept = prior.copy(), np.where(labelled | described, 0.0, -np.inf)
    if not len(truth):
        return Linear(coef, intercept)
    rows = np.flatnonzero(labelled)
    # The prior's logits are fixed; the distance from it is fitted.
    fixed = features @ prior[rows].T
    before = Linear(coef, intercept) if start is None else start
    change = np.column_stack([before.coef[rows] - prior[rows], before.intercept[rows]]).T
    others = prior[described & ~labelled]
    log_sum = _log_sum_with(_log_sum(features @ others.T)) if len(others) else _log_sum
    loss = _LogLoss(features, fixed, truth[:, rows], weights, strength, log_sum)
    change = _minimise(loss, change)
    coef[rows] += change[:-1].T
    intercept[rows] = change[-1]
    return Linear(coef, intercept)


def fit_binary(
    features: Features,
    truth: Array,
    weights: Array,
    strength: float,
    prior: Array,
    start: tuple[Array, float] | None = None,
) -> tuple[Array, float]:
    """Fit the probability that a text has a property: `fit_logistic` with two classes.

    Parameters
    ----------
    features
        (n, d) features of the examples; n may be 0.
    truth, weights
        (n,) probabilities that the examples have the property, 0 or 1 if it is known, and weights.
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
    if not prior.any() and ((truth == 1).all() or not truth.any()):
        return prior.copy(), np.inf if truth.any() else -np.inf
    coef, intercept = (prior, 0.0) if start is None else start
    if not len(truth):
        return prior.copy(), 0.0
    fixed = (features @ prior)[:, None]
    # Two classes with half of the coefficients each, of opposite signs, are penalised half as much.
    loss = _LogLoss(features, fixed, truth[:, None], weights, 2 * strength, _log_sum_with_zero)
    change = _minimise(loss, np.append(coef - prior, intercept)[:, None])[:, 0]
    return prior + change[:-1], float(change[-1])


class Nearest(NamedTuple):
    """Prior of having none of the topics: a line in the similarity to the nearest description.

    Attributes
    ----------
    slope
        Logit of none of the topics, for each unit of the similarity.
    even
        Similarity at which that logit is the one of the nearest topic.
    """

    slope: float
    even: float

    @property
    def intercept(self) -> float:
        """Logit of none of the topics at a similarity of 0."""
        return (PRIOR_SCALE - self.slope) * self.even


def prior_of(descriptions: Array, k: int, mode: Mode, beside: Array | None = None) -> Array:
    """Coefficients of the head before any label is seen, (`Mode.n_logits`, d + 1).

    Parameters
    ----------
    descriptions
        (k, d) features of the topics' descriptions; (0, d) for none.
    beside
        (`Mode.n_logits`,) how much the descriptions count beside labels, for each outcome; 1 by
        default.
    """
    prior = np.zeros((mode.n_logits(k), descriptions.shape[1] + 1))
    if len(descriptions):
        prior[:k, :-1] = PRIOR_SCALE * descriptions
        prior[k:, -1] = PRIOR_SCALE
    return _HEADS[mode.name].centred(prior if beside is None else beside[:, None] * prior)


def with_nearest(features: Features, descriptions: Array, nearest: Nearest) -> Features:
    """Add the prior logit of none of the topics as a last column, in units of `PRIOR_SCALE`.

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
        column = (nearest.slope * similarity + nearest.intercept) / PRIOR_SCALE
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
    column = coef[:, -1] / PRIOR_SCALE
    return coef[:, :-1], column * nearest.slope, intercept + column * nearest.intercept


class Lessons(NamedTuple):
    """What a head is fitted to: n texts, and how much each of them counts.

    Attributes
    ----------
    features
        (n, d) features, from `with_nearest`; n may be 0.
    truth
        (n, `Mode.n_logits`) probabilities of the outcomes (`Mode.outcomes`), 0 or 1 if the text has
        a label.
    weights
        (n, r) weights in each of the head's regressions: one in mode single, and one for each topic
        in mode multi.
    """

    features: Features
    truth: Array
    weights: Array


def lessons(features: Features, targets: Targets, evidence: Array, mode: Mode) -> Lessons:
    """Turn labels into lessons, in which outcomes have the same total weight.

    Parameters
    ----------
    features
        (n, d) features of the examples, from `with_nearest`; n may be 0.
    targets
        (n, k) topics of the examples.
    evidence
        (n,) how much each example tells (`examples.evidence`); a window has a share of its text's.
    """
    truth = mode.outcomes(targets).astype(np.float64)
    return Lessons(features, truth, _HEADS[mode.name].weigh(targets, evidence))


def lessons_of(
    features: Features,
    examples: Examples,
    evidence: Array,
    mode: Mode,
    strength: float,
    prior: Array,
) -> Lessons:
    """Turn examples into lessons, some of which may have weak labels.

    What weak sources say of a text is weighed against what a head says of it that is fitted to the
    labels by hand alone, by Bayes' rule. So a wrong answer on a text that is clear is not learnt,
    and sources that are often wrong do no harm. It is one step of the algorithm with which Raykar
    et al. 2010, "Learning from crowds", fit a model and the trust in annotators together; more of
    them gain nothing.

    The lessons weigh less in all, the more of them are weak, so that the head is held closer to the
    prior and learns less of their errors by heart.

    Parameters
    ----------
    features, evidence
        As for `lessons`, of the examples.
    strength, prior
        As for `fit_head`, of the head that is fitted to the labels by hand.
    """
    targets, soft = examples.targets, examples.soft
    if soft is None:
        return lessons(features, targets, evidence, mode)
    head, hand = _HEADS[mode.name], np.flatnonzero(soft.by_hand)
    n, n_outcomes = features.shape[0], mode.n_logits(targets.shape[1])
    known = np.full((n, n_outcomes), head.unknown(n_outcomes))
    if len(hand) or prior.any():
        learnt = lessons(features[hand], targets[hand], evidence[hand], mode)
        coef, intercept = fit_head(learnt, mode, strength, prior)
        # What the head has never seen may be true all the same.
        answers = mode.probabilities(np.asarray(features @ coef.T) + intercept)
        known = (1 - UNSEEN) * answers + UNSEEN * known
    truth = head.update(known, soft.ratio)
    truth[hand] = mode.outcomes(targets[hand])
    weights = head.weigh(head.most_probable(truth), evidence)
    by_hand = float(evidence[hand].sum()) / max(float(evidence.sum()), 1.0)
    return Lessons(features, truth, max(LEAST_BY_HAND, by_hand) * weights * soft.share)


def with_answers(learnt: Lessons, features: Features, answers: Array, mode: Mode) -> Lessons:
    """Add texts without a label, and what a head answered, to lessons.

    Parameters
    ----------
    learnt
        Lessons from labels.
    features
        (m, d) features of the texts, from `with_nearest`; dense, as those of the lessons.
    answers
        (m, `Mode.n_logits`) probabilities of the outcomes.

    Returns
    -------
    The lessons and then the texts, which together weigh as much as the labels in each regression,
    but each of them no more than a label does on average. Topics are not balanced among them, so
    that they tell which topics are frequent.
    """
    truth, weights = _HEADS[mode.name].taught_by(answers, learnt.truth)
    n_labels = (learnt.weights > 0).sum(axis=0)
    texts = np.maximum(np.maximum(weights.sum(axis=0), n_labels), 1)
    weights = weights * (learnt.weights.sum(axis=0) / texts)
    return Lessons(
        np.vstack([np.asarray(learnt.features), np.asarray(features)]),
        np.vstack([learnt.truth, truth]),
        np.vstack([learnt.weights, weights]),
    )


def fit_head(learnt: Lessons, mode: Mode, strength: float, prior: Array) -> Linear:
    """Fit the layer that turns features into logits, as `Mode.probabilities` takes them.

    In mode single one regression tells the topics, and none of them, apart. In mode multi each
    topic has its own regression.

    Parameters
    ----------
    learnt
        Texts and what is known of them.
    strength
        Variance of the coefficients around the prior, as for `fit_logistic`.
    prior
        (`Mode.n_logits`, d) coefficients before any label is seen, from `prior_of`.

    Returns
    -------
    coef
        (`Mode.n_logits`, d) coefficients.
    intercept
        (`Mode.n_logits`,) intercepts.
    """
    return next(fit_heads(learnt, mode, [strength], prior))


def fit_heads(
    learnt: Lessons, mode: Mode, strengths: Iterable[float], prior: Array
) -> Iterator[Linear]:
    """Fit a head for each of several strengths; each begins where the one before ended.

    Parameters
    ----------
    learnt, mode, prior
        As for `fit_head`, which describes the heads too.
    strengths
        Strength of the regressions, for each head.
    """
    head, features = _HEADS[mode.name], learnt.features
    shared = np.asarray(features @ prior.T)
    n, d = features.shape
    last = None
    # A description without any feature of the texts is not in the space that they span.
    apart = prior.any(axis=1) & ~shared.any(axis=0)
    if n == 0 or n >= min(d, WIDE) or apart.any():
        for strength in strengths:
            last = head.fit(learnt, prior, strength, last)
            yield last
        return
    # The best coefficients differ from the prior by a linear combination of the rows (representer
    # theorem; Schölkopf, Herbrich & Smola 2001): fit in the space that the rows span, which has
    # fewer dimensions.
    coordinates, basis = _row_space(features)
    reduced = learnt._replace(features=coordinates)
    near = shared.T @ basis
    for strength in strengths:
        last = head.fit(reduced, near, strength, last)
        change = (features.T @ (basis @ (last.coef - near).T)).T
        yield Linear(prior + change, last.intercept)


class _SingleHead:
    """The topics and none of them against each other.

    `_MultiHead` has the same methods.
    """

    def weigh(self, targets: Targets, evidence: Array) -> Array:
        """Weights of labelled texts in each regression, (n, r), from topics and evidence."""
        outcomes = np.column_stack([targets, ~targets.any(axis=1)])
        return balanced(outcomes.argmax(axis=1), evidence)[:, None]

    def taught_by(self, answers: Array, labels: Array) -> tuple[Array, Array]:
        """Probabilities (m, `Mode.n_logits`) and weights (m, r) with which answers are learnt.

        Where none of the labels (n, `Mode.n_logits`) says none of the topics, nor do the answers.
        """
        if labels[:, -1].any():
            return answers, np.ones((len(answers), 1))
        truth = np.column_stack([conditional(answers[:, :-1]), np.zeros(len(answers))])
        return truth, 1 - answers[:, -1:]

    def unknown(self, n_outcomes: int) -> float:
        """Probability of an outcome of which nothing is known."""
        return 1 / n_outcomes

    def update(self, probabilities: Array, ratio: Array) -> Array:
        """Probabilities (m, `Mode.n_logits`) after evidence (`Soft.ratio`) on their outcomes."""
        raised = probabilities * ratio
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def most_probable(self, truth: Array) -> Targets:
        """The topics (m, k) that are most probable by (m, `Mode.n_logits`) probabilities."""
        return np.asarray(truth.argmax(axis=1)[:, None] == np.arange(truth.shape[1] - 1))

    def centred(self, prior: Array) -> Array:
        """Prior coefficients (`Mode.n_logits`, d) without what tells for no outcome."""
        return prior

    def fit(self, learnt: Lessons, prior: Array, strength: float, start: Linear | None) -> Linear:
        """Fit the head; parameters as in `fit_logistic`.

        Where no lesson says none of the topics, its prior alone tells of it: otherwise each lesson
        would tell that a text has a topic.
        """
        features, truth, weights = learnt
        if truth[:, -1].any():
            return fit_logistic(features, truth, weights[:, 0], strength, prior, start)
        before = start and Linear(start.coef[:-1], start.intercept[:-1])
        topics = fit_logistic(features, truth[:, :-1], weights[:, 0], strength, prior[:-1], before)
        none = 0.0 if prior[-1].any() else -np.inf
        return Linear(np.vstack([topics.coef, prior[-1]]), np.append(topics.intercept, none))


class _MultiHead:
    """Each topic against not having it."""

    def weigh(self, targets: Targets, evidence: Array) -> Array:
        each = [balanced(has.astype(np.int64), evidence) for has in targets.T]
        return np.column_stack(each)

    def taught_by(self, answers: Array, labels: Array) -> tuple[Array, Array]:
        return answers, np.ones(answers.shape)

    def unknown(self, n_outcomes: int) -> float:
        return 1 / 2

    def update(self, probabilities: Array, ratio: Array) -> Array:
        raised = probabilities * ratio
        return np.asarray(raised / (raised + 1 - probabilities))

    def most_probable(self, truth: Array) -> Targets:
        return truth > 1 / 2

    def centred(self, prior: Array) -> Array:
        # Similarity to every topic's description alike tells for none of them.
        return np.asarray(prior - prior.mean(axis=0, keepdims=True))

    def fit(self, learnt: Lessons, prior: Array, strength: float, start: Linear | None) -> Linear:
        features, truth, weights = learnt
        fits = [
            fit_binary(
                features,
                truth[:, topic],
                weights[:, topic],
                strength,
                prior[topic],
                start and (start.coef[topic], float(start.intercept[topic])),
            )
            for topic in range(truth.shape[1])
        ]
        return Linear(np.array([coef for coef, _ in fits]), np.array([level for _, level in fits]))


_HEADS: dict[str, _SingleHead | _MultiHead] = {"single": _SingleHead(), "multi": _MultiHead()}


def _row_space(features: Features) -> tuple[Array, Array]:
    """Coordinates of the rows in the space that they span, (n, r), and its basis.

    The basis (n, r) holds the combinations of the rows that are of unit length and orthogonal.
    """
    gram = np.asarray(
        (features @ features.T).toarray() if sparse.issparse(features) else features @ features.T
    )
    values, vectors = np.linalg.eigh(gram)
    positive = values > values[-1] * 1e-10
    basis = vectors[:, positive] / np.sqrt(values[positive])
    return gram @ basis, basis


def _log_sum(logits: Array) -> Array:
    """Log of the sum of exponentials of logits (n, k), (n,)."""
    return np.asarray(logsumexp(logits, axis=1))


def _log_sum_with(others: Array) -> Callable[[Array], Array]:
    """The same of logits (n, k) and others, whose log of the sum of exponentials is (n,)."""
    return lambda logits: np.logaddexp(_log_sum(logits), others)


def _log_sum_with_zero(logits: Array) -> Array:
    """The same of logits (n, 1) and a class whose logit is 0."""
    return np.logaddexp(0, logits[:, 0])


class _LogLoss:
    """Penalised log loss of coefficients and intercepts, (d + 1, k) in one vector.

    Each topic has a column, so that products with features need no copy. Sparse features are kept
    by column: then both products go through the many coefficients in order, and jump about among
    the few rows, which the processor's cache holds.
    """

    def __init__(
        self,
        features: Features,
        fixed: Array,
        truth: Array,
        weights: Array,
        strength: float,
        log_sum: Callable[[Array], Array],
    ) -> None:
        self._by_column = features.T.tocsr() if sparse.issparse(features) else features.T
        self._fixed = fixed
        self._truth = truth
        self._weights = weights[:, None]
        self._strength = strength
        self._log_sum = log_sum
        self.tolerance = TOLERANCE * float(weights.sum())

    def __call__(self, flat: Array) -> tuple[float, Array]:
        """Loss and its gradient."""
        logits = self._fixed + self._logits(flat)
        total = self._log_sum(logits)[:, None]
        self._at, self._share = flat.copy(), np.exp(logits - total)
        losses = total - (logits * self._truth).sum(axis=1, keepdims=True)
        value = (self._weights * losses).sum() + flat @ flat / (2 * self._strength)
        return float(value), self._gradient(self._share - self._truth, flat)

    def hessian_product(self, flat: Array, direction: Array) -> Array:
        """Product of the Hessian at `flat` and a direction."""
        if not np.array_equal(flat, self._at):
            self(flat)
        step = self._logits(direction)
        mean = (self._share * step).sum(axis=1, keepdims=True)
        return self._gradient(self._share * (step - mean), direction)

    def _logits(self, flat: Array) -> Array:
        columns = flat.reshape(-1, self._fixed.shape[1])
        return np.asarray(self._by_column.T @ columns[:-1] + columns[-1])

    def _gradient(self, error: Array, flat: Array) -> Array:
        error = error * self._weights
        rows = np.vstack([self._by_column @ error, error.sum(axis=0)])
        return np.asarray(rows.ravel() + flat / self._strength)


def _minimise(loss: _LogLoss, start: Array) -> Array:
    """Coefficients and intercepts, shaped like `start`, with the smallest loss."""
    _, gradient = loss(start.ravel())
    if np.linalg.norm(gradient) <= loss.tolerance:
        return start
    # Newton's method with conjugate gradients takes half of the products that L-BFGS takes.
    best = minimize(
        loss,
        start.ravel(),
        jac=True,
        hessp=loss.hessian_product,
        method="trust-ncg",
        options={"gtol": loss.tolerance, "initial_trust_radius": 100, "max_trust_radius": 1e6},
    )
    return np.asarray(best.x).reshape(start.shape)
