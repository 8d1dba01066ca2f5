"""Stage installed: digests of the installed code, which the other stages depend on."""

from __future__ import annotations

from paratopic.project import errors, files
from paratopic.project.files import INSTALLED
from paratopic.project.installed import stage_digests


def main() -> None:
    """Run the stage in the current directory."""
    files.write_json(INSTALLED, stage_digests())


if __name__ == "__main__":
    errors.run(main)
