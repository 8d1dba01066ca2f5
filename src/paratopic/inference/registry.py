"""Models that MLflow keeps: where its store is, and fetching a model from it.

MLflow is imported late: prediction from a folder does not need it.
"""

from __future__ import annotations

import os
from pathlib import Path

from paratopic.project.errors import UserError

# Unless the user says otherwise: seconds and tries until a server counts as unreachable (mlflow's
# own are minutes), and no word of the tables that a new database is given.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def store_uri(root: Path) -> str:
    """Where runs are kept: MLFLOW_TRACKING_URI, else a SQLite file in the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.resolve() / 'mlflow.db'}"


def set_defaults() -> None:
    """Give MLflow's settings their `SETTINGS`, unless the user has set them."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def fetch(uri: str, root: Path) -> Path:
    """Download a model and give its folder.

    Parameters
    ----------
    uri
        ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or ``runs:/ID/model``.
    root
        The project's, for its store where MLFLOW_TRACKING_URI names none.

    Raises
    ------
    UserError
        MLflow is not installed, or the store has no such model or cannot be reached.
    """
    set_defaults()
    try:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ModuleNotFoundError as error:
        raise UserError(
            f"{uri}: {error.name} is not installed; pip install 'paratopic[train]'"
        ) from None
    store = store_uri(root)
    try:
        place = download_artifacts(uri, tracking_uri=store, registry_uri=store)
    except (MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{uri} cannot be loaded from MLflow at {store}: {reason}") from None
    inside = sorted(Path(place).glob("data/*"))
    return inside[0] if inside else Path(place)
