"""Linear heads: their training data, and how they are fitted in each mode.

`baseline` and `transformer` compute the features. Heads are regressions (`logistic`), whose prior
comes from the topics' descriptions.

A pool adds pseudo-labels. A head that is fitted to the labels predicts the texts of the pool. Texts
that are close together mostly have the same topic, so that each prediction is averaged with those
of its neighbours, as in label propagation (Zhu & Ghahramani 2002), and sharpened, as in entropy
minimisation (Grandvalet & Bengio 2004). Another head is fitted to labels and pseudo-labels
(`add_pseudo_labels`). Where each topic has enough labels, this head predicts the pool once more. A
topic with few labels has lost some of its texts to other topics by then, and would lose more.
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
from paratopic.training.settings import HEAD

# With fewer rows than this and than features, heads are fitted in the space that the rows span.
WIDE = 2000
# Number of texts that are compared with all others at the same time, which limits the memory.
_STEP = 500


def balanced(labels: Integers, weights: Array) -> Array:
    """Scale weights (n,) so that each topic in `labels` has the same total; their sum is kept.

    >>> balanced(np.array([0, 0, 0, 1]), np.ones(4)).round(2).tolist()
    [0.67, 0.67, 0.67, 2.0]
    """
    total = np.bincount(labels, weights=weights)
    share = weights.sum() / max(1, np.count_nonzero(total))
    return np.asarray(weights * share / total[labels])


# The other subjects of news, which describe texts with none of the topics.
SUBJECTS: Final = (
    "Sport: matches, teams, players, coaches, tournaments, results and records.",
    "Health and medicine: patients, hospitals, doctors, diseases, drugs and vaccines.",
    "Crime and justice: police, arrests, murders, thefts, trials and sentences.",
    "Weather: rain, snow, heat, storms and forecasts.",
    "Disasters and accidents: earthquakes, floods, fires, crashes, rescue and victims.",
    "Education: schools, universities, teachers, pupils and exams.",
    "Arts and entertainment: films, music, books, television, theatre and celebrities.",
    "Religion and belief: churches, mosques, priests, worship and festivals.",
    "Business and markets: companies, profits, shares, prices, banks and mergers.",
    "Work and jobs: wages, unions, strikes, employers and unemployment.",
    "Elections and party politics: candidates, votes, parties, parliament and government.",
    "Taxes and public spending: budgets, debt, deficits and benefits.",
    "Environment and climate: pollution, wildlife, forests, emissions and conservation.",
    "Science and space: research, discoveries, experiments, planets and rockets.",
    "Farming and food: crops, livestock, farmers, harvests and nutrition.",
    "Energy: oil, gas, electricity, nuclear plants and renewable power.",
    "Transport: roads, railways, airlines, ships and traffic.",
    "Housing and cities: homes, rents, building, land and local councils.",
    "Migration: immigrants, refugees, visas, asylum and citizenship.",
    "Family and society: children, women, ageing, poverty, welfare and equality.",
    "Law and administration: courts, rules, agencies, procedures and reports.",
    "History and commemoration: anniversaries, monuments, ceremonies and heritage.",
    "Travel and lifestyle: holidays, restaurants, fashion, cooking and hobbies.",
    "People: birth, marriage, death, awards and personal stories.",
)


class Described(NamedTuple):
    """Features of the topics' descriptions and of other subjects, which set the prior of a head.

    Attributes
    ----------
    features
        (k, d) features of the topics' descriptions; (0, d) for none.
    subjects
        (m, d) features of subjects that are none of the topics (`subjects`); (0, d) for none.
    is_centred
        Whether the features are centred embeddings; no by default.
    """

    features: Array
    subjects: Array
    is_centred: bool = False

    @classmethod
    def make(cls, features: Array, k: int) -> Described:
        """Divide features of k topics and, after them, of all subjects; drop covered subjects."""
        topics, subjects = np.split(features, [k])
        return cls(topics, subjects[are_outside_codebook(subjects, topics)])

    @property
    def margin(self) -> float:
        """Similarity above the `nearness` at which a topic is as probable as none of them."""
        return HEAD.centred_margin if self.is_centred else HEAD.margin

    def prior(self, k: int, regression: Regression, weights: Array | None = None) -> Array:
        """Prior coefficients of k topics for features from `widen`, (`Mode.n_logits`, d + 1).

        A topic's row has the features of its description, times `HEAD.prior_scale` and, in mode
        multi, minus the mean row. The last column, which `widen` adds, is above 0 only in the row
        of none of the topics. There are no intercepts. Without descriptions, all numbers are 0.

        Parameters
        ----------
        weights
            (`Mode.n_logits`,) factors of the rows, which apply first; 1 by default.
        """
        prior = np.zeros((regression.n_logits(k), self.features.shape[1] + 1))
        if len(self.features):
            prior[:k, :-1] = HEAD.prior_scale * self.features
            prior[k:, -1] = HEAD.prior_scale
        return regression.without_common(prior if weights is None else weights[:, None] * prior)

    def widen(self, features: Features) -> Features:
        """Add a last column to features (n, d), which may be sparse and then stay so.

        The column is the `nearness` to the subjects plus `margin`, and 0 without subjects. Times
        `HEAD.prior_scale`, it is the prior logit of none of the topics.
        """
        column = np.zeros((features.shape[0], 1))
        if len(self.subjects):
            column = nearness(np.asarray(features @ self.subjects.T))[:, None] + self.margin
        if sparse.issparse(features):
            wider: Features = sparse.hstack([features, sparse.csr_matrix(column)], format="csr")
            return wider
        return np.hstack([features, column])

    def head(self, wide: Linear) -> LinearHead:
        """Turn a layer for features from `widen` into a head for features without that column."""
        slope = wide.coef[:, -1]
        intercept = wide.intercept + (self.margin * slope if len(self.subjects) else 0.0)
        return LinearHead(wide.coef[:, :-1], slope, intercept, self.subjects)


def are_outside_codebook(subjects: Array, descriptions: Array) -> Targets:
    """Find the subjects that no topic covers: each is closer to another subject than to a topic.

    Parameters
    ----------
    subjects, descriptions
        (m, d) features of the subjects and (k, d) of the topics' descriptions, of equal length.

    Returns
    -------
    (m,) True for a subject outside. A codebook with the topic "Sport: teams and matches" covers the
    subject of sport, which otherwise would keep all texts from this topic.
    """
    similarity = subjects @ subjects.T
    np.fill_diagonal(similarity, -np.inf)
    nearest_topic = (subjects @ descriptions.T).max(axis=1, initial=-np.inf)
    nearest_subject = similarity.max(axis=1, initial=-np.inf)
    return np.asarray(nearest_subject > nearest_topic)


def hand_label_data(
    features: Features, targets: Targets, evidence: Array, regression: Regression
) -> TrainingData:
    """Make training data of labels, in which outcomes have the same total weight.

    Parameters
    ----------
    features
        (n, d) features of the examples, from `Described.widen`; n may be 0.
    targets
        (n, k) topics of the examples.
    evidence
        (n,) weights of the examples (`examples.evidence`); windows share the weight of their text.
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
    """Make training data of examples, some of which may have weak labels.

    The truth of a weak label is a probability: Bayes' rule combines the votes of weak sources with
    the prediction of a head that is fitted to the labels by hand only. So a wrong vote on a clear
    text has little effect, and unreliable sources do no harm. This is one step of the algorithm of
    Raykar et al. 2010, "Learning from crowds"; further steps improve nothing.

    The total weight falls with the share of weak labels, so that a head fits fewer of their errors.

    Parameters
    ----------
    features, evidence
        (n, d) features of the examples, from `Described.widen`, and (n,) weights of the examples.
    strength, prior
        Those of the head that is fitted to labels by hand (`fit_head`); unused if none is weak.
    """
    data, soft = hand_label_data(features, examples.targets, evidence, regression), examples.soft
    if soft is None:
        return data
    hand = np.flatnonzero(soft.by_hand)
    before = regression.probabilities(np.zeros(data.truth.shape))  # equal for all outcomes
    if len(hand) or prior.any():
        known = hand_label_data(features[hand], examples.targets[hand], evidence[hand], regression)
        coef, intercept = fit_head(known, regression, strength, prior)
        # An outcome that the head gives no probability may be true all the same.
        predicted = regression.probabilities(np.asarray(features @ coef.T) + intercept)
        before = (1 - HEAD.unseen_share) * predicted + HEAD.unseen_share * before
    truth = regression.update(before, soft.ratio)
    truth[hand] = data.truth[hand]
    hand_share = float(evidence[hand].sum()) / max(float(evidence.sum()), 1.0)
    weights = max(HEAD.least_weak_factor, hand_share) * regression.weigh(truth, evidence)
    return TrainingData(features, truth, weights * (soft.weights / examples.sample_weight[:, None]))


