"""Records written to MLflow as runs, each once; the champion becomes a registered version.

Files are the source and MLflow holds a copy: nothing is computed here, and a missing run can be
written again at any time, to any store. MLflow is imported late.
"""

from __future__ import annotations

import json
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from filelock import FileLock

from paratopic.inference.registry import asking, reported, set_defaults
from paratopic.tracking import pyfunc

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.data.pandas_dataset import PandasDataset
    from mlflow.entities import DatasetInput, Run

# Tags of a run: the model, and the digest of what it and its metrics are.
PART, STATE = "paratopic.part", "paratopic.state"
# Tags of a run: the digests of its data, and of the comparison whose files it has.
DATA, COMPARED = "dvc.paragraphs", "dvc.comparison"

# MLflow takes so many metrics at once.
BATCH = 1000

# Name of a run's logged model, and the alias of the registered champion.
MODEL, ALIAS = "model", "champion"

# Begin of the tags of runs and models that say where they come from.
SOURCE = "mlflow.source."
# Tag of a logged model that lists the versions that it is registered as.
VERSIONS = "mlflow.modelVersions"
# MLflow's tag for the description of a run, an experiment or a model.
DESCRIPTION = "mlflow.note.content"
# Experiment tag that holds the view which "Views" on the page of the runs offers as "Models".
VIEW = "paratopic"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"

# The registry's database takes no longer description.
LONGEST = 5000


@dataclass(frozen=True)
class Record:
    """The content of one run.

    Another model may change while this one stays the same: the run is kept then, and what it holds
    of the comparison of both is written again.

    Parameters
    ----------
    state
        Digest of the model and its metrics: a store holds each state of a model once.
    main
        Names of the metrics to look at first.
    model
        Folder of the trained model, stored so that MLflow can load and serve it.
    predictions
        What the model answers out-of-fold, and the label. It is shown as a table, too.
    compared, champion, verdict
        Digest of the comparison, the name of the model that it chose, and its result in words, in
        Markdown: the run's description.
    seconds
        How long the training took, which is the duration of the run; 0, the default, where that is
        not known, so that the duration is that of the writing.
    steps
        Metric name → its value at each step, from step 1.
    files
        Files to copy, each with its folder among the artifacts ("" for the top).
    """

    part: str
    state: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    main: Sequence[str]
    tags: Mapping[str, str]
    model: Path
    card: str
    dataset: PandasDataset
    predictions: PandasDataset
    compared: str
    champion: str
    verdict: str
    comparison: Sequence[Path] = ()
    seconds: float = 0.0
    steps: Mapping[str, Sequence[float]] = field(default_factory=dict)
    files: Sequence[tuple[Path, str]] = ()


def described(
    rows: pd.DataFrame, name: str, source: Path, digest: str, **columns: str
) -> PandasDataset:
    """A table as an input of a run; `columns` are for `mlflow.models.evaluate`."""
    set_defaults()  # MLflow reads some of them when it is imported
    import mlflow.data

    with warnings.catch_warnings():
        # About a path that two kinds of source could read, and columns of whole numbers.
        warnings.simplefilter("ignore")
        dataset = mlflow.data.from_pandas(rows, str(source), name=name, digest=digest, **columns)
        dataset.schema  # noqa: B018  # inferred once, at the first use
    return dataset


