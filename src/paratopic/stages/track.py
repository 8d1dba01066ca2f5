"""Stage track: copies settings, reports and models to MLflow, each version of a model once."""

from __future__ import annotations

import os

from ruamel.yaml import YAML

from paratopic.inference.registry import ARTIFACTS, store_uri
from paratopic.project.errors import plural
from paratopic.project.folder import Project, run_stage
from paratopic.tracking.records import pipeline_outputs, records
from paratopic.tracking.runs import write_runs


def main(project: Project) -> None:
    """Write runs that MLflow lacks, and update the champion there unless this is an experiment."""
    params = project.params
    outputs = pipeline_outputs(YAML(typ="safe").load(project.paths.lock))
    experiment = os.environ.get("DVC_EXP_NAME")
    models = records(project, outputs, experiment)
    uri = store_uri(project.home)
    # The model of an experiment must not become the champion that others load.
    is_trial = experiment is not None
    n_new = write_runs(uri, params.track.experiment, models, project.home / ARTIFACTS, is_trial)
    if n_new:
        print(
            f"{plural(n_new, 'new MLflow run')} in {uri}: see `paratopic ui`. "
            "`paratopic report` prints the figures"
        )
    else:
        print(f"MLflow is up to date: {uri}")


if __name__ == "__main__":
    run_stage(main)
