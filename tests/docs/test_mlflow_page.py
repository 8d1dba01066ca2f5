"""The page on MLflow and DVC runs, and its experiment is where people look for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.programs import runs, sh


def test_an_experiment_runs_and_appears_with_its_name(run_page: Callable[[str], Path]) -> None:
    project = run_page("mlflow-and-dvc.md")  # which runs the experiment, and draws the plots
    found = runs(project)
    assert found["baseline · milder"] == "milder"
    assert "transformer · milder" not in found  # it is as it was
    assert sh(project, "git", "status", "--porcelain", "params.yaml", "models", "reports") == ""
    page = (project / "dvc_plots/index.html").read_text(encoding="utf-8")
    assert '"title": "answer"' in page and "transformer: reliability" in page
    assert ".png" not in page
    assert "reports/index.html" in page  # for those without a network
