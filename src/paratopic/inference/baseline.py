"""Prediction with a saved baseline: TF-IDF and a linear head, without scikit-learn.

Fitting and saving a baseline is for `baseline.fit`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Integers, Scores
from paratopic.inference.tfidf import TfIdf, clean

if TYPE_CHECKING:
    from scipy import sparse


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

    def logits(self, features: sparse.csr_matrix) -> Array:
        """Logits (n, r) of features (n, d)."""
        logits: Array = features @ self.coef.T + self.intercept
        if len(self.descriptions):
            similarity = features @ self.descriptions.T
            logits += similarity.max(axis=1, keepdims=True) * self.slope
        return logits


class BaselineClassifier:
    """TF-IDF and logistic regression, rebuilt from a vocabulary and weights.

    Parameters
    ----------
    folder
        Folder with vocabulary.json and weights.safetensors.
    mode
        Mode of the topics.
    settings
        ``features`` maps each feature's name to the keyword arguments of its TfidfVectorizer.
    """

    FILES = ("vocabulary.json", "weights.safetensors")

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from safetensors.numpy import load_file

        terms = json.loads((folder / self.FILES[0]).read_text(encoding="utf-8"))
        weights = load_file(folder / self.FILES[1])
        self._features = [
            TfIdf(terms[name], weights[f"idf.{name}"], keywords)
            for name, keywords in settings["features"].items()
        ]
        self._head = LinearHead(
            weights["coef"], weights["slope"], weights["intercept"], weights["descriptions"]
        )
        self._mode = mode

    def score(self, texts: Sequence[str]) -> tuple[Scores, Integers]:
        """Score n texts: calibrated probabilities (n, k), and one window for each text."""
        from scipy import sparse

        cleaned = [clean(text) for text in texts]
        parts = [feature.transform(cleaned) for feature in self._features]
        logits = self._head.logits(sparse.hstack(parts, format="csr"))
        return self._mode.scores(logits), np.ones(len(texts), dtype=np.int64)
