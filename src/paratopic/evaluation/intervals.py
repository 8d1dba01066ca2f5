"""Intervals of metrics, and paired tests of two models, from out-of-fold scores.

The unit of resampling is the group (an article, or a paragraph with its near-duplicates) with all
of its repeats at once, because repeats add no evidence. Intervals are for the quality of the final
model, which is trained on all labels, although the models of the folds were trained on fewer.

The variance of a figure has three sources. Paragraphs are a sample; few paragraphs of a topic are
often all right or all wrong by chance, so its figure is shrunk towards the mean of all topics.
Paragraphs of an article vary together; the bootstrap measures this design effect, which is shrunk
towards the usual one if articles are few. Other labels would have given other models, which the
factor `DESIGN_EFFECT` allows for.

Jeffreys' and Wilson's intervals take the effective number of independent observations
(`corpus.effective`). Wilson's also takes the quantile, which differs between shares if their
variances have different degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import betaincinv, gammaincinv, ndtri, stdtrit

from paratopic.corpus.effective import Integers, design_effect, measured_design_effect
from paratopic.evaluation import metrics
from paratopic.evaluation.metrics import MetricKey, Proportion, Tally, repeat_mean, tallies
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.modes import Array, squared_distances

# A group with fewer labels of its own has no interval. If articles were drawn, no figure has an
# interval with fewer labelled articles.
LEAST_LABELS, LEAST_ARTICLES = 20, 6
# Factor of the variance. The folds share training paragraphs, and the final model is one of many
# that other labels would have given, so figures vary more than those of independent tests.
# benchmarks/interval_coverage.py measures how often the intervals hold with this constant and with
# those below (benchmarks/results/interval_coverage.csv).
DESIGN_EFFECT = 1.5
# Prior of the design effect: the usual intraclass correlation of errors in an article, and the
# number of articles that it weighs as much as.
USUAL_CORRELATION, PRIOR_ARTICLES = 0.1, 2
# Wilson's interval is modified if fewer labels have the event, or lack it.
RARE = 3.5
# Number of draws at a time, and most weights in them, which keeps the weights under 100 MB.
DRAWS_AT_ONCE, MOST_WEIGHTS = 250, 2_500_000
# The error is taken to be proportional to the number of labels to the power of minus the first
# number. The second is the standard deviation of a model's gain from that, as a share of it.
LEARNING_EXPONENT, GAIN_DEVIATION = 0.2, 0.2
# The gain from labels is unknown if all labels of a topic are held out at once. Training shares
# below this one are taken for this one.
LEAST_TRAIN_SHARE = 0.1
# Number of paragraphs that the mean of all topics weighs as much as, in shrinking a topic's figure.
PRIOR_PARAGRAPHS = 4.0
# The expected calibration error of fewer paragraphs is mostly chance.
LEAST_FOR_ECE = 200


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; `low` and `high` are None if it has none.

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
    """Expected half-width of a share's interval from the labels of a random sample.

    It is the normal approximation for a finite corpus of `n_texts`, of which `n_labels` are drawn
    (Cochran 1977, Sampling Techniques, chapter 3). A `share` of 0.5 gives the widest interval.

    >>> round(margin(0.5, 20, 280, 0.95), 3), margin(0.5, 280, 280, 0.95)
    (0.211, 0.0)
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
    """Design effect that was measured in few groups, shrunk towards the usual one; at least 1.

    The usual one is that of g groups with these numbers of rows (`sizes`) and the correlation
    `USUAL_CORRELATION`; it weighs as much as `PRIOR_ARTICLES` groups. `measured` is the variance
    over random weights of groups, divided by that over random weights of rows. Random weights of n
    items give (n - 1) / (n + 1) of the sampling variance; this is corrected.
    """
    n, n_groups = int(sizes.sum()), len(sizes)
    measured *= (n_groups + 1) * (n - 1) / max(1, (n_groups - 1) * (n + 1))
    usual = design_effect(float((sizes**2).sum()) / n, USUAL_CORRELATION)
    shrunk = (PRIOR_ARTICLES * usual + (n_groups - 1) * measured) / (PRIOR_ARTICLES + n_groups - 1)
    return max(1.0, shrunk)


