"""Weights of training examples beside the topics' descriptions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.inference.modes import one_hot
from paratopic.project.texts import numbered
from paratopic.project.topics import Topics
from paratopic.training.examples import (
    Examples,
    Soft,
    beside_labels,
    evidence,
    share_of_labels,
    topics_are_rare,
)


def weights(articles: list[int], described: bool = True) -> np.ndarray:
    numbers = np.array(articles, dtype=np.int64)
    targets = one_hot(numbers * 0, 2)
    return evidence(
        Examples(numbered(["text"] * len(numbers)), targets, numbers, numbers), described
    )


def soft(trust: np.ndarray) -> Soft:
    """Labels that are trusted so far, by hand where that is wholly."""
    return Soft(trust == 1, np.ones((len(trust), 3)), trust[:, None])


def test_evidence_equals_values_by_hand() -> None:
    # One article of 21: 1/4 in all. Three lone paragraphs: 1/2 each.
    np.testing.assert_allclose(weights([0] * 21), 1 / 84)
    np.testing.assert_allclose(weights([0, 1, 2]), 1 / 2)
    # Two articles of one and three paragraphs: 2/5, and 2/5 over 1 + 2/2.
    np.testing.assert_allclose(weights([0, 1, 1, 1]), [0.4, 0.2, 0.2, 0.2])
    assert len(weights([])) == 0
    np.testing.assert_allclose(weights([0, 0], False), 1)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_a_further_article_never_lowers_the_total_evidence(articles: list[int]) -> None:
    assert weights([*articles, 99]).sum() > weights(articles).sum()


def test_labels_and_articles_count_as_far_as_they_are_trusted() -> None:
    # 1.8 articles, and definitions as three.
    targets, numbers = one_hot(np.array([0, 1, -1]), 2), np.arange(3)
    trust = np.array([1.0, 0.4, 0.4])
    trusted = Examples(numbered(["text"] * 3), targets, numbers, numbers, soft=soft(trust))
    np.testing.assert_allclose(evidence(trusted, True), trust * 1.8 / 4.8)
    assert trusted.of(np.array([0, 2])).sample_weight.tolist() == [1.0, 0.4]
    # An article counts as far as its most trusted label.
    articles, trust = np.array([0, 0, 1, 2]), np.array([1.0, 0.2, 0.5, 0.0])
    whole = Examples(numbered(["text"] * 4), one_hot(articles, 3), articles, articles)
    trusted = replace(whole, soft=soft(trust))
    assert share_of_labels(trusted, True) == 1.5 / 4.5
    assert share_of_labels(whole, True) == 3 / 6
    assert share_of_labels(trusted, False) == 1
    assert share_of_labels(whole.of(articles[:0]), True) == 0


@pytest.mark.parametrize("k", [3, 4])
def test_descriptions_count_less_the_more_articles_have_an_outcome(k: int) -> None:
    topic = one_hot(np.array([0, 0, 1, 1, 1, -1]), 3)
    articles = np.array([0, 0, 0, 1, 2, 3])
    beside = Examples(numbered(["text"] * 6), topic, articles, articles)
    np.testing.assert_allclose(beside_labels(beside, k), [1, 4 / 6, 4 / 3, 4 / 3][:k])
    trust = np.array([0.5, 0.2, 1, 1, 0, 1])
    trusted = replace(beside, soft=soft(trust))
    np.testing.assert_allclose(beside_labels(trusted, k), [4 / 3.5, 4 / 5, 4 / 3, 4 / 3][:k])
    nothing = Examples(numbered([]), topic[:0], articles[:0], articles[:0])
    assert beside_labels(nothing, k).tolist() == [1] * k


def test_topics_are_rare_where_half_of_the_labels_say_none_of_them_in_mode_single() -> None:
    targets = one_hot(np.array([0, 1, -1, -1]), 2)
    single, multi = Topics("single", ("a", "b")), Topics("multi", ("a", "b"))
    assert topics_are_rare(targets, single) and not topics_are_rare(targets, multi)
    assert not topics_are_rare(targets[:3], single) and not topics_are_rare(targets[:0], single)
    # Topics by hand are those without weak labels.
    examples = Examples(numbered(["text"] * 4), targets, np.arange(4), np.arange(4))
    np.testing.assert_array_equal(examples.by_hand, targets)
    some = replace(examples, soft=soft(np.array([1.0, 0.5, 1.0, 1.0])))
    np.testing.assert_array_equal(some.by_hand, targets[[0, 2, 3]])
