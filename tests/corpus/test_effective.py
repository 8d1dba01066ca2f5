"""The effective sizes and design effects against variances that are simulated or known."""

from __future__ import annotations

import numpy as np
import pytest

from paratopic.corpus.effective import (
    design_effect,
    design_effects_of_few,
    design_effects_of_pairs,
    effective_counts,
    effective_size,
    measured_design_effect,
)


def test_a_weighted_mean_varies_as_one_of_the_effective_size() -> None:
    rng = np.random.default_rng(1)
    weights = rng.exponential(size=40)
    means = rng.standard_normal((20_000, 40)) @ (weights / weights.sum())
    assert 1 / means.var() == pytest.approx(float(effective_size(weights)), rel=0.03)
    counts = effective_counts(np.ones(40), weights)
    assert counts.sum() == pytest.approx(float(effective_size(weights)))


def test_clusters_vary_as_their_design_effect_says() -> None:
    rng = np.random.default_rng(1)
    shared, own = rng.standard_normal((20_000, 8, 1)), rng.standard_normal((20_000, 8, 5))
    errors = np.sqrt(0.3) * shared + np.sqrt(0.7) * own
    expected = design_effect(5, 0.3)
    assert 40 * errors.mean(axis=(1, 2)).var() == pytest.approx(expected, rel=0.03)
    groups = np.repeat(np.arange(errors.size // 5), 5)
    assert float(measured_design_effect(errors.ravel(), groups)) == pytest.approx(
        expected, rel=0.03
    )


def test_three_ways_to_say_the_same_correlation_agree() -> None:
    among_four, pairs = design_effects_of_few(np.array([3]), 4), np.full((3, 3), 0.25)
    np.fill_diagonal(pairs, 1.0)
    of_pairs = design_effects_of_pairs(np.ones((1, 3)), pairs)
    assert among_four.tolist() == [design_effect(3, 0.25)] == of_pairs[0, :1].tolist()


def test_nothing_is_worth_nothing() -> None:
    nothing = np.zeros(3)
    assert not effective_size(nothing) and not effective_counts(nothing, np.ones(3)).any()
    assert not measured_design_effect(nothing, np.array([0, 0, 1]))
