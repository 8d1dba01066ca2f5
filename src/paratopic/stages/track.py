"""Stage track: copies params, reports and models to MLflow, each state of the pipeline once."""

from __future__ import annotations

import os
from pathlib import Path

from ruamel.yaml import YAML

from paratopic.inference.registry import store_uri
from paratopic.project import errors
from paratopic.project.params import read_params
from paratopic.project.paths import LOCK, PARAGRAPHS
from paratopic.tracking.records import git_tags, records, state_of
from paratopic.tracking.runs import write_runs


def main() -> None:
    """Run the stage in the current directory."""
    params = read_params()
    lock = YAML(typ="safe", pure=True).load(LOCK)
    state, outputs = state_of(lock, params.models)
    experiment = os.environ.get("DVC_EXP_NAME")
    tags = git_tags() | {f"dvc.{path}": md5 for path, md5 in outputs.items() if "/oof" in path}
    tags |= {"dvc.paragraphs": outputs[str(PARAGRAPHS)]}
    if experiment:
        tags["dvc_exp"] = experiment
    parent, children = records(params, tags, outputs, experiment or state[:8])
    # Experiments may run in a folder of their own; DVC_ROOT is the project's root even then.
    root = Path(os.environ.get("DVC_ROOT", "."))
    uri = store_uri(root)
    # An experiment is a trial: its model does not become the champion that others load.
    champion = None if experiment else parent.tags["champion"]
    written = write_runs(
        uri, params.track.experiment, state, parent, children, root / "mlruns", champion
    )
    print(f"{written} new MLflow runs in {uri}" if written else f"MLflow is up to date: {uri}")


if __name__ == "__main__":
    errors.run(main)
