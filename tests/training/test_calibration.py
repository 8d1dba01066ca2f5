"""Temperature and threshold from out-of-fold scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from paratopic.inference.folder import Calibration
from paratopic.inference.scores import one_hot
from paratopic.project.topics import Topics
from paratopic.training import calibration
from paratopic.training.calibration import (
    BELIEF,
    calibrated,
    fit,
    fit_temperature,
    fit_threshold,
    temper,
)

NAMES = ("a", "b", "c")
TOPICS = Topics("single", NAMES)


def drawn(n: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truths drawn from probabilities, and scores that are too sure by the temperature."""
    rng = np.random.default_rng(seed)
    honest = softmax(rng.normal(scale=2, size=(n, 3)), axis=1)
    true = np.array([rng.choice(3, p=p) for p in honest])
    return true, temper(honest, 1 / temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_is_found(temperature: float) -> None:
    true, scores = drawn(4000, temperature)
    assert fit_temperature(true, scores) == pytest.approx(temperature, rel=0.1)


def test_no_mistakes_on_few_paragraphs_are_not_certainty() -> None:
    scores = np.tile([0.8, 0.1, 0.1], (10, 1))
    tempered = temper(scores, fit_temperature(np.zeros(10, dtype=np.int64), scores))
    assert 0.9 < tempered[0, 0] < 0.99
    assert fit_temperature(np.zeros(0, dtype=np.int64), scores[:0]) == 1.0


def test_tempering_keeps_zeros_ranks_and_sums() -> None:
    scores = np.array([[0.7, 0.3, 0.0], [0.2, 0.5, 0.3]])
    np.testing.assert_allclose(temper(scores, 1.0), scores)
    hot = temper(scores, 4.0)
    assert hot[0, 2] == 0 and (hot.argsort() == scores.argsort()).all()
    np.testing.assert_allclose(hot.sum(axis=1), 1)


def test_topics_and_having_one_are_tempered_apart() -> None:
    scores = np.array([[0.72, 0.08], [0.5, 0.5]])
    told = calibrated(scores, Calibration((1 / 2, 1 / 2, 2)), "single")
    # Odds of 9 become 3, and odds of having a topic of 4 become 16; a certainty stays one.
    np.testing.assert_allclose(told, [[16 / 17 * 0.75, 16 / 17 * 0.25], [0.5, 0.5]])
    np.testing.assert_allclose(calibrated(scores, Calibration(), "single"), scores)


def test_both_temperatures_are_found() -> None:
    rng = np.random.default_rng(2)
    has = 1 / (1 + np.exp(-rng.normal(size=6000)))
    true, honest = drawn(6000, 1.0)
    true = np.where(rng.uniform(size=6000) < has, true, -1)
    scores = calibrated(honest * has[:, None], Calibration((3, 3, 3, 2)), "single")
    found = fit(one_hot(true, 3), scores, "single", 0.5)
    assert found.scale == pytest.approx((1 / 3, 1 / 3, 1 / 3, 1 / 2), rel=0.1)


def test_of_many_answers_those_that_are_right_are_counted() -> None:
    """Confidences that pile up near 1, of which the higher half is right nearly always."""
    confidence = np.concatenate([np.linspace(0.999, 0.99, 500), np.linspace(0.9, 0.5, 500)])
    turn = np.arange(1000)
    right = np.select([turn < 250, turn < 500], [turn % 20 > 0, turn % 5 > 1], turn % 10 == 0)
    threshold = fit_threshold(confidence, right, 0.8)
    named = confidence >= threshold
    assert right[named].mean() == pytest.approx(0.8, abs=BELIEF / named.sum() / 2)


def test_the_threshold_reaches_the_precision_on_new_rows() -> None:
    reached = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        confidence = rng.uniform(0.3, 1, size=2000)
        right = rng.uniform(size=2000) < confidence
        threshold = fit_threshold(confidence[:300], right[:300], 0.85)
        reached.append(right[300:][confidence[300:] >= threshold].mean())
    assert np.mean(reached) == pytest.approx(0.85, abs=0.02)


def test_a_precision_out_of_reach_leaves_the_surest_and_an_easy_one_answers_all() -> None:
    confidence = np.linspace(0.4, 0.9, 50)
    assert fit_threshold(confidence, np.arange(50) % 3 == 0, 0.95) == 0.9
    assert fit_threshold(confidence, np.ones(50, dtype=bool), 0.8) == 0.4
    assert fit_threshold(confidence[:0], np.zeros(0, dtype=bool), 0.8) == 0.0


def calibrate(  # type: ignore[no-untyped-def]
    true: np.ndarray, frame: pd.DataFrame, counts: np.ndarray | None = None
):
    every = np.ones(len(true), dtype=bool) if counts is None else counts
    return calibration.calibrate(one_hot(true, 3), every, frame, TOPICS, 0.9)


def table(n: int) -> tuple[np.ndarray, pd.DataFrame]:
    true, scores = drawn(n, 3.0)
    frame = pd.DataFrame(scores, columns=list(NAMES))
    frame.insert(0, "id", [f"p{row}" for row in range(n)])
    frame.insert(1, "repeat", 0)
    frame.insert(2, "fold", np.arange(n) % 4)
    return true, frame


def test_a_fold_is_calibrated_by_the_others_alone() -> None:
    true, frame = table(200)
    before, _ = calibrate(true, frame)
    # Other truths in fold 0 change the other folds' calibration, not its own.
    changed = np.where(frame["fold"] == 0, (true + 1) % 3, true)
    after, _ = calibrate(changed, frame)
    own = (frame["fold"] == 0).to_numpy()
    columns = [*NAMES, *TOPICS.thresholds]
    pd.testing.assert_frame_equal(before.loc[own, columns], after.loc[own, columns])
    others = [table.loc[~own, TOPICS.thresholds] for table in (before, after)]
    assert (others[0] != others[1]).all(axis=None)


def test_rows_that_do_not_count_calibrate_nothing_and_none_moves_the_threshold_alone() -> None:
    true, frame = table(200)
    _, whole = calibrate(true[:100], frame[:100])
    assert calibrate(true, frame, np.arange(200) < 100)[1] == whole
    none = np.where(np.arange(200) < 100, true, -1)
    with_none = calibrate(none, frame)[1]
    assert with_none.scale[:3] == whole.scale[:3]
    assert with_none.thresholds > whole.thresholds


def test_a_lone_fold_is_calibrated_by_its_halves_and_no_rows_by_nothing() -> None:
    true, frame = table(200)
    calibrated, _ = calibrate(true, frame.assign(fold=0))
    assert calibrated["threshold a"].nunique() == 2
    assert calibrate(true[:0], frame[:0])[1] == Calibration((1.0,) * 4)
