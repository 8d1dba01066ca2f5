"""Temperatures, thresholds, and the calibration of out-of-fold scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from paratopic.inference.folder import Calibration
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import one_hot
from paratopic.project.topics import Topics
from paratopic.training.calibration import (
    PRIOR_ANSWERS,
    apply_calibration,
    calibrate_out_of_fold,
    fit_calibration,
    fit_temperature,
    precision_threshold,
    temper,
)

NAMES = ("a", "b", "c")
TOPICS = Topics("single", NAMES)


def drawn(n: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers drawn from probabilities, and those made overconfident by a temperature."""
    rng = np.random.default_rng(seed)
    honest = softmax(rng.normal(scale=2, size=(n, 3)), axis=1)
    true = np.array([rng.choice(3, p=p) for p in honest])
    return true, temper(honest, 1 / temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_overconfident_scores_is_recovered(temperature: float) -> None:
    true, scores = drawn(4000, temperature)
    assert fit_temperature(true, scores) == pytest.approx(temperature, rel=0.1)


def test_few_paragraphs_without_a_mistake_do_not_give_certainty() -> None:
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


def test_which_topic_and_any_topic_are_tempered_apart() -> None:
    scores = np.array([[0.72, 0.08], [0.5, 0.5]])
    tempered = apply_calibration(scores, Calibration((1 / 2, 1 / 2, 2)), mode_of("single"))
    # Odds of 9 become 3, and odds of having a topic of 4 become 16; a certainty stays one.
    np.testing.assert_allclose(tempered, [[16 / 17 * 0.75, 16 / 17 * 0.25], [0.5, 0.5]])
    np.testing.assert_allclose(apply_calibration(scores, Calibration(), mode_of("single")), scores)


def test_both_temperatures_are_recovered() -> None:
    rng = np.random.default_rng(2)
    any_topic = 1 / (1 + np.exp(-rng.normal(size=6000)))
    true, honest = drawn(6000, 1.0)
    true = np.where(rng.uniform(size=6000) < any_topic, true, -1)
    scores = apply_calibration(
        honest * any_topic[:, None], Calibration((3, 3, 3, 2)), mode_of("single")
    )
    calibration = fit_calibration(one_hot(true, 3), scores, mode_of("single"), 0.5)
    assert calibration.scale == pytest.approx((1 / 3, 1 / 3, 1 / 3, 1 / 2), rel=0.1)


def test_with_many_answers_the_precision_threshold_counts_right_ones() -> None:
    """Confidences that pile up near 1, of which the higher half is right nearly always."""
    confidence = np.concatenate([np.linspace(0.999, 0.99, 500), np.linspace(0.9, 0.5, 500)])
    turn = np.arange(1000)
    right = np.select([turn < 250, turn < 500], [turn % 20 > 0, turn % 5 > 1], turn % 10 == 0)
    threshold = precision_threshold(confidence, right, 0.8)
    answered = confidence >= threshold
    assert right[answered].mean() == pytest.approx(0.8, abs=PRIOR_ANSWERS / answered.sum() / 2)


def test_the_precision_threshold_reaches_the_precision_on_new_rows() -> None:
    reached = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        confidence = rng.uniform(0.3, 1, size=2000)
        right = rng.uniform(size=2000) < confidence
        threshold = precision_threshold(confidence[:300], right[:300], 0.85)
        reached.append(right[300:][confidence[300:] >= threshold].mean())
    assert np.mean(reached) == pytest.approx(0.85, abs=0.02)


def test_a_precision_out_of_reach_gives_the_highest_confidence_and_an_easy_one_the_lowest() -> None:
    confidence = np.linspace(0.4, 0.9, 50)
    assert precision_threshold(confidence, np.arange(50) % 3 == 0, 0.95) == 0.9
    assert precision_threshold(confidence, np.ones(50, dtype=bool), 0.8) == 0.4
    assert precision_threshold(confidence[:0], np.zeros(0, dtype=bool), 0.8) == 0.0


def calibrate(
    true: np.ndarray, frame: pd.DataFrame, evaluated: np.ndarray | None = None
) -> tuple[pd.DataFrame, Calibration]:
    if evaluated is None:
        evaluated = np.ones(len(true), dtype=bool)
    return calibrate_out_of_fold(one_hot(true, 3), evaluated, frame, TOPICS, 0.9)


def table(n: int) -> tuple[np.ndarray, pd.DataFrame]:
    true, scores = drawn(n, 3.0)
    frame = pd.DataFrame(scores, columns=list(NAMES))
    frame.insert(0, "id", [f"p{row}" for row in range(n)])
    frame.insert(1, "repeat", 0)
    frame.insert(2, "fold", np.arange(n) % 4)
    return true, frame


def test_a_fold_is_calibrated_by_the_other_folds_only() -> None:
    true, frame = table(200)
    before, _ = calibrate(true, frame)
    # Changed labels in fold 0 change the other folds' calibration, not that of fold 0.
    changed = np.where(frame["fold"] == 0, (true + 1) % 3, true)
    after, _ = calibrate(changed, frame)
    own = (frame["fold"] == 0).to_numpy()
    columns = [*NAMES, *TOPICS.thresholds]
    pd.testing.assert_frame_equal(before.loc[own, columns], after.loc[own, columns])
    thresholds = [table.loc[~own, TOPICS.thresholds] for table in (before, after)]
    assert (thresholds[0] != thresholds[1]).all(axis=None)


def test_calibration_ignores_rows_not_evaluated_and_rows_without_topic_raise_the_threshold() -> (
    None
):
    true, frame = table(200)
    _, whole = calibrate(true[:100], frame[:100])
    assert calibrate(true, frame, np.arange(200) < 100)[1] == whole
    none = np.where(np.arange(200) < 100, true, -1)
    with_none = calibrate(none, frame)[1]
    assert with_none.scale[:3] == whole.scale[:3]
    assert with_none.thresholds > whole.thresholds


def test_a_lone_fold_is_calibrated_by_halves_and_no_rows_give_no_calibration() -> None:
    true, frame = table(200)
    calibrated, _ = calibrate(true, frame.assign(fold=0))
    assert calibrated["threshold a"].nunique() == 2
    assert calibrate(true[:0], frame[:0])[1] == Calibration((1.0,) * 4)
