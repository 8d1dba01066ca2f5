"""Prediction with a saved baseline: TF-IDF and a linear head, without scikit-learn.

Fitting and saving a baseline is for `baseline.fit`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from paratopic.inference.explanation import Contributions
from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Integers, Scores
from paratopic.inference.tfidf import TfIdf, TfIdfUnion, clean

if TYPE_CHECKING:
    from scipy import sparse


# Longest n-gram: the work on a text grows with it.
MOST_NGRAM = 20


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

    def effective(self, features: sparse.csr_matrix) -> Array:
        """Coefficients (r, d) that alone give the logits of a text's features (1, d)."""
        if not len(self.descriptions):
            return self.coef
        nearest = self.descriptions[int((features @ self.descriptions.T).argmax())]
        return np.asarray(self.coef + self.slope[:, None] * nearest)

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

    FILES: ClassVar[tuple[str, ...]] = ("vocabulary.json", "weights.safetensors")

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from safetensors.numpy import load_file

        for name, keywords in settings["features"].items():
            low, high = keywords["ngram_range"]
            sizes = range(low, high + 1)
            if not sizes or sizes[0] < 1 or sizes[-1] > MOST_NGRAM:
                raise ValueError(f"settings: {name} has n-grams of {low} to {high}")
        terms = json.loads((folder / self.FILES[0]).read_text(encoding="utf-8"))
        weights = load_file(folder / self.FILES[1])
        self._union = TfIdfUnion(
            {
                name: TfIdf(terms[name], weights[f"idf.{name}"], keywords)
                for name, keywords in settings["features"].items()
            }
        )
        self._head = LinearHead(
            weights["coef"], weights["slope"], weights["intercept"], weights["descriptions"]
        )
        self._mode = mode
        coef, slope, intercept, descriptions = self._head
        features = self._union.features.values()
        r, d = len(coef), sum(len(feature.terms) for feature in features)
        shapes = (coef.shape, slope.shape, intercept.shape, descriptions.shape[1:])
        if shapes != ((r, d), (r,), (r,), (d,)) or any(
            len(feature.idf) != len(feature.terms) for feature in features
        ):
            raise ValueError(f"weights of {coef.shape} do not fit {d} terms")
        if not all(np.isfinite(weights).all() for weights in (coef, slope, descriptions)):
            raise ValueError("weights are not finite")

    def score(self, texts: Sequence[str]) -> tuple[Scores, Integers]:
        """Score n texts: calibrated probabilities (n, k), and one window for each text."""
        logits = self._head.logits(self._union.transform(texts))
        return self._mode.scores(logits), np.ones(len(texts), dtype=np.int64)

    def embed(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF features of n texts, (n, d); a row of zeros for a text without a known term."""
        from scipy import sparse

        features = self._union.transform(texts)
        lengths = np.sqrt(features.multiply(features).sum(axis=1))
        return sparse.csr_matrix(features.multiply(1 / np.maximum(lengths, 1e-9)))

    def contributions(self, text: str) -> Contributions:
        """What each word of a text that is not blank adds to its logits.

        A term that is there several times adds as much each time, and one of several words adds as
        much in each of them.
        """
        spans = np.array([match.span() for match in re.finditer(r"\S+", text)], dtype=np.int64)
        # Few characters become several words when they are cleaned.
        cleaned = [clean(text[start:end]).split() for start, end in spans]
        token = np.repeat(np.arange(len(spans)), [len(words) for words in cleaned])
        words = list(chain.from_iterable(cleaned))
        features = self._union.transform([text])
        coef = self._head.effective(features)
        shares = np.zeros((len(spans), len(coef)))
        first = 0
        for feature in self._union.features.values():
            of_feature = features[:, first : first + len(feature.terms)].toarray()[0]
            word, column, part = feature.occurrences(words)
            count = np.bincount(column, part, minlength=len(of_feature))
            each = (part * of_feature[column] / count[column])[:, None] * coef.T[first + column]
            np.add.at(shares, token[word], each)
            first += len(of_feature)
        return Contributions(spans, shares, self._head.logits(features)[0])
