"""A model's folder: its manifest with calibration and checksums, written and read.

The weights and vocabularies beside the manifest are for the kinds of model themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paratopic.project.errors import UserError
from paratopic.project.topics import ModeName, Topics

MANIFEST = "paratopic.json"
FORMAT = 6


@dataclass(frozen=True)
class Calibration:
    """Corrections of a model's probabilities and thresholds of its predictions.

    Both are fitted to out-of-fold scores.

    Parameters
    ----------
    scale
        Factors that the logits (see `modes.Mode.logits`) are multiplied by: one for each logit, or
        one for all.
    shift
        Numbers added to the scaled logits: one for each, or one for all.
    thresholds
        In mode single one for all topics: the lowest probability at which a prediction is sure. In
        mode multi the lowest probability at which each topic is predicted, or one for all.
    """

    scale: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    thresholds: tuple[float, ...] = (0.0,)


@dataclass(frozen=True)
class Manifest:
    """The part of a manifest that describes the model.

    Parameters
    ----------
    kind
        ``"baseline"`` or ``"transformer"``.
    mode
        Mode of the topics.
    definitions
        Topic name → definition, in class order.
    calibration
        Calibration of the probabilities, and the topics' thresholds.
    settings
        Settings that the kind of model needs to read the other files.
    """

    kind: str
    mode: ModeName
    definitions: dict[str, str]
    calibration: Calibration
    settings: dict[str, Any]


def read_calibration(values: Mapping[str, Sequence[float]]) -> Calibration:
    """Rebuild a calibration from `dataclasses.asdict` of it, also after a detour through JSON.

    >>> read_calibration({"scale": [2.0], "shift": [0.0], "thresholds": [0.5]})
    Calibration(scale=(2.0,), shift=(0.0,), thresholds=(0.5,))
    """
    return Calibration(**{name: tuple(numbers) for name, numbers in values.items()})


def write_manifest(
    folder: Path,
    kind: str,
    topics: Topics,
    calibration: Calibration,
    settings: Mapping[str, Any],
    files: Iterable[str],
) -> None:
    """Write the manifest, which makes a folder a model.

    Parameters
    ----------
    folder
        Folder that already holds the `files`.
    kind, calibration, settings
        As in `Manifest`.
    topics
        The codebook.
    files
        Names of the files that prediction reads; the manifest records their checksums.
    """
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
    """Read a folder's manifest and check that every file it lists is there and undamaged.

    Parameters
    ----------
    folder
        The model's folder.
    kinds
        Kinds of model that can be loaded.

    Raises
    ------
    UserError
        The folder does not exist or is not a paratopic model, or a file in it is missing or
        damaged; the message names the file.
    """
    if not folder.is_dir():
        raise UserError(f"no model: the folder {folder} does not exist")
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        manifest = _parse(values)
        version, files = values["format"], values["files"]
    except FileNotFoundError:
        raise UserError(f"{folder} is not a paratopic model: it has no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged, or not the manifest of a paratopic model ({error!r}); train the "
            "model again"
        ) from None
    if version != FORMAT or manifest.kind not in kinds:
        raise UserError(
            f"{path}: this version of paratopic cannot read format {version}, kind "
            f"{manifest.kind!r} (it reads format {FORMAT}, kinds {', '.join(kinds)}); train the "
            "model again"
        )
    _check_files(folder, files)
    return manifest


def digest_of(folder: Path) -> str:
    """Digest of a model: of its manifest, which has those of its other files."""
    return _digest(folder / MANIFEST)


def _parse(values: Mapping[str, Any]) -> Manifest:
    return Manifest(
        values["kind"],
        values["topics"]["mode"],
        {topic["name"]: topic["definition"] for topic in values["topics"]["codebook"]},
        read_calibration(values["calibration"]),
        values["settings"],
    )


def _check_files(folder: Path, checksums: Mapping[str, str]) -> None:
    for name, checksum in checksums.items():
        path = folder / name
        if not path.is_file():
            raise UserError(
                f"{folder} lacks {name}; copy the whole folder, or train the model again"
            )
        if _digest(path) != checksum:
            raise UserError(f"{path} is damaged (its checksum differs); train the model again")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
