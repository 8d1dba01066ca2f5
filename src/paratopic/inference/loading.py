"""Load a model from its folder, and predict with the default model.

Everything that prediction needs lies in the model's folder. A folder that lacks a file, or whose
files were changed, is refused.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import overload

import numpy as np

from paratopic.inference.folder import MANIFEST, classifier_of, digest_of, read_manifest
from paratopic.inference.model import Model
from paratopic.inference.modes import mode_of
from paratopic.inference.prediction import Prediction
from paratopic.inference.registry import fetch
from paratopic.project.errors import UserError
from paratopic.project.files import CHAMPION, root_with
from paratopic.project.kinds import KINDS
from paratopic.project.texts import Text, numbered

log = logging.getLogger(__name__)

# A text that a model has to answer when it is loaded.
PROBE = "Talks on trade went on."


def load(folder: str | os.PathLike[str] | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    folder
        Folder of a model, such as ``models/transformer``, or the URI of a model in MLflow:
        ``models:/paratopic@champion`` or ``runs:/ID/model``. Each may end with the model's digest,
        ``#sha256:HEX``, as its card has it; another model is then refused. None, the default, takes
        the value of the environment variable PARATOPIC_MODEL; without one, the champion of the
        project that the current directory lies in.

    Raises
    ------
    UserError
        The folder does not exist or is not a paratopic model, it is not that of the digest, or a
        file in it is missing or damaged; the message names the file.
    """
    started = time.monotonic()
    model = _load(_folder(folder))
    log.info("%s (%s): loaded in %.2f s", model.folder, model.kind, time.monotonic() - started)
    return model


@overload
def predict(  # type: ignore[overload-overlap]  # a str is an iterable of str: the first that fits
    texts: Text,
) -> Prediction: ...


@overload
def predict(texts: Iterable[Text]) -> list[Prediction]: ...


def predict(texts: Text | Iterable[Text]) -> Prediction | list[Prediction]:
    """Predict with the default model (see `load`), which stays loaded until it is trained again.

    A model from MLflow is fetched once a process.

    Parameters
    ----------
    texts
        A str or `Passage` gives one `Prediction`; any other iterable of them gives a list in the
        same order.

    Raises
    ------
    UserError
        There is no default model, or it is damaged.
    TypeError
        An item is not a text.
    """
    folder = _folder(None, _fetch_once)
    manifest = folder / MANIFEST
    changed = manifest.stat().st_mtime_ns if manifest.exists() else 0
    return _default_model(folder, changed).predict(texts)


@functools.lru_cache(maxsize=1)
def _default_model(folder: Path, changed: int) -> Model:
    return _load(folder)


# Of a process: what an alias points to may change meanwhile.
_fetch_once = functools.cache(fetch)


def _folder(
    folder: str | os.PathLike[str] | None, fetch: Callable[[str, Path], Path] = fetch
) -> Path:
    """Find the folder of a model that is given, or of the default one where none is."""
    named = str(folder or os.environ.get("PARATOPIC_MODEL") or "")
    chosen, mark, digest = named.partition("#sha256:")
    if mark and not digest:
        raise UserError(f"{named}: the digest after #sha256: is missing")
    here, project = Path.cwd(), root_with(CHAMPION)
    if chosen.startswith(("models:/", "runs:/")):
        path = fetch(chosen, project or here)
    elif chosen:
        path = Path(chosen)
    elif project:
        path = project / CHAMPION
    else:
        raise UserError(
            f"no model: neither {here} nor a folder above it has {CHAMPION}; run `dvc repro` "
            "in the project, or give a model's folder (--model, load(folder), PARATOPIC_MODEL)"
        )
    # A file is a champion file, which names the folder beside it.
    path = (_champion(path) if path.is_file() else path).absolute()
    if digest and (path / MANIFEST).exists() and (own := digest_of(path)) != digest:
        raise UserError(f"{chosen} is another model than sha256:{digest}: its digest is {own}")
    return path


def _champion(path: Path) -> Path:
    try:
        return path.parent / KINDS[json.loads(path.read_text(encoding="utf-8"))["champion"]].name
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} is neither a model's folder nor a champion file") from None


def _load(folder: Path) -> Model:
    manifest = read_manifest(folder)
    kind, topics = manifest.kind, manifest.topics
    try:
        classifier = classifier_of(kind)(folder, mode_of(topics.mode), manifest.settings)
        # Pieces that do not fit together, or weights that are no numbers, show in an answer.
        logits, n_logits = classifier.read(numbered([PROBE])).logits, len(topics.outcomes)
        if logits.shape != (1, n_logits) or np.isnan(logits).any():
            raise ValueError(f"it gives {logits.tolist()} as {n_logits} logits")
    except (ImportError, KeyboardInterrupt, SystemExit):
        raise
    # Each library has its own for a file that it cannot read; panics of Rust are no `Exception`.
    except BaseException as error:
        raise UserError(
            f"{folder} cannot be loaded as a {kind} ({error!r}); train the model again"
        ) from None
    return Model(folder, manifest, classifier)
