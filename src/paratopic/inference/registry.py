"""Downloads of models from MLflow's store or from a model hub, and the address of the store.

Their libraries are imported late, because prediction from a folder does not need them.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from paratopic.inference.manifest import CARD, prediction_files
from paratopic.project.errors import UserError
from paratopic.project.files import refuse_outside
from paratopic.project.kinds import KINDS

# MLflow's own defaults wait for minutes before they report an unreachable server, and log each
# table that a new database gets.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

# A project's own store has its artifacts in this folder next to its database. These tables of the
# database have columns with paths in the folder.
ARTIFACTS = "mlruns"
_PATH_COLUMNS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
# These stores need the full mlflow package; for a server, mlflow-skinny is enough.
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

_IN_MLFLOW = ("models:/", "runs:/")
# Owner and name of a model on a hub, and a branch, a tag or a commit. A path in the folder models
# belongs to a project.
_ON_HUB = re.compile(r"(?!models/)([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")


def store_uri(root: Path) -> str:
    """URI of MLflow's store: MLFLOW_TRACKING_URI, by default mlflow.db in the project's root.

    This SQLite file, which need not exist, has absolute paths. If the project was moved or copied,
    they are corrected first: otherwise models would go to the old folder, or not be found.

    Raises
    ------
    UserError
        The folder mlruns or, without MLFLOW_TRACKING_URI, mlflow.db is a link out of the project.
    """
    refuse_outside(root / ARTIFACTS, root)
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    database = root.resolve() / "mlflow.db"
    refuse_outside(database, root)
    if database.exists():
        _correct_paths(database, database.with_name(ARTIFACTS))
    return f"sqlite:///{database}"


def _correct_paths(database: Path, artifacts: Path) -> None:
    """Correct the paths in MLflow's SQLite file after its project was moved or copied.

    If the folder of an experiment is another one named mlruns, `artifacts` replaces it at the start
    of all paths in `_PATH_COLUMNS`. An error of SQLite is ignored, and the file stays as it is.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as store, store:
        here = artifacts.as_uri()
        others = store.execute(
            "SELECT DISTINCT artifact_location FROM experiments "
            "WHERE artifact_location <> ? AND artifact_location LIKE ?",  # the user chose others
            (here, f"%/{ARTIFACTS}"),
        )
        for (place,) in others.fetchall():
            for table, column in _PATH_COLUMNS.items():
                store.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE substr({column} || '/', 1, ?) = ?",
                    (here, len(place) + 1, len(place) + 1, f"{place}/"),
                )


def set_defaults() -> None:
    """Set the environment variables of `SETTINGS` that the user has not set."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


@contextmanager
def store_errors(problem: str, advice: str = "") -> Iterator[None]:
    """Turn an error of MLflow's store in the block into a `UserError`: "problem: reason" + advice.

    The reason is the first line of an MlflowException, OSError, ImportError, SQLAlchemyError or
    Alembic's CommandError. Other errors pass.
    """
    from mlflow.exceptions import MlflowException

    # An ImportError means that the driver of a database is missing.
    errors: list[type[Exception]] = [MlflowException, OSError, ImportError]
    with suppress(ModuleNotFoundError):  # mlflow-skinny has no stores in databases
        from alembic.util import CommandError
        from sqlalchemy.exc import SQLAlchemyError

        errors += [CommandError, SQLAlchemyError]
    try:
        yield
    except tuple(errors) as error:
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise UserError(f"{problem}: {reason}{advice}") from None


@contextmanager
def use_store(store: str) -> Iterator[None]:
    """Make MLflow use the store with this URI in the block, and then the former one again.

    MLFLOW_REGISTRY_URI still decides where registered models are looked up. With only the argument
    `tracking_uri` of `download_artifacts`, MLflow would look for them in the current directory.
    """
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(store)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def is_remote(address: str) -> bool:
    """Whether an address is one that `fetch` accepts, and no path on this machine."""
    return address.startswith(_IN_MLFLOW) or (
        _ON_HUB.fullmatch(address) is not None and not os.path.exists(address)
    )


def fetch(address: str, root: Path) -> Path:
    """Download a model and return its folder.

    A model from MLflow is deleted when the process ends. A model from a hub stays in the hub's
    cache, which is used if the hub cannot be reached.

    Parameters
    ----------
    address
        In MLflow, ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or ``runs:/ID/model``; on a hub,
        ``OWNER/NAME`` or ``OWNER/NAME@REVISION``, where the revision is a commit, a tag or a
        branch.
    root
        Root of the project whose store is used if MLFLOW_TRACKING_URI is not set.

    Raises
    ------
    UserError
        A library is not installed, or the store or the hub has no such model or cannot be reached.
    """
    if address.startswith(_IN_MLFLOW):
        return _from_mlflow(address, root)
    return _from_hub(address)


def _from_hub(address: str) -> Path:
    """Folder of the hub's model OWNER/NAME[@REVISION], downloaded or cached; else a UserError."""
    name, _, revision = address.partition("@")
    from huggingface_hub import constants, snapshot_download

    files = [CARD, *{name for kind in KINDS for name in prediction_files(kind)}]
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=files))
    except Exception as error:  # versions of huggingface_hub raise errors of different libraries
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{address}: there is no such folder, and no such model could be loaded from the hub "
            f"{constants.ENDPOINT}: {reason}"
        ) from None


def _from_mlflow(uri: str, root: Path) -> Path:
    """Download a model of MLflow to a folder that is deleted at exit; return the model's folder.

    The store is `store_uri(root)`. A `UserError` reports a missing library, store or model.
    """
    set_defaults()
    store = store_uri(root)
    in_database = store.startswith(_DATABASES)
    try:
        from mlflow.artifacts import download_artifacts

        if in_database:
            import sqlalchemy  # noqa: F401  # mlflow-skinny does not install it
    except ModuleNotFoundError as error:
        store_kind, extra = ("a database", "train") if in_database else ("a server", "registry")
        raise UserError(
            f"{uri}: MLflow's store in {store_kind} needs {error.name}, which is not installed; "
            f"pip install 'paratopic[{extra}]'"
        ) from None
    database = Path(store.removeprefix("sqlite:///"))
    if store.startswith("sqlite:///") and not database.exists():  # MLflow would make one
        raise UserError(f"{uri}: there is no MLflow store at {database}; `dvc repro` makes it")
    target = tempfile.mkdtemp(prefix="paratopic-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    with store_errors(f"{uri} cannot be loaded from MLflow at {store}"), use_store(store):
        path = Path(download_artifacts(uri, dst_path=target))
    # A logged model contains the model's folder in its folder data/.
    return next(path.glob("data/*"), path)
