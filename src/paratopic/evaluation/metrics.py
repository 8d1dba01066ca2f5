"""Metrics: small pure functions of counts and scores, and all figures of a model's outcomes.

Functions work on the last axes of their arrays, so that one call serves a single evaluation as well
as thousands of resamples. Precision, recall and F1 come from three counts for each topic: `true`,
the number of texts that have it; `predicted`, the number of texts it is predicted for; `hit`, the
number of texts where both hold. Topics without a true example are left out of means over topics.
Intervals are for `intervals`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from paratopic.corpus.effective import effective_size
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.modes import Array, Integers, Scores, Targets, ratio
from paratopic.project.metric_names import metrics_in

# Name of a metric; with a class number, that topic's: "macro_f1", ("f1", 0).
MetricKey = str | tuple[str, int]

N_BINS = 10


def f1(hit: Array, predicted: Array, true: Array) -> Array:
    """F1 of each topic, (..., k): the harmonic mean of precision and recall."""
    return ratio(2 * hit, predicted + true)


def macro_f1(hit: Array, predicted: Array, true: Array, present: Targets) -> Array:
    """Mean F1, (...,), over the topics that are `present`, (k,)."""
    mean: Array = f1(hit, predicted, true)[..., present].mean(axis=-1)
    return mean


def average_precision(true: Targets, scores: Array, counts: Array) -> Array:
    """Average precision of one topic: mean precision at each true text, highest scores first.

    Texts with the same score are taken together, as in scikit-learn.

    Parameters
    ----------
    true, scores
        (n,) whether each text has the topic, and its probabilities.
    counts
        (..., n) how much each text counts.

    Returns
    -------
    (...,); 0 where no true text counts.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(counts[..., order] * true[order], axis=-1)[..., last]
    predicted = np.cumsum(counts[..., order], axis=-1)[..., last]
    gained = np.diff(hits, axis=-1, prepend=0)
    return ratio((gained * ratio(hits, predicted)).sum(axis=-1), hits[..., -1])


