"""A project: its folder, its paths and its settings."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ruamel.yaml import YAML

from paratopic.project.errors import UserError, run
from paratopic.project.files import Paths, read_json
from paratopic.project.params import Params, read_params


@dataclass(frozen=True)
class Project:
    """The project in a folder.

    Parameters
    ----------
    folder
        The project's root, which has params.yaml; by default the current directory.
    """

    folder: str | Path = "."

    @property
    def paths(self) -> Paths:
        """Paths of its files."""
        return Paths(Path(self.folder))

    @property
    def home(self) -> Path:
        """Its root, even if DVC runs an experiment in a folder below it."""
        return Path(os.environ.get("DVC_ROOT", self.folder)).resolve()

    @property
    def log(self) -> Path | None:
        """The file of hand labels; None if params.yaml names none."""
        labels = self.params.prepare.labels
        return None if labels is None else self.paths.root / labels

    @cached_property
    def params(self) -> Params:
        """Its settings, which are read once, with the errors of `params.read_params`."""
        return read_params(self.paths.params)

    @property
    def fit_params(self) -> Params:
        """Its settings, in which the encoders that stage prepare chose replace auto."""
        encoders = read_json(self.paths.prepared, "stage prepare")["encoders"]
        return self.params.with_encoders(encoders)


def run_stage(main: Callable[..., None]) -> None:
    """Call a stage's `main` with the project in the current directory and the program's arguments.

    A `UserError` ends the program with its message and status 1. If DVC runs the stage, so does a
    change of its settings meanwhile: DVC reads them after the stage. It would record the new values
    with results of the old ones, and not run the stage again.
    """

    def run_checked() -> None:
        """Run the stage; raise a `UserError` if DVC runs it and its settings changed meanwhile."""
        project = Project()
        # The garbage collector takes a tenth of a short run, and seconds at its end, because
        # libraries have so many objects.
        gc.set_threshold(10_000)
        before = project.params
        main(project, *sys.argv[1:])
        gc.freeze()
        after = Project().params
        names = _sections_of_stage(project.paths) if after != before else []
        if changed := [name for name in names if after.section(name) != before.section(name)]:
            raise UserError(
                f"settings changed during the stage ({', '.join(changed)}): run `dvc repro` again"
            )

    run(run_checked)


def _sections_of_stage(paths: Paths) -> list[str]:
    """Sections of params.yaml that dvc.yaml lists for the stage that DVC runs; [] without DVC."""
    stage, _, model = os.environ.get("DVC_STAGE", "").rpartition(":")[2].partition("@")
    definition = YAML(typ="safe").load(paths.pipeline)["stages"].get(stage, {}) if stage else {}
    # Keys of other files than params.yaml are in dicts.
    keys = [key.partition(".")[0] for key in definition.get("params", ()) if isinstance(key, str)]
    return [model if key.startswith("$") else key for key in keys]
