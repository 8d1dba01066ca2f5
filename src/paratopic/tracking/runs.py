"""MLflow runs written from records; mlflow is imported late.

The files are the truth and MLflow is a copy of them: nothing is computed here, and a run can be
written again, to this store or another, whenever it is missing.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from paratopic.inference.registry import set_defaults
from paratopic.project.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATE, PART = "paratopic.state", "paratopic.part"

# A model's place among its run's artifacts, and what its registered version is called and told by.
MODEL, ALIAS = "model", "champion"

FIGURES = ("macro_f1", "macro_f1.low", "macro_f1.high", "accuracy", "log_loss", "n")


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
    model
        Folder of a trained model, kept so that MLflow can load and serve it.
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
    model: Path | None = None


def write_runs(
    uri: str,
    experiment: str,
    state: str,
    parent: Record,
    children: Sequence[Record],
    artifacts: Path,
    champion: str | None = None,
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
    champion
        Part whose model becomes a version of the registered model that is named as the experiment
        is, with the alias `champion`; None leaves the registry as it is.

    Returns
    -------
    How many runs were written.

    Raises
    ------
    UserError
        The store cannot be reached or written to.
    """
    set_defaults()

    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=uri)
        return write_runs_with(client, experiment, state, parent, children, artifacts, champion)
    except (MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"MLflow at {uri} cannot be written to: {reason}\n"
            "Models and reports are safe on disk; `dvc repro` writes the missing runs as soon as "
            "the store answers (MLFLOW_TRACKING_URI names it)."
        ) from None


def write_runs_with(
    client: MlflowClient,
    experiment: str,
    state: str,
    parent: Record,
    children: Sequence[Record],
    artifacts: Path,
    champion: str | None = None,
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
        run_id, new = _ensure(client, experiment_id, state, child, above)
        written += new
        if child.part == champion:
            _promote(client, experiment, run_id, child)
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


def _promote(client: MlflowClient, name: str, run_id: str, record: Record) -> None:
    """Make a run's model a registered version, with its figures, and let the alias point to it."""
    from mlflow.exceptions import MlflowException

    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if versions:
        version = str(versions[0].version)
    else:
        figures = {key: str(record.metrics[key]) for key in FIGURES if key in record.metrics}
        made = client.create_model_version(
            name, f"runs:/{run_id}/{MODEL}", run_id, tags={"model": record.part} | figures
        )
        version = str(made.version)
    try:
        present = str(client.get_model_version_by_alias(name, ALIAS).version)
    except MlflowException:  # there is no such alias yet
        present = ""
    if present != version:
        client.set_registered_model_alias(name, ALIAS, version)


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
    if record.model is not None:
        _log_model(client, run_id, record.model)
    if record.table is not None:
        client.log_table(run_id, record.table, "predictions.json")


def _log_model(client: MlflowClient, run_id: str, folder: Path) -> None:
    import mlflow.pyfunc

    from paratopic import __version__
    from paratopic.inference.loading import load
    from paratopic.tracking import pyfunc

    with tempfile.TemporaryDirectory() as draft, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no example of an input
        mlflow.pyfunc.save_model(
            f"{draft}/{MODEL}",
            loader_module=pyfunc.__name__,
            data_path=str(folder),
            signature=pyfunc.signature(load(folder)),
            pip_requirements=[f"paratopic=={__version__}"],
        )
        client.log_artifacts(run_id, draft)
