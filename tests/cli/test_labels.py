"""The labelling loop through the command line: suggest, label, import, and what then counts."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.programs import sh

ARTICLE = """Harbour news

Exporters feared that the new tariffs on steel would close the market to them.

The navy sailed past the island, and the alliance sent troops to the border.

A chip maker printed that its software was copied.
"""


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    """The project with an unlabelled article, after stage prepare."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns(".git", "cache", "mlruns"))
    (folder / "seeds/harbour.txt").write_text(ARTICLE, encoding="utf-8")
    sh(folder, sys.executable, "-m", "paratopic.stages.prepare")
    return folder


def read_sheet(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fill(folder: Path, name: str, **topic_of: str) -> None:
    """Save sheet.csv under a name, filled in: word → topic of the paragraphs that contain it."""
    rows = read_sheet(folder, "sheet.csv")
    for row in rows:
        row["topics"] = next((t for word, t in topic_of.items() if word in row["text"]), "?")
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_suggested_paragraphs_are_labelled_imported_and_counted(clone: Path) -> None:
    labels = clone / "seeds/labels.csv"
    before = labels.read_bytes()
    printed = sh(clone, "paratopic", "suggest", "--n", "2")
    assert len(list(csv.DictReader(printed.splitlines()))) == 2
    assert sh(clone, "paratopic", "suggest", "--n", "2") == printed
    sh(clone, "paratopic", "suggest", "--out", "sheet.csv")
    sh(clone, "paratopic", "suggest", "--out", "tasks.json")
    tasks = json.loads((clone / "tasks.json").read_text())
    assert len(tasks) == len(read_sheet(clone, "sheet.csv")) == 3
    champion = json.loads((clone / "models/champion").read_text())["champion"]
    (model,) = {task["predictions"][0]["model_version"] for task in tasks}
    assert model == champion
    assert labels.read_bytes() == before

    fill(clone, "ann.csv", tariffs="trade;security", navy="security")
    fill(clone, "bo.csv", tariffs="trade", navy="trade", chip="technology")
    printed = sh(clone, "paratopic", "import", "ann.csv", "bo.csv")
    assert "ann.csv: 2 new labels in seeds/labels.csv, 0 already there, " in printed
    assert "0 disputed, 0 not imported, " in printed
    assert "1 undecided" in printed and printed.count("disputed: harbour:") == 2
    assert "ann: security; bo: trade → trade counts (a tie" in printed
    after = labels.read_bytes()
    assert "ann.csv: 0 new labels" in sh(clone, "paratopic", "import", "bo.csv", "ann.csv")
    assert labels.read_bytes() == after
    labels.write_bytes(before)
    sh(clone, "paratopic", "import", "bo.csv", "ann.csv")
    assert labels.read_bytes() == after
    assert labels.with_name("labels.csv.bak").exists()
    assert "nothing to label" in sh(clone, "paratopic", "label", fails=True)

    printed = sh(clone, sys.executable, "-m", "paratopic.stages.prepare")
    assert "2 disputed paragraphs without a majority" in printed
    report = json.loads((clone / "reports/prepare.json").read_text())
    assert report["annotators"]["annotators"] == ["ann", "bo"]
    assert report["annotators"]["paragraphs"] == 2
    for stage in ("split", "score baseline", "score transformer", "compare"):
        sh(clone, sys.executable, "-m", *f"paratopic.stages.{stage}".split())
    summary = (clone / "reports/summary.md").read_text(encoding="utf-8")
    assert f"macro-F1 {report['annotators']['macro_f1']:.3f}, the ceiling" in summary
    assert "people (2 paragraphs)" in sh(clone, "paratopic", "report")


def test_import_reports_unknown_topics_and_imports_the_rest(clone: Path) -> None:
    sh(clone, "paratopic", "suggest", "--out", "sheet.csv")
    fill(clone, "ann.csv", tariffs="trade", navy="securty")
    printed = sh(clone, "paratopic", "import", "ann.csv", fails=True)
    assert 'unknown topic "securty" (did you mean "security"?)' in printed
    assert "1 new labels" in printed and "1 not imported" in printed
    assert "the file's ending says" in sh(clone, "paratopic", "import", "x.txt", fails=True)
    params = (clone / "params.yaml").read_text(encoding="utf-8")
    without = params.replace("labels: seeds/labels.csv", "labels: null")
    (clone / "params.yaml").write_text(without, encoding="utf-8")
    assert "set prepare.labels" in sh(clone, "paratopic", "import", "ann.csv", fails=True)
    (clone / "data/paragraphs.parquet").unlink()
    assert "dvc repro prepare" in sh(clone, "paratopic", "suggest", fails=True)
