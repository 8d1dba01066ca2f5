"""The page's lists of mistakes and risks."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from paratopic.evaluation.model_report import ModelReport
from paratopic.findings import page
from paratopic.project.topics import NO_TOPIC_SHORT, Topics
from tests.reports import final, metrics
from tests.samples import paragraph_table

SINGLE = Topics("single", ("trade", "security"))
MULTI = Topics("multi", ("trade", "security"))


def report(rows: list[tuple[str, str, float, float]]) -> ModelReport:
    """A model's report from rows of label, prediction and the probabilities of both topics."""
    predictions = pd.DataFrame(rows, columns=["label", "answer", "score trade", "score security"])
    predictions["id"] = [f"p{n}" for n in range(len(rows))]
    predictions = predictions.assign(
        article="a",
        heading="",
        text=predictions["id"],
        right=predictions["label"] == predictions["answer"],
    )
    return ModelReport("baseline", final(), metrics(), {"predictions": predictions})


def article(texts: list[str]) -> pd.DataFrame:
    table = paragraph_table(text=texts, ordered=[True] * len(texts))
    return table.assign(id=[f"p{n}" for n in range(len(texts))])


ONE_TOPIC = report(
    [
        *(("trade", "trade", 0.9, 0.05), ("trade", "security", 0.1, 0.7)),
        *(("security", "", 0.2, 0.4), ("", "", 0.3, 0.1), ("", "security", 0.2, 0.6)),
    ]
)


def test_mistakes_come_by_the_probability_of_the_label() -> None:
    mistakes = page.list_mistakes(
        [ONE_TOPIC], SINGLE, article(["first", "x", "y", "word " * 99, "last"])
    )
    assert [m["id"] for m in mistakes] == ["p1", "p4", "p2"]
    first, second, third = mistakes
    assert (first["before"], first["after"]) == ("first", "y")
    # Neighbours are cut between words, on the side that is far from the paragraph.
    assert second["after"] == "" and second["before"] == "… " + " ".join(["word"] * 39)
    assert third["after"] == " ".join(["word"] * 39) + " …"
    assert (first["label"], first["answers"]) == ("trade", {"baseline": "security"})
    # The probability of none of the topics is 1 minus those of the topics.
    topics = [("security", 0.6, False), ("trade", 0.2, False)]
    assert second["bars"] == [*topics, (NO_TOPIC_SHORT, pytest.approx(0.2), True)]


def test_a_mistake_shows_each_topic_of_its_label() -> None:
    rows = [("trade;security", "trade;security", 0.9, 0.9), ("trade", "trade;security", 0.9, 0.45)]
    (mistake,) = page.list_mistakes([report(rows)], MULTI, article(["x", "y"]))
    assert mistake["bars"] == [("trade", 0.9, True), ("security", 0.45, False)]


def test_the_risk_at_a_coverage_is_that_of_the_predictions_up_to_it() -> None:
    curve = pd.DataFrame({"answered": [1 / 3, 2 / 3, 1.0], "risk": [0.0, 0.5, 1 / 3]})
    risks = page.risks_by_coverage([replace(ONE_TOPIC, tables={"risk": curve})])
    expected = {0.25: None, 0.5: 0.0, 0.75: 0.5, 1.0: 1 / 3}
    assert risks == {coverage: {"baseline": risk} for coverage, risk in expected.items()}
