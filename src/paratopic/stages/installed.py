"""Stage installed: digests of code and versions of libraries, which the other stages depend on."""

from __future__ import annotations

from paratopic.project import files
from paratopic.project.folder import Project, run_stage
from paratopic.project.installed import library_versions, stage_digests


def main(project: Project) -> None:
    files.write_json(project.paths.installed, stage_digests() | {"libraries": library_versions()})


if __name__ == "__main__":
    run_stage(main)
