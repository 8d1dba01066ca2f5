"""A paragraph to label, with its neighbours in the article and what the model thinks of it.

This module does not decide which paragraphs to label: `suggestion` and `findings.review` do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from paratopic.corpus.table import passages
from paratopic.inference.prediction import Explanation, Prediction
from paratopic.project.passages import Text

# Number of neighbouring paragraphs that are shown on each side.
CONTEXT = 2

# Function from a text to why the model answers as it does.
Explain = Callable[[Text], Explanation]


@dataclass(frozen=True)
class Suggestion:
    """A paragraph to label.

    Parameters
    ----------
    before, after
        Texts of the neighbouring paragraphs in the article, at most two on each side.
    scores
        Probability of each topic; empty if no model has scored the paragraph, or if whoever labels
        it is not to see what the model thinks.
    reason
        Why the paragraph should be labelled; "" if only because the model is unsure.
    passage
        What a model reads: the text with what stands around it; the text alone by default.
    drawn
        How the paragraph was chosen, as in `Label.drawn`; "" where it is not known.
    when
        Time of an answer in a sheet, as in `Label.when`; "" where it is not known.
    """

    id: str
    article: str
    heading: str
    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    scores: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    topics: tuple[str, ...] = ()
    sure: bool = False
    passage: Text = ""
    drawn: str = ""
    when: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "passage", self.passage or self.text)

    @property
    def topic(self) -> str:
        """The most probable topic, even if the model predicts none; "" without scores."""
        return max(self.scores, key=self.scores.__getitem__, default="")

    @property
    def confidence(self) -> float:
        """Probability of the most probable topic, 0 to 1; 0 without scores."""
        return self.scores.get(self.topic, 0.0)


def in_context(frame: pd.DataFrame, drawn: Mapping[str, str]) -> list[Suggestion]:
    """Look up paragraphs and their neighbours in the paragraph table.

    Parameters
    ----------
    drawn
        Paragraph id → how it was chosen (`Label.drawn`), in the order in which they are to be
        shown.

    Returns
    -------
    Suggestions in this order, without scores.
    """
    ordered = frame.sort_values(["article", "position"], ignore_index=True)
    row_of = {id_: row for row, id_ in enumerate(ordered["id"])}
    texts, articles = list(ordered["text"]), list(ordered["article"])
    suggestions = []
    rows = np.array([row_of[id_] for id_ in drawn], dtype=np.int64)
    for id_, row, passage in zip(drawn, rows, passages(ordered, rows), strict=True):
        window = range(max(0, row - CONTEXT), min(len(texts), row + CONTEXT + 1))
        neighbours = [n for n in window if articles[n] == articles[row]]
        before = tuple(texts[n] for n in neighbours if n < row)
        after = tuple(texts[n] for n in neighbours if n > row)
        place = id_, articles[row], ordered["heading"][row]
        suggestion = Suggestion(
            *place, texts[row], before, after, passage=passage, drawn=drawn[id_]
        )
        suggestions.append(suggestion)
    return suggestions


def with_predictions(
    suggestions: Sequence[Suggestion], predictions: Sequence[Prediction]
) -> list[Suggestion]:
    """Add to each of n suggestions what the model predicts for it."""
    return [
        replace(suggestion, scores=answer.scores, topics=answer.topics, sure=answer.sure)
        for suggestion, answer in zip(suggestions, predictions, strict=True)
    ]


def blind(suggestions: Sequence[Suggestion]) -> list[Suggestion]:
    """Hide what the model thinks, with which people who see it agree more often."""
    return [replace(item, scores={}, topics=(), sure=False) for item in suggestions]
