"""The pool: paragraphs without a label, from which models may learn beside those with one.

What a fold holds out must not be in its pool under another name: as a near-duplicate, or as the
rest of an article that is held out. How a model learns from the pool is for `training.unlabelled`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.duplicates import near_duplicates


@dataclass(frozen=True)
class Pool:
    """Paragraphs without a label, and what ties them to those with one.

    Parameters
    ----------
    texts
        Texts of m paragraphs without a label; a text that several articles have is there for each.
    articles
        (n + m,) names of the articles of n labelled paragraphs and of the m others.
    duplicates
        (n + m,) numbers of `corpus.duplicates.near_duplicates`, in the same order.
    """

    texts: Sequence[str]
    articles: npt.NDArray[np.object_]
    duplicates: npt.NDArray[np.int64]

    def beside(
        self, train: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64]
    ) -> tuple[str, ...]:
        """Select the texts that may teach a model that is measured on held-out rows.

        Left out are near-duplicates of these rows, labelled articles that have no label in the
        training part, and near-duplicates of what is left out of these. Each text is there once.

        Parameters
        ----------
        train, held_out
            Positions of labelled paragraphs.
        """
        n = len(self.articles) - len(self.texts)
        known, articles = self.articles[:n], self.articles[n:]
        hidden = np.isin(articles, known) & ~np.isin(articles, known[train])
        duplicates = self.duplicates[n:]
        hidden |= np.isin(duplicates, self.duplicates[held_out])
        hidden |= np.isin(duplicates, duplicates[hidden])
        kept = (text for text, hide in zip(self.texts, hidden, strict=True) if not hide)
        return tuple(dict.fromkeys(kept))


def draw_pool(frame: pd.DataFrame, rows: pd.DataFrame, most: int, seed: int) -> Pool:
    """Draw paragraphs that have no label.

    Parameters
    ----------
    frame
        Paragraph table.
    rows
        Its labelled rows, from `corpus.table.labelled_rows`.
    most
        Number of distinct texts, at most.
    seed
        Seed of the draw.
    """
    unlabelled = frame[frame["label_source"] == "none"].drop_duplicates(["article", "text"])
    texts = unlabelled["text"].unique()
    if len(texts) > most:
        drawn = np.random.default_rng(seed).choice(len(texts), most, replace=False)
        unlabelled = unlabelled[unlabelled["text"].isin(texts[drawn])]
    both = pd.concat([rows[["article", "text"]], unlabelled[["article", "text"]]])
    return Pool(
        tuple(unlabelled["text"]),
        both["article"].to_numpy(dtype=object),
        near_duplicates(list(both["text"])) if len(unlabelled) else np.arange(len(rows)),
    )
