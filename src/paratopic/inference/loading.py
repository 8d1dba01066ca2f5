"""Load a model from its folder, and predict with the default model.

Everything that prediction needs lies in the model's folder; one that lacks a piece is refused.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, overload

from paratopic.inference.baseline import BaselineClassifier
from paratopic.inference.folder import MANIFEST, read_manifest
from paratopic.inference.model import Classifier, Model, Prediction
from paratopic.inference.registry import fetch
from paratopic.inference.transformer import EncoderClassifier
from paratopic.project.errors import UserError
from paratopic.project.paths import CHAMPION
from paratopic.project.topics import Mode


def load(folder: str | os.PathLike[str] | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    folder
        A model's folder, such as ``models/transformer``, or a model that MLflow keeps:
        ``models:/paratopic@champion``, ``runs:/ID/model``. None takes what the environment
        variable PARATOPIC_MODEL names, else the champion of the project that the current directory
        lies in.

    Raises
    ------
    UserError
        There is no such folder, it is no paratopic model, or a piece is missing or damaged; the
        message names the piece.
    """
    return _load(_folder(folder))


@overload  # a str is an iterable of str too: the first that fits is meant
def predict(texts: str) -> Prediction: ...  # type: ignore[overload-overlap]


@overload
def predict(texts: Iterable[str]) -> list[Prediction]: ...


def predict(texts: str | Iterable[str]) -> Prediction | list[Prediction]:
    """Predict with the default model (see `load`), which stays loaded until it is trained anew.

    Parameters
    ----------
    texts
        A str gives one `Prediction`, anything else a list of them in the same order.

    Raises
    ------
    UserError
        There is no default model, or it is damaged.
    TypeError
        An item is not a str.
    """
    folder = _folder(None)
    manifest = folder / MANIFEST
    changed = manifest.stat().st_mtime_ns if manifest.exists() else 0
    return _kept(folder, changed).predict(texts)


@functools.lru_cache(maxsize=1)
def _kept(folder: Path, changed: int) -> Model:
    return _load(folder)


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    chosen = folder or os.environ.get("PARATOPIC_MODEL")
    here = Path.cwd()
    project = next((root for root in (here, *here.parents) if (root / CHAMPION).exists()), None)
    if str(chosen).startswith(("models:/", "runs:/")):
        path = fetch(str(chosen), project or here)
    elif chosen:
        path = Path(chosen)
    elif project:
        path = project / CHAMPION
    else:
        raise UserError(
            f"no model: neither {here} nor a folder above it has {CHAMPION}; run `make repro` "
            "in the project, or name a model's folder (load(folder), PARATOPIC_MODEL)"
        )
    # The champion is a pointer: a small file that names the folder beside it.
    if path.is_file():
        try:
            name = json.loads(path.read_text(encoding="utf-8"))["champion"]
            path = path.parent / str(name)
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path} is neither a model's folder nor a champion file") from None
    return path.absolute()


def _load(folder: Path) -> Model:
    m = read_manifest(folder, _KINDS)
    classifier = _KINDS[m.kind](folder, m.mode, m.settings)
    return Model(m.kind, folder, m.mode, m.definitions, m.calibration, classifier)


_KINDS: dict[str, Callable[[Path, Mode, dict[str, Any]], Classifier]] = {
    "baseline": BaselineClassifier,
    "transformer": EncoderClassifier,
}
