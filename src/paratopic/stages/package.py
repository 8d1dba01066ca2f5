"""Stage package@MODEL: the model for predictions, from the final fit and its calibration."""

from __future__ import annotations

import shutil

from paratopic.inference.manifest import write_manifest
from paratopic.project import files
from paratopic.project.files import CALIBRATION
from paratopic.project.folder import Project, run_stage


def main(project: Project, name: str) -> None:
    """Copy the final fit to models/NAME, and add its manifest with the calibration."""
    params, paths = project.params, project.paths
    calibration = files.read_json(paths.scores / name / CALIBRATION, f"stage calibrate@{name}")
    with files.atomic_write(paths.models / name) as draft:
        shutil.copytree(paths.final_fits / name, draft)
        write_manifest(draft, params.topics, calibration)
    print(f"{name}: model in {paths.models / name}")


if __name__ == "__main__":
    run_stage(main)
