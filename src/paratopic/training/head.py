"""Linear heads: what they are fitted to, and how, in each mode.

Features are for `baseline` and `transformer`. Heads are regressions (`logistic`), whose prior comes
from the topics' descriptions.

Texts that nobody labelled teach a head by its own answers and those of their neighbours, because
texts that lie close together mostly have the same topic. So each answer of a head that knows the
labels alone is averaged with its neighbours', as in label propagation (Zhu & Ghahramani 2002), and
sharpened, as in entropy minimisation (Grandvalet & Bengio 2004). A head is then fitted to labels
and pseudo-labels (`add_pseudo_labels`). Where each topic has enough labels, this head predicts the
texts once more; a topic with few has lost some of its texts to others by then, and would lose more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from scipy import sparse

from paratopic.inference.linear_head import LinearHead, nearness
from paratopic.inference.modes import Array, Features, Integers, Multi, Scores, Single, Targets
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from paratopic.training.logistic import Linear, TrainingData, fit_binary, fit_logistic

# With fewer rows than this, and than features, heads are fitted in the space that the rows span.
WIDE = 2000
# Logit for each unit of a text's similarity to a topic's description, before any label is seen.
PRIOR_SCALE = 10.0
# By how much a text has to be more similar to a topic's description than it is near to other
# subjects, before any label is seen, to be as likely to have the topic as to have none. Chosen with
# `SHARPNESS` on draws of bills and speeches, for the mean of macro-F1 where 13% to 60% of the texts
# have a topic: from .08 to .13 it differs by 2 points. The second is for encoders other than the
# default, whose embeddings are centred (`transformer.centre`), chosen with multilingual-e5-small on
# the same draws: from .05 to .1 it differs by 2 points.
MARGIN, MARGIN_IF_CENTRED = 0.1, 0.07

# Share of the probability that a head fitted to labels by hand leaves to all outcomes alike.
UNSEEN = 0.05
# The lessons of weak labels have this share of their weight at least; otherwise it is the share of
# labels by hand among them. Chosen on draws of bills, speeches and AG News that are not reported.
LEAST_BY_HAND = 0.1
# Number of the nearest other texts that are a text's neighbours.
NEIGHBOURS = 20
# Share of the neighbours' answers in the average; the rest is the text's own.
OF_NEIGHBOURS = 0.5
# The average is raised to this power.
POWER = 3.0
# Number of labels that each topic needs, by their weight, for texts to be answered twice.
ENOUGH = 4.0
# Texts that are compared with all others at a time: bounds the memory.
_STEP = 500


def balanced(labels: Integers, weights: Array) -> Array:
    """Scale weights (n,) so that each topic in `labels` has the same total and their sum stays.

    >>> balanced(np.array([0, 0, 0, 1]), np.ones(4)).round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    total = np.bincount(labels, weights=weights)
    share = weights.sum() / max(1, np.count_nonzero(total))
    return np.asarray(weights * share / total[labels])


