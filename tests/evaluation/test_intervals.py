"""Intervals and the paired test on cases whose result is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from paratopic.evaluation.intervals import (
    DESIGN_EFFECT,
    LEARNING_EXPONENT,
    LEAST_FOR_ECE,
    PRIOR_ARTICLES,
    difference,
    estimates,
    measure,
    proportion_estimates,
    with_all_labels,
)
from paratopic.evaluation.metrics import (
    MetricKey,
    Tally,
    effective_n_rows,
    prediction_proportions,
    sample_value,
    train_share_of_topics,
)
from paratopic.evaluation.outcomes import (
    FEW_LABELS,
    FEW_TOPIC_LABELS,
    Outcomes,
    cautions,
    outcomes,
    prediction_outcomes,
    train_shares,
)
from paratopic.inference.modes import mode_of, one_hot
from paratopic.project.metric_names import metrics_in
from paratopic.project.topics import ModeName, Topics
from tests.samples import bounds, held_out, single_outcomes


def made(
    true: list[int], predicted: list[list[int]], k: int, groups: list[int] | None = None
) -> Outcomes:
    """Outcomes with scores of 0.8 for the predicted topic."""
    scores = np.full((len(predicted), len(true), k), 0.2 / (k - 1))
    for repeat, row in enumerate(predicted):
        scores[repeat, np.arange(len(true)), row] = 0.8
    numbers = np.arange(len(true)) if groups is None else np.array(groups)
    return single_outcomes(np.array(true), numbers, scores)


def t_quantile(n_groups: int) -> float:
    """Quantile of t for 95 % intervals, with the degrees of freedom of n groups."""
    return float(stats.t(n_groups + PRIOR_ARTICLES - 1).ppf(0.975))


@pytest.mark.parametrize("hits", [48, 40, 24])
def test_accuracy_has_jeffreys_interval(hits: int) -> None:
    # The expected values are the Beta(x + 1/2, n - x + 1/2) quantiles of Brown, Cai & DasGupta
    # (2001) for x hits in n tests, with a smaller n for cross-validation and for t quantiles.
    true = [0, 1] * 24
    predicted = [t if i < hits else 1 - t for i, t in enumerate(true)]
    estimate = estimates(made(true, [predicted], 2), 0.95, 20000, 1)["accuracy"]
    n = 48 / DESIGN_EFFECT * (stats.norm.ppf(0.975) / t_quantile(48)) ** 2
    expected = stats.beta(hits / 48 * n + 0.5, (1 - hits / 48) * n + 0.5).ppf([0.025, 0.975])
    low, high = bounds(estimate)
    assert estimate.value == pytest.approx(hits / 48)
    assert low == pytest.approx(expected[0], abs=0.01)
    assert high == pytest.approx(1 if hits == 48 else expected[1], abs=0.01)


def test_a_model_without_mistakes_has_an_interval() -> None:
    outcome = made([0, 1] * 5, [[0, 1] * 5], 2)
    macro_f1 = estimates(outcome, 0.95, 4000, 1)["macro_f1"]
    low, high = bounds(macro_f1)
    assert macro_f1.value == high == 1 and low < 0.9
    sure = replace(outcome, scores=outcome.true[None].astype(np.float64))
    measured = estimates(sure, 0.95, 500, 1)
    for metric in ("log_loss", "brier"):
        low, high = bounds(measured[metric])
        assert measured[metric].value == low == 0 and high > 0.1


@pytest.mark.parametrize("n_mistakes", range(0, 24, 3))
def test_figures_stay_possible_and_in_their_intervals(n_mistakes: int) -> None:
    true = [0, 0, 1] * 8
    predicted = [1 - t if i < n_mistakes else t for i, t in enumerate(true)]
    for metric, estimate in estimates(made(true, [predicted], 2), 0.95, 500, 1).items():
        low, high = bounds(estimate)
        assert 0 <= low <= estimate.value <= high, metric
        assert metric in ("log_loss", "brier") or high <= 1, metric


def test_the_final_model_may_be_better_than_those_of_the_folds() -> None:
    outcome = made([0, 1] * 20, [[0, 1] * 14 + [1, 0] * 6], 2)
    _, high = bounds(estimates(outcome, 0.95, 500, 1)["macro_f1"])
    half_trained = estimates(replace(outcome, train_share=0.5), 0.95, 500, 1)["macro_f1"]
    assert half_trained.value == pytest.approx(0.7)
    assert bounds(half_trained)[1] > high
    assert with_all_labels(0.7, 0.5) == pytest.approx(1 - 0.3 * 0.5**LEARNING_EXPONENT)


def test_calibration_error_is_measured_where_rows_are_many() -> None:
    half = LEAST_FOR_ECE // 2
    assert "ece" not in estimates(made([0, 1] * (half - 1), [[0, 1] * (half - 1)], 2), 0.95, 500, 1)
    error = estimates(made([0, 1] * half, [[0, 1] * half], 2), 0.95, 500, 1)["ece"]
    assert (error.low, error.high) == (None, None)
    assert error.value == pytest.approx(0.2)


def test_repeats_are_no_further_evidence_and_groups_widen_the_interval() -> None:
    true, predicted = [0, 1] * 20, [0, 1] * 12 + [1, 0] * 8
    once = estimates(made(true, [predicted], 2), 0.95, 4000, 1)
    thrice = estimates(made(true, [predicted] * 3, 2), 0.95, 4000, 1)
    for metric in ("macro_f1", "log_loss"):
        assert bounds(thrice[metric]) == pytest.approx(bounds(once[metric]))
    groups = [i // 8 for i in range(40)]
    grouped = estimates(made(true, [predicted], 2, groups), 0.95, 4000, 1)["accuracy"]
    assert np.diff(bounds(grouped)) > 1.5 * np.diff(bounds(once["accuracy"]))


def test_an_unused_topic_of_the_codebook_changes_nothing() -> None:
    true, predicted = [0, 1] * 10, [0, 1] * 7 + [1, 0] * 3
    two = made(true, [predicted], 2)
    wider = np.pad(two.scores, ((0, 0), (0, 0), (0, 1)))
    three = single_outcomes(np.array(true), two.groups, wider)
    for metric in ("macro_f1", "accuracy", "log_loss"):
        expected = estimates(two, 0.95, 20000, 1)[metric]
        estimate = estimates(three, 0.95, 20000, 1)[metric]
        assert estimate.value == pytest.approx(expected.value)
        assert bounds(estimate) == pytest.approx(bounds(expected), abs=0.01)


def test_a_topic_of_two_paragraphs_has_a_wide_interval_among_many_others() -> None:
    true = [0] * 40 + [1] * 40 + [2] * 2
    outcome = made(true, [true], 3)
    estimate = measure(outcome, outcome, 0.95, 4000, 1)
    # The expected value is that of Beta(x + 1/2, 1/2) for x hits in x tests, with a smaller x.
    low = stats.beta(2 / DESIGN_EFFECT + 0.5, 0.5).ppf(0.025)
    assert bounds(estimate["recall", 2])[0] == pytest.approx(low, abs=0.05)
    assert bounds(estimate["recall", 0])[0] > 0.85
    assert bounds(estimate["accuracy"])[0] > 0.9


def opposed(n: int, right: int, groups: list[int] | None = None) -> tuple[Outcomes, Outcomes]:
    """Two models on n paragraphs of two topics: one is right where the other is wrong."""
    true = [t % 2 for t in range(n)]
    predicted = true[:right] + [1 - t for t in true[right:]]
    other = [1 - t for t in predicted]
    return made(true, [predicted], 2, groups), made(true, [other], 2, groups)


def test_a_lead_has_the_noise_of_swaps() -> None:
    # One model is right on 60 of 100 paragraphs, and its macro-F1 is about its accuracy. A swap
    # reverses the sign of a paragraph's share of the lead. The standard deviation is √100 / 100, as
    # that of coin throws, because the models differ in every paragraph.
    one, other = opposed(100, 60)
    noise = np.sqrt(DESIGN_EFFECT) * 0.1 * t_quantile(100) / stats.norm.ppf(0.975)
    result = difference(one, other, 0.95, 20000, 1)
    assert result.value == pytest.approx(0.2)
    assert result.p == pytest.approx(2 * stats.norm.sf(0.2 / noise), abs=0.01)
    assert result.high - result.value == pytest.approx(1.96 * noise, abs=0.01)


def test_groups_are_swapped_as_a_unit_and_a_model_does_not_differ_from_itself() -> None:
    ungrouped = difference(*opposed(60, 45, None), 0.95, 4000, 1)
    grouped = difference(*opposed(60, 45, [i // 6 for i in range(60)]), 0.95, 4000, 1)
    assert grouped.high - grouped.low > 1.5 * (ungrouped.high - ungrouped.low)
    assert grouped.p > 0.05 > ungrouped.p
    one = made([0, 1] * 10, [[0, 1] * 7 + [1, 0] * 3], 2)
    result = difference(one, one, 0.95, 1000, 1)
    assert (result.value, result.p) == (0, 1)
    # With twenty paragraphs the interval is not a point.
    assert -0.3 < result.low < 0 < result.high < 0.3


@pytest.mark.parametrize("right", range(10, 31, 2))
def test_the_interval_excludes_zero_where_p_is_significant(right: int) -> None:
    result = difference(*opposed(20, right // 2, None), 0.95, 4000, 1)
    assert (result.p < 0.05) == (not result.low <= 0 <= result.high)
    assert -1 <= result.low <= result.value <= result.high <= 1


def test_more_labels_may_change_a_difference() -> None:
    one, other = opposed(200, 120)
    narrow = difference(one, other, 0.95, 4000, 1)
    half_one, half_other = replace(one, train_share=0.5), replace(other, train_share=0.5)
    wide = difference(half_one, half_other, 0.95, 4000, 1)
    assert wide.high > narrow.high and wide.low < narrow.low


def xy_outcomes(labels: list[list[str]], scores: list[list[float]]) -> Outcomes:
    return prediction_outcomes(*held_out(Topics("single", ("x", "y")), labels, scores))


def test_predictions_include_none_by_hand() -> None:
    # The model is right in x and in none; it is wrong in y for none, and in none for y.
    outcome = xy_outcomes([["x"], [], [], ["y"]], [[0.6, 0.1], [0.1, 0.1], [0.2, 0.7], [0.1, 0.4]])
    measured = proportion_estimates(outcome, prediction_proportions(outcome), 0.95, 500, 1)
    assert outcome.true.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 0]]
    assert measured["answer_accuracy"].value == 0.5
    assert measured["answer_macro_f1"].value == pytest.approx((1 + 0 + 0.5) / 3)
    assert [measured["f1", topic].value for topic in range(3)] == [1, 0, 0.5]
    assert measured["coverage"].value == measured["precision"].value == 0.5
    # The model predicts x and misses y.
    assert measured["recall"].value == 0.5
    assert outcome.train_share == 0.75
    # Without a predicted topic there is no precision.
    outcome = xy_outcomes([["x"], []], [[0.3, 0.1], [0.1, 0.1]])
    measured = proportion_estimates(outcome, prediction_proportions(outcome), 0.95, 500, 1)
    assert "precision" not in measured
    assert measured["coverage"].value == measured["recall"].value == 0


def test_recall_is_of_the_paragraphs_that_have_a_topic() -> None:
    # Two of four with a topic get it, one gets another topic and one none. Both others get a topic.
    labels: list[list[str]] = [["x"], ["x"], ["x"], ["y"], [], []]
    x, y, none = [0.8, 0.1], [0.1, 0.8], [0.1, 0.1]
    outcome = xy_outcomes(labels, [x, y, none, y, x, x])
    measured = proportion_estimates(outcome, prediction_proportions(outcome), 0.95, 500, 1)
    assert measured["recall"].value == pytest.approx(2 / 4)
    assert measured["precision"].value == pytest.approx(2 / 5)
    low, high = bounds(measured["recall"])
    assert low < 0.5 < high
    assert prediction_proportions(outcome)["recall"].sizes == pytest.approx(4)
    weighted = replace(outcome, weights=np.array([1.0, 1, 3, 1, 1, 1]))
    assert prediction_proportions(weighted)["recall"].sizes == pytest.approx(36 / 12)
    measured = proportion_estimates(weighted, prediction_proportions(weighted), 0.95, 500, 1)
    assert measured["recall"].value == pytest.approx(2 / 6)


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_every_metric_that_is_listed_is_measured_and_no_other(mode: ModeName) -> None:
    half = LEAST_FOR_ECE // 2
    labels, scores = [["x"], ["y"]] * half, [[0.7, 0.2], [0.2, 0.7]] * half
    data, table = held_out(Topics(mode, ("x", "y")), labels, scores, 0.5)
    measured = measure(outcomes(data, table), prediction_outcomes(data, table), 0.95, 100, 1)
    assert {key for key in measured if isinstance(key, str)} == metrics_in(mode).keys()
    assert next(iter(metrics_in(mode))) in measured


def test_a_row_that_stands_for_two_counts_as_two() -> None:
    rng = np.random.default_rng(3)
    true, scores = rng.integers(0, 3, 40), rng.dirichlet(np.ones(3), (2, 40))
    weights = rng.integers(0, 3, 40)
    once = single_outcomes(true, np.arange(40), scores)
    weighted = replace(once, weights=weights.astype(np.float64))
    rows = np.repeat(np.arange(40), weights)
    repeated = single_outcomes(true[rows], np.arange(len(rows)), scores[:, rows])
    for figure in (Tally.macro_f1, Tally.accuracy, Tally.calibration_error):
        assert sample_value(weighted, figure) == pytest.approx(sample_value(repeated, figure))
    expected = estimates(repeated, 0.95, 50, 1)
    for name, estimate in estimates(weighted, 0.95, 50, 1).items():
        assert estimate.value == pytest.approx(expected[name].value), name
    # Rows of unequal weight have a smaller effective size than as many of equal weight.
    assert effective_n_rows(once) == 40 and effective_n_rows(weighted) < np.count_nonzero(weights)
    equal = replace(once, weights=np.full(40, 7.0))
    assert effective_n_rows(equal) == pytest.approx(40)
    assert difference(equal, equal, 0.95, 50, 1).value == 0


def test_a_rare_topic_loses_more_of_its_labels_to_the_held_out_part() -> None:
    folds = pd.DataFrame({"id": list("abcdefg"), "repeat": 0, "fold": [0, 0, 1, 1, 0, 1, -1]})
    targets = one_hot(np.array([0, 0, 0, 0, 1, 1, 2]), 3)
    # Two of four and one of two are held out at a time; the last topic is never held out.
    assert train_shares(targets, folds, list("abcdefg")).tolist() == [0.5, 0.5, 1]
    folds["fold"] = [0, 1, 2, 3, 0, 1, -1]
    shares = train_shares(targets, folds, list("abcdefg"))
    assert shares.tolist() == [0.75, 0.5, 1]
    labels = np.array([0, 0, 0, 0, 1, 1])
    scores = one_hot(np.array([0, 0, 0, 0, 0, 0]), 2)[None].astype(np.float64)
    outcome = replace(
        single_outcomes(labels, np.arange(6), scores), train_share=0.75, topic_shares=shares[:2]
    )
    # The first topic has an F1 of .8 and the other of 0, whose error weighs five times as much.
    assert train_share_of_topics(outcome) == pytest.approx((0.2 * 0.75 + 1 * 0.5) / 1.2)
    equal = replace(outcome, topic_shares=None)
    low, high = bounds(estimates(outcome, 0.95, 200, 0)["macro_f1"])
    equal_low, equal_high = bounds(estimates(equal, 0.95, 200, 0)["macro_f1"])
    assert low > equal_low and high > equal_high


def test_cautions_name_topics_with_few_labels() -> None:
    true = [0] * FEW_LABELS + [1] * FEW_TOPIC_LABELS + [2] * (FEW_TOPIC_LABELS - 1)
    (rare,) = cautions(made(true, [true], 3), ["a", "b", "c"])
    assert rare.startswith("c: fewer than 5 labels")
    (few,) = cautions(made([0, 1] * 10, [[0, 1] * 10], 2), ["a", "b"])
    assert few.startswith("only 20 labels")


@pytest.mark.parametrize(
    ("true", "why"),
    [
        ([0] * 40 + [1] * 40, "1 topic cannot be measured yet"),
        ([0] * 40 + [1, 1, 2, 2], "half of the topics have fewer than 3 labels"),
        ([0] * 40 + [1, 1, 2, 2, 2], ""),
    ],
)
def test_macro_f1_has_an_interval_where_most_topics_have_labels(true: list[int], why: str) -> None:
    outcome = made(true, [true], 3)
    measured = measure(outcome, outcome, 0.95, 100, 1)
    assert outcome.too_few == why
    assert (measured["macro_f1"].low is None) == (measured["answer_macro_f1"].low is None)
    assert (measured["macro_f1"].low is None) == bool(why)
    assert bounds(measured["accuracy"])
    is_reported = f"macro-F1 has no interval: {why}" in cautions(outcome, ["a", "b", "c"])
    assert is_reported == bool(why)


def test_figures_of_several_topics_are_scikit_learns_and_chance_is_worse() -> None:
    rng = np.random.default_rng(0)
    true = rng.random((60, 3)) < 0.4
    scores = np.clip(true[None] * 0.4 + rng.random((2, 60, 3)) * 0.6, 0.01, 0.99)
    outcome = Outcomes(mode_of("multi"), true, np.arange(60), scores, scores >= 0.5)
    measured = measure(outcome, outcome, 0.95, 500, 1)
    repeats = list(zip(outcome.predicted, outcome.scores, strict=True))
    expected: dict[MetricKey, list[float]] = {
        "macro_f1": [sk.f1_score(true, p, average="macro") for p, _ in repeats],
        "micro_f1": [sk.f1_score(true, p, average="micro") for p, _ in repeats],
        "subset_accuracy": [sk.accuracy_score(true, p) for p, _ in repeats],
        "map": [sk.average_precision_score(true, s) for _, s in repeats],
        "log_loss": [sk.log_loss(true.ravel(), s.ravel()) for _, s in repeats],
        ("recall", 1): [sk.recall_score(true[:, 1], p[:, 1]) for p, _ in repeats],
    }
    for key, values in expected.items():
        assert measured[key].value == pytest.approx(np.mean(values)), key
        low, high = bounds(measured[key])
        assert low < measured[key].value < high, key
    random_scores = np.random.default_rng(9).random(scores.shape)
    chance = replace(outcome, scores=random_scores, predicted=random_scores >= 0.5)
    lead = difference(outcome, chance, 0.95, 2000, 1)
    assert lead.value > 0.2 and lead.p < 0.01 and lead.low > 0
    assert difference(outcome, outcome, 0.95, 500, 1).p == 1
