"""A prediction, and why it is made: how the logits change without each sentence of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from paratopic.project.scripts import QUESTIONS, STOPS, THAI, UNCASED

# What a sentence begins with: quotation marks of any language, then a capital letter, a letter of a
# script without capitals, or a digit.
_BEGIN = rf"""["'“‘„«(\[¿¡]*\s?[\dA-ZÀ-ÖØ-ÞĆČŁŘŚŞŠŻŽİŐŰΑ-ΩА-ЯЁԱ-Ֆ{UNCASED}]"""
_MONTHS = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
# A full stop ends no sentence after one letter, as in "U.S. exports" and "z. B.", after a title or
# a unit, and in a German date, as in "3. Oktober". Chinese and Japanese sentences have no blank
# between. Thai has no full stops: a blank ends a clause of 20 characters or more.
_END = re.compile(
    r"(?<!\b[^\W\d_]\.)(?<!\b(?:Mr|Ms|Dr|St|Sr|Nr|ca|MM|EE|डॉ)\.)"
    r"(?<!\b(?:Mrs|Sra|Dra|bzw|Mio|Mrd|env)\.)(?<!\bProf\.)"
    r"""(?<=[.!?…])["'”’“»)\]]*(?:\s»)?\s+"""
    rf"(?!(?:(?<=\b\d\.\s)|(?<=\b\d\d\.\s))(?:{'|'.join(_MONTHS.split())})\b)(?={_BEGIN})"
    rf"""|(?<=[{STOPS}{QUESTIONS}])[”’」』）»)\]]*(?:["'](?=\s|$))?\s*"""
    rf"|(?<=[{THAI}]{{20}})\s+(?=[{THAI}])"
    r"|\n\s*"
)


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


@dataclass(frozen=True)
class Share:
    """A part of a text, and how much lower the logits are without it.

    Parameters
    ----------
    start, end
        Where it begins and ends in the text, in characters.
    shares
        Topic → its logit less that of the text without the part. More than 0 speaks for the topic.
    """

    text: str
    start: int
    end: int
    shares: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """A prediction, and how much lower its logits are without each part of what was read.

    Logits in mode single are relative: how much more likely a topic, or ``(none)`` of them, is than
    all of these on average. Topics that the model does not know are left out, and so is ``(none)``
    if it was trained without texts that have none. Where nothing is left, all logits are 0.

    Parameters
    ----------
    logits
        Topic → its logit.
    sentences
        The sentences of the text, in its order.
    context
        Part of what stands around the text (``title``, ``heading``, ``before``, ``after``) → topic
        → its logit less that without the part. Parts of which nothing is read are left out.
    named_from
        Topic → probability from which on it would be predicted for this text, if what it gains is
        taken from the probability of none of the topics. Empty for a blank text.
    """

    prediction: Prediction
    logits: dict[str, float]
    sentences: list[Share]
    context: dict[str, dict[str, float]]
    named_from: dict[str, float]

    @property
    def topic(self) -> str:
        """The predicted topic, or the most probable one if none is; "" for a blank text."""
        if self.prediction.topic is not None:
            return self.prediction.topic
        known = [topic for topic in self.prediction.scores if topic in self.logits]
        return max(known, key=self.prediction.scores.__getitem__, default="")


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where each sentence of a text begins and ends; a line break ends one, too.

    >>> text = "The U.S. raised tariffs. Beijing replied."
    >>> [text[start:end] for start, end in sentences(text)]
    ['The U.S. raised tariffs.', 'Beijing replied.']
    """
    borders = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    for start, end in pairwise(borders):
        part = text[start:end]
        if part.strip():
            yield start + len(part) - len(part.lstrip()), start + len(part.rstrip())
