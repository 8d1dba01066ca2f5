"""Intervals and the paired test on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from paratopic.evaluation.intervals import difference, estimates
from paratopic.evaluation.outcomes import of_one_topic, outcomes
from paratopic.project.topics import Topics


def made(true: list[int], predicted: list[list[int]], k: int, groups: list[int] | None = None):  # type: ignore[no-untyped-def]
    """Outcomes with scores of 0.8 for the predicted topic."""
    scores = np.full((len(predicted), len(true), k), 0.2 / (k - 1))
    for repeat, row in enumerate(predicted):
        scores[repeat, np.arange(len(true)), row] = 0.8
    numbers = np.arange(len(true)) if groups is None else np.array(groups)
    return of_one_topic(np.array(true), numbers, scores)


@pytest.mark.parametrize("hits", [24, 20, 12])
def test_accuracy_has_jeffreys_interval(hits: int) -> None:
    # Golden: the Beta(x + 1/2, n - x + 1/2) quantiles of Brown, Cai & DasGupta (2001), of x hits in
    # n tests that cross-validation makes worth half as many.
    true = [0, 1] * 12
    predicted = [t if i < hits else 1 - t for i, t in enumerate(true)]
    estimate = estimates(made(true, [predicted], 2), 0.95, 20000, 1)["accuracy"]
    low, high = stats.beta(hits / 2 + 0.5, (24 - hits) / 2 + 0.5).ppf([0.025, 0.975])
    assert estimate.value == pytest.approx(hits / 24)
    assert estimate.low == pytest.approx(low, abs=0.01)
    assert estimate.high == pytest.approx(1 if hits == 24 else high, abs=0.01)


def test_a_model_without_mistakes_is_not_called_certain() -> None:
    estimate = estimates(made([0, 1] * 5, [[0, 1] * 5], 2), 0.95, 4000, 1)["macro_f1"]
    assert estimate.value == estimate.high == 1
    assert estimate.low < 0.9


def test_repeats_are_no_further_evidence() -> None:
    true, predicted = [0, 1] * 10, [0, 1] * 7 + [1, 0] * 3
    once = estimates(made(true, [predicted], 2), 0.95, 4000, 1)
    thrice = estimates(made(true, [predicted] * 3, 2), 0.95, 4000, 1)
    assert thrice["macro_f1"].low == pytest.approx(once["macro_f1"].low)
    assert thrice["log_loss"].high == pytest.approx(once["log_loss"].high)


def test_groups_widen_the_interval() -> None:
    true, predicted = [0, 1] * 20, [0, 1] * 12 + [1, 0] * 8
    alone = estimates(made(true, [predicted], 2), 0.95, 4000, 1)["accuracy"]
    together = [i // 8 for i in range(40)]
    grouped = estimates(made(true, [predicted], 2, together), 0.95, 4000, 1)["accuracy"]
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_an_unused_topic_of_the_codebook_changes_nothing() -> None:
    true, predicted = [0, 1] * 10, [0, 1] * 7 + [1, 0] * 3
    two = made(true, [predicted], 2)
    wider = np.pad(two.scores, ((0, 0), (0, 0), (0, 1)))
    three = of_one_topic(np.array(true), two.groups, wider)
    for metric in ("macro_f1", "accuracy", "log_loss"):
        of_two = estimates(two, 0.95, 20000, 1)[metric]
        of_three = estimates(three, 0.95, 20000, 1)[metric]
        assert of_two.value == pytest.approx(of_three.value)
        assert of_two.low == pytest.approx(of_three.low, abs=0.01)


def test_a_topic_of_two_paragraphs_is_little_known_among_many_others() -> None:
    true = [0] * 40 + [1] * 40 + [2] * 2
    estimate = estimates(made(true, [true], 3), 0.95, 4000, 1)
    # Golden: Beta(1 + 1/2, 1/2), two hits in two tests that are worth one.
    low = stats.beta(1.5, 0.5).ppf(0.025)
    assert estimate["recall", 2].low == pytest.approx(low, abs=0.05)
    assert estimate["recall", 0].low > 0.85
    assert estimate["accuracy"].low > 0.9


def test_permutation_p_value_of_all_swaps() -> None:
    # Model one is right on 6 of 6, the other wrong on all: only the two outermost of the 2^6
    # swaps reach the difference, so p tends to 2/64.
    true = [0, 1, 0, 1, 0, 1]
    one, other = made(true, [true], 2), made(true, [[1 - t for t in true]], 2)
    result = difference(one, other, 0.95, 1000, 20000, 1)
    assert result.value == pytest.approx(1)
    assert result.p == pytest.approx(2 / 64, abs=0.005)


def test_differences_of_swaps_are_scaled_for_the_shared_training() -> None:
    # Each model is right where the other is wrong: on 18 of 20 paragraphs, and on 2. The unscaled
    # test counts swaps that leave a lead of 16 or more, the scaled one of 16 / 1.22 = 13.1 or more.
    true = [0, 1] * 10
    predicted = true[:18] + [1 - t for t in true[18:]]
    one, other = made(true, [predicted], 2), made(true, [[1 - t for t in predicted]], 2)
    p = difference(one, other, 0.95, 1000, 40000, 1).p
    assert p == pytest.approx(2 * stats.binom(20, 0.5).cdf(3), abs=0.001)
    assert p > 3 * 2 * stats.binom(20, 0.5).cdf(2)


def test_groups_are_swapped_whole() -> None:
    # The same six paragraphs in two groups: 2^2 swaps, two of them reach the difference.
    true = [0, 1, 0, 1, 0, 1]
    groups = [0, 0, 0, 1, 1, 1]
    one = made(true, [true], 2, groups)
    other = made(true, [[1 - t for t in true]], 2, groups)
    assert difference(one, other, 0.95, 1000, 20000, 1).p == pytest.approx(2 / 4, abs=0.02)


def test_a_model_does_not_differ_from_itself() -> None:
    one = made([0, 1] * 10, [[0, 1] * 7 + [1, 0] * 3], 2)
    result = difference(one, one, 0.95, 1000, 1000, 1)
    assert (result.value, result.low, result.high, result.p) == (0, 0, 0, 1)
    # No doubt about it: the difference is not larger than anything above 0.
    assert result.beyond == 0.5
    assert difference(one, one, 0.95, 1000, 1000, 1, 0.02).beyond == 0
    assert difference(one, one, 0.95, 1000, 1000, 1, -0.02).beyond == 1


@pytest.mark.parametrize("min_lead", [0.0, 0.02, 0.3])
def test_how_probably_a_lead_is_noticed_has_the_noise_of_the_swaps(min_lead: float) -> None:
    # One model is right where the other is wrong: on 60 of 100 paragraphs of two topics, whose
    # macro-F1 is about their accuracy. A swap turns each paragraph's share of the lead around: a
    # standard deviation of √100 / 100, times √1.5 for the shared training.
    true = [0, 1] * 50
    predicted = true[:60] + [1 - t for t in true[60:]]
    one, other = made(true, [predicted], 2), made(true, [[1 - t for t in predicted]], 2)
    noise = np.sqrt(1.5) * 0.1
    result = difference(one, other, 0.95, 100, 20000, 1, min_lead)
    assert result.value == pytest.approx(0.2)
    assert result.beyond == pytest.approx(stats.norm.cdf((0.2 - min_lead) / noise), abs=0.01)
    back = difference(other, one, 0.95, 100, 20000, 1, -min_lead)
    assert back.beyond == pytest.approx(1 - result.beyond, abs=0.01)


def test_only_hand_labels_count_where_there_are_any() -> None:
    rows = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "topic": ["x", "y", ""],
            "label_source": ["hand", "heading", "hand"],
        }
    )
    folds = pd.DataFrame({"id": ["a", "b", "c"], "group": [0, 1, 2], "repeat": 0, "fold": 0})
    scores = pd.DataFrame({"id": ["a", "b", "c"], "repeat": 0, "x": [1.0, 0, 0], "y": [0.0, 1, 1]})
    topics = Topics("single", ("x", "y"))
    scores = scores.assign(**dict.fromkeys(topics.thresholds, 0.5))
    kept, outcome = outcomes(rows, folds, scores, topics)
    assert list(kept["id"]) == ["a"]
    assert outcome.scores.shape == (1, 1, 2)
    kept, _ = outcomes(rows[1:2], folds, scores, topics)
    assert list(kept["id"]) == ["b"]
