"""Heads: logistic regressions with a prior mean, weak labels and pseudo-labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.linear_model import LogisticRegression

from paratopic.inference.linear_head import LinearHead, nearness
from paratopic.inference.modes import Array, Integers, Targets, one_hot
from paratopic.project.texts import numbered
from paratopic.training.examples import Examples, SoftLabels
from paratopic.training.head import (
    SUBJECTS,
    WIDE,
    Described,
    MultiRegression,
    Regression,
    SingleRegression,
    add_pseudo_labels,
    are_outside_codebook,
    balanced,
    fit_head,
    fit_heads,
    hand_label_data,
    n_rounds,
    smooth_predictions,
    training_data,
)
from paratopic.training.logistic import INTERCEPT, Linear, TrainingData, fit_binary, fit_logistic
from paratopic.training.settings import HEAD

# Two topics and two other subjects, with descriptions of unit length; and without descriptions.
DESCRIBED = Described(np.eye(4)[:2], np.eye(4)[2:])
UNDESCRIBED = Described(np.zeros((0, 4)), np.zeros((0, 4)))


def test_balanced_topics_and_none_of_them_have_the_same_total_weight() -> None:
    weights = balanced(np.array([0, 0, 0, 2]), np.array([1.0, 1.0, 2.0, 2.0]))
    np.testing.assert_allclose(weights, [0.75, 0.75, 1.5, 3.0])
    targets = one_hot(np.array([0, 1, 1, -1, -1, -1, -1, -1]), 2)
    data = hand_label_data(np.ones((8, 3)), targets, np.ones(8), SingleRegression())
    np.testing.assert_allclose((data.weights * data.truth).sum(axis=0), 8 / 3)


@pytest.fixture
def data() -> TrainingData:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, size=60)
    features = rng.normal(size=(60, 5)) + labels[:, None] * [1.0, 0, 0.5, 0, 0]
    return TrainingData(features, np.eye(3)[labels], rng.uniform(0.5, 2, size=(60, 1)))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_regression_without_prior_equals_scikit_learns(data: TrainingData, form: type) -> None:
    formed = data._replace(features=form(data.features))
    coef, intercept = fit_logistic(formed, 2.0, np.zeros((3, 5)))
    # scikit-learn regularises the coefficient of a constant column, and not its intercept.
    level = np.sqrt(INTERCEPT / 2.0)
    ones = np.column_stack([np.asarray(data.features), np.full(60, level)])
    expected = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-8, max_iter=1000)
    expected.fit(ones, data.truth.argmax(axis=1), sample_weight=data.weights[:, 0])
    layer = np.column_stack([coef, intercept / level])
    np.testing.assert_allclose(layer, expected.coef_, atol=1e-4)


def test_the_prior_decides_without_labels_and_gives_way_to_many(data: TrainingData) -> None:
    prior = np.array([[-5.0, 0, 0, 0, 0], [0, 0, 0, 0, 5.0], [5.0, 0, 0, 0, 0]])
    coef, intercept = fit_logistic(TrainingData._make(part[:0] for part in data), 2.0, prior)
    np.testing.assert_array_equal(coef, prior)
    np.testing.assert_array_equal(intercept, 0)
    light, _ = fit_logistic(data._replace(weights=1e-6 * data.weights), 2.0, prior)
    np.testing.assert_allclose(light, prior, atol=1e-3)
    many = data._replace(weights=1e4 * data.weights)
    heavy, _ = fit_logistic(many, 2.0, prior)
    free, _ = fit_logistic(many, 2.0, 0 * prior)
    np.testing.assert_allclose(heavy - heavy.mean(axis=0), free - free.mean(axis=0), atol=0.02)
    # A topic without label and prior gets no probability.
    wider = data._replace(truth=np.pad(data.truth, ((0, 0), (0, 2))))
    _, intercept = fit_logistic(wider, 2.0, np.zeros((5, 5)))
    assert np.isneginf(intercept[3:]).all() and np.isfinite(intercept[:3]).all()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_topic_without_label_keeps_its_prior(data: TrainingData, form: type) -> None:
    prior = np.zeros((4, 5))
    prior[3, 1] = 4.0
    truth = np.pad(data.truth, ((0, 0), (0, 1)))
    extended = TrainingData(form(data.features), truth, data.weights)
    coef, intercept = fit_logistic(extended, 2.0, prior)
    np.testing.assert_array_equal(coef[3], prior[3])
    assert intercept[3] == 0

    def loss(flat: np.ndarray) -> float:
        layer = np.vstack([flat.reshape(3, 6), [*prior[3], 0]])
        logits = data.features @ layer[:, :-1].T + layer[:, -1]
        losses = logsumexp(logits, axis=1) - (logits * truth).sum(axis=1)
        change, level = layer[:3, :-1], layer[:3, -1]
        penalty = (change**2).sum() / 2.0 + (level**2).sum() / INTERCEPT
        return float((data.weights[:, 0] * losses).sum() + penalty / 2)

    best = minimize(loss, np.zeros(18), tol=1e-9).x.reshape(3, 6)
    np.testing.assert_allclose(np.column_stack([coef, intercept])[:3], best, atol=1e-3)


@pytest.mark.parametrize("regression", [SingleRegression(), MultiRegression()])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_head_of_wide_features_equals_one_fitted_directly(
    regression: Regression, form: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    features, prior = form(rng.normal(size=(20, 50))), rng.normal(size=(regression.n_logits(3), 50))
    targets = rng.random((20, 3)) < 0.3
    if regression.name == "single":
        targets = one_hot(rng.integers(-1, 3, size=20), 3)
    evidence = rng.uniform(0.5, 2, size=20)
    reduced = fit_head(
        hand_label_data(features, targets, evidence, regression), regression, 2.0, prior
    )
    monkeypatch.setattr("paratopic.training.head.WIDE", 0)
    direct = fit_head(
        hand_label_data(features, targets, evidence, regression), regression, 2.0, prior
    )
    assert reduced[0].shape == (regression.n_logits(3), 50)
    for part, expected in zip(reduced, direct, strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-4)


@pytest.mark.parametrize("regression", [SingleRegression(), MultiRegression()])
@pytest.mark.parametrize("wide", [0, WIDE])
def test_heads_of_a_path_equal_single_fits(
    regression: Regression, wide: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paratopic.training.head.WIDE", wide)
    rng = np.random.default_rng(5)
    features, prior = rng.normal(size=(20, 50)), np.zeros((regression.n_logits(4), 50))
    targets = one_hot(rng.integers(-1, 3, size=20), 4)  # the last topic is unknown
    evidence = rng.uniform(0.5, 2, size=20)
    data = hand_label_data(features, targets, evidence, regression)
    strengths = [1.0, 10.0, 100.0]
    for strength, path in zip(
        strengths, fit_heads(data, regression, strengths, prior), strict=True
    ):
        single = fit_head(data, regression, strength, prior)
        np.testing.assert_allclose(path.coef, single.coef, atol=1e-4)
        np.testing.assert_allclose(path.intercept, single.intercept, atol=1e-4)


def test_a_property_of_all_or_of_no_examples_is_certain_without_a_prior() -> None:
    positive = TrainingData(np.ones((3, 2)), np.ones((3, 1)), np.ones((3, 1)))
    negative, no_prior = positive._replace(truth=np.zeros((3, 1))), np.zeros(2)
    nothing = TrainingData._make(part[:0] for part in positive)
    for data, expected in ((positive, np.inf), (negative, -np.inf), (nothing, -np.inf)):
        coef, intercept = fit_binary(data, 2.0, no_prior)
        assert intercept == expected and not coef.any()
    assert np.isfinite(fit_binary(positive, 2.0, np.ones(2))[1])
    # The start is the best fit, because both classes have the same texts.
    data = TrainingData(np.ones((4, 2)), np.eye(2)[[0, 1, 0, 1]], np.ones((4, 1)))
    coef, intercepts = fit_logistic(data, 2.0, np.zeros((2, 2)))
    assert not coef.any() and not intercepts.any()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_the_column_of_other_subjects_by_hand(form: type) -> None:
    features = np.array([[0.6, 0.8, 0, 0], [0.25, 0, 1, 0], [0, 0, 0, 0]])
    wide = DESCRIBED.widen(form(features))
    assert sparse.issparse(wide) == (form is sparse.csr_matrix)
    wide = wide.toarray() if sparse.issparse(wide) else wide
    np.testing.assert_array_equal(wide[:, :-1], features)
    # The nearness of similarities 1 and 0 is the larger one, less log(2) / 20.
    expected = np.array([0, 1 - np.log(2) / 20, 0]) + HEAD.margin
    np.testing.assert_allclose(wide[:, -1], expected, atol=1e-9)
    without = UNDESCRIBED.widen(form(features))
    assert without.shape == (3, 5) and not without[:, [-1]].sum()
    single, multi = SingleRegression(), MultiRegression()
    prior = HEAD.prior_scale * np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1]])
    np.testing.assert_array_equal(DESCRIBED.prior(2, single), prior)
    weights = np.array([1.0, 0.5, 0.2])
    np.testing.assert_array_equal(DESCRIBED.prior(2, single, weights), weights[:, None] * prior)
    # The common part of both descriptions favours neither topic.
    np.testing.assert_array_equal(DESCRIBED.prior(2, multi)[0], [5, -5, 0, 0, 0])
    np.testing.assert_array_equal(UNDESCRIBED.prior(3, single), np.zeros((4, 5)))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(0, 6), d=st.integers(1, 5), m=st.integers(0, 4)
)
def test_logits_without_the_column_equal_those_of_the_wide_features(
    form: type, seed: int, n: int, d: int, m: int
) -> None:
    rng = np.random.default_rng(seed)
    features = form(rng.normal(size=(n, d)))
    described = Described(rng.normal(size=(2, d)), rng.normal(size=(m, d)))
    coef, intercept = rng.normal(size=(3, d + 1)), rng.normal(size=3)
    expected = described.widen(features) @ coef.T + intercept
    if m == 0:  # the column is 0 then, whatever its coefficients; a fit leaves them 0
        coef[:, -1] = 0
    head = described.head(Linear(coef, intercept))
    np.testing.assert_allclose(head.logits(features), expected, atol=1e-9)


def single_head(
    features: Array, targets: Targets, evidence: Array, described: Described = DESCRIBED
) -> LinearHead:
    regression = SingleRegression()
    data = hand_label_data(described.widen(features), targets, evidence, regression)
    return described.head(fit_head(data, regression, 1.0, described.prior(2, regression)))


# Near the first topic, near the second, nearer to a subject than to both, near to both subjects.
TEXTS = np.array([[0.9, 0, 0.4, 0], [0, 0.8, 0, 0.6], [0.5, 0.3, 0.8, 0], [0.1, 0, 0.7, 0.7]])


def scores_of(head: LinearHead, texts: Array = TEXTS) -> Array:
    return SingleRegression().scores(head.logits(sparse.csr_matrix(texts)))


def test_descriptions_predict_which_texts_have_none_of_the_topics() -> None:
    scores = scores_of(single_head(np.zeros((0, 4)), np.zeros((0, 2), dtype=bool), np.zeros(0)))
    none = HEAD.prior_scale * (nearness(TEXTS[:, 2:]) + HEAD.margin)
    logits = np.column_stack([HEAD.prior_scale * TEXTS[:, :2], none])
    np.testing.assert_allclose(scores, softmax(logits, axis=1)[:, :2])
    assert (scores.max(axis=1) > 1 - scores.sum(axis=1)).tolist() == [True, True, False, False]
    # They also do if every labelled text has a topic; without descriptions every text has one.
    texts, targets = TEXTS[:2], np.eye(2, dtype=bool)
    topical = single_head(texts, targets, np.ones(2))
    np.testing.assert_allclose(topical.logits(sparse.csr_matrix(TEXTS))[:, 2], none)
    many = single_head(np.tile(texts, (50, 1)), np.tile(targets, (50, 1)), np.full(100, 10.0))
    assert many.logits(sparse.csr_matrix(TEXTS))[3].argmax() == 2
    undescribed = single_head(texts, targets, np.ones(2), UNDESCRIBED)
    np.testing.assert_allclose(scores_of(undescribed).sum(axis=1), 1)


@pytest.mark.parametrize(("n_weak", "share"), [(0, 1.0), (30, 0.5), (300, HEAD.least_weak_factor)])
def test_training_data_weigh_less_the_more_labels_are_weak(n_weak: int, share: float) -> None:
    rng, regression = np.random.default_rng(0), SingleRegression()
    n = 30 + n_weak
    features, targets = rng.normal(size=(n, 4)), one_hot(np.arange(n) % 2, 2)
    soft = SoftLabels(np.arange(n) < 30, np.tile([3.0, 1.0, 1.0], (n, 1)), np.ones((n, 1)))
    examples = Examples(numbered([""] * n), targets, np.arange(n), np.arange(n), soft=soft)
    data = training_data(features, examples, np.ones(n), regression, 10.0, np.zeros((3, 4)))
    by_hand = hand_label_data(features, targets, np.ones(n), regression)
    np.testing.assert_allclose(data.truth[:30], by_hand.truth[:30])
    assert data.weights.sum() == pytest.approx(share * by_hand.weights.sum())


def test_weak_sources_raise_the_odds_of_each_outcome() -> None:
    even, ratio = np.full((1, 2), 1 / 2), np.array([[0.5, 1.5, 1.0, 1.0]])
    np.testing.assert_allclose(MultiRegression().update(even, ratio), [[3 / 4, 1 / 2]])
    np.testing.assert_allclose(SingleRegression().update(even, ratio[:, :2]), [[1 / 4, 3 / 4]])


REGRESSIONS: list[Regression] = [SingleRegression(), MultiRegression()]


def clusters(rng: np.random.Generator, sizes: list[int], spread: float) -> tuple[Array, Integers]:
    """Embeddings of unit length around orthogonal centres, and the numbers of their centres."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    points = np.eye(len(sizes), 12)[cluster]
    points = points + rng.normal(scale=spread, size=(len(cluster), 12))
    return points / np.linalg.norm(points, axis=1, keepdims=True), cluster


