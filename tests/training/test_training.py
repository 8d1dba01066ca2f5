"""Weights of labels, and the logistic regression that starts from a prior."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from paratopic.inference.scores import one_hot
from paratopic.project.topics import Mode, Topic, Topics
from paratopic.training.examples import Examples, evidence
from paratopic.training.head import balanced, head, logistic

DESCRIBED = Topics("single", (Topic("a", "About a."), Topic("b", "About b.")))


def weights(articles: list[int], topics: Topics = DESCRIBED) -> np.ndarray:
    numbers = np.array(articles, dtype=np.int64)
    targets = one_hot(numbers * 0, 2)
    return evidence(Examples(["text"] * len(numbers), targets, numbers, numbers), topics)


def test_evidence_by_hand() -> None:
    # One article of 21: 1/4 in all. Three lone paragraphs: 1/2 each.
    np.testing.assert_allclose(weights([0] * 21), 1 / 84)
    np.testing.assert_allclose(weights([0, 1, 2]), 1 / 2)
    # Two articles of one and three paragraphs: 2/5, and 2/5 over 1 + 2/2.
    np.testing.assert_allclose(weights([0, 1, 1, 1]), [0.4, 0.2, 0.2, 0.2])
    assert len(weights([])) == 0
    np.testing.assert_allclose(weights([0, 0], Topics("single", ("a", "b"))), 1)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_a_further_article_never_makes_the_evidence_less(articles: list[int]) -> None:
    assert weights([*articles, 99]).sum() > weights(articles).sum()


def test_topics_weigh_the_same() -> None:
    weights = balanced(np.array([0, 0, 0, 2]), np.array([1.0, 1.0, 2.0, 2.0]))
    np.testing.assert_allclose(weights, [0.75, 0.75, 1.5, 3.0])


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, size=60)
    features = rng.normal(size=(60, 5)) + labels[:, None] * [1.0, 0, 0.5, 0, 0]
    return features, labels, rng.uniform(0.5, 2, size=60)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_without_a_prior_it_is_scikit_learns(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], form: type
) -> None:
    features, labels, weights = data
    coef, intercept = logistic(form(features), labels, weights, 2.0, np.zeros((3, 5)))
    # Scikit-learn leaves its own intercept unpunished; a column of ones is punished as ours is.
    ones = np.column_stack([features, np.ones(60)])
    theirs = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-8, max_iter=1000)
    theirs.fit(ones, labels, sample_weight=weights)
    ours = np.column_stack([coef, intercept])
    np.testing.assert_allclose(ours, theirs.coef_, atol=1e-4)


def test_the_prior_decides_without_labels_and_yields_to_them(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    features, labels, weights = data
    prior = np.array([[-5.0, 0, 0, 0, 0], [0, 0, 0, 0, 5.0], [5.0, 0, 0, 0, 0]])
    nothing = np.zeros(0)
    coef, intercept = logistic(features[:0], nothing.astype(np.int64), nothing, 2.0, prior)
    np.testing.assert_array_equal(coef, prior)
    np.testing.assert_array_equal(intercept, 0)
    light, _ = logistic(features, labels, weights * 1e-6, 2.0, prior)
    np.testing.assert_allclose(light, prior, atol=1e-3)
    heavy, _ = logistic(features, labels, weights * 1e4, 2.0, prior)
    free, _ = logistic(features, labels, weights * 1e4, 2.0, np.zeros((3, 5)))
    np.testing.assert_allclose(heavy - heavy.mean(axis=0), free - free.mean(axis=0), atol=0.02)


def test_a_topic_that_nothing_is_known_of_gets_no_probability(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    features, labels, weights = data
    _, intercept = logistic(features, labels, weights, 2.0, np.zeros((5, 5)))
    assert np.isneginf(intercept[3:]).all() and np.isfinite(intercept[:3]).all()


@pytest.mark.parametrize("mode", ["single", "multi"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_wide_features_are_solved_in_the_space_of_their_rows(
    mode: Mode, form: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    features, prior = form(rng.normal(size=(20, 50))), rng.normal(size=(3, 50))
    targets = rng.random((20, 3)) < 0.3
    if mode == "single":
        targets = one_hot(rng.integers(-1, 3, size=20), 3)
    weights, share = rng.uniform(0.5, 2, size=(2, 20))
    reduced = head(features, targets, weights, share, mode, 2.0, prior)
    monkeypatch.setattr("paratopic.training.head.WIDE", 0)
    direct = head(features, targets, weights, share, mode, 2.0, prior)
    assert reduced[0].shape == (3 + (mode == "single"), 50)
    for ours, theirs in zip(reduced, direct, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
