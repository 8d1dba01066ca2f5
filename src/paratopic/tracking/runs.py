"""Writing of records to MLflow: each becomes a run once, and the champion a registered version.

MLflow has copies of files of the project, so a missing run can be written again at any time, to any
store. MLflow is imported late.
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

from paratopic.inference.registry import set_defaults, store_errors, use_store
from paratopic.tracking import pyfunc

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.data.pandas_dataset import PandasDataset
    from mlflow.entities import DatasetInput, Run

# Tags of a run: the name of the model, and the digest of the model and its metrics.
PART, STATE = "paratopic.part", "paratopic.state"
# Tags of a run: the digests of its data, and of the comparison that it has.
DATA, COMPARED = "dvc.paragraphs", "dvc.comparison"

# MLflow accepts at most this number of metrics at once.
BATCH = 1000

# Name of a run's logged model, and the alias of the registered champion.
MODEL, ALIAS = "model", "champion"

# Prefix of the tags of runs and models with their source.
SOURCE = "mlflow.source."
# Tag of a logged model that lists its registered versions.
VERSIONS = "mlflow.modelVersions"
# MLflow's tag for the description of a run, an experiment or a model.
DESCRIPTION = "mlflow.note.content"
# Tag of an experiment with the view of its runs that MLflow lists as "Models" under "Views".
VIEW = "paratopic"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"

# Maximum length of a description in the registry's database, in characters.
LONGEST = 5000


@dataclass(frozen=True)
class Record:
    """The content of one run.

    If only another model changes, the run stays, and its copy of the comparison is replaced.

    Parameters
    ----------
    state
        Digest of the model and its metrics. A store has at most one run per state of a model.
    main
        Names of the main metrics.
    model
        Folder of the trained model, which MLflow can then load and serve.
    predictions
        Out-of-fold predictions and labels, which are also logged as a table.
    compared, champion, verdict
        Digest of the comparison, the name of the model that it chose, and its result in Markdown,
        which becomes the description of the run.
    seconds
        Duration of the training, which becomes the duration of the run; 0, the default, if it is
        not known, and the run lasts as long as its writing.
    steps
        Metric name → its value at each step, from step 1.
    files
        Files to copy, each with its folder among the artifacts ("" for the root).
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


def mlflow_dataset(
    rows: pd.DataFrame, name: str, source: Path, digest: str, **columns: str
) -> PandasDataset:
    """Convert a table to a dataset of a run; keywords `targets` and `predictions` name columns."""
    set_defaults()  # MLflow reads some of these variables when it is imported
    import mlflow.data

    with warnings.catch_warnings():
        # MLflow warns about a path that fits two kinds of source, and about columns of integers.
        warnings.simplefilter("ignore")
        dataset = mlflow.data.from_pandas(rows, str(source), name=name, digest=digest, **columns)
        dataset.schema  # noqa: B018  # the first use infers the schema, with a warning
    return dataset


def write_runs(
    uri: str, experiment: str, records: Sequence[Record], artifacts: Path, trial: bool = False
) -> int:
    """Write the runs that the store lacks, register the champion, and return the number written.

    Finished runs that the store has get the comparison again if it has changed. The champion
    becomes a version of the registered model with the experiment's name, and gets the alias
    "champion". A store that cannot be reached or written to is a `UserError`.

    Parameters
    ----------
    records
        One for each model, at least one.
    artifacts
        Folder for the artifacts of a store in a local SQLite database. A lock file next to it lets
        one process write at a time, for which others wait.
    trial
        Whether to write missing runs only, and to leave finished runs and the registry as they are.
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
    with store_errors(f"MLflow at {uri} cannot be written to", advice), lock, use_store(uri):
        client = MlflowClient(uri)
        experiment_id = _experiment_id(client, experiment, artifacts, records[0].main)
        for record in records:
            run = _finished_run(client, experiment_id, record)
            if run is None:
                run = _write_run(client, experiment_id, record)
                written += 1
            elif not trial and run.data.tags.get(COMPARED) != record.compared:
                _write_comparison(client, run.info.run_id, record)
            if record.part == record.champion and not trial:
                _register_champion(client, experiment, run, record)
    return written


def _experiment_id(client: MlflowClient, name: str, artifacts: Path, metrics: Sequence[str]) -> str:
    """Id of an experiment, which is created, restored or described if necessary.

    A new one in a SQLite store has its files in `artifacts`. The view is updated with columns of
    `metrics`, because an older version may have written it. Other tags stay, because the user may
    have changed them.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        local = str(client.tracking_uri).startswith("sqlite:")
        place = artifacts.resolve().as_uri() if local else None
        experiment = client.get_experiment(client.create_experiment(name, place))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    columns = ["tags.`champion`", *(f"metrics.`{metric}`" for metric in metrics)]
    # By default, MLflow cuts names, and those with the same beginning look the same. With these
    # widths, both ends of the interval fit on a screen of 1,500 pixels next to MLflow's assistant.
    widths = {column: max(76, 20 + 7 * len(column.split("`")[1])) for column in columns}
    view = {"selectedColumns": columns, "columnOrder": columns, "columnWidths": widths}
    state = json.dumps(view)
    tags = {
        # This kind shows models and their metrics instead of the traces of a chat bot.
        "mlflow.experimentKind": "custom_model_development",
        DESCRIPTION: "Models that predict the topics of paragraphs. Figures are out-of-fold; "
        "`_low` and `_high` are the ends of their intervals.",
        **experiment.tags,
        VIEW_TAG: json.dumps({"name": "Models", "createdAt": 0, "state": state}),
    }
    for key, value in tags.items() - experiment.tags.items():
        client.set_experiment_tag(experiment.experiment_id, key, value)
    return str(experiment.experiment_id)


