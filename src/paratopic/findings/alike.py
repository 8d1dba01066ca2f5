"""A test whether a model errs alike in all parts of a corpus, as shares without interval assume.

Shares are estimated in `shares`. Nothing is read here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from paratopic.corpus.effective import summed
from paratopic.findings.shares import EXTRA, ROUNDING, Sample
from paratopic.inference.scores import SMALLEST, Array, ratio

N_PERMUTATIONS = 9_999


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
