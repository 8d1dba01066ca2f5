"""What a model's folder knows of how often the model is right."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from paratopic.inference.calibration import Answers
from paratopic.inference.head import centre_of
from paratopic.training.calibration import measure_certainty

rng = np.random.default_rng(0)


def test_the_noise_is_that_of_independent_groups() -> None:
    certainty = rng.uniform(0.5, 1, 400)
    right = (rng.uniform(size=400) < certainty).astype(np.float64)
    measured = measure_certainty(certainty, right, np.ones(400), np.arange(400))
    assert measured.mean == pytest.approx(certainty.mean())
    assert measured.right == right.mean()
    assert measured.noise == pytest.approx((right - certainty).var() / 400, rel=0.01)
    assert (measured.n_labels, measured.n_groups, measured.between) == (400, 400, 0.0)


def test_articles_that_differ_make_noise_and_are_known_to_differ() -> None:
    article = np.repeat(np.arange(40), 25)
    certainty = np.full(1000, 0.7)

    def of(spread: float) -> tuple[float, float]:
        chances = 0.7 + spread * np.resize([-1, 1], 40)[article]
        right = (rng.uniform(size=1000) < chances).astype(np.float64)
        measured = measure_certainty(certainty, right, np.ones(1000), article)
        return measured.noise, measured.between

    (noise, between), (more_noise, more_between) = of(0.0), of(0.2)
    assert between < 0.01 and more_between == pytest.approx(0.04, rel=0.3)
    assert more_noise > 2 * noise


def test_labels_count_by_their_weights_and_answers_add_up() -> None:
    weights = np.array([3.0, 1.0, 0.0])
    measured = measure_certainty(np.full(3, 0.5), np.array([1.0, 0.0, 0.0]), weights, np.arange(3))
    assert (measured.right, measured.n_labels) == (0.75, 1.6)
    assert Answers(1, 0.5, -1.0, 1) + Answers(2, 1.0, 0.5, 1) == Answers(3, 1.5, -0.5, 2)


@pytest.mark.parametrize("form", [np.array, sparse.csr_matrix])
def test_likeness_is_0_for_labelled_texts_and_lower_for_others(form: type) -> None:
    features = rng.normal([2.0, 0.0, 0.0], 0.3, (50, 3))
    centre, usual = centre_of(form(features))
    others = rng.normal([2.0, 0.0, 0.0], 0.3, (500, 3)) @ centre - usual
    assert others.mean() == pytest.approx(0, abs=0.3) and others.std() == pytest.approx(1, abs=0.3)
    assert (rng.normal([0.0, 2.0, 0.0], 0.3, (500, 3)) @ centre - usual).mean() < -3


def test_of_too_few_labelled_texts_nothing_is_known_to_be_unlike() -> None:
    for n in (0, 1):
        centre, usual = centre_of(np.ones((n, 3)))
        assert centre.tolist() == [0, 0, 0] and usual.tolist() == [0]
