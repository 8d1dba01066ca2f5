"""Metrics: small pure functions of counts and scores, and all metrics of a model's outcomes.

Functions work on the last axes of their arrays, so that one call serves a single evaluation as well
as thousands of resamples. Precision, recall and F1 come from three counts for each topic: `true`,
the number of texts that have it; `predicted`, the number of texts that it is predicted for; `hit`,
the number of true positives. Means over topics leave out topics without a true example.
`intervals` computes the intervals.
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

# Key of a metric: its name, or its name and the number of a class, as in "macro_f1" and ("f1", 0).
MetricKey = str | tuple[str, int]

N_BINS = 10


def f1(hit: Array, predicted: Array, true: Array) -> Array:
    """F1 of each topic, (..., k), from counts of true positives, predictions and labels."""
    return ratio(2 * hit, predicted + true)


def macro_f1(hit: Array, predicted: Array, true: Array, present: Targets) -> Array:
    """Mean F1, (...,), over the topics that are `present`, (k,)."""
    mean: Array = f1(hit, predicted, true)[..., present].mean(axis=-1)
    return mean


def average_precision(true: Targets, scores: Array, counts: Array) -> Array:
    """Average precision of one topic, (...,): mean precision at true texts, highest scores first.

    `true` and `scores`, (n,), are whether each text has the topic, and its probabilities; `counts`,
    (..., n), are weights of the texts. Texts with the same score share one threshold, as in
    scikit-learn. The result is 0 where no true text has a weight.

    >>> true, scores = np.array([True, False, True]), np.array([0.9, 0.8, 0.3])
    >>> float(average_precision(true, scores, np.ones(3)).round(3))
    0.833
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    hits = np.cumsum(counts[..., order] * true[order], axis=-1)[..., last]
    predicted = np.cumsum(counts[..., order], axis=-1)[..., last]
    gained = np.diff(hits, axis=-1, prepend=0)
    return ratio((gained * ratio(hits, predicted)).sum(axis=-1), hits[..., -1])


def bins(confidence: Array) -> Integers:
    """Number of the equal-width bin of each confidence, 0 to `N_BINS` - 1.

    >>> bins(np.array([0.05, 0.3, 1.0])).tolist()
    [0, 3, 9]
    """
    return np.minimum((confidence * N_BINS).astype(np.int64), N_BINS - 1)


