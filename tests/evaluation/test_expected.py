"""The share of right answers that is expected on texts without labels."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.evaluation.estimates import WIDEST, Estimate, expect
from paratopic.inference.calibration import Answers, Calibration, Certainty
from paratopic.training.calibration import measure_certainty

KNOWN = Certainty(mean=0.8, right=0.75, noise=0.001, between=0.01, n_labels=200, n_groups=200)
ALIKE = Answers(texts=500, certainty=400.0, likeness=0.0, articles=50)


def estimate(known: Certainty | None, answers: Answers) -> Estimate | str:
    return expect(Calibration(certainty=known), answers, 0.95)


def share(known: Certainty, answers: Answers) -> Estimate:
    expected = estimate(known, answers)
    assert not isinstance(expected, str)
    return expected


def width(known: Certainty, answers: Answers) -> float:
    _, low, high = astuple(share(known, answers))
    return float(high - low)


def test_the_mean_certainty_is_corrected_and_wider_where_less_is_known() -> None:
    assert share(KNOWN, ALIKE).value == pytest.approx(0.75)
    assert share(KNOWN, replace(ALIKE, certainty=350.0)).value == pytest.approx(0.65)
    usual = width(KNOWN, ALIKE)
    assert width(replace(KNOWN, noise=0.002), ALIKE) > usual
    assert width(KNOWN, replace(ALIKE, articles=1)) > usual
    assert width(KNOWN, Answers(50, 40.0, 0.0, 50)) > usual
    assert width(KNOWN, replace(ALIKE, certainty=370.0)) > usual  # drift


def test_what_cannot_be_told_is_not_told() -> None:
    few = "the model has too few labelled paragraphs"
    for known in (None, replace(KNOWN, n_labels=19.0), replace(KNOWN, n_groups=5)):
        assert estimate(known, ALIKE) == few
    unlike = replace(ALIKE, likeness=-376.0)
    too_much = "the texts differ too much from the labelled paragraphs"
    assert estimate(KNOWN, unlike) == too_much
    learnt = replace(ALIKE, certainty=498.0)  # as of the labelled paragraphs themselves
    anything = "the interval would be from 0% to 100%"
    assert estimate(replace(KNOWN, mean=0.3, right=0.3), learnt) == anything


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.1), st.floats(0, 1), st.integers(1, 10**6))
def test_the_interval_holds_the_share_and_is_possible(
    mean: float, right: float, noise: float, certainty: float, texts: int
) -> None:
    known = replace(KNOWN, mean=mean, right=right, noise=noise)
    expected = estimate(known, Answers(texts, certainty * texts, 0.0, 1))
    if not isinstance(expected, str):
        value, low, high = astuple(expected)
        assert 0 <= low <= value <= high <= low + WIDEST and high <= 1


def test_intervals_hold_in_a_simulation() -> None:
    rng = np.random.default_rng(0)

    def holds() -> bool:
        certainty = rng.uniform(0.5, 1, 400)
        right = (rng.uniform(size=400) < certainty - 0.05).astype(np.float64)
        known = measure_certainty(certainty[:100], right[:100], np.ones(100), np.arange(100))
        others = Answers(300, float(certainty[100:].sum()), 0.0, 300)
        _, low, high = astuple(share(known, others))
        return bool(low <= right[100:].mean() <= high)

    assert np.mean([holds() for _ in range(300)]) > 0.93
