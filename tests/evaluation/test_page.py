"""The page's numbers: answers, confusions and mistakes."""

from __future__ import annotations

import pandas as pd
import pytest

from paratopic.evaluation import page
from paratopic.evaluation.page import Bar, ModelReport
from paratopic.evaluation.report import NONE
from paratopic.project.topics import Topics

SINGLE = Topics("single", ("trade", "security"))
MULTI = Topics("multi", ("trade", "security"))
EMPTY = pd.DataFrame()


def report(rows: list[tuple[str, str, float, float]], name: str = "baseline") -> ModelReport:
    """A model's report from rows of label, answer and the probabilities of both topics."""
    predictions = pd.DataFrame(rows, columns=["true", "answer", "score trade", "score security"])
    predictions["id"] = [f"p{n}" for n in range(len(rows))]
    predictions = predictions.assign(
        article="a",
        heading="",
        text=predictions["id"],
        confidence=predictions[["score trade", "score security"]].max(axis=1),
    )
    return ModelReport(name, {}, {}, predictions, EMPTY, EMPTY, EMPTY, EMPTY)


ONE_TOPIC = report(
    [
        ("trade", "trade", 0.9, 0.05),
        ("trade", "security", 0.1, 0.7),
        ("security", "", 0.2, 0.4),
        ("", "", 0.3, 0.1),
        ("", "security", 0.2, 0.6),
    ]
)


def test_confusions_count_each_paragraph_once_and_none_of_the_topics() -> None:
    assert page.confusion(ONE_TOPIC, SINGLE) == {
        "trade": {"trade": 1, "security": 1, NONE: 0},
        "security": {"trade": 0, "security": 0, NONE: 1},
        NONE: {"trade": 0, "security": 1, NONE: 1},
    }


def test_a_topic_that_was_missed_is_paired_with_what_was_answered() -> None:
    rows = [
        ("security;trade", "trade", 0.9, 0.1),
        ("security", "trade", 0.9, 0.1),
        ("", "", 0.1, 0.1),
        ("security;trade", "trade;security", 0.9, 0.9),
    ]
    assert page.confusion(report(rows), MULTI) == {
        "trade": {"trade": 2, "security": 0, NONE: 0},
        "security": {"trade": 1, "security": 1, NONE: 1},
        NONE: {"trade": 0, "security": 0, NONE: 1},
    }


def test_mistakes_come_by_the_probability_of_the_label() -> None:
    mistakes = page.worst([ONE_TOPIC], SINGLE)
    assert [m.id for m in mistakes] == ["p1", "p4", "p2"]
    first, second, _ = mistakes
    assert (first.label, first.answers) == ("trade", {"baseline": "security"})
    # None of the topics has what the topics leave.
    assert [(b.name, b.labelled) for b in second.bars] == [
        *(("security", False), ("trade", False), (NONE, True))
    ]
    assert [b.probability for b in second.bars] == pytest.approx([0.6, 0.2, 0.2])


def test_labels_written_in_another_order_are_no_mistakes() -> None:
    rows = [("security;trade", "trade;security", 0.9, 0.9), ("trade", "trade;security", 0.9, 0.45)]
    (mistake,) = page.worst([report(rows)], MULTI)
    assert mistake.bars == [Bar("trade", 0.9, True), Bar("security", 0.45, False)]


def test_labels_are_doubtful_where_each_model_finds_another_topic_probable() -> None:
    rows = [("trade", "security", 0.1, 0.8), ("trade", "", 0.3, 0.4), ("", "trade", 0.6, 0)]
    other = [("trade", "security", 0.4, 0.5), ("trade", "security", 0.1, 0.9), ("", "", 0.3, 0)]
    found = page.second_look([report(rows), report(other, "transformer")], SINGLE)
    assert [m.id for m in found] == ["p0"]
    assert [m.id for m in page.second_look([report(rows)], SINGLE)] == ["p0", "p2"]
