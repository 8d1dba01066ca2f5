"""Fit and apply calibrations: honest probabilities, and thresholds for predicting a topic.

Calibrations are fitted to out-of-fold scores, never to texts. Metrics are for `evaluation`. A saved
model has its calibration in the manifest, and `inference.model` applies it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize, minimize_scalar

from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import has_hand_label, sample_weights, targets_of
from paratopic.inference.calibration import Calibration
from paratopic.inference.certainty import measure
from paratopic.inference.modes import Mode, mode_of
from paratopic.inference.promise import Promise, sure_threshold
from paratopic.inference.scores import (
    SMALLEST,
    Array,
    Integers,
    Scores,
    Targets,
    classes,
    conditional,
    log_losses,
    sigmoid,
    topical,
)
from paratopic.project.topics import Topics
from paratopic.training.examples import weigh

# Bounds of the search for a temperature.
TEMPERATURES = 0.05, 20.0
# Spread around 0 of the log temperature of having any topic, and of each topic in mode multi.
SPREAD = 0.5
# Larger logits are cut to this before they are scaled and shifted.
LARGEST_LOGIT = 15.0
# Threshold in mode multi of a topic without examples.
UNFITTED_THRESHOLD = 0.5


class KnownScores(NamedTuple):
    """Scores whose truth is known, which a calibration is fitted to.

    Attributes
    ----------
    targets
        (n, k) topics of the rows.
    scores
        (n, k) probabilities of the topics, by models that did not see the rows.
    which
        (n,) weights for telling which topic a row has.
    any
        (n,) weights for telling whether a row has any topic.
    """

    targets: Targets
    scores: Scores
    which: Array
    any: Array

    def of(self, rows: npt.NDArray[np.bool_]) -> KnownScores:
        """Select rows."""
        return KnownScores(self.targets[rows], self.scores[rows], self.which[rows], self.any[rows])

    def once(self, n_repeats: int) -> KnownScores:
        """Make rows that are there in each of the repeats count once together."""
        return self._replace(which=self.which / n_repeats, any=self.any / n_repeats)


def calibrate_rows(
    data: Labelled, table: pd.DataFrame, promise: Promise
) -> tuple[pd.DataFrame, Calibration]:
    """Calibrate each fold's scores by the other folds, and fit the final model's calibration.

    Calibrations are fitted to evaluated rows only, and applied to all. Repeats are no further
    evidence: r of them count as one.

    Parameters
    ----------
    data
        Labelled paragraphs and their folds.
    table
        Out-of-fold scores from `crossval.cross_validate`: columns id, repeat, fold and one of
        scores for each topic.
    promise
        What is promised of sure predictions.

    Returns
    -------
    scores
        The table with calibrated scores, and a column of thresholds for each topic. Each fold is
        calibrated by the other folds of its repeat; a lone fold's halves by each other.
    calibration
        Calibration fitted to all evaluated rows, for the final model.
    """
    rows, topics = data.rows, data.topics
    mode = mode_of(topics.mode)
    place = pd.Index(rows["id"]).get_indexer(table["id"])
    counted = has_hand_label(rows).to_numpy()[place]
    groups = data.groups[place]
    articles = pd.factorize(rows["article"])[0][place]
    raw = table[topics.scores].to_numpy(dtype=np.float64)
    n_repeats = max(1, table["repeat"].nunique())
    weights = sample_weights(rows[has_hand_label(rows)])
    stands_for = np.ones(len(rows))
    if weights is not None:
        stands_for[has_hand_label(rows)] = weights
    every = KnownScores(
        targets_of(rows, topics.names)[place],
        raw,
        stands_for[place],
        stands_for[place] * weigh(articles, counted, bool(topics.descriptions), n_repeats),
    )
    scores, thresholds = raw.copy(), np.zeros(raw.shape)
    for part, rest in _parts(table, groups):
        calibration = fit_calibration(every.of(rest & counted), mode)  # each row is there once
        scores[part] = apply_calibration(raw[part], calibration, mode)
        thresholds[part] = calibration.thresholds or 0.0
    calibrated = table.copy()
    calibrated[topics.scores], calibrated[topics.thresholds] = scores, thresholds
    calibration = fit_calibration(every.of(counted).once(n_repeats), mode)
    paragraphs = pd.factorize(table["id"])[0][counted]
    final = every._replace(scores=apply_calibration(raw, calibration, mode)).of(counted)
    if not calibration.thresholds:
        sure = _sure(final, paragraphs, groups[counted], mode, promise)
        calibration = replace(calibration, thresholds=(sure,))
    return calibrated, _with_frequencies(calibration, final, paragraphs, groups[counted], mode)


def fit_calibration(known: KnownScores, mode: Mode) -> Calibration:
    """Fit a calibration to scores of models that did not see the rows.

    In mode single the topics share one temperature and having any topic has another. In mode multi
    each topic's logits are scaled and shifted, and each topic has the threshold with the highest
    expected F1.
    """
    return _FITS[mode.name](known, mode)


def with_expected_thresholds(table: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """Add a column of thresholds for each topic to scores that no label calibrates.

    Such scores rank paragraphs, but do not tell how frequent a topic is. Each of k topics is
    predicted for the 1/k of the paragraphs where it is most probable, as if paragraphs had one
    topic on average and no topic were rarer than another.
    """
    thresholds = table[topics.scores].quantile(1 - 1 / len(topics.names))
    return table.assign(**dict(zip(topics.thresholds, thresholds, strict=True)))


def apply_calibration(scores: Scores, calibration: Calibration, mode: Mode) -> Scores:
    """Scale and shift the logits of the topics' probabilities (n, k)."""
    logits = mode.logits(mode.complete(scores))
    return mode.scores(calibration.apply(logits))


