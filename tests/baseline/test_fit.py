"""The baseline's fit on many examples: fewer terms, and a strength chosen on some of them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from paratopic.baseline import fit as baseline
from paratopic.inference.scores import Integers, one_hot
from paratopic.project.topics import Topics
from paratopic.training.examples import Examples
from tests.samples import PARAMS, WORDS, paragraph

NAMES = tuple(WORDS)


def made_up(n: int) -> Examples:
    """Examples of each topic in turn, in groups of two; each has a number that no other has."""
    rng = random.Random(3)
    texts = [f"{paragraph(NAMES[row % 3], rng)} {1000 + row}" for row in range(n)]
    groups = np.arange(n) // 2
    return Examples(texts, one_hot(np.arange(n) % 3, 3), groups, groups)


def test_terms_of_one_text_are_dropped_where_there_are_many_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examples, topics = made_up(60), Topics("single", NAMES)
    few = baseline.fit(examples, topics, PARAMS.baseline, 1)
    monkeypatch.setattr(baseline, "MANY_TEXTS", 60)
    many = baseline.fit(examples, topics, PARAMS.baseline, 1)
    terms = [set(model._union.features["words"].terms) for model in (few, many)]
    assert terms[1] < terms[0] and {"1000", "1059"} <= terms[0] - terms[1]
    assert (many.predict_proba(examples.texts).argmax(axis=1) == examples.labels).mean() > 0.9


def test_the_strength_is_chosen_on_a_draw_of_whole_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, groups = np.arange(3, 90), np.arange(90) // 2
    monkeypatch.setattr(baseline, "MOST_TO_CHOOSE", 30)
    drawn = baseline._draw(rows, groups, 1)
    assert 28 <= len(drawn) <= 30 and set(drawn) <= set(rows)
    assert set(rows[np.isin(groups[rows], groups[drawn])]) == set(drawn)
    assert (drawn == baseline._draw(rows, groups, 1)).all()
    assert set(drawn) != set(baseline._draw(rows, groups, 2))
    # Few rows, or groups so big that a draw could miss topics, are taken whole.
    assert len(baseline._draw(rows[:30], groups, 1)) == 30
    assert len(baseline._draw(rows, np.arange(90) // 10, 1)) == len(rows)


def test_the_history_has_the_strengths_in_the_order_of_the_params() -> None:
    examples, topics = made_up(60), Topics("single", NAMES)
    losses = {}
    for strengths in ((1.0, 10.0, 100.0), (100.0, 1.0, 10.0)):
        section = replace(PARAMS.baseline, strengths=strengths)
        history = baseline.fit(examples, topics, section, 1).history
        assert tuple(history["C"]) == strengths
        losses[strengths] = history.set_index("C")["log_loss"].sort_index().tolist()
    one, other = losses.values()
    assert one == other and len(set(one)) == 3


def test_of_strengths_with_like_losses_the_one_that_predicts_rare_topics_is_taken() -> None:
    """Eight in ten texts have one topic: log loss alone leaves the rare ones unpredicted."""
    rng = np.random.default_rng(4)
    words = {name: [f"{name}{n}" for n in range(15)] for name in ("usual", "rare", "seldom")}
    common = [f"word{n}" for n in range(60)]

    def write(topic: str) -> str:
        return " ".join([*rng.choice(words[topic], 1), *rng.choice(common, 12)])

    def draw(n: int) -> tuple[list[str], Integers]:
        labels = rng.choice(3, n, p=[0.8, 0.1, 0.1])
        return [write(list(words)[label]) for label in labels], labels

    (texts, labels), (tests, true) = draw(80), draw(600)
    numbers = np.arange(len(texts))
    examples = Examples(texts, one_hot(labels, 3), numbers, numbers)
    macro_f1 = {}
    for strengths in ((1.0, 10.0, 100.0), (0.1, 1.0, 10.0, 100.0)):
        section = replace(PARAMS.baseline, strengths=strengths)
        model = baseline.fit(examples, Topics("single", tuple(words)), section, 1)
        predicted = model.predict_proba(tests).argmax(axis=1)
        macro_f1[len(strengths)] = f1_score(true, predicted, average="macro")
    assert macro_f1[4] > macro_f1[3] + 0.05
