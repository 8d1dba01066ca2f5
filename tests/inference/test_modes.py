"""Both modes keep the properties that the rooms rely on, whatever the numbers are."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.inference.calibration import Calibration
from paratopic.inference.modes import Mode, Multi, Single, mode_of
from paratopic.inference.scores import Scores
from paratopic.training.calibration import apply_calibration

SINGLE, MULTI = mode_of("single"), mode_of("multi")
both_modes = pytest.mark.parametrize("mode", [SINGLE, MULTI], ids=lambda mode: mode.name)


def arrays(k: int, low: float, high: float) -> st.SearchStrategy[Scores]:
    """Arrays of up to five rows and k columns."""
    row = st.lists(st.floats(low, high, width=32), min_size=k, max_size=k)
    return st.lists(row, min_size=1, max_size=5).map(lambda rows: np.array(rows, dtype=np.float64))


# As many logits as the larger of the modes has for two to four topics.
LOGITS = st.integers(3, 5).flatmap(lambda n: arrays(n, -12, 12))
EXTREME_LOGITS = st.integers(3, 5).flatmap(lambda n: arrays(n, -1e4, 1e4))


# What a mode has to define.
MODE = {
    *("name", "answer_column", "n_logits", "probabilities", "scores", "complete", "logits"),
    *("centred", "sharpen", "combine_windows", "window_weights", "outcomes", "answers"),
    *("predicted", "best_guess", "certainty", "sure_from", "cell", "informative", "conditional"),
    *("losses", "likeliest_mistake", "doubt"),
}


def test_both_modes_define_the_same_and_no_more() -> None:
    for mode in (Single, Multi):
        assert {name for name in vars(mode) if not name.startswith("_")} == MODE
    for name in MODE - {"name", "answer_column"}:
        assert signature(getattr(Single, name)) == signature(getattr(Multi, name))


@both_modes
@given(logits=LOGITS)
def test_logits_invert_probabilities(mode: Mode, logits: Scores) -> None:
    probabilities = mode.probabilities(logits)
    recovered = mode.logits(probabilities)
    np.testing.assert_allclose(mode.probabilities(recovered), probabilities, rtol=1e-6)
    if mode is SINGLE:  # softmax leaves the level of the topics' logits open
        logits, recovered = (
            np.column_stack([x[:, :-1] - x[:, :1], x[:, -1]]) for x in (logits, recovered)
        )
    np.testing.assert_allclose(recovered, logits, atol=1e-6)


@both_modes
@given(logits=LOGITS)
def test_scores_are_the_topics_probabilities_which_complete_takes_them_for(
    mode: Mode, logits: Scores
) -> None:
    probabilities, scores = mode.probabilities(logits), mode.scores(logits)
    k = scores.shape[1]
    assert probabilities.shape[1] == mode.n_logits(k)
    complete = mode.complete(scores)
    np.testing.assert_allclose(complete, probabilities, atol=1e-12)
    np.testing.assert_array_equal(complete[:, :k], scores)


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
def test_predicted_topics_are_answers_that_reach_the_threshold_or_in_mode_single_a_half(
    mode: Mode, logits: Scores, threshold: float
) -> None:
    scores = mode.scores(logits)
    answers, predicted = mode.answers(scores), mode.predicted(scores, [threshold])
    assert not (predicted & ~answers).any()
    lowest = 0.5 if mode is SINGLE else threshold
    np.testing.assert_array_equal(predicted, answers & (scores >= lowest))
    if mode is MULTI:
        np.testing.assert_array_equal(mode.predicted(scores, [0.0]), answers)
    assert not (predicted & ~mode.best_guess(scores, np.array([threshold]))).any()
    if mode is SINGLE:
        assert (answers.sum(axis=1) == 1).all()


def test_in_mode_single_a_topic_is_predicted_where_it_is_more_likely_right_than_wrong() -> None:
    scores = np.array([[0.5, 0.5, 0.0], [0.2, 0.5, 0.0], [0.49, 0.31, 0.2], [0.3, 0.1, 0.1]])
    expected = [[True, False, False], [False, True, False], [False] * 3, [False] * 3]
    for thresholds in ([0.0], [0.9], [2.0], ()):
        np.testing.assert_array_equal(SINGLE.predicted(scores, thresholds), expected)


def test_an_answer_is_right_as_often_as_its_topics_say() -> None:
    scores = np.array([[0.7, 0.1], [0.2, 0.2], [0.0, 0.0]])
    single, multi = SINGLE.predicted(scores, (0.0,)), MULTI.predicted(scores, (0.6, 0.2))
    np.testing.assert_allclose(SINGLE.certainty(scores, single), [0.7, 0.6, 1.0])
    np.testing.assert_allclose(MULTI.certainty(scores, multi), [0.63, 0.16, 1.0])
    # Each row has thresholds of its own.
    of_rows = MULTI.predicted(scores, np.array([[0.6, 0.2], [0.1, 0.3], [0.0, 0.1]]))
    np.testing.assert_array_equal(of_rows, [[True, False], [True, False], [True, False]])
    np.testing.assert_allclose(MULTI.certainty(scores, of_rows), [0.63, 0.16, 0.0])


def test_predictions_are_sure_from_the_threshold_on_and_never_in_mode_multi() -> None:
    assert SINGLE.sure_from((0.7,)) == 0.7
    assert MULTI.sure_from((0.0, 0.0)) > 1


@both_modes
@given(logits=LOGITS)
def test_doubt_is_a_share(mode: Mode, logits: Scores) -> None:
    doubt = mode.doubt(mode.scores(logits))
    assert doubt.shape == (len(logits),)
    assert (doubt >= -1e-12).all() and (doubt <= 1 + 1e-12).all()


@both_modes
@given(logits=LOGITS)
def test_a_lone_window_is_its_text(mode: Mode, logits: Scores) -> None:
    n = len(logits)
    combined = mode.combine_windows(logits, [7] * n, np.arange(n), n)
    np.testing.assert_allclose(combined, logits)


def test_in_mode_single_windows_are_averaged_by_their_length() -> None:
    topics = np.log([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    # The odds of having any topic: 4 to 1 and 1 to 1; the third window certainly has one.
    logits = np.column_stack([topics, [np.log(4), 0, np.inf]])
    owner = np.array([0, 0, 1])
    scores = SINGLE.scores(SINGLE.combine_windows(logits, [30, 10, 7], owner, 2))
    # The geometric mean of odds of 9 and 1, and of 4 and 1, the first three times as long.
    odds, any_topic = 9 ** (30 / 40), 4 ** (30 / 40) / (1 + 4 ** (30 / 40))
    first = [any_topic * odds / (1 + odds), any_topic / (1 + odds)]
    np.testing.assert_allclose(scores, [first, [0.2, 0.8]])
    # Calibrating the windows is calibrating the text.
    tempered = SINGLE.scores(SINGLE.combine_windows(logits / [3, 3, 2], [30, 10, 7], owner, 2))
    calibration = Calibration((1 / 3, 1 / 3, 1 / 2))
    np.testing.assert_allclose(tempered, apply_calibration(scores, calibration, SINGLE))


def test_in_mode_multi_a_text_has_the_topics_of_any_window() -> None:
    logits = np.log(np.array([[9, 1 / 4], [1, 1]]))
    combined = MULTI.combine_windows(logits, [30, 10], np.array([0, 0]), 1)
    np.testing.assert_allclose(MULTI.scores(combined), [[0.9, 0.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("any_topic", [-40.0, -104.0, -800.0, -np.inf])
def test_scores_of_a_text_that_surely_has_no_topic_are_numbers(
    any_topic: float, dtype: type[np.floating]
) -> None:
    probabilities = SINGLE.probabilities(np.array([[2.0, 0.0, any_topic]]))
    stored = probabilities.astype(dtype).astype(np.float64)  # as an ONNX model gives them
    scores = stored[:, :-1]
    shares = SINGLE.conditional(scores)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert any_topic < -40 or shares[0, 0] > 0.8
    again = apply_calibration(scores, Calibration(), SINGLE)
    np.testing.assert_allclose(again, scores, rtol=1e-5, atol=1e-300)
