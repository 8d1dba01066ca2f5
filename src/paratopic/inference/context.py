"""How much a model reads of what stands around a text.

A model reads each text by itself, once. What it makes of a text in an article is the sum of the
text's features and of those around it, each by its weight. What is missing weighs nothing, so a
text alone is read as it is. How much each part weighs is chosen in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from paratopic.inference.scores import Array, Integers
from paratopic.project.passages import PARTS, REACH, Passage, Text, plain

# Number of characters from which on the neighbours of a text weigh less.
CLEAR = 100


@dataclass(frozen=True)
class ContextWeights:
    """How much a model reads of what stands around a text, whose own features weigh 1.

    The longer a text is, the clearer it is by itself, and the more often its neighbours are about
    something else. So around a text of n characters, more than `CLEAR`, neighbours weigh
    `CLEAR` / n as much.

    Parameters
    ----------
    neighbours
        Weight of the paragraph before the text and of the one after it, 0 to 1. One that is k away
        weighs this to the power of k. 0, the default, reads none.
    heading, title
        Weights of the heading and of the article's title, 0 to 1; 0, the default, reads none.
    """

    neighbours: float = 0.0
    heading: float = 0.0
    title: float = 0.0

    def parts(self, passage: Passage) -> Iterator[tuple[str, float, str]]:
        """Part, weight and text of all that is read around a passage."""
        short = min(1.0, CLEAR / max(1, len(passage.text)))
        for part, near in (("before", reversed(passage.before)), ("after", iter(passage.after))):
            for distance, text in enumerate(islice(near, REACH), start=1):
                yield part, short * self.neighbours**distance, text
        yield "heading", self.heading, passage.heading
        yield "title", self.title, passage.title

    def reads(self, passage: Passage) -> bool:
        """Whether anything around the passage is read."""
        return any(weight and text.strip() for _, weight, text in self.parts(passage))


def read_weights(values: Mapping[str, float]) -> ContextWeights:
    """Rebuild weights from `dataclasses.asdict` of them, which come from a file of anybody's.

    Raises
    ------
    ValueError
        A weight is not a number from 0 to 1.
    """
    weights = ContextWeights(**values)
    for name, weight in values.items():
        if isinstance(weight, bool) or not 0 <= weight <= 1:
            raise ValueError(f"settings: the weight of {name} is {weight!r}")
    return weights


class Surroundings(NamedTuple):
    """What is to be read of n passages: their texts, and those around them.

    Attributes
    ----------
    texts
        m distinct texts.
    own
        (n,) number of each passage's own text.
    row, column, weight
        (r,) number of a passage, number of a text that is read around it, and its weight.
    part
        (r,) number of the part (`PARTS`) that it is.
    """

    texts: list[str]
    own: Integers
    row: Integers
    column: Integers
    weight: Array
    part: Integers


def surroundings(texts: Sequence[Text], weights: ContextWeights) -> Surroundings:
    """List what is to be read of texts that are not blank; each distinct text is there once.

    Blank parts of what stands around them are left out, and those that weigh nothing.
    """
    number: dict[str, int] = {}
    own = [number.setdefault(text, len(number)) for text in plain(texts)]
    entries = [
        (row, number.setdefault(text, len(number)), PARTS.index(part), weight)
        for row, passage in enumerate(texts)
        if isinstance(passage, Passage)
        for part, weight, text in weights.parts(passage)
        if weight and text.strip()
    ]
    table = np.array(entries, dtype=np.float64).reshape(-1, 4)
    row, column, part = table[:, :3].T.astype(np.int64)
    return Surroundings(list(number), np.array(own, dtype=np.int64), row, column, table[:, 3], part)


def around(read: Surroundings, embeddings: Array) -> Array:
    """Sum of what is read around each passage, (n, d), from embeddings (m, d) of the texts."""
    total = np.zeros((len(read.own), embeddings.shape[1]))
    np.add.at(total, read.row, read.weight[:, None] * embeddings[read.column])
    return total
