"""Shares of topics in a corpus: what models predict for all texts, corrected by labels of some.

Counted predictions are no shares: a model misses rare topics and mistakes them for frequent ones.
So the mean of the probabilities is corrected by how far probabilities are from the labels, on
labelled texts that were drawn at random (prediction-powered inference: Angelopoulos et al. 2023,
Science 382, 669-674; with a factor on the predictions: Angelopoulos, Duchi & Zrnic 2023,
arXiv:2311.01453; for such corpora: Egami et al. 2023, arXiv:2306.04746). A useless model then costs
nothing, and a good one is worth further labels. All probabilities are by models that did not learn
from the text's article (cross-prediction: Zrnic & Candès 2024, arXiv:2309.16598).

Intervals are those of a binomial share (Wilson 1927) of as many independent labels as leave the
same noise. Nothing is read or drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import stdtrit

from paratopic.corpus.effective import effective_size, summed
from paratopic.evaluation.intervals import LEAST_ARTICLES, LEAST_LABELS, Estimate, modified_wilson
from paratopic.inference.modes import SMALLEST, Array, Integers, ratio

# Sums of weights are whole numbers, and predictions all the same, but for rounding.
ROUNDING = 1e-9
# Squared errors that are added, because few labels may happen to have none: to both sides where the
# noise of predictions is compared with that of labels, and to the noise of a trend.
EXTRA, EXTRA_OF_TREND = 2.0, 0.5
# Number of labels of equal weight, at least, that those of a part have to be worth for an interval.
LEAST_EFFECTIVE = LEAST_LABELS / 2
N_PERMUTATIONS = 9_999


def size_of(counts: Array) -> int:
    """Number of labels by their effective counts, (n,): chosen ones count in part."""
    return int(counts.sum() + ROUNDING)


@dataclass(frozen=True)
class Sample:
    """A corpus of N texts, of which n were drawn at random and labelled; K outcomes.

    Parameters
    ----------
    probabilities
        (N, K) calibrated, by models that did not learn from the text's article. All are 0 where
        there are no such models: then shares rest on labels alone.
    labelled
        (n,) numbers of the labelled texts.
    truth
        (n, K) whether each labelled text has each outcome.
    weights
        (n,) how much of the corpus each labelled text stands for beside the others.
    effective_counts
        (n,) how much each label tells beside one that was drawn at random, 0 to 1.
    articles
        (n,) numbers of the articles that the labelled texts are from, if whole articles were drawn;
        None, the default, if each text was drawn by itself.
    exclusive
        Whether each text has exactly one of the outcomes, so that shares sum to 1.
    rate
        Share of the texts without a label that such models predicted: a random sample of them, by
        which the probabilities of another model are corrected for all (`population.nested`). 1 by
        default.
    noise
        (N, K) variance that this adds to the probability of each text; None, the default, for none.
    clusters
        (N,) numbers of the texts' articles, if intervals are for further articles like these; None,
        the default, if they are for these texts alone.
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
        """How far predictions are trusted, from 0 to 1: what leaves the least noise in all shares.

        It is one for all outcomes, so that shares of outcomes that exclude each other sum to 1.
        Noise is measured beside that of the labels alone, so that a rare outcome counts as much as
        a frequent one.
        """
        known = self.probabilities[self.labelled]
        weights = self.weights / self.weights.sum()
        predicted, true = known - weights @ known, self.truth - weights @ self.truth
        noise = weights @ true**2 + EXTRA / len(weights)
        spread = float((weights @ predicted**2 / noise).sum())
        shared = float((weights @ (predicted * true) / noise).sum())
        return min(1.0, max(0.0, shared / spread)) if spread > ROUNDING else 0.0

    @cached_property
    def residuals(self) -> Array:
        """Labels minus predictions times `factor`, (n, K)."""
        residuals: Array = self.truth - self.factor * self.probabilities[self.labelled]
        return residuals

    @property
    def predicts(self) -> bool:
        """Whether anything is predicted: if not, shares rest on labels alone."""
        return bool(self.probabilities.any())

    def without_predictions(self) -> Self:
        """The same sample with nothing predicted, so that shares rest on labels alone."""
        return replace(self, probabilities=np.zeros_like(self.probabilities), rate=1.0, noise=None)

    def for_part(self, masses: Array) -> Self:
        """The sample, without predictions if these are of too few texts to correct the others."""
        n_predicted = self.rate * np.count_nonzero(self.unknown(masses))
        return self if self.rate == 1 or n_predicted >= LEAST_LABELS else self.without_predictions()

    def variance(self, masses: Array) -> Array:
        """Variance of the sum of predictions, (K,), of which each text's has this mass."""
        if self.noise is None:
            return np.zeros(self.truth.shape[1])
        return np.asarray((self.factor * masses) ** 2 @ self.noise)

    def size(self, masses: Array) -> int:
        """Number of labels in a part of the corpus; those that were not drawn at random in part."""
        return size_of(self.effective_counts[masses[self.labelled] > 0])

    def is_counted(self, masses: Array) -> bool:
        """Whether all texts of a part are labelled, and intervals are for no others."""
        return self.clusters is None and not self.unknown(masses).any()

    def unknown(self, masses: Array) -> Array:
        """How much each text counts that has no label, (N,)."""
        unknown = masses.copy()
        unknown[self.labelled] = 0.0
        return unknown

    def units(self, masses: Array) -> int:
        """Number of labels in a part, or of articles if these were drawn or if intervals are for
        further ones; 0 if too few for any interval.
        """
        weights = self.weights[masses[self.labelled] > 0]
        # Few labels with high weights among many with low ones tell little.
        n_labels, effective = self.size(masses), float(effective_size(weights))
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
        Number of labelled texts of the part that the shares rest on.
    borrowed
        Whether the part has so few labels that its shares rest on those of other parts: on the
        assumption that the model errs alike here and there.
    counted
        Whether all of its texts are labelled, so that its shares are a count.
    """

    shares: tuple[Estimate, ...]
    n_labels: int
    borrowed: bool = False
    counted: bool = False


def _shares(*ends: Array) -> tuple[Estimate, ...]:
    """Shares from their values and the ends of their intervals, if they have any; (K,) each."""
    return tuple(Estimate(*map(float, each)) for each in zip(*ends, strict=True))


def shares(sample: Sample, masses: Array, confidence: float) -> Part:
    """Shares of the outcomes in a corpus or a part of it, from its own labels.

    Parameters
    ----------
    masses
        (N,) how much each text counts, 0 for those outside of the part: 1, its number of copies, or
        its number of words.
    confidence
        Confidence of the intervals, such as 0.95. There are none if there are fewer than
        `LEAST_LABELS` labels, or fewer than `LEAST_ARTICLES` articles that were drawn. Where all
        texts are labelled, shares are a count, and their intervals have no width.
    """
    if sample.is_counted(masses):
        values = masses[sample.labelled] @ sample.truth / masses.sum()
        n = int(np.count_nonzero(masses[sample.labelled]))
        return Part(_shares(values, values, values), n, counted=True)
    sample = sample.for_part(masses)
    n_labels = sample.size(masses)
    everywhere = masses @ sample.probabilities / masses.sum()
    if not n_labels:
        known = everywhere if sample.predicts else np.full_like(everywhere, np.nan)
        return Part(_shares(known), 0, borrowed=sample.predicts)
    own = _correction(sample, masses)
    values = possible(sample.factor * everywhere + own.mean, sample.exclusive)
    if not (units := sample.units(masses)):
        return Part(_shares(values), n_labels)
    sizes, freedom = _sizes(sample, masses, own), np.full(len(values), units - 1.0)
    if (errors := _errors_of_articles(sample, masses, own, values)) is not None:
        # An article that was drawn, with all its labels, tells at least as much as half a text.
        least = units / 2 if sample.clusters is None else 1.0
        sizes = _sizes_of_articles(sizes, errors, units, values, least)
        freedom = _freedom(errors, units - 1)
    quantile = np.asarray(stdtrit(freedom, (1 + confidence) / 2), dtype=np.float64)
    low, high = modified_wilson(values, sizes, confidence, quantile)
    # What none of the labels has may not be there at all, and what all have may be all there is.
    counted = sample.truth[own.of_labels > 0]
    low, high = np.where(counted.any(axis=0), low, 0.0), np.where(counted.all(axis=0), 1.0, high)
    return Part(_shares(values, low, high), n_labels)


def shares_of_parts(sample: Sample, masses: Sequence[Array], confidence: float) -> list[Part]:
    """Shares of the outcomes in parts of a corpus, such as months or outlets.

    A part with fewer labels than `LEAST_LABELS` borrows from the others: its correction is drawn
    to that of all labels, the more so the fewer it has and the less parts differ beyond chance
    (DerSimonian & Laird 1986). It has no interval, because nothing tells how far it is from the
    others. The labels that it has are known.
    """
    parts = [shares(sample, part, confidence) for part in masses]
    overall = _correction(sample, np.sum(masses, axis=0))
    spread = _spread_of_parts(sample, masses, overall)
    for number, (part, mass) in enumerate(zip(parts, masses, strict=True)):
        if part.counted or part.n_labels >= LEAST_LABELS or not sample.predicts:
            continue
        mean = overall.mean
        if part.n_labels:
            own = _correction(sample, mass)
            shrinkage = ratio(spread, spread + overall.variance / own.size)
            mean = shrinkage * own.mean + (1 - shrinkage) * overall.mean
        known, unknown = mass[sample.labelled] @ sample.truth, sample.unknown(mass)
        others = unknown @ (sample.factor * sample.probabilities + mean)
        values = possible((known + others) / mass.sum(), sample.exclusive)
        parts[number] = Part(_shares(values), part.n_labels, borrowed=True)
    return parts


def possible(values: Array, exclusive: bool) -> Array:
    """The nearest shares that there can be to K estimates: 0 to 1, if exclusive with the sum 1.

    >>> possible(np.array([0.75, 0.5, -0.25]), True)
    array([0.625, 0.375, 0.   ])

    Parameters
    ----------
    exclusive
        Whether outcomes exclude each other, and one of them holds (projection onto the simplex:
        Duchi et al. 2008, ICML, 272-279).
    """
    if not exclusive:
        return np.clip(values, 0.0, 1.0)
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(values) + 1)
    return np.asarray(np.maximum(values - excess[np.flatnonzero(ordered > excess)[-1]], 0.0))


def difference(one: Estimate, other: Estimate) -> Estimate:
    """The share of one part minus that of another, whose texts are others.

    The interval combines those of both shares (Newcombe 1998, Statistics in Medicine 17, 873-890).
    """
    value = one.value - other.value
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Estimate(value)
    low = value - np.hypot(one.value - one.low, other.high - other.value)
    high = value + np.hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, float(low), float(high))


def trend(sample: Sample, masses: Array, times: Array, confidence: float) -> tuple[Estimate, ...]:
    """Change of each outcome's share for each unit of time: the slope of a line through the texts.

    Times are (N,), and those of texts with mass 0 may be any.
    """
    n_labels, units = sample.size(masses), sample.units(masses)
    sample, times = sample.for_part(masses), np.where(masses > 0, times, 0.0)
    away = times - masses @ times / masses.sum()
    spread = float(masses @ away**2) / masses.sum()
    if not spread or not n_labels:
        return _shares(np.zeros(sample.truth.shape[1]))
    slopes = sample.factor * ((masses * away) @ sample.probabilities) / masses.sum() / spread
    own = _correction(sample, masses)
    of_labels, leverage = own.of_labels, away[sample.labelled] / spread
    leans = leverage[:, None] * (sample.residuals - own.mean)
    slopes = slopes + of_labels @ leans
    if sample.is_counted(masses):
        return _shares(slopes, slopes, slopes)
    if not units:
        return _shares(slopes)
    contributions = of_labels[:, None] * (leans - of_labels @ leans)
    pull = (of_labels * leverage)[:, None]
    freedom, clusters = np.full(len(slopes), units - 2.0), sample.articles
    if sample.clusters is not None:
        outcomes, clusters = adjusted(sample, masses), sample.clusters
        pull = (masses * away / masses.sum() / spread)[:, None]
        line = masses @ outcomes / masses.sum() + away[:, None] * slopes
        contributions = pull * (outcomes - line)
    if clusters is not None:
        contributions, pull = (summed(each, clusters) for each in (contributions, pull))
        freedom = _freedom(contributions, units - 2)
    noise = (contributions**2).sum(axis=0) + EXTRA_OF_TREND / n_labels * (pull**2).sum()
    if sample.clusters is None:
        noise = noise + sample.variance(masses * away / masses.sum() / spread)
    error = np.sqrt(units / (units - 2) * noise)
    reach = stdtrit(freedom, (1 + confidence) / 2) * error
    return _shares(slopes, slopes - reach, slopes + reach)


def adjusted(sample: Sample, masses: Array) -> Array:
    """Outcomes of single texts to regress on, (N, K), whose mean is the share.

    Each is the prediction times `Sample.factor`, plus the mean residual. Labelled texts add how far
    their own residual is from that mean, over the chance with which they were drawn. Some are below
    0 or above 1. Regressions on them are unbiased whatever the model's errors depend on; those on
    predictions are not (Egami et al. 2023, arXiv:2306.04746).
    """
    own = _correction(sample, masses)
    outcomes: Array = sample.factor * sample.probabilities + own.mean
    chances = sample.weights * masses.sum() / (sample.weights @ masses[sample.labelled])
    outcomes[sample.labelled] += chances[:, None] * (sample.residuals - own.mean)
    return outcomes


@dataclass(frozen=True)
class _Correction:
    """What the labels of a part say of the residuals.

    Parameters
    ----------
    of_labels
        (n,) how much each label counts in the part; they sum to 1.
    mean, variance
        (K,) of the residuals.
    size
        Number of labels of equal weight that tell as much.
    """

    of_labels: Array
    mean: Array
    variance: Array
    size: float


def _correction(sample: Sample, masses: Array) -> _Correction:
    weights = sample.weights * masses[sample.labelled]
    of_labels = weights / weights.sum()
    mean = of_labels @ sample.residuals
    variance = of_labels @ (sample.residuals - mean) ** 2
    return _Correction(of_labels, mean, variance, float(effective_size(weights)))


def _spread_of_parts(sample: Sample, masses: Sequence[Array], overall: _Correction) -> Array:
    """Variance of the parts' corrections beyond chance, (K,)."""
    own = [_correction(sample, mass) for mass in masses if sample.size(mass)]
    sizes = np.array([part.size for part in own])
    if len(own) < 2:
        return np.zeros_like(overall.mean)
    means = np.array([part.mean for part in own])
    gaps = sizes @ (means - sizes @ means / sizes.sum()) ** 2
    beyond = gaps - (len(own) - 1) * overall.variance
    spread: Array = np.maximum(0.0, beyond / (sizes.sum() - sizes @ sizes / sizes.sum()))
    return spread


