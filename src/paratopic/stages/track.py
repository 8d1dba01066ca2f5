"""Stage track: copies params, reports and models to MLflow, each state of a model once."""

from __future__ import annotations

import os

from ruamel.yaml import YAML

from paratopic.inference.registry import ARTIFACTS, store_uri
from paratopic.project.errors import plural
from paratopic.project.folder import Project, run_stage
from paratopic.tracking.records import outputs_of, records
from paratopic.tracking.runs import write_runs


def main(project: Project) -> None:
    """Run the stage."""
    params = project.params
    outputs = outputs_of(YAML(typ="safe").load(project.paths.lock))
    experiment = os.environ.get("DVC_EXP_NAME")
    models = records(project, outputs, experiment)
    uri = store_uri(project.home)
    # An experiment is a trial: its model does not become the champion that others load.
    trial = experiment is not None
    written = write_runs(uri, params.track.experiment, models, project.home / ARTIFACTS, trial)
    if written:
        print(
            f"{plural(written, 'new MLflow run')} in {uri}: see `paratopic ui`. "
            "`paratopic report` prints the figures"
        )
    else:
        print(f"MLflow is up to date: {uri}")


if __name__ == "__main__":
    run_stage(main)