class Described(NamedTuple):
    """What descriptions tell before any label is seen: of the topics, and of other subjects.

    Attributes
    ----------
    features
        (k, d) features of the topics' descriptions; (0, d) for none.
    subjects
        (m, d) features of subjects that are none of the topics (`subjects`); (0, d) for none.
    margin
        By how much a topic has to be nearer than the subjects; `MARGIN` by default.
    """

    features: Array
    subjects: Array
    margin: float = MARGIN

    def prior(
        self, k: int, regression: Regression, description_weights: Array | None = None
    ) -> Array:
        """Coefficients of the head of k topics, (`Mode.n_logits`, d + 1).

        Parameters
        ----------
        description_weights
            (`Mode.n_logits`,) weight of the descriptions for each outcome; 1 by default.
        """
        prior = np.zeros((regression.n_logits(k), self.features.shape[1] + 1))
        if len(self.features):
            prior[:k, :-1] = PRIOR_SCALE * self.features
            prior[k:, -1] = PRIOR_SCALE
        return regression.without_common(
            prior if description_weights is None else description_weights[:, None] * prior
        )

    def widen(self, features: Features) -> Features:
        """Add the prior logit of none of the topics to features (n, d), in units of `PRIOR_SCALE`.

        Returns
        -------
        (n, d + 1) features; the last column is 0 without subjects.
        """
        column = np.zeros((features.shape[0], 1))
        if len(self.subjects):
            column = nearness(np.asarray(features @ self.subjects.T))[:, None] + self.margin
        if sparse.issparse(features):
            wider: Features = sparse.hstack([features, sparse.csr_matrix(column)], format="csr")
            return wider
        return np.hstack([features, column])

    def head(self, wide: Linear) -> LinearHead:
        """The head for features without the column of `widen`, from one for those with it."""
        slope = wide.coef[:, -1]
        intercept = wide.intercept + (self.margin * slope if len(self.subjects) else 0.0)
        return LinearHead(wide.coef[:, :-1], slope, intercept, self.subjects)


def hand_label_data(
    features: Features, targets: Targets, evidence: Array, regression: Regression
) -> TrainingData:
    """Turn labels into lessons, in which outcomes have the same total weight.

    Parameters
    ----------
    features
        (n, d) features of the examples, from `Described.widen`; n may be 0.
    targets
        (n, k) topics of the examples.
    evidence
        (n,) how much each example tells (`examples.evidence`); a window has a share of its text's.
    """
    truth = regression.outcomes(targets).astype(np.float64)
    return TrainingData(features, truth, regression.weigh(truth, evidence))