@pytest.mark.parametrize("regression", REGRESSIONS)
def test_smoothed_predictions_are_probabilities(regression: Regression) -> None:
    rng = np.random.default_rng(0)
    embeddings, _ = clusters(rng, [40, 40], 0.3)
    predicted = regression.probabilities(rng.normal(size=(80, regression.n_logits(2))))
    smooth = smooth_predictions(embeddings, predicted, regression)
    assert smooth.shape == predicted.shape and smooth.min() >= 0 and smooth.max() <= 1
    if regression.name == "single":
        np.testing.assert_allclose(smooth.sum(axis=1), 1)


@pytest.mark.parametrize("n", [0, 1])
def test_predictions_without_neighbours_stay(n: int) -> None:
    predicted = np.full((n, 3), 1 / 3)
    assert smooth_predictions(np.ones((n, 4)), predicted, REGRESSIONS[0]) is predicted


def test_a_prediction_against_all_neighbours_is_reversed() -> None:
    embeddings, cluster = clusters(np.random.default_rng(1), [30, 30], 0.05)
    first = np.where(cluster == 0, 0.9, 0.1)
    predicted = np.column_stack([first, 1 - first, 0 * first])
    predicted[0] = [0.4, 0.6, 0.0]
    smooth = smooth_predictions(embeddings, predicted, REGRESSIONS[0])
    assert smooth[0, 0] > 0.75 and smooth[0, 0] < smooth[1, 0]
    # Half is its own and half the .9 of its neighbours: .65 and .35, both to the power 3.
    np.testing.assert_allclose(smooth[0, 0], 0.65**3 / (0.65**3 + 0.35**3), atol=0.01)


