"""How far weak sources are trusted, on made-up sources whose worth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.labels.trust import UNKNOWN, Answers, Trust, combine, learn_trust

K = 4
KINDS = np.zeros(K, dtype=np.int64)


def answer(truth: np.ndarray, right: float | list[float], rng: np.random.Generator) -> np.ndarray:
    """Answers that are right with this probability, for each answered outcome, else at random."""
    is_right = rng.random(len(truth)) < np.broadcast_to(right, K)[truth]
    return np.where(is_right, truth, (truth + rng.integers(1, K, len(truth))) % K)


def answers_of(*sources: np.ndarray) -> Answers:
    n = len(sources[0])
    return Answers(
        np.tile(np.arange(n), len(sources)),
        np.repeat(np.arange(len(sources)), n),
        np.concatenate(sources),
        np.full(n * len(sources), np.nan),
    )


def learn(truth: np.ndarray, known: int, *sources: np.ndarray) -> Trust:
    anchors = np.where(np.arange(len(truth)) < known, truth, UNKNOWN)
    return learn_trust(anchors, answers_of(*sources), len(sources), KINDS)


def test_trust_is_near_the_truth_and_its_interval_holds() -> None:
    rng = np.random.default_rng(0)
    covered, errors = [], []
    for _ in range(30):
        truth = rng.integers(0, K, 1000)
        given = answer(truth, 0.8, rng)
        trust = learn(truth, 40, given)
        true = np.array([(truth[given == outcome] == outcome).mean() for outcome in range(K)])
        covered.append((trust.low[0] <= true) & (true <= trust.high[0]))
        errors.append(trust.mean[0] - true)
    assert np.mean(covered) >= 0.9 and abs(np.mean(errors)) < 0.03


def test_answers_tell_how_frequent_outcomes_are_where_people_label_as_many_of_each() -> None:
    rng = np.random.default_rng(4)
    shares = np.array([0.5, 0.4, 0.05, 0.05])
    truth = np.concatenate([np.tile(np.arange(K), 20), rng.choice(K, 2000, p=shares)])
    given = answer(truth, 0.75, rng)
    trust = learn(truth, 80, given)
    np.testing.assert_allclose(trust.labelled, 1 / K)
    assert np.abs(trust.frequencies - shares).max() < 0.1 < np.abs(trust.labelled - shares).max()
    # What a head has learnt from the labels is corrected too.
    raised = combine(answers_of(given), trust, len(truth)).ratio * trust.labelled
    known = (raised / raised.sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(known, trust.frequencies, atol=0.05)


def test_without_hand_labels_a_source_is_halfway_between_chance_and_always_right() -> None:
    trust = learn(np.zeros(10, dtype=np.int64), 0, np.zeros(10, dtype=np.int64))
    assert trust.mean[0] == pytest.approx((1 + 1 / K) / 2, abs=0.03)
    assert (trust.low < 0.2).all() and (trust.high > 0.9).all()
    consensus = combine(answers_of(np.zeros(10, dtype=np.int64)), trust, 10)
    assert consensus.weight == pytest.approx(0.5, abs=0.05)
    assert (consensus.truth.argmax(axis=1) == 0).all()


def test_a_copy_adds_nothing_and_an_independent_source_does() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, K, 1000)
    one, other = answer(truth, 0.7, rng), answer(truth, 0.7, rng)
    alone, copied, both = (learn(truth, 200, *each) for each in ((one,), (one, one), (one, other)))
    assert copied.copies[0, 1] > 0.95 and both.copies[0, 1] < 0.3
    of_alone = combine(answers_of(one), alone, 1000)
    of_copies = combine(answers_of(one, one), copied, 1000)
    np.testing.assert_allclose(of_copies.truth, of_alone.truth, atol=0.05)
    np.testing.assert_allclose(of_copies.weight, of_alone.weight, atol=0.05)
    agreed = one == other
    assert (combine(answers_of(one, other), both, 1000).weight - of_alone.weight)[agreed].min() > 0


def test_a_topic_that_a_source_answers_at_random_counts_for_nothing() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, K, 1000)
    given = np.where(truth == 0, rng.integers(1, K, 1000), answer(truth, 0.9, rng))
    given[rng.random(1000) < 0.2] = 0
    trust = learn(truth, 300, given)
    assert trust.uninformative[0].tolist() == [True, False, False, False]
    consensus = combine(answers_of(given), trust, 1000)
    assert (consensus.weight[given == 0] == 0).all() and (consensus.weight[given != 0] > 0.5).all()


def test_certain_answers_are_trusted_more_where_they_are_right_more_often() -> None:
    rng = np.random.default_rng(3)
    truth, confidence = rng.integers(0, K, 1000), rng.uniform(0.3, 0.99, 1000)
    is_right = rng.random(1000) < confidence
    given = np.where(is_right, truth, (truth + 1) % K)
    answers = answers_of(given)._replace(confidence=confidence)
    trust = learn_trust(np.where(np.arange(1000) < 200, truth, UNKNOWN), answers, 1, KINDS)
    assert trust.slope[0] > 0.5
    weight = combine(answers, trust, 1000).weight
    assert weight[confidence > 0.9].mean() > weight[confidence < 0.5].mean() + 0.1


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, K - 1)), max_size=12),
    st.lists(st.integers(UNKNOWN, K - 1), min_size=5, max_size=5),
)
def test_answers_give_probabilities(given: list[tuple[int, int, int]], truth: list[int]) -> None:
    row, source, outcome = np.array(given, dtype=np.int64).reshape(-1, 3).T
    answers = Answers(row, source, outcome, np.full(len(row), np.nan))
    trust = learn_trust(np.array(truth), answers, 3, KINDS)
    consensus = combine(answers, trust, 5)
    np.testing.assert_allclose(consensus.truth.sum(axis=1), 1)
    assert (consensus.truth >= 0).all()
    assert (consensus.weight >= 0).all() and (consensus.weight <= 1).all()
    assert (trust.low <= trust.mean).all() and (trust.mean <= trust.high).all()
