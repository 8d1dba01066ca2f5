"""Intervals of metrics, and paired tests of two models, from out-of-fold scores.

The unit of resampling is the group (an article, or a paragraph with its near-duplicates) with all
of its repeats at once, because repeats add no evidence. Intervals are for the quality of the final
model, which has all labels, although the models of the folds had fewer. No files are read here and
nothing is drawn.

The noise of a figure has three sources. Independent paragraphs would vary by as much as shares of
them do; few paragraphs of a topic often happen to be all right or all wrong, so each topic leans on
the mean of all. Paragraphs of an article vary together: the bootstrap shows how much more a figure
varies when articles are drawn, and few articles lean on what is usual. The models of the folds are
some of many that other labels would have given, which a factor allows for.

Both intervals of a share are for one that rests on so many independent observations
(`corpus.effective`). Jeffreys' takes this number alone. Wilson's takes a quantile too, which
differs between shares whose noise has different degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtri, stdtrit

from paratopic.corpus.effective import Integers, design_effect, measured_design_effect
from paratopic.evaluation.metrics import (
    MetricKey,
    Proportion,
    Tally,
    macro_f1,
    mean_of,
    n_rows,
    of_topics,
    shares_of,
    shares_of_answers,
    tallies,
    train_share_of_topics,
    value_of,
)
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.modes import Array, squared_distances

# With fewer labels of its own, a group has no interval; with fewer labelled articles, if articles
# were drawn, nothing has one.
LEAST_LABELS, LEAST_ARTICLES = 20, 6
# The tests of cross-validation share training paragraphs, and the final model is one of many that
# other labels would have given, so figures vary more than those of as many independent tests. This
# and the next two were chosen by simulation, on other tables than those that are reported
# (benchmarks/interval_coverage.py).
DESIGN_EFFECT = 1.5
# How much errors in an article are usually alike (their intraclass correlation), and number of
# articles that this weighs.
ALIKE, ALIKE_ARTICLES = 0.1, 2
# Events are rare, for Wilson's interval, if there are fewer labels with them.
RARE = 3.5
# Number of draws at a time, and of weights in them at most: more than ten thousand paragraphs take
# fewer draws at a time, so that these stay under 100 MB.
STEP, WEIGHTS = 250, 2_500_000
# Errors fall with the number of labels to this power, where nothing else is known, and models stray
# from it by this much. These and the next two were chosen by simulation, on other tables than those
# that are reported (benchmarks/interval_coverage.py).
EXPONENT, STRAY = 0.2, 0.2
# Where all labels of a topic are held out at once, what models gain from them is not known. It is
# taken for what they gain where they learnt from this share.
LEAST_TRAIN_SHARE = 0.1
# Number of paragraphs that the mean of all topics weighs for one of them.
LIKE_OTHERS = 4.0
# The expected calibration error of fewer paragraphs is mostly chance.
LEAST_FOR_ECE = 200


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; `low` and `high` are None where it has none.

    It may be a metric, a share of a corpus, a difference of two, or a change for each unit of time.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """The figure with its interval, if it has one.

        >>> print(Estimate(0.751, 0.526, 0.927))
        0.751 (0.526–0.927)
        """
        ends = "" if self.low is None else f" ({self.low:.3f}–{self.high:.3f})"
        return f"{self.value:.3f}{ends}"


def margin(share: float, n_labels: int, n_texts: int, confidence: float) -> float:
    """Half of the interval to expect of a share, by labels of a random sample alone.

    It is the normal approximation for a finite corpus (Cochran 1977, Sampling Techniques, chapter
    3).

    >>> round(margin(0.5, 20, 280, 0.95), 3), margin(0.5, 280, 280, 0.95)
    (0.211, 0.0)

    Parameters
    ----------
    share
        The share to plan for; 0.5 gives the widest interval.
    n_labels, n_texts
        Size of the sample, and of the corpus that it is drawn from.
    """
    variance = share * (1 - share) / n_labels * (1 - n_labels / n_texts)
    return NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(variance)


def write_p(p: float) -> str:
    """Write a p-value in a sentence.

    >>> write_p(0.0412), write_p(0.00001)
    ('p = 0.041', 'p < 0.001')
    """
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def shrunk_design_effect(measured: float, sizes: Integers) -> float:
    """A design effect that is measured in few groups, shrunk to the usual one; at least 1.

    Parameters
    ----------
    measured
        Variance of draws of groups over that of draws of rows. Draws of n have (n - 1) / (n + 1) of
        the variance that samples of n have.
    sizes
        (g,) numbers of rows in the groups.
    """
    n, n_groups = int(sizes.sum()), len(sizes)
    measured *= (n_groups + 1) * (n - 1) / max(1, (n_groups - 1) * (n + 1))
    usual = design_effect(float((sizes**2).sum()) / n, ALIKE)
    shrunk = (ALIKE_ARTICLES * usual + (n_groups - 1) * measured) / (ALIKE_ARTICLES + n_groups - 1)
    return max(1.0, shrunk)


def few_groups(n_groups: int, confidence: float) -> float:
    """How much wider intervals are because few groups say little of their noise, at least 1.

    That is the quantile of Student's t distribution over that of the normal one.
    """
    freedom, quantile = ALIKE_ARTICLES + n_groups - 1, (1 + confidence) / 2
    return float(stdtrit(freedom, quantile) / ndtri(quantile))


def jeffreys(value: float, size: float, confidence: float) -> tuple[float, float]:
    """Ends of Jeffreys' interval of a share, by the prior Beta(1/2, 1/2); it holds the share.

    >>> low, high = jeffreys(0.0, 60.0, 0.95)
    >>> low, round(high, 3)
    (0.0, 0.041)
    """
    hits, misses = value * size + 0.5, (1 - value) * size + 0.5
    low, high = (
        float(betaincinv(hits, misses, quantile))
        for quantile in ((1 - confidence) / 2, (1 + confidence) / 2)
    )
    return min(value, low), max(value, high)


def wilson(values: Array, sizes: Array, quantile: Array | float) -> tuple[Array, Array]:
    """Ends of Wilson's interval of shares, (K,) each (1927, J. Am. Statistical Association 22).

    >>> low, high = wilson(np.array([0.0]), np.array([60.0]), 1.96)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0], [0.06])

    Parameters
    ----------
    values
        (K,) shares, 0 to 1.
    sizes
        (K,) numbers of independent observations that they rest on, above 0.
    quantile
        Number of standard errors on each side, one for each share or for all.
    """
    squared = quantile**2
    middle = (values + squared / (2 * sizes)) / (1 + squared / sizes)
    reach = np.sqrt(values * (1 - values) / sizes + squared / (4 * sizes**2))
    reach = quantile * reach / (1 + squared / sizes)
    low = np.minimum(np.maximum(middle - reach, 0.0), values)
    return low, np.maximum(np.minimum(middle + reach, 1.0), values)


def modified_wilson(
    values: Array, sizes: Array, confidence: float, quantile: Array | float
) -> tuple[Array, Array]:
    """Ends of Wilson's interval, which holds too seldom next to 0 and 1 and is wider there.

    There it reaches as far as a one-sided interval of rare events (Brown, Cai & DasGupta 2001,
    Statistical Science 16, 101-133). Parameters as for `wilson`.
    """
    hits, misses = sizes * values, sizes * (1 - values)
    few_hits, few_misses = (
        np.where(n < RARE, gammaincinv(np.maximum(n, 1e-9), 1 - confidence) / sizes, 1.0)
        for n in (hits, misses)
    )
    low, high = wilson(values, sizes, quantile)
    return np.minimum(low, few_hits), np.maximum(high, 1 - few_misses)


@dataclass(frozen=True)
class Difference:
    """Macro-F1 of one model minus that of another.

    Parameters
    ----------
    p
        Two-sided p-value of no difference. It is below 1 minus the confidence where the interval
        excludes 0, and only there.
    """

    value: float
    low: float
    high: float
    p: float


def measure(
    forced: Outcomes, answers: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[MetricKey, Estimate]:
    """Every metric of a model's answers, and of its forced topics, with its interval.

    Parameters
    ----------
    confidence
        Confidence of the intervals, such as 0.95.

    Returns
    -------
    Means over repeats. Keys are (precision, N), (recall, N) and (f1, N) for each class number N;
    in mode single also answer_macro_f1, answer_accuracy, coverage (share of rows whose answer is a
    topic), precision (share of these answers that are right; missing if there are none) and recall
    (share of the rows with a topic whose answer is right). In mode multi the metrics of the topics
    are those of the answers, too. And the keys of `estimates`.
    Macro-F1 has no interval where labels are too few (`Outcomes.too_few`).
    """
    wish = confidence, n_draws, seed
    of_answers = share_estimates(answers, shares_of_answers(answers), *wish)
    measured = of_answers | estimates(forced, *wish)
    if forced.too_few:
        averages = {"macro_f1", "answer_macro_f1"} & measured.keys()
        measured |= {key: Estimate(measured[key].value) for key in averages}
    return measured


def estimates(
    outcomes: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[MetricKey, Estimate]:
    """Every metric of the topics, with its interval; parameters as for `measure`.

    Returns
    -------
    Means over repeats. Keys are macro_f1, brier and log_loss; in mode single also accuracy; in mode
    multi subset_accuracy (all of a row's topics are right), micro_f1 and map (mean average
    precision). From
    `LEAST_FOR_ECE` rows on there is also ece, without an interval, because chance adds to it.
    """
    measured = share_estimates(outcomes, shares_of(outcomes), confidence, n_draws, seed)
    measured |= _loss_estimates(outcomes, confidence)
    if len(outcomes.true) >= LEAST_FOR_ECE:
        measured["ece"] = Estimate(float(value_of(outcomes, Tally.calibration_error)))
    return measured


def share_estimates(
    outcomes: Outcomes,
    shares: Mapping[MetricKey, Proportion],
    confidence: float,
    n_draws: int,
    seed: int,
) -> dict[MetricKey, Estimate]:
    """Figures from 0 to 1 with their intervals; parameters as for `estimates`.

    The interval is that of a binomial share with Jeffreys' prior, of as many paragraphs as have the
    figure's noise (Korn & Graubard 1998, Survey Methodology 24, 193-201).
    """
    whole = tallies(outcomes, outcomes.counts[None])
    figures = {name: share.figure for name, share in shares.items()}
    effects = design_effects(outcomes, figures, n_draws, seed)
    measured: dict[MetricKey, Estimate] = {}
    for name, share in shares.items():
        value = float(mean_of(whole, share.figure)[0])
        parts = np.array([value]) if share.parts is None else mean_of(whole, share.parts)[0]
        variance, spread = independent(parts, share.sizes)
        wider = few_groups(len(outcomes.group_sizes), confidence)
        variance *= DESIGN_EFFECT * effects[name] * wider**2
        low, high = jeffreys(with_all(value, share.train_share), spread / variance, confidence)
        measured[name] = Estimate(value, min(value, low), max(value, high))
    return measured


def with_all(value: float, train_share: float) -> float:
    """What is expected of the final model, which has all labels and not just a share of them."""
    return 1 - (1 - value) * float(max(train_share, LEAST_TRAIN_SHARE) ** EXPONENT)


def independent(parts: Array, sizes: Array) -> tuple[float, float]:
    """Variance of a mean of shares if paragraphs were independent, and p(1 - p) of a share near it.

    There are m shares, each of so many paragraphs.
    """
    near = _leaning_on_the_mean(parts, sizes)
    mean = float(near.mean())
    return float((near * (1 - near) / sizes).mean() / len(parts)), mean * (1 - mean)


def _leaning_on_the_mean(parts: Array, sizes: Array) -> Array:
    """Shares (m,) of so many paragraphs, as far as these tell them.

    Each leans on their mean, and this on one half by one paragraph, so that nothing is certain.
    """
    n = float(sizes.sum())
    mean = (float(parts.mean()) * n + 0.5) / (n + 1)
    near: Array = (parts * sizes + mean * LIKE_OTHERS) / (sizes + LIKE_OTHERS)
    return near


def design_effects(
    outcomes: Outcomes,
    figures: Mapping[MetricKey, Callable[[Tally], Array]],
    n_draws: int,
    seed: int,
) -> dict[MetricKey, float]:
    """How many times larger the variance of each figure is than with independent paragraphs.

    It is measured with the same draws of groups and of rows; parameters as for `estimates`.
    """
    if len(outcomes.group_sizes) == np.count_nonzero(outcomes.counts):
        return dict.fromkeys(figures, 1.0)
    resampled: dict[MetricKey, list[tuple[Array, Array]]] = {name: [] for name in figures}
    for both in _draws(outcomes, n_draws, seed):
        rows, groups = (tallies(outcomes, counts) for counts in both)
        for name, figure in figures.items():
            resampled[name].append((mean_of(rows, figure), mean_of(groups, figure)))
    effects = {}
    for name, each in resampled.items():
        of_rows, of_groups = np.concatenate(each, axis=1).var(axis=1)
        seen = float(of_groups / of_rows) if of_rows else 1.0
        effects[name] = shrunk_design_effect(seen, outcomes.group_sizes)
    return effects


def _loss_estimates(outcomes: Outcomes, confidence: float) -> dict[MetricKey, Estimate]:
    """Brier score and log loss with their intervals.

    The noise includes that of one mistake more, the most probable one, in all paragraphs.
    """
    true, scores, mode = outcomes.true, outcomes.scores, outcomes.mode
    mistaken = [mode.likeliest_mistake(true, repeat) for repeat in scores]
    quantile = float(ndtri((1 + confidence) / 2))
    quantile *= few_groups(len(outcomes.group_sizes), confidence)
    measured: dict[MetricKey, Estimate] = {}
    for name, losses in (("brier", squared_distances), ("log_loss", mode.losses)):
        of_rows = np.mean([losses(true, repeat) for repeat in scores], axis=0)
        if_mistaken = np.mean([losses(m, s) for m, s in zip(mistaken, scores, strict=True)], axis=0)
        counts, total = outcomes.counts, outcomes.counts.sum()
        value, mistake = (float((each * counts).sum() / total) for each in (of_rows, if_mistaken))
        away = counts * (of_rows - value) / total
        seen = float(measured_design_effect(away, outcomes.groups))
        effect = shrunk_design_effect(seen, outcomes.group_sizes)
        variance = DESIGN_EFFECT * effect * float((away**2).sum())
        variance += ((mistake - value) / n_rows(outcomes)) ** 2
        half = quantile * float(np.sqrt(variance))
        measured[name] = Estimate(value, max(0.0, value - half), value + half)
    return measured


def difference(
    one: Outcomes, other: Outcomes, confidence: float, n_permutations: int, seed: int
) -> Difference:
    """Compare two models on the same folds, by macro-F1.

    The p-value is that of a two-sided paired permutation test (approximate randomisation: Noreen
    1989; for F1: Yeh 2000, https://aclanthology.org/C00-2137). If the two models were equally
    good, their predictions could be swapped, for a paragraph with all of its repeats. Swaps of
    whole groups show how much more the difference varies with groups. The differences that swaps
    give get the module's noise. The interval comes from the same differences.

    Parameters
    ----------
    one, other
        Outcomes of the models, with the same rows, groups and number of repeats.
    n_permutations
        Number of random swaps; the smallest p-value is 1 / (n_permutations + 1).
    """
    value = float(_leads(one, other, np.zeros((1, len(one.true))))[0])
    wider = few_groups(len(one.group_sizes), confidence)
    chances = _chances(one, other, n_permutations, seed) * wider
    # Rounding must not make equal differences unequal.
    p = (int((np.abs(chances) >= abs(value) - 1e-12).sum()) + 1) / (n_permutations + 1)
    half = float(np.quantile(np.abs(chances), confidence))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half), p)


def _leads(one: Outcomes, other: Outcomes, swapped: Array) -> Array:
    """Lead in macro-F1, mean over repeats, (d,), for d swaps (d, n) of both models' answers."""
    counts, total = one.counts[None], np.zeros(1)
    true = counts @ one.true
    for repeat in range(len(one.scores)):
        first, second = (
            np.hstack([o.predicted[repeat] & o.true, o.predicted[repeat]]).astype(np.float64)
            for o in (one, other)
        )
        moved = second - first
        changed = np.flatnonzero(moved.any(axis=1))
        change = (counts * swapped)[:, changed] @ moved[changed]
        for sign, sums in ((1, counts @ first + change), (-1, counts @ second - change)):
            hit, predicted = np.split(sums, 2, axis=1)
            total = total + sign * macro_f1(hit, predicted, true, one.present)
    return np.asarray(total / len(one.scores))


def _chances(one: Outcomes, other: Outcomes, n_permutations: int, seed: int) -> Array:
    """Differences that chance gives where no model is better: (n_permutations,)."""
    rng = np.random.default_rng(seed)
    first = np.unique(one.groups, return_index=True)[1]
    leads = []
    for d in _steps(n_permutations, len(one.true)):
        swapped = rng.integers(0, 2, size=(d, len(one.true))).astype(np.float64)
        together = swapped[:, first][:, one.groups]
        leads.append([_leads(one, other, rows) for rows in (swapped, together)])
    alone, seen = np.concatenate(leads, axis=1)
    effect = float(seen.var() / alone.var()) if alone.any() else 1.0
    effect = shrunk_design_effect(effect, one.group_sizes)
    # Of each topic, how often only one of the models is right: a topic of few paragraphs by chance.
    right, of_other = ((o.predicted & o.true)[:, :, one.present].mean(axis=0) for o in (one, other))
    true, sizes = one.counts[:, None] * one.true[:, one.present], of_topics(one)
    apart = (true * (right - of_other) ** 2).sum(axis=0) / true.sum(axis=0)
    near = _leaning_on_the_mean(apart, sizes)
    added = effect * max(0.0, float((near / sizes).mean() / len(near)) - float(alone.var()))
    # The final models have more labels, from which one may gain more than the other; mostly both
    # stray to the same side.
    gains = [
        (1 - value_of(o, Tally.macro_f1)) * np.log(max(train_share_of_topics(o), LEAST_TRAIN_SHARE))
        for o in (one, other)
    ]
    added = DESIGN_EFFECT * added + (STRAY / 2) ** 2 * sum(gain**2 for gain in gains)
    chances: Array = np.sqrt(DESIGN_EFFECT * effect) * alone
    chances += np.sqrt(added) * rng.standard_normal(n_permutations)
    return chances


def _draws(outcomes: Outcomes, n_draws: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Weights (d, n) of the rows in draws of the Bayesian bootstrap (Rubin 1981), in steps.

    The weights are exponential, and multiply how much each row counts. In the first array rows are
    drawn, in the second groups, each with the weight of its first row.
    """
    rng = np.random.default_rng(seed)
    first = np.unique(outcomes.groups, return_index=True)[1]
    for d in _steps(n_draws, len(outcomes.true)):
        rows = rng.exponential(size=(d, len(outcomes.groups)))
        yield rows * outcomes.counts, rows[:, first][:, outcomes.groups] * outcomes.counts


def _steps(n: int, n_rows: int) -> Iterator[int]:
    """Sizes of the steps that n draws of few rows are taken in: 600 → 250, 250, 100."""
    step = max(1, min(STEP, WEIGHTS // max(1, n_rows)))
    for start in range(0, n, step):
        yield min(step, n - start)
