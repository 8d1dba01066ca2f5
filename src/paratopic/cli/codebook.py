"""The commands `paratopic codebook`: change the codebook of a project that has labels.

A change edits only the codebook, which keeps the former names, so that git can revert it.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from filelock import FileLock

from paratopic.project.codebook import Change, Kind, change_entries, edit_yaml
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
    # An option takes one word, so the other new names arrive as arguments.
    _change("split", names[:1], [*(into or []), *names[1:]] if into else [])


@codebook.command()
def drop(name: Annotated[str, typer.Argument(help="Name of a topic.")]) -> None:
    """Drop a topic; its paragraphs have to be labelled again."""
    _change("drop", [name], [])


def _change(kind: Kind, names: list[str], into: list[str]) -> None:
    """Edit only the codebook by `Change(kind, names, into)`; print the change and next steps."""
    change = Change(kind, tuple(names), tuple(into))
    paths = Project().paths
    # A second change at the same time waits, and then reads the result of the first one.
    with FileLock(paths.root / f".{paths.params.name}.lock"):
        before = Project().params.topics
        edit_yaml(paths.topics, paths.root, partial(change_entries, change, before))
    print(f"{change}, in {paths.topics}")
    if change.needs_relabelling and paths.paragraphs.exists():
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
