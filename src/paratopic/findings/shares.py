"""Shares of topics in a corpus: mean predictions for all texts, corrected by labels of some texts.

Counted predictions are biased estimates of shares: a model misses rare topics and mistakes them for
frequent ones. So the mean of the probabilities is corrected by the mean residual of labelled texts
that were drawn at random (prediction-powered inference: Angelopoulos et al. 2023, Science 382,
669-674; with a factor on the predictions: Angelopoulos, Duchi & Zrnic 2023, arXiv:2311.01453; for
corpora like these: Egami et al. 2023, arXiv:2306.04746). A useless model then costs nothing, and a
good model narrows intervals as further labels would. All probabilities are from models that were
not trained on the text's article (cross-prediction: Zrnic & Candès 2024, arXiv:2309.16598).

Intervals are those of a binomial share (Wilson 1927) whose number of independent labels has the
same variance. This module reads no files and draws no samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import stdtrit

from paratopic.corpus.effective import effective_size, group_sums
from paratopic.evaluation.intervals import LEAST_ARTICLES, LEAST_LABELS, Estimate, modified_wilson
from paratopic.inference.modes import SMALLEST, Array, Integers, ratio

# Values that are equal in theory may differ by this much, because of rounding.
ROUNDING = 1e-9
# Squared errors that are added, because few labels may have none by chance. EXTRA is added to both
# variances where that of residuals is compared with that of labels, and EXTRA_OF_TREND to a trend.
EXTRA, EXTRA_OF_TREND = 2.0, 0.5
# The labels of a part need this effective sample size for an interval.
LEAST_EFFECTIVE = LEAST_LABELS / 2
N_PERMUTATIONS = 9_999


def n_effective_labels(counts: Array) -> int:
    """Sum the effective counts of labels, (n,), and round down."""
    return int(counts.sum() + ROUNDING)


@dataclass(frozen=True)
class Sample:
    """A corpus of N texts, of which n were drawn at random and labelled; K outcomes.

    Parameters
    ----------
    probabilities
        (N, K) calibrated, by models that were not trained on the text's article. All are 0 if there
        are no such models: shares then rest on labels only.
    labelled
        (n,) numbers of the labelled texts.
    truth
        (n, K) whether each labelled text has each outcome.
    weights
        (n,) relative number of texts that each labelled text stands for.
    effective_counts
        (n,) effective count of each label, 0 to 1.
    articles
        (n,) numbers of the articles that the labelled texts are from, if whole articles were drawn;
        None, the default, if each text was drawn by itself.
    exclusive
        Whether each text has exactly one of the outcomes, so that shares sum to 1.
    rate
        Share of the texts without a label that these models predicted. They are a random sample, by
        which `population.corrected_predictions` corrects another model's probabilities for all
        texts. 1 by default.
    noise
        (N, K) variance that this correction adds to the probability of each text; None, the
        default, for none.
    clusters
        (N,) numbers of the texts' articles, if intervals are for further articles like these; None,
        the default, if they are for these texts only.
    """

    probabilities: Array
    labelled: Integers
    truth: Array
    weights: Array
    effective_counts: Array
    articles: Integers | None = None
    exclusive: bool = False
    rate: float = 1.0
    noise: Array | None = None
    clusters: Integers | None = None

    @cached_property
    def factor(self) -> float:
        """Factor on the predictions, 0 to 1, with the least sum of the variances of the shares.

        All outcomes have the same factor, so that shares of exclusive outcomes sum to 1. Variances
        are relative to those of the labels, so that a rare outcome counts as much as a frequent
        one. The factor is 0 if all labelled texts have the same prediction.
        """
        predicted = self.probabilities[self.labelled]
        weights = self.weights / self.weights.sum()
        predicted, true = predicted - weights @ predicted, self.truth - weights @ self.truth
        noise = weights @ true**2 + EXTRA / len(weights)
        variance = float((weights @ predicted**2 / noise).sum())
        covariance = float((weights @ (predicted * true) / noise).sum())
        return min(1.0, max(0.0, covariance / variance)) if variance > ROUNDING else 0.0

    @cached_property
    def residuals(self) -> Array:
        """Labels minus predictions times `factor`, (n, K)."""
        return np.asarray(self.truth - self.factor * self.probabilities[self.labelled])

    @property
    def has_predictions(self) -> bool:
        """Whether anything is predicted; if not, shares rest on labels only."""
        return bool(self.probabilities.any())

    def without_predictions(self) -> Self:
        """Return the sample without predictions, so that shares rest on labels only."""
        return replace(self, probabilities=np.zeros_like(self.probabilities), rate=1.0, noise=None)

    def for_part(self, masses: Array) -> Self:
        """Return the sample, without predictions if too few texts (`LEAST_LABELS`) have any."""
        n_predicted = self.rate * np.count_nonzero(self.unlabelled_masses(masses))
        return self if self.rate == 1 or n_predicted >= LEAST_LABELS else self.without_predictions()

    def variance(self, masses: Array) -> Array:
        """Variance, (K,), that `noise` adds to the sum of predictions times `factor` and masses."""
        if self.noise is None:
            return np.zeros(self.truth.shape[1])
        return np.asarray((self.factor * masses) ** 2 @ self.noise)

    def n_labels(self, masses: Array) -> int:
        """Sum of the effective counts of the labels in a part of the corpus."""
        return n_effective_labels(self.effective_counts[masses[self.labelled] > 0])

    def is_fully_labelled(self, masses: Array) -> bool:
        """Whether all texts of a part are labelled, and intervals are for no others."""
        return self.clusters is None and not self.unlabelled_masses(masses).any()

    def unlabelled_masses(self, masses: Array) -> Array:
        """Masses, (N,), with 0 for each labelled text."""
        unlabelled = masses.copy()
        unlabelled[self.labelled] = 0.0
        return unlabelled

    def n_sampling_units(self, masses: Array) -> int:
        """Number of labels in a part, or of its articles if these vary; 0 if too few for intervals.

        The number of labels is at most their effective size. If articles were drawn, those with
        labels count; if intervals are for further ones, all do. Intervals need `LEAST_LABELS`
        labels, the effective size `LEAST_EFFECTIVE` and, if these vary, `LEAST_ARTICLES` articles.
        """
        weights = self.weights[masses[self.labelled] > 0]
        # A few high weights among many low ones leave a small effective sample size.
        n_labels, effective = self.n_labels(masses), float(effective_size(weights))
        if n_labels < LEAST_LABELS or effective < LEAST_EFFECTIVE:
            return 0
        if self.clusters is not None:
            n_articles = len(np.unique(self.clusters[masses > 0]))
        elif self.articles is not None:
            n_articles = len(np.unique(self.articles[self.weights * masses[self.labelled] > 0]))
        else:
            return min(n_labels, round(effective))
        return n_articles if n_articles >= LEAST_ARTICLES else 0


@dataclass(frozen=True)
class Part:
    """Shares of the outcomes in a part of a corpus.

    Parameters
    ----------
    n_labels
        Effective number of labels in the part.
    is_borrowed
        Whether the part has so few labels that its shares rest on those of other parts. This
        assumes that the model errs alike in all parts.
    is_count
        Whether all texts of the part are labelled, so that its shares are a count.
    """

    shares: tuple[Estimate, ...]
    n_labels: int
    is_borrowed: bool = False
    is_count: bool = False


def _estimates(*ends: Array) -> tuple[Estimate, ...]:
    """Estimates from K values, and from the K lower and upper ends of intervals if given."""
    return tuple(Estimate(*map(float, row)) for row in zip(*ends, strict=True))


def shares(sample: Sample, masses: Array, confidence: float) -> Part:
    """Estimate shares of the outcomes in a corpus or a part of it, from its own labels.

    A share is the mean prediction times `Sample.factor`, plus the weighted mean of the residuals,
    moved to valid shares (`nearest_shares`). With less than one effective label in the part, it is
    the mean prediction (`Part.is_borrowed`), or NaN if nothing is predicted, without an interval.
    If all texts are labelled, shares are a count, and their intervals have no width.

    Parameters
    ----------
    masses
        (N,) 0 for each text outside of the part. For others, 1, the number of copies or of words.
    confidence
        Confidence of the intervals, such as 0.95. There are none if `Sample.n_sampling_units` is 0.
    """
    if sample.is_fully_labelled(masses):
        values = masses[sample.labelled] @ sample.truth / masses.sum()
        n = int(np.count_nonzero(masses[sample.labelled]))
        return Part(_estimates(values, values, values), n, is_count=True)
    sample = sample.for_part(masses)
    n_labels = sample.n_labels(masses)
    means = masses @ sample.probabilities / masses.sum()
    if not n_labels:
        values = means if sample.has_predictions else np.full_like(means, np.nan)
        return Part(_estimates(values), 0, is_borrowed=sample.has_predictions)
    correction = _correction(sample, masses)
    values = nearest_shares(sample.factor * means + correction.mean, sample.exclusive)
    n_units = sample.n_sampling_units(masses)
    if not n_units:
        return Part(_estimates(values), n_labels)
    sizes = _equivalent_sizes(sample, masses, correction)
    freedom = np.full(len(values), n_units - 1.0)
    errors = _article_errors(sample, masses, correction, values)
    if errors is not None:
        # A drawn article, with all its labels, counts as half a text or more.
        least = n_units / 2 if sample.clusters is None else 1.0
        sizes = _clustered_sizes(sizes, errors, n_units, values, least)
        freedom = _degrees_of_freedom(errors, n_units - 1)
    quantile = np.asarray(stdtrit(freedom, (1 + confidence) / 2), dtype=np.float64)
    low, high = modified_wilson(values, sizes, confidence, quantile)
    # An outcome of no label may have a share of 0, and an outcome of all labels a share of 1.
    truth = sample.truth[correction.label_weights > 0]
    low, high = np.where(truth.any(axis=0), low, 0.0), np.where(truth.all(axis=0), 1.0, high)
    return Part(_estimates(values, low, high), n_labels)


def shares_of_parts(sample: Sample, masses: Sequence[Array], confidence: float) -> list[Part]:
    """Estimate shares of the outcomes in parts of a corpus, such as months or outlets.

    The correction of a part is the mean residual (label minus prediction) of its labels. With fewer
    than `LEAST_LABELS`, it is shrunken towards that of all labels: the more, the fewer labels the
    part has and the less parts differ beyond chance (DerSimonian & Laird 1986). Such a part
    (`Part.is_borrowed`) has no interval, because so few labels cannot show how far its correction
    lies from the overall one. Other parts, and all if nothing is predicted, are those of `shares`.
    `masses` has an array for each part, (N,) as for `shares`; the result is in the same order.
    """
    parts = [shares(sample, part, confidence) for part in masses]
    overall = _correction(sample, np.sum(masses, axis=0))
    spread = _between_part_variance(sample, masses, overall)
    for number, (part, mass) in enumerate(zip(parts, masses, strict=True)):
        if part.is_count or part.n_labels >= LEAST_LABELS or not sample.has_predictions:
            continue
        mean = overall.mean
        if part.n_labels:
            correction = _correction(sample, mass)
            shrinkage = ratio(spread, spread + overall.variance / correction.size)
            mean = shrinkage * correction.mean + (1 - shrinkage) * overall.mean
        known = mass[sample.labelled] @ sample.truth
        estimated = sample.unlabelled_masses(mass) @ (sample.factor * sample.probabilities + mean)
        values = nearest_shares((known + estimated) / mass.sum(), sample.exclusive)
        parts[number] = Part(_estimates(values), part.n_labels, is_borrowed=True)
    return parts


def nearest_shares(values: Array, exclusive: bool) -> Array:
    """Move K estimates to the nearest valid shares: 0 to 1, and if exclusive with the sum 1.

    The latter is a projection onto the simplex (Duchi et al. 2008, ICML, 272-279).

    >>> nearest_shares(np.array([0.75, 0.5, -0.25]), True)
    array([0.625, 0.375, 0.   ])
    """
    if not exclusive:
        return np.clip(values, 0.0, 1.0)
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(values) + 1)
    return np.asarray(np.maximum(values - excess[np.flatnonzero(ordered > excess)[-1]], 0.0))


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Share of one part minus that of another part, which has no texts in common with it.

    The interval combines those of both shares (Newcombe 1998, Statistics in Medicine 17, 873-890).
    There is none if either share has none.
    """
    value = one.value - other.value
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Estimate(value)
    low = value - np.hypot(one.value - one.low, other.high - other.value)
    high = value + np.hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, float(low), float(high))


