"""How certain a model is of its answers, and how often it is right, on the labelled paragraphs.

A model's folder keeps this, so that the share of right answers can be estimated on other texts. The
estimate itself is for `evaluation.expected`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paratopic.inference.scores import Array, Integers


@dataclass(frozen=True)
class Certainty:
    """How certain out-of-fold answers were, and how far from that the share of right ones was.

    Parameters
    ----------
    mean
        Mean probability that an answer is right (see `modes.Mode.certainty`), 0 to 1.
    right
        Share of the answers that are right, 0 to 1.
    noise
        Variance of the difference of these two.
    between
        Variance of that difference between articles, beyond chance; 0 where articles are too few
        to tell.
    n_labels
        Number of labels of equal weight that tell as much.
    n_groups
        Number of groups that they are from, which are independent: articles, or paragraphs with
        their near-duplicates.
    """

    mean: float
    right: float
    noise: float
    between: float
    n_labels: float
    n_groups: int


@dataclass(frozen=True)
class Answers:
    """Answers to texts, of which it is not known whether they are right, summed up.

    Parameters
    ----------
    certainty
        Sum of the probabilities that their answers are right.
    likeness
        Sum of their likeness to the labelled texts (see `scores.Reading`).
    articles
        Number of articles that they are from.
    """

    texts: int = 0
    certainty: float = 0.0
    likeness: float = 0.0
    articles: int = 0

    def __add__(self, other: Answers) -> Answers:
        return Answers(
            self.texts + other.texts,
            self.certainty + other.certainty,
            self.likeness + other.likeness,
            self.articles + other.articles,
        )


def measure(certainty: Array, right: Array, weights: Array, groups: Integers) -> Certainty:
    """Compare how certain answers are with whether they are right.

    Parameters
    ----------
    certainty, right, weights, groups
        (n,) probability that each answer is right, whether it is, 1 or 0, its weight, and the
        number of its group; n is at least 1, and repeats of a paragraph share its weight.
    """
    of_all = weights / weights.sum()
    mean, share = float(of_all @ certainty), float(of_all @ right)
    away = right - certainty - (share - mean)
    number = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    sums = np.bincount(number, of_all * away)
    n_labels, n_groups = float(weights.sum() ** 2 / (weights @ weights)), len(sums)
    noise = max(n_groups / max(n_groups - 1, 1) * float(sums @ sums), float(of_all**2 @ away**2))
    between = _between(away, of_all, number)
    return Certainty(mean, share, noise, between, n_labels, n_groups)


def _between(away: Array, of_all: Array, number: Integers) -> float:
    """Variance of groups' means beyond chance (DerSimonian & Laird 1986)."""
    weight = np.bincount(number, of_all)
    n, n_groups = len(away), len(weight)
    uneven = float(weight @ weight)
    if n - n_groups < n_groups or uneven >= 1:  # single paragraphs, or a single group
        return 0.0
    means = np.bincount(number, of_all * away) / np.where(weight > 0, weight, 1.0)
    within = n * float(of_all @ (away - means[number]) ** 2) / (n - n_groups)
    beyond = n * float(weight @ means**2) - (n_groups - 1) * within
    return max(0.0, beyond / (n * (1 - uneven)))
