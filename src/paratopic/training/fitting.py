"""What the stages score and train need to fit a model of any kind.

Only the modules of that kind are imported, so that the baseline needs no torch.
"""

from __future__ import annotations

import pandas as pd

from paratopic.corpus.pool import Pool, draw_pool
from paratopic.project.kinds import Kind, named_object
from paratopic.project.params import Params
from paratopic.training.crossval import n_processes
from paratopic.training.examples import Advance, Examples, Fit, Fitted


def fitter(kind: Kind, params: Params) -> Fit:
    """Bind the topics and the kind's section of the params to its function `fit`.

    Parameters
    ----------
    kind
        Kind of the model.
    params
        All of params.yaml.
    """
    fit_model, section = named_object(kind.fit), params.section(kind.name)

    def fit(examples: Examples, seed: int, advance: Advance) -> Fitted:
        fitted: Fitted = fit_model(examples, params.topics, section, seed, advance)
        return fitted

    return fit


def pool_for(kind: Kind, frame: pd.DataFrame, rows: pd.DataFrame, params: Params) -> Pool | None:
    """Draw the paragraphs without a label from which a model learns; None if it does not.

    Parameters
    ----------
    kind
        Kind of the model.
    frame
        Paragraph table.
    rows
        Its labelled rows.
    params
        All of params.yaml.
    """
    if not kind.learns_from_unlabelled:
        return None
    return draw_pool(frame, rows, params.section(kind.name).unlabelled, params.seed)


def processes_for(kind: Kind, n_rows: int) -> int:
    """Number of processes in which a model is fitted to the folds of n labelled rows soonest."""
    return 1 if kind.is_parallel else n_processes(n_rows)
