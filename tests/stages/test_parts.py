"""What stages decide themselves: what the champion is chosen by, and the main figures."""

from __future__ import annotations

import pandas as pd
import pytest

from paratopic.evaluation.estimates import Estimate
from paratopic.project.files import BY_DEFINITIONS, SCORES
from paratopic.stages.compare import _by_definitions
from paratopic.stages.evaluate import main_figures
from tests.reports import metrics


@pytest.mark.usefixtures("here")
def test_definitions_alone_decide_where_all_models_were_scored_by_them() -> None:
    tables = {name: pd.DataFrame({"id": [name]}) for name in ("baseline", "transformer")}
    for name, table in tables.items():
        (SCORES / name).mkdir(parents=True)
        assert _by_definitions(list(tables)) == {}
        table.to_parquet(SCORES / name / BY_DEFINITIONS)
    scores = _by_definitions(list(tables))
    assert {name: table["id"].tolist() for name, table in scores.items()} == {
        name: [name] for name in tables
    }


def figure(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1)


def test_main_figures_are_of_the_answers() -> None:
    of_topics = {"macro_f1": figure(0.8), "accuracy": figure(0.9), "log_loss": figure(0.5)}
    of_answers = {"answer_macro_f1": figure(0.6), "answer_accuracy": figure(0.7)}
    of_answers |= {"coverage": figure(0.4), "recall": figure(0.3), "precision": figure(0.2)}
    figures = main_figures(metrics(figures=of_topics | of_answers))
    assert list(figures.items()) == [
        *(("answer_macro_f1", 0.6), ("answer_macro_f1_low", 0.5), ("answer_macro_f1_high", 0.7)),
        *(("answer_accuracy", 0.7), ("precision", 0.2), ("recall", 0.3), ("coverage", 0.4)),
        *(("macro_f1", 0.8), ("log_loss", 0.5)),
    ]
    several = {"macro_f1": figure(0.8), "subset_accuracy": figure(0.3), "log_loss": figure(0.5)}
    figures = main_figures(metrics("multi", figures=several))
    assert (figures["macro_f1"], figures["subset_accuracy"]) == (0.8, 0.3)
    assert not {"coverage", "precision", "recall"} & figures.keys()
    assert main_figures(metrics(n=0)) == {}  # nothing was measured
