"""Numbered texts with their contexts, for training and measuring models.

Each distinct text is stored once. `inference.linear_head` weights the parts of a context.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from paratopic.project.passages import N_NEIGHBOURS, Passage

# A text without context, or with it.
Text: TypeAlias = str | Passage

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Parts of a context, in the order in which they are shown.
PARTS = ("title", "heading", "before", "after")
# Places in a context: the part, and the distance from the text, by which each side is ordered.
NEIGHBOUR_PLACES = [(part, n) for part in ("before", "after") for n in range(1, N_NEIGHBOURS + 1)]
PLACES = (*NEIGHBOUR_PLACES, ("heading", 1), ("title", 1))
# The number at a place that has no text.
NO_TEXT = -1


@dataclass(frozen=True, eq=False)
class Texts:
    """n texts with their contexts.

    Parameters
    ----------
    distinct
        m distinct texts. A selection of the n texts keeps all of them.
    numbers
        (n,) the number of each text in `distinct`.
    context
        (n, p) the numbers of the texts at the p `PLACES` of each context; `NO_TEXT` at empty ones.
    """

    distinct: Sequence[str]
    numbers: Integers
    context: Integers

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def plain(self) -> list[str]:
        """The n texts without context."""
        return [self.distinct[number] for number in self.numbers.tolist()]

    @property
    def without_context(self) -> Texts:
        """The same texts with empty contexts."""
        return self.without(np.ones((1, 1), dtype=bool))

    def select(self, rows: Integers | Booleans | slice) -> Texts:
        """Select texts, by their numbers or by a mask."""
        return replace(self, numbers=self.numbers[rows], context=self.context[rows])

    def without(self, hidden: Booleans) -> Texts:
        """Empty hidden places of the contexts: (n, p), or a shape that NumPy broadcasts to it."""
        return replace(self, context=np.where(hidden, NO_TEXT, self.context))

    def at(self, part: str) -> Integers:
        """Numbers of the texts in a part of each context, (n, r)."""
        return self.context[:, [name == part for name, _ in PLACES]]


def as_passage(text: Text) -> Passage:
    """Convert a text to a passage; a str has no context."""
    return text if isinstance(text, Passage) else Passage(text)


def plain_texts(texts: Iterable[Text]) -> list[str]:
    """The texts without context."""
    return [text.text if isinstance(text, Passage) else text for text in texts]


def numbered(texts: Iterable[Text]) -> Texts:
    """Number the distinct texts among n texts and their contexts, whose blank ones are `NO_TEXT`.

    >>> numbered([Passage("B.", "A."), "A."]).numbers
    array([0, 1])
    """
    number_of: dict[str, int] = {}
    numbers, contexts = list[int](), list[list[int]]()
    for text in texts:
        passage = as_passage(text)
        numbers.append(number_of.setdefault(passage.text, len(number_of)))
        context_numbers = [
            number_of.setdefault(other, len(number_of)) if other.strip() else NO_TEXT
            for other in _context_texts(passage)
        ]
        contexts.append(context_numbers)
    context = np.array(contexts, dtype=np.int64).reshape(-1, len(PLACES))
    return Texts(list(number_of), np.array(numbers, dtype=np.int64), context)


def _context_texts(passage: Passage) -> Iterator[str]:
    """The texts at the `PLACES` of a passage's context, "" for none."""
    for neighbours in (reversed(passage.before), iter(passage.after)):
        yield from islice(chain(neighbours, repeat("")), N_NEIGHBOURS)
    yield from (passage.heading, passage.title)
