"""Many texts with what stands around them, by numbers: what models learn from and are measured on.

Each distinct text is there once, however often it is read. What of it is read, and how much each
part weighs, is for `inference.linear_head`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from paratopic.project.passages import REACH, Passage

# A text alone, or with what stands around it.
Text: TypeAlias = str | Passage


Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Parts of what stands around a text, in the order in which they are shown.
PARTS = ("title", "heading", "before", "after")
# Places around a text: part of each, and its distance there. The nearest come first.
NEAR = [(part, distance) for part in ("before", "after") for distance in range(1, REACH + 1)]
PLACES = (*NEAR, ("heading", 1), ("title", 1))
# In place of a number: nothing stands there.
NOTHING = -1


@dataclass(frozen=True, eq=False)
class Texts:
    """n texts, and what stands around each of them.

    Parameters
    ----------
    distinct
        m distinct texts; some may be none of the n, and stand around none.
    own
        (n,) number of each text.
    around
        (n, p) numbers of the texts at the p `PLACES` around each text; `NOTHING` where none is.
    """

    distinct: Sequence[str]
    own: Integers
    around: Integers

    def __len__(self) -> int:
        return len(self.own)

    @property
    def plain(self) -> list[str]:
        """The texts themselves, (n,)."""
        return [self.distinct[number] for number in self.own.tolist()]

    @property
    def without_context(self) -> Texts:
        """The texts without what stands around them."""
        return self.without(np.ones((1, 1), dtype=bool))

    def of(self, rows: Integers | Booleans | slice) -> Texts:
        """Select texts, by their numbers or by whether they are wanted."""
        return replace(self, own=self.own[rows], around=self.around[rows])

    def without(self, hidden: Booleans) -> Texts:
        """Leave out what is hidden around the texts: (n, p), or what NumPy broadcasts to it."""
        return replace(self, around=np.where(hidden, NOTHING, self.around))

    def at(self, part: str) -> Integers:
        """Numbers of the texts at the places of a part around each text, (n, r)."""
        return self.around[:, [name == part for name, _ in PLACES]]


def as_passage(text: Text) -> Passage:
    """The text as a passage, with nothing around it if it is a str."""
    return text if isinstance(text, Passage) else Passage(text)


def plain(texts: Iterable[Text]) -> list[str]:
    """The texts without what stands around them."""
    return [text.text if isinstance(text, Passage) else text for text in texts]


def numbered(texts: Iterable[Text]) -> Texts:
    """Number n texts and those that stand around them; a blank one around a text is nothing."""
    number: dict[str, int] = {}
    own, around = list[int](), list[list[int]]()
    for text in texts:
        passage = as_passage(text)
        own.append(number.setdefault(passage.text, len(number)))
        around.append(
            [
                number.setdefault(each, len(number)) if each.strip() else NOTHING
                for each in _around(passage)
            ]
        )
    numbers = np.array(around, dtype=np.int64).reshape(-1, len(PLACES))
    return Texts(list(number), np.array(own, dtype=np.int64), numbers)


def _around(passage: Passage) -> Iterator[str]:
    """The texts at the `PLACES` around a passage, "" for none."""
    for near in (reversed(passage.before), iter(passage.after)):
        yield from islice(chain(near, repeat("")), REACH)
    yield from (passage.heading, passage.title)
