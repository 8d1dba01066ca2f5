"""The linear head of a model, from features to logits, and its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Features, Integers


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

    def logits(self, features: Features) -> Array:
        """Logits (n, r) of features (n, d)."""
        logits: Array = features @ self.coef.T + self.intercept
        if len(self.descriptions):
            similarity = features @ self.descriptions.T
            logits += similarity.max(axis=1, keepdims=True) * self.slope
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
    (r, d), k = head.coef.shape, len(head.descriptions)
    shapes = [part.shape for part in head]
    if shapes != [(r, d), (r,), (r,), (k, d)]:
        raise ValueError(f"weights of {shapes} do not fit each other")
    if not all(np.isfinite(part).all() for part in (head.coef, head.slope, head.descriptions)):
        raise ValueError("weights are not finite")
    return head
