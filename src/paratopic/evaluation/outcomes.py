"""Labels, folds and out-of-fold scores brought together, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.table import evaluated, targets_of
from paratopic.inference.scores import Array, Integers, Targets, conditional, one_hot, topical
from paratopic.project.topics import Mode, Topics


@dataclass(frozen=True)
class Outcomes:
    """A model's out-of-fold scores, row by row beside the truth.

    Parameters
    ----------
    mode
        ``"single"``: every row has one topic and is said to have one; ``"multi"``: any number.
    true
        (n, k) whether a row has each topic.
    groups
        (n,) numbers of the groups, from 0.
    scores
        (r, n, k) probabilities, one slice a repeat; in mode single given that there is a topic.
    named
        (r, n, k) whether the row is said to have each topic.
    """

    mode: Mode
    true: Targets
    groups: Integers
    scores: Array
    named: npt.NDArray[np.bool_]

    @property
    def k(self) -> int:
        """Number of topics."""
        return int(self.scores.shape[2])

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(k,) whether a topic has a true example."""
        return topical(self.true.T)


def of_one_topic(true: Integers, groups: Integers, scores: Array) -> Outcomes:
    """Outcomes of rows of one topic each, said to have the most probable one.

    Parameters
    ----------
    true
        (n,) class numbers.
    groups, scores
        As for `Outcomes`.
    """
    k = scores.shape[2]
    named = one_hot(np.asarray(scores.argmax(axis=2)), k)
    return Outcomes("single", one_hot(true, k), groups, scores, named)


def outcomes(
    rows: pd.DataFrame, folds: pd.DataFrame, scores: pd.DataFrame, topics: Topics
) -> tuple[pd.DataFrame, Outcomes]:
    """Bring labels, folds and out-of-fold scores together.

    Hand labels are what counts; headings' labels only where there is no hand label at all. In mode
    single, paragraphs with none of the topics are left out: of the others is asked which one they
    have. In mode multi, what is named is what reaches the topic's threshold.

    Parameters
    ----------
    rows
        From `corpus.labelled`.
    folds
        From `splits.make_folds`.
    scores
        Columns id, repeat, a score and a threshold a topic, as `calibration.calibrate` gives them.
    topics
        The codebook.

    Returns
    -------
    The rows that are evaluated, in order, and their outcomes.
    """
    tested = rows["id"].isin(scores["id"]) & evaluated(rows)
    if topics.mode == "single":
        tested &= rows["topic"] != ""
    rows = rows[tested].reset_index(drop=True)
    group = folds.drop_duplicates("id").set_index("id")["group"].reindex(rows["id"])
    groups = pd.factorize(group)[0].astype(np.int64)
    slices = [part.set_index("id").reindex(rows["id"]) for _, part in scores.groupby("repeat")]
    found = np.stack([part[list(topics.names)].to_numpy(dtype=np.float64) for part in slices])
    true = targets_of(rows, topics.names)
    if topics.mode == "single":
        return rows, of_one_topic(true.argmax(axis=1), groups, conditional(found))
    limits = np.stack([part[topics.thresholds].to_numpy() for part in slices])
    return rows, Outcomes("multi", true, groups, found, found >= limits)
