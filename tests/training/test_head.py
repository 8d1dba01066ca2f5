"""Heads: logistic regressions with a prior mean, with few rows and with many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from paratopic.inference.modes import Mode, mode_of
from paratopic.inference.scores import one_hot
from paratopic.training.head import balanced, fit_binary, fit_head, fit_logistic


def test_balanced_topics_have_the_same_total_weight() -> None:
    weights = balanced(np.array([0, 0, 0, 2]), np.array([1.0, 1.0, 2.0, 2.0]))
    np.testing.assert_allclose(weights, [0.75, 0.75, 1.5, 3.0])


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, size=60)
    features = rng.normal(size=(60, 5)) + labels[:, None] * [1.0, 0, 0.5, 0, 0]
    return features, labels, rng.uniform(0.5, 2, size=60)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_logistic_regression_without_a_prior_equals_scikit_learns(
    data: tuple[np.ndarray, np.ndarray, np.ndarray], form: type
) -> None:
    features, labels, weights = data
    coef, intercept = fit_logistic(form(features), labels, weights, 2.0, np.zeros((3, 5)))
    # scikit-learn does not regularise its intercept; the coefficient of a column of ones it does.
    ones = np.column_stack([features, np.ones(60)])
    expected = LogisticRegression(C=2.0, fit_intercept=False, tol=1e-8, max_iter=1000)
    expected.fit(ones, labels, sample_weight=weights)
    np.testing.assert_allclose(np.column_stack([coef, intercept]), expected.coef_, atol=1e-4)


def test_the_prior_decides_without_labels_and_gives_way_to_many(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    features, labels, weights = data
    prior = np.array([[-5.0, 0, 0, 0, 0], [0, 0, 0, 0, 5.0], [5.0, 0, 0, 0, 0]])
    nothing = np.zeros(0)
    coef, intercept = fit_logistic(features[:0], nothing.astype(np.int64), nothing, 2.0, prior)
    np.testing.assert_array_equal(coef, prior)
    np.testing.assert_array_equal(intercept, 0)
    light, _ = fit_logistic(features, labels, weights * 1e-6, 2.0, prior)
    np.testing.assert_allclose(light, prior, atol=1e-3)
    heavy, _ = fit_logistic(features, labels, weights * 1e4, 2.0, prior)
    free, _ = fit_logistic(features, labels, weights * 1e4, 2.0, np.zeros((3, 5)))
    np.testing.assert_allclose(heavy - heavy.mean(axis=0), free - free.mean(axis=0), atol=0.02)


def test_a_topic_without_label_and_prior_gets_no_probability(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    features, labels, weights = data
    _, intercept = fit_logistic(features, labels, weights, 2.0, np.zeros((5, 5)))
    assert np.isneginf(intercept[3:]).all() and np.isfinite(intercept[:3]).all()


@pytest.mark.parametrize("mode", [mode_of("single"), mode_of("multi")])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_head_of_wide_features_equals_one_fitted_directly(
    mode: Mode, form: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    features, prior = form(rng.normal(size=(20, 50))), rng.normal(size=(3, 50))
    targets = rng.random((20, 3)) < 0.3
    if mode.name == "single":
        targets = one_hot(rng.integers(-1, 3, size=20), 3)
    weights, share = rng.uniform(0.5, 2, size=(2, 20))
    reduced = fit_head(features, targets, weights, share, mode, 2.0, prior)
    monkeypatch.setattr("paratopic.training.head.WIDE", 0)
    direct = fit_head(features, targets, weights, share, mode, 2.0, prior)
    assert reduced[0].shape == (mode.n_logits(3), 50)
    for part, expected in zip(reduced, direct, strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-4)


def test_a_property_of_all_or_of_no_examples_is_certain_without_a_prior() -> None:
    features, weights, no_prior = np.ones((3, 2)), np.ones(3), np.zeros(2)
    for has, expected in (([True] * 3, np.inf), ([False] * 3, -np.inf)):
        coef, intercept = fit_binary(features, np.array(has), weights, 2.0, no_prior)
        assert intercept == expected and not coef.any()
    nothing = np.zeros(0, dtype=bool)
    assert fit_binary(features[:0], nothing, weights[:0], 2.0, no_prior)[1] == -np.inf
    assert np.isfinite(fit_binary(features, np.ones(3, dtype=bool), weights, 2.0, np.ones(2))[1])
