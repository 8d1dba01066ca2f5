"""What is promised of sure predictions holds, and where labels are too few nothing is promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from paratopic.inference.modes import NEVER
from paratopic.project.params import SHARES, Calibrate
from paratopic.training.calibration import probability_below, sure_threshold

PROMISE = Calibrate(0.9, 0.95)


def test_the_fewest_groups_are_those_by_hand() -> None:
    # Five shares divide the risk of 5 % into 1 % each: .9^43 = .0108, .9^44 = .0097.
    assert PROMISE.risk == pytest.approx(0.01)
    assert PROMISE.least_groups == 44
    assert 0.9**44 < PROMISE.risk < 0.9**43
    # .8^20 = .0115, .8^21 = .0092; at a confidence of .75 the risk is .05, and .5^5 = .031.
    assert Calibrate(0.8, 0.95).least_groups == 21
    assert Calibrate(0.5, 0.75).least_groups == 5


@pytest.mark.parametrize("promise", [PROMISE, Calibrate(0.8, 0.95), Calibrate(0.5, 0.75)])
def test_fewer_right_groups_than_that_promise_nothing(promise: Calibrate) -> None:
    n = promise.least_groups
    confidence, groups = np.linspace(0.99, 0.5, n), np.arange(n)
    right = np.ones(n, dtype=bool)
    assert sure_threshold(confidence, right, groups, promise) == 0.5
    assert sure_threshold(confidence[:-1], right[:-1], groups[:-1], promise) == NEVER
    assert sure_threshold(confidence[:0], right[:0], groups[:0], promise) == NEVER
    assert sure_threshold(confidence, ~right, groups, promise) == NEVER


def test_the_largest_share_whose_binomial_bound_keeps_the_promise_is_taken() -> None:
    # The 120 most confident of 200 predictions are right, of the others every second one.
    confidence = np.linspace(0.99, 0.5, 200)
    right = (np.arange(200) < 120) | (np.arange(200) % 2 == 0)
    kept = []
    for share in SHARES:
        n = round(share * 200)
        hits = int(right[:n].sum())
        # The bound reaches .9 if so many hits or more have at most the risk at a precision of .9.
        if stats.binom(n, 0.9).sf(hits - 1) <= 0.01:
            kept.append(n)
    # Of 160, 140 are right: 88 %. Of 120 all are.
    assert kept == [120, 80]
    assert sure_threshold(confidence, right, np.arange(200), PROMISE) == confidence[119]


def test_ties_are_sure_together() -> None:
    # The most confident fifth ends in the middle of ties, of which half are wrong.
    confidence = np.array([0.9] * 100 + [0.6] * 150)
    right = np.concatenate([np.arange(100) < 50, np.zeros(150, dtype=bool)])
    groups = np.arange(250)
    assert right[: 250 // 5].all()
    assert sure_threshold(confidence, right, groups, PROMISE) == NEVER
    assert sure_threshold(confidence, confidence == 0.9, groups, PROMISE) == 0.9
    assert sure_threshold(np.full(44, 0.7), right[:44], groups[:44], PROMISE) == 0.7


def test_a_group_counts_once() -> None:
    # 43 groups are too few however large they are.
    groups = np.repeat(np.arange(43), 20)
    confidence, right = np.full(860, 0.8), np.ones(860, dtype=bool)
    assert sure_threshold(confidence, right, groups, PROMISE) == NEVER
    assert sure_threshold(confidence, right, np.arange(860) % 44, PROMISE) == 0.8
    # A wrong large group costs as much as a wrong lone one: 66 of 67 groups are right, which have
    # at most the risk at a precision of .9 (.1^0 · .9^67 + 67 · .1 · .9^66 = .0073), 65 of 66 too
    # (.0080), 62 of 63 not (.0105).
    for size in (1, 300):
        for n, expected in ((67, 0.8), (66, 0.8), (63, NEVER)):
            assert (stats.binom(n, 0.9).sf(n - 2) <= 0.01) == (expected == 0.8)
            groups = np.concatenate([np.arange(n - 1), np.full(size, n - 1)])
            right = groups < n - 1
            threshold = sure_threshold(np.full(len(groups), 0.8), right, groups, PROMISE)
            assert threshold == expected


def test_a_group_is_right_in_the_share_of_its_predictions_that_is() -> None:
    confidence = np.full(2000, 0.8)
    place, groups = np.arange(2000) % 20, np.arange(2000) // 20
    # All groups are alike, so they tell more than 100 that are each wholly right or wrong.
    for wrong, expected in ((0, 0.8), (1, 0.8), (2, NEVER)):
        assert sure_threshold(confidence, place >= wrong, groups, PROMISE) == expected
    assert sure_threshold(confidence, groups >= 5, groups, PROMISE) == NEVER


@given(st.integers(0, 200), st.integers(44, 200), st.floats(0.5, 0.95))
def test_groups_have_the_exact_binomial_bound(wrong: int, n: int, precision: float) -> None:
    hits = max(1, n - wrong)
    values = np.repeat([1.0, 0.0], [hits, n - hits])
    exact = stats.beta(hits, n - hits + 1).cdf(precision)
    assert probability_below(values, precision) == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("size", [1, 4])
def test_the_promise_holds_in_95_percent_of_draws(size: int) -> None:
    """Predictions are right with probability c^.4 at confidence c, groups of them together.

    The precision of all predictions from a threshold t on is the mean of c^.4 over [t, 1]: .89 from
    t = .5 on, where the promise is broken, and .91 from .6 on.
    """
    kept, promised = 0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n_groups = 250
        groups = np.repeat(np.arange(n_groups), size)
        confidence = np.repeat(rng.uniform(0.5, 1, size=n_groups), size)
        right = np.repeat(rng.uniform(size=n_groups), size) < confidence**0.4
        threshold = sure_threshold(confidence, right, groups, PROMISE)
        if threshold == NEVER:
            kept += 1
            continue
        promised += 1
        precision = (1 - threshold**1.4) / 1.4 / (1 - threshold)
        kept += precision >= PROMISE.precision
    assert kept >= 190
    assert promised > 100  # the bound is not so careful that it never speaks
