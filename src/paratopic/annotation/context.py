"""A paragraph to label, with its neighbours in the article and the model's scores.

This module does not decide which paragraphs to label: `suggestion` and `review` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

# Number of neighbouring paragraphs that are shown on each side.
CONTEXT = 2


@dataclass(frozen=True)
class Suggestion:
    """A paragraph to label.

    Parameters
    ----------
    id, article, heading, text
        As in the paragraph table.
    before, after
        Texts of the neighbouring paragraphs in the article, at most two on each side.
    scores
        Probability of each topic; empty if no model has scored the paragraph.
    reason
        Why the paragraph should be labelled; "" if only because the model is unsure.
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
        """The most probable topic, even if the model predicts none; "" without scores."""
        return max(self.scores, key=self.scores.__getitem__, default="")

    @property
    def confidence(self) -> float:
        """Probability of the most probable topic, 0 to 1; 0 without scores."""
        return self.scores.get(self.topic, 0.0)


def in_context(
    frame: pd.DataFrame,
    ids: Sequence[str],
    scores: Sequence[dict[str, float]],
    reasons: Sequence[str] | None = None,
) -> list[Suggestion]:
    """Look up paragraphs and their neighbours in the paragraph table.

    Parameters
    ----------
    frame
        Paragraph table.
    ids
        Ids of the n paragraphs to label, in the order in which they are to be shown.
    scores
        n mappings from topic to probability; an empty one for a paragraph without scores.
    reasons
        n reasons for labelling the paragraphs; default: "" for each.

    Returns
    -------
    n suggestions in the order of `ids`.
    """
    ordered = frame.sort_values(["article", "position"], ignore_index=True)
    row_of = {id_: row for row, id_ in enumerate(ordered["id"])}
    texts, articles = list(ordered["text"]), list(ordered["article"])
    suggestions = []
    for id_, own_scores, reason in zip(ids, scores, reasons or [""] * len(ids), strict=True):
        row = row_of[id_]
        window = range(max(0, row - CONTEXT), min(len(texts), row + CONTEXT + 1))
        neighbours = [n for n in window if articles[n] == articles[row]]
        suggestions.append(
            Suggestion(
                id=id_,
                article=articles[row],
                heading=ordered["heading"][row],
                text=texts[row],
                before=tuple(texts[n] for n in neighbours if n < row),
                after=tuple(texts[n] for n in neighbours if n > row),
                scores=own_scores,
                reason=reason,
            )
        )
    return suggestions
