"""The commands `paratopic codebook`: change the codebook while labels are there.

A change is an edit of the codebook alone, which keeps the names of before (`project.codebook`). So
labels stay as they are written, and git takes a change back.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from filelock import FileLock

from paratopic.project.codebook import Change, Kind, change_entries, edit
from paratopic.results.project import Project

codebook = typer.Typer(no_args_is_help=True)


@codebook.command()
def rename(
    old: Annotated[str, typer.Argument(help="Name of a topic.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
) -> None:
    """Rename a topic; its labels are read with the new name."""
    _change("rename", [old], [new])


@codebook.command()
def merge(
    names: Annotated[list[str], typer.Argument(help="Names of the topics to merge.")],
    into: Annotated[
        str | None, typer.Option(help="Name of the merged topic: one of them, or a new one.")
    ] = None,
) -> None:
    """Merge topics into one; their labels are read as its labels."""
    _change("merge", names, [] if into is None else [into])


@codebook.command()
def split(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Name of the topic to split.")],
    into: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME NAME ...", help="Topics that replace it, with new names."),
    ] = None,
) -> None:
    """Split a topic; its paragraphs have to be labelled again."""
    # An option takes one word each time that it is given: the words after it are arguments.
    _change("split", names[:1], [*(into or []), *names[1:]] if into else [])


@codebook.command()
def drop(name: Annotated[str, typer.Argument(help="Name of a topic.")]) -> None:
    """Drop a topic; its paragraphs have to be labelled again."""
    _change("drop", [name], [])


def _change(kind: Kind, names: list[str], into: list[str]) -> None:
    """Edit the file of the codebook, and say what that means."""
    change = Change(kind, tuple(names), tuple(into))
    paths = Project().paths
    # Another change waits, and is made to this one's codebook.
    with FileLock(paths.root / f".{paths.params.name}.lock"):
        before = Project().params.topics
        edit(paths.topics, paths.root, partial(change_entries, change, before))
    print(f"{change}, in {paths.topics}")
    if change.opens and paths.paragraphs.exists():
        labelling = Project().labelling
        waiting = labelling.in_units(f"paragraphs to be labelled again: {len(labelling.retired):,}")
        print(f"{waiting}; `paratopic suggest` offers them first")
    print(_ABOUT_DEFINITIONS[kind])


_ABOUT_DEFINITIONS: dict[Kind, str] = {
    "rename": "The definition has not changed. Next: dvc repro",
    "merge": "The definitions were joined: read the result there. Next: dvc repro",
    "split": "Define each of the topics there. Next: dvc repro prepare",
    "drop": "Next: dvc repro prepare",
}
