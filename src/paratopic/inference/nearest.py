"""The labelled paragraphs that a model finds most like a text.

The paragraphs are given: a model's folder holds no texts, because it may be given away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from paratopic.inference.model import Model
from paratopic.inference.modes import Features

# Number of paragraphs that are found for a text.
N_NEAREST = 3


@dataclass(frozen=True)
class LikeParagraph:
    """A labelled paragraph that is like a text.

    Parameters
    ----------
    topics
        Topics of its label; empty for none of the topics.
    similarity
        Cosine between what the model's head reads of both texts: 1 for the text itself.
    """

    id: str
    topics: tuple[str, ...]
    text: str
    similarity: float


@dataclass(frozen=True)
class LabelledParagraphs:
    """Ids, topics and texts of labelled paragraphs, at least one, as a model reads them."""

    model: Model
    ids: Sequence[str]
    topics: Sequence[Sequence[str]]
    texts: Sequence[str]
    _features: Features = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_features", self.model.embed(self.texts))

    def nearest(self, text: str) -> list[LikeParagraph]:
        """Find the paragraphs that are most like a text, the most similar first.

        A text that is labelled itself is among them.
        """
        products = self.model.embed([text]) @ self._features.T
        similarity = products if isinstance(products, np.ndarray) else products.toarray()
        rows = np.argsort(-similarity[0], kind="stable")[:N_NEAREST]
        return [
            LikeParagraph(self.ids[row], tuple(self.topics[row]), self.texts[row], near)
            for row, near in zip(rows.tolist(), similarity[0, rows].tolist(), strict=True)
        ]

    def nearest_other(self, text: str) -> LikeParagraph | None:
        """Find the paragraph that is most like a text, but for its copies; None for none near."""
        return next((near for near in self.nearest(text) if near.text != text), None)
