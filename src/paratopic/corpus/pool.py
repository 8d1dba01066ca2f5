"""The pool: paragraphs without a label, from which models may learn beside those with one.

What a fold holds out must not be in its pool under another name: as a near-duplicate, or as the
rest of an article that is held out. How a model learns from the pool is for `training.unlabelled`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.duplicates import near_duplicates


@dataclass(frozen=True)
class Pool:
    """Paragraphs without a label, and what ties them to those with one.

    Parameters
    ----------
    labelled, unlabelled
        n paragraphs with a label and m without, with the columns article and text. A text that
        several articles have is there for each.
    """

    labelled: pd.DataFrame
    unlabelled: pd.DataFrame

    @property
    def texts(self) -> tuple[str, ...]:
        """All distinct texts without a label, for a model that is not measured."""
        return tuple(dict.fromkeys(self.unlabelled["text"]))

    @cached_property
    def _duplicates(self) -> npt.NDArray[np.int64]:
        """(n + m,) numbers of near-duplicates. Only folds need them, and they take long to find."""
        return near_duplicates([*self.labelled["text"], *self.unlabelled["text"]])

    def beside(
        self, train: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64]
    ) -> tuple[str, ...]:
        """Select the texts that may teach a model that is measured on held-out rows.

        Left out are near-duplicates of these rows, labelled articles that have no label in the
        training part, and near-duplicates of those of their texts that are in the pool. Each text
        is there once.
        """
        known, articles = self.labelled["article"], self.unlabelled["article"]
        duplicates = self._duplicates[len(known) :]
        hidden = articles.isin(known) & ~articles.isin(known.iloc[train])
        hidden |= np.isin(duplicates, self._duplicates[held_out])
        hidden |= np.isin(duplicates, duplicates[hidden])
        return tuple(dict.fromkeys(self.unlabelled["text"][~hidden]))


def draw_pool(frame: pd.DataFrame, rows: pd.DataFrame, most: int, seed: int) -> Pool:
    """Draw paragraphs that have no label.

    Parameters
    ----------
    most
        Number of distinct texts, at most.
    """
    unlabelled = frame[frame["label_source"] == "none"].drop_duplicates(["article", "text"])
    texts = unlabelled["text"].unique()
    if len(texts) > most:
        drawn = np.random.default_rng(seed).choice(len(texts), most, replace=False)
        unlabelled = unlabelled[unlabelled["text"].isin(texts[drawn])]
    columns = ["article", "text"]
    return Pool(rows[columns], unlabelled[columns])
