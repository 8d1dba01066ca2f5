"""What all commands say is to be done next, and of results that are not those of `dvc.lock`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from paratopic.cli import project as project_room
from paratopic.cli.project import DRAW, RUN, Project, changes_since, next_steps, note_changes
from paratopic.corpus.labelled import answer_rows
from paratopic.inference.folder import MANIFEST, card_mark
from paratopic.labels.log import Label
from paratopic.project import files
from paratopic.project.errors import UserError
from paratopic.project.files import (
    LOCK,
    MODEL_CARD,
    MODEL_REPORTS,
    MODELS,
    PREPARED,
    SCORES,
    md5,
    sha256,
    write_text,
)
from paratopic.project.sources import Source
from tests.programs import ROOT
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
        topics=[["trade"] if source == "hand" else None for source in sources],
        draw=[draw if source == "hand" else "" for source in sources],
    )
    made = Project(PARAMS, table, answer_rows([]), list(lines))
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


MODEL, METRICS = MODELS / "baseline", MODEL_REPORTS / "baseline" / "metrics.json"
HISTORY = SCORES / "baseline" / "history.csv"
DIGEST = "724385bbcc4e6f999cb26f12c5e14e5d.dir"  # of data/oof with this file, as DVC writes it


@pytest.mark.parametrize(
    ("written", "changed"), [(HISTORY, SCORES), (METRICS, METRICS), (MODEL / MANIFEST, MODEL)]
)
def test_results_that_dvc_lock_does_not_have_are_named(
    here: Path, baseline_folder: Path, written: Path, changed: Path
) -> None:
    shutil.copytree(baseline_folder, MODEL)
    ((key, digest),) = card_mark(MODEL).items()
    write_text(METRICS.with_name(MODEL_CARD), f"---\n{key}: {digest}\n---\n")
    for path in (PREPARED, HISTORY, METRICS, SCORES / ".baseline.7.draft"):
        write_text(path, "{}\n")
    stages = {
        "compare": {"deps": [{"path": str(SCORES), "md5": DIGEST}]},
        "evaluate@baseline": {"outs": [{"path": str(METRICS), "md5": md5(METRICS)}]},
    }
    write_text(LOCK, json.dumps({"stages": stages}))
    assert changes_since(PARAMS, "baseline") == ""
    write_text(written, "{ }\n")  # by a `dvc repro` that was interrupted, or from a backup
    assert changes_since(PARAMS, "baseline") == str(changed)


def test_files_that_stage_prepare_did_not_read_as_they_are_now_are_named(here: Path) -> None:
    table, log = "texts.csv", "seeds/labels.csv"
    prepare = replace(PARAMS.prepare, sources=(table,), labels=log)
    params = replace(PARAMS, prepare=prepare)
    for path in (table, log):
        write_text(Path(path), "text\nTariffs rose.\n")
    digests = {path: sha256(Path(path)) for path in (log, table)}
    write_text(PREPARED, json.dumps({"read": digests}))
    assert changes_since(params, "") == ""
    write_text(Path(log), "paragraph,topics\n")  # every label changed
    assert changes_since(params, "") == log
    write_text(Path(table), "text\nRain fell.\n")
    assert changes_since(params, "") == f"{log}, {table}"
    with pytest.raises(UserError, match=r"dvc\.lock cannot be read\. After a merge, run `git"):
        write_text(LOCK, "stages:\n<<<<<<< ours\n=======\n>>>>>>> theirs\n")
        changes_since(params, "baseline")


@pytest.mark.parametrize("own", [True, False])
def test_only_of_the_projects_own_model_it_is_noted_that_it_is_older(
    here: Path, capsys: pytest.CaptureFixture[str], own: bool
) -> None:
    shutil.copy(ROOT / files.PARAMS, here)
    write_text(Path("seeds/a.txt"), "Rain fell.")
    write_text(PREPARED, json.dumps({"read": {"gone.csv": DIGEST}}))
    note_changes(MODEL if own else here / "of another")
    assert ("gone.csv" in capsys.readouterr().out) == own
