"""Prediction with a saved baseline: TF-IDF and a linear head, without scikit-learn.

Fitting and saving a baseline is for `baseline.fit`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paratopic.inference.modes import Mode
from paratopic.inference.scores import Integers, Scores
from paratopic.inference.tfidf import TfIdf, clean


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
        self._coef, self._intercept = weights["coef"], weights["intercept"]
        self._mode = mode

    def score(self, texts: Sequence[str]) -> tuple[Scores, Integers]:
        """Score n texts: calibrated probabilities (n, k), and one window for each text."""
        from scipy import sparse

        cleaned = [clean(text) for text in texts]
        parts = [feature.transform(cleaned) for feature in self._features]
        logits = sparse.hstack(parts, format="csr") @ self._coef.T + self._intercept
        return self._mode.scores(logits), np.ones(len(texts), dtype=np.int64)
