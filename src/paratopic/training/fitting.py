"""What the stages score and train need to fit a model of any kind.

Only the modules of that kind are imported, so that the baseline needs no torch.
"""

from __future__ import annotations

from pathlib import Path

from paratopic.corpus.answers import read_labelled_paragraphs
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.pool import draw_pool
from paratopic.corpus.table import (
    has_hand_label,
    labelled_rows,
    read_parquet,
    targets_of,
    with_passages,
)
from paratopic.inference.modes import mode_of
from paratopic.project.kinds import Kind, named_object
from paratopic.project.params import Params
from paratopic.project.paths import FOLDS
from paratopic.training.crossval import n_processes
from paratopic.training.examples import Advance, Examples, Fit, Fitted, topics_are_rare


def fitter(kind: Kind, params: Params, checkpoints: Path | None = None) -> Fit:
    """Bind the topics and the kind's section of the params to its function `fit`.

    Parameters
    ----------
    checkpoints
        Folder from which a fit that was killed goes on, if the kind `resumes`; None, the default,
        for none.
    """
    fit_model, section = named_object(kind.fit), params.section(kind.name)
    resuming = (checkpoints,) if kind.resumes else ()

    def fit(examples: Examples, seed: int, advance: Advance) -> Fitted:
        fitted: Fitted = fit_model(examples, params.topics, section, seed, advance, *resuming)
        return fitted

    return fit


def labelled_for(kind: Kind, params: Params) -> Labelled:
    """Read the labelled paragraphs of the project in the current directory, and their folds.

    If the kind of model learns from them, paragraphs without a label are drawn too, unless topics
    are rare: most paragraphs have none of them then, and teach no more than chance would.
    """
    frame, pool = read_labelled_paragraphs(), None
    rows = with_passages(labelled_rows(frame, params.topics), frame)
    targets = targets_of(rows[has_hand_label(rows)], params.topics.names)
    if kind.learns_from_unlabelled and not topics_are_rare(targets, mode_of(params.topics.mode)):
        pool = draw_pool(frame, rows, params.section(kind.name).unlabelled, params.seed)
    return Labelled(rows, params.topics, read_parquet(FOLDS), pool)


def processes_for(kind: Kind, n_rows: int) -> int:
    """Number of processes in which a model is fitted to the folds of n labelled rows soonest."""
    return 1 if kind.is_parallel else n_processes(n_rows)
