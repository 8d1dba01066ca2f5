"""Another person's project may not read or write elsewhere, or run its pipeline, unasked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.folder import Project
from paratopic.stages import prepare
from tests.annotation.small_project import make_project
from tests.cli.test_codebook import edit_params
from tests.programs import Cli

LABELS = Path("seeds/labels.csv")
ASK = ["annotate", "--url", "http://127.0.0.1:9/v1", "--model", "m", "--n", "1"]
# A test must not wait for a labelling page, but fail.
pytestmark = pytest.mark.usefixtures("served")


@pytest.fixture(autouse=True)
def secret(tmp_path: Path, baseline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file next to a project of another person, which is the current directory."""
    secret, root = tmp_path / "secret.txt", tmp_path / "project"
    secret.write_text("This is nobody's business.")
    root.mkdir()
    monkeypatch.chdir(make_project(root, baseline_folder))
    LABELS.write_text("paragraph,topics,text\n")
    return secret


def test_files_outside_are_read_once_they_were_agreed_to(cli: Cli, secret: Path) -> None:
    Path("seeds/notes.txt").symlink_to(secret)
    link = f"seeds/notes.txt -> {secret}"
    with pytest.raises(UserError, match="seeds/notes.txt -> .* `paratopic trust`"):
        prepare.main(Project())
    for command in ("status", "suggest", "label"):
        assert "`paratopic trust` lists" in cli(command, status=1)
    printed = cli("trust", status=1)  # tests have no terminal
    assert f"outside of its folder:\n  {link}\n" in printed and "add --yes" in printed
    assert "`paratopic trust` lists" in cli("status", status=1)
    cli("trust", "--yes")
    prepare.main(Project())
    assert "1 paragraph" in cli("status")
    Path("seeds/more.txt").symlink_to(secret)
    assert "seeds/more.txt ->" in cli("status", status=1)


def test_predictions_need_no_sources(cli: Cli, secret: Path) -> None:
    Path("seeds/own.txt").write_text("Tariffs on steel rose.")
    prepare.main(Project())
    edit_params("sources: [seeds]", f"sources: [seeds, {secret}]")
    assert "trust" not in cli("predict", "seeds/own.txt", "--out", "table.csv")


@pytest.mark.parametrize("is_link", [False, True])
def test_labels_are_not_written_outside(cli: Cli, secret: Path, is_link: bool) -> None:
    elsewhere = secret.with_name(".bash_aliases")
    if is_link:
        LABELS.unlink()
        LABELS.symlink_to(elsewhere)
    else:
        edit_params(f"labels: {LABELS}", f"labels: {elsewhere}")
    Path("ann.csv").write_text("paragraph,topics\nnews:1,trade\n")
    before = sorted(secret.parent.iterdir())
    for words in (["label", "--random"], ["import", "ann.csv"], ASK):
        printed = cli(*words, status=1)
        assert "outside" in printed and str(elsewhere) in printed
    assert sorted(secret.parent.iterdir()) == before


def test_a_codebook_is_not_written_outside(cli: Cli, secret: Path) -> None:
    codebook, path = secret.with_name("codebook.yaml"), Paths().codebook
    path.rename(codebook)
    path.symlink_to(codebook)
    before = codebook.read_bytes()
    assert "outside" in cli("codebook", "rename", "trade", "commerce", status=1)
    assert codebook.read_bytes() == before


def test_the_pipeline_of_a_project_that_never_ran_here_does_not_run_unasked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []

    def run(command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess([], 1)

    monkeypatch.setattr("paratopic.cli.next_steps.subprocess.run", run)
    Paths().paragraphs.unlink()
    for command in ("status", "suggest", "label"):
        assert "`dvc repro prepare`" in cli(command, status=1)
    assert not ran
    Path("seeds/own.txt").write_text("Tariffs on steel rose.")
    prepare.main(Project())
    Paths().paragraphs.unlink()
    assert "stage prepare failed" in cli("status", status=1) and len(ran) == 1
