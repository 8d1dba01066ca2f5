"""What all commands say is to be done next, and of results that are not those of `dvc.lock`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from paratopic.cli import project as project_room
from paratopic.cli.project import DRAW, RUN, Project, next_steps
from paratopic.corpus.labelled import SAMPLE_SCHEMA, VOTES_SCHEMA
from paratopic.labels.log import Label
from paratopic.project.sources import Source
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
