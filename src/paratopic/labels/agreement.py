"""How far annotators agree: the ceiling of what a model that learns from them can reach.

It takes answers as they are; which of them counts is `labels`' matter. What is compared is what
models are told by: in mode single the dominant topic, in mode multi all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from paratopic.corpus.table import labelled_rows
from paratopic.evaluation.metrics import counts, macro_f1
from paratopic.inference.scores import Targets, topical
from paratopic.labels.log import Label
from paratopic.project.topics import Mode, Topics

# The topics that an annotator gives a paragraph.
Answer = frozenset[str]

# Paragraph → annotator → answer.
Units = Mapping[str, Mapping[str, Answer]]


@dataclass(frozen=True)
class Agreement:
    """Agreement on the paragraphs that at least two annotators judged.

    Parameters
    ----------
    annotators
        Who has judged any of them.
    paragraphs
        How many there are.
    alpha
        Krippendorff's alpha; None where all answers are the same.
    kappa
        Topic → Cohen's kappa of having it or not, mean over pairs of annotators; None where it
        tells nothing.
    macro_f1
        Of one annotator against another, mean over pairs and directions, counted as for models: in
        mode single over the paragraphs that the other gives a topic. None where there are none.
    """

    annotators: tuple[str, ...]
    paragraphs: int
    alpha: float | None
    kappa: dict[str, float | None]
    macro_f1: float | None


def agreement(answers: Iterable[Label], topics: Topics) -> Agreement | None:
    """Measure agreement; None where no two annotators judged the same paragraph.

    Parameters
    ----------
    answers
        What counts of each annotator (`labels.read_labels`). Whoever contradicts themselves on a
        paragraph is left out there.
    topics
        The codebook.
    """
    names, most = topics.names, 1 if topics.mode == "single" else None
    said: dict[str, dict[str, set[Answer]]] = {}
    for answer in answers:
        given = frozenset(answer.names[:most])
        if given <= set(names):
            said.setdefault(answer.paragraph, {}).setdefault(answer.annotator, set()).add(given)
    units = {
        paragraph: {who: value for who, (value, *more) in found.items() if not more}
        for paragraph, found in sorted(said.items())
    }
    units = {paragraph: found for paragraph, found in units.items() if len(found) > 1}
    if not units:
        return None
    pairs = _pairs(units)
    kappas = {
        name: [_kappa([name in a for a in one], [name in a for a in other]) for one, other in pairs]
        for name in names
    }
    f1s = [
        _macro_f1(_targets(true, names), _targets(answer, names), topics.mode)
        for one, other in pairs
        for true, answer in ((one, other), (other, one))
        if any(true)
    ]
    return Agreement(
        tuple(sorted({who for found in units.values() for who in found})),
        len(units),
        krippendorff_alpha([list(found.values()) for found in units.values()]),
        {name: _mean([k for k in found if k is not None]) for name, found in kappas.items()},
        _mean(f1s),
    )


def krippendorff_alpha(units: Iterable[Sequence[Answer]]) -> float | None:
    """Krippendorff's alpha of answers, with any number of missing ones.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability",
    https://repository.upenn.edu/asc_papers/43; answers are nominal where none has several topics.

    Parameters
    ----------
    units
        The answers that each unit was given; units with fewer than two say nothing.

    Returns
    -------
    1 for perfect agreement, 0 for that of chance; None where all answers are the same.
    """
    total: Counter[Answer] = Counter()
    disagreed = 0.0
    for answers in units:
        if len(answers) > 1:
            given = Counter(answers)
            total += given
            # Each unit weighs as many as its answers.
            disagreed += _disagreement(given) / (len(answers) - 1)
    expected = _disagreement(total)
    return 1 - (total.total() - 1) * disagreed / expected if expected else None


def _disagreement(given: Mapping[Answer, int]) -> float:
    """Sum of the distances of all ordered pairs."""
    pairs = combinations(given.items(), 2)
    return 2 * sum(_masi(one, other) * m * n for (one, m), (other, n) in pairs)


def _masi(one: Answer, other: Answer) -> float:
    """Distance of two answers, 0 to 1 (MASI: Passonneau 2006).

    Other ones: 1 minus their Jaccard index, of which two thirds count where one holds the other,
    and one third where neither does.
    """
    if one == other:
        return 0.0
    weight = 2 / 3 if one <= other or other <= one else 1 / 3
    return 1 - weight * len(one & other) / len(one | other)


def _pairs(units: Units) -> list[tuple[list[Answer], list[Answer]]]:
    """The answers of each two annotators on the paragraphs that both judged."""
    found = []
    for one, other in combinations(sorted({who for said in units.values() for who in said}), 2):
        both = [said for said in units.values() if {one, other} <= said.keys()]
        if both:
            found.append(([said[one] for said in both], [said[other] for said in both]))
    return found


def _kappa(one: list[bool], other: list[bool]) -> float | None:
    # Where both always say the same thing, nothing could have told them apart.
    return float(cohen_kappa_score(one, other)) if len({*one, *other}) > 1 else None


def _targets(answers: Sequence[Answer], names: Sequence[str]) -> Targets:
    return np.array([[name in answer for name in names] for answer in answers])


def _macro_f1(true: Targets, said: Targets, mode: Mode) -> float:
    if mode == "single":
        rows = topical(true)
        true, said = true[rows], said[rows]
    return float(macro_f1(*counts(true, said), topical(true.T)))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def headings_against_hand(frame: pd.DataFrame, topics: Topics) -> dict[str, Any]:
    """How far headings' labels agree with hand labels where there are both (Cohen's kappa)."""
    hand = labelled_rows(frame[frame["label_source"] == "hand"], "single")
    weak = [topics.of_heading(heading) for heading in hand["heading"]]
    both = [(h, w) for h, w in zip(hand["topic"], weak, strict=True) if w is not None]
    if not both:
        return {"paragraphs": 0}
    one, other = zip(*both, strict=True)
    same = sum(h == w for h, w in both)
    kappa = None if len({*one, *other}) < 2 else float(cohen_kappa_score(one, other))
    return {"paragraphs": len(both), "same": same, "kappa": kappa}
