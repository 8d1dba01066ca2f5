"""Answers and mistakes, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paratopic.evaluation.intervals import measure
from paratopic.evaluation.outcomes import (
    Answered,
    answer_outcomes,
    answered,
    cautions,
    confusion,
    confusions,
    outcomes,
)
from paratopic.project.topics import NONE, Topics
from tests.samples import held_out

SINGLE = Topics("single", ("trade", "security"))
MULTI = Topics("multi", ("trade", "security"))


def answers_of(
    labels: Sequence[tuple[str, ...]], probabilities: Sequence[tuple[float, float]], topics: Topics
) -> Answered:
    """Answers in two repeats with these mean scores; a weak label does not count."""
    threshold = 1.0 if topics.mode == "single" else 0.5
    given = [*probabilities, (0.1, 0.8)]
    data, table = held_out(topics, [*labels, ("trade",)], given, threshold)
    rows = data.rows.assign(label_source=["hand"] * len(labels) + ["weak"])
    repeats = [
        table.assign(repeat=repeat, **{name: table[name] + shift for name in topics.scores})
        for repeat, shift in enumerate((-0.05, 0.05))
    ]
    return answered(replace(data, rows=rows), pd.concat(repeats))


LABELS = [("trade",), ("security",), ("security",), (), ("trade",), ("security",)]
PROBABILITIES = [(0.9, 0.05), (0.6, 0.3), (0.8, 0.1), (0.2, 0.7), (0.3, 0.2), (0.3, 0.6)]


def test_mistakes_are_answers_that_are_not_the_label_the_most_confident_first() -> None:
    answers = answers_of(LABELS, PROBABILITIES, SINGLE)
    assert answers.right.tolist() == [1, 0, 0, 0, 0, 1]
    shown = answers.mistakes[["id", "label", "answer"]].to_numpy().tolist()
    assert shown == [
        *(["p2", "security", "trade"], ["p3", "", "security"]),
        *(["p1", "security", "trade"], ["p4", "trade", ""]),
    ]
    assert answers.mistakes["certainty"].tolist() == pytest.approx([0.8, 0.7, 0.6, 0.5])
    assert answers.mistakes["most_probable"].tolist() == ["trade", "security", "trade", "trade"]
    assert answers.mistakes["confidence"].tolist() == pytest.approx([0.8, 0.7, 0.6, 0.3])
    assert answers.table["score security"].tolist() == pytest.approx([b for _, b in PROBABILITIES])


@pytest.mark.filterwarnings("error::pandas.errors.PerformanceWarning")
def test_hundreds_of_topics_get_columns_at_once() -> None:
    topics = Topics("single", tuple(f"t{n}" for n in range(300)))
    data, table = held_out(topics, [("t0",), ("t1",)], np.eye(2, 300).tolist())
    answers = answered(data, table)
    assert answers.right.tolist() == [1, 1]
    every = replace(outcomes(data, table), true=np.ones((2, 300), dtype=bool))
    assert "t9 and 290 more: fewer than" in cautions(every, topics.names)[0]


def counts_of(answers: Answered, topics: Topics) -> list[list[int]]:
    """A row for each label, a column for each answer, in the order of the table."""
    table = confusion(answers, topics)
    classes = [*topics.names, NONE]
    assert table["label"].tolist() == [label for label in classes for _ in classes]
    assert table["answer"].tolist() == classes * len(classes)
    return table["count"].to_numpy().reshape(len(classes), -1).tolist()


def test_confusions_count_each_paragraph_once_and_none_of_the_topics() -> None:
    answers = answers_of(LABELS, PROBABILITIES, SINGLE)
    assert counts_of(answers, SINGLE) == [[1, 0, 1], [2, 1, 0], [0, 1, 0]]
    assert confusions(answers, SINGLE) == [
        "security mistaken for trade: 2 of 3 labelled security",
        "trade missed (no topic predicted): 1 of 2 labelled trade",
        "security predicted where there is no topic: 1 of 1 labelled (none)",
    ]
    # A topic that was missed is paired with what was answered.
    labels = [("security", "trade"), ("security",), (), ("security", "trade")]
    probabilities = [(0.9, 0.1), (0.9, 0.1), (0.1, 0.1), (0.9, 0.9)]
    answers = answers_of(labels, probabilities, MULTI)
    assert counts_of(answers, MULTI) == [[2, 0, 0], [1, 1, 1], [0, 0, 1]]


def test_a_paragraph_with_several_topics_is_right_if_all_are() -> None:
    labels = [("security", "trade"), ("trade",), (), ("trade", "security")]
    probabilities = [(0.9, 0.8), (0.6, 0.7), (0.2, 0.7), (0.9, 0.3)]
    answers = answers_of(labels, probabilities, MULTI)
    assert answers.right.tolist() == [1, 0, 0, 0]
    assert answers.table["answer"].tolist()[:2] == ["trade;security"] * 2
    assert answers.table["certainty"][3] == pytest.approx(0.9 * 0.7)
    assert confusions(answers, MULTI) == [
        "security wrongly predicted: 2 of 3 predicted",
        "security missed: 1 of 2 labelled security",
    ]


def test_labels_that_were_looked_for_measure_no_topic() -> None:
    labels = [("trade",), *[("security",), ()] * 10, ("trade",), ("trade",)]
    scores = [(0.1, 0.8), *[(0.1, 0.8), (0.1, 0.1)] * 10, (0.9, 0.05), (0.9, 0.05)]
    data, table = held_out(SINGLE, labels, scores)
    for n_drawn, present in ((21, [True, True, True]), (20, [False, True, True])):
        # The chosen ones came before the draws, so that each stands for itself.
        drawn = [n < 21 and (n or n_drawn == 21) for n in range(len(labels))]
        rows = data.rows.assign(
            frame="",
            draw=["paragraph" if each else "" for each in drawn],
            weight=[1.0 if each else 0.01 for each in drawn],
        )
        outcome = answer_outcomes(replace(data, rows=rows), table)
        assert outcome.present.tolist() == present
        trade = measure(outcome, outcome, 0.95, 100, 0)["recall", 0].value
        assert trade == pytest.approx(0.02 / 1.02 if present[0] else 0)