def calibration_error(counts: Array, confidence: Array, hit: Array) -> Array:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599), (...,).

    The three arrays, (..., `N_BINS`), are sums over the predictions in each bin: of their weights,
    of their weighted confidences, and of the weights of the right ones.
    """
    gap: Array = np.abs(confidence - hit).sum(axis=-1) / counts.sum(axis=-1)
    return gap


@dataclass(frozen=True)
class Tally:
    """Counts of one repeat of the outcomes in each of d draws.

    `rows`, (d, n), are the weights of the rows. `hit`, `predicted` and `true`, (d, k), are counts
    of each topic: true positives, predictions and labels.
    """

    outcomes: Outcomes
    repeat: int
    rows: Array
    hit: Array
    predicted: Array
    true: Array

    @classmethod
    def from_outcomes(cls, outcomes: Outcomes, repeat: int, rows: Array) -> Tally:
        """Count a repeat in draws with these weights of the rows, (d, n)."""
        true, predicted = outcomes.true, outcomes.predicted[repeat]
        n_hit = rows @ (predicted & true).astype(np.float64)
        n_predicted = rows @ predicted.astype(np.float64)
        n_true = rows @ true.astype(np.float64)
        return cls(outcomes, repeat, rows, n_hit, n_predicted, n_true)

    @property
    def scores(self) -> Scores:
        """Scores of the repeat, (n, k)."""
        return np.asarray(self.outcomes.scores[self.repeat])

    def mean(self, values: Array) -> Array:
        """Weighted mean, (d,), of a value for each row, (n,)."""
        return np.asarray(self.rows @ values / self.rows.sum(axis=1))

    def macro_f1(self) -> Array:
        """Macro-F1, (d,)."""
        return macro_f1(self.hit, self.predicted, self.true, self.outcomes.present)

    def f1(self) -> Array:
        """F1 of each topic that is present, (d, topics)."""
        return f1(self.hit, self.predicted, self.true)[:, self.outcomes.present]

    def micro_f1(self) -> Array:
        """Micro-F1, (d,), the F1 of the counts of all topics together."""
        return f1(self.hit.sum(axis=-1), self.predicted.sum(axis=-1), self.true.sum(axis=-1))

    def accuracy(self) -> Array:
        """Share of the rows whose predicted topics are exactly the true ones, (d,)."""
        exact = (self.outcomes.predicted[self.repeat] == self.outcomes.true).all(axis=1)
        return self.mean(exact.astype(np.float64))

    def coverage(self) -> Array:
        """Share of the rows for which a topic is predicted, not the last class, (d,)."""
        return self.mean(1.0 - self.outcomes.predicted[self.repeat][:, -1])

    def precision(self) -> Array:
        """Share of the predicted topics that are right, (d,); the last class is no topic."""
        return ratio(self.hit[:, :-1].sum(axis=1), self.predicted[:, :-1].sum(axis=1))

    def recall(self) -> Array:
        """Share of the rows with a topic for which it is predicted, (d,)."""
        return ratio(self.hit[:, :-1].sum(axis=1), self.true[:, :-1].sum(axis=1))

    def average_precision(self) -> Array:
        """Average precision of each topic that is present, (d, topics)."""
        by_topic = [
            average_precision(self.outcomes.true[:, topic], self.scores[:, topic], self.rows)
            for topic in np.flatnonzero(self.outcomes.present)
        ]
        return np.stack(by_topic, axis=-1)

    def mean_average_precision(self) -> Array:
        """Mean of the topics' average precisions, (d,)."""
        return np.asarray(self.average_precision().mean(axis=-1))

    def calibration_error(self) -> Array:
        """Expected calibration error, (d,), of the most probable topic, or of all in mode multi.

        The bins are `N_BINS` of equal width.
        """
        candidates = self.outcomes.candidates[self.repeat]
        row, confidence = np.nonzero(candidates)[0], self.scores[candidates]
        row_and_bin = row * N_BINS + bins(confidence)
        size = len(candidates) * N_BINS

        def sum_in_bins(values: Array | Targets) -> Array:
            """Weighted sums of the candidates' values in each bin, (d, N_BINS)."""
            summed = np.bincount(row_and_bin, values, size).reshape(-1, N_BINS)
            return np.asarray(self.rows @ summed)

        return calibration_error(
            sum_in_bins(np.ones(len(row))),
            sum_in_bins(confidence),
            sum_in_bins(self.outcomes.true[candidates]),
        )


def sample_value(outcomes: Outcomes, figure: Callable[[Tally], Array]) -> Array:
    """A figure of the sample itself without resampling, mean over repeats."""
    value: Array = repeat_mean(tallies(outcomes, outcomes.counts[None]), figure)[0]
    return value


def tallies(outcomes: Outcomes, rows: Array) -> list[Tally]:
    """Tally of each repeat in d draws with these weights of the rows, (d, n)."""
    return [Tally.from_outcomes(outcomes, repeat, rows) for repeat in range(len(outcomes.scores))]


def repeat_mean(tallies: list[Tally], figure: Callable[[Tally], Array]) -> Array:
    """A figure in each draw, (d, ...), mean over repeats."""
    return np.asarray(np.mean([figure(tally) for tally in tallies], axis=0))


class Proportion(NamedTuple):
    """A figure from 0 to 1.

    Attributes
    ----------
    figure
        Function that computes it, (d,), from the counts of d draws.
    sizes
        (m,) effective numbers of paragraphs behind each of the m figures that it is the mean of; 0
        for a figure without any.
    train_share
        Share of the labels that the models of the folds were trained on, while the final model is
        trained on all; 1 for a figure that more labels do not improve.
    parts
        Function that computes the m figures, (d, m); None, the default, if m is 1.
    """

    figure: Callable[[Tally], Array]
    sizes: Array
    train_share: float
    parts: Callable[[Tally], Array] | None = None


def train_share_of_topics(outcomes: Outcomes) -> float:
    """`Outcomes.train_share` as a mean over topics, each weighted by 1 minus its F1.

    A rare topic loses more of its labels to the part that is held out than a frequent one.
    """
    errors = 1 - sample_value(outcomes, Tally.f1)
    if outcomes.topic_shares is None or not errors.any():
        return outcomes.train_share
    shares = outcomes.topic_shares[outcomes.present]
    return float((shares * errors).sum() / errors.sum())


