"""How far weak sources are trusted, and what their answers to the same question say together.

A weak source answers for many paragraphs and is wrong now and then: a rule, a heading, a language
model, another tool. What it is worth is learnt from paragraphs that people labelled too, as in
Dawid & Skene 1979 with hand labels as anchors. This module knows arrays alone: which answers a
paragraph has is for `weak`.

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

from paratopic.corpus.effective import Array, Integers, design_effects_of_pairs, effective_counts

# Number of paragraphs that weigh as much as what is assumed of a source before any comparison.
ASSUMED = 1.0
# The same for what is true where an answer is wrong: nobody has many wrong answers to compare.
ASSUMED_OF_ERRORS = 5.0
# Number of paragraphs that the mean of a source weighs for one of its topics: each is possible.
STRENGTHS = 2.0 ** np.arange(1, 9)
# Means that a source may have.
MEANS = (np.arange(60) + 0.5) / 60
# Spread around 0 of what one standard deviation of confidence adds to the logit of being right.
SPREAD = 0.5
# Answers that tell less than this tell nothing: below it is what rounding leaves.
NEGLIGIBLE = 1e-9
# Number of paragraphs of each true outcome that weigh as much as what is assumed of the answers.
ASSUMED_OF_CONFUSION = 64.0
# Steps in which the shares of the outcomes settle.
STEPS = 200
# Where nothing is known of a question, the true outcome of a paragraph.
UNKNOWN = -1


class Answers(NamedTuple):
    """m answers of s sources to one question on n paragraphs.

    Attributes
    ----------
    row
        (m,) numbers of the paragraphs.
    source
        (m,) numbers of the sources.
    outcome
        (m,) numbers of the outcomes that they give.
    confidence
        (m,) how certain the source is, 0 to 1; NaN where it does not say.
    """

    row: Integers
    source: Integers
    outcome: Integers
    confidence: Array


@dataclass(frozen=True)
class Trust:
    """How far the answers of s sources to one question are trusted.

    Parameters
    ----------
    labelled
        (K,) shares of the outcomes among the paragraphs whose truth is known.
    frequencies
        (K,) shares of the outcomes among all, as far as the answers tell.
    answered
        (s, K) number of answers with each outcome.
    table
        (s, K, K) number of answers with an outcome that can be compared with the truth, by true
        outcome.
    mean, low, high
        (s, K) probability that an answer is right, and its interval.
    posterior
        (s, K, K) probabilities of the true outcomes given an answer.
    slope
        (s,) what one standard deviation of confidence adds to the logit of being right.
    copies
        (s, s) how far sources copy each other, 0 to 1; 1 of each with itself.
    """

    labelled: Array
    frequencies: Array
    answered: Integers
    table: Array
    mean: Array
    low: Array
    high: Array
    posterior: Array
    slope: Array
    copies: Array

    @property
    def uninformative(self) -> npt.NDArray[np.bool_]:
        """(s, K) answers that are right no more often than by chance, which count for nothing."""
        return self.mean <= self.frequencies


def learn_trust(
    truth: Integers, answers: Answers, n_sources: int, kinds: Integers, confidence: float = 0.95
) -> Trust:
    """Learn how far to trust sources from paragraphs whose true outcome is known.

    An answer is right with a probability of its own for each source and outcome. Those of one
    source and kind are drawn from a Beta distribution, whose mean and strength are not known: all
    of a grid are weighed by how well they explain what was compared (a hierarchical model, as in
    Gelman et al. 2013, "Bayesian Data Analysis", 5.3). So an outcome with few comparisons is drawn
    towards the mean of its source, and a source with few towards what is assumed of all: that it is
    right halfway between chance and always.

    People do not always label at random: where they label as many paragraphs of a rare outcome as
    of a frequent one, answers are right more often on these than on all. So each comparison counts
    by how much more frequent its true outcome is among all, which the answers tell.

    Parameters
    ----------
    truth
        (n,) true outcomes; `UNKNOWN` where nobody knows.
    kinds
        (K,) number of the kind of each outcome: those of a kind are about equally hard.
    confidence
        Confidence of the intervals; 0.95 by default.
    """
    k = len(kinds)
    known = truth[truth != UNKNOWN]
    labelled = (np.bincount(known, minlength=k) + 1) / (len(known) + k)
    true = truth[answers.row]
    both = true != UNKNOWN
    table = np.zeros((n_sources, k, k))
    np.add.at(table, (answers.source[both], answers.outcome[both], true[both]), 1)
    answered = np.zeros((n_sources, k), dtype=np.int64)
    np.add.at(answered, (answers.source, answers.outcome), 1)
    frequencies = _shares(table, answered, labelled, len(known))
    weighted = effective_counts(table, frequencies / labelled)
    (mean, low, high), tail = np.zeros((3, n_sources, k)), (1 - confidence) / 2
    for source, kind in product(range(n_sources), np.unique(kinds)):
        of_kind = kinds == kind
        as_they_are, as_of_all = (
            _accuracy(np.diag(counts)[of_kind], counts.sum(axis=1)[of_kind], (1 + 1 / k) / 2, tail)
            for counts in (table[source], weighted[source])
        )
        mean[source, of_kind] = as_of_all[0]
        # How frequent outcomes are is not certain either: the interval allows for both.
        low[source, of_kind] = np.minimum(as_they_are[1], as_of_all[1])
        high[source, of_kind] = np.maximum(as_they_are[2], as_of_all[2])
    # Where an answer is wrong, the truth is what it was before, and else as frequent as ever.
    others = np.broadcast_to(frequencies, (k, k)) * ~np.eye(k, dtype=bool)
    share = others / others.sum(axis=1, keepdims=True)
    wrong = weighted * ~np.eye(k, dtype=bool) + ASSUMED_OF_ERRORS * share
    posterior = (1 - mean)[:, :, None] * wrong / wrong.sum(axis=2, keepdims=True)
    posterior += mean[:, :, None] * np.eye(k)
    slope = _slopes(answers, both, true, mean, n_sources)
    copies = _copies(answers, posterior, len(truth), n_sources)
    return Trust(labelled, frequencies, answered, table, mean, low, high, posterior, slope, copies)


class Consensus(NamedTuple):
    """What weak answers say of n paragraphs.

    Attributes
    ----------
    truth
        (n, K) probabilities of the outcomes, as far as the answers tell more than frequencies do.
    weight
        (n,) how much they tell, 0 to 1: a paragraph is a mixture of `truth`, with this weight, and
        of the frequencies.
    ratio
        (n, K) how many times as probable the answers make each outcome as it is among the
        paragraphs whose truth is known. For whoever has learnt from these: multiply by it.
    """

    truth: Array
    weight: Array
    ratio: Array


def combine(answers: Answers, trust: Trust, n: int) -> Consensus:
    """Combine the answers on each of n paragraphs.

    Answers are taken as independent given the truth, but for what sources copy from each other:
    each answer counts as one over its design effect, so that a copy adds nothing. Those that are
    right no more often than by chance count for nothing.

    From the probabilities p that follow, the frequencies f are taken out as far as they are in
    them: p = (1 - w) f + w truth, with the smallest w. What is left is learnt with the weight w.
    So a single answer of a source whose errors fall on topics as frequent as these are is learnt as
    it stands, with a weight that is 0 where it is no better than chance.
    """
    counts = ~trust.uninformative[answers.source, answers.outcome]
    row, source, outcome = (part[counts] for part in answers[:3])
    answers = Answers(row, source, outcome, answers.confidence[counts])
    mean = trust.mean[source, outcome]
    own = expit(logit(mean) + trust.slope[source] * _standard(answers, len(trust.slope)))
    posterior = trust.posterior[source, outcome]
    # Certainty changes how likely the answer is right, and not what is true where it is wrong.
    posterior = posterior * ((1 - own) / (1 - mean))[:, None]
    posterior[np.arange(len(row)), outcome] = own
    has = np.zeros((n, len(trust.slope)))
    has[row, source] = 1
    shared = design_effects_of_pairs(has, trust.copies)[row, source]
    evidence = np.log(posterior / trust.frequencies) / shared[:, None]
    total = np.zeros((n, len(trust.frequencies)))
    np.add.at(total, row, evidence)
    ratio = softmax(total + np.log(trust.frequencies), axis=1) / trust.frequencies
    least = ratio.min(axis=1, keepdims=True)
    weight = np.where(least < 1 - NEGLIGIBLE, 1 - least, 0.0)
    left = (ratio - least) * trust.frequencies
    truth = np.where(weight > 0, left / np.where(weight > 0, weight, 1), trust.frequencies)
    return Consensus(truth, weight[:, 0], ratio * trust.frequencies / trust.labelled)


def _accuracy(right: Array, compared: Array, assumed: float, tail: float) -> tuple[Array, ...]:
    """(t,) shares of answers that are right, each a mixture of Beta distributions.

    They have their means, and the values below and above which the share `tail` of each lies. The
    mean before any comparison is what is `assumed`.
    """
    mean, strength = (each.ravel() for each in np.meshgrid(MEANS, STRENGTHS))
    prior = mean * strength, (1 - mean) * strength
    a, b = prior[0] + right[:, None], prior[1] + (compared - right)[:, None]
    log = (betaln(a, b) - betaln(*prior)).sum(axis=0)
    right_before, wrong_before = ASSUMED * assumed, ASSUMED * (1 - assumed)
    log += (right_before - 1) * np.log(mean) + (wrong_before - 1) * np.log1p(-mean)
    weights: Array = softmax(log)
    kept = weights > 1e-6 * weights.max()
    a, b, weights = a[:, kept], b[:, kept], weights[kept] / weights[kept].sum()

    def quantile(a: Array, b: Array, share: float) -> float:
        return brentq(lambda x: float(betainc(a, b, x) @ weights) - share, 0, 1, xtol=1e-4)

    low, high = (
        np.array([quantile(*both, share) for both in zip(a, b, strict=True)])
        for share in (tail, 1 - tail)
    )
    return (a / (a + b)) @ weights, low, high


def _shares(table: Array, answered: Integers, labelled: Array, n_known: int) -> Array:
    """(K,) shares of the outcomes among all paragraphs, by which the answers are most probable.

    They are found by expectation maximisation from how often sources give each answer and what is
    true where they do (Saerens, Latinne & Decaestecker 2002). The known ones count too.
    """
    if not n_known:
        return labelled
    k = len(labelled)
    confusions = []
    for counts, given in zip(np.swapaxes(table, 1, 2), answered > 0, strict=True):
        is_right = (np.trace(counts) + 1 + 1 / k) / (counts.sum() + 2)
        usual = np.where(np.eye(k, dtype=bool), is_right, (1 - is_right) / (k - 1)) * given
        usual /= np.maximum(usual.sum(axis=1, keepdims=True), NEGLIGIBLE)
        confusion = counts + ASSUMED_OF_CONFUSION * usual
        confusions.append(confusion / np.maximum(confusion.sum(axis=1, keepdims=True), NEGLIGIBLE))
    shares = labelled
    for _ in range(STEPS):
        numbers = n_known * labelled
        for confusion, given in zip(confusions, answered, strict=True):
            joint = shares[:, None] * confusion
            joint /= np.maximum(joint.sum(axis=0), NEGLIGIBLE)
            numbers = numbers + joint @ given / len(confusions)
        shares = numbers / numbers.sum()
    return np.asarray(shares)


def _standard(answers: Answers, n_sources: int) -> Array:
    """(m,) logits of confidence in standard deviations from their source's mean; 0 for unknown."""
    standard = np.zeros(len(answers.row))
    for source in range(n_sources):
        of_source = (answers.source == source) & np.isfinite(answers.confidence)
        values = logit(np.clip(answers.confidence[of_source], 1e-4, 1 - 1e-4))
        if len(values) and values.std() > 0:
            standard[of_source] = (values - values.mean()) / values.std()
    return standard