def few_groups_factor(n_groups: int, confidence: float) -> float:
    """Factor of an interval's width for the uncertain variance of few groups, at least 1.

    It is the quantile of Student's t distribution over that of the normal one.
    """
    freedom, quantile = PRIOR_ARTICLES + n_groups - 1, (1 + confidence) / 2
    return float(stdtrit(freedom, quantile) / ndtri(quantile))


def jeffreys(value: float, size: float, confidence: float) -> tuple[float, float]:
    """Ends of Jeffreys' interval of a share, with the prior Beta(1/2, 1/2), extended to the share.

    >>> low, high = jeffreys(0.0, 60.0, 0.95)
    >>> low, round(high, 3)
    (0.0, 0.041)
    """
    hits, misses = value * size + 0.5, (1 - value) * size + 0.5
    low = float(betaincinv(hits, misses, (1 - confidence) / 2))
    high = float(betaincinv(hits, misses, (1 + confidence) / 2))
    return min(value, low), max(value, high)


def wilson(values: Array, sizes: Array, quantile: Array | float) -> tuple[Array, Array]:
    """Low and high ends, (K,), of Wilson's interval (1927, J. Am. Statistical Association 22).

    K shares (`values`) have effective numbers of independent observations (`sizes`, above 0).
    `quantile` is the number of standard errors on each side, for each share or for all.

    >>> low, high = wilson(np.array([0.0]), np.array([60.0]), 1.96)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0], [0.06])
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
    """Lower and upper ends of Wilson's interval, widened near 0 and 1, where its coverage is low.

    Near 0 the lower end is that of a one-sided Poisson interval if this is lower, and near 1 the
    upper end likewise (Brown, Cai & DasGupta 2001, Statistical Science 16, 101-133). Parameters as
    for `wilson`; `confidence` is that of the Poisson interval.
    """
    low, high = wilson(values, sizes, quantile)
    lowest_hits = _rare_event_limit(sizes * values, sizes, confidence)
    lowest_misses = _rare_event_limit(sizes * (1 - values), sizes, confidence)
    return np.minimum(low, lowest_hits), np.maximum(high, 1 - lowest_misses)


def _rare_event_limit(n_events: Array, sizes: Array, confidence: float) -> Array:
    """Lower ends of one-sided intervals for shares of rare events, (K,); 1 for other events."""
    limit = gammaincinv(np.maximum(n_events, 1e-9), 1 - confidence) / sizes
    return np.where(n_events < RARE, limit, 1.0)


@dataclass(frozen=True)
class Difference:
    """Macro-F1 of one model minus that of another.

    The two-sided `p` is below 1 minus the confidence if and only if the interval excludes 0.
    """

    value: float
    low: float
    high: float
    p: float


def measure(
    forced: Outcomes, predictions: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[MetricKey, Estimate]:
    """All metrics of a model's predictions, and of its forced topics, with their intervals.

    `forced` and `predictions` are from `outcomes.outcomes` and `outcomes.prediction_outcomes`.
    `confidence` of intervals is such as 0.95, and `n_draws` the number of draws of the bootstrap.

    Returns
    -------
    Means over repeats, with the keys of `estimates` and, for each class N of `predictions`, from 0,
    ("precision", N), ("recall", N) and ("f1", N), 0 where there is nothing to divide by. Mode
    single also has answer_macro_f1, answer_accuracy, coverage (share of rows with a predicted
    topic), precision (share of these predictions that are right) and recall (share of the rows with
    a topic for which it is predicted); the last two are missing without any such row. macro_f1 and
    answer_macro_f1 have no interval if labels are too few (`forced.too_few`).
    """
    resampling = confidence, n_draws, seed
    proportions = metrics.prediction_proportions(predictions)
    measured = proportion_estimates(predictions, proportions, *resampling)
    measured |= estimates(forced, *resampling)
    if forced.too_few:
        averages = {"macro_f1", "answer_macro_f1"} & measured.keys()
        measured |= {key: Estimate(measured[key].value) for key in averages}
    return measured


def estimates(
    outcomes: Outcomes, confidence: float, n_draws: int, seed: int
) -> dict[MetricKey, Estimate]:
    """Estimate the metrics of `outcomes.outcomes`, with intervals; settings as for `measure`.

    Each metric is the mean over the repeats of cross-validation. Keys are brier, log_loss and, if a
    topic is present, macro_f1. Mode single adds accuracy. Mode multi adds subset_accuracy (share of
    rows whose topics are all right), micro_f1 and map (mean average precision over topics). From
    `LEAST_FOR_ECE` rows on there is also ece, the expected calibration error. It has no interval,
    because chance alone makes it positive.
    """
    proportions = metrics.topic_proportions(outcomes)
    measured = proportion_estimates(outcomes, proportions, confidence, n_draws, seed)
    measured |= _loss_estimates(outcomes, confidence)
    if len(outcomes.true) >= LEAST_FOR_ECE:
        measured["ece"] = Estimate(float(metrics.sample_value(outcomes, Tally.calibration_error)))
    return measured


def proportion_estimates(
    outcomes: Outcomes,
    proportions: Mapping[MetricKey, Proportion],
    confidence: float,
    n_draws: int,
    seed: int,
) -> dict[MetricKey, Estimate]:
    """Key of each proportion → its mean over repeats and its interval; settings as for `measure`.

    Sizes of proportions are above 0. The interval is Jeffreys' for a binomial share of as many
    paragraphs as would give the figure's variance (Korn & Graubard 1998, Survey Methodology 24,
    193-201). It is around the figure expected with all labels (`with_all_labels`), and is extended
    to the mean.
    """
    sample = tallies(outcomes, outcomes.counts[None])
    figures = {name: proportion.figure for name, proportion in proportions.items()}
    effects = design_effects(outcomes, figures, n_draws, seed)
    measured: dict[MetricKey, Estimate] = {}
    for name, proportion in proportions.items():
        value = float(repeat_mean(sample, proportion.figure)[0])
        parts = np.array([value])
        if proportion.parts is not None:
            parts = repeat_mean(sample, proportion.parts)[0]
        variance, unit_variance = independent_variance(parts, proportion.sizes)
        factor = few_groups_factor(len(outcomes.group_sizes), confidence)
        variance *= DESIGN_EFFECT * effects[name] * factor**2
        expected = with_all_labels(value, proportion.train_share)
        low, high = jeffreys(expected, unit_variance / variance, confidence)
        measured[name] = Estimate(value, min(value, low), max(value, high))
    return measured


def with_all_labels(value: float, train_share: float) -> float:
    """Expected figure of the final model, from that of models trained on a share of the labels."""
    return 1 - (1 - value) * float(max(train_share, LEAST_TRAIN_SHARE) ** LEARNING_EXPONENT)


def independent_variance(parts: Array, sizes: Array) -> tuple[float, float]:
    """Variance of a mean of m shares if paragraphs were independent, and p(1 - p) of this mean."""
    shrunken = _shrunken_shares(parts, sizes)
    mean = float(shrunken.mean())
    return float((shrunken * (1 - shrunken) / sizes).mean() / len(parts)), mean * (1 - mean)


def _shrunken_shares(parts: Array, sizes: Array) -> Array:
    """Shares, (m,), shrunk towards their mean, and this by one paragraph towards one half.

    So no share is exactly 0 or 1, which would have no variance.
    """
    n = float(sizes.sum())
    mean = (float(parts.mean()) * n + 0.5) / (n + 1)
    shrunken: Array = (parts * sizes + mean * PRIOR_PARAGRAPHS) / (sizes + PRIOR_PARAGRAPHS)
    return shrunken


def design_effects(
    outcomes: Outcomes,
    figures: Mapping[MetricKey, Callable[[Tally], Array]],
    n_draws: int,
    seed: int,
) -> dict[MetricKey, float]:
    """Key of each figure → its variance over its variance if paragraphs were independent.

    `figures` are functions of a tally, and the other parameters as for `measure`. The effect, at
    least 1, is the ratio of the variances in bootstrap draws of groups and of rows, shrunk towards
    the usual one (`shrunk_design_effect`); 1 if no group has two rows with a weight.
    """
    if len(outcomes.group_sizes) == np.count_nonzero(outcomes.counts):
        return dict.fromkeys(figures, 1.0)
    resampled: dict[MetricKey, list[tuple[Array, Array]]] = {name: [] for name in figures}
    for row_weights, group_weights in _draws(outcomes, n_draws, seed):
        rows, groups = tallies(outcomes, row_weights), tallies(outcomes, group_weights)
        for name, figure in figures.items():
            resampled[name].append((repeat_mean(rows, figure), repeat_mean(groups, figure)))
    effects = {}
    for name, values in resampled.items():
        row_variance, group_variance = np.concatenate(values, axis=1).var(axis=1)
        measured = float(group_variance / row_variance) if row_variance else 1.0
        effects[name] = shrunk_design_effect(measured, outcomes.group_sizes)
    return effects


def _loss_estimates(outcomes: Outcomes, confidence: float) -> dict[MetricKey, Estimate]:
    """Mean losses, with the keys brier and log_loss, and their normal intervals, cut at 0.

    The means are weighted, over rows and repeats. One more mistake, the most probable one, adds to
    the variance, so that it is never 0.
    """
    true, scores, mode = outcomes.true, outcomes.scores, outcomes.mode
    mistaken = [mode.likeliest_mistake(true, repeat) for repeat in scores]
    quantile = float(ndtri((1 + confidence) / 2))
    quantile *= few_groups_factor(len(outcomes.group_sizes), confidence)
    measured: dict[MetricKey, Estimate] = {}
    counts, total = outcomes.counts, outcomes.counts.sum()
    for name, losses in (("brier", squared_distances), ("log_loss", mode.losses)):
        row_losses = np.mean([losses(true, repeat) for repeat in scores], axis=0)
        if_mistaken = np.mean([losses(m, s) for m, s in zip(mistaken, scores, strict=True)], axis=0)
        value = float((row_losses * counts).sum() / total)
        mistake = float((if_mistaken * counts).sum() / total)
        residuals = counts * (row_losses - value) / total
        measured_effect = float(measured_design_effect(residuals, outcomes.groups))
        effect = shrunk_design_effect(measured_effect, outcomes.group_sizes)
        variance = DESIGN_EFFECT * effect * float((residuals**2).sum())
        variance += ((mistake - value) / metrics.effective_n_rows(outcomes)) ** 2
        half = quantile * float(np.sqrt(variance))
        measured[name] = Estimate(value, max(0.0, value - half), value + half)
    return measured


def difference(
    one: Outcomes, other: Outcomes, confidence: float, n_permutations: int, seed: int
) -> Difference:
    """Macro-F1 of `one` minus that of `other`, mean over repeats, with an interval and a p-value.

    Both models have the same rows, groups and number of repeats. The p-value is that of a two-sided
    paired permutation test (approximate randomisation: Noreen 1989; for F1: Yeh 2000,
    https://aclanthology.org/C00-2137). If the two models were equally good, their predictions for a
    paragraph could be swapped, in all of its repeats at once. Swaps of whole groups measure the
    design effect. The differences after swaps are widened by the other sources of variance (see the
    module). The interval, within -1 and 1, comes from the same differences. With `n_permutations`
    random swaps, the smallest p-value is 1 / (n_permutations + 1).
    """
    value = float(_leads(one, other, np.zeros((1, len(one.true))))[0])
    factor = few_groups_factor(len(one.group_sizes), confidence)
    null_leads = _null_leads(one, other, n_permutations, seed) * factor
    # The tolerance keeps rounding from making equal differences unequal.
    p = (int((np.abs(null_leads) >= abs(value) - 1e-12).sum()) + 1) / (n_permutations + 1)
    half = float(np.quantile(np.abs(null_leads), confidence))
    return Difference(value, max(-1.0, value - half), min(1.0, value + half), p)


def _leads(one: Outcomes, other: Outcomes, swapped: Array) -> Array:
    """Macro-F1 of `one` minus that of `other`, mean over repeats, (d,), in d swaps of predictions.

    `swapped`, (d, n), is 1 for rows whose predictions the models swap, in all repeats, else 0.
    """
    counts, total = one.counts[None], np.zeros(1)
    true = counts @ one.true
    for repeat in range(len(one.scores)):
        first = _hits_and_predictions(one, repeat)
        second = _hits_and_predictions(other, repeat)
        moved = second - first
        changed = np.flatnonzero(moved.any(axis=1))
        change = (counts * swapped)[:, changed] @ moved[changed]
        for sign, sums in ((1, counts @ first + change), (-1, counts @ second - change)):
            hit, predicted = np.split(sums, 2, axis=1)
            total = total + sign * metrics.macro_f1(hit, predicted, true, one.present)
    return np.asarray(total / len(one.scores))


def _hits_and_predictions(outcomes: Outcomes, repeat: int) -> Array:
    """True positives and predictions of a repeat, 0 or 1, (n, 2k)."""
    predicted = outcomes.predicted[repeat]
    return np.hstack([predicted & outcomes.true, predicted]).astype(np.float64)


def _null_leads(one: Outcomes, other: Outcomes, n_permutations: int, seed: int) -> Array:
    """Differences in macro-F1 by chance if no model is better, (n_permutations,).

    They are those after random swaps of rows, times the root of `DESIGN_EFFECT` and of the design
    effect that swaps of whole groups show. Normal noise is added for disagreements that few rows do
    not show, and for unequal gains from more labels. `few_groups_factor` is not applied yet.
    """
    rng = np.random.default_rng(seed)
    first_rows = np.unique(one.groups, return_index=True)[1]
    leads = []
    for d in _steps(n_permutations, len(one.true)):
        swapped = rng.integers(0, 2, size=(d, len(one.true))).astype(np.float64)
        swapped_groups = swapped[:, first_rows][:, one.groups]
        leads.append([_leads(one, other, swapped), _leads(one, other, swapped_groups)])
    row_leads, group_leads = np.concatenate(leads, axis=1)
    effect = float(group_leads.var() / row_leads.var()) if row_leads.any() else 1.0
    effect = shrunk_design_effect(effect, one.group_sizes)
    # Two models may agree on all of a topic's few paragraphs by chance.
    missing = effect * max(0.0, _disagreement_variance(one, other) - float(row_leads.var()))
    # The final models are trained on more labels, from which one may gain more than the other. Both
    # gains mostly deviate in the same direction, so half of the deviation is taken.
    gains = _log_gain(one) ** 2 + _log_gain(other) ** 2
    added = DESIGN_EFFECT * missing + (GAIN_DEVIATION / 2) ** 2 * gains
    null_leads: Array = np.sqrt(DESIGN_EFFECT * effect) * row_leads
    null_leads += np.sqrt(added) * rng.standard_normal(n_permutations)
    return null_leads


def _disagreement_variance(one: Outcomes, other: Outcomes) -> float:
    """Variance of the lead by the shares of each topic's rows in which only one model predicts it.

    The shares are weighted, and shrunk so that the variance is never 0. A topic must be present.
    """
    right = (one.predicted & one.true)[:, :, one.present].mean(axis=0)
    other_right = (other.predicted & other.true)[:, :, one.present].mean(axis=0)
    true, sizes = one.counts[:, None] * one.true[:, one.present], metrics.effective_n_by_topic(one)
    disagreement = (true * (right - other_right) ** 2).sum(axis=0) / true.sum(axis=0)
    shrunken = _shrunken_shares(disagreement, sizes)
    return float((shrunken / sizes).mean() / len(shrunken))


def _log_gain(outcomes: Outcomes) -> float:
    """Error in macro-F1 times the logarithm of the share of labels that models are trained on."""
    train_share = max(metrics.train_share_of_topics(outcomes), LEAST_TRAIN_SHARE)
    return float((1 - metrics.sample_value(outcomes, Tally.macro_f1)) * np.log(train_share))


def _draws(outcomes: Outcomes, n_draws: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Weights (d, n) of the rows in draws of the Bayesian bootstrap (Rubin 1981), in steps.

    The weights are exponential, times those of the rows. In the first array rows are drawn, in the
    second groups, each with the exponential weight of its first row.
    """
    rng = np.random.default_rng(seed)
    first_rows = np.unique(outcomes.groups, return_index=True)[1]
    for d in _steps(n_draws, len(outcomes.true)):
        rows = rng.exponential(size=(d, len(outcomes.groups)))
        yield rows * outcomes.counts, rows[:, first_rows][:, outcomes.groups] * outcomes.counts


def _steps(n: int, n_rows: int) -> Iterator[int]:
    """Sizes of the steps in which n draws of `n_rows` weights are taken: 600 → 250, 250, 100."""
    step = max(1, min(DRAWS_AT_ONCE, MOST_WEIGHTS // max(1, n_rows)))
    for start in range(0, n, step):
        yield min(step, n - start)
