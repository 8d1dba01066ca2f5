"""`paratopic init`: a project of one's own, like the one in this repository."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from paratopic.cli.start import SAME, create, new_topics
from paratopic.project.errors import UserError
from paratopic.project.params import read_params
from tests.programs import ROOT, run_cli
from tests.samples import PARAMS

NAMES = ["sport", "diplomacy_venue", "Öffentliche: Räume", "true", "sun ☀ and 😀"]

AB = new_topics(["a", "b"])


def test_a_new_project_differs_from_this_one_by_its_topics_and_language_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "match.txt").write_text("The visitors won.")
    create(tmp_path, new_topics(NAMES))
    params = read_params(tmp_path / "params.yaml")
    assert params.topics.names == tuple(NAMES)
    assert list(params.topics.descriptions[:2]) == ["Sport.", "Diplomacy venue."]
    # What its texts are written in is not known.
    assert params.language is None
    assert replace(params, topics=PARAMS.topics, language=PARAMS.language) == PARAMS
    assert (tmp_path / "dvc.yaml").read_bytes() == (ROOT / "dvc.yaml").read_bytes()
    assert (tmp_path / "seeds" / "labels.csv").read_text() == "paragraph,topics,text\n"
    assert (tmp_path / "seeds" / "match.txt").read_text() == "The visitors won."
    assert (tmp_path / ".dvc" / "stage.sh").exists() and (tmp_path / ".git").exists()
    assert not {"cache", "tmp"} & {path.name for path in (tmp_path / ".dvc").iterdir()}
    assert (tmp_path / "README.md").read_text().startswith(f"# {tmp_path.name}\n")


def test_the_wheel_has_the_files_that_are_copied() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    target = settings["tool"]["hatch"]["build"]["targets"]
    for source, place in target["wheel"]["force-include"].items():
        assert (ROOT / source).exists() and place == f"paratopic/template/{source}"
    packed = set(target["wheel"]["force-include"])
    tracked = subprocess.run(
        ["git", "ls-files", *SAME, "params.yaml"], cwd=ROOT, capture_output=True, text=True
    )
    for file in filter(None, tracked.stdout.splitlines()):
        assert any(file == source or file.startswith(f"{source}/") for source in packed), file
        top = file.partition("/")[0]
        assert file in target["sdist"]["include"] or top in target["sdist"]["include"], file


def test_inside_a_repository_and_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    create(tmp_path / "inner", AB)
    assert not (tmp_path / "inner" / ".git").exists()
    assert "Experiments start from a commit: git add dvc.yaml" in create(tmp_path / "other", AB)
    assert git(tmp_path, "status", "--short").startswith("??")

    def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", fail)
    assert "Without git" in create(tmp_path / "without", AB)
    assert "no_scm = true" in (tmp_path / "without" / ".dvc" / "config").read_text()


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("user", ["Ann", ""])
def test_the_first_commit_has_all_that_an_experiment_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """Also where git knows no user, or has hooks that refuse."""
    config = tmp_path / "config"
    config.write_text("[user]\nuseConfigOnly = true\n[core]\nhooksPath = hooks\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    if user:
        config.write_text(f"{config.read_text()}[user]\nname = {user}\nemail = ann@example.org\n")
    folder = tmp_path / "new"
    (folder / "hooks").mkdir(parents=True)
    (folder / "hooks" / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (folder / "hooks" / "pre-commit").chmod(0o755)
    (folder / "seeds").mkdir()
    (folder / "seeds" / "match.txt").write_text("The visitors won.")
    assert ("git knows no user" in create(folder, AB)) == (not user)
    assert git(folder, "log", "--format=%an %s") == f"{user or 'paratopic'} Start the project\n"
    assert git(folder, "status", "--short") == "?? hooks/\n"
    assert "seeds/match.txt" in git(folder, "ls-files")
    assert not git(folder, "config", "--list", "--local").count("user.")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"params.yaml would be overwritten"):
        create(tmp_path, AB)
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        ("sport", "the codebook needs at least two topics, it has 1"),
        ("sport,,weather", "'' is not a topic name"),
        ("sport,sport", "the codebook lists a topic twice: sport"),
        ("a;b,c", "'a;b' is not a topic name"),
    ],
)
def test_names_that_make_no_codebook_are_refused(
    topics: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(monkeypatch, "init", str(tmp_path / "new"), "--topics", topics) == 1
    assert f"--topics: {message}" in capsys.readouterr().out
    assert not (tmp_path / "new").exists()