def trend(sample: Sample, masses: Array, times: Array, confidence: float) -> tuple[Estimate, ...]:
    """Estimate the change of each outcome's share in one unit of time, by a straight line.

    It is the slope of `adjusted_outcomes` on `times`, (N,), by least squares; 0 with no interval if
    there are no labels or one time only. Times of texts with mass 0 are ignored. Intervals rest on
    robust standard errors, clustered by article if `Sample.n_sampling_units` counts articles. If
    that is 0, there are none; if all texts are labelled, they have no width.
    """
    n_labels, n_units = sample.n_labels(masses), sample.n_sampling_units(masses)
    sample, times = sample.for_part(masses), np.where(masses > 0, times, 0.0)
    deviations = times - masses @ times / masses.sum()
    spread = float(masses @ deviations**2) / masses.sum()
    if not spread or not n_labels:
        return _estimates(np.zeros(sample.truth.shape[1]))
    slopes = sample.factor * ((masses * deviations) @ sample.probabilities) / masses.sum() / spread
    correction = _correction(sample, masses)
    label_weights, leverage = correction.label_weights, deviations[sample.labelled] / spread
    label_slopes = leverage[:, None] * (sample.residuals - correction.mean)
    slopes = slopes + label_weights @ label_slopes
    if sample.is_fully_labelled(masses):
        return _estimates(slopes, slopes, slopes)
    if not n_units:
        return _estimates(slopes)
    errors = label_weights[:, None] * (label_slopes - label_weights @ label_slopes)
    influence = (label_weights * leverage)[:, None]
    freedom, clusters = np.full(len(slopes), n_units - 2.0), sample.articles
    if sample.clusters is not None:
        outcomes, clusters = adjusted_outcomes(sample, masses), sample.clusters
        influence = (masses * deviations / masses.sum() / spread)[:, None]
        line = masses @ outcomes / masses.sum() + deviations[:, None] * slopes
        errors = influence * (outcomes - line)
    if clusters is not None:
        errors, influence = group_sums(errors, clusters), group_sums(influence, clusters)
        freedom = _degrees_of_freedom(errors, n_units - 2)
    noise = (errors**2).sum(axis=0) + EXTRA_OF_TREND / n_labels * (influence**2).sum()
    if sample.clusters is None:
        noise = noise + sample.variance(masses * deviations / masses.sum() / spread)
    standard_error = np.sqrt(n_units / (n_units - 2) * noise)
    margin = stdtrit(freedom, (1 + confidence) / 2) * standard_error
    return _estimates(slopes, slopes - margin, slopes + margin)


