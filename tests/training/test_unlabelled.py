"""What a head learns from texts that nobody labelled."""

from __future__ import annotations

import numpy as np
import pytest

from paratopic.inference.scores import Array, Integers, one_hot
from paratopic.training.head import (
    MultiRegression,
    Regression,
    SingleRegression,
    fit_head,
    lessons,
    n_rounds,
    smooth_answers,
    with_answers,
)
from paratopic.training.logistic import Linear

REGRESSIONS: list[Regression] = [SingleRegression(), MultiRegression()]


def clusters(rng: np.random.Generator, sizes: list[int], spread: float) -> tuple[Array, Integers]:
    """Embeddings of unit length around orthogonal centres, and the number of each one's centre."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    points = np.eye(len(sizes), 12)[of] + rng.normal(scale=spread, size=(len(of), 12))
    return points / np.linalg.norm(points, axis=1, keepdims=True), of


@pytest.mark.parametrize("regression", REGRESSIONS)
def test_answers_stay_probabilities(regression: Regression) -> None:
    rng = np.random.default_rng(0)
    embeddings, _ = clusters(rng, [40, 40], 0.3)
    given = regression.probabilities(rng.normal(size=(80, regression.n_logits(2))))
    smooth = smooth_answers(embeddings, given, regression)
    assert smooth.shape == given.shape and smooth.min() >= 0 and smooth.max() <= 1
    if regression.name == "single":
        np.testing.assert_allclose(smooth.sum(axis=1), 1)


@pytest.mark.parametrize("n", [0, 1])
def test_without_neighbours_answers_stay(n: int) -> None:
    given = np.full((n, 3), 1 / 3)
    assert smooth_answers(np.ones((n, 4)), given, REGRESSIONS[0]) is given


def test_an_answer_against_all_neighbours_is_turned() -> None:
    embeddings, of = clusters(np.random.default_rng(1), [30, 30], 0.05)
    given = np.column_stack([np.where(of == 0, 0.9, 0.1), np.where(of == 0, 0.1, 0.9), 0 * of])
    given[0] = [0.4, 0.6, 0.0]
    smooth = smooth_answers(embeddings, given, REGRESSIONS[0])
    assert smooth[0, 0] > 0.75 and smooth[0, 0] < smooth[1, 0]
    # Half its own and half its neighbours' .9: .65 to .35, each to the power 3.
    np.testing.assert_allclose(smooth[0, 0], 0.65**3 / (0.65**3 + 0.35**3), atol=0.01)


@pytest.mark.parametrize("regression", REGRESSIONS)
def test_answers_weigh_as_much_as_labels_in_each_regression(regression: Regression) -> None:
    rng = np.random.default_rng(3)
    targets = one_hot(np.array([0, 0, 1, 1]), 2)
    labels = lessons(np.ones((4, 3)), targets, np.ones(4), regression)
    logits = rng.normal(size=(50, regression.n_logits(2)))
    logits[:, 2:] = -np.inf
    answers = regression.probabilities(logits)
    both = with_answers(labels, np.zeros((50, 3)), answers, regression)
    np.testing.assert_allclose(both.weights[4:].sum(axis=0), labels.weights.sum(axis=0))
    np.testing.assert_allclose(both.truth[4:], answers)
    # Two texts beside four labels: no text weighs more than a label.
    few = with_answers(labels, np.zeros((2, 3)), answers[:2], regression).weights
    mean = labels.weights.sum(axis=0) / (labels.weights > 0).sum(axis=0)
    assert (few[4:] <= mean + 1e-12).all()


def test_where_no_label_says_that_a_text_has_no_topic_neither_does_the_pool() -> None:
    regression = REGRESSIONS[0]
    targets = one_hot(np.array([0, 0, 1, 1]), 2)
    labels = lessons(np.ones((4, 3)), targets, np.ones(4), regression)
    answers = np.tile([0.2, 0.2, 0.6], (9, 1))
    both = with_answers(labels, np.ones((9, 3)), answers, regression)
    assert not both.truth[:, 2].any()
    np.testing.assert_allclose(both.truth[4:, :2], 0.5)
    # The likelier it is that a text has none of the topics, the less it teaches.
    likelier = with_answers(labels, np.ones((9, 3)), np.tile([0.4, 0.4, 0.2], (9, 1)), regression)
    assert (likelier.weights[4:] > both.weights[4:]).all()
    # Lessons without labels give the pool no weight.
    nothing = lessons(np.zeros((0, 3)), targets[:0], np.zeros(0), regression)
    assert not with_answers(nothing, np.ones((9, 3)), answers, regression).weights.any()


def test_texts_are_answered_twice_where_each_topic_has_four_labels() -> None:
    targets = one_hot(np.repeat([0, 1], 4), 3)
    weights = np.ones(8)
    # The last topic has no label: without a definition it does not count.
    assert n_rounds(weights, targets, described=False) == 2
    assert n_rounds(weights, targets, described=True) == 1
    assert n_rounds(weights, targets[:, :2], described=True) == 2
    assert n_rounds(0.9 * weights, targets[:, :2], described=True) == 1
    assert n_rounds(weights[1:], targets[1:], described=False) == 1


def test_unlabelled_texts_make_a_head_more_often_right() -> None:
    """Clusters with one label each, of which one lies at the edge and one topic is rare."""
    regression, before, after = REGRESSIONS[0], [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        embeddings, of = clusters(rng, [200, 60], 0.35)
        train = np.array([rng.integers(200), 200 + rng.integers(60)])
        labels = lessons(embeddings[train], one_hot(of[train], 2), np.ones(2), regression)
        prior = np.zeros((3, 12))
        head = fit_head(labels, regression, 10.0, prior)
        answers = smooth_answers(embeddings, _scores(embeddings, head), regression)
        both = fit_head(
            with_answers(labels, embeddings, answers, regression), regression, 10.0, prior
        )
        before.append((_scores(embeddings, head)[:, :2].argmax(axis=1) == of).mean())
        after.append((_scores(embeddings, both)[:, :2].argmax(axis=1) == of).mean())
    assert np.mean(after) > np.mean(before) + 0.02


def _scores(embeddings: Array, head: Linear) -> Array:
    return REGRESSIONS[0].probabilities(embeddings @ head.coef.T + head.intercept)
