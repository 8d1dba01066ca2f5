"""Paragraphs that the labelling page shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paratopic.annotation.suggestion import Suggestion
from paratopic.project.topics import Topics


def suggestions(topics: Topics, count: int = 3) -> list[Suggestion]:
    """Paragraphs to label, in context, all with the same scores."""
    scores = dict(zip(topics.names, (0.2, 0.5, 0.3), strict=True))
    return [
        Suggestion(
            f"news:{n}",
            "news",
            "A heading",
            f"Tariffs <b>rose</b> {n} times on goods that crossed the border by ship or by rail.",
            (f"What came before {n}.",),
            (f"What came after {n}.",),
            scores,
        )
        for n in range(count)
    ]


def blind(items: Sequence[Suggestion]) -> list[Suggestion]:
    """The same suggestions without predictions."""
    return [replace(item, scores={}) for item in items]