def adjusted_outcomes(sample: Sample, masses: Array) -> Array:
    """Outcomes of single texts to regress on, (N, K), whose mean is the share.

    Each is the prediction times `Sample.factor`, plus the mean residual. Labelled texts add the
    difference of their own residual from that mean, over the chance with which they were drawn.
    Some values are below 0 or above 1. Regressions on them are unbiased even if the model's errors
    depend on the regressors; regressions on predictions are not (Egami et al. 2023,
    arXiv:2306.04746).
    """
    correction = _correction(sample, masses)
    outcomes: Array = sample.factor * sample.probabilities + correction.mean
    inverse_chances = sample.weights * masses.sum() / (sample.weights @ masses[sample.labelled])
    gaps = sample.residuals - correction.mean
    outcomes[sample.labelled] += inverse_chances[:, None] * gaps
    return outcomes


@dataclass(frozen=True)
class _Correction:
    """Mean residual of the labels of a part.

    Parameters
    ----------
    label_weights
        (n,) weight of each label in the part; they sum to 1.
    mean, variance
        (K,) of the residuals.
    size
        Number of labels of equal weight with the same variance of the mean.
    """

    label_weights: Array
    mean: Array
    variance: Array
    size: float


def _correction(sample: Sample, masses: Array) -> _Correction:
    weights = sample.weights * masses[sample.labelled]
    label_weights = weights / weights.sum()
    mean = label_weights @ sample.residuals
    variance = label_weights @ (sample.residuals - mean) ** 2
    return _Correction(label_weights, mean, variance, float(effective_size(weights)))


