"""Stages run in the project's environment, also where that is not active."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.programs import ROOT

RUNS = "import paratopic; print('runs')"


def run(folder: Path, code: str = RUNS, **env: str) -> subprocess.CompletedProcess[str]:
    """Run code as dvc.yaml does, in a shell whose `python`, if any, has no paratopic."""
    command = ["sh", str(ROOT / ".dvc/stage.sh"), "python", "-c", code]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": str(folder / "bin")} | env,
        executable=shutil.which("sh"),
        capture_output=True,
        text=True,
    )


def test_an_environment_that_is_not_active_is_used(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    assert run(tmp_path).stdout == "runs\n"
    # An experiment in its own folder uses the environment of the project.
    elsewhere = tmp_path / "experiment"
    elsewhere.mkdir()
    assert run(elsewhere, DVC_ROOT=str(tmp_path)).stdout == "runs\n"
    # Waiting threads leave the processor to others.
    policy = "import os; print(os.environ['OMP_WAIT_POLICY'])"
    assert run(tmp_path, policy).stdout == "passive\n"
    assert run(tmp_path, policy, OMP_WAIT_POLICY="active").stdout == "active\n"


def test_no_module_of_the_project_is_imported_in_place_of_a_library(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "random.py").write_text("print('not the library')")
    assert run(tmp_path, f"import random; {RUNS}").stdout == "runs\n"


def test_without_an_environment_it_says_how_to_get_one(tmp_path: Path) -> None:
    process = run(tmp_path)
    assert process.returncode == 1
    assert "make repro" in process.stderr and "source .venv/bin/activate" in process.stderr
