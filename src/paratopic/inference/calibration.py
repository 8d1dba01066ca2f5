"""The calibration of a model's probabilities, which its folder holds.

Training fits it to out-of-fold scores (`training.calibration`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from paratopic.inference.scores import Array

# Threshold that no probability reaches: no prediction is called sure.
NEVER = 2.0
# Largest number in a calibration: with more, logits could overflow.
LARGEST = 1e9


@dataclass(frozen=True)
class Calibration:
    """Corrections of a model's probabilities and thresholds of its predictions.

    Parameters
    ----------
    scale
        Positive factors that the logits (see `modes.Mode.logits`) are multiplied by: one for each
        logit, or one for all.
    shift
        Numbers added to the scaled logits: one for each, or one for all.
    thresholds
        One for each topic, or one for all. In mode single, how many times as probable as none of
        the topics a topic has to be to be predicted; in mode multi, how probable.
    sure
        Lowest probability at which a prediction is sure; `NEVER`, the default, where none is.
    shares
        Share of the labels with each outcome (see `modes.Mode.outcomes`); empty, the default, where
        it is not known.
    alone
        Calibration of texts of which nothing is read but themselves; None, the default, where it is
        this one.
    """

    scale: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    thresholds: tuple[float, ...] = (1.0,)
    sure: float = NEVER
    shares: tuple[float, ...] = ()
    alone: Calibration | None = None

    def apply(self, logits: Array) -> Array:
        """Calibrated logits (..., r) of logits (..., r)."""
        return logits * self.scale + self.shift

    def check(self, k: int, n: int) -> None:
        """Raise a ValueError unless it, and `alone`, fit a model of k topics with n logits."""
        sizes = {"scale": (1, n), "shift": (1, n), "thresholds": (1, k), "shares": (0, n)}
        for name, allowed in sizes.items():
            if len(getattr(self, name)) not in allowed:
                raise ValueError(f"calibration has {len(getattr(self, name))} numbers as {name}")
        every = *self.scale, *self.shift, *self.thresholds, *self.shares, self.sure
        if not (np.abs(every) <= LARGEST).all():
            raise ValueError("calibration: a number is not finite, or too large")
        if not all(factor > 0 for factor in self.scale):
            raise ValueError("calibration: a scale is not positive")
        if self.alone is not None:
            self.alone.check(k, n)


def read_calibration(values: Mapping[str, Any]) -> Calibration:
    """Rebuild a calibration from `dataclasses.asdict` of it, also after a detour through JSON.

    >>> read_calibration({"scale": [2.0], "shift": [0.0], "thresholds": [0.5]}).thresholds
    (0.5,)
    """
    parts: dict[str, Any] = {
        name: tuple(part) if isinstance(part, list) else part for name, part in values.items()
    }
    if parts.get("alone") is not None:
        parts["alone"] = read_calibration(parts["alone"])
    return Calibration(**parts)
