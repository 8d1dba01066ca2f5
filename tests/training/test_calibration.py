"""Scales, shifts and thresholds, the calibration of out-of-fold scores, and sure predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, softmax
from sklearn import metrics as sk

from paratopic.corpus.labelled import Labelled
from paratopic.inference.modes import NEVER, Calibration, Scores, Targets, mode_of, one_hot
from paratopic.project.params import SURE_SHARES, Calibrate
from paratopic.project.topics import ModeName, Topic, Topics
from paratopic.training.calibration import (
    SCALE_SPREAD,
    KnownScores,
    apply_calibration,
    calibrate_rows,
    calibrated,
    f1_threshold,
    fit_calibration,
    fit_scale_and_shift,
    fit_scale_and_shifts,
    probability_below,
    sure_threshold,
    with_expected_thresholds,
)

NAMES = ("a", "b", "c")
TOPICS = Topics("single", NAMES)
DESCRIBED = Topics("single", tuple(Topic(name, f"About {name}.") for name in NAMES))
PROMISE = Calibrate(0.9, 0.95)
SINGLE, MULTI = mode_of("single"), mode_of("multi")


def drawn(n: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers drawn from probabilities, and these probabilities at a temperature."""
    rng = np.random.default_rng(seed)
    honest = softmax(rng.normal(scale=2, size=(n, 3)), axis=1)
    true = np.array([rng.choice(3, p=p) for p in honest])
    return true, softmax(np.log(honest) * temperature, axis=1)


def known(targets: Targets, scores: Scores, weight: float = 1.0) -> KnownScores:
    return KnownScores(targets, scores, np.full(len(targets), weight))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_overconfident_scores_is_recovered(temperature: float) -> None:
    true, scores = drawn(4000, temperature)
    calibration = fit_calibration(known(one_hot(true, 3), scores), SINGLE)
    assert calibration.scale == pytest.approx((1 / temperature,), rel=0.1)


def test_a_head_of_balanced_outcomes_gets_the_shares_that_they_have() -> None:
    """Scores for equal shares, of rows of which 90 % have none of the topics."""
    rng = np.random.default_rng(2)
    share = np.array([0.05, 0.03, 0.02, 0.9])
    true = rng.choice(4, p=share, size=20_000)
    logits = rng.normal(size=(20_000, 4)) + 2 * np.eye(4)[true]
    scores = softmax(2 * logits, axis=1)[:, :3]  # honest for outcomes of equal shares
    truth = known(one_hot(np.where(true == 3, -1, true), 3), scores)
    calibration = fit_calibration(truth, SINGLE)
    assert calibration.scale == pytest.approx((1,), rel=0.05)
    shift = np.array(calibration.shift) - calibration.shift[-1]
    np.testing.assert_allclose(shift, np.log(share / share[-1]), atol=0.2)
    np.testing.assert_allclose(calibration.thresholds, np.exp(shift[:3]))
    honest = apply_calibration(scores, calibration, SINGLE)
    np.testing.assert_allclose(honest.mean(axis=0), truth.targets.mean(axis=0), atol=1e-4)
    # The predicted outcome is the most probable one if all outcomes are equally frequent.
    predicted = SINGLE.predicted(honest, calibration.thresholds)
    np.testing.assert_array_equal(predicted, SINGLE.predicted(scores, (1.0,)))


def test_caution_changes_no_probability_and_names_fewer_topics() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(-1, 3, size=200)
    scores = SINGLE.scores(rng.normal(size=(200, 4)) + 2 * np.eye(4)[true])
    usual = fit_calibration(known(one_hot(true, 3), scores), SINGLE)
    strict = fit_calibration(known(one_hot(true, 3), scores), SINGLE, 4.0)
    assert strict.scale == usual.scale and strict.shift == usual.shift
    usual_topic = SINGLE.predicted(scores, usual.thresholds).any(axis=1)
    strict_topic = SINGLE.predicted(scores, strict.thresholds).any(axis=1)
    assert strict_topic.sum() < usual_topic.sum() and not (strict_topic & ~usual_topic).any()


