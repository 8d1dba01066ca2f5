"""Measure agreement between annotators, which limits the accuracy that a model can reach.

Votes are compared in the form in which models are fitted to them: in mode single the dominant
topic, in mode multi all topics. `votes` decides which vote of an annotator counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from paratopic.corpus.table import targets_of
from paratopic.labels.log import Label
from paratopic.project.topics import Topics

# A vote: the outcomes (`Topics.outcomes`) that an annotator gives a paragraph.
TopicSet = frozenset[str]

# Paragraph id → annotator → vote.
Units = Mapping[str, Mapping[str, TopicSet]]


@dataclass(frozen=True)
class Agreement:
    """Agreement on the paragraphs that at least two annotators labelled.

    Parameters
    ----------
    alpha
        Krippendorff's alpha; None where all votes are the same.
    macro_f1
        Macro-F1 of one annotator's votes against another's, mean over pairs in both directions. As
        for models, "none of the topics" is a class in mode single. None without any pair.
    """

    annotators: tuple[str, ...]
    paragraphs: int
    alpha: float | None
    macro_f1: float | None


def agreement(votes: Iterable[Label], topics: Topics) -> Agreement | None:
    """Measure alpha and macro-F1 of annotators on the paragraphs that several of them labelled.

    None if there are no such paragraphs. `votes`, from `latest_votes`, are compared by their
    counted topics: in mode single, the dominant one. Votes for unknown topics are left out, and so
    are an annotator's votes on a paragraph if they differ. No name counts as one annotator.
    """
    units = _units(votes, topics)
    if not units:
        return None
    annotators = sorted({annotator for unit in units.values() for annotator in unit})
    pair_f1 = [_macro_f1(units, topics.outcomes, *pair) for pair in permutations(annotators, 2)]
    measured_f1 = [f1 for f1 in pair_f1 if f1 is not None]
    macro_f1 = float(np.mean(measured_f1)) if measured_f1 else None
    alpha = krippendorff_alpha([list(unit.values()) for unit in units.values()])
    return Agreement(tuple(annotators), len(units), alpha, macro_f1)


def krippendorff_alpha(units: Iterable[Sequence[TopicSet]]) -> float | None:
    """Krippendorff's alpha with the MASI distance, for any number of annotators and missing votes.

    It is 1 for perfect agreement, 0 for agreement by chance, and below 0 for less; None if all
    votes are the same, or no paragraph has two. `units` has the votes on each paragraph; a single
    one does not count. If no vote has several topics, it is alpha for nominal data (Krippendorff
    2011, "Computing Krippendorff's Alpha-Reliability", https://repository.upenn.edu/asc_papers/43).

    >>> trade, security = frozenset({"trade"}), frozenset({"security"})
    >>> krippendorff_alpha([[trade, trade], [security, security]])
    1.0
    """
    total: Counter[TopicSet] = Counter()
    observed = 0.0
    for votes in units:
        if len(votes) > 1:
            counts = Counter(votes)
            total += counts
            # A unit weighs as much as it has votes.
            observed += _disagreement(counts) / (len(votes) - 1)
    expected = _disagreement(total)
    return 1 - (total.total() - 1) * observed / expected if expected else None


def _units(votes: Iterable[Label], topics: Topics) -> Units:
    """Paragraph id, sorted → annotator → vote, for paragraphs with votes of two annotators or more.

    Left out are votes for unknown topics, and annotators with different votes on a paragraph. A
    vote for none of the topics is {"none of the topics"} in mode single, and empty in mode multi.
    """
    votes_on: dict[str, dict[str, set[TopicSet]]] = {}
    none = frozenset(topics.outcomes) - frozenset(topics.names)
    for label in votes:
        vote = frozenset(topics.counted(label.names)) or none
        if vote <= set(topics.outcomes):
            votes_by = votes_on.setdefault(label.paragraph, {})
            votes_by.setdefault(label.annotator, set()).add(vote)
    units = {}
    for paragraph, votes_by in sorted(votes_on.items()):
        unit = {name: next(iter(sets)) for name, sets in votes_by.items() if len(sets) == 1}
        if len(unit) > 1:
            units[paragraph] = unit
    return units


def _disagreement(counts: Mapping[TopicSet, int]) -> float:
    """Sum of the distances of all ordered pairs of votes."""
    pairs = combinations(counts.items(), 2)
    return 2 * sum(_masi(one, other) * m * n for (one, m), (other, n) in pairs)


def _masi(one: TopicSet, other: TopicSet) -> float:
    """MASI distance of two votes, 0 to 1 (Passonneau 2006).

    It is 0 for equal votes, else 1 minus the product of the Jaccard index and monotonicity, which
    is two thirds where one vote contains the other, one third where neither does.
    """
    # Not nltk.metrics.masi_distance: it rounds monotonicity to 0.67 and 0.33.
    if one == other:
        return 0.0
    monotonicity = 2 / 3 if one <= other or other <= one else 1 / 3
    return 1 - monotonicity * len(one & other) / len(one | other)


def _macro_f1(units: Units, outcomes: Sequence[str], reference: str, other: str) -> float | None:
    """Macro-F1 of the votes of `other`, with those of `reference` as truth, on shared paragraphs.

    It is the mean over the outcomes that `reference` gives any of these; None if there are none.
    """
    shared = [unit for unit in units.values() if unit.keys() >= {reference, other}]
    true = targets_of([unit[reference] for unit in shared], outcomes)
    voted = targets_of([unit[other] for unit in shared], outcomes)
    present = true.any(axis=0)
    if not present.any():
        return None
    true_positives, sums = (true & voted).sum(axis=0), true.sum(axis=0) + voted.sum(axis=0)
    return float((2 * true_positives[present] / sums[present]).mean())
