"""Digests of the installed package, part by part, on which the pipeline's stages depend.

They are those of the code that runs, which need not lie in the project: so a new version runs those
stages again whose rooms it changed, and no others.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def digests(package: Path = PACKAGE) -> dict[str, str]:
    """Digest of each room of a package, and of each module in it with its templates.

    Parameters
    ----------
    package
        Folder of the package; by default the installed one.

    Returns
    -------
    "corpus" or "corpus/folds" → 12 hexadecimal digits, in order.
    """
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(package.glob("*/**/*")):
        parts = path.relative_to(package).parts
        stray = path.name.startswith(".") or path.name.endswith("~")
        if path.is_file() and "__pycache__" not in parts and not stray:
            room = parts[0]
            files[room].append(path)
            files[f"{room}/{path.stem}"].append(path)
    return {part: _digest(paths, package) for part, paths in sorted(files.items())}


def _digest(paths: list[Path], package: Path) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.relative_to(package).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:12]
