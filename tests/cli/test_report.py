"""`paratopic report` and `status`: metrics, labels and next steps."""

from __future__ import annotations

import re
import shutil
import webbrowser
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pandas as pd
import pytest

from paratopic.cli import report
from paratopic.cli.report import ACTIVATE, count_labels, missing_notes
from paratopic.corpus.labelled import SAMPLE_SCHEMA, VOTES_SCHEMA, Labelled, labelled_in
from paratopic.corpus.table import write_metadata
from paratopic.evaluation.comparison import Lead
from paratopic.evaluation.intervals import Estimate
from paratopic.evaluation.model_report import Abstention, Metrics, Naming, TopicFigures
from paratopic.labels.agreement import Agreement
from paratopic.project.files import Paths, write_text
from paratopic.project.topics import NO_TOPIC, Topic, Topics
from paratopic.results.project import Labelling, Project
from tests.programs import Cli
from tests.reports import compared, metrics, prepared, sure
from tests.samples import copy_settings, paragraph_table, write_labelled

FIGURES = {
    "answer_macro_f1": Estimate(0.695, 0.4, 0.82),
    "coverage": Estimate(0.683, 0.4, 0.886),
    "brier": Estimate(0.3, 0.2, 0.4),
}
KNOWN = dict.fromkeys(FIGURES, Estimate(0.1))
# Sure predictions with too few labels, with too many mistakes, and with a threshold.
FEW, WRONG, MANY = sure(None, groups=21), sure(None, groups=44), sure(0.8, share=0.21)


@pytest.fixture(autouse=True)
def reports(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's folder with the reports of one model, and no active environment."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    comparison = compared(
        models={"dummy": KNOWN, "baseline": FIGURES, "transformer": FIGURES},
        notes=["one article: expect lower figures on new articles"],
        differences={"baseline - dummy": Lead(0.557, 0.4, 0.7, p=0.0235, significant=True)},
        annotators=Agreement(("Ann", "Bo"), paragraphs=5, alpha=0.8, macro_f1=0.9),
    )
    copy_settings(here)
    comparison.save(Paths().comparison)
    prepared(labelled_by={"hand": 5}).save(Paths().prepared)


def cells_of(printed: str) -> list[list[str]]:
    """The cells of the rows of a printed table."""
    rows = []
    for line in printed.splitlines():
        cells = line.split("│")[1:-1]
        rows.append([cell.strip() for cell in cells])
    return rows


