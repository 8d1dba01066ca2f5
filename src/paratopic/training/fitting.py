"""What the stages score and train need to fit a model of any kind.

Only the modules of that kind are imported, so that the baseline needs no torch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from paratopic.corpus.labelled import Labelled, draw_pool, read_with_folds
from paratopic.corpus.table import read_paragraphs, with_passages
from paratopic.inference.modes import mode_of
from paratopic.project.kinds import Kind, named_object
from paratopic.project.params import Params
from paratopic.project.paths import PARAGRAPHS
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
    data, paragraphs, pool = read_with_folds(params.topics), read_paragraphs(PARAGRAPHS), None
    are_rare = topics_are_rare(data.hand.targets, mode_of(params.topics.mode))
    if kind.learns_from_unlabelled and not are_rare:
        pool = draw_pool(paragraphs, data.rows, params.section(kind.name).unlabelled, params.seed)
    return replace(data, rows=with_passages(data.rows, paragraphs), pool=pool)


def processes_for(kind: Kind, n_rows: int) -> int:
    """Number of processes in which a model is fitted to the folds of n labelled rows soonest."""
    return 1 if kind.is_parallel else n_processes(n_rows)
