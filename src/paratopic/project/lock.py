"""dvc.lock, and the file of DVC's own locks: a killed run can leave either of them half written.

DVC writes them in place. Run as a program, this module only checks them: ``python -m
paratopic.project.lock``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from paratopic.project import errors
from paratopic.project.errors import UserError
from paratopic.project.paths import LOCK

# What DVC's processes read and write at the moment.
RWLOCK = Path(".dvc/tmp/rwlock")


def read_lock(path: Path = LOCK) -> dict[str, Any]:
    """Read dvc.lock as DVC does.

    Raises
    ------
    UserError
        The file is missing or damaged.
    """
    # Late: DVC takes a third of a second to load, and only the pipeline has it.
    from dvc.exceptions import DvcException
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.strictyaml import load

    try:
        lock: dict[str, Any] = load(str(path), COMPILED_LOCKFILE_SCHEMA)[0]
    except FileNotFoundError:
        raise UserError(f"{path} not found: run `dvc repro` first") from None
    except (DvcException, ValueError):  # the latter of a number or a date that is cut off
        raise UserError(
            f"{path} is damaged: a run was killed while DVC wrote it. Bring back the version of "
            f"the last commit (`git checkout {path}`), or delete it if there is none, and run "
            "`dvc repro` again: only what is missing is computed"
        ) from None
    return lock


def main() -> None:
    """Check the files in the current directory, as far as there are any."""
    if LOCK.exists():
        read_lock()
    if RWLOCK.exists():
        try:
            json.loads(RWLOCK.read_text(encoding="utf-8"))
        except ValueError:
            raise UserError(
                f"{RWLOCK} is damaged: a run was killed while DVC wrote it. Delete it, and run "
                "`dvc repro` again: only what is missing is computed"
            ) from None


if __name__ == "__main__":
    errors.run(main)
