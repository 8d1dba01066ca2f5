"""Metrics against scikit-learn, and against values worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from paratopic.evaluation import metrics
from paratopic.inference.modes import (
    Array,
    Targets,
    binary_log_losses,
    class_numbers,
    log_losses,
    one_hot,
    ratio,
    squared_distances,
)


def counts(true: Targets, predicted: Targets) -> tuple[Array, Array, Array]:
    hit, n_predicted, n_true = (true & predicted).sum(0), predicted.sum(0), true.sum(0)
    return hit.astype(float), n_predicted.astype(float), n_true.astype(float)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(2, 5))
def test_as_scikit_learn_has_them(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.integers(0, k, n), rng.integers(0, k, n)
    hit, n_predicted, n_true = counts(one_hot(true, k), one_hot(predicted, k))
    labels = list(range(k))
    expected = sk.precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    assert ratio(hit, n_predicted) == pytest.approx(expected[0])
    assert ratio(hit, n_true) == pytest.approx(expected[1])
    assert metrics.f1(hit, n_predicted, n_true) == pytest.approx(expected[2])
    assert n_true.tolist() == expected[3].tolist()
    assert metrics.macro_f1(hit, n_predicted, n_true, n_true > 0) == pytest.approx(
        sk.f1_score(true, predicted, labels=sorted(set(true)), average="macro", zero_division=0)
    )
    scores = rng.dirichlet(np.ones(k), n)
    assert log_losses(true, scores).mean() == pytest.approx(
        sk.log_loss(true, scores, labels=labels)
    )


def test_brier_and_calibration_error_by_hand() -> None:
    scores = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    true = one_hot(np.array([0, 2]), 3)
    assert squared_distances(true, scores) == pytest.approx([0.14, 2.0])
    # One of two predictions in bin .6 is right: |.65 - .5|. Both in bin .9 are right: |.95 - 1|.
    confidence, hit = np.array([0.61, 0.69, 0.95, 0.95]), np.array([1.0, 0.0, 1.0, 1.0])
    in_bin = np.eye(metrics.N_BINS)[metrics.bins(confidence)]
    error = metrics.calibration_error(in_bin.sum(0), confidence @ in_bin, hit @ in_bin)
    assert error == pytest.approx(0.5 * 0.15 + 0.5 * 0.05)
    assert metrics.bins(np.array([0.0, 0.05, 0.1, 0.99, 1.0])).tolist() == [0, 0, 1, 9, 9]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(2, 5))
def test_several_topics_as_scikit_learn_has_them(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    true, predicted = rng.random((2, n, k)) < 0.4
    hit, n_predicted, n_true = counts(true, predicted)
    assert metrics.f1(hit.sum(), n_predicted.sum(), n_true.sum()) == pytest.approx(
        sk.f1_score(true, predicted, average="micro", zero_division=0)
    )
    # Few distinct scores give many ties.
    scores, weights = rng.integers(1, 6, (n, k)) / 7, rng.random((3, n)) + 0.1
    for topic in np.flatnonzero(true.any(axis=0)):
        expected = [
            sk.average_precision_score(true[:, topic], scores[:, topic], sample_weight=w)
            for w in weights
        ]
        precision = metrics.average_precision(true[:, topic], scores[:, topic], weights)
        assert precision == pytest.approx(expected)
    losses = [sk.log_loss(t, s, labels=[0, 1]) for t, s in zip(true.T, scores.T, strict=True)]
    assert binary_log_losses(true, scores).mean() == pytest.approx(np.mean(losses))


def test_targets_give_class_numbers_and_less_than_0_for_none() -> None:
    assert class_numbers(one_hot(np.array([1, -1, 0]), 2)).tolist() == [1, -1, 0]
