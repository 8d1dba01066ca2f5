"""The loss of a regression: what it says of one point depends on no other."""

from __future__ import annotations

import numpy as np
import pytest

from paratopic.training.logistic import Lessons, _LogLoss


def test_a_hessian_product_is_the_change_of_the_gradient_at_its_own_point() -> None:
    rng = np.random.default_rng(1)
    features, truth = rng.normal(size=(30, 4)), np.eye(3)[rng.integers(0, 3, 30)]
    lessons = Lessons(features, truth, rng.random((30, 1)))
    loss = _LogLoss(lessons, np.zeros((30, 3)), -np.inf, strength=2.0)
    here, there, step = rng.normal(size=(3, 15))
    points = loss.at(here), loss.at(there)  # the last is asked for last
    for point in points:
        ahead, behind = (loss.at(point.flat + sign * 1e-5 * step).gradient for sign in (1, -1))
        product = loss._hessian_product(point, step)
        assert product == pytest.approx((ahead - behind) / 2e-5, rel=1e-5)