def training_data(
    features: Features,
    examples: Examples,
    evidence: Array,
    regression: Regression,
    strength: float,
    prior: Array,
) -> TrainingData:
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
        As for `hand_label_data`, of the examples.
    strength, prior
        As for `fit_head`, of the head that is fitted to the labels by hand.
    """
    data, soft = hand_label_data(features, examples.targets, evidence, regression), examples.soft
    if soft is None:
        return data
    hand = np.flatnonzero(soft.by_hand)
    known = regression.probabilities(np.zeros(data.truth.shape))  # all outcomes alike
    if len(hand) or prior.any():
        by_hand = hand_label_data(
            features[hand], examples.targets[hand], evidence[hand], regression
        )
        coef, intercept = fit_head(by_hand, regression, strength, prior)
        # What the head has never seen may be true all the same.
        answers = regression.probabilities(np.asarray(features @ coef.T) + intercept)
        known = (1 - UNSEEN) * answers + UNSEEN * known
    truth = regression.update(known, soft.ratio)
    truth[hand] = data.truth[hand]
    of_hand = float(evidence[hand].sum()) / max(float(evidence.sum()), 1.0)
    weights = max(LEAST_BY_HAND, of_hand) * regression.weigh(truth, evidence)
    return TrainingData(features, truth, weights * (soft.weights / examples.sample_weight[:, None]))


def add_pseudo_labels(
    data: TrainingData, features: Features, answers: Array, regression: Regression
) -> TrainingData:
    """Add texts without a label, and what a head answered, to lessons.

    Parameters
    ----------
    data
        Lessons from labels.
    features
        (m, d) features of the texts, from `Described.widen`; dense, as those of the lessons.
    answers
        (m, `Mode.n_logits`) probabilities of the outcomes.

    Returns
    -------
    The lessons and then the texts, which together weigh as much as the labels in each regression,
    but each of them no more than a label does on average. Topics are not balanced among them, so
    that they tell which topics are frequent.
    """
    truth, weights = regression.pseudo_labels(answers, data.truth)
    n_labels = (data.weights > 0).sum(axis=0)
    texts = np.maximum(np.maximum(weights.sum(axis=0), n_labels), 1)
    weights = weights * (data.weights.sum(axis=0) / texts)
    pairs = zip(data, TrainingData(features, truth, weights), strict=True)
    return TrainingData(*(np.vstack([np.asarray(part) for part in pair]) for pair in pairs))


def fit_head(data: TrainingData, regression: Regression, strength: float, prior: Array) -> Linear:
    """Fit the layer that turns features into logits, as `Mode.probabilities` takes them.

    Parameters
    ----------
    strength
        Variance of the coefficients around the prior, as for `fit_logistic`.
    prior
        (`Mode.n_logits`, d) coefficients before any label is seen, from `Described.prior`.

    Returns
    -------
    coef
        (`Mode.n_logits`, d) coefficients.
    intercept
        (`Mode.n_logits`,) intercepts.
    """
    return next(fit_heads(data, regression, [strength], prior))


def fit_heads(
    data: TrainingData, regression: Regression, strengths: Iterable[float], prior: Array
) -> Iterator[Linear]:
    """Fit a head for each of several strengths; each begins where the one before ended.

    Parameters
    ----------
    data, regression, prior
        As for `fit_head`, which describes the heads too.
    strengths
        Strength of the regressions, for each head.
    """
    features = data.features
    shared = np.asarray(features @ prior.T)
    n, d = features.shape
    last = None
    # A description without any feature of the texts is not in the space that they span.
    apart = prior.any(axis=1) & ~shared.any(axis=0)
    if n == 0 or n >= min(d, WIDE) or apart.any():
        for strength in strengths:
            last = regression.fit(data, prior, strength, last)
            yield last
        return
    # The best coefficients differ from the prior by a linear combination of the rows (representer
    # theorem; Schölkopf, Herbrich & Smola 2001): fit in the space that the rows span, which has
    # fewer dimensions.
    coordinates, basis = _row_space(features)
    reduced = data._replace(features=coordinates)
    near = shared.T @ basis
    for strength in strengths:
        last = regression.fit(reduced, near, strength, last)
        change = (features.T @ (basis @ (last.coef - near).T)).T
        yield Linear(prior + change, last.intercept)


class SingleRegression(Single):
    """The topics and none of them against each other.

    `MultiRegression` has the same methods.
    """

    # Strength (C) for the embeddings of an encoder.
    strength: Final = 10.0

    def weigh(self, truth: Array, evidence: Array) -> Array:
        """Weights (n, r) of texts in each regression, from `TrainingData.truth` and evidence."""
        return balanced(truth.argmax(axis=1), evidence)[:, None]

    def pseudo_labels(self, answers: Array, labels: Array) -> tuple[Array, Array]:
        """Probabilities (m, `Mode.n_logits`) and weights (m, r) with which answers are learnt.

        Where none of the labels (n, `Mode.n_logits`) says none of the topics, nor do the answers.
        """
        if labels[:, -1].any():
            return answers, np.ones((len(answers), 1))
        truth = np.column_stack([self.conditional(answers[:, :-1]), np.zeros(len(answers))])
        return truth, 1 - answers[:, -1:]

    def update(self, probabilities: Array, ratio: Array) -> Array:
        """Probabilities (m, `Mode.n_logits`) after evidence (`Soft.ratio`) on their outcomes."""
        raised = probabilities * ratio
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def without_common(self, prior: Array) -> Array:
        """Prior coefficients (`Mode.n_logits`, d) without what tells for no outcome."""
        return prior

    def fit(
        self, data: TrainingData, prior: Array, strength: float, start: Linear | None
    ) -> Linear:
        """Fit the head; parameters as in `fit_logistic`.

        Where no lesson says none of the topics, its prior alone tells of it: otherwise each lesson
        would tell that a text has a topic.
        """
        if data.truth[:, -1].any():
            return fit_logistic(data, strength, prior, start)
        topical = data._replace(truth=data.truth[:, :-1])
        before = start and Linear(start.coef[:-1], start.intercept[:-1])
        topics = fit_logistic(topical, strength, prior[:-1], before)
        none = 0.0 if prior[-1].any() else -np.inf
        return Linear(np.vstack([topics.coef, prior[-1]]), np.append(topics.intercept, none))


class MultiRegression(Multi):
    """Each topic against not having it: two classes, and less freedom."""

    strength: Final = 1.0

    def weigh(self, truth: Array, evidence: Array) -> Array:
        has = (truth > 1 / 2).astype(np.int64)
        return np.column_stack([balanced(of_topic, evidence) for of_topic in has.T])

    def pseudo_labels(self, answers: Array, labels: Array) -> tuple[Array, Array]:
        return answers, np.ones(answers.shape)

    def update(self, probabilities: Array, ratio: Array) -> Array:
        raised = probabilities * (ratio[:, 1::2] / ratio[:, ::2])  # odds of having each topic
        return np.asarray(raised / (raised + 1 - probabilities))

    def without_common(self, prior: Array) -> Array:
        # Similarity to every topic's description alike tells for none of them.
        return np.asarray(prior - prior.mean(axis=0, keepdims=True))

    def fit(
        self, data: TrainingData, prior: Array, strength: float, start: Linear | None
    ) -> Linear:
        features, truth, weights = data
        fits = []
        for topic in range(truth.shape[1]):
            of_topic = TrainingData(features, truth[:, [topic]], weights[:, [topic]])
            before = start and (start.coef[topic], float(start.intercept[topic]))
            fits.append(fit_binary(of_topic, strength, prior[topic], before))
        return Linear(np.array([coef for coef, _ in fits]), np.array([level for _, level in fits]))


Regression: TypeAlias = SingleRegression | MultiRegression


def regression_of(topics: Topics) -> Regression:
    """How heads are fitted that tell these topics."""
    return SingleRegression() if topics.most == 1 else MultiRegression()


def _row_space(features: Features) -> tuple[Array, Array]:
    """Coordinates of the rows in the space that they span, (n, r), and its basis.

    The basis (n, r) holds the combinations of the rows that are of unit length and orthogonal.
    """
    products = features @ features.T
    gram = products.toarray() if sparse.issparse(products) else np.asarray(products)
    values, vectors = np.linalg.eigh(gram)
    positive = values > values[-1] * 1e-10
    basis = vectors[:, positive] / np.sqrt(values[positive])
    return gram @ basis, basis


def n_rounds(weights: Array, targets: Targets, described: bool) -> int:
    """How often texts are answered and learnt from: twice, or once if a topic has few labels.

    Parameters
    ----------
    weights, targets
        (n,) weights of the labelled texts (`examples.evidence`), and (n, k) their topics.
    described
        Whether topics have descriptions: without, one that has no label is not predicted, and does
        not count.
    """
    of_topic = weights @ targets
    return 2 if (of_topic[described | targets.any(axis=0)] >= ENOUGH).all() else 1


def smooth_answers(embeddings: Array, probabilities: Scores, regression: Regression) -> Scores:
    """Average each text's probabilities with its neighbours', and sharpen them.

    Embeddings, (m, d), are of unit length. Probabilities of the outcomes, (m, `Mode.n_logits`), are
    those by a head that knows the labels.
    """
    n_neighbours = min(NEIGHBOURS, len(embeddings) - 1)
    if n_neighbours < 1:
        return probabilities
    average = np.empty_like(probabilities)
    for start in range(0, len(embeddings), _STEP):
        rows = np.arange(start, min(start + _STEP, len(embeddings)))
        distance = -embeddings[rows] @ embeddings.T
        distance[np.arange(len(rows)), rows] = np.inf  # a text is no neighbour of its own
        nearest = np.argpartition(distance, n_neighbours - 1, axis=1)[:, :n_neighbours]
        average[rows] = probabilities[nearest].mean(axis=1)
    average = OF_NEIGHBOURS * average + (1 - OF_NEIGHBOURS) * probabilities
    return regression.sharpen(average, POWER)
