"""Labelled paragraphs with their codebook and folds: what models are fitted to and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.answers import read_labelled_paragraphs
from paratopic.corpus.duplicates import near_duplicates
from paratopic.corpus.folds import groups_of
from paratopic.corpus.pool import Pool
from paratopic.corpus.table import labelled_rows, read_parquet
from paratopic.project.passages import Passage, as_passage
from paratopic.project.paths import FOLDS
from paratopic.project.topics import Topics


@dataclass(frozen=True)
class Labelled:
    """Labelled paragraphs, and how they are dealt to folds.

    Parameters
    ----------
    rows
        The paragraphs, from `corpus.table.labelled_rows`. Without a column `passage`
        (`corpus.table.with_passages`), texts are read alone.
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

    @cached_property
    def passages(self) -> list[Passage]:
        """The texts of the rows with what stands around them."""
        column = self.rows.get("passage", self.rows["text"])
        return [as_passage(text) for text in column]

    def apart(
        self, train: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64]
    ) -> tuple[list[Passage], list[Passage]]:
        """Texts to learn from and texts that are held out, neither of which reads the other.

        Where articles are held out whole, that is so by itself. Where an article has paragraphs of
        both, what stands around these would tell of them. Then its held-out paragraphs are read
        alone, and near-duplicates of them are left out around the others.
        """
        articles, passages = self.rows["article"].to_numpy(), self.passages
        divided = np.intersect1d(articles[train], articles[held_out])
        if not len(divided):
            return [passages[row] for row in train], [passages[row] for row in held_out]
        hidden = {self._duplicates[passages[row].text] for row in held_out}

        def without_hidden(near: Sequence[str]) -> tuple[str, ...]:
            # A text in place of a hidden one would be read as if it stood nearer.
            return tuple("" if self._duplicates[text] in hidden else text for text in near)

        to_learn, to_score = ([passages[row] for row in rows] for rows in (train, held_out))
        for number, passage in enumerate(to_learn):
            before, after = without_hidden(passage.before), without_hidden(passage.after)
            to_learn[number] = replace(passage, before=before, after=after)
        for number in np.flatnonzero(np.isin(articles[held_out], divided)).tolist():
            to_score[number] = Passage(to_score[number].text)
        return to_learn, to_score

    @cached_property
    def _duplicates(self) -> dict[str, int]:
        """Text of a row or of a neighbour → number that its near-duplicates share."""
        texts = dict.fromkeys(
            text
            for passage in self.passages
            for text in (passage.text, *passage.before, *passage.after)
        )
        return dict(zip(texts, near_duplicates(list(texts)).tolist(), strict=True))


def read_labelled(topics: Topics) -> Labelled:
    """Read the labelled paragraphs of the project in the current directory, and their folds."""
    rows = labelled_rows(read_labelled_paragraphs(), topics)
    return Labelled(rows, topics, read_parquet(FOLDS))
