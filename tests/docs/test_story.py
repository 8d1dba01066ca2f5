"""examples/labelling_loop.py runs from new articles to a comparison, in a small project."""

from __future__ import annotations

import csv
import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from paratopic.labels.log import first_words, read_lines
from paratopic.labels.votes import latest_votes
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.params import read_params
from paratopic.reading.article import paragraphs_of
from paratopic.reading.article_files import SUFFIXES, find_files, read_file
from tests.programs import BROWSER, DRIVER, ROOT, sh

SCRIPT = "examples/labelling_loop.py"


def expected_answers() -> dict[str, tuple[str, str]]:
    with (ROOT / "examples/answers.csv").open(encoding="utf-8", newline="") as file:
        return {row["text"]: (row["topics"], row["note"]) for row in csv.DictReader(file)}


def test_every_paragraph_of_the_example_has_an_answer() -> None:
    paths, skipped = find_files([str(ROOT / "examples/articles")], SUFFIXES)
    assert skipped == [] and {path.suffix for path in paths} == {".txt", ".md", ".html"}
    paragraphs = [first_words(p.text) for path in paths for p in paragraphs_of(read_file(path))]
    assert sorted(paragraphs) == sorted(expected_answers())


@pytest.mark.skipif(not (BROWSER and DRIVER), reason="there is no chromium and chromedriver here")
def test_the_labelling_loop_runs_to_its_end(project: Path, tmp_path: Path) -> None:
    folder, clone = tmp_path / "project", tmp_path / "clone"
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("mlruns", "mlflow.db"))
    shutil.copytree(ROOT / "examples", folder / "examples")
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "commit", "-qm", "example")
    store = f"sqlite:///{tmp_path / 'other.db'}"
    printed = sh(folder, sys.executable, SCRIPT, "--into", str(clone), MLFLOW_TRACKING_URI=store)

    new = [line for line in read_lines(clone / "seeds/labels.csv") if line.annotator]
    assert len(new) == len(expected_answers()) + 2  # a mistake, and its undoing
    counted = {
        line.text: (line.cell, line.note)
        for line in latest_votes(new, read_params(Paths(clone).params).topics)
    }
    assert counted == expected_answers()
    assert {line.annotator for line in new} == {"newcomer"}
    assert (clone / "page.png").exists()

    assert [line[2:] for line in printed.splitlines() if line.startswith("$ ")] == [
        f"git clone --quiet . {clone} && cd {clone}",
        f"dvc cache dir --local {folder / '.dvc/cache'}",
        "dvc repro",
        "cp examples/articles/* seeds/",
        "dvc repro prepare",
        "paratopic suggest --out sheet.csv",
        "paratopic label sheet.csv --annotator newcomer --port 0",
        "dvc repro",
        f"cd {clone}; paratopic ui",
    ]
    figure = r"0\.\d{3} \(0\.\d{3} to [01]\.\d{3}\)"
    for model in ("baseline", "transformer"):
        assert re.search(rf"{model} +│ {figure} │ {figure} ", printed), printed
    assert re.search("split by paragraph +┃ split by article ", printed), printed
    assert sh(folder, "git", "status", "--porcelain") == ""
    assert not (tmp_path / "other.db").exists()


def test_a_missing_browser_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "clone"
    printed = sh(ROOT, sys.executable, SCRIPT, "--into", str(into), fails=True, PATH=str(tmp_path))
    assert "apt install chromium chromium-driver" in printed
    chromium = runpy.run_path(str(ROOT / SCRIPT))["chromium"]
    monkeypatch.setitem(sys.modules, "selenium", None)
    with pytest.raises(UserError, match="pip install selenium"), chromium():
        pass
    assert not into.exists()
