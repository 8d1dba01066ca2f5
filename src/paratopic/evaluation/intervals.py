"""How sure one can be: intervals and paired tests from out-of-fold scores.

The unit that is resampled is the group (an article, or a paragraph with its near-duplicates),
with all of its repeats at once: repeats are not further evidence. What the figures estimate is
the mean quality of models trained on the training parts (Bates, Hastie & Tibshirani 2023,
https://arxiv.org/abs/2104.00673), which on few labels is a little below that of the model that
ships. No files are read here and nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from paratopic.evaluation import metrics
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.scores import (
    Array,
    binary_log_losses,
    classes,
    log_losses,
    squared_distances,
)

STEP = 250  # draws at a time: ten thousand paragraphs stay under 100 MB

# The tests of cross-validation share their training paragraphs, so that its figures vary more than
# those of as many independent tests: 1 + K/(K - 1) times as much, in variance, by the rule of thumb
# of Nadeau & Bengio (2003, https://doi.org/10.1023/A:1024068626366), which is 2.25 for five folds.
# The factors here were chosen by simulation with a frozen encoder on bill summaries:
# - of one model's figures (benchmarks/interval_coverage.py). With 2, 95 % intervals held the truth
#   in 93, 95 and 95 % of draws of 24, 100 and 500 labels for macro-F1, in 96, 97 and 98 % for
#   accuracy; with 1, in about 80 % for macro-F1;
# - of the difference of two models (benchmarks/significance.py). With 1.5, equal models differed
#   significantly at 5 % in at most 2.6 and 3.6 % of draws of 24 and 100 labels, with 1 in up to 8
#   and 11 %. At 500 labels 1.5 may be too little: 5 and 10 % of only 60 draws each.
DESIGN_EFFECT = 2.0

PAIRED_EFFECT = 1.5


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval."""

    value: float
    low: float
    high: float


