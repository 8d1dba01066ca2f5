"""What all commands say is to be done next, and which results are out of date."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paratopic.cli import project as project_room
from paratopic.cli.project import DRAW, RUN, Project, changes_since, next_steps, note_changes
from paratopic.corpus.labelled import SAMPLE_SCHEMA, VOTES_SCHEMA
from paratopic.labels.log import Label
from paratopic.project import files
from paratopic.project.files import MODELS, PREPARED, sha256, write_text
from paratopic.project.sources import Source
from tests.programs import ROOT
from tests.reports import prepared
from tests.samples import PARAMS, paragraph_table

SUGGEST, SHARES, READ = "paratopic label", "paratopic shares", "dvc repro prepare"
TIE = [Label("line", "p0", name, "", name) for name in ("trade", "security")]


def project(
    labels: str,
    draw: str = "",
    lines: Sequence[Label] = (),
    fields: dict[str, list[str]] | None = None,
) -> Project:
    """A project of so many paragraphs, by their label_source: "h" for hand, "." for none."""
    sources = ["hand" if kind == "h" else "none" for kind in labels]
    table = paragraph_table(
        id=[f"p{n}" for n in range(len(labels))],
        text=[f"Text {n}." for n in range(len(labels))],
        article=["a"] * len(labels),
        label_source=sources,
        label=[["trade"] if source == "hand" else None for source in sources],
        draw=[draw if source == "hand" else "" for source in sources],
    )
    votes, sample = (table[:0].reindex(columns=s.names) for s in (VOTES_SCHEMA, SAMPLE_SCHEMA))
    made = Project(PARAMS, table, votes, sample, list(lines))
    vars(made)["everything"] = table if fields is None else table.assign(**fields)
    return made


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
def test_steps_follow_from_where_the_project_stands(
    labels: str,
    draw: str,
    champion: str,
    changes: str,
    steps: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(project_room, "champion_name", lambda: champion)
    monkeypatch.setattr(project_room, "changes_since", lambda *_: changes)
    assert list(next_steps(project(labels, draw))) == steps
    with_ties = list(next_steps(project(labels, draw, TIE)))
    # Answers that stage prepare has not read are labels.
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


def test_the_column_of_a_tables_groups_is_called_article(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = Source("speeches.csv", group="speech"), Source("news.csv", group="date")
    prepare = replace(PARAMS.prepare, sources=sources)
    one = replace(project("h."), params=replace(PARAMS, prepare=prepare))
    monkeypatch.setitem(vars(one), "everything", one.paragraphs.assign(date="2025"))
    assert one.columns(["speech", "date", "yaer"]) == ["article", "date", "yaer"]


MODEL = MODELS / "baseline"


def says(monkeypatch: pytest.MonkeyPatch, status: dict[str, list[Any]]) -> None:
    monkeypatch.setattr(project_room, "_dvc_status", lambda stages: status)


def test_what_dvc_says_of_the_stages_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared().save(PREPARED)
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
    # What stage prepare reads is compared by itself, and what is gone is made anew.
    both = "calibrate.precision in params.yaml, models/baseline"
    assert changes_since(PARAMS, "baseline") == both
    says(monkeypatch, {})
    assert changes_since(PARAMS, "baseline") == ""


def test_sources_that_are_not_as_they_were_read_are_named(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, {})
    table, log = "texts.csv", "seeds/labels.csv"
    prepare = replace(PARAMS.prepare, sources=(table,), labels=log)
    params = replace(PARAMS, prepare=prepare)
    for path in (table, log):
        write_text(Path(path), "text\nTariffs rose.\n")
    digests = {path: sha256(Path(path)) for path in (log, table)}
    prepared(read=digests).save(PREPARED)
    assert changes_since(params, "") == ""
    write_text(Path(log), "paragraph,topics\n")  # every label changed
    assert changes_since(params, "") == log
    write_text(Path(table), "text\nRain fell.\n")
    assert changes_since(params, "") == f"{log}, {table}"


@pytest.mark.parametrize("own", [True, False])
def test_only_of_the_projects_own_model_it_is_noted_that_it_is_older(
    here: Path, capsys: pytest.CaptureFixture[str], own: bool
) -> None:
    shutil.copy(ROOT / files.PARAMS, here)
    write_text(Path("seeds/a.txt"), "Rain fell.")
    prepared(read={"gone.csv": "1"}).save(PREPARED)
    note_changes(MODEL if own else here / "of another")
    printed = capsys.readouterr().out
    # Without a repository DVC cannot be asked.
    assert ("gone.csv" in printed) == ("not known" in printed) == own
