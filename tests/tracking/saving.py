"""Models as MLflow keeps them."""

from __future__ import annotations

from pathlib import Path

import mlflow.pyfunc

from paratopic.inference.model import Model
from paratopic.tracking import pyfunc


def save(model: Model, place: Path) -> None:
    """Write a model as MLflow keeps it."""
    mlflow.pyfunc.save_model(
        place,
        loader_module=pyfunc.__name__,
        data_path=str(model.folder),
        signature=pyfunc.signature(model),
        pip_requirements=["paratopic"],
    )