def _sizes(sample: Sample, masses: Array, own: _Correction) -> Array:
    """Number of independent labels that each share rests on, (K,), if each text was drawn alone."""
    residuals, labels = sample.residuals - own.mean, sample.truth - own.of_labels @ sample.truth
    # In units of the mean label: the extra errors are worth as much with any weights.
    squared = (own.of_labels * own.size) ** 2
    of_labels = (squared @ labels**2 + EXTRA) / own.size
    sizes = own.size * of_labels * own.size / (squared @ residuals**2 + EXTRA)
    if sample.articles is None and sample.clusters is None:
        # What is labelled is known: of a group that is labelled as a whole nothing is uncertain.
        weights = sample.weights * (masses[sample.labelled] > 0)
        texts = np.maximum(1.0, weights / weights.sum() * (np.count_nonzero(masses) + 1))
        noise_left = own.of_labels**2 @ (1 - 1 / texts)
        sizes = sizes * (own.of_labels @ own.of_labels) / noise_left
    # Shares vary by that of the labels over their number; what the predictions add comes on top.
    added = sample.variance(masses / masses.sum()) / of_labels
    return np.asarray(sizes / (1 + sizes * added))


def _errors_of_articles(
    sample: Sample, masses: Array, own: _Correction, values: Array
) -> Array | None:
    """How much each article adds to the errors of the shares, (G, K); None if texts were drawn."""
    if sample.clusters is not None:
        gaps = masses[:, None] * (adjusted(sample, masses) - values) / masses.sum()
        return summed(gaps[masses > 0], sample.clusters[masses > 0])
    if sample.articles is not None:
        return summed(own.of_labels[:, None] * (sample.residuals - own.mean), sample.articles)
    return None


