"""`paratopic report`: what is printed of the comparison, and the next steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from paratopic.cli.report import ACTIVATE
from paratopic.project.files import write_json, write_text
from paratopic.project.paths import COMPARISON, REPORTS, SUMMARY
from tests.programs import run_cli

SCORES = {
    "macro_f1": {"value": 0.695, "low": 0.4, "high": 0.82},
    "accuracy": {"value": 0.683, "low": 0.4, "high": 0.886},
}
# What is promised of sure predictions: with few labels nothing.
FEW = {"threshold": None, "target": 0.9, "coverage": 0.0, "precision": None, "groups_needed": 44}
MANY = {"threshold": 0.8, "target": 0.9, "coverage": 0.21, "precision": 0.96, "groups_needed": 44}


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's folder with the reports of one model, and no active environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    difference = {"value": 0.557, "p": 0.0235, "significant": True}
    comparison = {
        "models": {"dummy": SCORES, "baseline": SCORES},
        "champion": "baseline",
        "reason": "there is no other model",
        "notes": ["one article: expect lower figures on new articles"],
        "differences": {"baseline - dummy": difference},
        "annotators": {"paragraphs": 5, "macro_f1": 0.9, "alpha": 0.8},
    }
    write_json(COMPARISON, comparison)
    write_text(SUMMARY, "Champion: baseline\n")


def test_report_shows_figures_notes_and_differences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, "report") == 0
    printed = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines()]
    assert ["baseline (champion)", "0.695", "0.400 to 0.820", "0.683"] in cells
    assert ["people (5 paragraphs)", "0.900", "", ""] in cells
    lines = printed.splitlines()
    assert "note: one article: expect lower figures on new articles" in lines
    assert "baseline - dummy: +0.557 macro-F1, p = 0.0235, significant" in lines
    assert "champion: baseline: there is no other model" in lines
    assert "alpha 0.800" in printed


@pytest.mark.parametrize(
    ("measured", "line"),
    [
        (
            {"abstention": {"coverage": 0.36, "precision": 0.85, "sure": FEW}},
            "predicts a topic for 36% of paragraphs (coverage), 85% of them right; none is sure: "
            "to promise 90% takes at least 44 different articles, all right",
        ),
        (
            {"abstention": {"coverage": 0.36, "precision": 0.85, "sure": MANY}},
            "predicts a topic for 36% of paragraphs (coverage), 85% of them right; 21% of "
            "paragraphs have a sure one, of which at least 90% are promised to be right",
        ),
        (
            {"abstention": {"coverage": 0.0, "precision": None, "sure": FEW}},
            "predicts a topic for 0% of paragraphs (coverage)",
        ),
        (
            {"naming": {"named_a_paragraph": 1.234, "topics_a_paragraph": 1.5}},
            "predicts 1.23 topics per paragraph, people chose 1.50",
        ),
    ],
)
def test_report_says_what_the_thresholds_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    measured: dict[str, dict[str, Any]],
    line: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    write_json(REPORTS / "baseline" / "metrics.json", measured | {"split_unit": "article"})
    assert run_cli(monkeypatch, "report") == 0
    assert f"baseline: {line}" in capsys.readouterr().out.splitlines()


def test_activation_comes_first_where_no_environment_is_active(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def commands() -> list[str]:
        assert run_cli(monkeypatch, "report") == 0
        steps = capsys.readouterr().out.partition("Next:\n")[2]
        return [line.strip().partition("  ")[0] for line in steps.splitlines()]

    usual = ["paratopic predict FILE", "make ui", "reports/summary.md"]
    assert commands() == usual
    write_text(ACTIVATE, "")
    assert commands() == ["source .venv/bin/activate", *usual]
    monkeypatch.setenv("VIRTUAL_ENV", str(ACTIVATE.parents[1]))
    assert commands() == usual