def temper(scores: Scores, temperature: float) -> Scores:
    """Raise probabilities (n, k) to the power of 1 / temperature, and scale rows to sum to 1.

    >>> temper(np.array([[0.8, 0.2]]), 2).round(3).tolist()
    [[0.667, 0.333]]
    """
    scaled = (scores / scores.max(axis=1, keepdims=True)) ** (1 / temperature)
    tempered: Scores = scaled / scaled.sum(axis=1, keepdims=True)
    return tempered


def fit_temperature(
    true: Integers, scores: Scores, weights: Array, spread: float | None = None
) -> float:
    """Find the temperature with the lowest log loss (Guo et al. 2017, arXiv:1706.04599).

    Parameters
    ----------
    true
        (n,) class numbers; n may be 0, which gives 1.
    scores
        (n, k) probabilities of models that did not see the paragraphs.
    weights
        (n,) weights of the rows.
    spread
        Standard deviation of the log temperature around 0, before any row is seen. By default one
        paragraph is added instead, of which every class is equally true, so that a model without a
        mistake on ten paragraphs does not count as certain.
    """
    if not len(true):
        return 1.0

    def loss(log_temperature: float) -> float:
        tempered = temper(scores, float(np.exp(log_temperature)))
        fit = float((weights * log_losses(true, tempered)).sum())
        if spread is not None:
            return fit + log_temperature**2 / (2 * spread**2)
        possible = np.log(np.maximum(tempered[:, scores.max(axis=0) > 0], SMALLEST))
        return fit - float(possible.mean())

    low, high = TEMPERATURES
    best = minimize_scalar(loss, bounds=(np.log(low), np.log(high)), method="bounded")
    return float(np.exp(best.x))


def fit_scale_and_shift(
    logits: Array, has: npt.NDArray[np.bool_], weights: Array
) -> tuple[float, float]:
    """Find the scale and shift of a topic's logits with the lowest log loss (Platt 1999).

    A head gives having the topic and not having it equal weight, so its logits do not tell how
    frequent the topic is. Hence the shift has no prior: the probabilities' mean is the share of the
    rows that have the topic, however few rows there are. The log scale has the prior that
    `fit_temperature` gives to a log temperature, with `SPREAD`.

    Parameters
    ----------
    logits
        (n,) finite logits by models that did not see the rows.
    has, weights
        (n,) whether the rows have the topic, which some do and some do not, and their weights.

    Returns
    -------
    The factor of the logits, and the number that is added to the product.
    """

    def loss(at: Array) -> tuple[float, Array]:
        log_scale, shift = at
        scaled = np.exp(log_scale) * logits
        losses = np.logaddexp(0, np.where(has, -1, 1) * (scaled + shift))
        error = weights * (sigmoid(scaled + shift) - has)
        value = float(weights @ losses) + log_scale**2 / (2 * SPREAD**2)
        return value, np.array([error @ scaled + log_scale / SPREAD**2, error.sum()])

    log_scale, shift = minimize(loss, np.zeros(2), jac=True, method="BFGS").x
    return float(np.exp(log_scale)), float(shift)


