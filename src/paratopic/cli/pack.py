"""The command `paratopic pack`: a model's folder with only what prediction needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from paratopic.cli.predict import ModelName
from paratopic.inference.folder import CARD, is_card_of, prediction_files
from paratopic.inference.loading import load
from paratopic.project.errors import UserError
from paratopic.project.files import aside
from paratopic.project.paths import MODEL_CARD, MODEL_REPORTS

Out = Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")]


def pack(out: Out, model: ModelName = None) -> None:
    """Copy only the files of a model that prediction reads, and the model card.

    The copy gives the same answers. The files that only sentence-transformers needs are left out.
    """
    folder = load(model).folder
    if out.exists():
        raise UserError(f"{out} exists already; name another folder")
    names = prediction_files(folder)
    with aside(out) as draft:
        draft.mkdir()
        for name in names:
            shutil.copyfile(folder / name, draft / name)
        shutil.copyfile(_card(folder), draft / CARD)
        load(draft)
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{out}: {len(names) + 1} files of {folder}, {size / 1e6:.1f} MB")


def _card(folder: Path) -> Path:
    """The card of a model: that of its project, or else the one in its folder."""
    card = folder.parents[1] / MODEL_REPORTS / folder.name / MODEL_CARD
    if not card.exists():
        return folder / CARD
    if not is_card_of(card.read_text(encoding="utf-8"), folder):
        raise UserError(f"{card} is out of date; {folder} changed since: run `dvc repro`")
    return card
