"""Functions that systems other than Linux lack, and programs that run without them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from paratopic.project.files import folder_digest
from paratopic.project.system import n_processors
from tests.programs import environment

# What is missing on macOS, or refuses to work there.
TAKEN_AWAY = """
import os, sys
del os.sched_getaffinity, os.fork, os.register_at_fork
sys.modules["resource"] = None
"""


@pytest.fixture
def run(tmp_path: Path, project: Path) -> Callable[..., str]:
    """Runs a program in a project without these functions, and returns its output."""
    (tmp_path / "sitecustomize.py").write_text(TAKEN_AWAY)
    env = environment() | {"PYTHONPATH": str(tmp_path)}

    def run_program(name: str, *words: str) -> str:
        command = [str(Path(sys.executable).parent / name), *words]
        done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_program


def test_threads_are_as_many_as_the_environment_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    n_all = n_processors()
    for value, expected in {"1": 1, str(n_all + 1): n_all, "": n_all}.items():
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert n_processors() == expected


def test_other_systems_give_the_same_results(
    run: Callable[..., str], project: Path, tmp_path: Path
) -> None:
    """Stages write the same bytes, and a page is read in its sandbox."""
    folders = [project / "data", project / "models"]
    before = [folder_digest(folder) for folder in folders]
    for stage in (["prepare"], ["split"], ["fit", "baseline"], ["train", "baseline"]):
        run("python", "-m", f"paratopic.stages.{stage[0]}", *stage[1:])
    assert [folder_digest(folder) for folder in folders] == before
    page = tmp_path / "page.html"
    page.write_text("<html><body><p>Ministers met in Vienna to talk about tariffs.</p></body>")
    assert "Ministers met" in run("paratopic", "paragraphs", str(page))
    assert "Ministers met" in run("paratopic", "predict", str(page))
