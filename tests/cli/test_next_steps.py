"""Functions that commands share: next steps, and notes on stale results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paratopic.cli.next_steps import DRAW, RUN, next_steps, note_changes
from paratopic.corpus.labelled import SAMPLE_SCHEMA, VOTES_SCHEMA
from paratopic.labels.log import Label
from paratopic.project.files import Paths, sha256, write_text
from paratopic.project.params import Params
from paratopic.project.source_settings import Source
from paratopic.results.project import Labelling, Project
from tests.programs import Cli
from tests.reports import prepared
from tests.samples import PARAMS, copy_settings, paragraph_table

SUGGEST, SHARES, READ = "paratopic label", "paratopic shares", "dvc repro prepare"
TIE = [Label("line", "p0", name, "", name) for name in ("trade", "security")]


def project(
    labels: str,
    draw: str = "",
    lines: Sequence[Label] = (),
    fields: dict[str, list[str]] | None = None,
) -> Project:
    """A project with a paragraph for each letter: "h" with a hand label, "." without a label."""
    sources = ["hand" if kind == "h" else "none" for kind in labels]
    table = paragraph_table(
        id=[f"p{n}" for n in range(len(labels))],
        text=[f"Text {n}." for n in range(len(labels))],
        article=["a"] * len(labels),
        label_source=sources,
        label=[["trade"] if source == "hand" else None for source in sources],
        draw=[draw if source == "hand" else "" for source in sources],
    )
    votes = table[:0].reindex(columns=VOTES_SCHEMA.names)
    sample = table[:0].reindex(columns=SAMPLE_SCHEMA.names)
    project = opened(Path())
    labelling = Labelling(project, table, votes, sample, list(lines))
    vars(labelling)["everything"] = table if fields is None else table.assign(**fields)
    vars(project)["labelling"] = labelling
    return project


def opened(folder: Path, params: Params = PARAMS) -> Project:
    """A project with these settings and no params.yaml."""
    project = Project(folder)
    vars(project)["params"] = params
    return project


@pytest.mark.parametrize(
    ("labels", "draw", "champion", "changes", "steps"),
    [
        ("..", "", "", "", [DRAW, RUN]),
        ("h.", "", "", "", [RUN, DRAW]),
        ("h.", "", "baseline", "", [DRAW, SUGGEST]),
        ("h.", "", "baseline", "seeds/labels.csv", [RUN, DRAW, SUGGEST]),
        ("h" * 20 + ".", "paragraph", "", "", [RUN]),
        ("h" * 20 + ".", "paragraph", "baseline", "", [SHARES, SUGGEST]),
        ("h", "", "baseline", "", [SHARES, READ]),
    ],
)
def test_steps_follow_from_the_state_of_the_project(
    labels: str,
    draw: str,
    champion: str,
    changes: str,
    steps: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Project, "changes", changes)
    monkeypatch.setattr(Project, "champion", champion)
    assert list(next_steps(project(labels, draw))) == steps
    with_ties = list(next_steps(project(labels, draw, TIE)))
    # Votes that stage prepare has not read count as labels.
    assert with_ties == ["paratopic review --out ties.csv", *(steps if "h" in labels else [RUN])]


@pytest.mark.parametrize(
    ("fields", "by"),
    [
        ({}, ""),
        ({"source": ["Post", "Post"], "date": ["2025", "2025"]}, ""),
        ({"source": ["Post", "Post"], "date": ["2024", "2025"]}, "year"),
        ({"date": ["1999", "2025"]}, "decade"),
        ({"source": ["Post", "Times"], "date": ["1999", "2025"]}, "source"),
    ],
)
def test_a_draw_by_groups_is_proposed_where_they_differ(
    fields: dict[str, list[str]], by: str
) -> None:
    step = next_steps(project("..", fields=fields))[DRAW]
    assert step.partition(" (")[2] == (f"for shares by {by}, add --by {by})" if by else "")


def test_the_column_of_a_tables_groups_is_called_article() -> None:
    sources = Source("speeches.csv", group="speech"), Source("news.csv", group="date")
    prepare = replace(PARAMS.prepare, sources=sources)
    one = project("h.", fields={"date": ["2025"] * 2})
    vars(one)["params"] = replace(PARAMS, prepare=prepare)
    assert one.labelling.columns(["speech", "date", "yaer"]) == ["article", "date", "yaer"]


def says(monkeypatch: pytest.MonkeyPatch, status: dict[str, list[Any]]) -> None:
    monkeypatch.setattr("paratopic.results.project._dvc_status", lambda paths, stages: status)


def test_changes_that_dvc_reports_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Project, "champion", "baseline")
    prepared().save(Paths(tmp_path).prepared)
    says(
        monkeypatch,
        {
            "prepare": [{"changed deps": {"seeds": "modified"}}, "always changed"],
            "calibrate@baseline": [
                {"changed deps": {"params.yaml": {"calibrate.precision": "modified"}}},
                {"changed outs": {"data/oof/baseline": "deleted"}},
            ],
            "package@baseline": [{"changed outs": {"models/baseline": "modified"}}],
            "fit@transformer": [{"changed outs": {"data/fits/transformer": "modified"}}],
        },
    )
    # Sources are compared without DVC, and missing files are made again.
    changes = "calibrate.precision in params.yaml, models/baseline"
    assert opened(tmp_path).changes == changes
    says(monkeypatch, {})
    assert opened(tmp_path).changes == ""


def test_changed_sources_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, {})
    table, log = "texts.csv", "seeds/labels.csv"
    prepare = replace(PARAMS.prepare, sources=(table,), labels=log)
    params = replace(PARAMS, prepare=prepare)
    for path in (table, log):
        write_text(tmp_path / path, "text\nTariffs rose.\n")
    digests = {path: sha256(tmp_path / path) for path in (log, table)}
    prepared(read=digests).save(Paths(tmp_path).prepared)
    assert opened(tmp_path, params).changes == ""
    write_text(tmp_path / log, "paragraph,topics\n")  # every label changed
    assert opened(tmp_path, params).changes == log
    write_text(tmp_path / table, "text\nRain fell.\n")
    assert opened(tmp_path, params).changes == f"{log}, {table}"


@pytest.mark.parametrize("is_own", [True, False])
def test_changes_are_noted_only_for_the_projects_own_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], is_own: bool
) -> None:
    project = Project(tmp_path)
    copy_settings(tmp_path)
    write_text(tmp_path / "seeds/a.txt", "Rain fell.")
    prepared(read={"gone.csv": "1"}).save(project.paths.prepared)
    note_changes(project, (project.paths.models if is_own else tmp_path) / "baseline")
    printed = capsys.readouterr().out
    # DVC needs a repository, so its changes are not known.
    assert ("gone.csv" in printed) == ("not known" in printed) == is_own


def test_a_missing_source_is_a_note(
    cli: Cli, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("t.csv").write_text("id,body\n1,Tariffs rose again.\n2,Troops left the town.\n")
    cli("init", "--table", "t.csv", "--topics", "law,trade")
    Path("t.csv").rename("moved.csv")
    prepared(read={"t.csv": "1"}).save(Paths().prepared)
    note_changes(Project(), Paths().models / "baseline")
    printed = capsys.readouterr().out
    assert "cannot tell what changed" in printed and "t.csv matches no file" in printed
