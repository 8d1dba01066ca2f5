"""Find the code blocks of README and docs/, and run a page as one script."""

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
# Commands on these pages are not run, because they need data sets or are for contributors.
OTHER_PAGES = [ROOT / name for name in ("benchmarks/README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
each_page = pytest.mark.parametrize(
    "page", [*PAGES, *OTHER_PAGES], ids=lambda page: str(page.relative_to(ROOT))
)
_SMALL = r"""python - \1/params.yaml <<'END'
import sys
from pathlib import Path
from ruamel.yaml import YAML
yaml, path = YAML(), Path(sys.argv[1])
params, small = yaml.load(path), yaml.load(Path("params.yaml"))
params |= {name: small[name] for name in ("split", "transformer")}
yaml.dump(params, path)
END"""
FENCE = re.compile(r"(?ms)^( *)```(\w+)\n(.*?)^ *```$")


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and code of each block."""
    text = page.read_text(encoding="utf-8")
    return [(language, textwrap.dedent(code)) for _, language, code in FENCE.findall(text)]


def run(page: Path, project: Path, folder: Path) -> None:
    """Run a page's commands in a copy of a project with the environment that `make repro` makes."""
    shutil.copytree(project, folder, symlinks=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "examples", folder / "examples", dirs_exist_ok=True)
    (folder / ".venv").symlink_to(sys.prefix)
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "commit", "-qm", "examples")
    sh(folder, "bash", "-c", _script(page))


def _script(page: Path) -> str:
    """All of a page's commands as one bash script, so that `cd` and variables keep their effect."""
    lines = ["set -eu"]
    for language, code in blocks(page):
        if language == "python":
            lines.append(f"python -c {shlex.quote(code)}")
        elif language == "bash":
            # The targets install into .venv, which exists already: only their names are checked.
            code = re.sub(r"(?m)^make ", "make --dry-run ", code)
            # A new project gets the small encoder of the project that the page runs in.
            lines.append(re.sub(r"(?m)^paratopic init (\S+) .*$", rf"\g<0>\n{_SMALL}", code))
    return "\n".join(lines)