def add_pseudo_labels(
    data: TrainingData, features: Features, predicted: Array, regression: Regression
) -> TrainingData:
    """Add the texts of a pool with their pseudo-labels to training data.

    Parameters
    ----------
    data
        Training data of labels.
    features
        (m, d) features of the texts, from `Described.widen`; dense, as those of the labels.
    predicted
        (m, `Mode.n_logits`) predicted probabilities of the outcomes.

    Returns
    -------
    The training data and then the texts of the pool. These together weigh as much as the labels in
    each regression (so 0 without labels), but each of them no more than a label does on average.
    Topics are not balanced among them, so that they contain which topics are frequent.
    """
    truth, weights = regression.pseudo_labels(predicted, data.truth)
    n_labels = (data.weights > 0).sum(axis=0)
    n_texts = np.maximum(np.maximum(weights.sum(axis=0), n_labels), 1)
    weights = weights * (data.weights.sum(axis=0) / n_texts)
    all_features = np.vstack([np.asarray(data.features), np.asarray(features)])
    all_truth, all_weights = np.vstack([data.truth, truth]), np.vstack([data.weights, weights])
    return TrainingData(all_features, all_truth, all_weights)


def fit_head(data: TrainingData, regression: Regression, strength: float, prior: Array) -> Linear:
    """Fit the layer that turns features into logits, as `Mode.probabilities` takes them.

    Parameters
    ----------
    regression
        Kind of logistic regression: softmax of all outcomes, or one for each topic.
    strength
        Variance of the coefficients around the prior: scikit-learn's C.
    prior
        (`Mode.n_logits`, d) coefficients before any label is seen, from `Described.prior`.

    Returns
    -------
    (`Mode.n_logits`, d) coefficients and (`Mode.n_logits`,) intercepts. For an outcome without a
    prior, the intercept is -inf if no text has it, and in mode multi inf if all texts have it.
    """
    return next(fit_heads(data, regression, [strength], prior))