def test_few_paragraphs_without_a_mistake_do_not_give_certainty() -> None:
    true = np.arange(10) % 2
    scores = np.where(one_hot(true, 3), 0.8, 0.1)
    calibration = fit_calibration(known(one_hot(true, 3), scores), SINGLE)
    calibrated = apply_calibration(scores, calibration, SINGLE)
    assert 0.85 < calibrated[0, 0] < 0.995
    # A topic that no row has is as frequent as the rarest that some have.
    assert calibration.shift[2] == pytest.approx(min(calibration.shift[:2]), abs=1e-4)
    nothing = fit_calibration(known(one_hot(np.zeros(0, dtype=np.int64), 3), scores[:0]), SINGLE)
    assert nothing == Calibration((1.0,), (0.0,) * 4, (1.0,) * 3)


def test_a_scale_and_shifts_equal_the_values_by_hand() -> None:
    # Ten rows of log odds 1 without a mistake, five of each outcome: shifts are 0. With a scale b
    # the loss is 10 log(1 + e^-b) + log(b)² / (2 · .5²), smallest where 10 b / (1 + e^b) =
    # log(b) / .25.
    first = np.arange(10) < 5
    outcomes = np.column_stack([first, ~first])
    logits = np.where(outcomes, 0.5, -0.5)
    b = brentq(lambda b: 10 * b / (1 + np.exp(b)) - np.log(b) / 0.25, 1, 9)
    scale, shifts = fit_scale_and_shifts(logits, outcomes, np.ones(10))
    assert scale == pytest.approx(b, rel=1e-4)
    np.testing.assert_allclose(shifts, 0, atol=1e-5)
    # Rows of no weight leave the prior, and rows of half the weight are half the evidence.
    assert fit_scale_and_shifts(logits, outcomes, np.zeros(10))[0] == pytest.approx(1, rel=1e-4)
    half = fit_scale_and_shifts(logits, outcomes, np.full(10, 0.5))
    fewer = fit_scale_and_shifts(logits[::2], outcomes[::2], np.ones(5))
    lighter = fit_scale_and_shifts(logits[[0, 5]], outcomes[[0, 5]], np.full(2, 2.5))
    assert half[0] == pytest.approx(lighter[0], rel=1e-4) and fewer[0] < scale
    # If logits are not informative, the shares decide: 1 of 10, which the prior shrinks to half.
    flat = np.zeros((10, 2))
    one = np.column_stack([np.arange(10) < 1, np.arange(10) >= 1])
    scale, (first_shift, second) = fit_scale_and_shifts(flat, one, np.ones(10))
    assert scale == pytest.approx(1, rel=1e-4) and first_shift == pytest.approx(-second, rel=1e-3)
    assert 0.1 < 1 / (1 + np.exp(second - first_shift)) < 0.13


def test_a_calibration_by_hand() -> None:
    scores = np.array([[0.72, 0.08], [0.5, 0.5]])
    # Odds of 9 between the topics become 3, of 3.6 and .4 against none twice their roots.
    shifted = apply_calibration(scores, Calibration((0.5,), (0, 0, -np.log(2))), SINGLE)
    weights = np.array([0.72**0.5, 0.08**0.5, 0.2**0.5 / 2])
    np.testing.assert_allclose(shifted, [(weights / weights.sum())[:2], [0.5, 0.5]])
    np.testing.assert_allclose(apply_calibration(scores, Calibration(), SINGLE), scores)


def calibrate(
    true: np.ndarray,
    frame: pd.DataFrame,
    evaluated: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    topics: Topics = TOPICS,
    promise: Calibrate = PROMISE,
) -> tuple[pd.DataFrame, Calibration]:
    """Calibrate rows, each of a group and an article of its own unless groups are given."""
    if groups is None:
        groups = pd.factorize(frame["id"])[0]
    rows = pd.DataFrame({"id": frame["id"], "group": groups, "article": groups})
    rows["label_source"] = np.where(True if evaluated is None else evaluated, "hand", "weak")
    rows["topic"] = [NAMES[number : number + 1] if number >= 0 else () for number in true]
    rows = rows.drop_duplicates("id")
    data = Labelled(rows, topics, rows[["id", "group"]])
    return calibrate_rows(data, frame, promise)[:2]


