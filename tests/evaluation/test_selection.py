"""The best of many: its figure corrected for the choice, on made outcomes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from paratopic.evaluation.outcomes import Outcomes, of_one_topic
from paratopic.evaluation.selection import select
from paratopic.inference.scores import one_hot

N, K = 60, 3


def made(rng: np.random.Generator, true: np.ndarray, quality: float, repeats: int = 1) -> Outcomes:
    """A configuration that is right about each row with this probability."""
    wrong = (true + rng.integers(1, K, (repeats, N))) % K
    predicted = np.where(rng.random((repeats, N)) < quality, true, wrong)
    return of_one_topic(true, np.arange(N), one_hot(predicted, K).astype(float))


def test_a_lone_configuration_keeps_its_figure() -> None:
    rng = np.random.default_rng(1)
    lone = made(rng, np.arange(N) % K, 0.7, repeats=3)
    for candidates in ([lone], [lone, lone, lone]):
        selection = select(candidates, 200, 1)
        assert selection.best == 0
        assert selection.corrected == pytest.approx(selection.values[0], abs=1e-12)


def test_the_best_of_equal_configurations_is_flattered_and_the_correction_takes_that_off() -> None:
    rng = np.random.default_rng(2)
    true = np.arange(N) % K
    flattered, corrected = [], []
    for _ in range(60):
        selection = select([made(rng, true, 0.7) for _ in range(10)], 100, 1)
        mean = np.mean(selection.values)
        flattered.append(max(selection.values) - mean)
        corrected.append(selection.corrected - mean)
    # A share of 60 has a standard error of 0.059; the largest of 10 is 1.54 of them above the mean.
    assert np.mean(flattered) == pytest.approx(1.54 * 0.059, abs=0.02)
    assert np.mean(corrected) == pytest.approx(0, abs=0.015)


def test_a_configuration_that_is_clearly_better_loses_nothing() -> None:
    rng = np.random.default_rng(3)
    true = np.arange(N) % K
    selection = select([made(rng, true, q) for q in (0.4, 0.95, 0.5)], 200, 1)
    assert selection.best == 1
    assert selection.corrected == pytest.approx(selection.values[1], abs=1e-12)


def test_groups_are_drawn_whole() -> None:
    """Two groups, each of which prefers another configuration: held out, the choice is wrong."""
    true, groups = np.zeros(4, dtype=np.int64), np.array([0, 0, 1, 1])
    predicted = np.array([[[0, 0, 1, 1]], [[1, 1, 0, 0]]])
    one, other = (of_one_topic(true, groups, one_hot(p, 2).astype(float)) for p in predicted)
    selection = select([one, other], 200, 1)
    assert selection.values == pytest.approx((2 / 3, 2 / 3))
    assert selection.corrected == 0
    apart = [replace(outcome, groups=np.arange(4)) for outcome in (one, other)]
    assert select(apart, 200, 1).corrected > 0.2
