"""The command `paratopic sweep`: DVC experiments side by side, and how good the best one really is.

The figures come from `evaluation`. What is slow to import is imported late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from paratopic.cli.terminal import terminal
from paratopic.project.errors import UserError
from paratopic.project.metrics import HEADLINE, metrics_in
from paratopic.project.paths import FOLDS, PARAGRAPHS, PARAMS, SCORES

if TYPE_CHECKING:
    import pandas as pd

    from paratopic.corpus.labelled import Labelled
    from paratopic.project.params import Params

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Names of DVC experiments; default: all of the current commit."),
]


@dataclass(frozen=True)
class Experiment:
    """What one experiment chose, and its out-of-fold scores.

    Parameters
    ----------
    name
        Name of the experiment.
    params
        Its params.
    data
        Its labelled paragraphs and their folds.
    scores
        Name of a model → its out-of-fold scores.
    """

    name: str
    params: Params
    data: Labelled
    scores: dict[str, pd.DataFrame]


def sweep(names: Names = None) -> None:
    """Find the best experiment, and correct its figure for having been chosen as the best."""
    names = names or _names_of_experiments()
    if len(names) < 2:
        there = "there is only 1" if names else "there are none"
        raise UserError(
            f"sweep compares two or more experiments, and {there}: run more (dvc exp run --queue "
            "-S ..., then dvc exp run --run-all) or give their names"
        )
    with TemporaryDirectory() as folder:
        experiments = []
        for number, name in enumerate(names):
            _fetch(name, Path(folder, str(number)))
            experiments.append(read_experiment(name, Path(folder, str(number))))
    print_sweep(experiments)


def _names_of_experiments() -> list[str]:
    """Names of the finished experiments of the present commit, in alphabetical order."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        found = Repo().experiments.ls()
    except DvcException as error:
        raise UserError(f"DVC cannot list the experiments: {error}") from None
    return sorted(name for experiments in found.values() for name, _ in experiments)


def _fetch(name: str, folder: Path) -> None:
    """Copy what is read of an experiment to a folder, from Git and from DVC's cache."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    folder.mkdir()
    try:
        stored = DVCFileSystem(rev=name)
        for path in (PARAMS, PARAGRAPHS, FOLDS, SCORES):
            (folder / path).parent.mkdir(exist_ok=True)
            stored.get(path.as_posix(), str(folder / path), recursive=True)
    except (DvcException, SCMError, OSError) as error:
        message = f"experiment {name} cannot be read: {error}; `dvc exp list` lists experiments"
        raise UserError(message) from None


def read_experiment(name: str, root: Path) -> Experiment:
    """Read an experiment's files below a folder."""
    from paratopic.corpus.labelled import read_labelled
    from paratopic.corpus.table import read_parquet
    from paratopic.project.params import read_params

    params = read_params(root / PARAMS)
    return Experiment(
        name,
        params,
        read_labelled(params.topics, root),
        {m: read_parquet(root / SCORES / m / "scores.parquet") for m in params.models},
    )


def print_sweep(experiments: Sequence[Experiment]) -> None:
    """Print the best experiment of each model whose scores differ.

    Raises
    ------
    UserError
        The experiments were not measured on the same labels and folds, or not measured at all.
    """
    from paratopic.evaluation.outcomes import answer_outcomes
    from paratopic.evaluation.selection import select

    first = experiments[0]
    for other in experiments[1:]:
        _refuse_other_folds(first, other)
    models = [
        model
        for model in first.scores
        if all(model in other.scores for other in experiments)
        and any(not first.scores[model].equals(other.scores[model]) for other in experiments)
    ]
    params, console = first.params, terminal()
    title = metrics_in(params.topics.mode)[HEADLINE[params.topics.mode]].title
    for model in models:
        distinct = _distinct(experiments, model)
        candidates = [answer_outcomes(e.data, e.scores[model]) for e in distinct]
        chosen = select(candidates, params.evaluate.n_draws, params.seed)
        best = chosen.best
        console.print(
            f"{model}: the best of {len(distinct)} is {distinct[best].name} with {title} "
            f"{chosen.values[best]:.3f}. Corrected for having been chosen, it is "
            f"{chosen.corrected:.3f}.",
            highlight=False,
            soft_wrap=True,
        )
    if not models:
        console.print(
            "all experiments have the same out-of-fold scores: there is nothing to choose"
        )


def _refuse_other_folds(one: Experiment, other: Experiment) -> None:
    """Stop where two experiments were not measured on the same labels and folds."""
    measured = ["id", "topic", "label_source"]
    if (
        one.params.topics != other.params.topics
        or not one.data.folds.equals(other.data.folds)
        or not one.data.rows[measured].equals(other.data.rows[measured])
    ):
        raise UserError(
            f"{one.name} and {other.name} have different labels, topics or folds, so their "
            "figures cannot be compared: name experiments that share them (paratopic sweep NAME "
            "NAME ...)"
        )
    for experiment in (one, other):
        if any(scores.empty for scores in experiment.scores.values()):
            raise UserError(f"{experiment.name}: nothing was held out, so nothing was measured")


def _distinct(experiments: Sequence[Experiment], model: str) -> list[Experiment]:
    """The experiments without those in which the model has the scores of an earlier one.

    They differ in what the model does not depend on, such as the settings of the other model.
    """
    distinct: list[Experiment] = []
    for experiment in experiments:
        scores = experiment.scores[model]
        if not any(scores.equals(other.scores[model]) for other in distinct):
            distinct.append(experiment)
    return distinct