def _sizes_of_articles(
    sizes: Array, errors: Array, n_articles: int, values: Array, least: float
) -> Array:
    """The same, at least so many, if articles vary, whose errors are (G, K)."""
    variance = n_articles / (n_articles - 1) * (errors**2).sum(axis=0)
    independent = np.divide(
        values * (1 - values), variance, out=np.full_like(values, np.inf), where=variance > 0
    )
    fewer: Array = np.maximum(np.minimum(sizes, independent), least)
    return fewer


def _freedom(errors: Array, most: int) -> Array:
    """Degrees of freedom of the noise of outcomes, (K,), from the errors of G articles, (G, K).

    A rare topic is in few of the articles, and only these tell how much its share varies between
    articles.
    """
    return np.clip(effective_size((errors**2).T), LEAST_ARTICLES - 2, most)


def errors_differ(sample: Sample, masses: Sequence[Array], seed: int) -> float | None:
    """Probability of corrections as different as those of the parts, if the model errs alike.

    Residuals of labels, or of articles if these were drawn, change places at random, and weights
    stay where they are. Differences are measured in units of their own noise (Chung & Romano 2013,
    Annals of Statistics 41, 484-507), because parts may differ in weights and in variance.

    Returns
    -------
    p-value for the outcome where parts differ most, times the number of outcomes (Bonferroni), 1 at
    most; None with labels in fewer than two parts.
    """
    of_parts = np.array([mass[sample.labelled] for mass in masses])
    inside = of_parts.any(axis=0)
    part, weights = of_parts.argmax(axis=0)[inside], (sample.weights * of_parts.max(axis=0))[inside]
    if len({*part.tolist()}) < 2:
        return None
    residuals = sample.residuals[inside]
    if sample.articles is not None:
        unit = sample.articles[inside] * len(masses) + part
        sums = summed(np.column_stack([weights, weights[:, None] * residuals]), unit)
        part = part[np.unique(unit, return_index=True)[1]]
        weights, residuals = sums[:, 0], ratio(sums[:, 1:], sums[:, :1])
    in_part = np.eye(len(masses))[part].T[np.unique(part)]  # a row for each part that has labels
    linear, square = in_part * weights, in_part * weights**2
    total = linear.sum(axis=1)[:, None]
    # Few labels may happen to have no noise: to each part, that of some more is added.
    extra = EXTRA * square.sum(axis=1)[:, None] / in_part.sum(axis=1)[:, None] * residuals.var(0)

    def gaps(rows: Array) -> Array:
        """Squared differences of the parts' mean residuals from a common one, over their noise."""
        means = linear @ rows / total
        noise = square @ rows**2 - 2 * means * (square @ rows) + means**2 * square.sum(1)[:, None]
        precision = total**2 / np.maximum(noise + extra, SMALLEST)
        common = (precision * means).sum(axis=0) / precision.sum(axis=0)
        return np.asarray((precision * (means - common) ** 2).sum(axis=0))

    rng, least = np.random.default_rng(seed), gaps(residuals) * (1 - ROUNDING)
    reached = sum((gaps(rng.permutation(residuals)) >= least) for _ in range(N_PERMUTATIONS))
    p = (np.asarray(reached) + 1) / (N_PERMUTATIONS + 1)
    return min(1.0, float(p.min() * len(p)))
