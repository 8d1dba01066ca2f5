"""The dummy, the choice of the champion, and what comparison.json and the summary say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from paratopic.evaluation.comparison import (
    Comparison,
    Pair,
    as_json,
    choose_champion,
    majority_scores,
    summary,
    unmeasured,
)
from paratopic.evaluation.intervals import Difference, Estimate
from paratopic.project.topics import ModeName, Topics

SPLIT: dict[str, Any] = {
    "n_folds": 4,
    "n_repeats": 3,
    "split_unit": "article",
    "messages": ["a note"],
}
METRICS = ("macro_f1", "accuracy", "log_loss", "brier", "ece")
TOPICS = Topics("single", ("trade", "security"))


def difference(value: float, p: float) -> Difference:
    return Difference(value, value - 0.1, value + 0.1, p)


@pytest.fixture
def comparison() -> Comparison:
    estimates = {metric: Estimate(0.5, 0.4, 0.6) for metric in METRICS}
    text = "word " * 50
    return Comparison(
        champion="baseline",
        n=20,
        labels="hand",
        models={name: estimates for name in ("dummy", "baseline")},
        differences={Pair("baseline", "dummy"): difference(0.2, 0.2)},
        wrong=pd.DataFrame({"id": ["p1"], "topic": ["trade"], "text": [text], "baseline": [""]}),
    )


@pytest.mark.parametrize("mode", ["single", "multi"])
def test_the_dummy_scores_shares_of_the_training_part(mode: ModeName) -> None:
    rows = pd.DataFrame({"id": list("abcd"), "topic": ["trade", "trade", "security", ""]})
    folds = pd.DataFrame({"id": list("abcd"), "repeat": 0, "fold": [0, 1, 1, 1], "group": range(4)})
    scores = majority_scores(rows, Topics(mode, TOPICS.names), folds)
    first = scores[scores["id"] == "a"].iloc[0]
    assert first[["trade", "security"]].tolist() == pytest.approx([1 / 3, 1 / 3])
    others = scores[scores["id"] != "a"]
    np.testing.assert_array_equal(others[["trade", "security"]].to_numpy(), [[1.0, 0.0]] * 3)
    assert (scores[TOPICS.thresholds] == 0).all(axis=None)


@pytest.mark.parametrize(
    ("value", "p", "champion"),
    [(0.1, 0.04, "transformer"), (0.1, 0.06, "baseline"), (-0.1, 0.04, "baseline")],
)
def test_a_complex_model_must_be_significantly_better(
    value: float, p: float, champion: str
) -> None:
    differences = {Pair("transformer", "baseline"): difference(value, p)}
    assert choose_champion(["baseline", "transformer"], differences, 0.05) == champion


def test_comparison_json(comparison: Comparison) -> None:
    report = as_json(comparison, SPLIT, None, 0.05)
    assert list(report["differences"]) == ["baseline - dummy"]
    assert report["differences"]["baseline - dummy"]["significant"] is False
    assert report["models"]["baseline"]["macro_f1"] == {"value": 0.5, "low": 0.4, "high": 0.6}
    assert (report["n"], report["notes"], report["wrong_by_all"]) == (20, ["a note"], ["p1"])


def test_the_summary_has_figures_differences_and_mistakes(comparison: Comparison) -> None:
    annotators = {
        "annotators": ["ann", "bo"],
        "paragraphs": 7,
        "macro_f1": 0.75,
        "alpha": 0.5,
        "kappa": {"trade": None, "security": 0.25},
    }
    lines = summary(comparison, SPLIT, annotators, TOPICS, 0.95, 0.05).splitlines()
    cells = " | ".join(["0.500 (0.400 to 0.600)"] * len(METRICS))
    for line in (
        "> a note",
        "| model | macro f1 | accuracy | log loss | brier | ece |",
        f"| baseline | {cells} |",
        "- baseline − dummy: +0.200 (+0.100 to +0.300), p = 0.2000, not significant: within noise "
        "at 5%",
        "## Champion: baseline",
        "It is not significantly better than always predicting the most common topic.",
    ):
        assert line in lines
    assert any("alpha 0.500; Cohen's kappa: trade not defined, security 0.250." in x for x in lines)
    assert lines[-1] == f"- **trade** (baseline: none) {' '.join(['word'] * 32)} …"


def test_without_measurements_the_most_complex_model_is_champion() -> None:
    comparison = unmeasured(["baseline", "transformer"])
    assert comparison.champion == "transformer"
    assert as_json(comparison, SPLIT, None, 0.05)["n"] == 0
    text = summary(comparison, SPLIT, None, TOPICS, 0.95, 0.05)
    assert text == (
        "# Comparison of models\n\n> a note\n\n## Champion: transformer\n\n"
        "Not measured: label some paragraphs.\n"
    )
