"""Effective sizes and design effects against simulated or known variances."""

from __future__ import annotations

import numpy as np
import pytest

from paratopic.corpus.effective import (
    design_effect,
    effective_counts,
    effective_size,
    measured_design_effect,
    pairwise_design_effects,
    small_sample_design_effects,
)


def test_a_weighted_mean_has_the_variance_of_its_effective_size() -> None:
    rng = np.random.default_rng(1)
    weights = rng.exponential(size=40)
    means = rng.standard_normal((20_000, 40)) @ (weights / weights.sum())
    assert 1 / means.var() == pytest.approx(float(effective_size(weights)), rel=0.03)
    counts = effective_counts(np.ones(40), weights)
    assert counts.sum() == pytest.approx(float(effective_size(weights)))


def test_the_mean_of_clusters_has_the_variance_of_their_design_effect() -> None:
    rng = np.random.default_rng(1)
    shared, independent = rng.standard_normal((20_000, 8, 1)), rng.standard_normal((20_000, 8, 5))
    errors = np.sqrt(0.3) * shared + np.sqrt(0.7) * independent
    expected = design_effect(5, 0.3)
    assert 40 * errors.mean(axis=(1, 2)).var() == pytest.approx(expected, rel=0.03)
    groups = np.repeat(np.arange(errors.size // 5), 5)
    assert float(measured_design_effect(errors.ravel(), groups)) == pytest.approx(
        expected, rel=0.03
    )


def test_three_design_effects_of_the_same_correlation_agree() -> None:
    four_clusters, correlations = (
        small_sample_design_effects(np.array([3]), 4),
        np.full((3, 3), 0.25),
    )
    np.fill_diagonal(correlations, 1.0)
    pairwise = pairwise_design_effects(np.ones((1, 3)), correlations)
    assert four_clusters.tolist() == [design_effect(3, 0.25)] == pairwise[0, :1].tolist()


def test_weights_of_zero_have_an_effective_size_of_zero() -> None:
    zeros = np.zeros(3)
    assert not effective_size(zeros) and not effective_counts(zeros, np.ones(3)).any()
    assert not measured_design_effect(zeros, np.array([0, 0, 1]))
