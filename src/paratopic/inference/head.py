"""The linear head of a model, and its file: from features to logits, and to likeness.

How like the labelled texts another is tells whether anything is known of the answers to it
(`evaluation.estimates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Features, Integers

# Labelled texts whose products with their centre differ by less are all the same.
ROUNDING = 1e-9


class Windows(NamedTuple):
    """What a head reads of n texts, each of which is read in one window or several.

    Attributes
    ----------
    features
        (n windows, d) features of each window.
    owner
        (n windows,) number of the text that each window belongs to.
    lengths
        Number of tokens of each window, by which windows of one text are weighed.
    """

    features: Features
    owner: Integers
    lengths: Sequence[int]


class Reading(NamedTuple):
    """What a kind of model makes of n texts.

    Attributes
    ----------
    logits
        (n, `Mode.n_logits`) logits before calibration.
    windows
        (n,) number of windows that each text was read in.
    likeness
        (n,) how like the labelled texts each text is: 0 as a usual one of them, and 1 less for each
        standard deviation among them.
    """

    logits: Array
    windows: Integers
    likeness: Array


class LinearHead(NamedTuple):
    """Logits of features, which see how similar a text is to the nearest description.

    Attributes
    ----------
    coef, slope, intercept
        (r, d), (r,) and (r,) coefficients, of the features and of that similarity, and intercepts.
    descriptions
        (k, d) features of the topics' descriptions; (0, d) for none.
    centre, usual
        (d,) and (1,) mean of the labelled texts' features, and the mean product of these with it,
        both over the standard deviation of the products. Zeros where labels are too few.
    """

    coef: Array
    slope: Array
    intercept: Array
    descriptions: Array
    centre: Array
    usual: Array

    def effective(self, features: Features) -> Array:
        """Coefficients (r, d) that alone give the logits of one text's features, (d,) or (1, d)."""
        if not len(self.descriptions):
            return self.coef
        nearest = self.descriptions[int((features @ self.descriptions.T).argmax())]
        return np.asarray(self.coef + self.slope[:, None] * nearest)

    def logits(self, features: Features) -> Array:
        """Logits (n, r) of features (n, d)."""
        logits: Array = features @ self.coef.T + self.intercept
        if len(self.descriptions):
            similarity = features @ self.descriptions.T
            logits += similarity.max(axis=1, keepdims=True) * self.slope
        return logits

    def read(self, windows: Windows, mode: Mode, n_texts: int) -> Reading:
        """Read n texts by their windows; the likeness of a text is the mean of its windows'."""
        features, owner, lengths = windows
        number = np.bincount(owner, minlength=n_texts)
        likeness = np.bincount(owner, features @ self.centre - self.usual, n_texts) / number
        logits = mode.combine_windows(self.logits(features), lengths, owner, n_texts)
        return Reading(logits, number, likeness)

    def save(self, path: Path) -> None:
        """Write the head as safetensors, the same bytes every time."""
        from safetensors.numpy import save_file

        # Of an array that is a part of another one, safetensors writes what lies between, too.
        save_file({name: np.ascontiguousarray(part) for name, part in self._asdict().items()}, path)


def centre_of(features: Features) -> tuple[Array, Array]:
    """`LinearHead.centre` and `LinearHead.usual` of the features (n, d) of labelled texts.

    The product of a text with the mean of the others says how like them it is. For foreign texts
    it falls by a standard deviation or more on average (benchmarks/expected.py).
    """
    n, d = features.shape
    mean = np.asarray(features.mean(axis=0)).ravel() if n else np.zeros(d)
    squared = features**2 if isinstance(features, np.ndarray) else features.multiply(features)
    own = np.asarray(squared.sum(axis=1)).ravel()
    products = (n * (features @ mean) - own) / max(n - 1, 1)
    spread = float(products.std()) if n > 1 else 0.0
    if spread <= ROUNDING:
        return np.zeros(d), np.zeros(1)
    return mean / spread, np.array([products.mean() / spread])


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
    (r, d), k = head.coef.shape, len(head.descriptions)
    shapes = [part.shape for part in head]
    if shapes != [(r, d), (r,), (r,), (k, d), (d,), (1,)]:
        raise ValueError(f"weights of {shapes} do not fit each other")
    finite = (head.coef, head.slope, head.descriptions, head.centre, head.usual)
    if not all(np.isfinite(part).all() for part in finite):
        raise ValueError("weights are not finite")
    return head
