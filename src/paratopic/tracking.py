"""MLflow runs made from files; the only room that knows mlflow, which it imports late.

The files are the truth and MLflow is a copy of them: nothing is computed here, and a run can be
written again, to this store or another, whenever it is missing.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from paratopic.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATE, PART = "paratopic.state", "paratopic.part"
# Unless the user says otherwise: seconds and tries until a server counts as unreachable (mlflow's
# own are minutes), and no word of the tables that a new database is given.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Record:
    """What one run is to hold.

    Parameters
    ----------
    part
        Name within the pipeline's state: a model, or the comparison.
    name
        As listed in the UI.
    params, metrics, tags
        Flat.
    steps
        Metric name → values by step, from 1.
    files
        Files and folders to copy, by their place among the artifacts ('' is the top).
    table
        Predictions, shown as a table.
    dataset
        Rows, name, source and digest of the data.
    """

    part: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    files: Sequence[tuple[Path, str]] = ()
    table: pd.DataFrame | None = None
    dataset: tuple[pd.DataFrame, str, str, str] | None = None


def store_uri(root: Path) -> str:
    """Where runs are kept: MLFLOW_TRACKING_URI, else a SQLite file in the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.resolve() / 'mlflow.db'}"


def write(
    uri: str,
    experiment: str,
    state: str,
    parent: Record,
    children: Sequence[Record],
    artifacts: Path,
) -> int:
    """Write the runs of a pipeline state that the store does not hold yet.

    Parameters
    ----------
    uri
        Of the store.
    experiment
        Made when it is missing.
    state
        Digest of the pipeline's state; a store holds each state once.
    parent, children
        The comparison, and a record a model below it.
    artifacts
        Where a store that is a local database keeps its artifacts.

    Returns
    -------
    How many runs were written.

    Raises
    ------
    UserError
        The store cannot be reached or written to.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)

    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=uri)
        return write_with(client, experiment, state, parent, children, artifacts)
    except (MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"MLflow at {uri} cannot be written to: {reason}\n"
            "Models and reports are safe on disk; `dvc repro` writes the missing runs as soon as "
            "the store answers (MLFLOW_TRACKING_URI names it)."
        ) from None


def write_with(
    client: MlflowClient,
    experiment: str,
    state: str,
    parent: Record,
    children: Sequence[Record],
    artifacts: Path,
) -> int:
    """Write missing runs through a client; see `write`."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        local = str(client.tracking_uri).startswith("sqlite:")
        place = artifacts.resolve().as_uri() if local else None
        # The kind makes the UI show models' metrics instead of a chat bot's traces.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        experiment_id = client.create_experiment(experiment, artifact_location=place, tags=kind)
    elif found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
        experiment_id = found.experiment_id
    else:
        experiment_id = found.experiment_id
    above, written = _ensure(client, experiment_id, state, parent, None)
    for child in children:
        written += _ensure(client, experiment_id, state, child, above)[1]
    return written


def _ensure(
    client: MlflowClient, experiment_id: str, state: str, record: Record, parent: str | None
) -> tuple[str, int]:
    """The id of the record's finished run, and whether it had to be written."""
    query = f"tags.`{STATE}` = '{state}' and tags.`{PART}` = '{record.part}'"
    for run in client.search_runs([experiment_id], query):
        if run.info.status == "FINISHED":
            return run.info.run_id, 0
        client.delete_run(run.info.run_id)  # left half written by a process that was ended
    tags = {**record.tags, STATE: state, PART: record.part}
    if parent is not None:
        tags["mlflow.parentRunId"] = parent
    run = client.create_run(experiment_id, tags=tags, run_name=record.name)
    _fill(client, run.info.run_id, record)
    client.set_terminated(run.info.run_id)
    return run.info.run_id, 1


def _fill(client: MlflowClient, run_id: str, record: Record) -> None:
    import mlflow.data
    from mlflow.entities import DatasetInput, InputTag, Metric, Param

    if record.dataset is not None:
        rows, name, source, digest = record.dataset
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a path that two of its sources could read
            dataset = mlflow.data.from_pandas(rows, source=source, name=name, digest=digest)
        entity = DatasetInput(
            dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", "train")]
        )
        client.log_inputs(run_id, [entity])
    client.log_batch(run_id, params=[Param(key, value) for key, value in record.params.items()])
    metrics = [Metric(name, value, 0, 0) for name, value in record.metrics.items()]
    for name, values in record.steps.items():
        metrics += [Metric(name, value, 0, step) for step, value in enumerate(values, start=1)]
    for start in range(0, len(metrics), 500):
        client.log_batch(run_id, metrics=metrics[start : start + 500])
    for path, place in record.files:
        if path.is_dir():
            client.log_artifacts(run_id, str(path), place)
        else:
            client.log_artifact(run_id, str(path), place or None)
    if record.table is not None:
        client.log_table(run_id, record.table, "predictions.json")


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one: {"f1": {"trade": 1}} → {"f1.trade": 1}."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        result |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return result
