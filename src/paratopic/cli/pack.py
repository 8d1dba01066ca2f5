"""The command `paratopic pack`: a model's folder with only what prediction needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from paratopic.cli.predict import ModelName
from paratopic.inference.folder import CARD, is_card_of, prediction_files
from paratopic.inference.loading import load
from paratopic.inference.model import Model
from paratopic.project.errors import UserError
from paratopic.project.files import aside, written_by
from paratopic.project.paths import MODEL_CARD, MODEL_REPORTS

Out = Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")]


def pack(out: Out, model: ModelName = None) -> None:
    """Copy only the files of a model that prediction reads, and the model card.

    The copy gives the same answers. The files that only sentence-transformers needs are left out.
    """
    loaded = load(model)
    if out.exists():
        raise UserError(f"{out} exists already; name another folder")
    with aside(out) as draft:
        draft.mkdir()
        copy_model(loaded, draft)
    sizes = [path.stat().st_size for path in out.iterdir()]
    print(f"{out}: {len(sizes)} files of {loaded.folder}, {sum(sizes) / 1e6:.1f} MB")


def copy_model(model: Model, target: Path) -> None:
    """Copy the files of a model that prediction reads to an empty folder, and check the copy.

    Its card goes with them: that of its project, or else the one in its folder.

    Raises
    ------
    UserError
        The card is out of date.
    """
    folder = model.folder
    for name in prediction_files(model.kind):
        shutil.copyfile(folder / name, target / name)
    card = folder.parents[1] / MODEL_REPORTS / folder.name / MODEL_CARD
    if card.exists():
        with written_by("`dvc repro`", card):
            text = card.read_text(encoding="utf-8")
        if not is_card_of(text, folder):
            raise UserError(f"{card} is out of date; {folder} changed since: run `dvc repro`")
    shutil.copyfile(card if card.exists() else folder / CARD, target / CARD)
    load(target)
