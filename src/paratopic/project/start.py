"""A new project: a folder with the pipeline of the installed package and topics of one's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from paratopic.project import files
from paratopic.project.codebook import first_definition, written
from paratopic.project.errors import UserError
from paratopic.project.installed import PACKAGE
from paratopic.project.paths import PARAMS
from paratopic.project.topics import Topic, Topics

# The files of a project that are the same in each, relative to its root.
SAME = ("dvc.yaml", ".gitignore", ".dvcignore", ".dvc")
LABELS = Path("seeds") / "labels.csv"
README = Path("README.md")

# The codebook in params.yaml, up to the next section.
_CODEBOOK = re.compile(r"(?ms)^  codebook:\n.*?(?=^\S)")
# The language of this repository's articles.
_LANGUAGE = re.compile(r"(?m)^language: .*\n")


def create(folder: Path, names: Sequence[str]) -> None:
    """Make a folder a project, in a git repository of its own if it lies in none.

    Parameters
    ----------
    folder
        The folder; what is in it stays.
    names
        Names of the topics. Each is its own definition until somebody writes a better one.

    Raises
    ------
    UserError
        The folder has a file that a project has, or the names make no codebook.
    """
    template = _template()
    try:
        topics = Topics("single", tuple(Topic(name, first_definition(name)) for name in names))
    except ValueError as error:
        raise UserError(f"--topics: {error}") from None
    new = [Path(name) for name in (*SAME, PARAMS, LABELS, README)]
    if present := [str(folder / path) for path in new if (folder / path).exists()]:
        raise UserError(
            f"{', '.join(present)} would be overwritten: name another folder, or move them away"
        )
    (folder / LABELS).parent.mkdir(parents=True, exist_ok=True)
    for name in SAME:
        _copy(template / name, folder / name)
    params = (template / PARAMS).read_text(encoding="utf-8")
    codebook = _codebook(topics)
    params = _LANGUAGE.sub("language: null\n", params)
    files.write_text(folder / PARAMS, _CODEBOOK.sub(lambda _: f"{codebook}\n", params))
    files.write_text(folder / LABELS, "paragraph,topics,text\n")
    readme = (PACKAGE / "project" / "readme.md").read_text(encoding="utf-8")
    files.write_text(folder / README, readme.format(name=folder.resolve().name))
    _ensure_repository(folder)


def _template() -> Path:
    """Folder of the files that projects share: in the wheel, or the repository that it is made of.

    A package that is installed from a repository's folder has the repository's files.
    """
    inside = PACKAGE / "template"
    return inside if inside.exists() else PACKAGE.parents[1]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        # Caches and settings of this machine are no part of a project.
        mine = shutil.ignore_patterns("cache", "tmp", "config.local")
        shutil.copytree(source, target, ignore=mine)
    else:
        shutil.copyfile(source, target)


def _codebook(topics: Topics) -> str:
    lines = [
        "  # Say in a sentence or two what each topic covers: with few labels, definitions decide.",
        "  codebook:",
    ]
    return "\n".join(lines) + "\n" + "".join(written(topic, "    ") for topic in topics.topics)


def _ensure_repository(folder: Path) -> None:
    """DVC needs a git repository; without git, it is told to go without."""
    try:
        inside = subprocess.run(
            ["git", "rev-parse", "--is-inside-work-tree"], cwd=folder, capture_output=True
        )
        if inside.returncode:
            subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    except (OSError, subprocess.CalledProcessError):
        with (folder / ".dvc" / "config").open("a", encoding="utf-8") as config:
            config.write("    no_scm = true\n")
