"""How far annotators agree: the ceiling of what a model that learns from them can reach.

It takes answers as they are; which of them counts is `labels`' matter. What is compared is the
dominant topic, as models are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from sklearn.metrics import cohen_kappa_score

from paratopic.labels import Label
from paratopic.metrics import confusion, macro_f1

# Paragraph → annotator → class number; the number of topics stands for none of them.
Units = Mapping[str, Mapping[str, int]]


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
        Of one annotator against another, mean over pairs and directions, counted as for models:
        over the paragraphs that the other gives a topic. None where there are none.
    """

    annotators: tuple[str, ...]
    paragraphs: int
    alpha: float | None
    kappa: dict[str, float | None]
    macro_f1: float | None


def agreement(answers: Iterable[Label], names: Sequence[str]) -> Agreement | None:
    """Measure agreement; None where no two annotators judged the same paragraph.

    Parameters
    ----------
    answers
        What counts of each annotator (`labels.read_labels`). Whoever contradicts themselves on a
        paragraph is left out there.
    names
        Topic names in class order.
    """
    number = {name: index for index, name in enumerate(names)}
    said: dict[str, dict[str, set[int]]] = {}
    for answer in answers:
        dominant = answer.names[0] if answer.names else None
        if dominant is None or dominant in number:
            value = len(names) if dominant is None else number[dominant]
            said.setdefault(answer.paragraph, {}).setdefault(answer.annotator, set()).add(value)
    units = {
        paragraph: {who: value for who, (value, *more) in found.items() if not more}
        for paragraph, found in sorted(said.items())
    }
    units = {paragraph: found for paragraph, found in units.items() if len(found) > 1}
    if not units:
        return None
    pairs = _pairs(units)
    kappas = {
        name: [_kappa(one == k, other == k) for one, other in pairs] for k, name in enumerate(names)
    }
    f1s = [
        _macro_f1(true, answer, len(names))
        for one, other in pairs
        for true, answer in ((one, other), (other, one))
        if (true < len(names)).any()
    ]
    return Agreement(
        tuple(sorted({who for found in units.values() for who in found})),
        len(units),
        krippendorff_alpha([list(found.values()) for found in units.values()]),
        {name: _mean([k for k in found if k is not None]) for name, found in kappas.items()},
        _mean(f1s),
    )


def krippendorff_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Krippendorff's alpha of nominal values, with any number of missing ones.

    Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability",
    https://repository.upenn.edu/asc_papers/43.

    Parameters
    ----------
    units
        The values that each unit was given; units with fewer than two say nothing.

    Returns
    -------
    1 for perfect agreement, 0 for that of chance; None where all values are the same.
    """
    total: Counter[int] = Counter()
    disagreed = 0.0
    for values in units:
        m = len(values)
        if m < 2:
            continue
        counts = Counter(values)
        total += counts
        # Pairs of unlike values among the m (m - 1) ordered pairs, each unit weighing m.
        disagreed += (m * m - sum(c * c for c in counts.values())) / (m - 1)
    n = total.total()
    expected = n * n - sum(c * c for c in total.values())
    return 1 - (n - 1) * disagreed / expected if expected else None


def _pairs(units: Units) -> list[tuple[np.ndarray, np.ndarray]]:
    """The answers of each two annotators on the paragraphs that both judged."""
    found = []
    for one, other in combinations(sorted({who for said in units.values() for who in said}), 2):
        both = [(said[one], said[other]) for said in units.values() if {one, other} <= said.keys()]
        if both:
            mine, theirs = np.array(both, dtype=np.int64).T
            found.append((mine, theirs))
    return found


def _kappa(one: np.ndarray, other: np.ndarray) -> float | None:
    # Where both always say the same thing, nothing could have told them apart.
    return float(cohen_kappa_score(one, other)) if len({*one, *other}) > 1 else None


def _macro_f1(true: np.ndarray, answer: np.ndarray, k: int) -> float:
    rows = true < k
    matrix = confusion(true[rows], answer[rows], k + 1)
    present = matrix.sum(axis=1) > 0
    return float(macro_f1(matrix, present))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
