"""The labelled paragraphs that are most similar to a text.

The caller passes the paragraphs: a model's folder contains no texts, because it may be published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from paratopic.inference.model import Model
from paratopic.inference.modes import Features

# `LabelledParagraphs.nearest` returns this number of paragraphs.
N_NEAREST = 3


@dataclass(frozen=True)
class SimilarParagraph:
    """A labelled paragraph that is similar to a text.

    Parameters
    ----------
    topics
        Topics of its label; empty if it has no topic.
    similarity
        Cosine similarity of the features of both texts; 1 for the text itself.
    """

    id: str
    topics: tuple[str, ...]
    text: str
    similarity: float


@dataclass(frozen=True)
class LabelledParagraphs:
    """Ids, topics and texts of one or more labelled paragraphs, and a model's features of them."""

    model: Model
    ids: Sequence[str]
    topics: Sequence[Sequence[str]]
    texts: Sequence[str]
    _features: Features = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_features", self.model.embed(self.texts))

    def nearest(self, text: str) -> list[SimilarParagraph]:
        """Find the `N_NEAREST` most similar paragraphs, or all if there are fewer, best first.

        They include the text itself if it is labelled. Ties keep the order of the paragraphs.
        """
        products = self.model.embed([text]) @ self._features.T
        similarity = products if isinstance(products, np.ndarray) else products.toarray()
        rows = np.argsort(-similarity[0], kind="stable")[:N_NEAREST]
        return [
            SimilarParagraph(self.ids[row], tuple(self.topics[row]), self.texts[row], cosine)
            for row, cosine in zip(rows.tolist(), similarity[0, rows].tolist(), strict=True)
        ]

    def nearest_other(self, text: str) -> SimilarParagraph | None:
        """Find the most similar paragraph that is no copy of a text; None if all nearest are."""
        others = (paragraph for paragraph in self.nearest(text) if paragraph.text != text)
        return next(others, None)
