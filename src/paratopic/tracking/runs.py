"""Records written to MLflow as runs, each once; a champion becomes a registered version.

Files are the source and MLflow holds a copy: nothing is computed here, and a missing run can be
written again at any time, to any store. MLflow is imported late.
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

# Tags of a run: the pipeline state that it belongs to, and the part of it that it holds.
STATE, PART = "paratopic.state", "paratopic.part"

# Folder of a model among the artifacts of its run, and the alias of the registered champion.
MODEL, ALIAS = "model", "champion"

# Metrics that become tags of a registered version.
FIGURES = ("macro_f1", "macro_f1.low", "macro_f1.high", "accuracy", "log_loss", "n")

# Rows, name, source and digest of the data.
Dataset = tuple[pd.DataFrame, str, str, str]


@dataclass(frozen=True)
class Record:
    """The content of one run.

    Parameters
    ----------
    part
        Its name within the pipeline's state: the name of a model, or "comparison".
    name
        Its name in MLflow's list of runs.
    params, metrics, tags
        Flat mappings.
    steps
        Metric name → its value at each step, from step 1.
    files
        Files and folders to copy, each with its folder among the artifacts ("" for the top).
    table
        Predictions, shown as a table.
    dataset
        The labelled paragraphs.
    model
        Folder of a trained model, stored so that MLflow can load and serve it.
    """

    part: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    files: Sequence[tuple[Path, str]] = ()
    table: pd.DataFrame | None = None
    dataset: Dataset | None = None
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
        Address of the store.
    experiment
        Name of the experiment; it is created if it is missing.
    state
        Digest of the pipeline's state; a store holds each state once.
    parent, children
        Records of the comparison, and of each model.
    artifacts
        Folder for the artifacts of a store that is a local database.
    champion
        Part whose model becomes a version of the registered model, with the alias "champion". The
        registered model has the name of the experiment. None leaves the registry as it is.

    Returns
    -------
    Number of runs that were written.

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
        experiment_id = _experiment_id(client, experiment, artifacts)
        parent_id, written = _ensure(client, experiment_id, state, parent, None)
        for child in children:
            run_id, new = _ensure(client, experiment_id, state, child, parent_id)
            written += new
            if child.part == champion:
                _promote(client, experiment, run_id, child)
    except (MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"MLflow at {uri} cannot be written to: {reason}\n"
            "Models and reports are safe on disk; `dvc repro` writes the missing runs as soon as "
            "the store answers (MLFLOW_TRACKING_URI is its address)."
        ) from None
    return written


def _experiment_id(client: MlflowClient, name: str, artifacts: Path) -> str:
    """Id of an experiment, which is created or restored if need be."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        local = str(client.tracking_uri).startswith("sqlite:")
        place = artifacts.resolve().as_uri() if local else None
        # The kind makes the UI show models' metrics instead of a chat bot's traces.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        return str(client.create_experiment(name, artifact_location=place, tags=kind))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def _ensure(
    client: MlflowClient, experiment_id: str, state: str, record: Record, parent_id: str | None
) -> tuple[str, int]:
    """Id of the record's finished run, and 1 if it had to be written, else 0."""
    query = f"tags.`{STATE}` = '{state}' and tags.`{PART}` = '{record.part}'"
    for run in client.search_runs([experiment_id], query):
        if run.info.status == "FINISHED":
            return run.info.run_id, 0
        client.delete_run(run.info.run_id)  # incomplete: the process that wrote it was ended
    tags = {**record.tags, STATE: state, PART: record.part}
    if parent_id is not None:
        tags["mlflow.parentRunId"] = parent_id
    run = client.create_run(experiment_id, tags=tags, run_name=record.name)
    _fill(client, run.info.run_id, record)
    client.set_terminated(run.info.run_id)
    return run.info.run_id, 1


def _promote(client: MlflowClient, name: str, run_id: str, record: Record) -> None:
    """Register a run's model as a version, with its metrics, and point the alias to it."""
    from mlflow.exceptions import MlflowException

    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if versions:
        version = str(versions[0].version)
    else:
        figures = {key: str(record.metrics[key]) for key in FIGURES if key in record.metrics}
        tags = {"model": record.part} | figures
        created = client.create_model_version(name, f"runs:/{run_id}/{MODEL}", run_id, tags=tags)
        version = str(created.version)
    try:
        present = str(client.get_model_version_by_alias(name, ALIAS).version)
    except MlflowException:  # there is no such alias yet
        present = ""
    if present != version:
        client.set_registered_model_alias(name, ALIAS, version)


def _fill(client: MlflowClient, run_id: str, record: Record) -> None:
    """Write a record's content to a run."""
    if record.dataset is not None:
        _log_dataset(client, run_id, *record.dataset)
    _log_figures(client, run_id, record)
    for path, place in record.files:
        if path.is_dir():
            client.log_artifacts(run_id, str(path), place)
        else:
            client.log_artifact(run_id, str(path), place or None)
    if record.model is not None:
        _log_model(client, run_id, record.model)
    if record.table is not None:
        client.log_table(run_id, record.table, "predictions.json")


def _log_dataset(
    client: MlflowClient, run_id: str, rows: pd.DataFrame, name: str, source: str, digest: str
) -> None:
    import mlflow.data
    from mlflow.entities import DatasetInput, InputTag

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a path that two kinds of source could read
        dataset = mlflow.data.from_pandas(rows, source=source, name=name, digest=digest)
    tags = [InputTag("mlflow.data.context", "train")]
    client.log_inputs(run_id, [DatasetInput(dataset._to_mlflow_entity(), tags)])


def _log_figures(client: MlflowClient, run_id: str, record: Record) -> None:
    """Write params and metrics."""
    from mlflow.entities import Metric, Param

    client.log_batch(run_id, params=[Param(key, value) for key, value in record.params.items()])
    metrics = [Metric(name, value, 0, 0) for name, value in record.metrics.items()]
    for name, values in record.steps.items():
        metrics += [Metric(name, value, 0, step) for step, value in enumerate(values, start=1)]
    for start in range(0, len(metrics), 500):
        client.log_batch(run_id, metrics=metrics[start : start + 500])


def _log_model(client: MlflowClient, run_id: str, folder: Path) -> None:
    import mlflow.pyfunc

    from paratopic import __version__
    from paratopic.inference.loading import load
    from paratopic.tracking import pyfunc

    with tempfile.TemporaryDirectory() as draft, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the missing example of an input
        mlflow.pyfunc.save_model(
            f"{draft}/{MODEL}",
            loader_module=pyfunc.__name__,
            data_path=str(folder),
            signature=pyfunc.signature(load(folder)),
            pip_requirements=[f"paratopic=={__version__}"],
        )
        client.log_artifacts(run_id, draft)
