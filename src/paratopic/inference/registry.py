"""Models that are fetched from MLflow's store or from a model hub, and where the store is.

Logging runs and registering models is for `tracking`. The libraries are imported late, because
prediction from a folder does not need them.
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

# An unreachable server is reported after seconds; MLflow's own defaults wait for minutes. The
# creation of a new database's tables is not logged.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

# Folder of the artifacts of a project's own store, beside its database, and the tables of this
# with the columns that name places in it.
ARTIFACTS = "mlruns"
_PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
# Stores that only the whole of MLflow opens; of a server, mlflow-skinny is enough.
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

_IN_MLFLOW = ("models:/", "runs:/")
# Owner and name of a model on a hub, and a branch, a tag or a commit. What is in the folder models
# is a project's.
_ON_HUB = re.compile(r"(?!models/)([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w./-]+))?")


def store_uri(root: Path) -> str:
    """URI of the store: MLFLOW_TRACKING_URI, by default a SQLite file in the project's root.

    The file has absolute paths. Where the project was moved or copied, they are mended first:
    otherwise models would be written to the old place, or not be found.

    Raises
    ------
    UserError
        The file, or the folder of artifacts, is a link that leads outside of the project.
    """
    refuse_outside(root / ARTIFACTS, root)
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    database = root.resolve() / "mlflow.db"
    refuse_outside(database, root)
    if database.exists():
        _mend_places(database, database.with_name(ARTIFACTS))
    return f"sqlite:///{database}"


def _mend_places(database: Path, artifacts: Path) -> None:
    """Let the experiments of a project, which a store kept elsewhere, have their artifacts here."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as store, store:
        here = artifacts.as_uri()
        others = store.execute(
            "SELECT DISTINCT artifact_location FROM experiments "
            "WHERE artifact_location <> ? AND artifact_location LIKE ?",  # others were chosen
            (here, f"%/{ARTIFACTS}"),
        )
        for (place,) in others.fetchall():
            for table, column in _PLACES.items():
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
def reported(problem: str, advice: str = "") -> Iterator[None]:
    """Ask a store of MLflow in the block; if it cannot be read, a `UserError` says what and why."""
    from mlflow.exceptions import MlflowException

    errors: list[type[Exception]] = [MlflowException, OSError, ImportError]  # the last: a driver
    with suppress(ModuleNotFoundError):  # mlflow-skinny has servers' stores alone
        from alembic.util import CommandError
        from sqlalchemy.exc import SQLAlchemyError

        errors += [CommandError, SQLAlchemyError]
    try:
        yield
    except tuple(errors) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{problem}: {reason}{advice}") from None


@contextmanager
def asking(store: str) -> Iterator[None]:
    """Make a store the one that MLflow asks, for runs and for registered models.

    Registered models are looked up in MLFLOW_REGISTRY_URI if it is set.
    What `download_artifacts` is told of stores it forgets where a model is registered: it would ask
    that of the current directory, and make it where there is none.
    """
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(store)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def is_remote(address: str) -> bool:
    """Whether an address is of a model elsewhere: as for `fetch`, and no path of this machine."""
    return address.startswith(_IN_MLFLOW) or (
        _ON_HUB.fullmatch(address) is not None and not os.path.exists(address)
    )


def fetch(address: str, root: Path) -> Path:
    """Download a model and return its folder.

    A model from MLflow is deleted when the process ends. One from a hub stays in the hub's cache,
    which serves it too when the hub cannot be reached.

    Parameters
    ----------
    address
        In MLflow, ``models:/NAME@ALIAS``, ``models:/NAME/VERSION`` or ``runs:/ID/model``; on a hub,
        ``OWNER/NAME`` or ``OWNER/NAME@REVISION``, where the revision is a commit, a tag or a
        branch.
    root
        Root of the project whose store is asked if MLFLOW_TRACKING_URI is not set.

    Raises
    ------
    UserError
        A library is not installed, or the store or the hub has no such model or cannot be reached.
    """
    if address.startswith(_IN_MLFLOW):
        return _from_mlflow(address, root)
    return _from_hub(address)


def _from_hub(address: str) -> Path:
    name, _, revision = address.partition("@")
    from huggingface_hub import constants, snapshot_download

    files = [CARD, *{name for kind in KINDS for name in prediction_files(kind)}]
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=files))
    except Exception as error:  # of libraries of huggingface_hub's, which versions differ in
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{address}: there is no such folder, and no such model could be loaded from the hub "
            f"{constants.ENDPOINT}: {reason}"
        ) from None


def _from_mlflow(uri: str, root: Path) -> Path:
    set_defaults()
    store = store_uri(root)
    in_database = store.startswith(_DATABASES)
    try:
        from mlflow.artifacts import download_artifacts

        if in_database:
            import sqlalchemy  # noqa: F401  # whether it is installed: mlflow-skinny lacks it
    except ModuleNotFoundError as error:
        what, extra = ("a database", "train") if in_database else ("a server", "registry")
        raise UserError(
            f"{uri}: MLflow's store in {what} needs {error.name}, which is not installed; "
            f"pip install 'paratopic[{extra}]'"
        ) from None
    database = Path(store.removeprefix("sqlite:///"))
    if store.startswith("sqlite:///") and not database.exists():  # MLflow would make one
        raise UserError(f"{uri}: there is no MLflow store at {database}; `dvc repro` makes it")
    target = tempfile.mkdtemp(prefix="paratopic-")
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    with reported(f"{uri} cannot be loaded from MLflow at {store}"), asking(store):
        path = Path(download_artifacts(uri, dst_path=target))
    # A logged model wraps the folder that was saved in data/.
    return next(path.glob("data/*"), path)