def fit_heads(
    data: TrainingData, regression: Regression, strengths: Iterable[float], prior: Array
) -> Iterator[Linear]:
    """Fit a head for each of several strengths in turn; each search starts from the head before.

    The heads and the other parameters are as for `fit_head`. With fewer rows than features, and
    than `WIDE`, the search is in the space that the rows span, which has the same solutions.
    """
    features = data.features
    shared = np.asarray(features @ prior.T)
    n, d = features.shape
    last = None
    # A description that shares no feature with the texts is not in the space that they span.
    outside = prior.any(axis=1) & ~shared.any(axis=0)
    if n == 0 or n >= min(d, WIDE) or outside.any():
        for strength in strengths:
            last = regression.fit(data, prior, strength, last)
            yield last
        return
    # The best coefficients differ from the prior by a linear combination of the rows (representer
    # theorem; Schölkopf, Herbrich & Smola 2001): fit in the space that the rows span, which has
    # fewer dimensions.
    coordinates, basis = _row_space(features)
    reduced = data._replace(features=coordinates)
    reduced_prior = shared.T @ basis
    for strength in strengths:
        last = regression.fit(reduced, reduced_prior, strength, last)
        change = (features.T @ (basis @ (last.coef - reduced_prior).T)).T
        yield Linear(prior + change, last.intercept)


class SingleRegression(Single):
    """The topics and none of them against each other.

    `MultiRegression` has the same methods.
    """

    # Strength (C) for the embeddings of an encoder.
    strength: Final = HEAD.strength

    def weigh(self, truth: Array, evidence: Array) -> Array:
        """Weights (n, r) of texts in each regression, from `TrainingData.truth` and evidence."""
        return balanced(truth.argmax(axis=1), evidence)[:, None]

    def pseudo_labels(self, predicted: Array, labels: Array) -> tuple[Array, Array]:
        """Probabilities (m, `Mode.n_logits`) and weights (m, r) of pseudo-labels.

        They are `predicted` and 1. If none of the labels (n, `Mode.n_logits`) is none of the
        topics, no pseudo-label is either, and the weight is the predicted probability of a topic.
        """
        if labels[:, -1].any():
            return predicted, np.ones((len(predicted), 1))
        truth = np.column_stack([self.conditional(predicted[:, :-1]), np.zeros(len(predicted))])
        return truth, 1 - predicted[:, -1:]

    def update(self, probabilities: Array, ratio: Array) -> Array:
        """Posterior probabilities (m, `Mode.n_logits`) after votes with a `SoftLabels.ratio`."""
        raised = probabilities * ratio
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def without_common(self, prior: Array) -> Array:
        """Prior coefficients (`Mode.n_logits`, d) without a part that favours no outcome."""
        return prior

    def fit(self, data: TrainingData, prior: Array, strength: float, init: Linear | None) -> Linear:
        """Fit the head; parameters as in `fit_logistic`.

        If no label is none of the topics, this outcome keeps its prior: otherwise each label would
        be evidence that all texts have a topic. Without a prior, its probability is then 0.
        """
        if data.truth[:, -1].any():
            return fit_logistic(data, strength, prior, init)
        topic_data = data._replace(truth=data.truth[:, :-1])
        topic_init = init and Linear(init.coef[:-1], init.intercept[:-1])
        topics = fit_logistic(topic_data, strength, prior[:-1], topic_init)
        none = 0.0 if prior[-1].any() else -np.inf
        return Linear(np.vstack([topics.coef, prior[-1]]), np.append(topics.intercept, none))