def effective_n_rows(outcomes: Outcomes) -> float:
    """Effective sample size of the rows."""
    return float(effective_size(outcomes.counts))


def effective_n_by_topic(outcomes: Outcomes) -> Array:
    """Effective sample size of the rows of each topic that is present, (topics,)."""
    return effective_size((outcomes.counts[:, None] * outcomes.true[:, outcomes.present]).T)


def macro_f1_proportion(outcomes: Outcomes) -> Proportion:
    """Macro-F1 as a proportion."""
    sizes, train_share = effective_n_by_topic(outcomes), train_share_of_topics(outcomes)
    return Proportion(Tally.macro_f1, sizes, train_share, Tally.f1)


def topic_proportions(outcomes: Outcomes) -> dict[MetricKey, Proportion]:
    """Key of each metric of `outcomes.outcomes` → its proportion; mode single forces a topic.

    Keys are macro_f1 and accuracy in mode single, or macro_f1, micro_f1, map and subset_accuracy in
    mode multi. macro_f1 and map are left out if no topic is present.
    """
    rows, train_share = np.array([effective_n_rows(outcomes)]), outcomes.train_share
    accuracy = Proportion(Tally.accuracy, rows, train_share)
    macro_f1 = macro_f1_proportion(outcomes)
    figure, parts = Tally.mean_average_precision, Tally.average_precision
    proportions = {
        "macro_f1": macro_f1,
        "micro_f1": Proportion(Tally.micro_f1, rows, train_share),
        "map": macro_f1._replace(figure=figure, parts=parts),
        "accuracy": accuracy,
        "subset_accuracy": accuracy,
    }
    return _measurable_in_mode(proportions, outcomes)


def prediction_proportions(predictions: Outcomes) -> dict[MetricKey, Proportion]:
    """Key of each metric of `outcomes.prediction_outcomes` → its proportion.

    Keys are ("precision", N), ("recall", N) and ("f1", N) for each class N, from 0; in mode single
    also answer_macro_f1, answer_accuracy, coverage, precision unless no topic is predicted, and
    recall unless no row has one.
    """
    weights, train_share = predictions.counts, predictions.train_share
    rows = np.array([effective_n_rows(predictions)])
    covered = effective_size(weights * ~predictions.predicted[:, :, -1]).mean(keepdims=True)
    topical = np.atleast_1d(effective_size(weights * ~predictions.true[:, -1]))
    proportions = _measurable_in_mode(
        {
            "answer_macro_f1": macro_f1_proportion(predictions),
            "answer_accuracy": Proportion(Tally.accuracy, rows, train_share),
            "precision": Proportion(Tally.precision, np.asarray(covered), train_share),
            "recall": Proportion(Tally.recall, topical, train_share),
            "coverage": Proportion(Tally.coverage, rows, 1.0),
        },
        predictions,
    )
    support = np.maximum(effective_size((weights[:, None] * predictions.true).T), 1)
    by_repeat = effective_size((weights[:, None] * predictions.predicted).swapaxes(1, 2))
    predicted = np.maximum(by_repeat.mean(axis=0), 1)
    for topic in range(predictions.true.shape[1]):
        if predictions.topic_shares is not None:
            train_share = float(predictions.topic_shares[topic])
        for name, sizes in (("precision", predicted), ("recall", support), ("f1", support)):
            figure = partial(_topic_figure, name, topic)
            proportions[name, topic] = Proportion(figure, sizes[[topic]], train_share)
    return proportions


def _measurable_in_mode(
    proportions: Mapping[str, Proportion], outcomes: Outcomes
) -> dict[MetricKey, Proportion]:
    """Select the metrics that the outcomes' mode has and that some paragraph measures."""
    keys = metrics_in(outcomes.mode.name)
    return {key: part for key, part in proportions.items() if key in keys and part.sizes.any()}


def _topic_figure(name: str, topic: int, tally: Tally) -> Array:
    """Precision, recall or F1 of a topic, (d,)."""
    hit, predicted, true = tally.hit[:, topic], tally.predicted[:, topic], tally.true[:, topic]
    if name == "f1":
        return f1(hit, predicted, true)
    return ratio(hit, predicted if name == "precision" else true)
