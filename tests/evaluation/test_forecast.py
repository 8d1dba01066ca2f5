"""What more labels would bring: the forecast and its interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paratopic.evaluation.estimates import Estimate
from paratopic.evaluation.forecast import EXPONENT, CurvePoint, forecast
from paratopic.evaluation.outcomes import Outcomes
from tests.samples import bounds, of_one_topic


def with_errors(n: int, wrong: int, k: int = 2) -> Outcomes:
    """n rows of k topics, spread evenly, of which `wrong` are answered with the next topic."""
    true = np.arange(n) % k
    answers = np.where(np.arange(n) < wrong, (true + 1) % k, true)
    return of_one_topic(true, np.arange(n), np.eye(k)[answers][None])


def curve(n: int, *wrong: int) -> list[CurvePoint]:
    """A quarter, a half and all of 100 labels, with so many errors among n rows."""
    return [CurvePoint(s, with_errors(n, w)) for s, w in zip((25, 50, 100), wrong, strict=True)]


def forecast_of(points: list[CurvePoint], sizes: list[int], n_draws: int = 200) -> list[Estimate]:
    return forecast(points, points[-1].outcomes, sizes, 0.8, n_draws, 1)


def odds(f1: float) -> float:
    return f1 / (1 - f1)


def test_odds_grow_as_a_power_law() -> None:
    """Where the curve has the usual exponent, the forecast goes on with it."""
    wrong = [round(400 / (1 + 1.5 * (size / 25) ** EXPONENT)) for size in (25, 50, 100)]
    now, twice, often = forecast_of(curve(400, *wrong), [100, 200, 1600])
    assert now.value == pytest.approx(1 - wrong[-1] / 400, abs=0.005)
    assert odds(twice.value) == pytest.approx(odds(now.value) * 2**EXPONENT, rel=0.02)
    assert odds(often.value) == pytest.approx(odds(now.value) * 16**EXPONENT, rel=0.05)


def test_a_flat_curve_promises_less_and_a_rising_error_is_taken_for_chance() -> None:
    flat, steep, worse = (
        forecast_of(curve(400, *wrong), [400])[0]
        for wrong in ((40, 40, 40), (160, 80, 40), (10, 20, 40))
    )
    assert 0.9 < flat.value < steep.value
    assert 0.9 <= worse.value <= flat.value
    # The further the forecast, the wider its interval.
    near, far = forecast_of(curve(200, 80, 60, 50), [110, 800])
    assert np.diff(bounds(far)) > np.diff(bounds(near))
    sure, unsure = (forecast_of(curve(n, n // 3, n // 4, n // 5), [150])[0] for n in (1000, 40))
    assert bounds(unsure)[0] < bounds(sure)[0] < sure.value


@given(st.integers(4, 60), st.data(), st.integers(2, 4), st.floats(0.5, 0.95))
@settings(max_examples=50)
def test_any_curve_has_a_forecast(n: int, data: st.DataObject, k: int, confidence: float) -> None:
    points = [
        CurvePoint(size, with_errors(n, data.draw(st.integers(0, n)), k))
        for size in (0.2 * n, 0.8 * n)
    ]
    measured = points[-1].outcomes
    sizes = [n, n + 1, 10 * n]
    estimates = forecast(points, measured, sizes, confidence, 50, 1)
    for estimate in estimates:
        low, high = bounds(estimate)
        assert 0 <= low <= estimate.value <= high <= 1
    values = [estimate.value for estimate in estimates]
    assert values == sorted(values)
    assert estimates == forecast(points, measured, sizes, confidence, 50, 1)


def test_what_folds_hold_out_counts_as_labels_to_come() -> None:
    """Models of the folds that learnt from half of 100 labels say of 100 what others say of 200."""
    points = curve(200, 80, 60, 50)
    held_out = replace(points[-1].outcomes, train_share=0.5)
    half = [replace(point, size=point.size / 2) for point in points]
    half[-1] = replace(half[-1], outcomes=held_out)
    (now,), (twice,) = forecast_of(half, [100]), forecast_of(points, [200])
    assert now.value == pytest.approx(twice.value)
