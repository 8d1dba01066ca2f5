"""Weights of training examples beside the topics' descriptions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paratopic.inference.scores import one_hot
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import Examples, evidence

DESCRIBED = Topics("single", (Topic("a", "About a."), Topic("b", "About b.")))


def weights(articles: list[int], topics: Topics = DESCRIBED) -> np.ndarray:
    numbers = np.array(articles, dtype=np.int64)
    targets = one_hot(numbers * 0, 2)
    return evidence(Examples(["text"] * len(numbers), targets, numbers, numbers), topics)


def test_evidence_equals_values_by_hand() -> None:
    # One article of 21: 1/4 in all. Three lone paragraphs: 1/2 each.
    np.testing.assert_allclose(weights([0] * 21), 1 / 84)
    np.testing.assert_allclose(weights([0, 1, 2]), 1 / 2)
    # Two articles of one and three paragraphs: 2/5, and 2/5 over 1 + 2/2.
    np.testing.assert_allclose(weights([0, 1, 1, 1]), [0.4, 0.2, 0.2, 0.2])
    assert len(weights([])) == 0
    np.testing.assert_allclose(weights([0, 0], Topics("single", ("a", "b"))), 1)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_a_further_article_never_lowers_the_total_evidence(articles: list[int]) -> None:
    assert weights([*articles, 99]).sum() > weights(articles).sum()


def test_examples_with_none_of_the_topics_count_in_mode_multi_only() -> None:
    numbers = np.arange(2)
    data = Examples(["a", "b"], np.array([[True, False], [False, False]]), numbers, numbers)
    np.testing.assert_allclose(evidence(data, DESCRIBED), [1 / 4, 0])
    multi = Topics("multi", DESCRIBED.codebook)
    np.testing.assert_allclose(evidence(data, multi), [2 / 5, 2 / 5])


def test_topical_examples_are_those_with_a_topic() -> None:
    targets = np.array([[True, True], [False, False], [False, True]])
    data = Examples(["a", "b", "c"], targets, np.array([5, 6, 7]), np.array([1, 2, 3]))
    assert data.labels.tolist() == [0, -1, 1]
    topical = data.topical()
    assert topical.texts == ["a", "c"]
    assert topical.groups.tolist() == [5, 7] and topical.articles.tolist() == [1, 3]
    np.testing.assert_array_equal(topical.targets, targets[[0, 2]])
