"""`paratopic report`: what is printed of the comparison, and the next steps."""

from __future__ import annotations

import re
import shutil
import webbrowser
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest

from paratopic.cli import report
from paratopic.cli.project import Project
from paratopic.cli.report import ACTIVATE
from paratopic.corpus.labelled import SAMPLE_SCHEMA, VOTES_SCHEMA
from paratopic.corpus.table import write_metadata
from paratopic.evaluation.comparison import Lead
from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.report import Abstention, Naming
from paratopic.labels.agreement import Agreement
from paratopic.project.files import (
    COMPARISON,
    METADATA,
    MODEL_REPORTS,
    PARAMS,
    PREPARED,
    SCORES,
    WHOLE_PAGE,
    write_text,
)
from tests.programs import ROOT, Cli
from tests.reports import compared, metrics, prepared, sure
from tests.samples import PARAMS as PARAMETERS
from tests.samples import paragraph_table, write_labelled

FIGURES = {
    "answer_macro_f1": Estimate(0.695, 0.4, 0.82),
    "coverage": Estimate(0.683, 0.4, 0.886),
    "brier": Estimate(0.3, 0.2, 0.4),
}
KNOWN = dict.fromkeys(FIGURES, Estimate(0.1))
# What is promised of sure predictions: with few labels nothing.
FEW, WRONG, MANY = sure(None, groups=21), sure(None, groups=44), sure(0.8, share=0.21)


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's folder with the reports of one model, and no active environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    comparison = compared(
        models={"dummy": KNOWN, "baseline": FIGURES, "transformer": FIGURES},
        notes=["one article: expect lower figures on new articles"],
        differences={"baseline - dummy": Lead(0.557, 0.4, 0.7, p=0.0235, significant=True)},
        annotators=Agreement(("Ann", "Bo"), paragraphs=5, alpha=0.8, macro_f1=0.9),
    )
    shutil.copy(ROOT / PARAMS, PARAMS)
    comparison.save(COMPARISON)
    prepared(labelled_by={"hand": 5}).save(PREPARED)


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
    people = "2 annotators .* 5 paragraphs .*macro-F1 0.900 .* alpha 0.800"
    assert re.search(people, " ".join(printed.split()))


@pytest.mark.parametrize(
    ("sure", "told"),
    [
        (FEW, r"90% .* at least 44 distinct labelled articles .* 21\.$"),
        (WRONG, r"100 of 300 answers are wrong, .* 90%"),
        (MANY, r"at least 0\.80 .*\(21% of paragraphs\); at least 90%"),
    ],
)
def test_report_says_what_the_thresholds_do(
    monkeypatch: pytest.MonkeyPatch, cli: Cli, sure: Abstention, told: str
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = MODEL_REPORTS / "baseline" / "metrics.json"
    figures = {"coverage": Estimate(0.36), "recall": Estimate(0.7)}
    precise = figures | {"precision": Estimate(0.85)}
    metrics(n=300, mistakes=100, abstention=sure, figures=precise).save(path)
    line = rf"(?m)^baseline: .*36% .*\(coverage\).*{{}}70% .*\(recall\).*{told}"
    assert re.search(line.format(r"85% .*\(precision\).*"), cli("report"))
    # No topic is predicted for any paragraph.
    metrics(n=300, mistakes=100, abstention=sure, figures=figures).save(path)
    assert re.search(line.format(""), printed := cli("report")) and "(precision)" not in printed
    metrics("multi", naming=Naming({}, 1.5, 1.234)).save(path)
    assert re.search(r"(?m)^baseline: .*1\.23 topics.*1\.50", cli("report"))


def test_dvc_is_asked_once(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    frame = paragraph_table(text=["Tariffs rose."], label_source=["hand"], label=[["trade"]])
    write_labelled(frame)
    write_metadata(frame[["id"]], METADATA)
    asked = Mock(return_value={"compare": [{"changed outs": {"a.json": "modified"}}]})
    monkeypatch.setattr("paratopic.cli.project._dvc_status", asked)
    assert "note: a.json changed since these figures were made" in cli("report")
    asked.assert_called_once()


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
    monkeypatch.setattr(report, "_on_request", lambda project: None)
    monkeypatch.setattr(report, "render_page", lambda *_: "<!doctype html>")
    printed = cli("report", "--open")
    assert f"written: {WHOLE_PAGE.resolve()}\n" in printed
    assert ("There is no browser here" in printed) == (not browser)
    COMPARISON.unlink()
    assert f"{COMPARISON} not found" in cli("report", "--open", status=1)
    PARAMS.unlink()
    for words in ((), ("--open",)):
        assert "not a paratopic project" in cli("report", *words, status=1)
    assert opened == [WHOLE_PAGE.resolve().as_uri()]


def test_where_labels_changed_the_page_says_so_and_has_no_figures_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = SCORES / "baseline" / "scores.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"id": []}).to_parquet(path)
    monkeypatch.setattr("paratopic.cli.project.changes_since", lambda params, champion: "a.csv")
    frame = paragraph_table(text=["Tariffs rose."])
    votes, sample = (frame[:0].reindex(columns=s.names) for s in (VOTES_SCHEMA, SAMPLE_SCHEMA))
    asked = report._on_request(Project(PARAMETERS, frame, votes, sample, []))
    changed = "a.csv changed since the last scores: run `dvc repro` first"
    assert asked["shares"] == asked["mistakes"] == changed
