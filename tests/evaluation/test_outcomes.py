"""Predictions and mistakes, worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from paratopic.evaluation.intervals import measure
from paratopic.evaluation.outcomes import (
    EvaluatedPredictions,
    cautions,
    confusion,
    confusions,
    evaluated_predictions,
    outcomes,
    prediction_outcomes,
)
from paratopic.project.topics import NO_TOPIC_SHORT, Topics
from tests.samples import held_out

SINGLE = Topics("single", ("trade", "security"))
MULTI = Topics("multi", ("trade", "security"))


def predictions_with(
    labels: Sequence[tuple[str, ...]], probabilities: Sequence[tuple[float, float]], topics: Topics
) -> EvaluatedPredictions:
    """Predictions in two repeats with these mean scores; a weak label is not evaluated."""
    threshold = 1.0 if topics.mode == "single" else 0.5
    scores = [*probabilities, (0.1, 0.8)]
    data, table = held_out(topics, [*labels, ("trade",)], scores, threshold)
    rows = data.rows.assign(label_source=["hand"] * len(labels) + ["weak"])
    repeats = []
    for repeat, shift in enumerate((-0.05, 0.05)):
        shifted = table[topics.score_columns] + shift
        repeats.append(table.assign(repeat=repeat, **shifted))
    return evaluated_predictions(replace(data, rows=rows), pd.concat(repeats))


LABELS = [("trade",), ("security",), ("security",), (), ("trade",), ("security",)]
PROBABILITIES = [(0.9, 0.05), (0.6, 0.3), (0.8, 0.1), (0.2, 0.7), (0.3, 0.2), (0.3, 0.6)]


def test_mistakes_are_predictions_that_differ_from_the_label_the_most_confident_first() -> None:
    predictions = predictions_with(LABELS, PROBABILITIES, SINGLE)
    assert predictions.right.tolist() == [1, 0, 0, 0, 0, 1]
    shown = predictions.mistakes[["id", "label", "answer"]].to_numpy().tolist()
    assert shown == [
        *(["p2", "security", "trade"], ["p3", "", "security"]),
        *(["p1", "security", "trade"], ["p4", "trade", ""]),
    ]
    assert predictions.mistakes["certainty"].tolist() == pytest.approx([0.8, 0.7, 0.6, 0.5])
    assert predictions.mistakes["most_probable"].tolist() == ["trade", "security", "trade", "trade"]
    assert predictions.mistakes["confidence"].tolist() == pytest.approx([0.8, 0.7, 0.6, 0.3])
    assert predictions.table["score security"].tolist() == pytest.approx(
        [b for _, b in PROBABILITIES]
    )


@pytest.mark.filterwarnings("error::pandas.errors.PerformanceWarning")
def test_hundreds_of_topics_get_columns_at_once() -> None:
    topics = Topics("single", tuple(f"t{n}" for n in range(300)))
    data, table = held_out(topics, [("t0",), ("t1",)], np.eye(2, 300).tolist())
    predictions = evaluated_predictions(data, table)
    assert predictions.right.tolist() == [1, 1]
    all_topics = replace(outcomes(data, table), true=np.ones((2, 300), dtype=bool))
    assert "t9 and 290 more: fewer than" in cautions(all_topics, topics.names)[0]


def counts_of(predictions: EvaluatedPredictions, topics: Topics) -> list[list[int]]:
    """A row for each label, a column for each prediction, in the order of the table."""
    table = confusion(predictions, topics)
    classes = [*topics.names, NO_TOPIC_SHORT]
    assert table["label"].tolist() == [label for label in classes for _ in classes]
    assert table["answer"].tolist() == classes * len(classes)
    return table["count"].to_numpy().reshape(len(classes), -1).tolist()


def test_confusions_count_each_paragraph_once_and_none_of_the_topics() -> None:
    predictions = predictions_with(LABELS, PROBABILITIES, SINGLE)
    assert counts_of(predictions, SINGLE) == [[1, 0, 1], [2, 1, 0], [0, 1, 0]]
    assert confusions(predictions, SINGLE) == [
        "security mistaken for trade: 2 of 3 labelled security",
        "trade missed (no topic predicted): 1 of 2 labelled trade",
        "security predicted where there is no topic: 1 of 1 labelled (none)",
    ]
    # A topic that was missed is paired with each wrong prediction.
    labels = [("security", "trade"), ("security",), (), ("security", "trade")]
    probabilities = [(0.9, 0.1), (0.9, 0.1), (0.1, 0.1), (0.9, 0.9)]
    predictions = predictions_with(labels, probabilities, MULTI)
    assert counts_of(predictions, MULTI) == [[2, 0, 0], [1, 1, 1], [0, 0, 1]]


def test_a_paragraph_with_several_topics_is_right_if_all_are() -> None:
    labels = [("security", "trade"), ("trade",), (), ("trade", "security")]
    probabilities = [(0.9, 0.8), (0.6, 0.7), (0.2, 0.7), (0.9, 0.3)]
    predictions = predictions_with(labels, probabilities, MULTI)
    assert predictions.right.tolist() == [1, 0, 0, 0]
    assert predictions.table["answer"].tolist()[:2] == ["trade;security"] * 2
    assert predictions.table["certainty"][3] == pytest.approx(0.9 * 0.7)
    assert confusions(predictions, MULTI) == [
        "security wrongly predicted: 2 of 3 predicted",
        "security missed: 1 of 2 labelled security",
    ]


def test_labels_that_were_looked_for_measure_no_topic() -> None:
    labels = [("trade",), *[("security",), ()] * 10, ("trade",), ("trade",)]
    scores = [(0.1, 0.8), *[(0.1, 0.8), (0.1, 0.1)] * 10, (0.9, 0.05), (0.9, 0.05)]
    data, table = held_out(SINGLE, labels, scores)
    for n_drawn, present in ((21, [True, True, True]), (20, [False, True, True])):
        # Labels that were not drawn have a small weight.
        is_drawn = [n < 21 and (n or n_drawn == 21) for n in range(len(labels))]
        rows = data.rows.assign(
            frame="",
            draw=["paragraph" if drawn else "" for drawn in is_drawn],
            weight=[1.0 if drawn else 0.01 for drawn in is_drawn],
        )
        outcome = prediction_outcomes(replace(data, rows=rows), table)
        assert outcome.present.tolist() == present
        trade = measure(outcome, outcome, 0.95, 100, 0)["recall", 0].value
        assert trade == pytest.approx(0.02 / 1.02 if present[0] else 0)
