"""Saving a model for MLflow in tests."""

from __future__ import annotations

from pathlib import Path

from paratopic.inference.model import Model
from paratopic.tracking import pyfunc


def save(model: Model, place: Path) -> None:
    """Save a model in the form that MLflow keeps it in."""
    pyfunc.save(model.folder, place, "# A card")
