"""The linear head of a model: it maps features of texts and their context to logits.

A model encodes each distinct text once. The features of a text in an article are the weighted sum
of its own features and those of its context. Missing context has no weight, so a text without
context keeps its own features. Training chooses the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from paratopic.inference.modes import Array, Features, Integers, Mode, Targets
from paratopic.project.texts import NEIGHBOUR_PLACES, NO_TEXT, PARTS, PLACES, Text, Texts, numbered

if TYPE_CHECKING:
    from scipy import sparse

# Weight of the most similar subjects in `nearness`; at 0, `nearness` is the mean similarity.
SHARPNESS = 20.0
# The neighbours of texts with more characters than this weigh less.
LONG_TEXT = 100


class Windows(NamedTuple):
    """Features of n texts, each of which has one or more windows.

    Attributes
    ----------
    features
        (n windows, d) features.
    owner, lengths
        (n windows,) numbers of the windows' texts, and lengths in tokens, which are the weights of
        windows in the logits of a text.
    """

    features: Features
    owner: Integers
    lengths: Sequence[int]


class Reading(NamedTuple):
    """Logits of n texts before calibration, (n, `Mode.n_logits`), and their window counts, (n,)."""

    logits: Array
    windows: Integers


def nearness(similarity: Array) -> Array:
    """Summarise the similarities s (n, m) of n texts to m others in one number per text, (n,).

    The number, log(mean(exp(c * s))) / c with c = `SHARPNESS`, lies between the mean and the
    largest similarity.

    >>> nearness(np.array([[0.5, 0.5], [0.5, 0.1]])).round(2).tolist()
    [0.5, 0.47]
    """
    largest = similarity.max(axis=1, keepdims=True)
    mean = np.exp(SHARPNESS * (similarity - largest)).mean(axis=1)
    return np.asarray(largest[:, 0] + np.log(mean) / SHARPNESS)


class LinearHead(NamedTuple):
    """Logistic regression on features, and on the `nearness` to subjects outside the topics.

    Attributes
    ----------
    coef, slope, intercept
        (r, d) coefficients of the features, (r,) coefficients of the nearness, (r,) intercepts.
    subjects
        (m, d) features of the subjects; (0, d) without subjects.
    """

    coef: Array
    slope: Array
    intercept: Array
    subjects: Array

    def logits(self, features: Features) -> Array:
        """Compute the logits, (n, r), of features, (n, d)."""
        logits: Array = features @ self.coef.T + self.intercept
        if len(self.subjects):
            logits += nearness(np.asarray(features @ self.subjects.T))[:, None] * self.slope
        return logits

    def read(self, windows: Windows, mode: Mode, n_texts: int) -> Reading:
        """Combine the logits of n texts' windows by `mode.combine_windows`; count the windows."""
        features, owner, lengths = windows
        logits = mode.combine_windows(self.logits(features), lengths, owner, n_texts)
        return Reading(logits, np.bincount(owner, minlength=n_texts))

    def save(self, path: Path) -> None:
        """Write the head as safetensors; equal heads give equal bytes."""
        from safetensors.numpy import save_file

        # safetensors would write the memory between the values of a view, too.
        arrays = {name: np.ascontiguousarray(array) for name, array in self._asdict().items()}
        save_file(arrays, path)


def read_head(path: Path) -> LinearHead:
    """Read a head from the safetensors file that `LinearHead.save` wrote.

    Raises
    ------
    ValueError
        The shapes of the arrays do not fit each other, or a number in an array other than
        `intercept` is not finite. A missing array is a KeyError, a damaged file a SafetensorError.
    """
    from safetensors.numpy import load_file

    tensors = load_file(path)
    head = LinearHead(**{name: tensors[name] for name in LinearHead._fields})
    (r, d), m = head.coef.shape, len(head.subjects)
    shapes = [array.shape for array in head]
    if shapes != [(r, d), (r,), (r,), (m, d)]:
        raise ValueError(f"weights of {shapes} do not fit each other")
    if not all(np.isfinite(array).all() for array in (head.coef, head.slope, head.subjects)):
        raise ValueError("weights are not finite")
    return head