class MultiRegression(Multi):
    """A binary regression for each topic, with more shrinkage to the prior."""

    strength: Final = HEAD.multi_strength

    def weigh(self, truth: Array, evidence: Array) -> Array:
        targets = (truth > 1 / 2).astype(np.int64)
        return np.column_stack([balanced(labels, evidence) for labels in targets.T])

    def pseudo_labels(self, predicted: Array, labels: Array) -> tuple[Array, Array]:
        return predicted, np.ones(predicted.shape)

    def update(self, probabilities: Array, ratio: Array) -> Array:
        raised = probabilities * (ratio[:, 1::2] / ratio[:, ::2])  # odds of having each topic
        return np.asarray(raised / (raised + 1 - probabilities))

    def without_common(self, prior: Array) -> Array:
        # Equal similarity to the descriptions of all topics favours none of them.
        return np.asarray(prior - prior.mean(axis=0, keepdims=True))

    def fit(self, data: TrainingData, prior: Array, strength: float, init: Linear | None) -> Linear:
        """Fit a head: each topic by `fit_binary`, with its row of `prior` and its own weights."""
        features, truth, weights = data
        fits = []
        for topic in range(truth.shape[1]):
            topic_data = TrainingData(features, truth[:, [topic]], weights[:, [topic]])
            topic_init = init and (init.coef[topic], float(init.intercept[topic]))
            fits.append(fit_binary(topic_data, strength, prior[topic], topic_init))
        return Linear(np.array([coef for coef, _ in fits]), np.array([level for _, level in fits]))


Regression: TypeAlias = SingleRegression | MultiRegression


def regression_of(topics: Topics) -> Regression:
    """The regression that fits heads in the mode of these topics."""
    return SingleRegression() if topics.max_topics == 1 else MultiRegression()


def _row_space(features: Features) -> tuple[Array, Array]:
    """Coordinates of the rows in the space that they span, (n, r), and its basis, (n, r).

    A column of the basis has the factors by which the rows sum to one of r orthonormal vectors.
    """
    products = features @ features.T
    gram = products.toarray() if sparse.issparse(products) else np.asarray(products)
    values, vectors = np.linalg.eigh(gram)
    positive = values > values[-1] * 1e-10
    basis = vectors[:, positive] / np.sqrt(values[positive])
    return gram @ basis, basis


def n_rounds(weights: Array, targets: Targets, described: bool) -> int:
    """Rounds of pseudo-labels: 2 if each topic's labels weigh `HEAD.least_topic_weight`, else 1.

    `weights`, (n,), are those of the labelled texts (`examples.evidence`), and `targets`, (n, k),
    their topics. Unless topics are `described`, a topic without a label is not predicted, and does
    not count.
    """
    topic_weights = (weights @ targets)[described | targets.any(axis=0)]
    return 2 if (topic_weights >= HEAD.least_topic_weight).all() else 1


def smooth_predictions(embeddings: Array, probabilities: Scores, regression: Regression) -> Scores:
    """Mix each text's probabilities with the mean of its nearest texts', and sharpen the result.

    Embeddings, (m, d), have unit length; probabilities are (m, `Mode.n_logits`). Nearest are the
    `HEAD.n_neighbours` other texts by cosine. `regression.sharpen` raises the mix to a power and
    rescales it. The probabilities of a single text are returned as they are.
    """
    n_neighbours = min(HEAD.n_neighbours, len(embeddings) - 1)
    if n_neighbours < 1:
        return probabilities
    average = np.empty_like(probabilities)
    for start in range(0, len(embeddings), _STEP):
        rows = np.arange(start, min(start + _STEP, len(embeddings)))
        distance = -embeddings[rows] @ embeddings.T
        distance[np.arange(len(rows)), rows] = np.inf  # a text is not its own neighbour
        nearest = np.argpartition(distance, n_neighbours - 1, axis=1)[:, :n_neighbours]
        average[rows] = probabilities[nearest].mean(axis=1)
    average = HEAD.neighbour_share * average + (1 - HEAD.neighbour_share) * probabilities
    return regression.sharpen(average, HEAD.power)
