"""Stage split: folds of the labelled and the unlabelled paragraphs."""

from __future__ import annotations

from paratopic.corpus.folds import (
    Folds,
    Split,
    TooFewLabels,
    deal_labelled,
    deal_unlabelled,
    no_folds,
)
from paratopic.corpus.labelled import Labelled, read_labelled
from paratopic.corpus.table import read_paragraphs
from paratopic.project import files
from paratopic.project.errors import in_units
from paratopic.project.folder import Project, run_stage
from paratopic.project.params import Params


def main(project: Project) -> None:
    """Write folds of labelled and of unlabelled paragraphs, and split.json; print them in words."""
    params, paths = project.params, project.paths
    data = read_labelled(paths, params.topics)
    folds = split(data, params)
    unlabelled = deal_unlabelled(read_paragraphs(paths.paragraphs), data.rows, folds, params.seed)
    for path, table in ((paths.folds, folds.table), (paths.unlabelled, unlabelled)):
        with files.atomic_write(path) as draft:
            table.to_parquet(draft, index=False)
    n_groups = int(folds.table["group"].nunique())
    Split(groups=n_groups, **folds._asdict()).save(paths.split)
    groups = f"by {folds.split_unit} ({n_groups:,} with labels, each in one fold)"
    summary = (
        f"{folds.n_repeats} × {folds.n_folds} folds, {groups}" if folds.n_folds else "no folds"
    )
    lines = [summary, *(f"note: {message}" for message in folds.messages)]
    print(*(in_units(line, params.unit) for line in lines), sep="\n")


def split(data: Labelled, params: Params) -> Folds:
    """Deal the labelled paragraphs to folds, or to none if there are too few hand labels.

    Without folds, models are not measured, and are fitted to weak labels or descriptions of topics.
    `TooFewLabels` is raised if there are no weak labels and some topic has no description.
    """
    try:
        return deal_labelled(data, params.split, params.seed)
    except TooFewLabels as error:
        if not data.topics.descriptions and data.by_hand.all():
            raise
        return no_folds(data.rows, str(error))


if __name__ == "__main__":
    run_stage(main)
