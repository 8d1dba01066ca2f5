"""README's code runs as it stands, in a clone of the project after its first `dvc repro`."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from tests.programs import ROOT, sh

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [
    (language, textwrap.dedent(code))
    for _, language, code in re.findall(r"(?ms)^( *)```(\w+)\n(.*?)^ *```$", README)
]


@pytest.fixture(scope="module")
def clone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme") / "project"
    shutil.copytree(project, folder)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_there_is_code_of_both_kinds() -> None:
    languages = [language for language, _ in BLOCKS]
    assert set(languages) == {"bash", "python", "text"}
    assert README.count("```") == 2 * len(BLOCKS)


def test_every_block_runs(clone: Path) -> None:
    for language, code in BLOCKS:
        if language == "python":
            sh(clone, sys.executable, "-c", code)
        elif language == "bash":
            for line in code.splitlines():
                # The targets install into .venv, which is CI's to do: here they have to exist.
                sh(clone, "bash", "-euc", re.sub(r"^make ", "make --dry-run ", line))


def test_two_commands_do_the_set_up() -> None:
    first = next(code for language, code in BLOCKS if language == "bash")
    assert first.split("\n") == ["make repro", "make test", ""]
