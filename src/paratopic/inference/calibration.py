"""What calibrates a model's probabilities, as training fits it and a model's folder keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paratopic.inference.certainty import Certainty
from paratopic.inference.promise import NEVER
from paratopic.inference.scores import Array


@dataclass(frozen=True)
class Calibration:
    """Corrections of a model's probabilities and thresholds of its predictions.

    Both are fitted to out-of-fold scores.

    Parameters
    ----------
    scale
        Factors that the logits (see `modes.Mode.logits`) are multiplied by: one for each logit, or
        one for all.
    shift
        Numbers added to the scaled logits: one for each, or one for all.
    thresholds
        One for each topic, or one for all. In mode single, how many times as probable as none of
        the topics a topic has to be to be predicted; in mode multi, how probable.
    sure
        Lowest probability at which a prediction is sure; `promise.NEVER`, the default, where none
        is.
    shares
        Share of the labels with each outcome (see `modes.Mode.outcomes`); empty, the default, where
        it is not known.
    certainty
        How certain and how right out-of-fold answers are; None, the default, where it is not known.
    alone
        Calibration of texts of which nothing is read but themselves; None, the default, where it is
        this one.
    """

    scale: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    thresholds: tuple[float, ...] = (1.0,)
    sure: float = NEVER
    shares: tuple[float, ...] = ()
    certainty: Certainty | None = None
    alone: Calibration | None = None

    def apply(self, logits: Array) -> Array:
        """Calibrated logits (..., r) of logits (..., r)."""
        return logits * self.scale + self.shift


def read_calibration(values: Mapping[str, Any]) -> Calibration:
    """Rebuild a calibration from `dataclasses.asdict` of it, also after a detour through JSON.

    >>> read_calibration({"scale": [2.0], "shift": [0.0], "thresholds": [0.5]}).thresholds
    (0.5,)
    """
    others = ("sure", "certainty", "alone")
    numbers = {name: tuple(part) for name, part in values.items() if name not in others}
    _, certainty, alone = map(values.get, others)
    return Calibration(
        **numbers,
        sure=float(values.get("sure", NEVER)),
        certainty=None if certainty is None else Certainty(**certainty),
        alone=None if alone is None else read_calibration(alone),
    )
