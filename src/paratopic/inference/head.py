"""The linear head of a model: from features to logits, and its file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from paratopic.inference.scores import Array, Features

# Labelled texts whose products with their centre differ by less are all the same.
ROUNDING = 1e-9


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

    def likeness(self, features: Features) -> Array:
        """How like the labelled texts others are, (n,), from features (n, d).

        It is 0 for a usual labelled text, and falls by 1 for each standard deviation among these.
        """
        return np.asarray(features @ self.centre - self.usual)

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
