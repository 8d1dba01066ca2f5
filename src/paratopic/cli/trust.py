"""The command `paratopic trust`: let a project that somebody else made read what it names."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from paratopic.project.errors import UserError
from paratopic.project.folder import Project
from paratopic.reading import outside


def trust(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Allow a project that somebody else made to read files outside of it.

    It is also allowed to run its pipeline, which `label`, `suggest` and `status` do where texts
    were not read yet. Projects that you started or ran here need this only for sources that are
    new, and named or linked outside of the project.
    """
    project = Project()
    places = outside.sources_outside(project)
    if places:
        print("This project reads files outside of its folder:", *places, sep="\n  ")
    print("Its pipeline runs the commands in dvc.yaml and .dvc/stage.sh.")
    if not (yes or sys.stdin.isatty()):
        raise UserError("there is no terminal to ask on; add --yes if you trust this project")
    if not yes:
        typer.confirm("Do you trust this project?", abort=True)
    outside.trust(project, places)
