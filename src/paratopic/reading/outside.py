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
from paratopic.project.params import Prepare
from paratopic.reading.sources import files_of


def sources_outside(prepare: Prepare) -> list[str]:
    """The sources and labels of the project here that lie outside of it; no file is read.

    Returns
    -------
    Paths and globs as params.yaml has them. Of links, and of what a relative path leads to, also
    where that is: ``"seeds/talks.txt -> /elsewhere/talks.txt"``.
    """
    outside: dict[str, None] = {}
    for pattern in filter(None, [*prepare.paths, prepare.labels]):
        with suppress(UserError):  # stage prepare says what is wrong with a pattern
            paths = (path for path in files_of([pattern]) if not _is_inside(path))
            outside |= dict.fromkeys(_way_out(path, pattern) for path in paths)
    return list(outside)


def untrusted(prepare: Prepare) -> list[str]:
    """Those of `sources_outside` that nobody trusted the project here to read."""
    if not (outside := sources_outside(prepare)):
        return []
    allowed = _allowed(_record(_root()))
    return [place for place in outside if place not in allowed]


def refuse_untrusted(prepare: Prepare) -> None:
    """Raise a `UserError` where sources are outside that nobody trusted the project to read."""
    if places := untrusted(prepare):
        raise UserError(
            f"{in_short(places)}: outside of this project, which is not trusted to read that here. "
            "`paratopic trust` lists what it reads, and asks"
        )


def trust(outside: Iterable[str] = (), root: Path | None = None) -> None:
    """Keep that the user trusts a project, because they made it, ran it or said so.

    Parameters
    ----------
    outside
        What it may read beside what it may already, as `sources_outside` has it.
    root
        The project's folder; by default the one here.

    Raises
    ------
    OSError
        The state folder cannot be written to.
    """
    root = _root() if root is None else root.resolve()
    record = _record(root)
    allowed = list(dict.fromkeys([*_allowed(record), *outside]))
    write_json(record, {"project": printable(root), "outside": allowed})


def is_trusted() -> bool:
    """Whether the user made or ran the project here, or said that they trust it."""
    return _record(_root()).exists()


def _way_out(path: Path, pattern: str) -> str:
    """The link in the project by which a file is outside; without one, its pattern."""
    for place in (*reversed(path.parents), path):
        if place.is_symlink() and _is_inside(place.parent) and not _is_inside(place):
            return _plain(f"{place} -> {os.path.realpath(place)}")
    target = "" if os.path.isabs(pattern) else f" -> {os.path.realpath(pattern)}"
    return _plain(f"{pattern}{target}")


def _plain(text: str) -> str:
    """A text that no terminal takes for commands, which could hide a line of the list.

    >>> _plain("café\\x1b[2K")
    'café\\\\x1b[2K'
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _is_inside(path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(_root())


def _root() -> Path:
    """The project's folder, also where DVC runs an experiment in a folder below it."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def _record(root: Path) -> Path:
    """File that says that the project in a folder is trusted, and what it may read outside."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    digest = sha256(os.fsencode(root)).hexdigest()[:16]
    return Path(state) / "paratopic" / f"{digest}.json"


def _allowed(record: Path) -> list[str]:
    """What a project may read outside of it; nothing where there is no record, or a damaged one."""
    with suppress(UserError):
        return list(read_json(record, "`paratopic trust`").get("outside", ()))
    return []
