"""Predicting files, and what lies in the folder afterwards."""

from __future__ import annotations

from pathlib import Path

from paratopic.inference.model import Model
from paratopic.serving import bulk


def predict(model: Model, inputs: list[Path], out: Path, resume: bool = False) -> bulk.Done:
    return bulk.predict_files(model, inputs, out, "text", resume, lambda rows, share: None)


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.name[0] != "_"}


class Ended(Exception):
    """Stands for what ends a process."""
