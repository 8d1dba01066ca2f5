"""Prediction with a saved baseline: TF-IDF and a linear head, without scikit-learn.

Fitting and saving a baseline is for `baseline.fit`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from paratopic.inference.context import ContextWeights, Surroundings, read_weights, surroundings
from paratopic.inference.explanation import Contributions
from paratopic.inference.head import read_head
from paratopic.inference.modes import Mode
from paratopic.inference.scores import Array, Integers, Reading
from paratopic.inference.tfidf import TfIdf, TfIdfUnion, clean
from paratopic.project.passages import PARTS, Passage, Text

if TYPE_CHECKING:
    from scipy import sparse


# Longest n-gram: the work on a text grows with it.
MOST_NGRAM = 20


class BaselineClassifier:
    """TF-IDF and logistic regression, rebuilt from a vocabulary and weights.

    Parameters
    ----------
    settings
        ``features`` maps each feature's name to the keyword arguments of its TfidfVectorizer;
        ``context`` has the `ContextWeights`.
    """

    VOCABULARY, IDF, HEAD = "vocabulary.json", "idf.safetensors", "head.safetensors"
    FILES: ClassVar[tuple[str, ...]] = (VOCABULARY, IDF, HEAD)

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from safetensors.numpy import load_file

        for name, keywords in settings["features"].items():
            low, high = keywords["ngram_range"]
            sizes = range(low, high + 1)
            if not sizes or sizes[0] < 1 or sizes[-1] > MOST_NGRAM:
                raise ValueError(f"settings: {name} has n-grams of {low} to {high}")
        self.weights = read_weights(settings["context"])
        terms = json.loads((folder / self.VOCABULARY).read_text(encoding="utf-8"))
        idf = load_file(folder / self.IDF)
        self._union = TfIdfUnion(
            {
                name: TfIdf(terms[name], idf[name], keywords)
                for name, keywords in settings["features"].items()
            }
        )
        self._head, self._mode = read_head(folder / self.HEAD), mode
        features = self._union.features.values()
        d = sum(len(feature.terms) for feature in features)
        if self._head.coef.shape[1] != d or any(
            len(feature.idf) != len(feature.terms) for feature in features
        ):
            raise ValueError(f"weights of {self._head.coef.shape} do not fit {d} terms")

    def read(self, texts: Sequence[Text]) -> Reading:
        """Read n texts, each in one window."""
        features = transform_passages(self._union.transform, texts, self.weights)
        windows = np.ones(len(texts), dtype=np.int64)
        return Reading(self._head.logits(features), windows, self._head.likeness(features))

    def embed(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF features of n texts, (n, d); a row of zeros for a text without a known term."""
        from scipy import sparse

        features = self._union.transform(texts)
        return sparse.csr_matrix(features.multiply(1 / np.maximum(_lengths(features), 1e-9)))

    def contributions(self, passage: Passage) -> Contributions:
        """What each word of a text, and each part of what is around it, adds to its logits.

        A term that is there several times adds as much each time, and one of several words adds as
        much in each of them.
        """
        from scipy import sparse

        text = passage.text
        spans = np.array([match.span() for match in re.finditer(r"\S+", text)], dtype=np.int64)
        # Few characters become several words when they are cleaned.
        cleaned = [clean(text[start:end]).split() for start, end in spans]
        token = np.repeat(np.arange(len(spans)), [len(words) for words in cleaned])
        words = list(chain.from_iterable(cleaned))
        read = surroundings([passage], self.weights)
        each = self._union.transform(read.texts)
        own, parts = each[read.own], _read_into(read, read.part, len(PARTS)) @ each
        total = own + sparse.csr_matrix(parts.sum(axis=0))
        scale = _scale(own, total)
        coef = self._head.effective(total.multiply(scale)) * scale
        shares = np.zeros((len(spans), len(coef)))
        first = 0
        for feature in self._union.features.values():
            of_feature = own[:, first : first + len(feature.terms)].toarray()[0]
            word, column, part = feature.occurrences(words)
            count = np.bincount(column, part, minlength=len(of_feature))
            each = (part * of_feature[column] / count[column])[:, None] * coef.T[first + column]
            np.add.at(shares, token[word], each)
            first += len(of_feature)
        logits = self._head.logits(total.multiply(scale))[0]
        return Contributions(spans, shares, logits, np.asarray(parts @ coef.T))


def transform_passages(
    transform: Callable[[Sequence[str]], sparse.csr_matrix],
    texts: Sequence[Text],
    weights: ContextWeights,
) -> sparse.csr_matrix:
    """Features of n texts, (n, d): sums of their own and of those around them.

    A sum is as long as the features of the text itself, unless these are all 0.

    Parameters
    ----------
    transform
        Computes the features of texts alone, (m, d).
    texts
        n texts.
    weights
        How much is read of what stands around them.
    """
    from scipy import sparse

    read = surroundings(texts, weights)
    each = transform(read.texts)
    own = each[read.own]
    if not len(read.row):
        return own
    total = own + _read_into(read, read.row, len(texts)) @ each
    return sparse.csr_matrix(total.multiply(_scale(own, total)))


def _read_into(read: Surroundings, row: Integers, n_rows: int) -> sparse.csr_matrix:
    """Weights (n rows, m) with which each of m texts is read into rows."""
    from scipy import sparse

    shape = (n_rows, len(read.texts))
    return sparse.csr_matrix((read.weight, (row, read.column)), shape)


def _scale(own: sparse.csr_matrix, total: sparse.csr_matrix) -> Array:
    """Factors (n, 1) that make rows of `total` as long as those of `own` that are not all 0."""
    wanted, lengths = _lengths(own), _lengths(total)
    known = (wanted > 0) & (lengths > 0)
    scale: Array = np.where(known, wanted / np.where(known, lengths, 1.0), 1.0)
    return scale


def _lengths(features: sparse.csr_matrix) -> Array:
    """Length of each row, (n, 1)."""
    squares = np.asarray(features.multiply(features).sum(axis=1))
    return np.asarray(np.sqrt(squares).reshape(-1, 1))
