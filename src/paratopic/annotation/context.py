"""A paragraph to label, with its neighbours in the article and what the model predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

# Neighbours in the article that are shown on each side.
CONTEXT = 2


@dataclass(frozen=True)
class Suggestion:
    """A paragraph to label, in its context, with what the model says.

    Parameters
    ----------
    id, article, heading, text
        As in the paragraph table.
    before, after
        The neighbouring paragraphs of the article, at most two each.
    scores
        Probability of each topic, in codebook order; empty where no model has judged it.
    reason
        Why it is asked for, where that is not the model's doubt.
    """

    id: str
    article: str
    heading: str
    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    scores: dict[str, float]
    reason: str = ""

    @property
    def topic(self) -> str:
        """The model's most probable topic, however sure it is; '' without scores."""
        return max(self.scores, key=self.scores.__getitem__, default="")

    @property
    def confidence(self) -> float:
        """Its probability; 0 without scores."""
        return self.scores.get(self.topic, 0.0)


def in_context(
    frame: pd.DataFrame,
    ids: Sequence[str],
    scores: Sequence[dict[str, float]],
    reasons: Sequence[str] | None = None,
) -> list[Suggestion]:
    """Paragraphs by their ids, with their neighbours, their scores and the reasons to ask."""
    ordered = frame.sort_values(["article", "position"], ignore_index=True)
    place = {identity: row for row, identity in enumerate(ordered["id"])}
    texts, articles = list(ordered["text"]), list(ordered["article"])
    found = []
    for identity, row, why in zip(ids, scores, reasons or [""] * len(ids), strict=True):
        here = place[identity]
        near = range(max(0, here - CONTEXT), min(len(texts), here + CONTEXT + 1))
        same = [n for n in near if articles[n] == articles[here]]
        found.append(
            Suggestion(
                identity,
                articles[here],
                ordered["heading"][here],
                texts[here],
                tuple(texts[n] for n in same if n < here),
                tuple(texts[n] for n in same if n > here),
                row,
                why,
            )
        )
    return found
