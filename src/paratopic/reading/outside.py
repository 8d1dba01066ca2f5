"""Sources outside of a project, and whether somebody trusted the project to read them.

A project may be a stranger's, and name any file of the machine that it is opened on. Who trusts it
is kept outside of projects: in the user's state folder, with a file for each project.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from paratopic.project.errors import UserError, in_short
from paratopic.project.files import printable, read_json, write_json
from paratopic.project.folder import Project
from paratopic.reading.sources import files_of


def sources_outside(project: Project) -> list[str]:
    """The sources and labels of a project that lie outside of it; no file is read.

    Returns
    -------
    Paths and globs as params.yaml has them. Of links, and of what a relative path leads to, also
    where that is: ``"seeds/talks.txt -> /elsewhere/talks.txt"``.
    """
    outside: dict[str, None] = {}
    prepare = project.params.prepare
    for pattern in filter(None, [*prepare.paths, prepare.labels]):
        with suppress(UserError):  # stage prepare says what is wrong with a pattern
            paths = (p for p in files_of(project.paths, [pattern]) if not _is_inside(p, project))
            outside |= dict.fromkeys(_way_out(path, pattern, project) for path in paths)
    return list(outside)


def untrusted(project: Project) -> list[str]:
    """Those of `sources_outside` that nobody trusted the project to read."""
    if not (outside := sources_outside(project)):
        return []
    allowed = _allowed(_record(project))
    return [place for place in outside if place not in allowed]


def refuse_untrusted(project: Project) -> None:
    """Raise a `UserError` where sources are outside that nobody trusted the project to read."""
    if places := untrusted(project):
        raise UserError(
            f"{in_short(places)}: outside of this project, which is not trusted to read that here. "
            "`paratopic trust` lists what it reads, and asks"
        )


def trust(project: Project, outside: Iterable[str] = ()) -> None:
    """Keep that the user trusts a project, because they made it, ran it or said so.

    Parameters
    ----------
    outside
        What it may read beside what it may already, as `sources_outside` has it.

    Raises
    ------
    OSError
        The state folder cannot be written to.
    """
    record = _record(project)
    allowed = list(dict.fromkeys([*_allowed(record), *outside]))
    write_json(record, {"project": printable(project.home), "outside": allowed})


def is_trusted(project: Project) -> bool:
    """Whether the user made or ran a project, or said that they trust it."""
    return _record(project).exists()


def _way_out(path: Path, pattern: str, project: Project) -> str:
    """The link in the project by which a file is outside; without one, its pattern."""
    for place in (*reversed(path.parents), path):
        leads_out = _is_inside(place.parent, project) and not _is_inside(place, project)
        if place.is_symlink() and leads_out:
            return _plain(f"{project.paths.name(place)} -> {os.path.realpath(place)}")
    whole = os.path.realpath(project.paths.root / pattern)
    return _plain(pattern if os.path.isabs(pattern) else f"{pattern} -> {whole}")


def _plain(text: str) -> str:
    """A text that no terminal takes for commands, which could hide a line of the list.

    >>> _plain("café\\x1b[2K")
    'café\\\\x1b[2K'
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _is_inside(path: Path, project: Project) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(project.home)


def _record(project: Project) -> Path:
    """File that says that a project is trusted, and what it may read outside."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = sha256(os.fsencode(project.home)).hexdigest()[:16]
    return Path(state) / "paratopic" / f"{digest}.json"


def _allowed(record: Path) -> list[str]:
    """What a project may read outside of it; nothing where there is no record, or a damaged one."""
    with suppress(UserError):
        return list(read_json(record, "`paratopic trust`").get("outside", ()))
    return []