def _finished_run(client: MlflowClient, experiment_id: str, record: Record) -> Run | None:
    """Find the finished run of a record's model and state, or None; delete its unfinished runs."""
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


def _write_run(client: MlflowClient, experiment_id: str, record: Record) -> Run:
    """Write a record as a new, finished run: data, model, figures, files and predictions."""
    tags = {PART: record.part, STATE: record.state, DATA: record.dataset.digest}
    now = int(1000 * time.time())
    run = client.create_run(
        experiment_id,
        start_time=now - int(1000 * record.seconds),
        tags={**record.tags, **tags},
        run_name=record.name,
    )
    run_id = run.info.run_id
    client.log_inputs(
        run_id,
        [_dataset_input(record.dataset, "train"), _dataset_input(record.predictions, "eval")],
    )
    model_id = _log_model(client, run, record)
    _log_figures(client, run, record, model_id)
    for path, place in record.files:
        client.log_artifact(run_id, str(path), place or None)
    client.log_table(run_id, record.predictions.df, "predictions.json")
    _write_comparison(client, run_id, record)
    client.set_terminated(run_id, end_time=now if record.seconds else None)
    return client.get_run(run_id)


def _write_comparison(client: MlflowClient, run_id: str, record: Record) -> None:
    """Replace a run's files in the folder comparison, and its tags champion and description."""
    for path in record.comparison:
        client.log_artifact(run_id, str(path), "comparison")
    client.set_tag(run_id, "champion", "yes" if record.part == record.champion else "no")
    client.set_tag(run_id, DESCRIPTION, record.verdict)
    # This tag comes last, because it marks the others as complete.
    client.set_tag(run_id, COMPARED, record.compared)


def _dataset_input(dataset: PandasDataset, context: str) -> DatasetInput:
    """Convert a dataset to an input of a run, with its purpose ("train" or "eval")."""
    from mlflow import entities

    tags = [entities.InputTag("mlflow.data.context", context)]
    return entities.DatasetInput(entities.Dataset.from_dictionary(dataset.to_dict()), tags)


def _log_figures(client: MlflowClient, run: Run, record: Record, model_id: str) -> None:
    """Write params, metrics and losses by step to a run, and metrics to its logged model, too."""
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
    """Store the model of a record, with its params and card and the run's source; return its id."""
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


def _register_champion(client: MlflowClient, name: str, run: Run, record: Record) -> None:
    """Move the alias "champion" of the registered model `name` to the version of a run's model.

    The registered model and the version are created if necessary. The version has the model, n and
    the main metrics as tags, and the card, cut to `LONGEST`, as its description.
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
        if VERSIONS not in client.get_logged_model(model_id).tags:  # a server sets this tag itself
            registered = json.dumps([{"name": name, "version": str(version.version)}])
            client.set_logged_model_tags(model_id, {VERSIONS: registered})
    client.set_registered_model_alias(name, ALIAS, str(versions[0].version))


def _body(card: str) -> str:
    """Text of a card without its YAML head."""
    return card.split("\n---\n", 1)[-1].strip()
