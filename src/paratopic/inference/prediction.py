"""Predictions, and their explanations: the change of the logits without each sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from paratopic.project.scripts import QUESTIONS, STOPS, THAI, UNCASED

# A sentence begins with quotation marks of any language, then a capital letter, a letter of a
# script without capitals, or a digit.
_BEGIN = rf"""["'“‘„«(\[¿¡]*\s?[\dA-ZÀ-ÖØ-ÞĆČŁŘŚŞŠŻŽİŐŰΑ-ΩА-ЯЁԱ-Ֆ{UNCASED}]"""
_MONTHS = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
# A full stop ends no sentence after a single letter, as in "U.S. exports" and "z. B.", after a
# title or a unit, and in a German date, as in "3. Oktober". Chinese and Japanese sentences have no
# blank between them. Thai has no full stops: a blank ends a clause of 20 characters or more.
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
        The most probable of `topics`; None if `topics` is empty.
    confidence
        Probability of the predicted topic, or of the most probable one if none is predicted, 0 to
        1, calibrated on out-of-fold scores.
    scores
        Probability of each topic, in codebook order. In mode single, 1 minus their sum is the
        probability that the text has no topic, which is 0 if the model was trained without such
        texts. In mode multi, each topic has its own probability.
    windows
        Number of overlapping windows of the text; 0 for a blank text.
    topics
        Predicted topics, from the most probable one on. In mode single it is at most one, which
        would be likelier than no topic if all outcomes were equally frequent; so a rare topic can
        be predicted with a probability below one half. In mode multi, all topics that reach their
        thresholds. Empty for a blank text.
    sure
        Whether the probability reaches the threshold above which a share `calibrate.precision` of
        predictions is right. Always False with too few labels for such a threshold, and in mode
        multi, where thresholds maximise F1.
    """

    topic: str | None
    confidence: float
    scores: dict[str, float]
    windows: int
    topics: tuple[str, ...]
    sure: bool


@dataclass(frozen=True)
class Share:
    """A sentence of a text, and its share in the logits.

    Parameters
    ----------
    start, end
        Offsets in the text, in characters; `end` is exclusive.
    shares
        Topic → its logit minus its logit without the sentence. A sentence with a positive share
        makes the topic more probable.
    """

    text: str
    start: int
    end: int
    shares: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """A prediction, and the share of each part of the text and its context in the logits.

    In mode single, logits are relative to the mean logit of all outcomes, which are the topics and
    ``(none)``. Outcomes of probability 0, such as those that did not occur in training, are left
    out. If the text is blank without a sentence, its logits without the sentence count as 0.

    Parameters
    ----------
    logits
        Topic → its logit. Empty for a blank text.
    sentences
        The sentences of the text, in order.
    context
        Part of the context (``title``, ``heading``, ``before``, ``after``) → topic → its logit
        minus its logit without the part. Parts that the model does not read are left out.
    named_from
        Topic → lowest probability at which it would be predicted for this text, if the probability
        of no topic changed accordingly. Empty for a blank text.
    """

    prediction: Prediction
    logits: dict[str, float]
    sentences: list[Share]
    context: dict[str, dict[str, float]]
    named_from: dict[str, float]

    @property
    def topic(self) -> str:
        """The predicted topic, otherwise the most probable one; "" for a blank text."""
        if self.prediction.topic is not None:
            return self.prediction.topic
        known = [topic for topic in self.prediction.scores if topic in self.logits]
        return max(known, key=self.prediction.scores.__getitem__, default="")


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each sentence, without blanks around it; a line break ends one, too.

    >>> text = "The U.S. raised tariffs. Beijing replied."
    >>> [text[start:end] for start, end in sentences(text)]
    ['The U.S. raised tariffs.', 'Beijing replied.']
    """
    borders = [0, *(match.end() for match in _END.finditer(text)), len(text)]
    for start, end in pairwise(borders):
        sentence = text[start:end]
        if sentence.strip():
            yield start + len(sentence) - len(sentence.lstrip()), start + len(sentence.rstrip())
