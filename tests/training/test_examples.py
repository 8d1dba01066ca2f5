"""Weights of training examples and of definitions, and the choice of context weights."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paratopic.baseline import fit as baseline
from paratopic.inference.linear_head import ContextWeights
from paratopic.inference.modes import Array, Integers, Scores, one_hot
from paratopic.project.passages import Passage
from paratopic.project.texts import Text, numbered
from paratopic.project.topics import Topics
from paratopic.training import examples as room
from paratopic.training.examples import (
    Examples,
    SoftLabels,
    choose_context,
    description_weights,
    evidence,
    share_of_labels,
    topics_are_rare,
)
from paratopic.training.settings import CONTEXT
from tests.samples import PARAMS, WORDS, paragraph


def weights(articles: list[int], described: bool = True) -> np.ndarray:
    numbers = np.array(articles, dtype=np.int64)
    targets = one_hot(numbers * 0, 2)
    return evidence(
        Examples(numbered(["text"] * len(numbers)), targets, numbers, numbers), described
    )


def soft(trust: np.ndarray) -> SoftLabels:
    """Labels with these weights; those with weight 1 are by hand."""
    return SoftLabels(trust == 1, np.ones((len(trust), 3)), trust[:, None])


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


def test_weak_labels_and_their_articles_weigh_less() -> None:
    # 1.8 articles, and definitions count as three.
    targets, numbers = one_hot(np.array([0, 1, -1]), 2), np.arange(3)
    trust = np.array([1.0, 0.4, 0.4])
    trusted = Examples(numbered(["text"] * 3), targets, numbers, numbers, soft=soft(trust))
    np.testing.assert_allclose(evidence(trusted, True), trust * 1.8 / 4.8)
    assert trusted.select(np.array([0, 2])).sample_weight.tolist() == [1.0, 0.4]
    # An article counts with the largest weight of its labels.
    articles, trust = np.array([0, 0, 1, 2]), np.array([1.0, 0.2, 0.5, 0.0])
    by_hand = Examples(numbered(["text"] * 4), one_hot(articles, 3), articles, articles)
    trusted = replace(by_hand, soft=soft(trust))
    assert share_of_labels(trusted, True) == 1.5 / 4.5
    assert share_of_labels(by_hand, True) == 3 / 6
    assert share_of_labels(trusted, False) == 1
    assert share_of_labels(by_hand.select(articles[:0]), True) == 0


@pytest.mark.parametrize("k", [3, 4])
def test_descriptions_count_less_the_more_articles_have_an_outcome(k: int) -> None:
    topic = one_hot(np.array([0, 0, 1, 1, 1, -1]), 3)
    articles = np.array([0, 0, 0, 1, 2, 3])
    by_hand = Examples(numbered(["text"] * 6), topic, articles, articles)
    expected = np.array([1, 4 / 6, 4 / 3, 1])
    np.testing.assert_allclose(description_weights(by_hand, k), expected[:k])
    trust = np.array([0.5, 0.2, 1, 1, 0, 1])
    trusted = replace(by_hand, soft=soft(trust))
    expected[:2] = 4 / 3.5, 4 / 5
    np.testing.assert_allclose(description_weights(trusted, k), expected[:k])
    nothing = Examples(numbered([]), topic[:0], articles[:0], articles[:0])
    assert description_weights(nothing, k).tolist() == [1] * k


def test_topics_are_rare_if_half_of_the_labels_are_none_of_them_in_mode_single() -> None:
    targets = one_hot(np.array([0, 1, -1, -1]), 2)
    single, multi = Topics("single", ("a", "b")), Topics("multi", ("a", "b"))
    assert topics_are_rare(targets, single) and not topics_are_rare(targets, multi)
    assert not topics_are_rare(targets[:3], single) and not topics_are_rare(targets[:0], single)
    # Weak labels do not count.
    examples = Examples(numbered(["text"] * 4), targets, np.arange(4), np.arange(4))
    np.testing.assert_array_equal(examples.by_hand, targets)
    some = replace(examples, soft=soft(np.array([1.0, 0.5, 1.0, 1.0])))
    np.testing.assert_array_equal(some.by_hand, targets[[0, 2, 3]])


NAMES = tuple(WORDS)
TOPICS = Topics("single", NAMES)
FULL_PASSAGE = Passage("Text.", "Before.", "After.", "Heading", "Title")
NEIGHBOURS, NOTHING = ContextWeights(neighbours=0.6), ContextWeights()


def made_up(n: int, n_articles: int, texts: Sequence[Text] = ()) -> Examples:
    """Examples of three topics in turn, dealt to articles."""
    numbers = np.arange(n)
    articles = numbers % n_articles
    return Examples(
        numbered(list(texts) or [FULL_PASSAGE] * n),
        one_hot(numbers // 2 % 3, 3),
        articles,
        articles,
    )


def never(weights: ContextWeights, train: Integers, test: Integers) -> Scores:
    raise AssertionError("there is nothing to choose")


def coherent(texts: Sequence[str]) -> Array:
    """Features by which each text is similar to its own neighbour only."""
    return np.eye(len(texts))


class Rated:
    """Scores that are right in a number of rows of a hundred, which depends on the weights.

    Scores with `CONTEXT.prior` are right in other rows.
    """

    def __init__(self, examples: Examples, rating: Callable[[ContextWeights], int]) -> None:
        self.examples, self._rating = examples, rating
        self.tests: dict[ContextWeights, list[int]] = {}

    def __call__(self, weights: ContextWeights, train: Integers, test: Integers) -> Scores:
        articles = self.examples.articles
        assert not set(articles[train]) & set(articles[test])
        self.tests.setdefault(weights, []).extend(test.tolist())
        right = test * (37 if weights == CONTEXT.prior else 53) % 100 < self._rating(weights)
        targets = self.examples.targets[test]
        predicted = np.where(right[:, None], targets, np.roll(targets, 1, axis=1))
        return np.asarray(0.1 + 0.7 * predicted)


NUMBERS = np.arange(9)


@pytest.mark.parametrize(
    "examples",
    [
        made_up(0, 1),
        made_up(120, 1),
        made_up(120, CONTEXT.least_articles - 1),
        # Each topic has three of nine rows, which scikit-learn deals to three folds at most.
        Examples(numbered([FULL_PASSAGE] * 9), one_hot(NUMBERS % 3, 3), NUMBERS, NUMBERS),
    ],
    ids=["no examples", "one article", "few articles", "few of each topic"],
)
def test_few_labels_choose_nothing(examples: Examples) -> None:
    assert choose_context(examples, TOPICS, 0, never, coherent) == CONTEXT.prior


@pytest.mark.parametrize("best", CONTEXT.others)
def test_labels_of_enough_articles_choose_weights_that_are_much_better(
    best: ContextWeights,
) -> None:
    examples = made_up(120, CONTEXT.least_articles)
    score = Rated(examples, lambda weights: 95 if weights == best else 50)
    assert choose_context(examples, TOPICS, 0, score, coherent) == best
    # Every row is held out once with each of the weights.
    assert set(score.tests) == {CONTEXT.prior, *CONTEXT.others}
    assert all(sorted(tests) == list(range(120)) for tests in score.tests.values())


def test_weights_that_are_better_by_chance_are_not_chosen() -> None:
    examples = made_up(100, 10)

    def chosen(rating: int) -> ContextWeights:
        score = Rated(examples, lambda weights: rating if weights == NOTHING else 80)
        return choose_context(examples, TOPICS, 0, score, coherent)

    assert [chosen(rating) for rating in (60, 80, 82, 95)] == [
        CONTEXT.prior,
        CONTEXT.prior,
        CONTEXT.prior,
        NOTHING,
    ]


@pytest.mark.parametrize(
    ("passage", "expected"),
    [
        (FULL_PASSAGE, CONTEXT.prior),
        (Passage("Text.", "Before."), NEIGHBOURS),
        (Passage("Text.", (), "After.", "", "Title"), NEIGHBOURS),
        (Passage("Text.", heading="Heading"), ContextWeights(heading=0.3)),
        (Passage("Text."), NOTHING),
        ("Text.", NOTHING),
    ],
)
@pytest.mark.parametrize("n_articles", [2, 10])
def test_no_missing_part_weighs(passage: Text, expected: ContextWeights, n_articles: int) -> None:
    # One example that has them is enough.
    examples = made_up(60, n_articles, ["Text."] * 59 + [passage])
    score = Rated(examples, lambda weights: 100)
    assert choose_context(examples, TOPICS, 0, score, coherent) == expected
    assert not any(weights.heading > expected.heading for weights in score.tests)
    assert expected != NOTHING or not score.tests


def test_the_choice_is_made_on_some_of_many_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CONTEXT", replace(CONTEXT, most_examples=50))
    examples = made_up(200, 10)
    examples.targets[::2] = False
    drawn = []
    for seed in (0, 0, 1):
        score = Rated(examples, lambda weights: 80)
        choose_context(examples, TOPICS, seed, score, coherent)
        drawn.append(sorted(score.tests[CONTEXT.prior]))
    first, again, other = drawn
    assert len(set(first)) == 50 and len({row % 2 for row in first}) == 2
    assert first == again != other


def with_neighbours(n_articles: int, topic_of: Callable[[int, random.Random], str]) -> Examples:
    """Articles of six paragraphs of one topic, whose own words are hardly informative."""
    rng = random.Random(5)
    texts, topics = [], []
    for article in range(n_articles):
        topic = NAMES[article % 3]
        for _ in range(6):
            near = [paragraph(topic_of(article, rng), rng) for _ in range(4)]
            texts.append(Passage(paragraph(topic, rng, 5), near[:2], near[2:]))
            topics.append(article % 3)
    articles = np.repeat(np.arange(n_articles), 6)
    return Examples(numbered(texts), one_hot(np.array(topics), 3), articles, articles)


@pytest.mark.parametrize("n_articles", [3, 12])
@pytest.mark.parametrize(
    ("topic_of", "expected"),
    [
        (lambda article, _: NAMES[article % 3], NEIGHBOURS),
        (lambda _, rng: rng.choice(NAMES), NOTHING),
    ],
    ids=["share the topic", "are of any topic"],
)
def test_neighbours_are_read_if_they_share_the_topic(
    n_articles: int, topic_of: Callable[[int, random.Random], str], expected: ContextWeights
) -> None:
    examples = with_neighbours(n_articles, topic_of)
    model = baseline.fit(examples, Topics("single", NAMES), PARAMS.section("baseline"), 1)
    assert model.context == expected


@pytest.mark.parametrize("n_articles", [1, 10])
def test_neighbours_that_are_as_similar_as_any_text_are_not_read(n_articles: int) -> None:
    examples = made_up(60, n_articles, [FULL_PASSAGE] * 60)
    rng = np.random.default_rng(0)

    def random_features(texts: Sequence[str]) -> Array:
        return rng.normal(size=(len(texts), 50))

    score = Rated(examples, lambda weights: 100)
    chosen = choose_context(examples, TOPICS, 0, score, random_features)
    assert chosen == replace(CONTEXT.prior, neighbours=0)
    assert not any(weights.neighbours for weights in score.tests)
    assert choose_context(examples, TOPICS, 0, score, coherent) == CONTEXT.prior
