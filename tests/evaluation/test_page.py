"""The page's numbers: intervals, answers, confusions, mistakes and the axes of its charts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy.stats import binomtest

from paratopic.evaluation import figures, page
from paratopic.evaluation.page import Axis, Bar, ModelReport
from paratopic.evaluation.report import NONE
from paratopic.project.topics import Topics

SINGLE = Topics("single", ("trade", "security"))
MULTI = Topics("multi", ("trade", "security"))
EMPTY = pd.DataFrame(columns=["step", "loss"])


def report(
    rows: list[tuple[str, str, float, float]],
    name: str = "baseline",
    training: pd.DataFrame | None = None,
    final: pd.DataFrame = EMPTY,
    metrics: dict[str, Any] | None = None,
) -> ModelReport:
    """A model's report from rows of label, prediction and the probabilities of both topics."""
    predictions = pd.DataFrame(rows, columns=["true", "predicted", "score trade", "score security"])
    predictions["id"] = [f"p{n}" for n in range(len(rows))]
    predictions = predictions.assign(
        article="a",
        heading="",
        text=predictions["id"],
        confidence=predictions[["score trade", "score security"]].max(axis=1),
    )
    if training is None:
        training = pd.DataFrame(columns=["repeat", "fold"])
    return ModelReport(name, 0, metrics or {}, predictions, EMPTY, EMPTY, training, final)


ONE_TOPIC = report(
    [
        ("trade", "trade", 0.9, 0.05),
        ("trade", "security", 0.1, 0.7),
        ("security", "security", 0.2, 0.4),  # below one half: no topic is answered
        ("", "trade", 0.3, 0.1),
        ("", "security", 0.2, 0.6),
    ]
)


def test_intervals_of_bins_are_wilsons_and_stay_possible() -> None:
    bins = pd.DataFrame({"confidence": [0.3, 0.9], "accuracy": [0.5, 1.0], "share": [0.25, 0.75]})
    metrics = {"n": 50, "n_topical": 40, "topics": {}, "confidence": 0.95}
    table = page.reliability(bins, metrics)
    assert table["n"].tolist() == [10, 30]
    expected = [
        binomtest(right, n).proportion_ci(0.95, method="wilson") for right, n in ((5, 10), (30, 30))
    ]
    assert table["low"].tolist() == pytest.approx([interval.low for interval in expected])
    assert table["high"].tolist() == pytest.approx([interval.high for interval in expected])
    assert (table["high"] <= 1).all()
    several = page.reliability(bins, {**metrics, "naming": {}, "topics": {"a": {}, "b": {}}})
    assert several["n"].tolist() == [25, 75]


def test_an_answer_in_mode_single_may_be_none() -> None:
    assert SINGLE.write(page.answers(ONE_TOPIC, SINGLE)) == [
        "trade",
        "security",
        "",
        "",
        "security",
    ]


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
    rows = [("trade", "security", 0.1, 0.8), ("trade", "security", 0.3, 0.4), ("", "trade", 0.6, 0)]
    other = [("trade", "security", 0.4, 0.5), ("trade", "security", 0.1, 0.9), ("", "", 0.3, 0)]
    found = page.second_look([report(rows), report(other, "transformer")], SINGLE)
    assert [m.id for m in found] == ["p0"]
    assert [m.id for m in page.second_look([report(rows)], SINGLE)] == ["p0", "p2"]


@pytest.mark.parametrize(
    ("top", "ticks"),
    [
        (0.97, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (1.0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (2.1, ["0", "0.5", "1", "1.5", "2", "2.5"]),
        (120, ["0", "50", "100", "150"]),
        (7, ["0", "2", "4", "6", "8"]),
        (0, ["0", "0.2"]),
    ],
)
def test_axes_end_at_round_numbers(top: float, ticks: list[str]) -> None:
    assert list(page._up_to("loss", top).ticks.values()) == ticks


def test_the_candidates_for_c_are_evenly_spaced() -> None:
    table = pd.DataFrame({"C": [100.0, 1.0, 10.0], "log_loss": [0.5, 0.6, 0.4]})
    chart = page._training_chart(report([], training=table.assign(repeat=0, fold=0), final=table))
    assert chart is not None
    assert list(map(chart.x.at, chart.x.ticks)) == [0, 0.5, 1]
    assert [line.kind for line in chart.lines] == ["fold", "mean", "baseline"]
    assert Axis("C", {10: "10"}, log=True).at(10) == 0.5


def test_losses_that_were_not_measured_make_no_chart() -> None:
    table = pd.DataFrame({"C": [1.0, 10.0], "log_loss": [float("nan")] * 2})
    history = table.assign(repeat=0, fold=0)
    assert page._training_chart(report([], training=history, final=table)) is None
    assert page._training_chart(report([], name="transformer")) is None


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    table = pd.DataFrame({"step": range(5000), "loss": 1.0})
    chart = page._training_chart(report([], final=table))
    assert chart is not None
    (line,) = chart.lines
    assert len(line.points) == page.N_POINTS
    assert (line.points[0][0], line.points[-1][0]) == (0, 4999)


def test_pictures_have_intervals_a_logarithmic_c_and_no_empty_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(figures, "_save", lambda figure, path: drawn.append(figure))
    history = pd.DataFrame({"repeat": 0, "fold": 0, "C": [1.0, 100.0], "log_loss": [0.5, 0.4]})
    figures.draw_training(history, "title", tmp_path)
    figures.draw_training(history.iloc[:0], "title", tmp_path)
    bins = pd.DataFrame({"confidence": [0.9], "accuracy": [1.0], "n": [3.0]})
    figures.draw_reliability(bins.assign(low=0.4, high=1.0), "interval", "title", tmp_path)
    tuned, nothing, reliability = (figure.axes[0] for figure in drawn)
    assert tuned.get_xscale() == "log"
    assert not nothing.axison and "no training loss" in nothing.texts[0].get_text()
    assert [text.get_text() for text in reliability.texts] == ["3"]
    (bar,) = reliability.collections[0].get_segments()
    assert bar[:, 1].tolist() == [0.4, 1.0]
