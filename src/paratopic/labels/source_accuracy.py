"""Estimate the accuracy of weak sources, and combine their votes on the same question.

A weak source votes on many paragraphs and makes mistakes: a rule, a heading, a language model,
another tool. Its accuracy is estimated from paragraphs with hand labels, as in Dawid & Skene 1979
with hand labels as anchors. This module works on arrays; `weak` makes them from the votes.

A question has K outcomes, numbered from 0, one of which is true of each paragraph.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq, minimize_scalar
from scipy.special import betainc, betaln, expit, logit, softmax

from paratopic.corpus.effective import Array, Integers, effective_counts, pairwise_design_effects

# Weight, in paragraphs, of the prior of a source's mean accuracy.
PRIOR_COUNT = 1.0
# The same for the true outcomes of wrong votes. Few wrong votes have a hand label to compare with.
PRIOR_ERROR_COUNT = 5.0
# Grid of strengths of the Beta distributions of a source's accuracies, in paragraphs.
STRENGTHS = 2.0 ** np.arange(1, 9)
# Grid of a source's mean accuracies.
MEANS = (np.arange(60) + 0.5) / 60
# Standard deviation of the prior of `Accuracy.slope`, whose mean is 0.
SLOPE_SD = 0.5
# Smaller values are taken as 0, because they are within rounding errors.
NEGLIGIBLE = 1e-9
# Weight, in paragraphs of each true outcome, of the prior of a confusion matrix.
PRIOR_CONFUSION_COUNT = 64.0
# Number of iterations of expectation maximisation.
EM_STEPS = 200
# Stands for the true outcome of a paragraph without a hand label.
UNKNOWN = -1


class Votes(NamedTuple):
    """m votes of s sources on one question about n paragraphs.

    Attributes
    ----------
    row, source, outcome
        (m,) numbers of the paragraph and the source, and of the outcome that it votes for.
    confidence
        (m,) confidence of the source in its vote, 0 to 1; NaN where it reports none.
    """

    row: Integers
    source: Integers
    outcome: Integers
    confidence: Array


@dataclass(frozen=True)
class Accuracy:
    """Estimated accuracy of the votes of s sources on one question.

    Parameters
    ----------
    labelled, frequencies
        (K,) shares of the outcomes: among the paragraphs with a hand label, and estimated for all.
    n_votes
        (s, K) number of votes for each outcome.
    table
        (s, K, K) number of votes for an outcome on paragraphs with a hand label, by true outcome.
    mean, low, high
        (s, K) probability that a vote is right, and its interval.
    posterior
        (s, K, K) probabilities of the true outcomes given a vote.
    slope
        (s,) increase of the logit of being right for one standard deviation of confidence.
    copies
        (s, s) estimated share of votes that one source copies from the other, 0 to 1; 1 on the
        diagonal.
    """

    labelled: Array
    frequencies: Array
    n_votes: Integers
    table: Array
    mean: Array
    low: Array
    high: Array
    posterior: Array
    slope: Array
    copies: Array

    @property
    def uninformative(self) -> npt.NDArray[np.bool_]:
        """(s, K) mask of votes that are right no more often than by chance, which do not count."""
        return self.mean <= self.frequencies


def estimate_accuracy(
    truth: Integers, votes: Votes, n_sources: int, kinds: Integers, confidence: float = 0.95
) -> Accuracy:
    """Estimate the accuracy of `n_sources` sources from paragraphs whose true outcome is known.

    Each source and outcome has its own probability that a vote is right. The probabilities of one
    source and kind of outcome have a Beta distribution with unknown mean and strength: all pairs of
    a grid are weighted by their likelihood (a hierarchical model, as in Gelman et al. 2013,
    "Bayesian Data Analysis", 5.3). So an outcome with few comparisons is shrunken towards the mean
    of its source, and a source with few or no comparisons towards the prior mean, which is halfway
    between chance, 1 / K, and always right.

    If rare outcomes are labelled as often as frequent ones, votes for rare outcomes are right more
    often on labelled paragraphs than on all. So each comparison is weighted by the share of its
    true outcome among all paragraphs, as the votes show it, over the share among labelled ones.

    `truth`, (n,), has true outcomes, `UNKNOWN` without a hand label. `kinds`, (K,), are the kinds
    of outcomes; those of a kind are about equally hard. `confidence` is the level of the intervals.
    """
    k = len(kinds)
    known = truth[truth != UNKNOWN]
    labelled = (np.bincount(known, minlength=k) + 1) / (len(known) + k)
    true = truth[votes.row]
    is_known = true != UNKNOWN
    table = np.zeros((n_sources, k, k))
    np.add.at(table, (votes.source[is_known], votes.outcome[is_known], true[is_known]), 1)
    n_votes = np.zeros((n_sources, k), dtype=np.int64)
    np.add.at(n_votes, (votes.source, votes.outcome), 1)
    frequencies = _shares(table, n_votes, labelled, len(known))
    weighted = effective_counts(table, frequencies / labelled)
    mean, low, high = np.zeros((3, n_sources, k))
    prior_mean, tail = (1 + 1 / k) / 2, (1 - confidence) / 2
    for source, kind in product(range(n_sources), np.unique(kinds)):
        is_kind = kinds == kind
        unweighted = _accuracy(table[source], is_kind, prior_mean, tail)
        estimate = _accuracy(weighted[source], is_kind, prior_mean, tail)
        mean[source, is_kind] = estimate[0]
        # The weights are uncertain too, so the interval includes that without weights.
        low[source, is_kind] = np.minimum(unweighted[1], estimate[1])
        high[source, is_kind] = np.maximum(unweighted[2], estimate[2])
    # The prior of the true outcomes of wrong votes has the frequencies of the other outcomes.
    others = np.broadcast_to(frequencies, (k, k)) * ~np.eye(k, dtype=bool)
    share = others / others.sum(axis=1, keepdims=True)
    wrong = weighted * ~np.eye(k, dtype=bool) + PRIOR_ERROR_COUNT * share
    posterior = (1 - mean)[:, :, None] * wrong / wrong.sum(axis=2, keepdims=True)
    posterior += mean[:, :, None] * np.eye(k)
    slope = _slopes(votes, true, mean, n_sources)
    copies = _copies(votes, posterior, len(truth), n_sources)
    return Accuracy(
        labelled, frequencies, n_votes, table, mean, low, high, posterior, slope, copies
    )


class Consensus(NamedTuple):
    """The combined votes of weak sources on n paragraphs.

    Attributes
    ----------
    truth
        (n, K) probabilities of the outcomes, without the part that frequencies explain.
    weight
        (n,) weight of `truth`, 0 to 1: the probabilities of a paragraph are a mixture of `truth`
        with this weight and of the frequencies.
    ratio
        (n, K) probability of each outcome given the votes, over its share among paragraphs with a
        hand label. A model that was fitted to these paragraphs multiplies its probabilities by it.
    """

    truth: Array
    weight: Array
    ratio: Array


def combine(votes: Votes, accuracy: Accuracy, n: int) -> Consensus:
    """Combine the votes on each of n paragraphs, with the accuracy from `estimate_accuracy`.

    Votes are taken as independent given the truth, except for copying between sources: each vote
    counts as one over its design effect, so that a copy adds nothing. Votes that are right no more
    often than by chance do not count. Without a vote that counts, the weight of a paragraph is 0.

    The resulting probabilities p are a mixture p = (1 - w) f + w truth of the frequencies f and of
    `truth`, with the smallest possible weight w. Models train on `truth` with this weight. So a
    single vote of a source whose errors have the same frequencies is trained on as it is, and its
    weight is 0 if the source is no better than chance.
    """
    counts = ~accuracy.uninformative[votes.source, votes.outcome]
    row, source, outcome = votes.row[counts], votes.source[counts], votes.outcome[counts]
    votes = Votes(row, source, outcome, votes.confidence[counts])
    mean = accuracy.mean[source, outcome]
    n_sources = len(accuracy.slope)
    own = expit(logit(mean) + accuracy.slope[source] * _standardised(votes, n_sources))
    posterior = accuracy.posterior[source, outcome]
    # Confidence changes the probability that the vote is right, not the outcomes if it is wrong.
    posterior = posterior * ((1 - own) / (1 - mean))[:, None]
    posterior[np.arange(len(row)), outcome] = own
    has_vote = np.zeros((n, n_sources))
    has_vote[row, source] = 1
    design_effects = pairwise_design_effects(has_vote, accuracy.copies)[row, source]
    evidence = np.log(posterior / accuracy.frequencies) / design_effects[:, None]
    total = np.zeros((n, len(accuracy.frequencies)))
    np.add.at(total, row, evidence)
    probabilities = softmax(total + np.log(accuracy.frequencies), axis=1)
    ratio = probabilities / accuracy.frequencies
    least = ratio.min(axis=1, keepdims=True)
    weight = np.where(least < 1 - NEGLIGIBLE, 1 - least, 0.0)
    rest = (ratio - least) * accuracy.frequencies
    truth = np.where(weight > 0, rest / np.where(weight > 0, weight, 1), accuracy.frequencies)
    return Consensus(truth, weight[:, 0], ratio * accuracy.frequencies / accuracy.labelled)


def _accuracy(
    counts: Array, is_kind: npt.NDArray[np.bool_], prior_mean: float, tail: float
) -> tuple[Array, Array, Array]:
    """Accuracy of a source's votes for t outcomes of a kind, from (K, K) votes by true outcome.

    Each is a mixture of Beta distributions of the grid, weighted by their likelihood and a prior
    with the mean `prior_mean`. Returned are their means and the values below and above which the
    share `tail` of each lies, three (t,) arrays.
    """
    right, compared = np.diag(counts)[is_kind], counts.sum(axis=1)[is_kind]
    means, strengths = np.meshgrid(MEANS, STRENGTHS)
    mean, strength = means.ravel(), strengths.ravel()
    prior_a, prior_b = mean * strength, (1 - mean) * strength
    a, b = prior_a + right[:, None], prior_b + (compared - right)[:, None]
    log_weights = (betaln(a, b) - betaln(prior_a, prior_b)).sum(axis=0)
    n_prior_right, n_prior_wrong = PRIOR_COUNT * prior_mean, PRIOR_COUNT * (1 - prior_mean)
    log_weights += (n_prior_right - 1) * np.log(mean) + (n_prior_wrong - 1) * np.log1p(-mean)
    weights: Array = softmax(log_weights)
    kept = weights > 1e-6 * weights.max()
    a, b, weights = a[:, kept], b[:, kept], weights[kept] / weights[kept].sum()

    def quantile(a: Array, b: Array, share: float) -> float:
        return brentq(lambda x: float(betainc(a, b, x) @ weights) - share, 0, 1, xtol=1e-4)

    low = np.array([quantile(*parameters, tail) for parameters in zip(a, b, strict=True)])
    high = np.array([quantile(*parameters, 1 - tail) for parameters in zip(a, b, strict=True)])
    return (a / (a + b)) @ weights, low, high


def _shares(table: Array, n_votes: Integers, labelled: Array, n_known: int) -> Array:
    """(K,) maximum-likelihood shares of the outcomes among all paragraphs, given the votes.

    They are estimated by expectation maximisation (Saerens, Latinne & Decaestecker 2002) from the
    numbers of votes and the confusion matrices of sources. Paragraphs with a hand label, `n_known`
    with the shares `labelled`, count too; without any, the shares stay `labelled`.
    """
    if not n_known:
        return labelled
    k = len(labelled)
    confusions = []
    for counts, is_used in zip(np.swapaxes(table, 1, 2), n_votes > 0, strict=True):
        accuracy = (np.trace(counts) + 1 + 1 / k) / (counts.sum() + 2)
        prior = np.where(np.eye(k, dtype=bool), accuracy, (1 - accuracy) / (k - 1)) * is_used
        prior /= np.maximum(prior.sum(axis=1, keepdims=True), NEGLIGIBLE)
        confusion = counts + PRIOR_CONFUSION_COUNT * prior
        confusions.append(confusion / np.maximum(confusion.sum(axis=1, keepdims=True), NEGLIGIBLE))
    shares = labelled
    for _ in range(EM_STEPS):
        numbers = n_known * labelled
        for confusion, source_votes in zip(confusions, n_votes, strict=True):
            joint = shares[:, None] * confusion
            joint /= np.maximum(joint.sum(axis=0), NEGLIGIBLE)
            numbers = numbers + joint @ source_votes / len(confusions)
        shares = numbers / numbers.sum()
    return np.asarray(shares)


def _standardised(votes: Votes, n_sources: int) -> Array:
    """(m,) logits of confidence, standardised by source; 0 where unknown or all are the same."""
    standardised = np.zeros(len(votes.row))
    for source in range(n_sources):
        rows = (votes.source == source) & np.isfinite(votes.confidence)
        logits = logit(np.clip(votes.confidence[rows], 1e-4, 1 - 1e-4))
        if len(logits) and logits.std() > 0:
            standardised[rows] = (logits - logits.mean()) / logits.std()
    return standardised


def _slopes(votes: Votes, true: Integers, mean: Array, n_sources: int) -> Array:
    """(s,) `Accuracy.slope`, 0 to 3, by penalised likelihood; 0 for sources without confidence.

    Votes with a known outcome in `true`, (m,), count. Intercepts are the logits of `mean`, (s, K).
    """
    standardised, slopes = _standardised(votes, n_sources), np.zeros(n_sources)
    is_known = true != UNKNOWN
    for source in np.unique(votes.source[is_known & (standardised != 0)]):
        rows = is_known & (votes.source == source)
        level = logit(mean[source, votes.outcome[rows]])
        sign = np.where(votes.outcome[rows] == true[rows], 1.0, -1.0)
        at = standardised[rows]

        def loss(slope: float, level: Array = level, sign: Array = sign, at: Array = at) -> float:
            margins = sign * (level + slope * at)
            return float(np.logaddexp(0, -margins).sum() + slope**2 / (2 * SLOPE_SD**2))

        slopes[source] = minimize_scalar(loss, bounds=(0, 3), method="bounded").x
    return slopes


def _copies(votes: Votes, posterior: Array, n: int, n_sources: int) -> Array:
    """(s, s) agreement of sources beyond chance: (agreement - chance) / (1 - chance), 0 to 1.

    Chance is the agreement of sources independent given the truth. Both are of all paragraphs on
    which the two vote, with or without a hand label; 0 without any, 1 on the diagonal. If there are
    few of them, the estimate is close to 1, so that sources count as copies.
    """
    copies = np.eye(n_sources)
    k = posterior.shape[1]
    outcome = np.full((n_sources, n), UNKNOWN)
    outcome[votes.source, votes.row] = votes.outcome
    for other, one in combinations(range(n_sources), 2):
        is_shared = (outcome[one] != UNKNOWN) & (outcome[other] != UNKNOWN)
        if not is_shared.any():
            continue
        # Bayes' rule gives the probabilities of the other's votes given the truth.
        n_other = np.bincount(outcome[other][is_shared], minlength=k)
        joint = posterior[other] * n_other[:, None]
        likelihood = joint / np.maximum(joint.sum(axis=0), 1e-12)
        chance = (posterior[one] * likelihood).sum(axis=1)[outcome[one][is_shared]].mean()
        n_same = (outcome[one] == outcome[other])[is_shared].sum()
        agreement = (n_same + PRIOR_COUNT) / (is_shared.sum() + PRIOR_COUNT)
        share = (agreement - chance) / max(1 - chance, 1e-12)
        copies[one, other] = copies[other, one] = np.clip(share, 0, 1)
    return copies
