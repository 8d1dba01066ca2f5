"""The command `paratopic publish`: write a model or labels for others, as a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from paratopic.cli.next_steps import note_changes, print_changes
from paratopic.cli.predict import ModelOption
from paratopic.corpus.labelled import check_names
from paratopic.inference.manifest import CARD, is_card_of, prediction_files
from paratopic.inference.model import load
from paratopic.labels.dataset import write_dataset
from paratopic.project.errors import UserError
from paratopic.project.files import MODEL_CARD, Paths, atomic_write, checked_read
from paratopic.results.project import Project

publish = typer.Typer(no_args_is_help=True)
To = Annotated[Path, typer.Option(help="A folder to write.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@publish.command("model")
def publish_model(to: To, model: ModelOption = None, yes: Yes = False) -> None:
    """Publish a model: the files that prediction reads, and its card."""
    loaded = load(model)
    note_changes(Project(), loaded.folder)
    _publish(to, lambda draft: _copy_model(loaded.folder, loaded.kind, draft), yes)
    print(f'load("{to}#sha256:{loaded.digest}") opens it')


@publish.command("labels")
def publish_labels(
    to: To,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Number the annotators, and leave out their notes.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Publish the paragraphs labelled by hand as a dataset: texts, labels, answers and a card."""
    project = Project()
    labelling, params = project.labelling, project.params
    print_changes(project)
    check_names(labelling.paragraphs, params.topics)
    data, lines = labelling.labelled, labelling.lines
    if not data.by_hand.any():
        path = project.paths.paragraphs
        raise UserError(f"{path} has no label by hand, and there is nothing else to publish")
    _publish(to, lambda draft: write_dataset(draft, to.name, params, data, lines, anonymous), yes)
    print(f"{to / CARD} says how to read it")


def _publish(out: Path, write: Callable[[Path], None], yes: bool) -> None:
    """Let `write` fill a new folder, list it, and keep it as `out` if `yes` or the user agrees.

    A UserError refuses an `out` that exists or lacks a parent folder; a user's no is `typer.Abort`.
    """
    if out.exists():
        raise UserError(f"{out} exists already; name another folder")
    if not out.absolute().parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}; make it")
    with atomic_write(out) as draft:
        draft.mkdir()
        write(draft)
        print(f"To the folder {out}:")
        for path in sorted(path for path in draft.rglob("*") if path.is_file()):
            print(f"  {path.stat().st_size:>12,} bytes  {path.relative_to(draft)}")
        if not yes:
            typer.confirm("Publish these files?", abort=True)


def _copy_model(folder: Path, kind: str, target: Path) -> None:
    """Copy the files that prediction reads and the model's card to `target`, and load the copy.

    The card is that of the model's project, which must not be out of date, or else the folder's.
    """
    for name in prediction_files(kind):
        shutil.copyfile(folder / name, target / name)
    card = Paths(folder.parent.parent).model_reports / folder.name / MODEL_CARD
    if card.exists():
        with checked_read("`dvc repro`", card):
            text = card.read_text(encoding="utf-8")
        if not is_card_of(text, folder):
            raise UserError(f"{card} is out of date; {folder} changed since: run `dvc repro`")
    shutil.copyfile(card if card.exists() else folder / CARD, target / CARD)
    load(target)