def estimates(
    outcomes: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[str, Estimate]:
    """Every metric with its interval.

    The intervals come from the Bayesian bootstrap (Rubin 1981) of a sample that is smaller by
    `DESIGN_EFFECT`: each group is given a weight of mean 1 and variance `DESIGN_EFFECT`, drawn from
    a gamma distribution (the exponential, where it is 1). To it come pseudo-observations of the
    weight of one paragraph of that smaller sample, half of it spread over right answers and half
    over wrong ones, so that a model which made no mistake on ten paragraphs is not called certain
    never to make one. For accuracy on single paragraphs this is Jeffreys' interval (Brown, Cai &
    DasGupta 2001) of a sample half the size. Figures of a topic, and their mean macro-F1, have one
    such paragraph a topic: two paragraphs say little of a topic, however many others there are.

    Parameters
    ----------
    outcomes
        Scores of one model.
    confidence
        Of the intervals, such as 0.95.
    n_draws
        Resamples.
    seed
        Of the draws.

    Returns
    -------
    Keys macro_f1, log_loss, brier, ece, and precision/N, recall/N, f1/N for each class number N; in
    mode single also accuracy; in mode multi subset_accuracy (all of a row's topics are right),
    micro_f1 and map (mean average precision). The value is the mean over repeats.
    """
    nothing = np.zeros(1)
    ones = np.ones((1, len(outcomes.true)))
    value = _figures(
        outcomes, Weights(ones, np.zeros((1, outcomes.k, outcomes.k)), nothing, nothing)
    )
    draws: dict[str, list[Array]] = {name: [] for name in value}
    for weights in _weights(outcomes, DESIGN_EFFECT, n_draws, seed):
        for name, figures in _figures(outcomes, weights).items():
            draws[name].append(figures)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    result = {}
    for name, parts in draws.items():
        low, high = np.quantile(np.concatenate(parts), tails)
        at = float(value[name][0])
        result[name] = Estimate(at, min(at, float(low)), max(at, float(high)))
    return result


@dataclass(frozen=True)
class Weights:
    """Weights of d draws.

    Parameters
    ----------
    rows
        (d, n) of the rows.
    cells
        (d, k, k) of the pseudo-observations of each topic: true ones by named ones.
    right, wrong
        (d,) of the pseudo-observations of accuracy, which knows no topics.
    """

    rows: Array
    cells: Array
    right: Array
    wrong: Array


def _figures(outcomes: Outcomes, weights: Weights) -> dict[str, Array]:
    """Every metric for each of d weightings, mean over repeats: (d,)."""
    repeats, rows = len(outcomes.scores), weights.rows
    mass = rows.sum(axis=1)
    true = rows @ outcomes.true.astype(np.float64) + weights.cells.sum(axis=2)
    total: dict[str, Array] = {}
    for scores, said in zip(outcomes.scores, outcomes.named, strict=True):
        hits = (said & outcomes.true).astype(np.float64)
        hit = rows @ hits + np.diagonal(weights.cells, axis1=1, axis2=2)
        named = rows @ said.astype(np.float64) + weights.cells.sum(axis=1)
        same = (said == outcomes.true).all(axis=1).astype(np.float64)
        whole = (rows @ same + weights.right) / (mass + weights.right + weights.wrong)
        figures = {
            "macro_f1": metrics.macro_f1(hit, named, true, outcomes.present),
            "brier": rows @ squared_distances(outcomes.true, scores) / mass,
        }
        if outcomes.mode == "single":
            losses = log_losses(classes(outcomes.true), scores)
            figures |= {"accuracy": whole, "log_loss": rows @ losses / mass}
            # The confidence of the one topic that is named.
            sure, right = scores.max(axis=1, keepdims=True), same[:, None]
        else:
            losses = binary_log_losses(outcomes.true, scores)
            each = [
                metrics.average_precision(outcomes.true[:, topic], scores[:, topic], rows)
                for topic in np.flatnonzero(outcomes.present)
            ]
            figures |= {
                "subset_accuracy": whole,
                "micro_f1": metrics.micro_f1(hit, named, true),
                "map": np.mean(each, axis=0),
                "log_loss": rows @ losses / mass,
            }
            sure, right = scores, outcomes.true.astype(np.float64)
        in_bin = np.eye(metrics.N_BINS)[metrics.bins(sure)]  # of each row and probability
        figures["ece"] = metrics.calibration_error(
            rows @ in_bin.sum(axis=1),
            rows @ (in_bin * sure[..., None]).sum(axis=1),
            rows @ (in_bin * right[..., None]).sum(axis=1),
        )
        for name, per_topic in (
            ("precision", metrics.precision(hit, named)),
            ("recall", metrics.recall(hit, true)),
            ("f1", metrics.f1(hit, named, true)),
        ):
            figures |= {f"{name}/{number}": per_topic[:, number] for number in range(outcomes.k)}
        for name, figure in figures.items():
            total[name] = total.get(name, np.zeros(len(rows))) + figure / repeats
    return total


def _weights(outcomes: Outcomes, effect: float, n_draws: int, seed: int) -> Iterator[Weights]:
    """Weights of the draws, `STEP` at a time; `effect` is the variance of a group's weight."""
    k = outcomes.k
    # Of topics that occur, so that an unused topic of the codebook changes nothing.
    there = np.outer(outcomes.present, outcomes.present)
    right = np.eye(k, dtype=bool) & there
    # Half right in each row and each column, the other half wrong.
    shape = np.where(right, 0.5, 0.5 / max(outcomes.present.sum() - 1, 1)) * there
    rng = np.random.default_rng(seed)
    n_groups = int(outcomes.groups.max()) + 1
    for start in range(0, n_draws, STEP):
        d = min(STEP, n_draws - start)
        # A gamma distribution of shape 1/v, times v, has mean 1 and variance v.
        groups = effect * rng.gamma(1 / effect, size=(d, n_groups))
        cells = effect * rng.gamma(shape.ravel(), size=(d, k * k)).reshape(d, k, k)
        hits = effect * rng.gamma(0.5, size=(d, 2))
        yield Weights(groups[:, outcomes.groups], cells, hits[:, 0], hits[:, 1])


@dataclass(frozen=True)
class Difference:
    """Macro-F1 of one model minus that of another, with an interval and a p-value."""

    value: float
    low: float
    high: float
    p: float


def difference(
    one: Outcomes, other: Outcomes, confidence: float, n_draws: int, n_permutations: int, seed: int
) -> Difference:
    """Compare two models on the same folds.

    The p-value is that of a two-sided paired permutation test (approximate randomisation: Noreen
    1989; for F1: Yeh 2000, https://aclanthology.org/C00-2137): if the two models were equally
    good, the answers of a group could be swapped between them; all repeats of a group are swapped
    together. Swaps know nothing of the training paragraphs that the tests share: the differences
    that they give are scaled by the root of `PAIRED_EFFECT`. The interval comes from the Bayesian
    bootstrap with the same weights, of variance `PAIRED_EFFECT`, for both.

    Parameters
    ----------
    one, other
        Scores of the models; the same rows, groups and number of repeats.
    confidence, n_draws
        Of the interval.
    n_permutations
        Of the test; the smallest p-value is 1 / (n_permutations + 1).
    seed
        Of both.
    """
    present = one.present
    pairs = list(zip(_counted(one), _counted(other), strict=True))

    def lead(weights: Array, swapped: Array) -> Array:
        """Mean over repeats of the difference, for d weightings and d swaps (d, n)."""
        total: Array = np.zeros(1)
        true = weights @ one.true
        for mine, theirs in pairs:
            moved = theirs - mine
            changed = np.flatnonzero(moved.any(axis=1))
            change = (weights * swapped)[:, changed] @ moved[changed]
            first, second = weights @ mine + change, weights @ theirs - change
            for sign, (hit, named) in (1, np.split(first, 2, 1)), (-1, np.split(second, 2, 1)):
                total = total + sign * metrics.macro_f1(hit, named, true, present)
        return total / len(pairs)

    n = len(one.true)
    nobody = np.zeros((1, n))
    value = float(lead(np.ones((1, n)), nobody)[0])

    rng = np.random.default_rng(seed)
    n_groups = int(one.groups.max()) + 1
    reached = 0
    for start in range(0, n_permutations, STEP):
        d = min(STEP, n_permutations - start)
        swapped = rng.integers(0, 2, size=(d, n_groups))[:, one.groups].astype(np.float64)
        chance = np.sqrt(PAIRED_EFFECT) * np.abs(lead(np.ones((1, n)), swapped))
        # Rounding must not make equal differences unequal.
        reached += int((chance >= abs(value) - 1e-12).sum())
    p = (reached + 1) / (n_permutations + 1)

    draws = np.concatenate(
        [lead(draw.rows, nobody) for draw in _weights(one, PAIRED_EFFECT, n_draws, seed)]
    )
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference(value, min(value, float(low)), max(value, float(high)), p)


def _counted(outcomes: Outcomes) -> Array:
    """(r, n, 2k): what each row adds to the counts of hits, and of names, of each topic."""
    hits = outcomes.named & outcomes.true
    return np.concatenate([hits, outcomes.named], axis=2).astype(np.float64)