@pytest.mark.parametrize("regression", REGRESSIONS)
def test_pseudo_labels_weigh_as_much_as_labels_in_each_regression(regression: Regression) -> None:
    rng = np.random.default_rng(3)
    targets = one_hot(np.array([0, 0, 1, 1]), 2)
    labels = hand_label_data(np.ones((4, 3)), targets, np.ones(4), regression)
    logits = rng.normal(size=(50, regression.n_logits(2)))
    logits[:, 2:] = -np.inf
    predicted = regression.probabilities(logits)
    extended = add_pseudo_labels(labels, np.zeros((50, 3)), predicted, regression)
    np.testing.assert_allclose(extended.weights[4:].sum(axis=0), labels.weights.sum(axis=0))
    np.testing.assert_allclose(extended.truth[4:], predicted)
    # None of two texts weighs more than one of the four labels.
    few = add_pseudo_labels(labels, np.zeros((2, 3)), predicted[:2], regression).weights
    mean = labels.weights.sum(axis=0) / (labels.weights > 0).sum(axis=0)
    assert (few[4:] <= mean + 1e-12).all()


def test_no_pseudo_label_is_none_of_the_topics_if_no_label_is() -> None:
    regression = REGRESSIONS[0]
    targets = one_hot(np.array([0, 0, 1, 1]), 2)
    labels = hand_label_data(np.ones((4, 3)), targets, np.ones(4), regression)
    predicted = np.tile([0.2, 0.2, 0.6], (9, 1))
    extended = add_pseudo_labels(labels, np.ones((9, 3)), predicted, regression)
    assert not extended.truth[:, 2].any()
    np.testing.assert_allclose(extended.truth[4:, :2], 0.5)
    # Texts that more probably have a topic weigh more.
    topical = np.tile([0.4, 0.4, 0.2], (9, 1))
    heavier = add_pseudo_labels(labels, np.ones((9, 3)), topical, regression)
    assert (heavier.weights[4:] > extended.weights[4:]).all()
    # Without labels the pool has no weight.
    nothing = hand_label_data(np.zeros((0, 3)), targets[:0], np.zeros(0), regression)
    assert not add_pseudo_labels(nothing, np.ones((9, 3)), predicted, regression).weights.any()


