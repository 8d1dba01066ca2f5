"""Results on a remote of DVC: others pull, predict and read them without running the pipeline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.programs import sh
from tests.samples import TARIFF


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
    printed = sh(shared, "paratopic", "predict", "note.txt", "--json")
    assert '"scores"' in printed
    stages = [f"{stage}@baseline" for stage in ("fit", "calibrate", "train", "package")]
    printed = sh(shared, "dvc", "repro", "--single-item", *stages)
    assert printed.count("didn't change, skipping") == 4
