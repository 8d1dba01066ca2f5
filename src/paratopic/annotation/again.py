"""Paragraphs to look at again after a change of the codebook: in which order, and as which topic.

This module does not read labels.csv (`labels.answers` says which paragraphs these are) or train.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from paratopic.annotation.context import Suggestion, in_context
from paratopic.inference.model import Model
from paratopic.labels.answers import Reopened
from paratopic.project.codebook import first_definition
from paratopic.project.topics import Topics


def look_again(
    frame: pd.DataFrame, again: Mapping[str, Reopened], topics: Topics, model: Model | None
) -> list[Suggestion]:
    """Order the paragraphs to look at again, the most doubtful first.

    A paragraph is compared with the topics that may have taken the place of its own: with the
    embedding of what each covers. The smaller the gap between the two that are most like it, the
    more doubtful it is.

    Parameters
    ----------
    again
        Id of each of n paragraphs of the table → why it has to be looked at again.
    model
        The model whose embeddings are compared; None leaves the order of the table, without scores.

    Returns
    -------
    n suggestions. Their scores are the likenesses of the paragraph and the topics, 0 to 1.
    """
    ids = [id_ for id_ in frame["id"] if id_ in again]
    suggestions = [
        replace(item, reason=again[item.id].change.text, when=again[item.id].change.when)
        for item in in_context(frame, ids)
    ]
    if model is None or not suggestions:
        return suggestions
    covered = [topic.description or first_definition(topic.name) for topic in topics.topics]
    likeness = model.embed([item.text for item in suggestions]) @ model.embed(covered).T
    dense = likeness if isinstance(likeness, np.ndarray) else likeness.toarray()
    scored, gaps = [], []
    for item, row in zip(suggestions, np.clip(dense, 0, 1).tolist(), strict=True):
        of_topic = dict(zip(topics.names, row, strict=True))
        wanted = [name for name in again[item.id].topics if name in of_topic] or topics.names
        scored.append(replace(item, scores={name: of_topic[name] for name in wanted}))
        nearest = sorted(scored[-1].scores.values(), reverse=True)
        gaps.append(nearest[0] - nearest[1] if len(nearest) > 1 else 1.0)
    return [scored[number] for number in np.argsort(gaps, kind="stable")]
