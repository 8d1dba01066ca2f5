"""`paratopic report`: what is printed of the comparison, and the next steps."""

from __future__ import annotations

import shutil
import webbrowser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from paratopic.cli import report
from paratopic.cli.report import ACTIVATE
from paratopic.project.files import (
    COMPARISON,
    MODEL_REPORTS,
    PARAMS,
    PREPARED,
    SCORES,
    WHOLE_PAGE,
    write_json,
    write_text,
)
from tests.programs import ROOT, Cli

FIGURES = {
    "answer_macro_f1": {"value": 0.695, "low": 0.4, "high": 0.82},
    "coverage": {"value": 0.683, "low": 0.4, "high": 0.886},
    "brier": {"value": 0.3, "low": 0.2, "high": 0.4},
}
KNOWN = {metric: {"value": 0.1, "low": None, "high": None} for metric in FIGURES}
# What is promised of sure predictions: with few labels nothing.
NEEDED = {"target": 0.9, "groups_needed": 44}
FEW = NEEDED | {"threshold": None, "share": 0.0, "precision": None, "groups": 21}
WRONG = FEW | {"groups": 44}
MANY = NEEDED | {"threshold": 0.8, "share": 0.21, "precision": 0.96, "groups": 80}


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's folder with the reports of one model, and no active environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    difference = {"value": 0.557, "p": 0.0235, "significant": True}
    comparison = {
        "mode": "single",
        "models": {"dummy": KNOWN, "baseline": FIGURES, "transformer": FIGURES},
        "champion": "baseline",
        "reason": "there is no other model",
        "notes": ["one article: expect lower figures on new articles"],
        "differences": {"baseline - dummy": difference},
        "annotators": {"annotators": ["Ann", "Bo"], "paragraphs": 5, "macro_f1": 0.9, "alpha": 0.8},
    }
    shutil.copy(ROOT / PARAMS, PARAMS)
    write_json(COMPARISON, comparison)
    write_json(PREPARED, {"labelled_by": {"hand": 5}})


def test_report_shows_figures_notes_and_differences(
    monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    printed = cli("report")
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines()]
    figures = "0.695 (0.400–0.820)"
    assert ["macro-F1 of answers", "0.100", figures, figures] in cells
    assert ["coverage", "0.100", *2 * ["0.683 (0.400–0.886)"]] in cells
    assert "Brier" not in printed
    lines = printed.splitlines()
    assert "note: one article: expect lower figures on new articles" in lines
    assert "baseline − dummy: +0.557 macro-F1 of answers, p = 0.0235, significant" in lines
    assert "champion: baseline: there is no other model" in lines
    people = "2 annotators labelled 5 paragraphs more than once: macro-F1 0.900 against each other"
    shown = f"{people}, which a model can hardly exceed; Krippendorff's alpha 0.800"
    assert shown in " ".join(printed.split())


COVERAGE = "predicts a topic for 36% of paragraphs (coverage)"
PRECISION = "; 85% of the predicted topics are right (precision)"
RIGHT = f"{COVERAGE}{PRECISION}; 70% of the paragraphs with a topic get it (recall)"
UNSURE = f"{RIGHT}. No prediction is marked sure"


@pytest.mark.parametrize(
    ("sure", "line"),
    [
        (
            FEW,
            f"{UNSURE}: to promise that 90% of the sure ones are right takes at least 44 distinct "
            "labelled articles with a topic, and there are 21.",
        ),
        (
            WRONG,
            f"{UNSURE}: 100 of 300 answers are wrong, too many to promise that 90% of the sure "
            "ones are right.",
        ),
        (
            MANY,
            f"{RIGHT}. Predictions with a probability of at least 0.80 are marked sure (21% of "
            "paragraphs); at least 90% of these are promised to be right.",
        ),
    ],
)
def test_report_says_what_the_thresholds_do(
    monkeypatch: pytest.MonkeyPatch, cli: Cli, sure: dict[str, Any], line: str
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = MODEL_REPORTS / "baseline" / "metrics.json"
    measured = {"split_unit": "article", "n": 300, "mistakes": 100, "coverage": {"value": 0.36}}
    measured |= {"precision": {"value": 0.85}, "recall": {"value": 0.7}}
    measured |= {"abstention": {"sure": sure}}
    write_json(path, {"mode": "single"} | measured)
    assert f"baseline: {line}" in cli("report").splitlines()
    del measured["precision"]  # no topic is predicted for any paragraph
    write_json(path, {"mode": "single"} | measured)
    assert f"baseline: {line.replace(PRECISION, '')}" in cli("report").splitlines()
    naming = {"named_a_paragraph": 1.234, "topics_a_paragraph": 1.5}
    write_json(path, {"mode": "multi", "naming": naming})
    several = "baseline: predicts 1.23 topics per paragraph; people chose 1.50."
    assert several in cli("report").splitlines()


def test_activation_comes_first_where_no_environment_is_active(
    monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    def commands() -> list[str]:
        steps = cli("report").partition("Next:\n")[2]
        return [line.strip().partition("  ")[0] for line in steps.splitlines()]

    usual = ["paratopic predict FILE", "paratopic ui", "paratopic report --open"]
    assert commands() == usual
    write_text(ACTIVATE, "")
    assert commands() == ["source .venv/bin/activate", *usual]
    monkeypatch.setenv("VIRTUAL_ENV", str(ACTIVATE.parents[1]))
    assert commands() == usual


@pytest.mark.parametrize("browser", [True, False])
def test_open_shows_the_page_or_says_where_it_is_or_what_is_missing(
    browser: bool, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    opened: list[str] = []

    def open_page(url: str) -> bool:
        opened.append(url)
        return browser

    monkeypatch.setattr(webbrowser, "open", open_page)
    monkeypatch.setattr(report, "_on_request", lambda: None)
    monkeypatch.setattr(report, "render_page", lambda *_: "<!doctype html>")
    printed = cli("report", "--open")
    assert printed.startswith(f"written: {WHOLE_PAGE.resolve()}\n")
    assert ("There is no browser here" in printed) == (not browser)
    COMPARISON.unlink()
    assert f"{COMPARISON} not found" in cli("report", "--open", status=1)
    PARAMS.unlink()
    for words in ((), ("--open",)):
        assert "this folder is not a paratopic project" in cli("report", *words, status=1)
    assert opened == [WHOLE_PAGE.resolve().as_uri()]


def test_where_labels_changed_the_page_says_so_and_has_no_figures_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = SCORES / "baseline" / "scores.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"id": []}).to_parquet(path)
    monkeypatch.setattr("paratopic.cli.project.read_params", lambda: None)
    monkeypatch.setattr("paratopic.cli.project.changes_since", lambda params, champion: "a.csv")
    asked = report._on_request()
    changed = "a.csv changed since the last scores: run `dvc repro` first"
    assert asked["shares"] == asked["mistakes"] == changed
