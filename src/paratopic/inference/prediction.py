"""The prediction for one text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """The prediction for one text.

    Parameters
    ----------
    topic
        The most probable of `topics`; None where `topics` is empty.
    confidence
        Probability of the predicted topic, or of the most probable one if none is predicted, 0 to
        1, calibrated on out-of-fold scores.
    scores
        Probability of each topic, in codebook order. In mode single, 1 minus their sum is the
        probability that the text has none of the topics; it is 0 for models that were trained
        without such paragraphs. In mode multi each probability stands for itself.
    windows
        Number of overlapping windows that the text was read in; 0 for a blank text.
    topics
        Topics that are predicted, the most probable first. In mode single it is one at most, which
        would be likelier than none if all outcomes were equally frequent; so a rare topic can be
        predicted with a probability below one half. In mode multi they are those that reach
        their thresholds. Empty for a blank text.
    sure
        Whether the prediction is among those of which `calibrate.precision` are promised to be
        right. Always False if the labels are too few for a promise, and in mode multi, where
        thresholds serve F1.
    """

    topic: str | None
    confidence: float
    scores: dict[str, float]
    windows: int
    topics: tuple[str, ...]
    sure: bool
