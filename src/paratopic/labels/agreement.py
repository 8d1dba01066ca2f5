"""Measure how far annotators agree: no model that learns from their labels can do better.

What is compared is what models learn: in mode single the dominant topic, in mode multi all of them.
Which of an annotator's answers counts is not decided here (`answers` does that).
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

# The outcomes (`Topics.outcomes`) that an annotator gives a paragraph.
TopicSet = frozenset[str]

# Paragraph id → annotator → answer.
Units = Mapping[str, Mapping[str, TopicSet]]


@dataclass(frozen=True)
class Agreement:
    """Agreement on the paragraphs that at least two annotators judged.

    Parameters
    ----------
    annotators
        Names of those who judged any of these paragraphs.
    alpha
        Krippendorff's alpha; None where all answers are the same.
    macro_f1
        Macro-F1 of one annotator's answers against another's, mean over pairs in both directions.
        As for models, none of the topics is an answer too in mode single. None without any pair.
    """

    annotators: tuple[str, ...]
    paragraphs: int
    alpha: float | None
    macro_f1: float | None


def agreement(answers: Iterable[Label], topics: Topics) -> Agreement | None:
    """Measure agreement; None where no two annotators judged the same paragraph.

    Parameters
    ----------
    answers
        The answers of each annotator that count, from `current`. An annotator who has several
        on one paragraph is left out there.
    """
    units = _units(answers, topics)
    if not units:
        return None
    annotators = sorted({annotator for unit in units.values() for annotator in unit})
    pairs = permutations(annotators, 2)
    each = [_macro_f1(units, topics.outcomes, *pair) for pair in pairs]
    of_pairs = [f1 for f1 in each if f1 is not None]
    macro_f1 = float(np.mean(of_pairs)) if of_pairs else None
    alpha = krippendorff_alpha([list(unit.values()) for unit in units.values()])
    return Agreement(tuple(annotators), len(units), alpha, macro_f1)


def krippendorff_alpha(units: Iterable[Sequence[TopicSet]]) -> float | None:
    """Krippendorff's alpha, for any number of annotators and of missing answers.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability",
    https://repository.upenn.edu/asc_papers/43, with the MASI distance. Where no answer has several
    topics, this is alpha for nominal data.

    >>> trade, security = frozenset({"trade"}), frozenset({"security"})
    >>> krippendorff_alpha([[trade, trade], [security, security]])
    1.0

    Parameters
    ----------
    units
        The answers to each paragraph. Paragraphs with fewer than two answers are ignored.

    Returns
    -------
    1 for perfect agreement, 0 for agreement by chance; None where all answers are the same.
    """
    total: Counter[TopicSet] = Counter()
    observed = 0.0
    for answers in units:
        if len(answers) > 1:
            counts = Counter(answers)
            total += counts
            # Each unit gets the weight of the number of its answers.
            observed += _disagreement(counts) / (len(answers) - 1)
    by_chance = _disagreement(total)
    return 1 - (total.total() - 1) * observed / by_chance if by_chance else None


def _units(answers: Iterable[Label], topics: Topics) -> Units:
    """The paragraphs that at least two annotators judged, sorted."""
    given: dict[str, dict[str, set[TopicSet]]] = {}
    none = frozenset(topics.outcomes) - frozenset(topics.names)
    for label in answers:
        answer = frozenset(topics.counted(label.names)) or none
        if answer <= set(topics.outcomes):
            of_paragraph = given.setdefault(label.paragraph, {})
            of_paragraph.setdefault(label.annotator, set()).add(answer)
    units = {
        paragraph: {who: next(iter(each)) for who, each in of_paragraph.items() if len(each) == 1}
        for paragraph, of_paragraph in sorted(given.items())
    }
    return {paragraph: unit for paragraph, unit in units.items() if len(unit) > 1}


def _disagreement(counts: Mapping[TopicSet, int]) -> float:
    """Sum of the distances of all ordered pairs of answers."""
    pairs = combinations(counts.items(), 2)
    return 2 * sum(_masi(one, other) * m * n for (one, m), (other, n) in pairs)


def _masi(one: TopicSet, other: TopicSet) -> float:
    """MASI distance of two answers, 0 to 1 (Passonneau 2006).

    It is 0 for equal answers, else 1 minus the product of the Jaccard index and monotonicity, which
    is two thirds where one answer contains the other, one third where neither does.
    """
    # Not nltk.metrics.masi_distance: it rounds monotonicity to 0.67 and 0.33.
    if one == other:
        return 0.0
    monotonicity = 2 / 3 if one <= other or other <= one else 1 / 3
    return 1 - monotonicity * len(one & other) / len(one | other)


def _macro_f1(units: Units, outcomes: Sequence[str], true: str, given: str) -> float | None:
    """Macro-F1 of an annotator's answers over those of another, which are taken as true."""
    both = [unit for unit in units.values() if unit.keys() >= {true, given}]
    one, other = (targets_of([unit[who] for unit in both], outcomes) for who in (true, given))
    present = one.any(axis=0)
    if not present.any():
        return None
    hits, sums = (one & other).sum(axis=0), one.sum(axis=0) + other.sum(axis=0)
    return float((2 * hits[present] / sums[present]).mean())
