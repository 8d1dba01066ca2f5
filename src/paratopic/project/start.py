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
from paratopic.project.sources import Source
from paratopic.project.sources import written as sources_text
from paratopic.project.topics import Topic, Topics

# The files of a project that are the same in each, relative to its root.
SAME = ("dvc.yaml", ".gitattributes", ".gitignore", ".dvcignore", ".dvc")
LABELS = Path("seeds") / "labels.csv"
README = Path("README.md")

# Who commits where git knows no user.
_NOBODY = ("-c", "user.name=paratopic", "-c", "user.email=paratopic@localhost")
# The codebook in params.yaml, up to the next section.
_CODEBOOK = re.compile(r"(?ms)^  codebook:\n.*?(?=^\S)")
# Where its paragraphs come from.
_SOURCES = re.compile(r"(?m)^  sources: .*\n")
# The language of this repository's articles.
_LANGUAGE = re.compile(r"(?m)^language: .*\n")


def new_topics(names: Sequence[str]) -> Topics:
    """Make a codebook of names, each its own definition until somebody writes a better one.

    Raises
    ------
    UserError
        The names make no codebook.
    """
    try:
        return Topics("single", tuple(Topic(name, first_definition(name)) for name in names))
    except ValueError as error:
        raise UserError(f"--topics: {error}") from None


def create(folder: Path, topics: Topics, table: Source | None = None) -> str:
    """Make a folder a project, in a git repository of its own if it lies in none.

    The repository's first commit has the project's files, and the content of seeds/ or the table.

    Parameters
    ----------
    folder
        The folder; what is in it stays.
    table
        The source of paragraphs, with a path from the folder or the address of a dataset; by
        default the articles in seeds/.

    Returns
    -------
    What there is to say about the repository; "" for nothing.

    Raises
    ------
    UserError
        The folder has a file that a project has.
    """
    shared = template()
    new = [Path(name) for name in (*SAME, PARAMS, LABELS, README)]
    if present := [str(folder / path) for path in new if (folder / path).exists()]:
        raise UserError(
            f"{', '.join(present)} would be overwritten: name another folder, or move them away"
        )
    (folder / LABELS).parent.mkdir(parents=True, exist_ok=True)
    for name in SAME:
        _copy(shared / name, folder / name)
    params = (shared / PARAMS).read_text(encoding="utf-8")
    codebook = _codebook(topics)
    params = _LANGUAGE.sub("language: null\n", params)
    params = _CODEBOOK.sub(lambda _: f"{codebook}\n", params)
    if table is not None:
        sources = f"  sources:\n{sources_text(table, '    ')}"
        params = _SOURCES.sub(lambda _: sources, params)
    files.write_text(folder / PARAMS, params)
    files.write_text(folder / LABELS, "paragraph,topics,text\n")
    readme = (PACKAGE / "project" / "readme.md").read_text(encoding="utf-8")
    files.write_text(folder / README, readme.format(name=folder.resolve().name))
    # A table elsewhere is not the repository's, and a dataset may be large.
    inside = table is not None and not Path(table.path).is_absolute()
    tables = [table.path] if table and inside and (folder / table.path).is_file() else []
    return _commit(folder, [*map(str, new), str(LABELS.parent), *tables])


def template() -> Path:
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
        "  # Define each topic in a sentence or two: with few labels, models rely on them.",
        "  codebook:",
    ]
    return "\n".join(lines) + "\n" + "".join(written(topic, "    ") for topic in topics.topics)


def _commit(folder: Path, paths: Sequence[str]) -> str:
    """Give the folder a repository, which DVC needs, and a commit, which experiments start from.

    Nothing is committed to a repository that is there already. Without git, DVC is told to go
    without it.

    Returns
    -------
    What there is to say; "" for nothing.
    """
    try:
        if not _git(folder, "rev-parse", "--is-inside-work-tree"):
            return f"Experiments start from a commit: git add {' '.join(paths)} && git commit"
        if _git(folder, "init", "--quiet"):
            raise FileNotFoundError
    except OSError:
        with (folder / ".dvc" / "config").open("a", encoding="utf-8") as config:
            config.write("    no_scm = true\n")
        return "Without git there are no experiments (`dvc exp`)."
    # What an own configuration of git asks for, such as hooks, is for own commits.
    commit = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "-m", "Start the project")
    _git(folder, "add", "--", *paths)
    if not _git(folder, *commit):
        return ""
    if _git(folder, *_NOBODY, *commit):
        return "git refused the first commit, which experiments need: run `git commit` to see why."
    return (
        "git knows no user here, so the first commit is by paratopic; `git config user.name` sets "
        "one."
    )


def _git(folder: Path, *words: str) -> int:
    """Run git in a folder; returns its exit status."""
    return subprocess.run(["git", *words], cwd=folder, capture_output=True).returncode
