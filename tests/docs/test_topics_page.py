"""The page on several topics runs, and with it the whole pipeline in mode multi."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tests.programs import sh


def test_mode_multi_runs_through_the_whole_pipeline(run_page: Callable[[str], Path]) -> None:
    project = run_page("several-topics.md")  # which runs the experiment
    sh(project, "dvc", "exp", "apply", "several")
    report = json.loads((project / "reports/models/transformer/metrics.json").read_text())
    assert {"macro_f1", "micro_f1", "map", "subset_accuracy", "naming"} <= set(report)
    assert report["n"] == 25 and list(report["naming"]["thresholds"]) == list(report["topics"])
    labels = pd.read_csv(project / "seeds/labels.csv", keep_default_na=False)["topics"]
    for name, values in report["topics"].items():
        assert values["support"] == labels.str.split(";").map(lambda some, n=name: n in some).sum()
    comparison = json.loads((project / "reports/comparison.json").read_text())
    assert set(comparison["models"]) == {"dummy", "baseline", "transformer"}
    predictions = pd.read_csv(
        project / "reports/models/baseline/predictions.csv", keep_default_na=False
    )
    label, answer = (predictions[column].str.split(";").map(set) for column in ("label", "answer"))
    assert (label.map(len) > 1).any()
    assert predictions["right"].tolist() == (label == answer).tolist()
    pairs = pd.read_csv(project / "reports/models/baseline/confusion.csv")
    assert list(pairs["label"].unique()) == [*report["topics"], "(none)"]
    assert "topics per paragraph" in sh(project, "paratopic", "report")
    card = (project / "reports/models/transformer/card.md").read_text(encoding="utf-8")
    assert "any number of 4 topics" in card and "| micro-F1 |" in card
    answers = sh(project, "paratopic", "predict", "--json", *map(str, project.glob("seeds/*.txt")))
    assert all(isinstance(json.loads(line)["topics"], list) for line in answers.splitlines())
    assert "hand labels doubtful (" in sh(project, "paratopic", "review")
