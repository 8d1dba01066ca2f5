"""A model's folder: its manifest with calibration and checksums, written and read.

A folder may come from anybody, so what the manifest says is checked before any other file is
opened: no file outside of the folder is. The weights and vocabularies beside the manifest are for
the kinds of model themselves. Those of a stranger can take all time or memory; that is not checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from paratopic.inference.calibration import Calibration, read_calibration
from paratopic.inference.modes import mode_of
from paratopic.project.errors import UserError
from paratopic.project.files import sha256
from paratopic.project.kinds import KINDS, named_object
from paratopic.project.languages import NAMES
from paratopic.project.topics import ModeName, Topic, Topics

MANIFEST = "paratopic.json"
# The model card; until `paratopic pack` or MLflow adds it, a note on what the folder is.
CARD = "README.md"
NOTE = """# A model of paratopic

This folder predicts topics of paragraphs ({kind}): {topics}. It needs `pip install paratopic`:

```python
from paratopic import load

print(load("this/folder").predict("A paragraph."))
```

It has no figures here: `paratopic pack` makes a copy with the model card, which has them.
"""
FORMAT = 11

# What reading a damaged manifest raises.
_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
# Largest number in a calibration: with more, logits could overflow.
LARGEST = 1e9
# A name that can lead nowhere but into the folder.
PLAIN_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Manifest:
    """The part of a manifest that describes the model.

    Parameters
    ----------
    kind
        ``"baseline"`` or ``"transformer"``.
    definitions
        Topic name → definition, in class order.
    languages
        Codes of the languages that the model is for; empty where they are not known.
    settings
        Settings that the kind of model needs to read the other files.
    """

    kind: str
    mode: ModeName
    definitions: dict[str, str]
    calibration: Calibration
    languages: tuple[str, ...]
    settings: dict[str, Any]


def write_manifest(
    folder: Path,
    kind: str,
    topics: Topics,
    calibration: Calibration,
    languages: Sequence[str],
    settings: Mapping[str, Any],
) -> None:
    """Write the manifest, which makes a folder a model, and a note on what it is.

    It records the checksums of the files that prediction reads with the kind's classifier.
    """
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "topics": {
            "mode": topics.mode,
            "codebook": [{"name": t.name, "definition": t.definition} for t in topics.topics],
        },
        "calibration": asdict(calibration),
        "languages": list(languages),
        "settings": settings,
        "files": {name: sha256(folder / name) for name in sorted(classifier_of(kind).FILES)},
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    note = NOTE.format(kind=kind, topics=", ".join(topics.names))
    (folder / CARD).write_text(note, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest, and check it and every file that it lists.

    Raises
    ------
    UserError
        The folder does not exist or is not a paratopic model; a file that prediction reads is not
        listed by a plain name, missing or damaged; or a number is out of bounds. The message names
        the file.
    """
    if not folder.is_dir():
        raise UserError(f"no model: the folder {folder} does not exist")
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is not a paratopic model: it has no {MANIFEST}")
    with _checked(path):
        values = json.loads(path.read_text(encoding="utf-8"))
        version, kind = values["format"], values["kind"]
        if version != FORMAT or kind not in KINDS:
            raise UserError(
                f"{path}: this version of paratopic cannot read format {version}, kind {kind!r} "
                f"(it reads format {FORMAT}, kinds {', '.join(KINDS)}); train the model again"
            )
        manifest = _parse(values)
        files = _checksums(values["files"], classifier_of(kind).FILES)
    for name, checksum in files.items():
        if not (folder / name).is_file():
            raise UserError(
                f"{folder} lacks {name}; copy the whole folder, or train the model again"
            )
        if sha256(folder / name) != checksum:
            raise UserError(
                f"{folder / name} is damaged (its checksum differs); train the model again"
            )
    return manifest


def prediction_files(folder: Path) -> list[str]:
    """Names of the files that prediction reads from a model's folder, as its manifest lists them.

    Raises
    ------
    UserError
        The manifest is damaged.
    """
    path = folder / MANIFEST
    with _checked(path):
        return [MANIFEST, *dict(json.loads(path.read_text(encoding="utf-8"))["files"])]


@contextmanager
def _checked(path: Path) -> Iterator[None]:
    """Read a manifest in the block; a UserError says that it is damaged."""
    try:
        yield
    except _DAMAGE as error:
        raise UserError(
            f"{path} is damaged, or not the manifest of a paratopic model ({error!r}); train the "
            "model again"
        ) from None


def digest_of(folder: Path) -> str:
    """Digest of a model: of its manifest, which has those of its other files."""
    return sha256(folder / MANIFEST)


def card_mark(folder: Path) -> dict[str, str]:
    """Key and value in the head of a model's card that say which model it is of."""
    return {"paratopic_model": f"sha256:{digest_of(folder)}"}


def is_card_of(card: str, folder: Path) -> bool:
    """Whether a card is that of the model in a folder."""
    return all(f"\n{key}: {value}\n" in card for key, value in card_mark(folder).items())


def _parse(values: Mapping[str, Any]) -> Manifest:
    mode, codebook = values["topics"]["mode"], values["topics"]["codebook"]
    if mode not in get_args(ModeName):
        raise ValueError(f"topics.mode is {mode!r}")
    topics = Topics(mode, tuple(Topic(topic["name"], topic["definition"]) for topic in codebook))
    calibration = read_calibration(values["calibration"])
    for part in filter(None, (calibration, calibration.alone)):
        _check_calibration(part, mode, len(topics.names))
    definitions = {topic.name: topic.definition for topic in topics.topics}
    languages = tuple(values["languages"])
    if not set(languages) <= set(NAMES):
        raise ValueError(f"languages are {languages!r}")
    return Manifest(values["kind"], mode, definitions, calibration, languages, values["settings"])


def _check_calibration(calibration: Calibration, mode: ModeName, k: int) -> None:
    """Raise a ValueError unless the numbers fit a model of k topics."""
    n_logits = mode_of(mode).n_logits(k)
    numbers = asdict(replace(calibration, alone=None)) | {"alone": (), "sure": (calibration.sure,)}
    of_answers = numbers.pop("certainty") or {}
    every = chain(of_answers.values(), *numbers.values())
    if not all(abs(number) <= LARGEST for number in every):
        raise ValueError("calibration: a number is not finite, or too large")
    for name, sizes in (
        ("scale", (1, n_logits)),
        ("shift", (1, n_logits)),
        ("thresholds", (1, k)),
        ("shares", (0, n_logits)),
    ):
        if len(numbers[name]) not in sizes:
            raise ValueError(f"calibration has {len(numbers[name])} numbers as {name}")
    shares = [*calibration.shares, *(of_answers[name] for name in ("mean", "right") if of_answers)]
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError("calibration: a share is not between 0 and 1")
    if any(value < 0 for value in of_answers.values()):
        raise ValueError("calibration: a variance or a number of labels is negative")


def classifier_of(kind: str) -> Any:
    """The class that answers from a folder of a kind, an `inference.model.Classifier`."""
    return named_object(KINDS[kind].classifier)


def _checksums(files: Mapping[str, str], needed: Iterable[str]) -> dict[str, str]:
    """The checksum of each listed file; those that prediction reads have to be among them."""
    for name in files:
        if not PLAIN_NAME.fullmatch(name):
            raise ValueError(f"files: {name!r} is not the plain name of a file in the folder")
    for name in needed:
        if name not in files:
            raise ValueError(f"files: {name!r}, which prediction reads, is not listed")
    return dict(files)
