"""How much is read around texts is chosen on articles that are held out, and seldom changed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from paratopic.baseline import fit as baseline
from paratopic.inference.head import ContextWeights
from paratopic.inference.modes import Array, Integers, Scores, one_hot
from paratopic.project.passages import Passage
from paratopic.project.texts import Text, numbered
from paratopic.project.topics import Topics
from paratopic.training import examples as room
from paratopic.training.examples import LEAST_ARTICLES, OTHERS, PRIOR, Examples, choose_context
from tests.samples import PARAMS, WORDS, paragraph

NAMES = tuple(WORDS)
TOPICS = Topics("single", NAMES)
WHOLE = Passage("Text.", "Before.", "After.", "Heading", "Title")
NEIGHBOURS, NOTHING = ContextWeights(neighbours=0.6), ContextWeights()


def made_up(n: int, n_articles: int, texts: Sequence[Text] = ()) -> Examples:
    """Examples of three topics in turn, dealt to articles."""
    numbers = np.arange(n)
    articles = numbers % n_articles
    return Examples(
        numbered(list(texts) or [WHOLE] * n), one_hot(numbers // 2 % 3, 3), articles, articles
    )


def never(weights: ContextWeights, train: Integers, test: Integers) -> Scores:
    raise AssertionError("there is nothing to choose")


def coherent(texts: Sequence[str]) -> Array:
    """Each text is like its own neighbour, and like no other."""
    return np.eye(len(texts))


class Rated:
    """Scores that are right in as many of a hundred rows as a rating of the weights says.

    The rows in which those of `PRIOR` are right are others.
    """

    def __init__(self, examples: Examples, rating: Callable[[ContextWeights], int]) -> None:
        self.examples, self._rating = examples, rating
        self.tests: dict[ContextWeights, list[int]] = {}

    def __call__(self, weights: ContextWeights, train: Integers, test: Integers) -> Scores:
        articles = self.examples.articles
        assert not set(articles[train]) & set(articles[test])
        self.tests.setdefault(weights, []).extend(test.tolist())
        right = test * (37 if weights == PRIOR else 53) % 100 < self._rating(weights)
        targets = self.examples.targets[test]
        answers = np.where(right[:, None], targets, np.roll(targets, 1, axis=1))
        return np.asarray(0.1 + 0.7 * answers)


NUMBERS = np.arange(9)


@pytest.mark.parametrize(
    "examples",
    [
        made_up(0, 1),
        made_up(120, 1),
        made_up(120, LEAST_ARTICLES - 1),
        # Of nine rows, three have each topic: scikit-learn deals them to three folds at most.
        Examples(numbered([WHOLE] * 9), one_hot(NUMBERS % 3, 3), NUMBERS, NUMBERS),
    ],
    ids=["no examples", "one article", "few articles", "few of each topic"],
)
def test_few_labels_choose_nothing(examples: Examples) -> None:
    assert choose_context(examples, TOPICS, 0, never, coherent) == PRIOR


@pytest.mark.parametrize("best", OTHERS)
def test_labels_of_enough_articles_choose_what_is_much_better(best: ContextWeights) -> None:
    examples = made_up(120, LEAST_ARTICLES)
    score = Rated(examples, lambda weights: 95 if weights == best else 50)
    assert choose_context(examples, TOPICS, 0, score, coherent) == best
    # Every row is held out once with each of the weights.
    assert set(score.tests) == {PRIOR, *OTHERS}
    assert all(sorted(tests) == list(range(120)) for tests in score.tests.values())


def test_what_is_better_by_no_more_than_chance_explains_is_not_chosen() -> None:
    examples = made_up(100, 10)

    def chosen(rating: int) -> ContextWeights:
        score = Rated(examples, lambda weights: rating if weights == NOTHING else 80)
        return choose_context(examples, TOPICS, 0, score, coherent)

    assert [chosen(rating) for rating in (60, 80, 82, 95)] == [PRIOR, PRIOR, PRIOR, NOTHING]


@pytest.mark.parametrize(
    ("passage", "expected"),
    [
        (WHOLE, PRIOR),
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
    monkeypatch.setattr(room, "MOST_TO_CHOOSE", 50)
    examples = made_up(200, 10)
    examples.targets[::2] = False
    drawn = []
    for seed in (0, 0, 1):
        score = Rated(examples, lambda weights: 80)
        choose_context(examples, TOPICS, seed, score, coherent)
        drawn.append(sorted(score.tests[PRIOR]))
    first, again, other = drawn
    assert len(set(first)) == 50 and len({row % 2 for row in first}) == 2
    assert first == again != other


def with_neighbours(n_articles: int, topic_of: Callable[[int, random.Random], str]) -> Examples:
    """Articles of six paragraphs of one topic, of which each text tells little."""
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
def test_neighbours_are_read_where_they_share_the_topic(
    n_articles: int, topic_of: Callable[[int, random.Random], str], expected: ContextWeights
) -> None:
    examples = with_neighbours(n_articles, topic_of)
    model = baseline.fit(examples, Topics("single", NAMES), PARAMS.section("baseline"), 1)
    assert model.context == expected


@pytest.mark.parametrize("n_articles", [1, 10])
def test_neighbours_that_are_like_any_texts_are_not_read(n_articles: int) -> None:
    examples = made_up(60, n_articles, [WHOLE] * 60)
    rng = np.random.default_rng(0)

    def unlike(texts: Sequence[str]) -> Array:
        return rng.normal(size=(len(texts), 50))

    score = Rated(examples, lambda weights: 100)
    chosen = choose_context(examples, TOPICS, 0, score, unlike)
    assert chosen == replace(PRIOR, neighbours=0)
    assert not any(weights.neighbours for weights in score.tests)
    assert choose_context(examples, TOPICS, 0, score, coherent) == PRIOR