def _slopes(
    answers: Answers, both: npt.NDArray[np.bool_], true: Integers, mean: Array, n_sources: int
) -> Array:
    """(s,) slopes of the logit of being right in confidence; 0 where no confidence is given."""
    standard, slopes = _standard(answers, n_sources), np.zeros(n_sources)
    for source in np.unique(answers.source[both & (standard != 0)]):
        chosen = both & (answers.source == source)
        level = logit(mean[source, answers.outcome[chosen]])
        sign = np.where(answers.outcome[chosen] == true[chosen], 1.0, -1.0)

        def loss(
            slope: float, level: Array = level, sign: Array = sign, at: Array = standard[chosen]
        ) -> float:
            margins = sign * (level + slope * at)
            return float(np.logaddexp(0, -margins).sum() + slope**2 / (2 * SPREAD**2))

        slopes[source] = minimize_scalar(loss, bounds=(0, 3), method="bounded").x
    return slopes


def _copies(answers: Answers, posterior: Array, n: int, n_sources: int) -> Array:
    """(s, s) how much more often sources agree than if they were independent given the truth.

    All paragraphs are compared on which both answer, with or without a hand label. Where there are
    few of them, sources are taken to copy each other.
    """
    copies = np.eye(n_sources)
    k = posterior.shape[1]
    given = np.full((n_sources, n), UNKNOWN)
    given[answers.source, answers.row] = answers.outcome
    for other, one in combinations(range(n_sources), 2):
        both = (given[one] != UNKNOWN) & (given[other] != UNKNOWN)
        if not both.any():
            continue
        # Outcomes of the other given the truth, by Bayes' rule.
        often = np.bincount(given[other][both], minlength=k)
        joint = posterior[other] * often[:, None]
        of_truth = joint / np.maximum(joint.sum(axis=0), 1e-12)
        chance = (posterior[one] * of_truth).sum(axis=1)[given[one][both]].mean()
        same = (given[one] == given[other])[both].sum()
        agree = (same + ASSUMED) / (both.sum() + ASSUMED)
        share = (agree - chance) / max(1 - chance, 1e-12)
        copies[one, other] = copies[other, one] = np.clip(share, 0, 1)
    return copies
