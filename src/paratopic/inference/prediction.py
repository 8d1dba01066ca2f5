"""A prediction, and why it is made: what each sentence and word of a text adds to the logits.

Both kinds of model are linear after their last average: the transformer in its tokens, the baseline
in its terms. So what the parts of a text add can be told exactly, and adds up. How each kind of
model takes its logits apart is for `onnx_model` and `tfidf_model`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from typing import NamedTuple

import numpy as np

from paratopic.inference.calibration import Calibration
from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Integers
from paratopic.project.texts import PARTS
from paratopic.project.topics import NONE

# What a sentence begins with: quotation marks of any language, then a capital letter or a digit.
_BEGIN = r"""["'“‘„«(\[¿¡]*\s?[\dA-ZÀ-ÖØ-ÞĆČŁŘŚŞŠŻŽİŐŰΑ-ΩА-ЯЁ]"""
_MONTHS = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
# A full stop ends no sentence after one letter, as in "U.S. exports" and "z. B.", after a title,
# and in a German date, as in "3. Oktober". Chinese and Japanese sentences have no blank between.
_END = re.compile(
    r"(?<!\b[^\W\d_]\.)(?<!\b(?:Mr|Ms|Dr|St|Sr|Nr|ca)\.)(?<!\b(?:Mrs|Sra|Dra|bzw)\.)"
    r"(?<!\bProf\.)"
    r"""(?<=[.!?…])["'”’“»)\]]*(?:\s»)?\s+"""
    rf"(?!(?:(?<=\b\d\.\s)|(?<=\b\d\d\.\s))(?:{'|'.join(_MONTHS.split())})\b)(?={_BEGIN})"
    r"|(?<=[。！？])[”’」』）]*\s*"
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
    likeness
        How like the labelled texts the text is: 0 as these are to each other, and 1 less for each
        standard deviation among them; 0 for a blank text.
    """

    topic: str | None
    confidence: float
    scores: dict[str, float]
    windows: int
    topics: tuple[str, ...]
    sure: bool
    likeness: float


class Contributions(NamedTuple):
    """What the tokens of a text, and what is read around it, add to its logits.

    Attributes
    ----------
    spans
        (m, 2) beginning and end of each token in the text.
    shares
        (m, r) what each token adds to each logit.
    logits
        (r,) logits of the text, as `modes.Mode` defines them. What the shares and the context leave
        of them is there without the text.
    context
        (p, r) what each part of what stands around the text (`context.PARTS`) adds to each logit.
    """

    spans: Integers
    shares: Array
    logits: Array
    context: Array


@dataclass(frozen=True)
class Share:
    """What a part of a text adds to the logits.

    Parameters
    ----------
    start, end
        Where it begins and ends in the text, in characters.
    shares
        Topic → what the part adds to its logit. More than 0 speaks for the topic.
    """

    text: str
    start: int
    end: int
    shares: dict[str, float]


@dataclass(frozen=True)
class Explanation:
    """A prediction, and what each part of the text adds to its logits.

    Logits in mode single are relative: how much more likely a topic, or ``(none)`` of them, is than
    all of these on average. Topics that the model does not know are left out, and so is ``(none)``
    if it was trained without texts that have none.

    Parameters
    ----------
    logits
        Topic → its logit: its share in `base` and those in `sentences` and `context`, added up.
    base
        Topic → what is there without the text, and what belongs to none of its words.
    sentences, tokens
        The sentences of the text, in its order, and its words or pieces of words, which add up to
        the sentences.
    context
        Part of what stands around the text (``title``, ``heading``, ``before``, ``after``) → topic
        → what it adds to the logit. Parts of which nothing is read are left out.
    """

    prediction: Prediction
    logits: dict[str, float]
    base: dict[str, float]
    sentences: list[Share]
    tokens: list[Share]
    context: dict[str, dict[str, float]]

    @property
    def topic(self) -> str:
        """The predicted topic, or the most probable one if none is; "" for a blank text."""
        if self.prediction.topic is not None:
            return self.prediction.topic
        known = [topic for topic in self.prediction.scores if topic in self.logits]
        return max(known, key=self.prediction.scores.__getitem__, default="")


def explain(
    text: str,
    prediction: Prediction,
    classes: Sequence[str],
    mode: Mode,
    contributions: Contributions,
    calibration: Calibration,
) -> Explanation:
    """Put the contributions of tokens together; logits that are not finite are left out."""
    spans, shares, logits, context = contributions
    logits, scale = calibration.apply(logits), calibration.scale
    known = np.isfinite(logits)
    shares, logits, context = (
        mode.centred(each, known)[..., known] for each in (shares * scale, logits, context * scale)
    )
    # In mode single the last logit is that of having none of the topics.
    topics = list(compress((*classes, NONE), known))

    def by_topic(values: Array) -> dict[str, float]:
        return dict(zip(topics, values.tolist(), strict=True))

    def share(start: int, end: int, values: Array) -> Share:
        return Share(text[start:end], start, end, by_topic(values))

    borders = list(sentences(text))
    begins = [start for start, _ in borders]
    # What a tokenizer makes of white space in front of the first one belongs to it.
    sentence = (np.searchsorted(begins, spans[:, 0], side="right") - 1).clip(0)
    sums = [shares[sentence == number].sum(axis=0) for number in range(len(borders))]
    base = logits - shares.sum(axis=0) - context.sum(axis=0)
    return Explanation(
        prediction,
        by_topic(logits),
        by_topic(base),
        [share(*border, row) for border, row in zip(borders, sums, strict=True)],
        [share(start, end, row) for (start, end), row in zip(spans.tolist(), shares, strict=True)],
        {part: by_topic(row) for part, row in zip(PARTS, context, strict=True) if row.any()},
    )


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
