"""Tables of the report, worked by hand."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from paratopic.evaluation.intervals import Difference, Estimate
from paratopic.evaluation.model_report import (
    LOSS_REASON,
    Abstention,
    Context,
    OutOfFold,
    Sure,
    abstention,
    context_in_words,
    naming,
    reliability_table,
)
from paratopic.evaluation.outcomes import Outcomes, prediction_outcomes
from paratopic.inference.modes import NEVER, Calibration, mode_of
from paratopic.project.params import Calibrate
from paratopic.project.topics import Topics
from tests.reports import final, metrics
from tests.samples import held_out

NAMES = ("trade", "technology", "security")
PROMISE = Calibrate(0.9, 0.95)


def test_naming_by_hand() -> None:
    topics, scores = Topics("multi", NAMES), [[0.6, 0.3, 0.1], [0.05, 0.9, 0.05]]
    data, table = held_out(topics, [["trade"], []], scores, 0.5)
    calibration = Calibration(thresholds=(0.5, 0.4, 0.3))
    out_of_fold = OutOfFold(table, pd.DataFrame(), calibration, PROMISE)
    predictions = prediction_outcomes(data, table)
    assert asdict(naming(predictions, NAMES, out_of_fold)["naming"]) == {
        "thresholds": {"trade": 0.5, "technology": 0.4, "security": 0.3},
        "topics_a_paragraph": pytest.approx(0.5),
        "named_a_paragraph": pytest.approx(1),
    }


def test_abstention_by_hand() -> None:
    # Five paragraphs have a topic, one has none. The two most probable predictions are right.
    labels = [["trade"], ["trade"], ["trade"], ["security"], ["security"], []]
    probabilities = [[0.9, 0.05, 0.05], [0.7, 0.1, 0.1], [0.2, 0.6, 0.1], [0.0, 0.0, 0.5]]
    probabilities += [[0.3, 0.2, 0.4], [0.48, 0.0, 0.0]]
    data, scores = held_out(Topics("single", NAMES), labels, probabilities)
    # Two paragraphs that follow each other are a group.
    predictions = replace(prediction_outcomes(data, scores), groups=np.arange(6) // 2)
    assert predictions.predicted[0, :, -1].tolist() == [False] * 5 + [True]

    def effect(threshold: float) -> Abstention:
        out_of_fold = OutOfFold(scores, pd.DataFrame(), Calibration(sure=threshold), PROMISE)
        return abstention(predictions, NAMES, out_of_fold)["abstention"]

    sure = effect(0.65).sure
    assert sure == Sure(0.65, 0.9, sure.share, precision=1, groups_needed=44, groups=3)
    assert effect(0.65).auroc_topical == 1 and sure.share == pytest.approx(2 / 6)
    # A paragraph without a predicted topic has no sure prediction, even with a threshold of 0.
    assert effect(0.0).sure.share == pytest.approx(5 / 6)
    assert effect(NEVER).sure == replace(sure, threshold=None, share=0, precision=None)


def test_reliability_counts_one_prediction_a_row_in_mode_single() -> None:
    true = np.array([[True, False], [True, False]])
    scores = np.array([[[0.95, 0.05], [0.35, 0.65]]])
    mode = mode_of("single")
    table = reliability_table(Outcomes(mode, true, np.arange(2), scores, mode.candidates(scores)))
    assert table["confidence"].tolist() == [0.65, 0.95]
    assert table["accuracy"].tolist() == [0, 1] and table["n"].tolist() == [1, 1]


GAIN = Difference(0.0512, -0.01, 0.1, 0.1)


def test_parts_that_are_read_are_named_with_their_weight_and_gain() -> None:
    def sentences(gain: Difference | None = GAIN, **weights: float) -> str:
        context = None if gain is None else Context(gain)
        return context_in_words(final(context=weights), metrics(context=context))

    assert sentences() == sentences(None) == "reads each paragraph alone."
    all_parts = sentences(neighbours=0.6, heading=0.3, title=0.3)
    assert all_parts.count("0.3") == 2 and "its neighbours (weight 0.6)" in all_parts
    line = sentences(title=0.3)
    assert "(weight 0.3)" in line
    assert "+0.051 (−0.010 to +0.100)" in line and LOSS_REASON not in line
    assert sentences(replace(GAIN, value=-0.05), heading=0.3).endswith(LOSS_REASON)
    assert "not measured" in sentences(None, heading=0.3)


def figure(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1)


def test_main_figures_are_those_of_predictions() -> None:
    all_figures = {"macro_f1": figure(0.8), "accuracy": figure(0.9), "log_loss": figure(0.5)}
    all_figures |= {"answer_macro_f1": figure(0.6), "answer_accuracy": figure(0.7)}
    all_figures |= {"coverage": figure(0.4), "recall": figure(0.3), "precision": figure(0.2)}
    figures = metrics(figures=all_figures).main
    assert list(figures.items()) == [
        *(("answer_macro_f1", 0.6), ("answer_macro_f1_low", 0.5), ("answer_macro_f1_high", 0.7)),
        *(("answer_accuracy", 0.7), ("precision", 0.2), ("recall", 0.3), ("coverage", 0.4)),
        *(("macro_f1", 0.8), ("log_loss", 0.5)),
    ]
    several = {"macro_f1": figure(0.8), "subset_accuracy": figure(0.3), "log_loss": figure(0.5)}
    figures = metrics("multi", figures=several).main
    assert (figures["macro_f1"], figures["subset_accuracy"]) == (0.8, 0.3)
    assert not {"coverage", "precision", "recall"} & figures.keys()
    assert metrics(n=0).main == {}  # nothing was measured