def table(n: int) -> tuple[np.ndarray, pd.DataFrame]:
    true, scores = drawn(n, 3.0)
    frame = pd.DataFrame({"id": [f"p{row}" for row in range(n)], "repeat": 0})
    frame["fold"] = np.arange(n) % 4
    frame[TOPICS.score_columns] = scores
    return true, frame


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_a_fold_is_calibrated_by_the_other_folds_only(mode: ModeName) -> None:
    true, frame = table(200)
    topics = Topics(mode, NAMES)
    before, _ = calibrate(true, frame, topics=topics)
    # Changed labels in fold 0 change the other folds' calibration, not that of fold 0.
    changed = np.where(frame["fold"] == 0, (true + 1) % 3, true)
    after, _ = calibrate(changed, frame, topics=topics)
    own = (frame["fold"] == 0).to_numpy()
    columns = [*topics.score_columns, *topics.threshold_columns]
    pd.testing.assert_frame_equal(before.loc[own, columns], after.loc[own, columns])
    scores = [table.loc[~own, TOPICS.score_columns] for table in (before, after)]
    assert (scores[0] != scores[1]).all(axis=None)
    thresholds = [table.loc[~own, topics.threshold_columns] for table in (before, after)]
    assert (thresholds[0] != thresholds[1]).all(axis=None)


def test_calibration_ignores_rows_not_evaluated() -> None:
    true, frame = table(400)
    known, expected = calibrate(true[:200], frame[:200])
    scores, calibration = calibrate(true, frame, np.arange(400) < 200)
    assert calibration == expected
    np.testing.assert_allclose(
        scores[TOPICS.score_columns][:200], known[TOPICS.score_columns], rtol=1e-6
    )
    # Their articles do not count either if topics are described.
    with_some, lower = np.where(np.arange(400) % 5 == 0, -1, true), frame.copy()
    lower[TOPICS.score_columns] *= 0.9
    described = calibrate(with_some[:200], lower[:200], topics=DESCRIBED)[1]
    assert calibrate(with_some, lower, np.arange(400) < 200, topics=DESCRIBED)[1] == described
    # Rows without a topic make sure predictions rarer.
    none = np.where(np.arange(400) < 200, true, -1)
    frame[TOPICS.score_columns] *= 0.9
    promise = Calibrate(0.5, 0.95)
    assert calibrate(true, frame, promise=promise)[1].sure < NEVER
    assert calibrate(none, frame, promise=promise)[1].sure == NEVER


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_equal_repeats_change_nothing(mode: ModeName) -> None:
    true, frame = table(40)
    true = np.where(np.arange(40) % 5 == 0, -1, true)
    frame[TOPICS.score_columns] *= 0.9
    topics = Topics(mode, DESCRIBED.codebook)
    expected, calibration = calibrate(true, frame, topics=topics)
    repeats = pd.concat([frame.assign(repeat=n) for n in range(3)], ignore_index=True)
    scores, repeated = calibrate(np.tile(true, 3), repeats, topics=topics)
    columns = [*topics.score_columns, *topics.threshold_columns]
    for n in range(3):
        part = scores.loc[scores["repeat"] == n, columns]
        np.testing.assert_allclose(part, expected[columns], rtol=1e-5)
    np.testing.assert_allclose(repeated.scale, calibration.scale, rtol=1e-4)


def test_a_single_fold_is_calibrated_in_halves_that_divide_no_group() -> None:
    true, frame = table(200)
    frame = frame.assign(fold=0)
    groups = np.arange(200) // 3
    before, _ = calibrate(true, frame, groups=groups)
    changed, _ = calibrate(np.where(groups == 0, (true + 1) % 3, true), frame, groups=groups)
    other_half = (
        (before[TOPICS.score_columns] != changed[TOPICS.score_columns]).any(axis=1).to_numpy()
    )
    np.testing.assert_array_equal(other_half, groups % 2 == 1)
    nothing = Calibration((1.0,), (0.0,) * 4, (1.0,) * 3)
    assert nothing.sure == NEVER
    assert calibrate(true[:0], frame[:0])[1] == nothing


def test_a_calibration_contains_the_shares_of_its_labels() -> None:
    true, frame = table(300)
    calibration = calibrate(true, frame)[1]
    topics = np.bincount(true, minlength=3) / 300
    np.testing.assert_allclose(calibration.shares, [*topics, 0.0])


