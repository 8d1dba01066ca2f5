"""The command `paratopic pack`: a model's folder with only what prediction needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from paratopic.cli.predict import ModelName
from paratopic.inference.folder import CARD, prediction_files
from paratopic.inference.loading import load
from paratopic.project.errors import UserError
from paratopic.project.files import aside

Out = Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")]


def pack(out: Out, model: ModelName = None) -> None:
    """Copy a model with only the files that prediction reads, and its card.

    The copy gives the same answers. What sentence-transformers would need is left out.
    """
    folder = load(model).folder
    if out.exists():
        raise UserError(f"{out} exists already; name another folder")
    names = prediction_files(folder)
    if (folder / CARD).exists():
        names.append(CARD)
    with aside(out) as draft:
        draft.mkdir()
        for name in names:
            shutil.copyfile(folder / name, draft / name)
        load(draft)
    size = sum((out / name).stat().st_size for name in names)
    print(f"{out}: {len(names)} files of {folder}, {size / 1e6:.1f} MB")
