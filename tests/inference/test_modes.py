"""Both modes keep the properties that the rooms rely on, with any numbers."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.inference.modes import Calibration, Mode, Multi, Scores, Single, mode_of
from paratopic.training.calibration import apply_calibration

SINGLE, MULTI = mode_of("single"), mode_of("multi")
both_modes = pytest.mark.parametrize("mode", [SINGLE, MULTI], ids=lambda mode: mode.name)


def arrays(k: int, low: float, high: float) -> st.SearchStrategy[Scores]:
    """Arrays of up to five rows and k columns."""
    row = st.lists(st.floats(low, high, width=32), min_size=k, max_size=k)
    return st.lists(row, min_size=1, max_size=5).map(lambda rows: np.array(rows, dtype=np.float64))


# Both modes accept 3 to 5 logits.
LOGITS = st.integers(3, 5).flatmap(lambda n: arrays(n, -12, 12))
EXTREME_LOGITS = st.integers(3, 5).flatmap(lambda n: arrays(n, -1e4, 1e4))


def test_both_modes_define_the_same() -> None:
    names = {name for name in dir(Single) if name[0] != "_"}
    assert names == {name for name in dir(Multi) if name[0] != "_"}
    for name in names:
        if callable(getattr(Single, name)):
            assert signature(getattr(Single, name)) == signature(getattr(Multi, name))


@both_modes
@given(logits=LOGITS)
def test_logits_invert_probabilities(mode: Mode, logits: Scores) -> None:
    probabilities = mode.probabilities(logits)
    recovered = mode.logits(probabilities)
    np.testing.assert_allclose(mode.probabilities(recovered), probabilities, rtol=1e-6)
    if mode is SINGLE:  # softmax does not depend on the mean of the logits
        logits, recovered = logits - logits[:, :1], recovered - recovered[:, :1]
    np.testing.assert_allclose(recovered, logits, atol=1e-6)


@both_modes
@given(logits=LOGITS)
def test_scores_are_the_topics_probabilities(mode: Mode, logits: Scores) -> None:
    """`complete` restores probabilities, uncertainty is 0 to 1, and one window gives its text."""
    probabilities, scores = mode.probabilities(logits), mode.scores(logits)
    n, k = scores.shape
    assert probabilities.shape[1] == mode.n_logits(k)
    complete = mode.complete(scores)
    np.testing.assert_allclose(complete, probabilities, atol=1e-12)
    np.testing.assert_array_equal(complete[:, :k], scores)
    uncertainty = mode.uncertainty(scores)
    assert uncertainty.shape == (n,)
    assert (uncertainty >= -1e-12).all() and (uncertainty <= 1 + 1e-12).all()
    combined = mode.combine_windows(logits, [7] * n, np.arange(n), n)
    np.testing.assert_allclose(combined, logits)


@both_modes
@given(logits=LOGITS, thresholds=st.lists(st.floats(0.05, 0.95), min_size=5, max_size=5))
def test_a_topic_is_predicted_from_its_probability_on(
    mode: Mode, logits: Scores, thresholds: list[float]
) -> None:
    scores = mode.scores(logits)
    k = scores.shape[1]
    needed = mode.named_from(scores, thresholds[:k])
    assert needed.shape == scores.shape
    for topic in range(k):
        for change, named in ((1.001, True), (0.999, False)):
            moved = scores.copy()
            moved[:, topic] = needed[:, topic] * change
            # Other topics get a threshold at which they are never predicted.
            only = np.where(np.arange(k) == topic, thresholds[:k], 1e9)
            if mode is SINGLE:  # the probability of no topic changes accordingly
                others = np.delete(scores, topic, axis=1).sum(axis=1)
                either = 1 - others
                moved[:, topic] = np.minimum(moved[:, topic], either)
                if (either < 1e-6).any():
                    continue
            assert (mode.predicted(moved, only)[:, topic] == named).all()


@both_modes
@given(threshold=st.floats(0.01, 0.99), caution=st.floats(0.1, 10))
def test_caution_multiplies_the_odds_of_a_predicted_topic(
    mode: Mode, threshold: float, caution: float
) -> None:
    (stricter,) = mode.stricter_thresholds(np.array([threshold]), caution)
    before, after = threshold, stricter
    if mode is MULTI:
        before, after = before / (1 - before), after / (1 - after)
    assert after == pytest.approx(caution * before)
    assert mode.stricter_thresholds(np.array([threshold]), 1.0)[0] == pytest.approx(threshold)


@both_modes
@given(logits=EXTREME_LOGITS)
def test_scores_are_probabilities(mode: Mode, logits: Scores) -> None:
    scores = mode.scores(logits)
    assert (scores >= 0).all() and (scores <= 1).all()
    if mode is SINGLE:
        assert (scores.sum(axis=1) <= 1 + 1e-12).all()
        np.testing.assert_allclose(mode.probabilities(logits).sum(axis=1), 1)


@both_modes
@given(logits=LOGITS, threshold=st.floats(0, 1))
def test_predicted_topics_reach_the_threshold(mode: Mode, logits: Scores, threshold: float) -> None:
    scores = mode.scores(logits)
    candidates = mode.candidates(scores, [threshold])
    predicted = mode.predicted(scores, [threshold])
    none = np.maximum(1 - scores.sum(axis=1, keepdims=True), 0) if mode is SINGLE else 1.0
    np.testing.assert_array_equal(predicted, candidates & (scores >= threshold * none))
    np.testing.assert_array_equal(mode.predicted(scores, [0.0]), candidates)
    if mode is SINGLE:
        assert (candidates.sum(axis=1) == 1).all()


def test_in_mode_single_a_topic_is_predicted_by_its_odds_against_none_and_its_threshold() -> None:
    # The probability of no topic is .4, .2, .4 and .5.
    scores = np.array([[0.4, 0.2], [0.4, 0.4], [0.1, 0.5], [0.05, 0.45]])
    first, second, neither = [True, False], [False, True], [False, False]
    for thresholds, expected in (
        ((1.0, 1.0), [first, first, second, neither]),
        ((1.1, 0.6), [neither, second, second, second]),
        ((0.1, 1.0), [first, first, first, first]),
        ((4.0, 4.0), [neither, neither, neither, neither]),
        ((0.0, 0.0), [first, first, second, second]),
    ):
        np.testing.assert_array_equal(SINGLE.predicted(scores, thresholds), expected)
    # Given that there is a topic, none is impossible.
    forced = SINGLE.predicted(SINGLE.conditional(scores), (0.1, 1.0))
    np.testing.assert_array_equal(forced, [first] * 4)
    np.testing.assert_array_equal(SINGLE.candidates(scores, (0.1, 1.0)), forced)


def test_certainty_is_the_probability_of_the_predicted_topics() -> None:
    scores = np.array([[0.7, 0.1], [0.2, 0.2], [0.0, 0.0]])
    single, multi = SINGLE.predicted(scores, (1.0,)), MULTI.predicted(scores, (0.6, 0.2))
    np.testing.assert_allclose(SINGLE.certainty(scores, single), [0.7, 0.6, 1.0])
    np.testing.assert_allclose(MULTI.certainty(scores, multi), [0.63, 0.16, 1.0])
    # Each row can have its own thresholds.
    predicted = MULTI.predicted(scores, np.array([[0.6, 0.2], [0.1, 0.3], [0.0, 0.1]]))
    np.testing.assert_array_equal(predicted, [[True, False], [True, False], [True, False]])
    np.testing.assert_allclose(MULTI.certainty(scores, predicted), [0.63, 0.16, 0.0])


def test_in_mode_single_windows_are_averaged_by_their_length() -> None:
    # The odds of the topics against none are 9 and 1, 1 and 1; the third window has a topic.
    logits = np.log([[9, 1, 1], [1, 1, 1]])
    logits = np.vstack([logits, [np.log(0.2), np.log(0.8), -np.inf]])
    owner = np.array([0, 0, 1])
    scores = SINGLE.scores(SINGLE.combine_windows(logits, [30, 10, 7], owner, 2))
    # The expected odds are the geometric mean of 9 and 1; the first window is three times as long.
    odds = 9 ** (30 / 40)
    first = [odds / (odds + 2), 1 / (odds + 2)]
    np.testing.assert_allclose(scores, [first, [0.2, 0.8]])
    # Calibration of the windows gives the same as calibration of the text.
    shift = np.array([0.1, 0.2, 0.7])
    windows = logits / 3 + shift
    calibrated = SINGLE.scores(SINGLE.combine_windows(windows, [30, 10, 7], owner, 2))
    calibration = Calibration((1 / 3,), tuple(shift))
    np.testing.assert_allclose(calibrated, apply_calibration(scores, calibration, SINGLE))


def test_in_mode_multi_a_text_has_the_topics_of_any_window() -> None:
    logits = np.log(np.array([[9, 1 / 4], [1, 1]]))
    combined = MULTI.combine_windows(logits, [30, 10], np.array([0, 0]), 1)
    np.testing.assert_allclose(MULTI.scores(combined), [[0.9, 0.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("none", [40.0, 104.0, 800.0, 1e300])
def test_scores_of_texts_without_topic_are_numbers(none: float, dtype: type[np.floating]) -> None:
    probabilities = SINGLE.probabilities(np.array([[2.0, 0.0, none]]))
    stored = probabilities.astype(dtype).astype(np.float64)  # an ONNX model has float32
    scores = stored[:, :-1]
    shares = SINGLE.conditional(scores)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert none > 40 or shares[0, 0] > 0.8
    again = apply_calibration(scores, Calibration(), SINGLE)
    np.testing.assert_allclose(again, scores, rtol=1e-5, atol=1e-300)


def test_scores_contradict_a_label_in_each_mode() -> None:
    scores, targets = np.array([[0.6, 0.3], [0.6, 0.3]]), np.array([[True, False], [False, True]])
    doubt, contradicted = SINGLE.label_doubt(scores, targets, np.array([1.0, 1.0]))
    assert doubt.tolist() == [0.4, 0.7] and contradicted.tolist() == [False, True]
    # A score between the threshold and one half contradicts no label.
    doubt, contradicted = MULTI.label_doubt(scores, targets[::-1], np.array([0.7, 0.2]))
    assert doubt.tolist() == [0.7, 0.4] and contradicted.tolist() == [False, False]
    assert MULTI.label_doubt(scores, targets[::-1], np.array([0.5, 0.2]))[1].tolist() == [
        True,
        False,
    ]
