"""Labelled paragraphs with their codebook and folds: what models are fitted to and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.folds import groups_of
from paratopic.corpus.pool import Pool
from paratopic.corpus.table import labelled_rows, read_paragraphs, read_parquet
from paratopic.project.paths import FOLDS, PARAGRAPHS
from paratopic.project.topics import Topics


@dataclass(frozen=True)
class Labelled:
    """Labelled paragraphs, and how they are dealt to folds.

    Parameters
    ----------
    rows
        The paragraphs, from `corpus.table.labelled_rows`.
    topics
        The codebook.
    folds
        Table of `corpus.folds.make_folds`.
    pool
        Paragraphs without a label, of which each fit gets those that tell nothing of its fold; none
        by default.
    """

    rows: pd.DataFrame
    topics: Topics
    folds: pd.DataFrame
    pool: Pool | None = None

    @property
    def names(self) -> Sequence[str]:
        """Topic names in class order."""
        return self.topics.names

    @cached_property
    def groups(self) -> npt.NDArray[np.int64]:
        """Numbers of the groups of the rows, (n,)."""
        return groups_of(self.folds, list(self.rows["id"]))


def read_labelled(topics: Topics, root: Path = Path()) -> Labelled:
    """Read the labelled paragraphs of a project, and their folds.

    Parameters
    ----------
    topics
        The codebook.
    root
        Root of the project; the current directory by default.
    """
    rows = labelled_rows(read_paragraphs(root / PARAGRAPHS), topics)
    return Labelled(rows, topics, read_parquet(root / FOLDS))
