"""Results on a remote of DVC: others pull, predict and read them without running the pipeline."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.programs import sh
from tests.samples import TARIFF

# No open file for Arrow: its threads may let go of it when Python ends, and then abort the program.
READ = """
import pyarrow.parquet as pq
from dvc.api import DVCFileSystem

DVCFileSystem({repo!r}).get("data/labels.parquet", "labels.parquet")
print(pq.read_table("labels.parquet", columns=["paragraph"]).num_rows)
"""


@pytest.fixture(scope="module")
def shared(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project that has pushed its results to a remote."""
    folder = tmp_path_factory.mktemp("remote")
    project = shutil.copytree(project, folder / "project", symlinks=True)
    sh(project, "dvc", "remote", "add", "--force", "--default", "shared", str(folder / "results"))
    sh(project, "dvc", "push")
    sh(project, "git", "add", "-A")
    sh(project, "git", "commit", "-qm", "keep results on a remote")
    sh(folder, "git", "clone", "-q", str(project), "clone")
    return folder / "clone"


def test_a_colleague_pulls_and_predicts_and_repeats_nothing(shared: Path) -> None:
    assert not (shared / "models" / "baseline").exists()
    sh(shared, "dvc", "pull")
    (shared / "note.txt").write_text(TARIFF, encoding="utf-8")
    answered = sh(shared, "paratopic", "predict", "note.txt", "--json")
    assert '"scores"' in answered
    stages = [f"{stage}@baseline" for stage in ("fit", "calibrate", "train", "package")]
    printed = sh(shared, "dvc", "repro", "--single-item", *stages)
    assert printed.count("didn't change, skipping") == 4


def test_another_project_takes_the_model_and_reads_the_table(shared: Path, tmp_path: Path) -> None:
    sh(tmp_path, "dvc", "get", str(shared), "models/baseline", "--out", "taken")
    assert (tmp_path / "taken" / "paratopic.json").exists()
    assert int(sh(tmp_path, sys.executable, "-c", READ.format(repo=str(shared)))) > 10