def _between_part_variance(sample: Sample, masses: Sequence[Array], overall: _Correction) -> Array:
    """Variance of parts' corrections beyond chance, (K,) (DerSimonian & Laird); 0 with one part."""
    corrections = [_correction(sample, mass) for mass in masses if sample.n_labels(mass)]
    sizes = np.array([correction.size for correction in corrections])
    if len(corrections) < 2:
        return np.zeros_like(overall.mean)
    means = np.array([correction.mean for correction in corrections])
    gaps = sizes @ (means - sizes @ means / sizes.sum()) ** 2
    excess = gaps - (len(corrections) - 1) * overall.variance
    return np.asarray(np.maximum(0.0, excess / (sizes.sum() - sizes @ sizes / sizes.sum())))


def _equivalent_sizes(sample: Sample, masses: Array, correction: _Correction) -> Array:
    """Numbers of independent labels, (K,), with each share's variance if texts are drawn singly."""
    residuals = sample.residuals - correction.mean
    labels = sample.truth - correction.label_weights @ sample.truth
    # In units of the mean label, so that EXTRA has the same effect with any weights.
    squared = (correction.label_weights * correction.size) ** 2
    label_variance = (squared @ labels**2 + EXTRA) / correction.size
    sizes = correction.size * label_variance * correction.size / (squared @ residuals**2 + EXTRA)
    if sample.articles is None and sample.clusters is None:
        # Labelled texts are certain, so a group whose texts are all labelled adds no variance.
        weights = sample.weights * (masses[sample.labelled] > 0)
        texts = np.maximum(1.0, weights / weights.sum() * (np.count_nonzero(masses) + 1))
        noise_left = correction.label_weights**2 @ (1 - 1 / texts)
        sizes = sizes * (correction.label_weights @ correction.label_weights) / noise_left
    # The variance of a share is that of the labels over their number, plus that of predictions.
    added = sample.variance(masses / masses.sum()) / label_variance
    return np.asarray(sizes / (1 + sizes * added))


