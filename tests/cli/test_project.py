"""What all commands say is to be done next, and which results are out of date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paratopic.cli.project import DRAW, RUN, next_steps, note_changes
from paratopic.corpus.labelled import SAMPLE_SCHEMA, VOTES_SCHEMA
from paratopic.labels.log import Label
from paratopic.project.files import sha256, write_text
from paratopic.project.folder import Project
from paratopic.project.sources import Source
from paratopic.results import labelling
from paratopic.results.labelling import Labelling, changes_since
from tests.reports import prepared
from tests.samples import PARAMS, copy_settings, paragraph_table, with_params

SUGGEST, SHARES, READ = "paratopic label", "paratopic shares", "dvc repro prepare"
TIE = [Label("line", "p0", name, "", name) for name in ("trade", "security")]


def project(
    labels: str,
    draw: str = "",
    lines: Sequence[Label] = (),
    fields: dict[str, list[str]] | None = None,
) -> Labelling:
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
    made = Labelling(with_params(Path(), PARAMS), table, votes, sample, list(lines))
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
    monkeypatch.setattr(labelling, "champion_name", lambda _: champion)
    monkeypatch.setattr(labelling, "changes_since", lambda *_: changes)
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
    one = replace(project("h."), project=with_params(Path(), replace(PARAMS, prepare=prepare)))
    monkeypatch.setitem(vars(one), "everything", one.paragraphs.assign(date="2025"))
    assert one.columns(["speech", "date", "yaer"]) == ["article", "date", "yaer"]


def says(monkeypatch: pytest.MonkeyPatch, status: dict[str, list[Any]]) -> None:
    monkeypatch.setattr(labelling, "_dvc_status", lambda paths, stages: status)


def test_what_dvc_says_of_the_stages_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = with_params(tmp_path, PARAMS)
    prepared().save(of.paths.prepared)
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
    assert changes_since(of, "baseline") == both
    says(monkeypatch, {})
    assert changes_since(of, "baseline") == ""


def test_sources_that_are_not_as_they_were_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, {})
    table, log = "texts.csv", "seeds/labels.csv"
    prepare = replace(PARAMS.prepare, sources=(table,), labels=log)
    of = with_params(tmp_path, replace(PARAMS, prepare=prepare))
    for path in (table, log):
        write_text(tmp_path / path, "text\nTariffs rose.\n")
    digests = {path: sha256(tmp_path / path) for path in (log, table)}
    prepared(read=digests).save(of.paths.prepared)
    assert changes_since(of, "") == ""
    write_text(tmp_path / log, "paragraph,topics\n")  # every label changed
    assert changes_since(of, "") == log
    write_text(tmp_path / table, "text\nRain fell.\n")
    assert changes_since(of, "") == f"{log}, {table}"


@pytest.mark.parametrize("own", [True, False])
def test_only_of_the_projects_own_model_it_is_noted_that_it_is_older(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], own: bool
) -> None:
    of = Project(tmp_path)
    copy_settings(tmp_path)
    write_text(tmp_path / "seeds/a.txt", "Rain fell.")
    prepared(read={"gone.csv": "1"}).save(of.paths.prepared)
    note_changes(of, (of.paths.models if own else tmp_path) / "baseline")
    printed = capsys.readouterr().out
    # Without a repository DVC cannot be asked.
    assert ("gone.csv" in printed) == ("not known" in printed) == own
