"""`paratopic forecast`: what more labels would bring to the project in the current directory."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from paratopic.cli import forecast
from paratopic.project.files import COMPARISON
from tests.cli.test_codebook import edit_params
from tests.cli.test_labels import prepare
from tests.programs import Cli, sh


def test_the_champion_learns_from_shares_of_the_labels(
    project: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(forecast, "SHARES", (0.25,))  # a share of each takes 6 fits
    printed = cli("forecast", "--more", "30", "--more", "10")
    sizes = [int(size) for size in re.findall(r"(?m)^│ +([\d,]+) │", printed)]
    assert len(sizes) == 2 and sizes[1] == sizes[0] + 20
    now = rf"macro-F1, topic forced: \d\.\d\d\d with today's {sizes[1] - 30} labels"
    assert re.search(rf"{now}\. With 30 more, expect 0\.\d\d to \d\.\d\d\.", printed)


def test_what_is_not_measured_has_no_curve(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "paratopic: params.yaml not found" in cli("forecast", status=1)
    shutil.copytree(project, tmp_path / "clone", ignore=shutil.ignore_patterns("mlruns"))
    monkeypatch.chdir(tmp_path / "clone")
    changed = "changed since the last scores: run `dvc repro` first"
    edit_params("inner_folds: 3", "inner_folds: 2")
    edit_params("epochs: 2", "epochs: 1")
    section = json.loads(COMPARISON.read_text())["champion"]
    assert f"{section} in params.yaml {changed}" in cli("forecast", status=1)
    sh(tmp_path / "clone", "git", "checkout", "-q", "params.yaml")
    labels = Path("seeds/labels.csv")
    labels.write_text(labels.read_text().replace(",trade,", ",security,"))
    # Whether or not `prepare` has read it, and where DVC could not look.
    assert f"seeds/labels.csv {changed}" in cli("forecast", status=1)
    assert "note: seeds/labels.csv changed since" in cli("status")
    assert "note: seeds/labels.csv changed since" in cli("report")
    Path("seeds/new.txt").write_text("News\n\nA tariff.\n")
    assert f"seeds/labels.csv and seeds/new.txt {changed}" in cli("shares", status=1)
    prepare(tmp_path / "clone")
    printed = cli("errors", status=1)
    assert f"data/answers.parquet and 3 more {changed}" in printed
    shutil.rmtree("data/oof")
    assert "scores.parquet not found: run `dvc repro` first" in cli("forecast", status=1)
