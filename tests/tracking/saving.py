"""Saving a model for MLflow in tests."""

from __future__ import annotations

from pathlib import Path

import mlflow.pyfunc

from paratopic.inference.model import Model
from paratopic.tracking import pyfunc


def save(model: Model, place: Path) -> None:
    """Save a model in the form that a run keeps it in."""
    mlflow.pyfunc.save_model(
        place,
        loader_module=pyfunc.__name__,
        data_path=str(model.folder),
        signature=pyfunc.signature(model),
        pip_requirements=["paratopic"],
    )
