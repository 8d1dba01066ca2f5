"""A project: its folder, which stages, commands and users' code pass on, and its settings."""

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
        """Where its files are."""
        return Paths(Path(self.folder))

    @property
    def home(self) -> Path:
        """Its root, also where DVC runs an experiment in a folder below it."""
        return Path(os.environ.get("DVC_ROOT", self.folder)).resolve()

    @property
    def log(self) -> Path | None:
        """The file that new labels are added to; None where params.yaml names none."""
        labels = self.params.prepare.labels
        return None if labels is None else self.paths.root / labels

    @cached_property
    def params(self) -> Params:
        """Its settings, which are read once; errors as of `params.read_params`."""
        return read_params(self.paths.params)

    @property
    def params_of_fits(self) -> Params:
        """Its settings with the encoders that stage prepare chose where they are auto."""
        encoders = read_json(self.paths.prepared, "stage prepare")["encoders"]
        return self.params.with_encoders(encoders)


def run_stage(main: Callable[..., None]) -> None:
    """Call the `main` of a stage with the project here and the arguments, as `errors.run` does.

    Settings that change meanwhile are an error: DVC reads those of the stage once it is done. It
    would record the new values beside results of the old ones, and not run the stage again.
    """

    def whole() -> None:
        project = Project()
        # Looking for cycles in large libraries takes a tenth of a short run; at its end, seconds.
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

    run(whole)


def _sections_of_stage(paths: Paths) -> list[str]:
    """Names of the sections that the stage which DVC runs depends on, by dvc.yaml."""
    stage, _, model = os.environ.get("DVC_STAGE", "").rpartition(":")[2].partition("@")
    of_stage = YAML(typ="safe").load(paths.pipeline)["stages"].get(stage, {}) if stage else {}
    # What is in other files is in dicts.
    keys = [key.partition(".")[0] for key in of_stage.get("params", ()) if isinstance(key, str)]
    return [model if key.startswith("$") else key for key in keys]
