"""Prediction with a saved baseline: TF-IDF and a linear head, without scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paratopic.inference.scores import Scores, topic_probabilities
from paratopic.inference.tfidf import TfIdf, clean
from paratopic.project.topics import Mode


class BaselineClassifier:
    """TF-IDF and logistic regression, put together again from a vocabulary and weights.

    Parameters
    ----------
    folder
        Holds vocabulary.json and weights.safetensors.
    mode
        Of the topics.
    settings
        ``features``: name → keyword arguments of its TfidfVectorizer.
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

    def read(self, texts: Sequence[str]) -> tuple[Scores, npt.NDArray[np.int64]]:
        """Calibrated probabilities, (n texts, k topics); each text is one window."""
        from scipy import sparse

        cleaned = [clean(text) for text in texts]
        parts = [feature.transform(cleaned) for feature in self._features]
        logits = sparse.hstack(parts, format="csr") @ self._coef.T + self._intercept
        scores = topic_probabilities(logits, self._mode)
        return scores, np.ones(len(texts), dtype=np.int64)
