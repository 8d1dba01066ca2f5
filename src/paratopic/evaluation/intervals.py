"""Intervals of metrics, and paired tests of two models, from out-of-fold scores.

The unit of resampling is the group (an article, or a paragraph with its near-duplicates) with all
of its repeats at once, because repeats add no evidence. The figures estimate the mean quality of
models trained on the training parts (Bates, Hastie & Tibshirani 2023,
https://arxiv.org/abs/2104.00673). With few labels, that is a little lower than the quality of the
final model, which is trained on all of them. No files are read here and nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from paratopic.evaluation import metrics
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.scores import Array, Integers, Scores, Targets, squared_distances
from paratopic.project.topics import ModeName

# Name of a metric; with a class number, that topic's: "macro_f1", ("f1", 0).
Metric = str | tuple[str, int]

# Number of draws at a time: with ten thousand paragraphs they stay under 100 MB.
STEP = 250
# The tests of cross-validation share training paragraphs, so its figures vary more than those of as
# many independent tests. A rule of thumb says by how much the variance grows: 1 + K/(K - 1), which
# is 2.25 for five folds (Nadeau & Bengio 2003, https://doi.org/10.1023/A:1024068626366). These two
# factors were chosen by simulation instead, with a frozen encoder on bill summaries.
# For the figures of one model (benchmarks/interval_coverage.py): with 2, 95 % intervals of macro-F1
# held the truth in 93, 95 and 95 % of the draws of 24, 100 and 500 labels, those of accuracy in 96,
# 97 and 98 %; with 1, those of macro-F1 held it in about 80 %.
DESIGN_EFFECT = 2.0
# For the difference of two models (benchmarks/significance.py): with 1.5, equal models differed
# significantly at 5 % in at most 2.6 and 3.6 % of the draws of 24 and 100 labels; with 1, in up to
# 8 and 11 %. With 500 labels 1.5 may be too little: 5 and 10 %, but of 60 draws only.
PAIRED_EFFECT = 1.5


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """Macro-F1 of one model minus that of another.

    Parameters
    ----------
    value, low, high
        The difference and its interval.
    p
        Two-sided p-value of no difference.
    beyond
        Probability that the difference is larger than people would notice, if its error is normal
        with the spread of the permutation test.
    """

    value: float
    low: float
    high: float
    p: float
    beyond: float


@dataclass(frozen=True)
class Weights:
    """Weights of d draws.

    Parameters
    ----------
    rows
        (d, n) weights of the rows.
    cells
        (d, k, k) weights of each topic's pseudo-observations: the true topic by the predicted one.
    right, wrong
        (d,) weights of the pseudo-observations of accuracy, which have no topic.
    """

    rows: Array
    cells: Array
    right: Array
    wrong: Array


@dataclass(frozen=True)
class Tally:
    """One repeat of the outcomes, counted with the weights of d draws.

    Parameters
    ----------
    targets
        (n, k) whether each row has each topic.
    scores
        (n, k) probabilities.
    present
        (k,) whether each topic has a true example.
    rows
        (d, n) weights of the rows.
    hit, predicted, true
        (d, k) counts of each topic, as in `metrics`.
    exact
        (d,) share of the rows whose topics are all predicted right, and no other.
    """

    targets: Targets
    scores: Scores
    present: Targets
    rows: Array
    hit: Array
    predicted: Array
    true: Array
    exact: Array

    def mean(self, values: Array) -> Array:
        """Weighted mean, (d,), of a value for each row, (n,)."""
        mean: Array = self.rows @ values / self.rows.sum(axis=1)
        return mean

    def mean_average_precision(self) -> Array:
        """Mean of the average precision of each topic, (d,)."""
        each = [
            metrics.average_precision(self.targets[:, topic], self.scores[:, topic], self.rows)
            for topic in np.flatnonzero(self.present)
        ]
        return np.asarray(np.mean(each, axis=0))

    def calibration_error(self, answers: Targets) -> Array:
        """Expected calibration error, (d,), of the scores that are answers, (n, k)."""
        row, confidence = np.nonzero(answers)[0], self.scores[answers]
        row_and_bin = row * metrics.N_BINS + metrics.bins(confidence)
        size = len(answers) * metrics.N_BINS
        weight, sure, hit = (
            self.rows @ np.bincount(row_and_bin, values, size).reshape(-1, metrics.N_BINS)
            for values in (np.ones(len(row)), confidence, self.targets[answers])
        )
        return metrics.calibration_error(weight, sure, hit)


@dataclass(frozen=True)
class _Pair:
    """Two models' counts on the same rows, to be weighted and swapped.

    Parameters
    ----------
    true
        (n, k) whether each row has each topic.
    present
        (k,) whether each topic has a true example.
    repeats
        For each repeat, what each row adds to the counts of hits, and of predictions, of each
        topic: (n, 2k) for the first model, and for the second.
    """

    true: Targets
    present: Targets
    repeats: list[tuple[Array, Array]]

    @classmethod
    def of(cls, one: Outcomes, other: Outcomes) -> _Pair:
        counted = []
        for outcomes in (one, other):
            hits = outcomes.predicted & outcomes.true
            both = np.concatenate([hits, outcomes.predicted], axis=2)
            counted.append(both.astype(np.float64))
        return cls(one.true, one.present, list(zip(*counted, strict=True)))

    def lead(self, weights: Array, swapped: Array) -> Array:
        """Difference in macro-F1, mean over repeats, (d,), for d weightings and d swaps (d, n)."""
        total: Array = np.zeros(1)
        true = weights @ self.true
        for one, other in self.repeats:
            moved = other - one
            changed = np.flatnonzero(moved.any(axis=1))
            change = (weights * swapped)[:, changed] @ moved[changed]
            first, second = weights @ one + change, weights @ other - change
            for sign, (hit, predicted) in (1, np.split(first, 2, 1)), (-1, np.split(second, 2, 1)):
                total = total + sign * metrics.macro_f1(hit, predicted, true, self.present)
        return total / len(self.repeats)


# Metrics that one mode has and another lacks.
METRICS: Mapping[ModeName, Mapping[str, Callable[[Tally], Array]]] = {
    "single": {"accuracy": lambda tally: tally.exact},
    "multi": {
        "subset_accuracy": lambda tally: tally.exact,
        "micro_f1": lambda tally: metrics.micro_f1(tally.hit, tally.predicted, tally.true),
        "map": Tally.mean_average_precision,
    },
}


def estimates(
    outcomes: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[Metric, Estimate]:
    """Every metric with its interval, by the Bayesian bootstrap (Rubin 1981).

    Parameters
    ----------
    outcomes
        Outcomes of one model.
    confidence
        Confidence of the intervals, such as 0.95.
    n_draws
        Number of resamples.
    seed
        Seed of the random draws.

    Returns
    -------
    Means over repeats. Keys are macro_f1, brier, log_loss, ece, and (precision, N), (recall, N) and
    (f1, N) for each class number N; in mode single also accuracy; in mode multi subset_accuracy
    (all of a row's topics are right), micro_f1 and map (mean average precision).
    """
    value = _figures(outcomes, _no_draw(outcomes))
    draws: dict[Metric, list[Array]] = {name: [] for name in value}
    for weights in _weights(outcomes, DESIGN_EFFECT, n_draws, seed):
        for name, figures in _figures(outcomes, weights).items():
            draws[name].append(figures)
    return {
        name: Estimate(*_interval(float(value[name][0]), np.concatenate(parts), confidence))
        for name, parts in draws.items()
    }


def difference(
    one: Outcomes,
    other: Outcomes,
    confidence: float,
    n_draws: int,
    n_permutations: int,
    seed: int,
    min_lead: float = 0.0,
) -> Difference:
    """Compare two models on the same folds, by macro-F1.

    The p-value is that of a two-sided paired permutation test (approximate randomisation: Noreen
    1989; for F1: Yeh 2000, https://aclanthology.org/C00-2137). If the two models were equally
    good, the predictions for a group could be swapped between them; all repeats of a group are
    swapped together. Swaps ignore that the tests share training paragraphs, so the differences that
    they give are scaled by the root of `PAIRED_EFFECT`. The interval comes from the Bayesian
    bootstrap with the same weights, of variance `PAIRED_EFFECT`, for both models.

    Parameters
    ----------
    one, other
        Outcomes of the models, with the same rows, groups and number of repeats.
    confidence
        Confidence of the interval, such as 0.95.
    n_draws
        Number of resamples for the interval.
    n_permutations
        Number of random swaps; the smallest p-value is 1 / (n_permutations + 1).
    seed
        Seed of the random draws.
    min_lead
        Lead of the first model that people would notice, for `Difference.beyond`.
    """
    pair = _Pair.of(one, other)
    n = len(one.true)
    unswapped = np.zeros((1, n))
    value = float(pair.lead(np.ones((1, n)), unswapped)[0])
    chances = _swapped_leads(pair, one.groups, n_permutations, seed)
    # Rounding must not make equal differences unequal.
    reached = int((np.abs(chances) >= abs(value) - 1e-12).sum())
    p = (reached + 1) / (n_permutations + 1)
    draws = _weights(one, PAIRED_EFFECT, n_draws, seed)
    leads = np.concatenate([pair.lead(weights.rows, unswapped) for weights in draws])
    # The noise is that of the swaps, as for the p-value.
    beyond = float(norm.cdf((value - min_lead) / max(float(chances.std()), 1e-9)))
    return Difference(*_interval(value, leads, confidence), p, beyond)


def _swapped_leads(pair: _Pair, groups: Integers, n_permutations: int, seed: int) -> Array:
    """Differences that random swaps of groups give, where no model is better: (n_permutations,)."""
    rng = np.random.default_rng(seed)
    n_groups = int(groups.max()) + 1
    ones = np.ones((1, len(groups)))
    leads = []
    for d in _steps(n_permutations):
        swapped = rng.integers(0, 2, size=(d, n_groups))[:, groups].astype(np.float64)
        leads.append(np.sqrt(PAIRED_EFFECT) * pair.lead(ones, swapped))
    return np.concatenate(leads)


def _figures(outcomes: Outcomes, weights: Weights) -> dict[Metric, Array]:
    """Every metric for each of d weightings, mean over repeats: (d,)."""
    total: dict[Metric, Array] = {}
    for repeat in range(len(outcomes.scores)):
        for name, figure in _figures_of(outcomes, repeat, weights).items():
            share = figure / len(outcomes.scores)
            total[name] = total.get(name, np.zeros(len(share))) + share
    return total


def _figures_of(outcomes: Outcomes, repeat: int, weights: Weights) -> dict[Metric, Array]:
    """Every metric of one repeat for each of d weightings: (d,)."""
    mode, true, scores = outcomes.mode, outcomes.true, outcomes.scores[repeat]
    tally = _tally(outcomes, repeat, weights)
    figures: dict[Metric, Array] = {
        "macro_f1": metrics.macro_f1(tally.hit, tally.predicted, tally.true, tally.present),
        "brier": tally.mean(squared_distances(true, scores)),
        **{name: metric(tally) for name, metric in METRICS[mode.name].items()},
        "log_loss": tally.mean(mode.losses(true, scores)),
        "ece": tally.calibration_error(mode.answers(scores)),
    }
    for name, per_topic in (
        ("precision", metrics.precision(tally.hit, tally.predicted)),
        ("recall", metrics.recall(tally.hit, tally.true)),
        ("f1", metrics.f1(tally.hit, tally.predicted, tally.true)),
    ):
        figures |= {(name, number): per_topic[:, number] for number in range(outcomes.k)}
    return figures


def _tally(outcomes: Outcomes, repeat: int, weights: Weights) -> Tally:
    """Count one repeat with d weightings, pseudo-observations included."""
    rows, cells = weights.rows, weights.cells
    true, predicted = outcomes.true, outcomes.predicted[repeat]
    exact = (predicted == true).all(axis=1).astype(np.float64)
    all_rows = rows.sum(axis=1) + weights.right + weights.wrong
    return Tally(
        targets=true,
        scores=outcomes.scores[repeat],
        present=outcomes.present,
        rows=rows,
        hit=rows @ (predicted & true).astype(np.float64) + np.diagonal(cells, axis1=1, axis2=2),
        predicted=rows @ predicted.astype(np.float64) + cells.sum(axis=1),
        true=rows @ true.astype(np.float64) + cells.sum(axis=2),
        exact=(rows @ exact + weights.right) / all_rows,
    )


def _no_draw(outcomes: Outcomes) -> Weights:
    """Weights of the sample itself: 1 for each row, no pseudo-observation."""
    k, none = outcomes.k, np.zeros(1)
    return Weights(np.ones((1, len(outcomes.true))), np.zeros((1, k, k)), none, none)


def _weights(outcomes: Outcomes, effect: float, n_draws: int, seed: int) -> Iterator[Weights]:
    """Weights of the bootstrap's draws, at most `STEP` at a time.

    The draws are those of a sample that is smaller by `effect`: each group's weight has mean 1 and
    variance `effect`, from a gamma distribution (the exponential one, if `effect` is 1).

    Pseudo-observations are added, so that a model without a mistake on ten paragraphs does not
    count as certain. They have the weight of one paragraph of that smaller sample; half of it is
    right, the other half wrong. For accuracy on single paragraphs this gives Jeffreys' interval
    (Brown, Cai & DasGupta 2001) of the smaller sample. The figures of the topics, and macro-F1,
    their mean, get one such paragraph for each topic: two paragraphs say little about a topic,
    however many paragraphs the other topics have.
    """
    k = outcomes.k
    # Unused topics of the codebook get none, so that they change nothing.
    present = np.outer(outcomes.present, outcomes.present)
    right = np.eye(k, dtype=bool) & present
    # Half of each row and column is right, the other half wrong.
    shape = np.where(right, 0.5, 0.5 / max(outcomes.present.sum() - 1, 1)) * present
    rng = np.random.default_rng(seed)
    n_groups = int(outcomes.groups.max()) + 1
    for d in _steps(n_draws):
        # A gamma distribution of shape 1/v, times v, has mean 1 and variance v.
        groups = effect * rng.gamma(1 / effect, size=(d, n_groups))
        cells = effect * rng.gamma(shape.ravel(), size=(d, k * k)).reshape(d, k, k)
        hits = effect * rng.gamma(0.5, size=(d, 2))
        yield Weights(groups[:, outcomes.groups], cells, hits[:, 0], hits[:, 1])


def _steps(n: int) -> Iterator[int]:
    """Sizes of the steps that n draws are taken in: 600 → 250, 250, 100."""
    for start in range(0, n, STEP):
        yield min(STEP, n - start)


def _interval(value: float, draws: Array, confidence: float) -> tuple[float, float, float]:
    """Value, low and high: the interval holds `confidence` of the draws, and the value itself."""
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return value, min(value, float(low)), max(value, float(high))
