"""Estimated accuracy of weak sources, on simulated sources whose accuracy is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.labels.source_accuracy import UNKNOWN, Accuracy, Votes, combine, estimate_accuracy

K = 4
KINDS = np.zeros(K, dtype=np.int64)


def simulated(truth: np.ndarray, accuracy: float, rng: np.random.Generator) -> np.ndarray:
    """Outcomes that are right with this probability, and else drawn from the wrong ones."""
    is_right = rng.random(len(truth)) < accuracy
    return np.where(is_right, truth, (truth + rng.integers(1, K, len(truth))) % K)


def votes_of(*sources: np.ndarray) -> Votes:
    n = len(sources[0])
    return Votes(
        np.tile(np.arange(n), len(sources)),
        np.repeat(np.arange(len(sources)), n),
        np.concatenate(sources),
        np.full(n * len(sources), np.nan),
    )


def estimated(truth: np.ndarray, n_known: int, *sources: np.ndarray) -> Accuracy:
    anchors = np.where(np.arange(len(truth)) < n_known, truth, UNKNOWN)
    return estimate_accuracy(anchors, votes_of(*sources), len(sources), KINDS)


def test_the_estimate_is_close_and_its_interval_covers_the_true_accuracy() -> None:
    rng = np.random.default_rng(0)
    covered, errors = [], []
    for _ in range(30):
        truth = rng.integers(0, K, 1000)
        voted = simulated(truth, 0.8, rng)
        accuracy = estimated(truth, 40, voted)
        true = np.array([(truth[voted == outcome] == outcome).mean() for outcome in range(K)])
        covered.append((accuracy.low[0] <= true) & (true <= accuracy.high[0]))
        errors.append(accuracy.mean[0] - true)
    assert np.mean(covered) >= 0.9 and abs(np.mean(errors)) < 0.03


def test_frequencies_are_estimated_from_votes_if_hand_labels_are_balanced() -> None:
    rng = np.random.default_rng(4)
    shares = np.array([0.5, 0.4, 0.05, 0.05])
    truth = np.concatenate([np.tile(np.arange(K), 20), rng.choice(K, 2000, p=shares)])
    voted = simulated(truth, 0.75, rng)
    accuracy = estimated(truth, 80, voted)
    np.testing.assert_allclose(accuracy.labelled, 1 / K)
    assert (
        np.abs(accuracy.frequencies - shares).max() < 0.1 < np.abs(accuracy.labelled - shares).max()
    )
    # A head that predicts the shares of the hand labels is corrected too.
    scores = combine(votes_of(voted), accuracy, len(truth)).ratio * accuracy.labelled
    predicted = (scores / scores.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(predicted, accuracy.frequencies, atol=0.05)


def test_without_hand_labels_a_source_is_halfway_between_chance_and_always_right() -> None:
    accuracy = estimated(np.zeros(10, dtype=np.int64), 0, np.zeros(10, dtype=np.int64))
    assert accuracy.mean[0] == pytest.approx((1 + 1 / K) / 2, abs=0.03)
    assert (accuracy.low < 0.2).all() and (accuracy.high > 0.9).all()
    consensus = combine(votes_of(np.zeros(10, dtype=np.int64)), accuracy, 10)
    assert consensus.weight == pytest.approx(0.5, abs=0.05)
    assert (consensus.truth.argmax(axis=1) == 0).all()


def test_a_copy_adds_nothing_and_an_independent_source_does() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, K, 1000)
    one, other = simulated(truth, 0.7, rng), simulated(truth, 0.7, rng)
    single = estimated(truth, 200, one)
    copied = estimated(truth, 200, one, one)
    independent = estimated(truth, 200, one, other)
    assert copied.copies[0, 1] > 0.95 and independent.copies[0, 1] < 0.3
    expected = combine(votes_of(one), single, 1000)
    combined_copies = combine(votes_of(one, one), copied, 1000)
    np.testing.assert_allclose(combined_copies.truth, expected.truth, atol=0.05)
    np.testing.assert_allclose(combined_copies.weight, expected.weight, atol=0.05)
    combined = combine(votes_of(one, other), independent, 1000)
    assert (combined.weight - expected.weight)[one == other].min() > 0


def test_random_votes_for_a_topic_do_not_count() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, K, 1000)
    voted = np.where(truth == 0, rng.integers(1, K, 1000), simulated(truth, 0.9, rng))
    voted[rng.random(1000) < 0.2] = 0
    accuracy = estimated(truth, 300, voted)
    assert accuracy.uninformative[0].tolist() == [True, False, False, False]
    consensus = combine(votes_of(voted), accuracy, 1000)
    assert (consensus.weight[voted == 0] == 0).all() and (consensus.weight[voted != 0] > 0.5).all()


def test_confident_votes_weigh_more_if_they_are_right_more_often() -> None:
    rng = np.random.default_rng(3)
    truth, confidence = rng.integers(0, K, 1000), rng.uniform(0.3, 0.99, 1000)
    is_right = rng.random(1000) < confidence
    voted = np.where(is_right, truth, (truth + 1) % K)
    votes = votes_of(voted)._replace(confidence=confidence)
    accuracy = estimate_accuracy(np.where(np.arange(1000) < 200, truth, UNKNOWN), votes, 1, KINDS)
    assert accuracy.slope[0] > 0.5
    weight = combine(votes, accuracy, 1000).weight
    assert weight[confidence > 0.9].mean() > weight[confidence < 0.5].mean() + 0.1


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, K - 1)), max_size=12),
    st.lists(st.integers(UNKNOWN, K - 1), min_size=5, max_size=5),
)
def test_combined_votes_are_probabilities(
    voted: list[tuple[int, int, int]], truth: list[int]
) -> None:
    row, source, outcome = np.array(voted, dtype=np.int64).reshape(-1, 3).T
    votes = Votes(row, source, outcome, np.full(len(row), np.nan))
    accuracy = estimate_accuracy(np.array(truth), votes, 3, KINDS)
    consensus = combine(votes, accuracy, 5)
    np.testing.assert_allclose(consensus.truth.sum(axis=1), 1)
    assert (consensus.truth >= 0).all()
    assert (consensus.weight >= 0).all() and (consensus.weight <= 1).all()
    assert (accuracy.low <= accuracy.mean).all() and (accuracy.mean <= accuracy.high).all()