def _article_errors(
    sample: Sample, masses: Array, correction: _Correction, values: Array
) -> Array | None:
    """Contributions of G articles to errors of `values`, (K,), (G, K); None if texts were drawn."""
    if sample.clusters is not None:
        gaps = masses[:, None] * (adjusted_outcomes(sample, masses) - values) / masses.sum()
        return group_sums(gaps[masses > 0], sample.clusters[masses > 0])
    if sample.articles is not None:
        weights, gaps = correction.label_weights[:, None], sample.residuals - correction.mean
        return group_sums(weights * gaps, sample.articles)
    return None


def _clustered_sizes(sizes: Array, errors: Array, n: int, values: Array, least: float) -> Array:
    """Lower sizes, (K,), to values (1 - values) / variance by article, but not below `least`."""
    variance = n / (n - 1) * (errors**2).sum(axis=0)
    unlimited = np.full_like(values, np.inf)
    independent = np.divide(values * (1 - values), variance, out=unlimited, where=variance > 0)
    return np.asarray(np.maximum(np.minimum(sizes, independent), least))


def _degrees_of_freedom(errors: Array, most: int) -> Array:
    """Degrees of freedom, (K,), from the errors of G articles, (G, K); fewer for rare topics."""
    return np.clip(effective_size((errors**2).T), LEAST_ARTICLES - 2, most)


def equal_errors_p(sample: Sample, masses: Sequence[Array], seed: int) -> float | None:
    """Test whether the model errs alike in all parts, by permutations.

    Residuals of labels, or of articles if these were drawn, are permuted, and weights stay in
    place. Differences are in units of their own standard errors (Chung & Romano 2013, Annals of
    Statistics 41, 484-507), because parts may differ in weights and in variance. A text in several
    parts counts in that of its largest mass.

    The result is the p-value of the outcome whose corrections differ most, times the number of
    outcomes (Bonferroni), at most 1; None with labels in fewer than two parts.
    """
    label_masses = np.array([mass[sample.labelled] for mass in masses])
    inside = label_masses.any(axis=0)
    part = label_masses.argmax(axis=0)[inside]
    weights = (sample.weights * label_masses.max(axis=0))[inside]
    if len({*part.tolist()}) < 2:
        return None
    residuals = sample.residuals[inside]
    if sample.articles is not None:
        unit = sample.articles[inside] * len(masses) + part
        sums = group_sums(np.column_stack([weights, weights[:, None] * residuals]), unit)
        part = part[np.unique(unit, return_index=True)[1]]
        weights, residuals = sums[:, 0], ratio(sums[:, 1:], sums[:, :1])
    in_part = np.eye(len(masses))[part].T[np.unique(part)]  # a row for each part with labels
    linear, square = in_part * weights, in_part * weights**2
    total = linear.sum(axis=1)[:, None]
    # Few labels may have no variance by chance, so each part gets the variance of EXTRA more.
    extra = EXTRA * square.sum(axis=1)[:, None] / in_part.sum(axis=1)[:, None] * residuals.var(0)

    def gaps(rows: Array) -> Array:
        """Squared differences of the parts' mean residuals from a common one, over variances."""
        means = linear @ rows / total
        noise = square @ rows**2 - 2 * means * (square @ rows) + means**2 * square.sum(1)[:, None]
        precision = total**2 / np.maximum(noise + extra, SMALLEST)
        common = (precision * means).sum(axis=0) / precision.sum(axis=0)
        return np.asarray((precision * (means - common) ** 2).sum(axis=0))

    rng, least = np.random.default_rng(seed), gaps(residuals) * (1 - ROUNDING)
    reached = sum((gaps(rng.permutation(residuals)) >= least) for _ in range(N_PERMUTATIONS))
    p = (np.asarray(reached) + 1) / (N_PERMUTATIONS + 1)
    return min(1.0, float(p.min() * len(p)))
