"""Stage installed: digests of code and versions of libraries, which the other stages depend on."""

from __future__ import annotations

from paratopic.project import errors, files
from paratopic.project.files import INSTALLED
from paratopic.project.installed import library_versions, stage_digests


def main() -> None:
    """Run the stage in the current directory."""
    files.write_json(INSTALLED, stage_digests() | {"libraries": library_versions()})


if __name__ == "__main__":
    errors.run(main)
