"""Functions that commands share: notes on stale results, and next steps; and `paratopic trust`."""

from __future__ import annotations

import getpass
import shlex
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from paratopic.corpus.table import UNKNOWN, values_by
from paratopic.evaluation.intervals import LEAST_LABELS
from paratopic.labels.log import one_line
from paratopic.project.errors import UserError
from paratopic.project.files import Paths
from paratopic.project.reports import last_fit_time
from paratopic.project.terminal import stdout_console
from paratopic.reading import outside
from paratopic.reading.sources import files_of
from paratopic.results.project import Project

SAMPLE = 3 * LEAST_LABELS  # Paragraphs of a first random sample; shares need a third of them.
DRAW, RUN = f"paratopic label --random --n {SAMPLE}", "dvc repro"
SHARES, SUGGEST = "paratopic shares", "paratopic label"
MEASURE = "train the models and measure them"
TRAIN = {RUN: f"{MEASURE} (minutes; it shows how many are left)"}
LABEL = {DRAW: "label a random sample, which shares and honest figures need"}
LABEL_GROUPS = {
    f"paratopic label --random --by COLUMN --n {SAMPLE}": "only for shares by group: draws from "
    f"groups with the fewest labels ({LEAST_LABELS} each give an interval)"
}


def trust(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Allow a project that somebody else made to read files outside of it.

    It is also allowed to run its pipeline, which `label`, `suggest` and `status` do if texts were
    not read yet. Projects that you started or ran here need this only for new sources outside of
    the project.
    """
    project = Project()
    places = outside.sources_outside(project)
    if places:
        print("This project reads files outside of its folder:", *places, sep="\n  ")
    print("Its pipeline runs the commands in dvc.yaml and .dvc/stage.sh.")
    if not (yes or sys.stdin.isatty()):
        raise UserError("there is no terminal to ask on; add --yes if you trust this project")
    if not yes:
        typer.confirm("Do you trust this project?", abort=True)
    outside.trust(project, places)


def read_texts(project: Project) -> None:
    """Run `dvc repro prepare` if no texts are read yet; UserError if not trusted or if it fails."""
    paths = project.paths
    if paths.params.exists() and not paths.paragraphs.exists():
        if not outside.is_trusted(project):
            raise UserError(
                f"{paths.paragraphs} not found: `dvc repro prepare` creates it. It runs the "
                "commands in dvc.yaml: look at them first if the project is not yours"
            )
        print("reading the texts (dvc repro prepare)")
        command = [sys.executable, "-P", "-m", "dvc", "repro", "-q", "prepare"]
        if subprocess.run(command, cwd=paths.root).returncode:
            raise UserError("stage prepare failed: see its message above")


def note_changes(project: Project, model: Path) -> None:
    """Print changes since `dvc repro`, unless the model is another one or a source is untrusted."""
    paths = project.paths
    is_own = model.resolve().is_relative_to(paths.models.resolve())
    if is_own and paths.prepared.exists() and not outside.untrusted_sources(project):
        try:
            print_changes(project)
        except UserError as error:  # A source is missing, and the model answers without it.
            print(f"note: cannot tell what changed since the model was trained: {error}")


def print_changes(project: Project) -> None:
    """Print the changes since the last `dvc repro`, if there are any."""
    if project.changes:
        event = "these figures were made" if project.champion else "the texts were read"
        print(f"note: {project.changes} changed since {event}: run `dvc repro`")


def check_out(project: Project, out: Path) -> None:
    """Raise a UserError if `out` exists and is a file that the project reads or a stage wrote."""
    paths = project.paths
    if not (out.exists() and paths.params.exists()):
        return
    own = [paths.params, paths.codebook, paths.lock, paths.pipeline, *_outputs(paths)]
    own += [project.log] if project.log else []
    with suppress(UserError):  # A source may be missing.
        own += files_of(paths, project.params.prepare.sources)
    if any(out.resolve().is_relative_to(path.resolve()) for path in own):
        raise UserError(f"{out} is a file of this project; name another file")


def _outputs(paths: Paths) -> list[Path]:
    """Paths of all stages' outputs in dvc.lock; [] without the file, UserError if it is damaged."""
    try:
        stages = YAML(typ="safe").load(paths.lock)["stages"] if paths.lock.exists() else {}
    except (YAMLError, TypeError, KeyError):
        raise UserError(
            f"{paths.lock} cannot be read. After a merge, run `git checkout --ours {paths.lock}`, "
            "then `dvc repro`"
        ) from None
    return [paths.root / out["path"] for stage in stages.values() for out in stage.get("outs", ())]


def user_name(annotator: str | None) -> str:
    """Name of the annotator: `annotator`, or else the login name; UserError if there is neither."""
    if name := one_line(annotator or ""):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # Python 3.13 raises OSError.
        raise UserError(
            "the system has no name for its user, so it is not known who labels: name the "
            "annotator with --annotator NAME, or in the environment variable LOGNAME"
        ) from None


def next_steps(project: Project) -> dict[str, str]:
    """Commands to run next, in this order → the purpose of each.

    Ties are settled first. Without hand labels, the other steps are to label a random sample, if
    there are no votes, and to train. Otherwise they are to run the pipeline, without a champion or
    after changes; to draw a sample, if fewer than `LEAST_LABELS` labels are drawn, or else, without
    changes, to estimate shares; and, with a champion, to label what models learn most from. If
    nothing is left to label, the last step is to add texts instead.
    """
    labelling = project.labelling
    is_unlabelled = labelling.paragraphs["label_source"] == "none"
    can_draw = bool((is_unlabelled & ~labelling.paragraphs["boilerplate"]).any())
    steps = {}
    if labelling.tied:
        steps["paratopic review --out ties.csv"] = "list the ties, and write a sheet to settle them"
    if not labelling.labelled.by_hand.any() and can_draw:
        # The labels may all be newer than the last run of stage prepare.
        first = {} if labelling.current.votes else label_step(labelling.everything)
        return steps | first | TRAIN
    if is_stale := not project.champion or bool(project.changes):
        steps |= _run_step(project)
    if labelling.sample.drawn < LEAST_LABELS and can_draw:
        steps |= label_step(labelling.everything)
    elif not is_stale:  # Shares of a fully labelled corpus need no sample, because they are counts.
        steps[SHARES] = "estimate the shares of the topics, in groups with --by COLUMN"
    if can_draw and project.champion:
        steps[SUGGEST] = labelling.in_units(
            "label the paragraphs that models learn most from (for shares: --random; for a rare "
            "topic: --topic)"
        )
    elif not can_draw:
        paths = ", ".join(project.params.prepare.paths)
        steps["dvc repro prepare"] = f"read more texts, once you have added some to {paths}"
    return steps


def label_step(rows: pd.DataFrame) -> dict[str, str]:
    """`DRAW` → its purpose, with the first of --by source, decade or year that has two values."""
    columns = {str(name): rows[name].tolist() for name in rows}
    for by in ("source", "decade", "year"):
        if len({*values_by(columns, by, len(rows))} - {UNKNOWN}) > 1:
            return {DRAW: f"{LABEL[DRAW]} (for shares by {by}, add --by {by})"}
    return LABEL


def _run_step(project: Project) -> dict[str, str]:
    """The step of running the pipeline, with the duration of the last fits."""
    fits = {name: last_fit_time(project.paths.times, name) for name in project.params.models}
    times = [f"{name} {time}" for name, time in fits.items() if time]
    note = f"last time, measuring took: {'; '.join(times)}; training took some more"
    return {RUN: f"{MEASURE} ({note})"} if times else TRAIN


def invocation() -> str:
    """The command as the user typed it."""
    return shlex.join(["paratopic", *sys.argv[1:]])


def print_steps(steps: Mapping[str, str]) -> None:
    """Print "Next:" and a line for each command with its purpose; nothing if there are none."""
    if not steps:
        return
    console, width = stdout_console(), max(map(len, steps))
    console.print("Next:")
    for step, purpose in steps.items():
        console.print(f"  {step:<{width}}  {purpose}", highlight=False, soft_wrap=True)
