"""How good the best of many configurations is, without the flattery of having been chosen.

The best of several out-of-fold figures is too high: chance, too, has chosen it. No file is read
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from paratopic.evaluation import metrics
from paratopic.evaluation.intervals import STEP, Tally
from paratopic.evaluation.outcomes import Outcomes
from paratopic.inference.scores import Array


@dataclass(frozen=True)
class Selection:
    """The best of many configurations.

    Parameters
    ----------
    values
        Macro-F1 of each configuration, mean over repeats.
    best
        Number of the configuration with the highest one; of equal ones the first.
    corrected
        Macro-F1 of the best, corrected for the choice.
    """

    values: tuple[float, ...]
    best: int
    corrected: float


def select(candidates: Sequence[Outcomes], n_draws: int, seed: int) -> Selection:
    """Choose the configuration with the highest macro-F1, and correct its figure for the choice.

    The correction is the bootstrap of Tsamardinos, Greasidou & Borboudakis 2018
    (https://doi.org/10.1007/s10994-018-5714-4): groups are drawn with replacement, the
    configuration that is best on those drawn is chosen, and those not drawn measure it. The
    predictions for rows that were not drawn are counted together over all draws, each row equally,
    because macro-F1 of the few rows of one draw would be lower by itself. A lone configuration
    keeps its figure.

    Parameters
    ----------
    candidates
        Outcomes of each configuration, with the same rows, groups and number of repeats.
    n_draws
        Number of bootstrap samples.
    seed
        Seed of the random draws.
    """
    counts = candidates[0].counts[None]
    values = tuple(float(_macro_f1(candidate, counts)[0]) for candidate in candidates)
    shares = _shares_of_choices(candidates, n_draws, seed)
    repeats = range(len(candidates[0].scores))
    corrected = float(np.mean([_mixed_macro_f1(candidates, shares, r) for r in repeats]))
    return Selection(values, int(np.argmax(values)), corrected)


def _macro_f1(outcomes: Outcomes, rows: Array) -> Array:
    """Macro-F1, (d,), mean over repeats, with weights (d, n) of the rows."""
    repeats = range(len(outcomes.scores))
    mean: Array = np.mean([Tally.of(outcomes, r, rows).macro_f1() for r in repeats], axis=0)
    return mean


def _shares_of_choices(candidates: Sequence[Outcomes], n_draws: int, seed: int) -> Array:
    """How often each candidate was chosen among the draws without a row, (candidates, n).

    The shares of a row sum to 1.
    """
    rng = np.random.default_rng(seed)
    groups = candidates[0].groups
    n_groups = int(groups.max()) + 1
    chosen = np.zeros((len(candidates), len(groups)))
    for start in range(0, n_draws, STEP):
        size = min(STEP, n_draws - start)
        drawn = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size)[:, groups]
        weights = drawn * candidates[0].counts
        best = np.argmax([_macro_f1(candidate, weights) for candidate in candidates], axis=0)
        for number in range(len(candidates)):
            chosen[number] += (drawn[best == number] == 0).sum(axis=0)
    shares: Array = chosen / chosen.sum(axis=0)
    return shares


def _mixed_macro_f1(candidates: Sequence[Outcomes], shares: Array, repeat: int) -> float:
    """Macro-F1 of one repeat where each row has its share of each candidate's prediction."""
    tallies = [
        Tally.of(candidate, repeat, (share * candidate.counts)[None])
        for candidate, share in zip(candidates, shares, strict=True)
    ]
    hit, predicted, true = (
        np.sum([getattr(tally, counts) for tally in tallies], axis=0)
        for counts in ("hit", "predicted", "true")
    )
    return float(metrics.macro_f1(hit, predicted, true, candidates[0].present)[0])
