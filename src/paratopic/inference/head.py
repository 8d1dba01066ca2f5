"""The linear head of a model: from features to logits, and its file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from paratopic.inference.scores import Array, Features


class LinearHead(NamedTuple):
    """Logits of features, which see how similar a text is to the nearest description.

    Attributes
    ----------
    coef, slope, intercept
        (r, d), (r,) and (r,) coefficients, of the features and of that similarity, and intercepts.
    descriptions
        (k, d) features of the topics' descriptions; (0, d) for none.
    """

    coef: Array
    slope: Array
    intercept: Array
    descriptions: Array

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

    weights = load_file(path)
    head = LinearHead(**{name: weights[name] for name in LinearHead._fields})
    r, d = head.coef.shape
    shapes = (head.slope.shape, head.intercept.shape, head.descriptions.shape[1:])
    if shapes != ((r,), (r,), (d,)):
        raise ValueError(f"weights of {head.coef.shape} do not fit {shapes}")
    if not all(np.isfinite(part).all() for part in (head.coef, head.slope, head.descriptions)):
        raise ValueError("weights are not finite")
    return head
