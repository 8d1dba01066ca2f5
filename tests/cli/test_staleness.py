"""What is out of date: sources by their digests, all else by DVC."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paratopic.cli import project
from paratopic.cli.project import changes_since, note_changes
from paratopic.project import files
from paratopic.project.files import MODELS, PREPARED, sha256, write_text
from tests.programs import ROOT
from tests.reports import prepared
from tests.samples import PARAMS

MODEL = MODELS / "baseline"


def says(monkeypatch: pytest.MonkeyPatch, status: dict[str, list[Any]]) -> None:
    monkeypatch.setattr(project, "_dvc_status", lambda stages: status)


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
