"""Out-of-fold scores of a model beside the truth, row by row, as all figures read them.

Scores are calibrated already; nothing is measured here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from paratopic.corpus.table import evaluated, targets_of
from paratopic.inference.modes import Mode, mode_of
from paratopic.inference.scores import Array, Integers, Targets, one_hot, topical
from paratopic.project.topics import Topics


@dataclass(frozen=True)
class Outcomes:
    """A model's out-of-fold scores and predictions beside the truth.

    There are n rows, k topics and r repeats of cross-validation.

    Parameters
    ----------
    mode
        Mode of the topics. In mode single each row has exactly one topic, and one is predicted.
    true
        (n, k) whether each row has each topic.
    groups
        (n,) group numbers, from 0.
    scores
        (r, n, k) probabilities as `Mode.comparable` has them: in mode single, given that the row
        has a topic.
    predicted
        (r, n, k) whether each topic is predicted.
    """

    mode: Mode
    true: Targets
    groups: Integers
    scores: Array
    predicted: Targets

    @property
    def k(self) -> int:
        """Number of topics."""
        return int(self.scores.shape[2])

    @property
    def present(self) -> Targets:
        """Whether each topic has a true example, (k,)."""
        return topical(self.true.T)


def of_one_topic(true: Integers, groups: Integers, scores: Array) -> Outcomes:
    """Outcomes in mode single, from class numbers; the most probable topic is predicted.

    Parameters
    ----------
    true
        (n,) class numbers.
    groups, scores
        As in `Outcomes`.
    """
    mode = mode_of("single")
    return Outcomes(mode, one_hot(true, scores.shape[2]), groups, scores, mode.answers(scores))


def outcomes(
    rows: pd.DataFrame, folds: pd.DataFrame, scores: pd.DataFrame, topics: Topics
) -> tuple[pd.DataFrame, Outcomes]:
    """Join labels, folds and out-of-fold scores.

    Rows with hand labels are evaluated; those with headings' labels only where there is no hand
    label at all. In mode single, rows with none of the topics are left out, and the most probable
    topic is predicted whatever its threshold. In mode multi, the topics that reach their thresholds
    are predicted.

    Parameters
    ----------
    rows
        Labelled paragraphs from `corpus.table.labelled_rows`.
    folds
        Table of `corpus.folds.make_folds`.
    scores
        Columns id, repeat, and a score and a threshold for each topic, as
        `training.calibration.calibrate_out_of_fold` gives them.
    topics
        The codebook.

    Returns
    -------
    rows
        The rows that are evaluated, in their order.
    outcomes
        Their outcomes.
    """
    mode = mode_of(topics.mode)
    kept = rows["id"].isin(scores["id"]) & evaluated(rows)
    kept &= mode.informative(targets_of(rows, topics.names))
    rows = rows[kept].reset_index(drop=True)
    group = folds.drop_duplicates("id").set_index("id")["group"].reindex(rows["id"])
    groups = pd.factorize(group)[0].astype(np.int64)
    repeats = [part.set_index("id").reindex(rows["id"]) for _, part in scores.groupby("repeat")]
    probabilities = mode.comparable(_stack(repeats, list(topics.names)))
    predicted = mode.forced(probabilities, _stack(repeats, topics.thresholds))
    true = targets_of(rows, topics.names)
    return rows, Outcomes(mode, true, groups, probabilities, predicted)


def _stack(repeats: list[pd.DataFrame], columns: list[str]) -> Array:
    """Columns of each repeat's table, (r, n, columns)."""
    return np.stack([table[columns].to_numpy(dtype=np.float64) for table in repeats])
