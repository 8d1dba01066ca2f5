"""The code of README and docs/ runs as it stands, a page at a time, in a copy of a project."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from tests.programs import ROOT, sh

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
LONGEST_README = 900  # words
FENCE = re.compile(r"(?ms)^( *)```(\w+)\n(.*?)^ *```$")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and code of each block."""
    text = page.read_text(encoding="utf-8")
    return [(language, textwrap.dedent(code)) for _, language, code in FENCE.findall(text)]


def script(page: Path) -> str:
    """All of a page's commands as one bash script: `cd` and the environment go on."""
    lines = ["set -eu"]
    for language, code in blocks(page):
        if language == "python":
            lines.append(f"python -c {shlex.quote(code)}")
        elif language == "bash":
            # The targets install into .venv, which is there already: here they have to exist.
            lines.append(re.sub(r"(?m)^make ", "make --dry-run ", code))
    return "\n".join(lines)


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    """A project after its first `dvc repro`, with the environment that `make repro` makes."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "examples", folder / "examples", dirs_exist_ok=True)
    (folder / ".venv").symlink_to(sys.prefix)
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "commit", "-qm", "examples")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(page: Path, clone: Path) -> None:
    sh(clone, "bash", "-c", script(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_are_code_that_runs_or_output(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("```") == 2 * len(blocks(page))
    assert {language for language, _ in blocks(page)} <= {"bash", "python", "text"}


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "benchmarks/README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_two_commands_do_everything() -> None:
    first = next(code for language, code in blocks(README) if language == "bash")
    assert first.splitlines()[:2] == ["make repro", "make test"]


def test_the_readme_is_a_page() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= LONGEST_README
