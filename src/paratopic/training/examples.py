"""What models are fitted to, what fitting returns, and how much each example counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.inference.folder import Calibration
from paratopic.inference.scores import Array, Scores, Targets, classes, topical
from paratopic.project.topics import Topics

# Told how much is done: of one fit its share, 0 to 1; of several also the fits before it.
Advance = Callable[[float], None]

# Labelled articles that the topics' descriptions are worth.
DESCRIPTION_ARTICLES = 3


@dataclass(frozen=True)
class Examples:
    """Training examples.

    Parameters
    ----------
    texts
        n texts.
    targets
        (n, k) whether they have each topic.
    groups
        (n,) numbers of units that no inner split tears apart.
    articles
        (n,) numbers of the articles that they are from.
    """

    texts: Sequence[str]
    targets: Targets
    groups: npt.NDArray[np.int64]
    articles: npt.NDArray[np.int64]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(n,) class numbers, of the first topic where there are several; -1 for none."""
        return classes(self.targets)

    def topical(self) -> Examples:
        """Those that have a topic."""
        some = topical(self.targets)
        texts = [text for text, has in zip(self.texts, some, strict=True) if has]
        return Examples(texts, self.targets[some], self.groups[some], self.articles[some])


class Fitted(Protocol):
    """A trained model before it is saved.

    Attributes
    ----------
    history
        What the fit noted: two columns of numbers, such as step and loss.
    """

    history: pd.DataFrame

    @property
    def classes_(self) -> tuple[str, ...]:
        """Topic names in codebook order."""
        ...

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Probabilities, (n texts, k topics); see `classifier.Model.predict_proba`."""
        ...

    def save(self, folder: Path, calibration: Calibration) -> dict[str, float]:
        """Write a folder that `classifier.load` opens; returns how like this model it answers."""
        ...


Fit = Callable[[Examples, int, Advance], Fitted]


def evidence(examples: Examples, topics: Topics) -> Array:
    """How much each example counts beside the topics' descriptions.

    Paragraphs of one article repeat each other: m of them count as m / (1 + (m - 1) r), the
    effective size of a cluster sample (Kish 1965) with an intraclass correlation r. Here r is 1/g
    with g labelled articles: what they have in common by chance shrinks as more are labelled. To
    it comes the factor g / (g + 3): what the descriptions say counts as three articles.

    In mode single, examples with none of the topics tell nothing of which topic one is: they
    neither weigh nor count.

    Returns
    -------
    (n,) weights in [0, 1): all paragraphs of a lone article together weigh 1/4, each of a thousand
    lone paragraphs almost 1. Without descriptions there is nothing else to go by: all weigh 1.
    """
    whole = np.full(len(examples.texts), topics.mode == "multi")
    tells = topical(examples.targets) | whole
    weights: Array = tells.astype(np.float64)
    if not topics.descriptions:
        return weights
    articles = examples.articles[tells]
    size = np.bincount(articles, minlength=1)[articles]
    g = len(np.unique(articles))
    weights[tells] = g / (g + DESCRIPTION_ARTICLES) / (1 + (size - 1) / max(g, 1))
    return weights
