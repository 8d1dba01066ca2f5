"""Weights of training examples beside the topics' descriptions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from paratopic.inference.scores import classes, one_hot
from paratopic.project.topics import Topic, Topics
from paratopic.training.examples import (
    Examples,
    beside_labels,
    evidence,
    share_of_labels,
    weigh,
)

DESCRIBED = Topics("single", (Topic("a", "About a."), Topic("b", "About b.")))


def weights(articles: list[int], topics: Topics = DESCRIBED) -> np.ndarray:
    numbers = np.array(articles, dtype=np.int64)
    targets = one_hot(numbers * 0, 2)
    found = evidence(Examples(["text"] * len(numbers), targets, numbers, numbers), topics)
    np.testing.assert_array_equal(found.which, found.any)  # all texts have a topic
    return found.which


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


def test_examples_with_none_of_the_topics_tell_only_whether_a_text_has_any_in_mode_single() -> None:
    numbers = np.arange(2)
    data = Examples(["a", "b"], np.array([[True, False], [False, False]]), numbers, numbers)
    single = evidence(data, DESCRIBED)
    np.testing.assert_allclose(single.which, [1 / 4, 0])
    np.testing.assert_allclose(single.any, [2 / 5, 2 / 5])
    multi = evidence(data, Topics("multi", DESCRIBED.codebook))
    np.testing.assert_allclose(multi.which, [2 / 5, 2 / 5])


def test_weights_equal_values_by_hand() -> None:
    articles, every = np.array([7, 7, 7, 4]), np.ones(4, dtype=bool)
    # Two articles: 2/5 each; the three paragraphs of one share it by 1 + 2/2.
    np.testing.assert_allclose(weigh(articles, every, True), [0.2, 0.2, 0.2, 0.4])
    # Of paragraphs that do not count, neither they nor their articles are counted: one article of
    # two paragraphs, 1/4 over 1 + 1/1.
    counted = np.array([True, True, False, False])
    np.testing.assert_allclose(weigh(articles, counted, True), [1 / 8, 1 / 8, 0, 0])
    np.testing.assert_array_equal(weigh(articles, counted, False), [1, 1, 0, 0])
    np.testing.assert_array_equal(weigh(articles, every & False, True), [0, 0, 0, 0])
    # Paragraphs that are there three times make their articles no larger.
    thrice = weigh(np.tile(articles, 3), np.tile(every, 3), True, 3)
    np.testing.assert_allclose(thrice, [0.2, 0.2, 0.2, 0.4] * 3)


def test_topical_examples_are_those_with_a_topic() -> None:
    targets = np.array([[True, True], [False, False], [False, True]])
    data = Examples(["a", "b", "c"], targets, np.array([5, 6, 7]), np.array([1, 2, 3]))
    assert classes(data.targets).tolist() == [0, -1, 1]
    topical = data.topical()
    assert topical.texts == ["a", "c"]
    assert topical.groups.tolist() == [5, 7] and topical.articles.tolist() == [1, 3]
    np.testing.assert_array_equal(topical.targets, targets[[0, 2]])


def test_labels_weigh_by_how_far_they_are_trusted() -> None:
    """And so do their articles: 1.4 articles with a topic, 1.8 in all, and definitions as three."""
    targets, numbers = one_hot(np.array([0, 1, -1]), 2), np.arange(3)
    trust = np.array([1.0, 0.4, 0.4])
    trusted = Examples(["text"] * 3, targets, numbers, numbers, trust=trust)
    weighed = evidence(trusted, DESCRIBED)
    np.testing.assert_allclose(weighed.which, [1.4 / 4.4, 0.4 * 1.4 / 4.4, 0])
    np.testing.assert_allclose(weighed.any, trust * 1.8 / 4.8)
    kept = trusted.topical().trust
    assert kept is not None and kept.tolist() == [1.0, 0.4]


def test_an_article_counts_as_far_as_its_most_trusted_label() -> None:
    articles, trust = np.array([0, 0, 1, 2]), np.array([1.0, 0.2, 0.5, 0.0])
    assert share_of_labels(articles, True, trust) == 1.5 / 4.5
    assert share_of_labels(articles, True) == 3 / 6
    assert share_of_labels(articles, False, trust) == 1
    assert share_of_labels(articles[:0], True) == 0


def test_a_description_counts_less_the_more_articles_have_its_topic() -> None:
    topic = one_hot(np.array([0, 0, 1, 1, 1, -1]), 3)
    articles = np.array([0, 0, 0, 1, 2, 3])
    beside = Examples(["text"] * 6, topic, articles, articles)
    np.testing.assert_allclose(beside_labels(beside), [1, 4 / 6, 4 / 3])
    trust = np.array([0.5, 0.2, 1, 1, 0, 1])
    trusted = Examples(["text"] * 6, topic, articles, articles, trust=trust)
    np.testing.assert_allclose(beside_labels(trusted), [4 / 3.5, 4 / 5, 4 / 3])
    nothing = Examples([], topic[:0], articles[:0], articles[:0])
    assert beside_labels(nothing).tolist() == [1, 1, 1]
