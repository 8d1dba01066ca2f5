"""How the stages score and train fit the model that they are given by name.

This module is no stage. It imports the room of that model alone, so that the baseline needs no
torch.
"""

from __future__ import annotations

import importlib

import pandas as pd

from paratopic.corpus.pool import Pool, draw_pool
from paratopic.project.params import Params
from paratopic.project.topics import Topics
from paratopic.training.crossval import n_processes
from paratopic.training.examples import Advance, Examples, Fit, Fitted


def fitter(name: str, topics: Topics, section: object) -> Fit:
    """Bind the topics and a section of the params to `fit` of the model's room.

    Parameters
    ----------
    name
        ``"baseline"`` or ``"transformer"``.
    topics
        The codebook.
    section
        The model's section of params.yaml.
    """
    room = importlib.import_module(f"paratopic.{name}.fit")

    def fit(examples: Examples, seed: int, advance: Advance) -> Fitted:
        fitted: Fitted = room.fit(examples, topics, section, seed, advance)
        return fitted

    return fit


def pool_for(name: str, frame: pd.DataFrame, rows: pd.DataFrame, params: Params) -> Pool | None:
    """Draw the paragraphs without a label from which a model learns; None if it does not.

    Parameters
    ----------
    name
        ``"baseline"``, which learns from labels alone, or ``"transformer"``.
    frame
        Paragraph table.
    rows
        Its labelled rows.
    params
        All of params.yaml.
    """
    if name == "baseline":
        return None
    return draw_pool(frame, rows, params.transformer.unlabelled, params.seed)


def processes_for(name: str, n_rows: int) -> int:
    """Number of processes in which a model is fitted to the folds of n labelled rows soonest.

    The transformer uses all processors by itself.
    """
    return n_processes(n_rows) if name == "baseline" else 1