def test_there_are_two_rounds_if_each_topic_has_four_labels() -> None:
    targets = one_hot(np.repeat([0, 1], 4), 3)
    weights = np.ones(8)
    # The last topic has no label: without a definition it does not count.
    assert n_rounds(weights, targets, described=False) == 2
    assert n_rounds(weights, targets, described=True) == 1
    assert n_rounds(weights, targets[:, :2], described=True) == 2
    assert n_rounds(0.9 * weights, targets[:, :2], described=True) == 1
    assert n_rounds(weights[1:], targets[1:], described=False) == 1


def test_unlabelled_texts_make_a_head_more_often_right() -> None:
    """Each of two clusters has one label, at a random place, and one topic is rare."""
    regression, before, after = REGRESSIONS[0], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        embeddings, cluster = clusters(rng, [200, 60], 0.35)
        train = np.array([rng.integers(200), 200 + rng.integers(60)])
        targets = one_hot(cluster[train], 2)
        labels = hand_label_data(embeddings[train], targets, np.ones(2), regression)
        prior = np.zeros((3, 12))
        head = fit_head(labels, regression, 10.0, prior)
        scores = _scores(embeddings, head)
        predicted = smooth_predictions(embeddings, scores, regression)
        extended = add_pseudo_labels(labels, embeddings, predicted, regression)
        second = _scores(embeddings, fit_head(extended, regression, 10.0, prior))
        before.append((scores[:, :2].argmax(axis=1) == cluster).mean())
        after.append((second[:, :2].argmax(axis=1) == cluster).mean())
    assert np.mean(after) > np.mean(before) + 0.02


def _scores(embeddings: Array, head: Linear) -> Array:
    return REGRESSIONS[0].probabilities(embeddings @ head.coef.T + head.intercept)


def test_a_subject_that_is_closer_to_a_topic_than_to_another_subject_is_left_out() -> None:
    subjects = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    assert are_outside_codebook(subjects, np.array([[0.0, 1.0]])).tolist() == [True, True, False]
    assert are_outside_codebook(subjects, np.zeros((0, 2))).all()


def test_each_subject_is_a_name_and_what_it_is_about() -> None:
    assert len(set(SUBJECTS)) == len(SUBJECTS)
    assert all(text.count(": ") == 1 and text.endswith(".") for text in SUBJECTS)


def test_nearness_lies_between_the_mean_and_the_largest_similarity() -> None:
    similarity = np.random.default_rng(0).uniform(-1, 1, size=(50, 9))
    near, largest = nearness(similarity), similarity.max(axis=1)
    assert (similarity.mean(axis=1) < near).all() and (near < largest).all()
    np.testing.assert_allclose(nearness(similarity + 0.3), near + 0.3)
    np.testing.assert_allclose(nearness(similarity[:, :1]), similarity[:, 0])
    assert np.isfinite(nearness(1e3 * similarity)).all()