def write_runs(
    uri: str, experiment: str, records: Sequence[Record], artifacts: Path, trial: bool = False
) -> int:
    """Write the runs that the store does not hold yet, and register the champion.

    The champion becomes a version of the registered model that has the experiment's name, with the
    alias "champion".

    Parameters
    ----------
    artifacts
        Folder for the artifacts of a store that is a local database. Processes that write at the
        same time wait for each other at a lock beside it.
    trial
        Leave the registry, and the runs that there are, as they are.

    Returns
    -------
    Number of runs that were written.

    Raises
    ------
    UserError
        The store cannot be reached or written to.
    """
    from mlflow import MlflowClient

    advice = (
        "\nModels and reports are safe on disk; `dvc repro` writes the missing runs as soon as the "
        "store answers (MLFLOW_TRACKING_URI is its address)."
    )
    if uri.startswith("sqlite:"):
        advice += (
            " If its database is damaged, move that file away: a new one is made, with the runs of "
            "these models."
        )
    lock = FileLock(artifacts.with_name(f".{artifacts.name}.lock"))
    written = 0
    with reported(f"MLflow at {uri} cannot be written to", advice), lock, asking(uri):
        client = MlflowClient(uri)
        experiment_id = _experiment_id(client, experiment, artifacts, records[0].main)
        for record in records:
            run = _present(client, experiment_id, record)
            if run is None:
                run = _write(client, experiment_id, record)
                written += 1
            elif not trial and run.data.tags.get(COMPARED) != record.compared:
                _compare(client, run.info.run_id, record)
            if record.part == record.champion and not trial:
                _promote(client, experiment, run, record)
    return written


def _experiment_id(client: MlflowClient, name: str, artifacts: Path, metrics: Sequence[str]) -> str:
    """Id of an experiment, which is created, restored or described if need be.

    Its view is renewed, because an older version may have written it. What else describes it is
    for its owners to change.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        local = str(client.tracking_uri).startswith("sqlite:")
        place = artifacts.resolve().as_uri() if local else None
        experiment = client.get_experiment(client.create_experiment(name, place))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    columns = ["tags.`champion`", *(f"metrics.`{metric}`" for metric in metrics)]
    # In pixels. By default names are cut, and those with the same beginning look the same. Both
    # ends of the interval have room on a screen of 1,500, beside MLflow's assistant.
    widths = {column: max(76, 20 + 7 * len(column.split("`")[1])) for column in columns}
    view = {"selectedColumns": columns, "columnOrder": columns, "columnWidths": widths}
    state = json.dumps(view)
    tags = {
        # Models and their metrics, not the traces of a chat bot.
        "mlflow.experimentKind": "custom_model_development",
        DESCRIPTION: "Models that predict the topics of paragraphs. Figures are out-of-fold; "
        "`_low` and `_high` are the ends of their intervals.",
        **experiment.tags,
        VIEW_TAG: json.dumps({"name": "Models", "createdAt": 0, "state": state}),
    }
    for key, value in tags.items() - experiment.tags.items():
        client.set_experiment_tag(experiment.experiment_id, key, value)
    return str(experiment.experiment_id)


def _present(client: MlflowClient, experiment_id: str, record: Record) -> Run | None:
    """The record's finished run, if there is one; those that were interrupted are deleted."""
    query = f"tags.`{STATE}` = '{record.state}' and tags.`{PART}` = '{record.part}'"
    finished = None
    for run in client.search_runs([experiment_id], query):
        if run.info.status == "FINISHED":
            finished = run
            continue
        source = f"source_run_id = '{run.info.run_id}'"
        for model in client.search_logged_models([experiment_id], source):
            client.delete_logged_model(model.model_id)
        client.delete_run(run.info.run_id)
    return finished


def _write(client: MlflowClient, experiment_id: str, record: Record) -> Run:
    """Write a record's run."""
    tags = {PART: record.part, STATE: record.state, DATA: record.dataset.digest}
    now = int(1000 * time.time())
    run = client.create_run(
        experiment_id,
        start_time=now - int(1000 * record.seconds),
        tags={**record.tags, **tags},
        run_name=record.name,
    )
    run_id = run.info.run_id
    client.log_inputs(run_id, [_input(record.dataset, "train"), _input(record.predictions, "eval")])
    model_id = _log_model(client, run, record)
    _log_figures(client, run, record, model_id)
    for path, place in record.files:
        client.log_artifact(run_id, str(path), place or None)
    client.log_table(run_id, record.predictions.df, "predictions.json")
    _compare(client, run_id, record)
    client.set_terminated(run_id, end_time=now if record.seconds else None)
    return client.get_run(run_id)


