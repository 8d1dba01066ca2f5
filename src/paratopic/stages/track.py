"""Stage track: copies params, reports and models to MLflow, each state of a model once."""

from __future__ import annotations

import os
from pathlib import Path

from ruamel.yaml import YAML

from paratopic.inference.registry import ARTIFACTS, store_uri
from paratopic.project.errors import plural
from paratopic.project.files import LOCK
from paratopic.project.params import read_params, run_stage
from paratopic.tracking.records import outputs_of, records
from paratopic.tracking.runs import write_runs


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    outputs = outputs_of(YAML(typ="safe").load(LOCK))
    experiment = os.environ.get("DVC_EXP_NAME")
    models = records(params, outputs, experiment)
    # Experiments may run in a folder of their own; DVC_ROOT is the project's root even then.
    root = Path(os.environ.get("DVC_ROOT", "."))
    uri = store_uri(root)
    # An experiment is a trial: its model does not become the champion that others load.
    trial = experiment is not None
    written = write_runs(uri, params.track.experiment, models, root / ARTIFACTS, trial)
    if written:
        print(
            f"{plural(written, 'new MLflow run')} in {uri}: see `paratopic ui`. "
            "`paratopic report` prints the figures"
        )
    else:
        print(f"MLflow is up to date: {uri}")


if __name__ == "__main__":
    run_stage(main)