def test_the_threshold_of_sure_predictions_is_that_of_mean_scores_of_repeats() -> None:
    """Each paragraph counts as one prediction, and groups are those of the folds."""
    frame = table(300)[1]
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.4, 1, size=300)
    true = np.where(rng.uniform(size=300) < confidence**0.2, 0, 1)
    swing = 0.02 * rng.uniform(-1, 1, size=300)
    repeats = []
    for number, sign in enumerate((1, -1)):
        top = np.clip(confidence + sign * swing, 0.4, 0.999)
        scores = dict(zip(TOPICS.score_columns, (top, (1 - top) / 2, (1 - top) / 2), strict=True))
        repeats.append(frame.assign(repeat=number, **scores))
    groups = np.arange(300) // 2
    frame = pd.concat(repeats, ignore_index=True)
    _, calibration = calibrate(np.tile(true, 2), frame, groups=np.tile(groups, 2))
    final = [
        apply_calibration(part[TOPICS.score_columns].to_numpy(), calibration, mode_of("single"))
        for part in repeats
    ]
    mean = (final[0] + final[1]) / 2
    predicted = SINGLE.predicted(mean, calibration.thresholds)
    right = predicted.argmax(axis=1) == true
    expected = sure_threshold(mean[predicted], right, groups, PROMISE)
    assert calibration.sure == pytest.approx(expected)
    assert 0.5 <= expected < 1


def test_topics_that_no_label_calibrates_are_each_predicted_for_their_share_of_rows() -> None:
    frame = table(60)[1]
    frame[TOPICS.score_columns] = frame[TOPICS.score_columns] ** [0.1, 1, 10]  # of any level
    extended = with_expected_thresholds(frame, Topics("multi", NAMES))
    pd.testing.assert_frame_equal(extended[list(frame)], frame)
    thresholds = extended[TOPICS.threshold_columns].to_numpy()
    predicted = frame[TOPICS.score_columns].to_numpy() >= thresholds
    np.testing.assert_array_equal(predicted.sum(axis=0), 20)


@pytest.mark.filterwarnings("error::pandas.errors.PerformanceWarning")
def test_hundreds_of_topics_get_columns_at_once() -> None:
    topics = Topics("multi", tuple(f"t{n}" for n in range(300)))
    frame = pd.DataFrame(np.full((2, 300), 0.5), columns=topics.score_columns).assign(id=["a", "b"])
    extended = with_expected_thresholds(frame, topics)
    assert list(extended) == [*frame, *topics.threshold_columns]
    unchanged = calibrated(extended, Calibration(thresholds=(0.5,)), topics)
    pd.testing.assert_frame_equal(unchanged, extended)


def test_the_scale_has_a_prior_and_the_shift_has_none() -> None:
    ones = np.ones(10)
    truth = np.arange(10) < 5
    logits = np.log(4) * np.where(truth, 1.0, -1.0)  # odds of 4 without a mistake
    b = brentq(lambda b: 10 * np.log(4) * b / (1 + 4**b) - np.log(b) / SCALE_SPREAD**2, 1, 9)
    expected = pytest.approx([b, 0], rel=1e-4, abs=1e-4)
    assert list(fit_scale_and_shift(logits, truth, ones)) == expected
    # Logits without information leave the scale, and the share of few rows decides the shift.
    nothing = fit_scale_and_shift(np.zeros(10), np.arange(10) < 1, ones)
    assert list(nothing) == pytest.approx([1, np.log(1 / 9)], rel=1e-4)
    # A topic whose scores are worse than chance keeps its order, and its share.
    scale, shift = fit_scale_and_shift(-logits, truth, ones)
    assert 0 < scale < 0.5 and shift == pytest.approx(0, abs=1e-4)


def test_paragraphs_without_a_label_are_calibrated_like_those_of_their_fold() -> None:
    true, frame = table(120)
    others = frame.assign(id="new " + frame["id"])
    rows = pd.DataFrame({"id": frame["id"], "group": range(120), "article": range(120)})
    rows["label_source"] = "hand"
    rows["topic"] = [NAMES[number : number + 1] for number in true]
    data = Labelled(rows, TOPICS, rows[["id", "group"]])
    scores, _, unlabelled = calibrate_rows(data, frame, PROMISE, others)
    pd.testing.assert_frame_equal(unlabelled[TOPICS.score_columns], scores[TOPICS.score_columns])
    assert not np.allclose(unlabelled[TOPICS.score_columns], frame[TOPICS.score_columns])


