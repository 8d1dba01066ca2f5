"""Stage package@MODEL: the model that ships, which is the final fit with its calibration."""

from __future__ import annotations

import shutil
import sys

from paratopic.inference.folder import write_manifest
from paratopic.inference.modes import read_calibration
from paratopic.project import files
from paratopic.project.files import CALIBRATION
from paratopic.project.folder import Project, run_stage


def main(project: Project) -> None:
    """Run the stage for the model that the command line names."""
    name, params, paths = sys.argv[1], project.params, project.paths
    calibration = read_calibration(
        files.read_json(paths.scores / name / CALIBRATION, f"stage calibrate@{name}")
    )
    with files.aside(paths.models / name) as draft:
        shutil.copytree(paths.final_fits / name, draft)
        write_manifest(draft, params.topics, calibration)
    print(f"{name}: model in {paths.models / name}")


if __name__ == "__main__":
    run_stage(main)
