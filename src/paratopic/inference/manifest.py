"""The manifest of a model's folder, with calibration and checksums: writing and reading.

A folder may be untrusted, so the manifest is checked before any other file is opened, and no file
outside of the folder is opened. Each kind of model reads its own weights and vocabulary. The time
and memory that untrusted weights need are not limited.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple, get_args

from paratopic.inference.modes import Calibration, read_calibration
from paratopic.project.errors import UserError
from paratopic.project.files import escape_markdown, sha256
from paratopic.project.kinds import KINDS
from paratopic.project.languages import LANGUAGE_NAMES
from paratopic.project.topics import ModeName, Topic, Topics

MANIFEST = "paratopic.json"
# A fit has this file instead of a manifest, with its kind, its languages and its settings.
ABOUT = "fit.json"
# The model card. Before `paratopic publish` or MLflow writes the card, this file has `NOTE`.
CARD = "README.md"
NOTE = """# A model of paratopic

This folder predicts topics of paragraphs ({kind}): {topics}. It needs `pip install paratopic`:

```python
from paratopic import load

print(load("this/folder").predict("A paragraph."))
```

It has no figures here: `paratopic publish model` makes a copy with the model card, which has them.
"""
FORMAT = 13

# Reading a damaged manifest can raise these errors.
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


class Manifest(NamedTuple):
    """The description of a model in its manifest.

    Attributes
    ----------
    languages
        Codes of the languages that the model is for; empty if they are not known.
    settings
        Settings that the kind of model needs to read its other files.
    """

    kind: str
    topics: Topics
    calibration: Calibration
    languages: tuple[str, ...]
    settings: dict[str, Any]


def write_manifest(folder: Path, topics: Topics, calibration: Mapping[str, object]) -> None:
    """Turn the folder of a fit into a model: write a manifest and a card, and delete fit.json.

    `MANIFEST` has the topics with their definitions, the calibration (`asdict` of a `Calibration`),
    all of fit.json, and checksums of the files that prediction reads. `CARD` is `NOTE`, filled in.
    """
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    kind = about["kind"]
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "topics": {
            "mode": topics.mode,
            "codebook": [{"name": t.name, "definition": t.definition} for t in topics.topics],
        },
        "calibration": calibration,
        "languages": about["languages"],
        "settings": about["settings"],
        "files": {name: sha256(folder / name) for name in sorted(classifier_of(kind).FILES)},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    note = NOTE.format(kind=kind, topics=escape_markdown(", ".join(topics.names)))
    (folder / CARD).write_text(note, encoding="utf-8")
    (folder / ABOUT).unlink()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder, and check it and the checksum of every file that it lists.

    Raises
    ------
    UserError
        The folder or its manifest is missing; the manifest has another format or kind, a wrong
        value or other files than prediction reads; or a file is missing or has another checksum.
    """
    if not folder.is_dir():
        raise UserError(
            f"no model: the folder {folder} does not exist; `dvc repro` makes those of a project"
        )
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is not a paratopic model: it has no {MANIFEST}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version, kind = values["format"], values["kind"]
        if version != FORMAT or kind not in KINDS:
            raise UserError(
                f"{path}: this version of paratopic cannot read format {version}, kind {kind!r} "
                f"(it reads format {FORMAT}, kinds {', '.join(KINDS)}); train the model again"
            )
        files, manifest = dict(values["files"]), _parse(values)
        if {*files} != {*classifier_of(kind).FILES}:
            raise ValueError(f"files are {[*files]}, which are not those that prediction reads")
    except _DAMAGE as error:
        raise UserError(
            f"{path} is damaged, or not the manifest of a paratopic model ({error!r}); train the "
            "model again"
        ) from None
    for name, checksum in files.items():
        file = folder / name
        if not file.is_file():
            raise UserError(
                f"{folder} lacks {name}; copy the whole folder, or train the model again"
            )
        if sha256(file) != checksum:
            raise UserError(f"{file} is damaged (its checksum differs); train the model again")
    return manifest


def _parse(values: Mapping[str, Any]) -> Manifest:
    """Build a manifest from JSON; wrong values, except kind and settings, are `_DAMAGE` errors."""
    mode, codebook = values["topics"]["mode"], values["topics"]["codebook"]
    if mode not in get_args(ModeName):
        raise ValueError(f"topics.mode is {mode!r}")
    topics = Topics(mode, tuple(Topic(topic["name"], topic["definition"]) for topic in codebook))
    calibration = read_calibration(values["calibration"])
    calibration.check(len(topics.names), len(topics.outcomes))
    languages = tuple(values["languages"])
    if not set(languages) <= set(LANGUAGE_NAMES):
        raise ValueError(f"languages are {languages!r}")
    return Manifest(values["kind"], topics, calibration, languages, values["settings"])


def prediction_files(kind: str) -> list[str]:
    """Names of the files that prediction reads from the folder of a kind of model."""
    return [MANIFEST, *classifier_of(kind).FILES]


def digest_of(folder: Path) -> str:
    """Digest of a model: the checksum of its manifest, which contains those of the other files."""
    return sha256(folder / MANIFEST)


def card_mark(folder: Path) -> dict[str, str]:
    """Entry in the head of a model's card: "paratopic_model" → "sha256:" and its `digest_of`."""
    return {"paratopic_model": f"sha256:{digest_of(folder)}"}


def is_card_of(card: str, folder: Path) -> bool:
    """Whether the text of a card has the `card_mark` of the model in a folder."""
    return all(f"\n{key}: {value}\n" in card for key, value in card_mark(folder).items())


def classifier_of(kind: str) -> Any:
    """Import the `inference.model.Classifier` of a kind of model."""
    return resolve_name(KINDS[kind].classifier)