def test_scale_shift_and_thresholds_of_each_topic_are_recovered() -> None:
    rng = np.random.default_rng(4)
    honest = rng.normal(size=(4000, 3)) * 2 - 1
    true = rng.random((4000, 3)) < expit(honest)
    scale, shift = np.array([2.0, 0.5, 1.0]), np.array([0.0, 1.0, -2.0])
    raw = expit((honest - shift) / scale)
    calibration = fit_calibration(known(true, raw), MULTI)
    np.testing.assert_allclose(calibration.scale, scale, rtol=0.1)
    np.testing.assert_allclose(calibration.shift, shift, atol=0.15)
    calibrated_scores = apply_calibration(raw, calibration, MULTI)
    for topic in range(3):
        thresholds = [*np.arange(0.1, 0.8, 0.02), calibration.thresholds[topic]]
        predictions = [calibrated_scores[:, topic] >= threshold for threshold in thresholds]
        f1s = [sk.f1_score(true[:, topic], predicted) for predicted in predictions]
        assert f1s[-1] > max(f1s[:-1]) - 0.01


def test_thresholds_by_hand() -> None:
    # Expected F1 of the first: 2·.9 / (1 + 2) = .6, of two: 2·1.7 / (2 + 2) = .85, of all 4 / 5.
    assert f1_threshold(np.array([0.3, 0.9, 0.8])) == pytest.approx(0.425)
    # A topic without examples is not calibrated, and its threshold is a half.
    true = np.array([[True, False], [False, False]] * 5)
    calibration = fit_calibration(known(true, np.full((10, 2), 0.3)), MULTI)
    assert (calibration.scale[1], calibration.shift[1], calibration.thresholds[1]) == (1, 0, 0.5)


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
    # The 120 most confident of 200 predictions are right, and every second of the others.
    confidence = np.linspace(0.99, 0.5, 200)
    right = (np.arange(200) < 120) | (np.arange(200) % 2 == 0)
    kept = []
    for share in SURE_SHARES:
        n = round(share * 200)
        hits = int(right[:n].sum())
        # The bound reaches .9 if so many hits or more have at most the risk at a precision of .9.
        if stats.binom(n, 0.9).sf(hits - 1) <= 0.01:
            kept.append(n)
    # 140 of 160 are right: 88 %. All of 120 are.
    assert kept == [120, 80]
    assert sure_threshold(confidence, right, np.arange(200), PROMISE) == confidence[119]


def test_ties_are_sure_together() -> None:
    # The most confident fifth ends in the middle of ties, half of which are wrong.
    confidence = np.array([0.9] * 100 + [0.6] * 150)
    right = np.concatenate([np.arange(100) < 50, np.zeros(150, dtype=bool)])
    groups = np.arange(250)
    assert right[: 250 // 5].all()
    assert sure_threshold(confidence, right, groups, PROMISE) == NEVER
    assert sure_threshold(confidence, confidence == 0.9, groups, PROMISE) == 0.9
    assert sure_threshold(np.full(44, 0.7), right[:44], groups[:44], PROMISE) == 0.7


def test_a_group_counts_once() -> None:
    # 43 groups are too few, even if they are large.
    groups = np.repeat(np.arange(43), 20)
    confidence, right = np.full(860, 0.8), np.ones(860, dtype=bool)
    assert sure_threshold(confidence, right, groups, PROMISE) == NEVER
    assert sure_threshold(confidence, right, np.arange(860) % 44, PROMISE) == 0.8
    # A wrong large group costs as much as a wrong single prediction. The risk at a precision of .9
    # is small enough if 66 of 67 groups are right (.1^0 · .9^67 + 67 · .1 · .9^66 = .0073) or 65 of
    # 66 (.0080), and too large if 62 of 63 are (.0105).
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
    # Equal groups are more evidence than 100 groups that are entirely right or entirely wrong.
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
    assert promised > 100  # the bound is not too cautious to be of use