def test_report_shows_figures_notes_and_differences(
    monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    printed = cli("report")
    cells = cells_of(printed)
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
    ("sure", "message"),
    [
        (FEW, r"90% .* at least 44 distinct labelled articles .* 21\.$"),
        (WRONG, r"100 of 300 answers are wrong, .* 90%"),
        (MANY, r"at least 0\.80 .*\(21% of paragraphs\); at least 90%"),
    ],
)
def test_report_describes_the_thresholds(
    monkeypatch: pytest.MonkeyPatch, cli: Cli, sure: Abstention, message: str
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    path = Paths().model_reports / "baseline" / "metrics.json"
    figures = {"coverage": Estimate(0.36), "recall": Estimate(0.7)}
    precise = figures | {"precision": Estimate(0.85)}
    metrics(n=300, mistakes=100, abstention=sure, figures=precise).save(path)
    line = rf"(?m)^baseline: .*36% .*\(coverage\).*{{}}70% .*\(recall\).*{message}"
    assert re.search(line.format(r"85% .*\(precision\).*"), cli("report"))
    # No topic is predicted for any paragraph.
    metrics(n=300, mistakes=100, abstention=sure, figures=figures).save(path)
    assert re.search(line.format(""), printed := cli("report")) and "(precision)" not in printed
    metrics("multi", naming=Naming({}, 1.5, 1.234)).save(path)
    assert re.search(r"(?m)^baseline: .*1\.23 topics.*1\.50", cli("report"))


def test_dvc_is_asked_once(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    frame = paragraph_table(text=["Tariffs rose."], label_source=["hand"], label=[["trade"]])
    write_labelled(frame)
    write_metadata(frame[["id"]], Paths().metadata)
    asked = Mock(return_value={"compare": [{"changed outs": {"a.json": "modified"}}]})
    monkeypatch.setattr("paratopic.results.project._dvc_status", asked)
    assert "note: a.json changed since these figures were made" in cli("report")
    asked.assert_called_once()


def test_what_the_labels_lack_is_noted(cli: Cli) -> None:
    assert "note: data/paragraphs.parquet not found: `dvc repro` creates it" in cli("report")


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
    monkeypatch.setattr(report, "_full_page_sections", lambda *_: None)
    monkeypatch.setattr(report, "render_page", lambda *_: "<!doctype html>")
    printed = cli("report", "--open")
    assert f"written: {Paths().full_page.resolve()}\n" in printed
    assert ("There is no browser here" in printed) == (not browser)
    Paths().comparison.unlink()
    assert f"{Paths().comparison} not found" in cli("report", "--open", status=1)
    Paths().params.unlink()
    for words in ((), ("--open",)):
        assert "not a paratopic project" in cli("report", *words, status=1)
    assert opened == [Paths().full_page.resolve().as_uri()]


def test_the_page_has_no_shares_after_labels_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Paths().scores / "baseline" / "scores.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame({"id": []}).to_parquet(path)
    monkeypatch.setattr("paratopic.results.project.Project.changes", "a.csv")
    frame = paragraph_table(text=["Tariffs rose."])
    votes = frame[:0].reindex(columns=VOTES_SCHEMA.names)
    sample = frame[:0].reindex(columns=SAMPLE_SCHEMA.names)
    project = Project()
    labelling = Labelling(project, frame, votes, sample, [])
    vars(project)["labelling"] = labelling
    sections = report._full_page_sections(project, labelling)
    changed = "a.csv changed since the last scores: run `dvc repro` first"
    assert sections["shares"] == sections["mistakes"] == changed


TOPICS = Topics("single", ("trade", "security"))


def measured(threshold: float | None, groups: int, **about: Any) -> Metrics:
    """Metrics with sure predictions that need three groups."""
    part = sure(threshold, groups_needed=3, groups=groups)
    return metrics(abstention=part, split_unit="paragraph", mistakes=4, **about)


TOO_FEW, ENOUGH = measured(None, 1), measured(0.8, 3)


def labelled(*rows: tuple[str, str, list[str] | None], topics: Topics = TOPICS) -> Labelled:
    """Labelled paragraphs by article, label_source and topics."""
    articles, sources, labels = zip(*rows, strict=True)
    texts = [f"Text {number}." for number in range(len(rows))]
    table = paragraph_table(article=articles, label_source=sources, label=labels, text=texts)
    return labelled_in(table, topics)


def test_labels_are_counted_by_topic_source_and_article() -> None:
    rows: list[tuple[str, str, list[str] | None]] = [
        ("a", "hand", ["trade", "security"]),
        ("a", "hand", ["trade"]),
        ("b", "hand", []),
        ("c", "weak", ["security"]),
        ("d", "none", None),
    ]
    counts = count_labels(labelled(*rows))
    assert list(counts.index) == ["trade", "security", NO_TOPIC]
    assert counts.to_numpy().tolist() == [[2, 0, 1], [0, 1, 0], [1, 0, 1]]
    multi = count_labels(labelled(*rows, topics=Topics("multi", ("trade", "security"))))
    assert multi.to_numpy()[1].tolist() == [1, 1, 1]
    assert count_labels(labelled(rows[-1])).to_numpy().sum() == 0


FEW_LABELS = labelled(("a", "hand", ["trade"]), ("a", "hand", ["trade"]))


def test_missing_labels_are_noted() -> None:
    few = FEW_LABELS
    notes = missing_notes(few, TOO_FEW)
    about = ["security", NO_TOPIC, "figures for new articles", "sure predictions"]
    assert [note.split(":")[0] for note in notes] == about
    assert "learnt" in notes[0]
    described = Topics("single", (Topic("trade", "Goods."), Topic("security", "Armies.")))
    assert "learnt" not in missing_notes(replace(few, topics=described), TOO_FEW)[0]
    unwritten = Topics("single", (Topic("trade", "Goods."), Topic("arms_race", "Arms race.")))
    undefined = missing_notes(replace(few, topics=unwritten), TOO_FEW)
    assert "arms_race: no definition" in "\n".join(undefined)
    assert "3 distinct labelled paragraphs" in notes[3] and "there are 1" in notes[3]
    assert "there is 1." in notes[2]
    lacking = TopicFigures(0, *[Estimate(0.0)] * 3)
    figures_by_topic = dict.fromkeys(("trade", "security", "its former name"), lacking)
    unmeasured = missing_notes(few, measured(None, 1, topics=figures_by_topic))
    assert unmeasured[1].startswith("trade: not measured")
    hundreds = Topics("single", tuple(f"t{n}" for n in range(300)))
    first_note = missing_notes(replace(few, topics=hundreds, rows=few.rows[:0]), None)[0]
    assert first_note.startswith("t0, t1, t2, ")
    assert "t9 and 290 more: fewer than" in first_note


def test_notes_disappear_with_more_labels() -> None:
    many = labelled(*product("abcd", ["hand"], [["trade"], ["security"], []]))
    assert missing_notes(many, ENOUGH) == missing_notes(many, None) == []
    # The metrics are older than the labels here, and `note_changes` says so.
    assert missing_notes(many, TOO_FEW) == missing_notes(FEW_LABELS, TOO_FEW)[3:]
    (note,) = missing_notes(many, measured(None, 3))
    assert "4 of 9 answers are wrong" in note and "90%" in note


def test_the_seed_has_a_status(here: Path, cli: Cli, project: Path) -> None:
    shutil.copytree(project, here, dirs_exist_ok=True)
    printed = cli("status")
    assert "25 of 25 paragraphs labelled" in printed
    cells = cells_of(printed)
    assert ["trade", "8", "0", "1"] in cells and [NO_TOPIC, "4", "0", "1"] in cells
    assert "at least 44 distinct labelled paragraphs with a topic, and there are 21" in printed
    assert "not known how these paragraphs were chosen" in printed
    Paths(here).params.unlink()
    assert "not a paratopic project" in cli("status", status=1)


def test_what_is_missing_is_listed_until_labels_change(here: Path, cli: Cli, project: Path) -> None:
    shutil.copytree(project, here, dirs_exist_ok=True)
    params, log = Paths(here).params, here / "seeds/labels.csv"
    params.write_text(params.read_text().replace("split:", "split:\n  n_folds: 15"))
    printed = cli("status")
    assert "note: split in params.yaml changed" in printed and "Missing:" in printed
    log.write_text(log.read_text().replace(",trade,", ",security,"))
    printed = cli("status")
    assert "labelled before these changes" in printed and "Missing:" not in printed
