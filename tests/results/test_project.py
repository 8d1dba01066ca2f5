"""Projects opened by users' code in another folder have the figures that commands print."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

import paratopic
from paratopic import UserError
from paratopic.project.files import Paths
from tests.programs import python, sh


def test_importing_the_package_loads_no_library_of_training() -> None:
    code = "import paratopic, sys; print(*{'pandas', 'torch', 'sklearn'} & {*sys.modules})"
    assert python(code).stdout.strip() == ""


@pytest.mark.parametrize("name", paratopic.__all__)
def test_public_names_exist_and_no_module_has_them(name: str) -> None:
    assert callable(getattr(paratopic, name)) and find_spec(f"paratopic.{name}") is None


def test_two_projects_are_open_at_once(
    project: Path, here: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "project"
    shutil.copytree(project, other)
    log = other / "seeds/labels.csv"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(lines[:-1]), encoding="utf-8")
    first, second = paratopic.Project(project), paratopic.Project(other)
    assert first.shares().table["share"].between(0, 1).all()
    with pytest.raises(UserError, match=r"^seeds/labels.csv changed since the last scores"):
        second.shares()  # DVC and sources are those of its own folder.
    assert len(first.labelling.lines) == len(lines) - 1
    assert len(second.labelling.lines) == len(lines) - 2
    assert len(first.labels) == first.metrics("baseline").n == first.comparison.n
    assert set(first.paragraphs["id"]) >= set(first.labels["id"])
    assert {*here.iterdir()} == set()


def test_commands_print_what_a_project_gives(project: Path) -> None:
    opened = paratopic.Project(project)
    wrong, n = len(opened.errors().answers.mistakes), opened.comparison.n
    assert f"{wrong} of {n} answers wrong" in sh(project, "paratopic", "errors")
    figure = str(opened.metrics().figures[opened.comparison.metrics[0].key])
    assert figure in sh(project, "paratopic", "report")
    champion, baseline = opened.load(), opened.load("baseline")
    assert (champion.kind, baseline.kind) == (opened.comparison.champion, "baseline")
    text = str(opened.paragraphs["text"].iloc[0])
    assert opened.predict([text]) == champion.predict([text])


def test_files_that_are_missing_are_named_with_their_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no {tmp_path}/params.yaml"):
        _ = paratopic.Project(tmp_path).paragraphs
    with pytest.raises(UserError, match=f"^{Paths(tmp_path).comparison} not found"):
        _ = paratopic.Project(tmp_path).comparison
