"""The linear head of a model, from features of texts in their context to logits, and its file.

A model reads each text by itself, once. What it makes of a text in an article is the sum of the
text's features and of those around it, each by its weight. What is missing weighs nothing, so a
text alone is read as it is. How much each part weighs is chosen in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from paratopic.inference.modes import Array, Features, Integers, Mode, Targets
from paratopic.project.texts import NEAR, NOTHING, PARTS, PLACES, Text, Texts, numbered

if TYPE_CHECKING:
    from scipy import sparse

# How much more the most similar subjects count in `nearness`, which would be the mean at 0.
SHARPNESS = 20.0
# Number of characters from which on the neighbours of a text weigh less.
CLEAR = 100


class Windows(NamedTuple):
    """What a head reads of n texts, each of which is read in one window or several.

    Attributes
    ----------
    features
        (n windows, d) features.
    owner, lengths
        (n windows,) numbers of the texts that windows belong to, and of tokens, by which the
        windows of a text are weighed.
    """

    features: Features
    owner: Integers
    lengths: Sequence[int]


class Reading(NamedTuple):
    """Logits of n texts before calibration, (n, `Mode.n_logits`), and numbers of windows, (n,)."""

    logits: Array
    windows: Integers


def nearness(similarity: Array) -> Array:
    """How close n texts are to m others together, (n,), from their similarity (n, m).

    It lies between the mean and the largest similarity: the log of the mean exponential.

    >>> nearness(np.array([[0.5, 0.5], [0.5, 0.1]])).round(2).tolist()
    [0.5, 0.47]
    """
    largest = similarity.max(axis=1, keepdims=True)
    mean = np.exp(SHARPNESS * (similarity - largest)).mean(axis=1)
    return np.asarray(largest[:, 0] + np.log(mean) / SHARPNESS)


class LinearHead(NamedTuple):
    """Logits of features, which see how close a text is to subjects that are none of the topics.

    Attributes
    ----------
    coef, slope, intercept
        (r, d), (r,) and (r,) coefficients, of the features and of that `nearness`, and intercepts.
    subjects
        (m, d) features of the subjects; (0, d) for none.
    """

    coef: Array
    slope: Array
    intercept: Array
    subjects: Array

    def logits(self, features: Features) -> Array:
        """Logits (n, r) of features (n, d)."""
        logits: Array = features @ self.coef.T + self.intercept
        if len(self.subjects):
            logits += nearness(np.asarray(features @ self.subjects.T))[:, None] * self.slope
        return logits

    def read(self, windows: Windows, mode: Mode, n_texts: int) -> Reading:
        """Read n texts by their windows."""
        features, owner, lengths = windows
        number = np.bincount(owner, minlength=n_texts)
        logits = mode.combine_windows(self.logits(features), lengths, owner, n_texts)
        return Reading(logits, number)

    def save(self, path: Path) -> None:
        """Write the head as safetensors, the same bytes every time."""
        from safetensors.numpy import save_file

        # Of an array that is a part of another one, safetensors writes what lies between, too.
        save_file({name: np.ascontiguousarray(part) for name, part in self._asdict().items()}, path)


def read_head(path: Path) -> LinearHead:
    """Read the head of a model's folder.

    Raises
    ------
    ValueError
        Its weights do not fit each other, or are not finite.
    """
    from safetensors.numpy import load_file

    tensors = load_file(path)
    head = LinearHead(**{name: tensors[name] for name in LinearHead._fields})
    (r, d), m = head.coef.shape, len(head.subjects)
    shapes = [part.shape for part in head]
    if shapes != [(r, d), (r,), (r,), (m, d)]:
        raise ValueError(f"weights of {shapes} do not fit each other")
    if not all(np.isfinite(part).all() for part in (head.coef, head.slope, head.subjects)):
        raise ValueError("weights are not finite")
    return head


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

    def at_places(self, texts: Texts) -> Array:
        """Weights of what stands at each of the `PLACES` around n texts, (n, p); 0 for nothing."""
        near = [self.neighbours**distance for _, distance in NEAR]
        weights = np.tile([*near, self.heading, self.title], (len(texts), 1))
        lengths = np.array([[len(text)] for text in texts.plain]).reshape(-1, 1)
        weights[:, : len(NEAR)] *= np.minimum(1.0, CLEAR / np.maximum(1, lengths))
        return np.where(texts.around == NOTHING, 0.0, weights)

    def reads(self, texts: Texts) -> Targets:
        """Whether anything around each of n texts is read, (n,)."""
        return np.asarray(self.at_places(texts).any(axis=1))

    def parts(self, text: Text) -> list[str]:
        """The `PARTS` of what stands around a text of which anything is read."""
        (weights,) = self.at_places(numbered([text]))
        read = {part for (part, _), weight in zip(PLACES, weights, strict=True) if weight > 0}
        return [part for part in PARTS if part in read]

    @classmethod
    def read(cls, values: Mapping[str, float]) -> ContextWeights:
        """Rebuild weights from `dataclasses.asdict` of them, which come from a file of anybody's.

        Raises
        ------
        ValueError
            A weight is not a number from 0 to 1.
        """
        for name, weight in values.items():
            if isinstance(weight, bool) or not 0 <= weight <= 1:
                raise ValueError(f"settings: the weight of {name} is {weight!r}")
        return cls(**values)


class InContext(NamedTuple):
    """What is read of n texts: a sparse matrix of weights, (n, m), in triplets.

    Attributes
    ----------
    texts
        m distinct texts.
    own
        (n,) number of each text itself, which weighs 1.
    row, column, weight
        (r,) number of a text, number of another that is read around it, and its weight.
    """

    texts: list[str]
    own: Integers
    row: Integers
    column: Integers
    weight: Array

    @property
    def around(self) -> sparse.csr_matrix:
        """Weights of what is read around the texts, (n, m)."""
        from scipy import sparse

        shape = len(self.own), len(self.texts)
        return sparse.csr_matrix((self.weight, (self.row, self.column)), shape)

    def sums(self, embeddings: Array) -> Array:
        """Sums of what is read around the texts, (n, d), from embeddings (m, d) of all that is."""
        total = np.zeros((len(self.own), embeddings.shape[1]))
        np.add.at(total, self.row, self.weight[:, None] * embeddings[self.column])
        return total


def in_context(texts: Texts, weights: ContextWeights) -> InContext:
    """Weigh what is read of texts; what weighs nothing is left out.

    Each distinct text is there once, in the order in which they are met.
    """
    of_places = weights.at_places(texts)
    row, place = np.nonzero(of_places)
    numbers = np.concatenate([texts.own, texts.around[row, place]])
    order: dict[int, int] = {}
    columns = [order.setdefault(number, len(order)) for number in numbers.tolist()]
    read = [texts.distinct[number] for number in order]
    own, column = np.split(np.array(columns, dtype=np.int64), [len(texts)])
    return InContext(read, own, row, column, of_places[row, place])
