"""The code of README and docs/ runs as it stands, a page at a time, in a copy of a project."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.pages import PAGES, README, blocks
from tests.programs import ROOT, runs, sh

LONGEST_README = 900  # words
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page: Path, run_page: Callable[[str], Path]) -> None:
    assert run_page(page.name).exists()  # it fails where a command does


def test_an_experiment_runs_and_appears_with_its_name(run_page: Callable[[str], Path]) -> None:
    project = run_page("mlflow-and-dvc.md")  # which runs the experiment
    found = runs(project)
    assert found["baseline · milder"] == "milder"
    assert "transformer · milder" not in found  # it is as it was
    assert sh(project, "git", "status", "--porcelain", "params.yaml", "models", "reports") == ""
    assert "baseline.strengths" in sh(project, "dvc", "params", "diff", "HEAD", "milder")
    assert "baseline" in sh(project, "dvc", "metrics", "diff", "HEAD", "milder")
    sh(project, "dvc", "plots", "show")
    page = (project / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert (
        '"title": "actual"' in page and "transformer/reliability.csv" in page and ".png" not in page
    )


def test_mode_multi_runs_through_the_whole_pipeline(run_page: Callable[[str], Path]) -> None:
    project = run_page("several-topics.md")  # which runs the experiment
    sh(project, "dvc", "exp", "apply", "several")
    report = json.loads((project / "reports/transformer/metrics.json").read_text())
    assert {"macro_f1", "micro_f1", "map", "subset_accuracy", "naming"} <= set(report)
    assert report["n"] == 25 and list(report["naming"]["thresholds"]) == list(report["topics"])
    labels = pd.read_csv(project / "seeds/labels.csv", keep_default_na=False)["topics"]
    for name, values in report["topics"].items():
        assert values["support"] == labels.str.split(";").map(lambda some, n=name: n in some).sum()
    comparison = json.loads((project / "reports/comparison.json").read_text())
    assert set(comparison["models"]) == {"dummy", "baseline", "transformer"}
    said = pd.read_csv(project / "reports/baseline/predictions.csv", keep_default_na=False)
    true, predicted = (said[column].str.split(";").map(set) for column in ("true", "predicted"))
    assert (true.map(len) > 1).any()
    assert said["right"].tolist() == (true == predicted).tolist()
    pairs = pd.read_csv(project / "reports/baseline/confusion.csv")
    assert set(pairs["actual"]) <= {*report["topics"], "(none)"}
    assert "topics per paragraph" in sh(project, "paratopic", "report")
    card = (project / "models/transformer/README.md").read_text(encoding="utf-8")
    assert "any number of 4 topics" in card and "| micro-F1 |" in card
    answers = sh(project, "paratopic", "predict", "--json", *map(str, project.glob("seeds/*.txt")))
    assert all(isinstance(json.loads(line)["topics"], list) for line in answers.splitlines())
    assert "hand labels are doubtful" in sh(project, "paratopic", "review")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_are_code_that_runs_or_output(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(blocks(page))
    assert {language for language, _ in blocks(page)} <= {"bash", "python", "text"}


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "benchmarks/README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_two_commands_do_everything() -> None:
    first = next(code for language, code in blocks(README) if language == "bash")
    assert first.splitlines()[:2] == ["make repro", "make test"]


def test_the_readme_is_a_page() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= LONGEST_README
