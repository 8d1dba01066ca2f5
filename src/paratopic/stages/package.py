"""Stage package@MODEL: the model that ships, which is the final fit with its calibration."""

from __future__ import annotations

import shutil
import sys

from paratopic.inference.folder import write_manifest
from paratopic.inference.modes import read_calibration
from paratopic.project import files
from paratopic.project.files import CALIBRATION, FINAL_FITS, MODELS, SCORES
from paratopic.project.params import read_params, run_stage


def main() -> None:
    """Run the stage in the current directory for the model that the command line names."""
    name, params = sys.argv[1], read_params()
    calibration = read_calibration(
        files.read_json(SCORES / name / CALIBRATION, f"stage calibrate@{name}")
    )
    with files.aside(MODELS / name) as draft:
        shutil.copytree(FINAL_FITS / name, draft)
        write_manifest(draft, params.topics, calibration)
    print(f"{name}: model in {MODELS / name}")


if __name__ == "__main__":
    run_stage(main)