@dataclass(frozen=True)
class ContextWeights:
    """Weights of the context of a text in its features; the text itself has weight 1.

    A long text needs less context, and its neighbours are more often about something else. If a
    text has n > `LONG_TEXT` characters, the weights of its neighbours are multiplied by
    `LONG_TEXT` / n.

    Parameters
    ----------
    neighbours
        Weight of the paragraphs directly before and after the text, 0 to 1. A paragraph at distance
        k has this weight to the power of k. With 0, the default, neighbours are ignored.
    heading, title
        Weights of the heading and of the article's title, 0 to 1; 0, the default, ignores them.
    """

    neighbours: float = 0.0
    heading: float = 0.0
    title: float = 0.0

    def place_weights(self, texts: Texts) -> Array:
        """Weights of the p `PLACES` around n texts, (n, p); 0 where a place has no text."""
        near = [self.neighbours**distance for _, distance in NEIGHBOUR_PLACES]
        weights = np.tile([*near, self.heading, self.title], (len(texts), 1))
        lengths = np.array([[len(text)] for text in texts.plain]).reshape(-1, 1)
        weights[:, : len(NEIGHBOUR_PLACES)] *= np.minimum(1.0, LONG_TEXT / np.maximum(1, lengths))
        return np.where(texts.context == NO_TEXT, 0.0, weights)

    def reads(self, texts: Texts) -> Targets:
        """Whether each of n texts has context with a weight above 0, (n,)."""
        return np.asarray(self.place_weights(texts).any(axis=1))

    def parts(self, text: Text) -> list[str]:
        """The `PARTS` of a text's context that are not empty and have a weight above 0."""
        (weights,) = self.place_weights(numbered([text]))
        read = {part for (part, _), weight in zip(PLACES, weights, strict=True) if weight > 0}
        return [part for part in PARTS if part in read]

    @classmethod
    def read(cls, values: Mapping[str, float]) -> ContextWeights:
        """Rebuild weights from `dataclasses.asdict` of them, which may come from an untrusted file.

        Raises
        ------
        ValueError, TypeError
            A weight is not a number from 0 to 1, or a name is not that of a weight.
        """
        for name, weight in values.items():
            if isinstance(weight, bool) or not 0 <= weight <= 1:
                raise ValueError(f"settings: the weight of {name} is {weight!r}")
        return cls(**values)


class ContextMatrix(NamedTuple):
    """Weights of m distinct texts in the features of n texts, as a sparse matrix in triplets.

    Attributes
    ----------
    texts
        The m distinct texts.
    own
        (n,) numbers of the texts themselves among the distinct texts; they have weight 1.
    row, column, weight
        (r,) numbers of texts, numbers of distinct texts in their context, and weights of these.
    """

    texts: list[str]
    own: Integers
    row: Integers
    column: Integers
    weight: Array

    @property
    def around(self) -> sparse.csr_matrix:
        """Weights of the context, (n, m)."""
        from scipy import sparse

        shape = len(self.own), len(self.texts)
        return sparse.csr_matrix((self.weight, (self.row, self.column)), shape)

    def sums(self, embeddings: Array) -> Array:
        """Sum the weighted `embeddings`, (m, d), of each text's context, not its own, (n, d)."""
        total = np.zeros((len(self.own), embeddings.shape[1]))
        np.add.at(total, self.row, self.weight[:, None] * embeddings[self.column])
        return total


def weigh_texts(texts: Texts, weights: ContextWeights) -> ContextMatrix:
    """Number the distinct texts among n texts and their context, and weight the context.

    In the result, `texts` has each distinct text once, by first occurrence: the n texts, then their
    context of weight > 0. `own` numbers the n texts; `row`, `column`, `weight` hold context only.
    """
    weight = weights.place_weights(texts)
    row, place = np.nonzero(weight)
    numbers = np.concatenate([texts.numbers, texts.context[row, place]])
    order: dict[int, int] = {}
    columns = [order.setdefault(number, len(order)) for number in numbers.tolist()]
    distinct = [texts.distinct[number] for number in order]
    own, column = np.split(np.array(columns, dtype=np.int64), [len(texts)])
    return ContextMatrix(distinct, own, row, column, weight[row, place])
