"""What a model's folder knows of its probabilities: their calibration, and how certain they are.

Training fits both to out-of-fold scores. From how certain answers were, and how many of them were
right, `evaluation.expected` estimates the share of right answers on other texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paratopic.inference.promise import NEVER
from paratopic.inference.scores import Array


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
    parts: dict[str, Any] = {
        name: tuple(part) if isinstance(part, list) else part for name, part in values.items()
    }
    if parts.get("certainty") is not None:
        parts["certainty"] = Certainty(**parts["certainty"])
    if parts.get("alone") is not None:
        parts["alone"] = read_calibration(parts["alone"])
    return Calibration(**parts)