def bins(confidence: Array) -> Integers:
    """Number of the equal-width confidence bin of each score.

    >>> bins(np.array([0.05, 0.3, 1.0])).tolist()
    [0, 3, 9]
    """
    return np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def calibration_error(counts: Array, confidence: Array, hit: Array) -> Array:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599), (...,).

    Parameters
    ----------
    counts
        (..., N_BINS) how much the answers in each bin count.
    confidence
        (..., N_BINS) their confidences, times how much they count, summed.
    hit
        (..., N_BINS) how much the right ones count.
    """
    gap: Array = np.abs(confidence - hit).sum(axis=-1) / counts.sum(axis=-1)
    return gap


@dataclass(frozen=True)
class Tally:
    """One repeat of the outcomes, counted in each of d draws.

    Parameters
    ----------
    rows
        (d, n) how much each row counts.
    hit, predicted, true
        (d, k) counts of each topic.
    """

    outcomes: Outcomes
    repeat: int
    rows: Array
    hit: Array
    predicted: Array
    true: Array

    @classmethod
    def of(cls, outcomes: Outcomes, repeat: int, rows: Array) -> Tally:
        """Count a repeat."""
        true, predicted = outcomes.true, outcomes.predicted[repeat]
        hit, named, has = (
            rows @ targets.astype(np.float64) for targets in (predicted & true, predicted, true)
        )
        return cls(outcomes, repeat, rows, hit, named, has)

    @property
    def scores(self) -> Scores:
        """Scores of the repeat, (n, k)."""
        return np.asarray(self.outcomes.scores[self.repeat])

    def mean(self, values: Array) -> Array:
        """Mean, (d,), of a value for each row, (n,)."""
        return np.asarray(self.rows @ values / self.rows.sum(axis=1))

    def macro_f1(self) -> Array:
        """Macro-F1, (d,)."""
        return macro_f1(self.hit, self.predicted, self.true, self.outcomes.present)

    def f1(self) -> Array:
        """F1 of each topic that is present, (d, topics)."""
        return f1(self.hit, self.predicted, self.true)[:, self.outcomes.present]

    def micro_f1(self) -> Array:
        """Micro-F1, (d,), of the counts of all topics: each weighs as often as it occurs."""
        return f1(*(each.sum(axis=-1) for each in (self.hit, self.predicted, self.true)))

    def accuracy(self) -> Array:
        """Share of the rows whose topics are all predicted, and no other, (d,)."""
        exact = (self.outcomes.predicted[self.repeat] == self.outcomes.true).all(axis=1)
        return self.mean(exact.astype(np.float64))

    def coverage(self) -> Array:
        """Share of the rows whose answer is not the last class, (d,)."""
        return self.mean(1.0 - self.outcomes.predicted[self.repeat][:, -1])

    def precision(self) -> Array:
        """Share of the answers that are right, (d,), of those that are not the last class."""
        hit, predicted = (part[:, :-1].sum(axis=1) for part in (self.hit, self.predicted))
        return ratio(hit, predicted)

    def recall(self) -> Array:
        """Share of the rows that are not of the last class whose answer is right, (d,)."""
        hit, true = (part[:, :-1].sum(axis=1) for part in (self.hit, self.true))
        return ratio(hit, true)

    def average_precision(self) -> Array:
        """Average precision of each topic that is present, (d, topics)."""
        each = [
            average_precision(self.outcomes.true[:, topic], self.scores[:, topic], self.rows)
            for topic in np.flatnonzero(self.outcomes.present)
        ]
        return np.stack(each, axis=-1)

    def mean_average_precision(self) -> Array:
        """Mean of the average precision of each topic, (d,)."""
        return np.asarray(self.average_precision().mean(axis=-1))

    def calibration_error(self) -> Array:
        """Expected calibration error of the answers, (d,)."""
        answers = self.outcomes.candidates[self.repeat]
        row, confidence = np.nonzero(answers)[0], self.scores[answers]
        row_and_bin = row * N_BINS + bins(confidence)
        size = len(answers) * N_BINS
        counts, sure, hit = (
            self.rows @ np.bincount(row_and_bin, values, size).reshape(-1, N_BINS)
            for values in (np.ones(len(row)), confidence, self.outcomes.true[answers])
        )
        return calibration_error(counts, sure, hit)


def value_of(outcomes: Outcomes, figure: Callable[[Tally], Array]) -> Array:
    """A figure of the sample itself, mean over repeats: the first of a single draw."""
    value: Array = mean_of(tallies(outcomes, outcomes.counts[None]), figure)[0]
    return value


def tallies(outcomes: Outcomes, rows: Array) -> list[Tally]:
    """Each repeat counted in d draws, in which rows count as much as `rows` (d, n) says."""
    return [Tally.of(outcomes, repeat, rows) for repeat in range(len(outcomes.scores))]


def mean_of(tallies: list[Tally], figure: Callable[[Tally], Array]) -> Array:
    """A figure in each draw, (d,), mean over repeats."""
    return np.asarray(np.mean([figure(tally) for tally in tallies], axis=0))


class Proportion(NamedTuple):
    """A figure from 0 to 1.

    Attributes
    ----------
    figure
        Computes it, (d,), from the counts of d draws.
    sizes
        Numbers of independent paragraphs that the figures rest on that it is the mean of, (m,);
        0 where there is no such figure.
    train_share
        Share of the labels that the models learnt from, which the final model has all of; 1 where
        more labels make no figure better.
    parts
        Computes the figures that it is the mean of, (d, m); None, the default, if that is itself.
    """

    figure: Callable[[Tally], Array]
    sizes: Array
    train_share: float
    parts: Callable[[Tally], Array] | None = None


def train_share_of_topics(outcomes: Outcomes) -> float:
    """As `Outcomes.train_share`, mean over topics, in which each counts as much as its F1 lacks.

    A rare topic loses more of its labels to the part that is held out than a frequent one.
    """
    lacking = 1 - value_of(outcomes, Tally.f1)
    if outcomes.topic_shares is None or not lacking.any():
        return outcomes.train_share
    shares = outcomes.topic_shares[outcomes.present]
    return float((shares * lacking).sum() / lacking.sum())


def n_rows(outcomes: Outcomes) -> float:
    """Number of rows that count the same and tell as much."""
    return float(effective_size(outcomes.counts))


def of_topics(outcomes: Outcomes) -> Array:
    """As `n_rows`, of each topic that is present."""
    return effective_size((outcomes.counts[:, None] * outcomes.true[:, outcomes.present]).T)


def share_of_macro_f1(outcomes: Outcomes) -> Proportion:
    """Macro-F1, and what it rests on."""
    return Proportion(
        Tally.macro_f1, of_topics(outcomes), train_share_of_topics(outcomes), Tally.f1
    )


def shares_of(outcomes: Outcomes) -> dict[MetricKey, Proportion]:
    """Metrics of the topics, which in mode single are forced."""
    rows, train_share = np.array([n_rows(outcomes)]), outcomes.train_share
    accuracy, macro_f1 = Proportion(Tally.accuracy, rows, train_share), share_of_macro_f1(outcomes)
    shares = {
        "macro_f1": macro_f1,
        "micro_f1": Proportion(Tally.micro_f1, rows, train_share),
        "map": macro_f1._replace(
            figure=Tally.mean_average_precision, parts=Tally.average_precision
        ),
        "accuracy": accuracy,
        "subset_accuracy": accuracy,
    }
    return _in_mode(shares, outcomes)


def shares_of_answers(answers: Outcomes) -> dict[MetricKey, Proportion]:
    """Metrics of the answers: those of the mode, and precision, recall and F1 of each class."""
    rows, train_share = np.array([n_rows(answers)]), answers.train_share
    of_topic = effective_size(answers.counts * ~answers.predicted[:, :, -1]).mean(keepdims=True)
    topical = np.atleast_1d(effective_size(answers.counts * ~answers.true[:, -1]))
    shares = _in_mode(
        {
            "answer_macro_f1": share_of_macro_f1(answers),
            "answer_accuracy": Proportion(Tally.accuracy, rows, train_share),
            "precision": Proportion(Tally.precision, np.asarray(of_topic), train_share),
            "recall": Proportion(Tally.recall, topical, train_share),
            "coverage": Proportion(Tally.coverage, rows, 1.0),
        },
        answers,
    )
    counts = answers.counts[:, None]
    support = np.maximum(effective_size((counts * answers.true).T), 1)
    of_repeats = effective_size((counts * answers.predicted).swapaxes(1, 2))
    predicted = np.maximum(of_repeats.mean(axis=0), 1)
    for topic in range(answers.true.shape[1]):
        if answers.topic_shares is not None:
            train_share = float(answers.topic_shares[topic])
        for name, sizes in (("precision", predicted), ("recall", support), ("f1", support)):
            figure = partial(_of_topic, name, topic)
            shares[name, topic] = Proportion(figure, sizes[[topic]], train_share)
    return shares


def _in_mode(shares: Mapping[str, Proportion], outcomes: Outcomes) -> dict[MetricKey, Proportion]:
    """The metrics that the outcomes' mode has, and that rest on something."""
    keys = metrics_in(outcomes.mode.name)
    return {key: share for key, share in shares.items() if key in keys and share.sizes.any()}


def _of_topic(name: str, topic: int, tally: Tally) -> Array:
    """Precision, recall or F1 of a topic, (d,)."""
    hit, predicted, true = (part[:, topic] for part in (tally.hit, tally.predicted, tally.true))
    if name == "f1":
        return f1(hit, predicted, true)
    return ratio(hit, predicted if name == "precision" else true)