def _compare(client: MlflowClient, run_id: str, record: Record) -> None:
    """Write the comparison to a model's run, in place of the one before."""
    for path in record.comparison:
        client.log_artifact(run_id, str(path), "comparison")
    client.set_tag(run_id, "champion", "yes" if record.part == record.champion else "no")
    client.set_tag(run_id, DESCRIPTION, record.verdict)
    client.set_tag(run_id, COMPARED, record.compared)  # at last: the others are there then


def _input(dataset: PandasDataset, context: str) -> DatasetInput:
    """A dataset with what it is for."""
    from mlflow import entities

    tags = [entities.InputTag("mlflow.data.context", context)]
    return entities.DatasetInput(entities.Dataset.from_dictionary(dataset.to_dict()), tags)


def _log_figures(client: MlflowClient, run: Run, record: Record, model_id: str) -> None:
    """Write params and metrics, the latter to the logged model as well."""
    import mlflow
    from mlflow.entities import Metric

    run_id, started = run.info.run_id, run.info.start_time
    mlflow.log_params(record.params, run_id=run_id)
    mlflow.log_metrics(
        record.metrics, run_id=run_id, timestamp=started, model_id=model_id, dataset=record.dataset
    )
    for name, values in record.steps.items():
        losses = [Metric(name, value, started, step) for step, value in enumerate(values, start=1)]
        for start in range(0, len(losses), BATCH):
            client.log_batch(run_id, losses[start : start + BATCH])


def _log_model(client: MlflowClient, run: Run, record: Record) -> str:
    """Store a model with the source of its run, described by its card; returns its id."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    run_id = run.info.run_id
    source = {key: run.data.tags[key] for key in run.data.tags if key.startswith(SOURCE)}
    logged = client.create_logged_model(
        run.info.experiment_id,
        name=MODEL,
        source_run_id=run_id,
        tags=source | {DESCRIPTION: _body(record.card)},
        params=dict(record.params),
    )
    model_id = str(logged.model_id)
    ids = Model(logged.artifact_location, run_id, model_uuid=model_id, model_id=model_id)
    with tempfile.TemporaryDirectory() as draft:
        pyfunc.save(record.model, Path(draft) / MODEL, record.card, ids)
        client.log_model_artifacts(model_id, str(Path(draft) / MODEL))
    client.finalize_logged_model(model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    return model_id


def _promote(client: MlflowClient, name: str, run: Run, record: Record) -> None:
    """Register a run's model as a version, and point the alias "champion" to it.

    Main metrics of the run become tags of the version, and the model's card its description. The
    registered model is created if it is missing.
    """
    if not client.search_registered_models(f"name = '{name}'"):
        description = "Topics of paragraphs. The alias champion is the version to predict with."
        client.create_registered_model(name, description=description)
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run.info.run_id}'")
    if not versions:
        model_id = run.outputs.model_outputs[0].model_id
        figures = {metric: f"{record.metrics[metric]:.3f}" for metric in record.main}
        version = client.create_model_version(
            name,
            f"models:/{model_id}",
            run.info.run_id,
            tags={key: record.tags[key] for key in ("model", "n") if key in record.tags} | figures,
            description=_body(record.card)[:LONGEST],
            model_id=model_id,
        )
        versions = [version]
        if VERSIONS not in client.get_logged_model(model_id).tags:  # a server sets it by itself
            listed = json.dumps([{"name": name, "version": str(version.version)}])
            client.set_logged_model_tags(model_id, {VERSIONS: listed})
    client.set_registered_model_alias(name, ALIAS, str(versions[0].version))


def _body(card: str) -> str:
    """A card without its head, which is for machines."""
    return card.split("\n---\n", 1)[-1].strip()