def f1_threshold(scores: Array) -> float:
    """Find the lowest probability at which to predict a topic for the highest expected F1.

    It is half of that F1 (Lipton, Elkan & Narayanaswamy 2014, arXiv:1402.1892). The F1 is the one
    that the probabilities themselves let expect, which with few paragraphs is more exact than a
    count of hits.

    Parameters
    ----------
    scores
        (n,) calibrated probabilities of one topic.
    """
    ordered = np.sort(scores)[::-1]
    predicted = np.arange(1, len(ordered) + 1)
    expected = 2 * np.cumsum(ordered) / (predicted + ordered.sum())
    return float(expected.max(initial=0.0) / 2)


def _with_frequencies(
    calibration: Calibration,
    final: KnownScores,
    paragraphs: Integers,
    groups: Integers,
    mode: Mode,
) -> Calibration:
    """The calibration with how frequent outcomes and right answers are among its rows."""
    if not final.which.any():
        return calibration
    shares = np.average(mode.outcomes(final.targets), axis=0, weights=final.which)
    predicted = mode.predicted(final.scores, calibration.thresholds)
    right = (predicted == final.targets).all(axis=1)
    _, first, number = np.unique(paragraphs, return_index=True, return_inverse=True)
    certainty, rights = (
        np.bincount(number, each) / np.bincount(number)
        for each in (mode.certainty(final.scores, predicted), right)
    )
    measured = measure(certainty, rights, final.which[first], groups[first])
    return replace(calibration, shares=tuple(shares.tolist()), certainty=measured)


def _sure(
    final: KnownScores,
    paragraphs: Integers,
    groups: Integers,
    mode: Mode,
    promise: Promise,
) -> float:
    """Threshold of sure predictions, from each paragraph's mean scores over repeats."""
    numbers, ids = pd.factorize(paragraphs)
    mean = np.zeros((len(ids), final.scores.shape[1]))
    np.add.at(mean, numbers, final.scores / np.bincount(numbers)[numbers][:, None])
    first = np.unique(numbers, return_index=True)[1]
    predicted = mode.predicted(mean, ())
    rows = topical(predicted)
    right = topical(predicted & final.targets[first])
    return sure_threshold(mean.max(axis=1)[rows], right[rows], groups[first][rows], promise)


def _parts(
    table: pd.DataFrame, groups: Integers
) -> Iterator[tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
    """Rows of each repeat and fold, and the other rows of the repeat, both as masks (n,)."""
    repeat, fold = table["repeat"].to_numpy(), table["fold"].to_numpy()
    if len(np.unique(fold)) < 2:  # a lone fold is halved, groups whole
        fold = pd.factorize(groups)[0] % 2
    for r, f in sorted(set(zip(repeat.tolist(), fold.tolist(), strict=True))):
        yield (repeat == r) & (fold == f), (repeat == r) & (fold != f)


def _none_or_any(scores: Scores) -> Scores:
    """Probabilities of having none of the topics and of having any, (n, 2)."""
    any_topic = np.minimum(scores.sum(axis=1), 1)  # rounding can take the sum above 1
    return np.column_stack([1 - any_topic, any_topic])


def _fit_single(known: KnownScores, mode: Mode) -> Calibration:
    targets, scores, which, any_weights = known
    true, has_topic = classes(targets), topical(targets)
    of_topics = fit_temperature(true[has_topic], conditional(scores[has_topic]), which[has_topic])
    temperatures = np.full(mode.n_logits(scores.shape[1]), of_topics)
    temperatures[-1] = 1.0
    if not has_topic.all():
        temperatures[-1] = fit_temperature(
            has_topic.astype(np.int64), _none_or_any(scores), any_weights, SPREAD
        )
    return Calibration(scale=tuple((1 / temperatures).tolist()), thresholds=())


def _fit_multi(known: KnownScores, mode: Mode) -> Calibration:
    targets, raw, weights, _ = known
    logits = np.clip(mode.logits(raw), -LARGEST_LOGIT, LARGEST_LOGIT)
    scale, shift = np.ones(targets.shape[1]), np.zeros(targets.shape[1])
    for topic, has in enumerate(targets.T):
        if has.any() and not has.all():
            scale[topic], shift[topic] = fit_scale_and_shift(logits[:, topic], has, weights)
    calibration = Calibration(tuple(scale.tolist()), tuple(shift.tolist()))
    scores = apply_calibration(raw, calibration, mode)
    thresholds = [
        f1_threshold(of_topic) if has.any() else UNFITTED_THRESHOLD
        for of_topic, has in zip(scores.T, targets.T, strict=True)
    ]
    return replace(calibration, thresholds=tuple(thresholds))


_FITS: dict[str, Callable[[KnownScores, Mode], Calibration]] = {
    "single": _fit_single,
    "multi": _fit_multi,
}
