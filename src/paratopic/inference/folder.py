"""What a model's folder holds: the manifest, the calibration and the checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paratopic.project.errors import UserError
from paratopic.project.topics import Mode, Topics

MANIFEST = "paratopic.json"
FORMAT = 5


@dataclass(frozen=True)
class Calibration:
    """What out-of-fold scores taught about a model's probabilities.

    Parameters
    ----------
    scale
        What the logits (see `probabilities`) are multiplied by, one each or one for all.
    shift
        What is added to them then.
    thresholds
        Probability from which on topics are named: one for all in mode single, one each in mode
        multi, where one may stand for all too.
    """

    scale: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    thresholds: tuple[float, ...] = (0.0,)


@dataclass(frozen=True)
class Manifest:
    """What a folder's manifest says of the model.

    Parameters
    ----------
    kind
        ``"baseline"`` or ``"transformer"``.
    mode
        Mode of the topics.
    definitions
        Topic name → definition, in class order.
    calibration
        What the probabilities were calibrated by.
    settings
        What the kind of model needs to know to read the other files.
    """

    kind: str
    mode: Mode
    definitions: dict[str, str]
    calibration: Calibration
    settings: dict[str, Any]


def read_calibration(values: Mapping[str, Sequence[float]]) -> Calibration:
    """What `dataclasses.asdict` made of a calibration, and JSON of that."""
    return Calibration(**{name: tuple(numbers) for name, numbers in values.items()})


def write_manifest(
    folder: Path,
    kind: str,
    topics: Topics,
    calibration: Calibration,
    settings: Mapping[str, Any],
    files: Iterable[str],
) -> None:
    """Write the file that makes a folder a model; `files` are the pieces that prediction reads."""
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "topics": {
            "mode": topics.mode,
            "codebook": [{"name": t.name, "definition": t.definition} for t in topics.topics],
        },
        "calibration": asdict(calibration),
        "settings": settings,
        "files": {name: _digest(folder / name) for name in sorted(files)},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path, kinds: Collection[str]) -> Manifest:
    """Read a folder's manifest and check that every piece is there and undamaged.

    Parameters
    ----------
    folder
        The model's folder.
    kinds
        The kinds of model that this version can load.

    Raises
    ------
    UserError
        There is no such folder, it is no paratopic model, or a piece is missing or damaged; the
        message names the piece.
    """
    if not folder.is_dir():
        raise UserError(f"no model: the folder {folder} does not exist")
    try:
        values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        codebook = values["topics"]["codebook"]
        manifest = Manifest(
            values["kind"],
            values["topics"]["mode"],
            {topic["name"]: topic["definition"] for topic in codebook},
            read_calibration(values["calibration"]),
            values["settings"],
        )
        version, files = values["format"], values["files"]
    except FileNotFoundError:
        raise UserError(f"{folder} is no paratopic model: it has no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / MANIFEST} is damaged or foreign ({error!r}); train the model again"
        ) from None
    if version != FORMAT or manifest.kind not in kinds:
        raise UserError(
            f"{folder / MANIFEST}: format {version}, kind {manifest.kind!r} is not of this version "
            f"of paratopic (format {FORMAT}, kinds {', '.join(kinds)}); train the model again"
        )
    _check_files(folder, files)
    return manifest


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, checksum in files.items():
        piece = folder / name
        if not piece.is_file():
            raise UserError(f"{folder} lacks {name}; train the model again or copy it whole")
        if _digest(piece) != checksum:
            raise UserError(f"{piece} is damaged (its checksum differs); train the model again")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
