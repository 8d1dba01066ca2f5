"""Trained models in MLflow: each logged with its run, and champions as registered versions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from paratopic.inference.registry import asking
from paratopic.tracking import pyfunc
from paratopic.tracking.view import DESCRIPTION, main_metrics

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# Name of a run's logged model, and the alias of the registered champion.
MODEL, ALIAS = "model", "champion"

# Begin of the tags of runs and models that say where they come from.
SOURCE = "mlflow.source."
# Tag of a logged model that lists the versions that it is registered as.
VERSIONS = "mlflow.modelVersions"

# The registry's database takes no longer description.
LONGEST = 5000


def log(client: MlflowClient, run: Run, folder: Path, params: Mapping[str, str], card: str) -> str:
    """Store a model with its run.

    Parameters
    ----------
    run
        The model's run. Its source is that of the model.
    card
        Its card, which is added to the model's folder and is its description.

    Returns
    -------
    Id of the logged model.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    run_id = run.info.run_id
    source = {key: run.data.tags[key] for key in run.data.tags if key.startswith(SOURCE)}
    logged = client.create_logged_model(
        run.info.experiment_id,
        name=MODEL,
        source_run_id=run_id,
        tags=source | {DESCRIPTION: _body(card)},
        params=dict(params),
    )
    ids = Model(
        artifact_path=logged.artifact_location,
        run_id=run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
    )
    with tempfile.TemporaryDirectory() as draft:
        pyfunc.save(folder, Path(draft) / MODEL, card, ids)
        client.log_model_artifacts(logged.model_id, str(Path(draft) / MODEL))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return str(logged.model_id)


def delete_of(client: MlflowClient, run: Run) -> None:
    """Delete the models that were logged with a run."""
    query = f"source_run_id = '{run.info.run_id}'"
    for model in client.search_logged_models([run.info.experiment_id], query):
        client.delete_logged_model(model.model_id)


def promote(client: MlflowClient, name: str, run: Run, card: str) -> None:
    """Register a run's model as a version, and point the alias "champion" to it.

    Parameters
    ----------
    name
        Name of the registered model; it is created if it is missing.
    run
        Run of the model. Its main metrics become tags of the version.
    card
        The model's card, which is the description of the version.
    """
    from mlflow.exceptions import MlflowException

    about = "Topics of paragraphs. The alias champion is the version to predict with."
    registered = client.search_registered_models(f"name = '{name}'")
    if not registered:
        client.create_registered_model(name, description=about)
    elif not registered[0].description:
        client.update_registered_model(name, about)
    versions = client.search_model_versions(f"name = '{name}' and run_id = '{run.info.run_id}'")
    version = str(versions[0].version) if versions else _register(client, name, run, card)
    try:
        present = str(client.get_model_version_by_alias(name, ALIAS).version)
    except MlflowException:  # there is no such alias yet
        present = ""
    if present != version:
        client.set_registered_model_alias(name, ALIAS, version)


def _register(client: MlflowClient, name: str, run: Run, card: str) -> str:
    """Create the version of a run's model; returns its number."""
    model_id = run.outputs.model_outputs[0].model_id
    main = main_metrics(run.data.tags["mode"])
    figures = {key: f"{run.data.metrics[key]:.3f}" for key in main if key in run.data.metrics}
    about = {key: run.data.tags[key] for key in ("model", "n") if key in run.data.tags}
    with asking(client.tracking_uri):  # MLflow looks up the model of a version there
        created = client.create_model_version(
            name,
            f"models:/{model_id}",
            run.info.run_id,
            tags=about | figures,
            description=_body(card)[:LONGEST],
            model_id=model_id,
        )
    version = str(created.version)
    if VERSIONS not in client.get_logged_model(model_id).tags:  # a server sets it by itself
        listed = json.dumps([{"name": name, "version": version}])
        client.set_logged_model_tags(model_id, {VERSIONS: listed})
    return version


def _body(card: str) -> str:
    """A card without its head, which is for machines."""
    return card.split("\n---\n", 1)[-1].strip()
