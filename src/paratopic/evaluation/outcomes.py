"""Out-of-fold scores of a model beside the truth, row by row, as all figures read them.

Scores are calibrated already; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from paratopic.corpus.folds import ALWAYS_TRAIN
from paratopic.corpus.labelled import Labelled
from paratopic.inference.modes import Mode, mode_of
from paratopic.inference.scores import Array, Integers, Targets, one_hot, topical
from paratopic.project.plurals import plural
from paratopic.project.topics import Topics

# A topic with fewer labels is named beside macro-F1, and with fewer labels of all topics than the
# second number, probabilities are called uncertain.
FEW_OF_A_TOPIC, FEW = 5, 300


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
        (r, n, k) probabilities as `Mode.conditional` has them: in mode single, given that the row
        has a topic.
    predicted
        (r, n, k) whether each topic is predicted.
    train_share
        Share of the labelled rows that each fold's model learnt from, on average; 1 for a model
        that is used as it is.
    topic_shares
        (k,) share of each topic's labelled rows that the models of its held-out rows learnt from,
        on average: a topic with two rows has one half. None, the default, if each has
        `train_share`.
    weights
        (n,) how much of the corpus each row stands for, in any unit; None, the default, if all
        rows count the same.
    """

    mode: Mode
    true: Targets
    groups: Integers
    scores: Array
    predicted: Targets
    train_share: float = 1.0
    topic_shares: Array | None = None
    weights: Array | None = None

    @cached_property
    def counts(self) -> Array:
        """How much each row counts, (n,)."""
        return np.ones(len(self.true)) if self.weights is None else self.weights

    @property
    def k(self) -> int:
        """Number of topics."""
        return int(self.scores.shape[2])

    @property
    def present(self) -> Targets:
        """Whether each topic has a true example that counts, (k,)."""
        return topical(self.true[self.counts > 0].T)


def of_one_topic(true: Integers, groups: Integers, scores: Array) -> Outcomes:
    """Outcomes in mode single, from class numbers; the most probable topic is predicted.

    Parameters
    ----------
    true
        (n,) class numbers.
    """
    mode = mode_of("single")
    return Outcomes(mode, one_hot(true, scores.shape[2]), groups, scores, mode.candidates(scores))


def outcomes(data: Labelled, scores: pd.DataFrame) -> Outcomes:
    """Join labels, folds and out-of-fold scores, to see how well a model tells topics apart.

    Rows with hand labels are evaluated, those with weak labels never. In mode single, rows with
    none of the topics are left out, and the topic that is most probable for its threshold is
    predicted, whatever the probability of none. In mode multi, the topics that reach their
    thresholds are predicted.

    Parameters
    ----------
    scores
        Columns id, repeat, and a score and a threshold for each topic, as
        `training.calibration.calibrate_rows` gives them.
    """
    topics, mode = data.topics, mode_of(data.topics.mode)
    part = data.measured(scores)
    part = part.of(mode.informative(part.targets))
    repeats = _repeats(part.rows, scores)
    probabilities = mode.conditional(_stack(repeats, topics.scores))
    predicted = mode.best_guess(probabilities, _stack(repeats, topics.thresholds))
    return Outcomes(
        mode,
        part.targets,
        _groups(part),
        probabilities,
        predicted,
        _train_share(data.folds),
        learnt_shares(data.targets, data.folds, list(data.rows["id"])),
        part.weights,
    )


def answer_outcomes(data: Labelled, scores: pd.DataFrame) -> Outcomes:
    """Join labels, folds and out-of-fold scores, to see how good a model's answers are.

    An answer is what `predict` gives. In mode single it may be none of the topics, which is the
    last of the k + 1 classes, and rows with none of the topics are there too. In mode multi these
    are the outcomes that the function `outcomes` gives. Parameters as there.
    """
    topics, mode = data.topics, mode_of(data.topics.mode)
    part = data.measured(scores)
    repeats = _repeats(part.rows, scores)
    probabilities = _stack(repeats, topics.scores)
    predicted = mode.predicted(probabilities, _stack(repeats, topics.thresholds))
    return Outcomes(
        mode,
        mode.outcomes(part.targets),
        _groups(part),
        np.stack([mode.complete(repeat) for repeat in probabilities]),
        np.stack([mode.outcomes(repeat) for repeat in predicted]),
        _train_share(data.folds),
        learnt_shares(mode.outcomes(data.targets), data.folds, list(data.rows["id"])),
        part.weights,
    )


def learnt_shares(targets: Targets, folds: pd.DataFrame, ids: Sequence[str]) -> Array:
    """Share of each topic's rows that models learnt from when its rows were held out, (k,).

    Parameters
    ----------
    targets
        (n, k) which topics each labelled row has.

    Returns
    -------
    Means over the held-out rows of each topic; 1 for a topic that is never held out.
    """
    held_out = folds[folds["fold"] != ALWAYS_TRAIN]
    part = held_out.groupby(["repeat", "fold"]).ngroup().to_numpy()
    counts = np.zeros((part.max(initial=-1) + 1, targets.shape[1]))
    np.add.at(counts, part, targets[pd.Index(ids).get_indexer(pd.Index(held_out["id"]))])
    possible = counts.sum(axis=0) * targets.sum(axis=0)
    lost = np.zeros(len(possible))
    np.divide((counts**2).sum(axis=0), possible, out=lost, where=possible > 0)
    return 1 - lost


def cautions(outcomes: Outcomes, names: Sequence[str]) -> list[str]:
    """What readers of the figures have to know where labels are few."""
    counts, messages = outcomes.true.sum(axis=0), []
    few = [name for name, n in zip(names, counts, strict=True) if 0 < n < FEW_OF_A_TOPIC]
    if few:
        part = "its part" if len(few) == 1 else "their parts"
        messages.append(
            f"{', '.join(few)}: fewer than {FEW_OF_A_TOPIC} labels, so {part} of macro-F1 may be "
            "far off"
        )
    n = int(topical(outcomes.true).sum())
    if n < FEW:
        messages.append(
            f"probabilities are calibrated on {plural(n, 'label')} and may be far off: rely on "
            f"them from about {FEW} labels on"
        )
    return messages


def mean_over_repeats(scores: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """One repeat with the mean scores and thresholds of all, so that a paragraph is there once."""
    mean = scores.groupby("id")[[*topics.scores, *topics.thresholds]].mean()
    return mean.assign(repeat=0).reset_index()


def _groups(data: Labelled) -> Integers:
    """Group numbers of the rows, (n,), from 0."""
    return pd.factorize(data.groups)[0].astype(np.int64)


def _train_share(folds: pd.DataFrame) -> float:
    """Share of the labelled rows that each fold's model learnt from, on average."""
    held_out = folds[folds["fold"] != ALWAYS_TRAIN].groupby(["repeat", "fold"]).size()
    return float(1 - held_out.mean() / folds["id"].nunique())


def _repeats(rows: pd.DataFrame, scores: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows' scores in each repeat."""
    return [part.set_index("id").reindex(rows["id"]) for _, part in scores.groupby("repeat")]


def _stack(repeats: list[pd.DataFrame], columns: list[str]) -> Array:
    """Columns of each repeat's table, (r, n, columns)."""
    return np.stack([table[columns].to_numpy(dtype=np.float64) for table in repeats])
