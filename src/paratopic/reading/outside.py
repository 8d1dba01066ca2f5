"""Sources outside of a project, and whether the user trusts the project to read them.

A project from a stranger may name any file of the user's machine. The record of trusted projects is
outside of projects: it is a file for each project in the user's state folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from paratopic.project.errors import UserError, shortened_list
from paratopic.project.files import printable, read_json, write_json
from paratopic.project.folder import Project
from paratopic.reading.sources import files_of


def sources_outside(project: Project) -> list[str]:
    """List the sources and labels of a project that lie outside of it, each once; no file is read.

    They are paths and globs as in params.yaml, or links in the project; those without a file are
    left out. A link or relative path has its target: ``"seeds/talk.txt -> /elsewhere/talk.txt"``.
    """
    outside: dict[str, None] = {}
    prepare = project.params.prepare
    for pattern in filter(None, [*prepare.paths, prepare.labels]):
        with suppress(UserError):  # stage prepare reports a wrong pattern
            paths = [p for p in files_of(project.paths, [pattern]) if not _is_inside(p, project)]
            outside |= dict.fromkeys(_link_or_pattern(path, pattern, project) for path in paths)
    return list(outside)


def untrusted_sources(project: Project) -> list[str]:
    """The paths of `sources_outside` that the user does not trust the project to read."""
    outside = sources_outside(project)
    if not outside:
        return []
    allowed = _allowed(_record(project))
    return [place for place in outside if place not in allowed]


def refuse_untrusted(project: Project) -> None:
    """Raise a `UserError` if the user does not trust the project to read all of its sources."""
    if places := untrusted_sources(project):
        raise UserError(
            f"{shortened_list(places)}: outside of this project, which is not trusted to read that "
            "here. `paratopic trust` lists what it reads, and asks"
        )


def trust(project: Project, outside: Iterable[str] = ()) -> None:
    """Record that the user trusts a project, because they made it, ran it or confirmed it.

    From then on it may also read the sources `outside`, as `sources_outside` lists them. An
    `OSError` reports that the state folder cannot be written to.
    """
    record = _record(project)
    allowed = list(dict.fromkeys([*_allowed(record), *outside]))
    write_json(record, {"project": printable(project.home), "outside": allowed})


def is_trusted(project: Project) -> bool:
    """Whether the user made, ran or confirmed a project."""
    return _record(project).exists()


def _link_or_pattern(path: Path, pattern: str, project: Project) -> str:
    """The link to a file outside, or else the pattern; with " -> target" unless it is absolute."""
    for place in (*reversed(path.parents), path):
        leads_out = _is_inside(place.parent, project) and not _is_inside(place, project)
        if place.is_symlink() and leads_out:
            return _printable(f"{project.paths.name(place)} -> {os.path.realpath(place)}")
    target = os.path.realpath(project.paths.root / pattern)
    return _printable(pattern if os.path.isabs(pattern) else f"{pattern} -> {target}")


def _printable(text: str) -> str:
    """Escape the terminal commands in a text, which could hide other lines of the list.

    >>> _printable("café\\x1b[2K")
    'café\\\\x1b[2K'
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _is_inside(path: Path, project: Project) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(project.home)


def _record(project: Project) -> Path:
    """Path of the record that a project is trusted, with the sources that it may read outside."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = sha256(os.fsencode(project.home)).hexdigest()[:16]
    return Path(state) / "paratopic" / f"{digest}.json"


def _allowed(record: Path) -> list[str]:
    """The sources in a record; none if it is missing or damaged."""
    with suppress(UserError):
        return list(read_json(record, "`paratopic trust`").get("outside", ()))
    return []
